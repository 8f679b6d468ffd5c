"""The record is never deleted, truncated or rewritten by accident."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest
from warehouse_support import AD, AD_SET, CAMPAIGN, log_rows, merge, merge_numbers, numbers, one
from warehouse_support import paused as paused_

from adsync_dagster.records import Account, Level
from adsync_dagster.warehouse import account_days
from adsync_dagster.warehouse.database import AccountSession, Connection

T0 = datetime(2026, 3, 10, tzinfo=UTC)
TABLES = [
    "ad_accounts",
    "ad_campaigns",
    "ad_sets",
    "ads",
    "ad_metrics",
    "ad_metrics_2026_03",
    "ad_status_change_log",
    "ad_account_days",
]


@pytest.fixture
def filled(session: AccountSession, account: Account) -> Connection:
    """A database with a row in every guarded table."""
    for entity in (CAMPAIGN, AD_SET, AD):
        merge(session, account, [entity], T0)
    merge(session, account, [paused_(AD)], T0)
    merge_numbers(session, account, [numbers()], T0)
    account_days.record_read(session.connection, account, Level.AD, [T0.date()], T0)
    return session.connection


@pytest.mark.parametrize("table", TABLES)
def test_rows_cannot_be_deleted(filled: Connection, table: str) -> None:
    """DELETE is refused on every table of the record, partitions included."""
    before = one(filled, f"SELECT count(*) FROM {table}")
    assert before > 0
    with pytest.raises(psycopg.errors.RestrictViolation, match="never deleted"):
        filled.execute(f"DELETE FROM {table}")
    assert one(filled, f"SELECT count(*) FROM {table}") == before


@pytest.mark.parametrize("table", TABLES)
def test_tables_cannot_be_truncated(filled: Connection, table: str) -> None:
    """TRUNCATE, also with CASCADE, is refused on every table of the record."""
    with pytest.raises(psycopg.errors.RestrictViolation, match="never deleted"):
        filled.execute(f"TRUNCATE {table} CASCADE")


def test_deletion_by_cascade_is_refused(filled: Connection, account: Account) -> None:
    """A row that a foreign key would take along is kept, and so is its parent."""
    filled.execute("CREATE TABLE users (id uuid PRIMARY KEY)")
    filled.execute("INSERT INTO users VALUES (gen_random_uuid())")
    filled.execute("UPDATE ad_accounts SET user_id = (SELECT id FROM users)")
    filled.execute(
        "ALTER TABLE ad_accounts ADD FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE"
    )
    with pytest.raises(psycopg.errors.RestrictViolation):
        filled.execute("DELETE FROM users")
    assert one(filled, "SELECT count(*) FROM users") == 1


def test_the_owner_can_lift_the_guard(filled: Connection) -> None:
    """A person who means it disables the trigger, or acts under the replica role."""
    filled.execute("SET session_replication_role = replica")
    filled.execute("DELETE FROM ad_account_days")
    filled.execute("RESET session_replication_role")
    filled.execute("ALTER TABLE ad_metrics DISABLE TRIGGER guard_delete")
    filled.execute("DELETE FROM ad_metrics")

    assert one(filled, "SELECT count(*) FROM ad_metrics") == 0


@pytest.mark.parametrize(
    "column",
    [
        "entity_type = 'campaign'",
        "entity_id = gen_random_uuid()",
        "platform_entity_id = 'x'",
        "ad_account_id = gen_random_uuid()",
        "user_id = gen_random_uuid()",
        "platform = 'tiktok'",
        "old_status = 'x'",
        "new_status = 'x'",
        "source = 'x'",
        "metadata = '{}'",
        "created_at = now()",
        "id = gen_random_uuid()",
    ],
)
def test_a_logged_change_cannot_be_rewritten(filled: Connection, column: str) -> None:
    """No column that says what happened can be changed."""
    with pytest.raises(psycopg.errors.RestrictViolation, match="never rewritten"):
        filled.execute(f"UPDATE ad_status_change_log SET {column}")


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        ("false", "true", True),
        ("NULL", "false", True),
        ("true", "false", False),
        ("true", "NULL", False),
        ("false", "NULL", False),
        ("NULL", "true", False),
    ],
)
def test_the_state_of_a_final_sync_only_moves_forward(
    filled: Connection, before: str, after: str, *, allowed: bool
) -> None:
    """Owed becomes done, and none needed may become owed; done is for good."""
    filled.execute("SET session_replication_role = replica")
    filled.execute(f"UPDATE ad_status_change_log SET final_sync_completed = {before}")
    filled.execute("RESET session_replication_role")
    move = f"UPDATE ad_status_change_log SET final_sync_completed = {after}"
    if allowed:
        filled.execute(move)
    else:
        with pytest.raises(psycopg.errors.RestrictViolation, match="cannot become"):
            filled.execute(move)
    wanted = after if allowed else before
    assert log_rows(filled)[0][2] == {"true": True, "false": False, "NULL": None}[wanted]


def test_a_day_is_sealed_only_by_a_read(filled: Connection) -> None:
    """No statement can seal a day that no complete read covered."""
    filled.execute("UPDATE ad_account_days SET read_started_at = NULL")
    with pytest.raises(psycopg.errors.CheckViolation):
        filled.execute("UPDATE ad_account_days SET state = 'sealed', sealed_at = now()")
