"""The views: right sums, honest states, exact types, and plans that stay cheap."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row
from warehouse_support import AD, AD_SET, CAMPAIGN, merge, merge_numbers, numbers, one, paused

from adsync_dagster.clock import SystemClock, VirtualClock
from adsync_dagster.records import Account, AccountInfo, DayTotals, Level, Platform
from adsync_dagster.settlement import SettlementRules, sealable_from
from adsync_dagster.warehouse import account_days, accounts, changes
from adsync_dagster.warehouse.account_days import ResidualClass
from adsync_dagster.warehouse.database import AccountSession, Connection, Database
from adsync_dagster.warehouse.migrations import migrate

T0 = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
DAY = date(2026, 3, 9)
LEVEL_VIEWS = ("v_metrics_daily_campaign", "v_metrics_daily_adset", "v_metrics_daily_ad")
VIEWS = (
    *LEVEL_VIEWS,
    "v_metrics_daily",
    "v_account_completeness",
    "v_pending_final_syncs",
    "v_status_changes",
    "v_blocked",
    "v_incomplete_final_syncs",
    "v_status_change_activity",
    "v_failed_final_syncs",
    "v_final_sync_performance",
)


def rows(connection: Connection, query: str, *values: object) -> list[dict[str, Any]]:
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(query, values or None).fetchall()  # type: ignore[arg-type]


def all_levels(day: date = DAY, **values: Any) -> list[Any]:
    return [
        numbers("a1", day, **values),
        numbers("s1", day, level=Level.ADSET, adset_id=None, **values),
        numbers("c1", day, level=Level.CAMPAIGN, campaign_id=None, adset_id=None, **values),
    ]


def total(day: date = DAY, spend: str = "12.34", impressions: int = 1000) -> DayTotals:
    return DayTotals(
        date=day,
        impressions=impressions,
        clicks=10,
        spend=Decimal(spend),
        conversions=Decimal(2),
        conversion_value=Decimal(50),
    )


def read_day(
    session: AccountSession, account: Account, day: date, spend: str = "12.34"
) -> dict[Level, list[Any]]:
    """A complete read of a day at all levels; the residuals it leaves."""
    connection = session.connection
    for level in Level:
        account_days.record_read(connection, account, level, [day], T0)
    account_days.record_totals(connection, account, [total(day, spend)], [day])
    return {level: account_days.reconcile(connection, account, level, [day]) for level in Level}


@pytest.fixture
def stocked(session: AccountSession, account: Account) -> AccountSession:
    """A campaign, an ad set and an ad with names, and one day of their numbers."""
    for entity in (CAMPAIGN, AD_SET, AD):
        merge(session, account, [entity], T0)
    merge_numbers(session, account, all_levels(), T0)
    return session


# Facts


def test_a_level_view_holds_names_money_and_rates(stocked: AccountSession) -> None:
    """An ad's row names its account and parents and derives its rates from its numbers."""
    (row,) = rows(stocked.connection, "SELECT * FROM v_metrics_daily_ad")

    assert (row["level"], row["date"], row["day_state"]) == ("ad", DAY, "open")
    assert (row["account"], row["currency"]) == ("facebook:act_501", "USD")
    assert (row["platform_campaign_id"], row["campaign_name"]) == ("c1", "Campaign")
    assert (row["platform_ad_set_id"], row["ad_set_name"]) == ("s1", "Ad set")
    assert (row["platform_ad_id"], row["ad_name"]) == ("a1", "Ad")
    assert row["spend"] == Decimal("12.34")
    assert (row["cpc"], row["cpm"]) == (Decimal("1.234"), Decimal("12.34"))
    assert (row["ctr"], row["cost_per_conversion"]) == (Decimal(1), Decimal("6.17"))
    assert row["roas"] == Decimal("4.051864")


def test_rates_without_a_denominator_are_null(session: AccountSession, account: Account) -> None:
    """No clicks, impressions, spend or conversions: the rate is unknown, never an error or 0."""
    nothing = {"impressions": "0", "clicks": "0", "spend": "0", "conversions": "0"}
    merge_numbers(session, account, all_levels(**nothing), T0)

    found = rows(
        session.connection,
        "SELECT cpc, cpm, ctr, roas, cost_per_conversion FROM v_metrics_daily",
    )

    assert len(found) == 3
    assert all(value is None for row in found for value in row.values())


def test_only_the_mixed_view_holds_the_money_three_times(stocked: AccountSession) -> None:
    """Each level's view sums to the account's spend; the mixed one does per level."""
    for view in LEVEL_VIEWS:
        assert one(stocked.connection, f"SELECT sum(spend) FROM {view}") == Decimal("12.34")
    per_level = rows(
        stocked.connection, "SELECT level, sum(spend) AS s FROM v_metrics_daily GROUP BY level"
    )
    assert {row["level"]: row["s"] for row in per_level} == dict.fromkeys(
        ("campaign", "adset", "ad"), Decimal("12.34")
    )


def test_the_level_leads_and_the_comment_warns(connection: Connection) -> None:
    """Whoever opens the mixed view meets the level first, and psql says what would go wrong."""
    for view in (*LEVEL_VIEWS, "v_metrics_daily"):
        first = one(
            connection,
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum = 1",
            view,
        )
        assert first == "level"
    comment = one(connection, "SELECT obj_description('v_metrics_daily'::regclass)")
    assert comment.startswith("MIXED LEVELS")


def test_numbers_of_an_entity_nobody_named_stay_in(connection: Connection) -> None:
    """A fact whose entity and account are unknown keeps its money; only its names are null."""
    connection.execute("SELECT ensure_metric_partitions(%s, %s)", (DAY, DAY))
    connection.execute(
        "INSERT INTO ad_metrics (date, entity_type, entity_id, ad_account_id, platform, spend)"
        " VALUES (%s, 'ad', %s, %s, 'facebook', 5)",
        (DAY, uuid4(), uuid4()),
    )
    (row,) = rows(connection, "SELECT account, ad_name, spend FROM v_metrics_daily_ad")
    assert row == {"account": None, "ad_name": None, "spend": Decimal(5)}


def test_every_row_says_whether_its_day_is_final(stocked: AccountSession, account: Account) -> None:
    """The state of the day at the row's level stands beside the numbers."""
    read_day(stocked, account, DAY)
    account_days.seal(stocked.connection, account, {Level.AD: [DAY]}, T0)

    states = rows(stocked.connection, "SELECT level, day_state FROM v_metrics_daily")

    assert {row["level"]: row["day_state"] for row in states} == {
        "campaign": "reconciled",
        "adset": "reconciled",
        "ad": "sealed",
    }


# Completeness


def completeness(connection: Connection, account: Account) -> dict[date, dict[str, Any]]:
    found = rows(
        connection, "SELECT * FROM v_account_completeness WHERE ad_account_id = %s", account.id
    )
    by_day = {row["date"]: row for row in found}
    assert len(by_day) == len(found)
    return by_day


def test_an_account_without_a_sync_has_one_open_day(
    connection: Connection, new_account: Account
) -> None:
    """Nothing is known of a new account, and that is what the view says."""
    days = completeness(connection, new_account)

    assert list(days) == [date(2026, 3, 10)]
    row = days[date(2026, 3, 10)]
    assert row["state"] == "open"
    unknown = ("last_read_at", "sealable_from", "overdue", "total_spend", "adds_up")
    assert [row[name] for name in (*unknown, "account_first_synced_at")] == [None] * 6


def test_a_day_that_was_never_read_is_there_and_open(
    stocked: AccountSession, account: Account
) -> None:
    """Every day from the history's start to today has a row, also those nobody read."""
    accounts.set_history_start(stocked.connection, account, date(2026, 3, 7))
    read_day(stocked, account, DAY)

    days = completeness(stocked.connection, account)

    assert sorted(days) == [date(2026, 3, day) for day in (7, 8, 9, 10)]
    assert [days[day]["state"] for day in sorted(days)] == ["open", "open", "reconciled", "open"]
    read = days[DAY]
    assert (read["last_read_at"], read["adds_up"], read["residual_class"]) == (T0, True, None)
    assert read["total_spend"] == read["stored_spend_campaign"] == Decimal("12.34")
    assert days[date(2026, 3, 8)]["adds_up"] is None


def test_a_day_is_as_settled_as_its_least_settled_level(
    stocked: AccountSession, account: Account
) -> None:
    """Two sealed levels make no sealed day, and a level without a read no read."""
    connection = stocked.connection
    accounts.set_history_start(connection, account, DAY)
    account_days.record_read(connection, account, Level.AD, [DAY], T0)
    assert completeness(connection, account)[DAY]["last_read_at"] is None
    read_day(stocked, account, DAY)
    account_days.seal(connection, account, {Level.AD: [DAY], Level.ADSET: [DAY]}, T0)

    row = completeness(connection, account)[DAY]
    assert (row["state"], row["state_ad"], row["sealed_at"]) == ("reconciled", "sealed", None)

    account_days.seal(connection, account, {Level.CAMPAIGN: [DAY]}, T0 + timedelta(hours=1))
    row = completeness(connection, account)[DAY]
    assert (row["state"], row["sealed_at"]) == ("sealed", T0 + timedelta(hours=1))


def test_a_residual_shows_with_its_most_worrying_class(
    stocked: AccountSession, account: Account
) -> None:
    """A difference is not classified until somebody looked, then carries the worst level's word."""
    connection = stocked.connection
    accounts.set_history_start(connection, account, DAY)
    read_day(stocked, account, DAY, spend="15.00")

    row = completeness(connection, account)[DAY]
    assert (row["adds_up"], row["residual_class"]) == (False, "not_classified")
    assert row["residual_spend_ad"] == row["residual_spend_campaign"] == Decimal("2.66")

    for level, word in zip(Level, ("no_ad_rows", "moving", "no_ad_rows"), strict=True):
        account_days.classify(connection, account, level, [DAY], ResidualClass(word))
    assert completeness(connection, account)[DAY]["residual_class"] == "moving"
    account_days.classify(connection, account, Level.AD, [DAY], ResidualClass.UNEXPLAINED)
    assert completeness(connection, account)[DAY]["residual_class"] == "unexplained"


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Auckland", "UTC", "Etc/GMT+8"])
@pytest.mark.parametrize("session_zone", ["UTC", "Europe/Berlin"])
def test_a_day_may_be_sealed_when_the_program_says(
    connection: Connection, account: Account, zone: str, session_zone: str
) -> None:
    """SQL and Python agree to the second, across summer time, whatever the session's zone."""
    rules = SettlementRules(window_days=28, margin_days=2, retention_days=400)
    connection.execute(
        "UPDATE ad_accounts SET timezone = %s, history_start = '2025-10-01' WHERE id = %s",
        (zone, account.id),
    )
    settles = rules.settles_after_days
    accounts.set_settling(connection, account, settles, settles)
    connection.execute(f"SET timezone = '{session_zone}'")

    days = completeness(connection, account)

    assert len(days) > 150
    for day, row in days.items():
        assert row["sealable_from"] == sealable_from(day, zone, rules)


def test_a_day_is_overdue_two_days_after_it_could_be_sealed(
    session: AccountSession, account: Account, clock: VirtualClock, database: Database
) -> None:
    """Overdue begins with the grace the daily job has, and ends with the seal."""
    rules = SettlementRules(window_days=3, margin_days=1, retention_days=400)
    accounts.set_history_start(session.connection, account, DAY)
    accounts.set_settling(session.connection, account, 4, 4)
    due = sealable_from(DAY, account.timezone, rules) + timedelta(days=2)
    for moment, overdue in ((due, False), (due + timedelta(seconds=1), True)):
        clock.instant = moment
        with database.connection() as later:
            assert completeness(later, account)[DAY]["overdue"] is overdue


# Changes


def test_what_a_pending_change_waits_for(
    stocked: AccountSession, account: Account, clock: VirtualClock, database: Database
) -> None:
    """Due, running, to be retried, blocked, removed: each in a word."""
    connection = stocked.connection
    merge(stocked, account, [paused(AD)], T0)

    def waits(at: Connection = connection) -> str:
        (row,) = rows(at, "SELECT * FROM v_pending_final_syncs")
        assert (row["entity_name"], row["platform_entity_id"]) == ("Ad", "a1")
        return str(row["waits_for"])

    assert waits() == "due"
    token = uuid4()
    (claimed,) = changes.claim_pending(connection, account, token)
    assert waits() == "running"
    changes.record_failure(connection, [claimed.log_id], token, "the answer was cut")
    assert waits() == "retry"
    (failed,) = rows(connection, "SELECT * FROM v_pending_final_syncs")
    assert (failed["attempts"], failed["last_error"]) == (1, "the answer was cut")
    clock.instant += timedelta(hours=7)
    with database.connection() as later:
        assert waits(later) == "due"
        (aged,) = rows(later, "SELECT pending_seconds FROM v_pending_final_syncs")
        assert aged["pending_seconds"] == 7 * 3600
    accounts.set_blocked(connection, account, "credential", "the token expired")
    assert waits() == "person"
    accounts.deactivate(connection, account)
    assert waits() == "account removed"


def test_a_change_shows_how_long_its_final_sync_took(
    stocked: AccountSession, account: Account, clock: VirtualClock, database: Database
) -> None:
    """Owed without a time, done with it, and not needed when nothing is owed."""
    merge(stocked, account, [paused(AD)], T0)
    (row,) = rows(stocked.connection, "SELECT * FROM v_status_changes")
    assert (row["final_sync"], row["seconds_to_final_sync"]) == ("owed", None)
    assert (row["kind"], row["source"], row["entity_name"]) == ("own", "trigger", "Ad")

    clock.instant += timedelta(minutes=5)
    with database.connection() as later:
        later.execute("SELECT mark_final_sync_completed(id) FROM ad_status_change_log")
        later.execute("UPDATE ads SET status = 'ACTIVE', effective_status = 'ACTIVE'")
        done, back = rows(later, "SELECT * FROM v_status_changes ORDER BY change_seq")

    assert (done["final_sync"], done["seconds_to_final_sync"]) == ("done", Decimal(300))
    assert (back["final_sync"], back["seconds_to_final_sync"]) == ("not_needed", None)


def test_a_blocked_account_is_one_row_with_all_that_waits(
    stocked: AccountSession, account: Account
) -> None:
    """Account and waiting final syncs are told once: why, how many, who must act, what then."""
    connection = stocked.connection
    merge(stocked, account, [paused(AD)], T0)
    accounts.set_blocked(connection, account, "credential", "the token expired")

    (row,) = rows(connection, "SELECT * FROM v_blocked")

    assert (row["account"], row["what"], row["reason"]) == (
        "facebook:act_501",
        "account",
        "credential",
    )
    assert (row["final_syncs_waiting"], row["detail"]) == (1, "the token expired")
    assert row["who_must_act"].startswith("whoever owns the platform login")
    assert "adsync accounts add" in row["what_then"]


def test_changes_can_be_blocked_while_their_account_is_not(
    stocked: AccountSession, account: Account
) -> None:
    """Final syncs that a person must help with are one row per account and reason."""
    connection = stocked.connection
    merge(stocked, account, [paused(AD)], T0)
    merge(stocked, account, [paused(AD_SET)], T0)
    token = uuid4()
    claimed = changes.claim_pending(connection, account, token)
    changes.record_failure(
        connection,
        [change.log_id for change in claimed],
        token,
        "no right to read it",
        blocked_reason="permission",
    )

    (row,) = rows(connection, "SELECT * FROM v_blocked")

    assert (row["what"], row["reason"], row["final_syncs_waiting"]) == (
        "final syncs",
        "permission",
        2,
    )
    accounts.deactivate(connection, account)
    assert rows(connection, "SELECT * FROM v_blocked") == []


# Types, rights, plans


def test_every_view_runs_with_the_rights_of_whoever_asks(connection: Connection) -> None:
    """No view opens a table to somebody who may not read it."""
    found = connection.execute(
        "SELECT relname, reloptions FROM pg_class WHERE relkind = 'v'"
        " AND relnamespace = 'public'::regnamespace"
    ).fetchall()
    assert dict(found) == {view: ["security_invoker=true"] for view in VIEWS}


def test_no_type_surprises(connection: Connection) -> None:
    """Days are dates, instants carry their zone, amounts are exact, nothing is an interval."""
    found = connection.execute(
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name = ANY (%s)",
        (list(VIEWS),),
    ).fetchall()
    assert {kind for _, _, kind in found} == {
        "text",
        "date",
        "timestamp with time zone",
        "numeric",
        "bigint",
        "integer",
        "boolean",
        "uuid",
    }
    types = {(view, column): kind for view, column, kind in found}
    for view in (*LEVEL_VIEWS, "v_metrics_daily"):
        assert types[view, "date"] == "date"
        assert types[view, "spend"] == types[view, "roas"] == "numeric"
    precise = connection.execute(
        "SELECT DISTINCT format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 'v_metrics_daily'::regclass AND attname LIKE ANY (%s)",
        (["spend", "conver%"],),
    ).fetchall()
    assert precise == [("numeric(18,6)",)]


def test_the_views_work_on_a_database_of_before(empty_url: str) -> None:
    """On adopted tables, and without any account, every view answers."""
    from test_adoption import SEED_TABLES  # noqa: PLC0415 - the same tables, once

    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute(SEED_TABLES)
    migrate(empty_url)
    with psycopg.connect(empty_url, autocommit=True) as connection:
        for view in VIEWS:
            connection.execute(f"SELECT * FROM {view}")
        stored = one(connection, "SELECT count(*) FROM ad_metrics")
        assert stored > 0
        assert one(connection, "SELECT count(*) FROM v_metrics_daily") == stored
        assert one(connection, "SELECT count(*) FROM v_account_completeness WHERE state = 'open'")


@pytest.fixture
def large(connection: Connection, account: Account, new_account: Account) -> Connection:
    """Half a year of numbers of two accounts, and a long log of finished changes."""
    connection.execute("SELECT ensure_metric_partitions('2025-10-01', '2026-03-31')")
    connection.execute(
        "INSERT INTO ads (ad_account_id, platform, platform_ad_id, name, status)"
        " SELECT a, 'facebook', 'x' || n, 'Ad ' || n, 'ACTIVE'"
        " FROM unnest(%s::uuid[]) a, generate_series(1, 100) n",
        ([account.id, new_account.id],),
    )
    connection.execute(
        "INSERT INTO ad_metrics (date, entity_type, entity_id, ad_account_id, platform, spend)"
        " SELECT date '2025-10-01' + n, 'ad', id, ad_account_id, 'facebook', 1"
        " FROM ads, generate_series(0, 160) n"
    )
    connection.execute(
        "INSERT INTO ad_status_change_log (entity_type, entity_id, platform_entity_id,"
        " ad_account_id, platform, old_status, new_status, final_sync_completed,"
        " final_sync_completed_at, created_at)"
        " SELECT 'ad', gen_random_uuid(), 'x' || n, %s, 'facebook', 'ACTIVE', 'PAUSED', n > 20,"
        "  CASE WHEN n > 20 THEN now() END, %s::timestamptz - n * interval '10 minutes'"
        " FROM generate_series(1, 50000) n",
        (account.id, T0),
    )
    # Autovacuum does this soon after the rows arrive.
    connection.execute("SELECT brin_summarize_new_values('ad_status_change_log_created_idx')")
    connection.execute("ANALYZE")
    return connection


def plan(connection: Connection, query: str, *values: object) -> list[dict[str, Any]]:
    """All nodes of an executed plan, the top one first."""
    (found,) = connection.execute(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}", values or None
    ).fetchone() or ("[]",)
    top = (found if isinstance(found, list) else json.loads(found))[0]["Plan"]

    def walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield node
        for child in node.get("Plans", []):
            yield from walk(child)

    return list(walk(top))


def relations(nodes: list[dict[str, Any]]) -> set[str]:
    return {node["Relation Name"] for node in nodes if "Relation Name" in node}


def pages(nodes: list[dict[str, Any]]) -> int:
    return int(nodes[0]["Shared Hit Blocks"]) + int(nodes[0]["Shared Read Blocks"])


def test_a_range_of_days_reads_only_its_months(large: Connection) -> None:
    """Partitions outside the asked days are not touched, also through the mixed view."""
    for view in ("v_metrics_daily_ad", "v_metrics_daily"):
        nodes = plan(
            large,
            f"SELECT * FROM {view} WHERE level = 'ad' AND date BETWEEN '2026-01-03' AND"
            " '2026-01-09'",
        )
        metrics = {name for name in relations(nodes) if name.startswith("ad_metrics")}
        assert metrics == {"ad_metrics_2026_01"}


def test_no_name_asked_for_no_table_of_names_read(large: Connection) -> None:
    """Sums over a level join nothing; a level filter leaves the other levels' tables alone."""
    nodes = plan(large, "SELECT date, sum(spend) FROM v_metrics_daily_ad GROUP BY date")
    assert all(name.startswith("ad_metrics") for name in relations(nodes))
    nodes = plan(
        large, "SELECT campaign_name, sum(spend) FROM v_metrics_daily WHERE level = 'campaign'"
        " GROUP BY 1"
    )  # fmt: skip
    assert not relations(nodes) & {"ads", "ad_sets"}


def test_an_accounts_day_goes_through_the_index(large: Connection, account: Account) -> None:
    """One account's day does not read the other accounts' rows."""
    nodes = plan(
        large,
        "SELECT * FROM v_metrics_daily_ad WHERE ad_account_id = %s AND date = '2026-02-02'",
        account.id,
    )
    assert len([node for node in nodes if node.get("Relation Name") == "ad_metrics_2026_02"]) == 1
    assert nodes[0]["Actual Rows"] == 100
    assert pages(nodes) < 800


@pytest.mark.parametrize("view", ["v_pending_final_syncs", "v_blocked", "v_incomplete_final_syncs"])
def test_what_is_owed_never_reads_the_whole_log(large: Connection, view: str) -> None:
    """With 50,000 finished changes the pending ones come from a partial index."""
    nodes = plan(large, f"SELECT * FROM {view}")
    log = [node for node in nodes if node.get("Relation Name") == "ad_status_change_log"]
    assert log
    assert all(node["Node Type"] != "Seq Scan" for node in log)
    assert pages(nodes) < 200


def test_recent_changes_do_not_read_the_whole_log(large: Connection) -> None:
    """A day of changes is found through the index over their time."""
    nodes = plan(
        large, "SELECT * FROM v_status_changes WHERE observed_at >= %s", T0 - timedelta(days=1)
    )
    whole = one(large, "SELECT pg_relation_size('ad_status_change_log') / 8192")
    assert nodes[0]["Actual Rows"] == 144
    log = [node for node in nodes if node.get("Relation Name") == "ad_status_change_log"]
    assert all(node["Node Type"] != "Seq Scan" for node in log)
    assert pages(nodes) < whole / 2


# The monitoring questions


def test_the_monitoring_views_answer_like_the_printed_queries(database_url: str) -> None:
    """Each view has the columns and the rows of the query it comes from."""
    from test_seed_statements import STATEMENTS  # noqa: PLC0415 - word for word, once

    same = {
        "v_incomplete_final_syncs": "verify_completeness",
        "v_status_change_activity": "status_change_activity",
        "v_failed_final_syncs": "failed_final_syncs",
        "v_final_sync_performance": "performance_metrics",
    }
    database = Database(database_url, SystemClock())
    info = AccountInfo(
        platform_account_id="act_1", name="Shop", currency="USD", timezone="UTC", status="1"
    )
    with database.connection() as connection:
        connection.execute("SET timezone = 'UTC'")
        account = accounts.add_account(connection, Platform.FACEBOOK, info)
        accounts.mark_synced(connection, account)
        connection.execute(
            "INSERT INTO ads (ad_account_id, platform, platform_ad_id, status)"
            " SELECT %s, 'facebook', 'x' || n, 'ACTIVE' FROM generate_series(1, 9) n",
            (account.id,),
        )
        connection.execute("UPDATE ads SET status = 'PAUSED'")
        connection.execute(
            "SELECT mark_final_sync_completed(id, platform_entity_id < 'x5', 'no answer')"
            " FROM ad_status_change_log WHERE platform_entity_id <> 'x9'"
        )
        for view, name in same.items():
            mine, theirs = (
                rows(connection, f"SELECT * FROM {view}"),
                rows(connection, STATEMENTS[name]),
            )
            assert mine
            assert sorted(map(str, mine)) == sorted(map(str, theirs)), view
    database.dispose()
