"""The statements that the seed document prints run unchanged and answer as it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adsync_dagster.clock import SystemClock
from adsync_dagster.records import Account, AccountInfo, Platform
from adsync_dagster.warehouse import accounts
from adsync_dagster.warehouse.database import Connection, Database

TEXT = (Path(__file__).parent / "seed_statements.sql").read_text(encoding="utf-8")
PARTS = re.split(r"^-- ([a-z_]+) --$", TEXT, flags=re.MULTILINE)
STATEMENTS = dict(zip(PARTS[1::2], PARTS[2::2], strict=True))

ENTITY = (
    "INSERT INTO {table} (ad_account_id, platform, {id_column}, name, status)"
    " VALUES (%s, 'facebook', %s, 'x', %s)"
)


@pytest.fixture
def seeded(database_url: str) -> Iterator[Connection]:
    """A connection under the real clock, with one account that has an active campaign."""
    database = Database(database_url, SystemClock())
    info = AccountInfo(
        platform_account_id="act_1", name="Shop", currency="USD", timezone="UTC", status="1"
    )
    with database.connection() as connection:
        account = accounts.add_account(connection, Platform.FACEBOOK, info)
        accounts.mark_synced(connection, account)
        _insert(connection, account, "ad_campaigns", "platform_campaign_id", "test_campaign_123")
        yield connection
    database.dispose()


def _insert(
    connection: Connection, account: Account, table: str, id_column: str, platform_id: str
) -> None:
    statement = ENTITY.format(table=table, id_column=id_column)
    connection.execute(statement, (account.id, platform_id, "ACTIVE"))


def run(connection: Connection, name: str) -> list[dict[str, Any]]:
    cursor = connection.execute(STATEMENTS[name])
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()] if names else []


def test_the_status_update_of_the_seed_is_logged(seeded: Connection) -> None:
    """Updating a campaign by hand logs ACTIVE to PAUSED with a final sync owed."""
    run(seeded, "update_a_campaign_status")

    (row,) = run(seeded, "check_if_logged")

    assert (row["old_status"], row["new_status"], row["final_sync_completed"]) == (
        "ACTIVE",
        "PAUSED",
        False,
    )
    tracked = seeded.execute(
        "SELECT previous_status, status_changed_at = %s FROM ad_campaigns", (row["created_at"],)
    ).fetchone()
    assert tracked == ("ACTIVE", True)


def test_the_completeness_query_counts_pending_and_then_nothing(seeded: Connection) -> None:
    """The completeness query shows the pending change and no row once it is done."""
    run(seeded, "update_a_campaign_status")
    (pending,) = run(seeded, "verify_completeness")
    assert (pending["entity_type"], pending["pending_count"]) == ("campaign", 1)

    seeded.execute(
        "SELECT mark_final_sync_completed(log_id)"
        " FROM ad_accounts a, get_entities_needing_final_sync(a.id, 'campaign')"
    )

    assert run(seeded, "verify_completeness") == []


def test_the_activity_query_counts_transitions(seeded: Connection) -> None:
    """The activity query counts done and pending per transition."""
    run(seeded, "update_a_campaign_status")
    seeded.execute("UPDATE ad_campaigns SET status = 'ACTIVE'")

    rows = run(seeded, "status_change_activity")

    counted = {(r["old_status"], r["new_status"]): (r["completed"], r["pending"]) for r in rows}
    assert counted == {("ACTIVE", "PAUSED"): (0, 1), ("PAUSED", "ACTIVE"): (0, 0)}


def test_the_failure_query_shows_attempts_with_their_error(seeded: Connection) -> None:
    """A failed final sync is found with its error; one never tried is not."""
    run(seeded, "update_a_campaign_status")
    assert run(seeded, "failed_final_syncs") == []

    seeded.execute(
        "SELECT mark_final_sync_completed(id, false, 'token expired') FROM ad_status_change_log"
    )

    (row,) = run(seeded, "failed_final_syncs")
    assert (row["platform_entity_id"], row["final_sync_error"]) == (
        "test_campaign_123",
        "token expired",
    )
    assert row["final_sync_attempted_at"] >= row["created_at"]


def test_the_performance_query_averages_the_time_to_done(seeded: Connection) -> None:
    """The performance query counts finished changes and how long they took."""
    run(seeded, "update_a_campaign_status")
    assert run(seeded, "performance_metrics") == []

    seeded.execute("SELECT mark_final_sync_completed(id, true) FROM ad_status_change_log")

    (row,) = run(seeded, "performance_metrics")
    assert (row["entity_type"], row["total_transitions"], row["error_count"]) == ("campaign", 1, 0)
    assert 0 <= row["avg_seconds_to_sync"] < 60


def test_functions_take_the_argument_names_of_the_seed(seeded: Connection) -> None:
    """Callers may name the arguments as the seed's client library does."""
    run(seeded, "update_a_campaign_status")

    found = seeded.execute(
        "SELECT f.log_id, f.platform_entity_id FROM ad_accounts a,"
        " get_entities_needing_final_sync(p_ad_account_id => a.id, p_entity_type => NULL) f"
    ).fetchall()
    assert [platform_id for _, platform_id in found] == ["test_campaign_123"]
    marked = seeded.execute(
        "SELECT mark_final_sync_completed(p_log_id => %s, p_success => true, p_error => NULL)",
        (found[0][0],),
    ).fetchone()
    assert marked == (True,)
