"""Plans: what must stay cheap on a log of any length, and right after a bulk insert."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from warehouse_support import merge_numbers, numbers, one

from adsync_dagster.records import Account, DateRange, Level
from adsync_dagster.warehouse import account_state, changes, entities, metrics
from adsync_dagster.warehouse.database import AccountSession, Connection, Database
from adsync_dagster.warehouse.queries import level_query, queries
from adsync_dagster.warehouse.staging import EntityStage, MetricsStage

DONE_ROWS = 200_000
PENDING_ROWS = 300
T0 = datetime(2026, 3, 10, tzinfo=UTC)

FILL_LOG = """
INSERT INTO ad_status_change_log (entity_type, entity_id, platform_entity_id, ad_account_id,
  platform, old_status, new_status, final_sync_completed, created_at)
SELECT 'ad', gen_random_uuid(), 'x' || n, %(ad_account_id)s, 'facebook', 'ACTIVE', 'PAUSED',
       n > %(pending)s, now() - n * interval '1 minute'
  FROM generate_series(1, %(pending)s + %(done)s) n
"""


@pytest.fixture
def long_log(connection: Connection, account: Account) -> Connection:
    """A connection to a database whose log holds very many finished rows and some pending ones."""
    connection.execute(
        FILL_LOG, {"ad_account_id": account.id, "pending": PENDING_ROWS, "done": DONE_ROWS}
    )
    connection.execute("ANALYZE ad_status_change_log")
    return connection


def explain(connection: Connection, query: Any, values: dict[str, Any]) -> dict[str, Any]:
    """The executed plan of a query, rolled back."""
    with connection.transaction(force_rollback=True):
        text = query if isinstance(query, str) else query.as_string(connection)
        row = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text}", values)
        (plan,) = row.fetchone() or ("[]",)
        found: dict[str, Any] = (plan if isinstance(plan, list) else json.loads(plan))[0]
        return found


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every node of a plan, with its children."""
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def buffers(plan: dict[str, Any]) -> int:
    """Pages touched."""
    top = plan["Plan"]
    return int(top["Shared Hit Blocks"]) + int(top["Shared Read Blocks"])


def values(account_id: UUID) -> dict[str, Any]:
    return {
        "ad_account_id": account_id,
        "claim_token": uuid4(),
        "limit": 10,
        "log_ids": [uuid4()],
        "error": "x",
        "reason": "x",
        "blocked_reason": None,
        "retry_after_seconds": 0.0,
        "also_inactive": False,
        "entity_type": None,
        "level": None,
        "platform_id": None,
    }


#: Pages that each question may touch, with 300 pending rows among 200,000.
PAGES_MAX = {
    "claim_pending": 400,
    "get_entities_needing_final_sync": 700,
    "pending_summary": 700,
    "count_pending": 700,
    "complete_changes": 100,
    "record_failure": 100,
    "release_changes": 100,
}


def test_questions_about_pending_work_never_read_the_whole_log(
    long_log: Connection, account: Account
) -> None:
    """With 200,000 finished rows each query goes through a partial index and reads few pages."""
    for name, pages_max in PAGES_MAX.items():
        plan = explain(long_log, queries[name], values(account.id))
        scanned = [
            node["Node Type"]
            for node in nodes(plan["Plan"])
            if node.get("Relation Name") == "ad_status_change_log"
        ]
        assert "Seq Scan" not in scanned, name
        assert buffers(plan) <= pages_max, name


def test_the_claim_uses_the_index_of_due_work(long_log: Connection, account: Account) -> None:
    """Claiming goes through a partial index over pending rows only."""
    plan = explain(long_log, queries["claim_pending"], values(account.id))

    used = {node.get("Index Name") for node in nodes(plan["Plan"])} - {None}
    assert any(name.startswith("ad_status_change_log_pending") for name in used)


def test_the_bodies_of_the_sql_functions_stay_cheap(long_log: Connection, account: Account) -> None:
    """The functions of the seed read few pages when called, too."""
    for _ in range(7):  # beyond the point where a generic plan could be taken
        plan = explain(
            long_log,
            "SELECT * FROM get_entities_needing_final_sync(%(ad_account_id)s, 'ad')",
            {"ad_account_id": account.id},
        )
        assert buffers(plan) <= 800


@pytest.fixture
def fresh_bulk(session: AccountSession, account: Account) -> AccountSession:
    """A session after a bulk insert that the planner's statistics know nothing of."""
    rows = [
        numbers(f"a{ad:04}", date(2026, 3, 1) + timedelta(days=day))
        for day in range(9)
        for ad in range(2000)
    ]
    session.connection.execute("ANALYZE")
    merge_numbers(session, account, rows, T0)
    return session


def test_absence_after_a_bulk_insert_is_not_quadratic(
    fresh_bulk: AccountSession, account: Account
) -> None:
    """Comparing stored and staged sets stays linear while the planner believes tables empty."""
    connection = fresh_bulk.connection
    days = DateRange(since=date(2026, 3, 1), until=date(2026, 3, 9))
    with MetricsStage(connection) as stage:
        stage.add([numbers(f"a{ad:04}", date(2026, 3, 1)) for ad in range(1000)])
        absent = metrics.absent_rows(connection, account, Level.AD, days)
        assert len(absent) == 17_000
    with EntityStage(connection, Level.AD):
        assert len(entities.absent_ids(connection, account, Level.AD)) == 2000


@pytest.mark.parametrize("name", ["hidden_candidates", "silent_ids", "log_missed_changes"])
def test_questions_per_entity_read_the_accounts_numbers_once(
    fresh_bulk: AccountSession, account: Account, name: str
) -> None:
    """Asking which of 2,000 entities had numbers does not scan numbers once per entity."""
    connection = fresh_bulk.connection
    connection.execute(
        "UPDATE ads SET status = 'DELETED', platform_status = 'x', last_final_sync_at = now(),"
        " created_at = '2020-01-01', status_changed_at = '2020-01-01'"
    )
    plan = explain(
        connection,
        level_query(name, Level.AD),
        {
            "ad_account_id": account.id,
            "level": "ad",
            "active_since": date(2026, 2, 1),
            "since": date(2026, 3, 20),
            "until": date(2026, 3, 21),
            "days": [date(2026, 3, 20), date(2026, 3, 21)],
            "limit": 5000,
        },
    )
    rows_read = sum(
        node["Actual Rows"] * node["Actual Loops"]
        for node in nodes(plan["Plan"])
        if str(node.get("Relation Name", "")).startswith("ad_metrics")
    )
    assert rows_read <= 3 * 18_000


def test_reads_of_one_account_touch_only_its_numbers(
    fresh_bulk: AccountSession, account: Account, new_account: Account, database: Database
) -> None:
    """Adding up a day of a small account does not read the days of a large one."""
    with database.account_session(new_account.id, wait_seconds=0) as small:
        merge_numbers(small, new_account, [numbers("z1", "2026-03-05")], T0)
        small.connection.execute("ANALYZE ad_metrics")
        plan = explain(
            small.connection,
            queries["reconcile_days"],
            {
                "ad_account_id": new_account.id,
                "level": "ad",
                "days": [date(2026, 3, 5)],
                "since": date(2026, 3, 5),
                "until": date(2026, 3, 5),
                "lasting": timedelta(hours=1),
            },
        )
    assert buffers(plan) < 100
    assert account_state.count_pending(fresh_bulk.connection, account.id).pending == 0
    assert changes.pending_summary(fresh_bulk.connection) == []
    assert one(fresh_bulk.connection, "SELECT count(*) FROM ad_metrics") == 18_001
