"""Merging metrics: exact numbers, newer reads win, zero needs proof."""

from __future__ import annotations

import threading
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from psycopg.errors import RaiseException
from warehouse_support import AD, merge_numbers, numbers, one

from adsync_dagster.errors import Defect, IncompleteRead, OutdatedRead
from adsync_dagster.records import Account, DateRange, Level
from adsync_dagster.warehouse import account_days, metrics
from adsync_dagster.warehouse.database import AccountSession, Connection, Database
from adsync_dagster.warehouse.entities import MergeCounts
from adsync_dagster.warehouse.staging import MetricsStage

T0 = datetime(2026, 3, 10, tzinfo=UTC)
DAY = date(2026, 3, 9)


def stored(connection: Connection, columns: str) -> Any:
    return connection.execute(f"SELECT {columns} FROM ad_metrics").fetchall()


def test_numbers_are_stored_exactly_as_the_platform_sent_them(
    session: AccountSession, account: Account
) -> None:
    """Decimal text and integers beyond a float's reach arrive digit by digit."""
    row = numbers(
        "120210000000000123",
        impressions="9007199254740993",
        spend="0.1",
        conversions="0.333333",
        conversion_value="123456789012.345678",
        frequency="1.234567",
        link_clicks=None,
        reach=None,
        extra='{"actions": [{"value": "0.1"}]}',
    )
    merge_numbers(session, account, [row], T0)

    assert stored(
        session.connection,
        "impressions, spend, conversions, conversion_value, frequency, link_clicks, reach, extra",
    ) == [
        (
            9007199254740993,
            Decimal("0.1"),
            Decimal("0.333333"),
            Decimal("123456789012.345678"),
            Decimal("1.234567"),
            None,
            None,
            {"actions": [{"value": "0.1"}]},
        )
    ]
    assert one(session.connection, "SELECT platform_ad_id FROM ads") == "120210000000000123"


def test_rates_are_derived_and_never_divide_by_zero(
    session: AccountSession, account: Account
) -> None:
    """cpc, cpm, ctr and roas follow from the numbers; without a divisor they are unknown."""
    none = {"impressions": 0, "clicks": 0, "spend": 0}
    merge_numbers(session, account, [numbers("a1"), numbers("a2", **none)], T0)

    assert stored(session.connection, "cpc, cpm, ctr, roas") == [
        (Decimal("1.234"), Decimal("12.34"), Decimal(1), Decimal("4.051864")),
        (None, None, None, None),
    ]


def test_unchanged_rows_are_not_written(session: AccountSession, account: Account) -> None:
    """A second read with the same numbers leaves the row's version as it was."""
    merge_numbers(session, account, [numbers(extra='{"a": 1}')], T0)
    before = stored(session.connection, "xmin, ctid")

    again = merge_numbers(session, account, [numbers(extra='{"a": 1}')], T0 + timedelta(hours=1))

    assert again == MergeCounts(0, 0, 1)
    assert stored(session.connection, "xmin, ctid") == before


@pytest.mark.parametrize(
    "field",
    [
        "impressions",
        "clicks",
        "link_clicks",
        "spend",
        "reach",
        "frequency",
        "conversions",
        "conversion_value",
    ],
)
def test_every_number_may_change_in_both_directions(
    session: AccountSession, account: Account, field: str
) -> None:
    """A later read raises and lowers any single number: refunds are real."""
    merge_numbers(session, account, [numbers()], T0)
    for turn, value in enumerate(("2000", "1"), start=1):
        later = T0 + timedelta(minutes=turn)
        counts = merge_numbers(session, account, [numbers(**{field: value})], later)
        assert counts == MergeCounts(0, 1, 0)
        assert stored(session.connection, field) == [(Decimal(value),)]
        assert stored(session.connection, "read_started_at") == [(later,)]


def test_the_read_that_started_later_wins(session: AccountSession, account: Account) -> None:
    """Of two reads of one day the one that started later wins, whichever is merged last."""
    merge_numbers(session, account, [numbers(spend="2")], T0 + timedelta(minutes=2))

    with pytest.raises(OutdatedRead, match=r"1 row\(s\)"):
        merge_numbers(session, account, [numbers("a9"), numbers(spend="1")], T0)

    assert stored(session.connection, "spend") == [(Decimal(2),)]
    assert merge_numbers(session, account, [numbers(spend="2")], T0) == MergeCounts(0, 0, 1)


def test_a_day_read_later_keeps_its_unchanged_rows(
    session: AccountSession, account: Account
) -> None:
    """A stale read does not touch a row that a later complete read confirmed without writing it."""
    merge_numbers(session, account, [numbers(spend="2")], T0)
    confirmed = T0 + timedelta(hours=2)
    merge_numbers(session, account, [numbers(spend="2")], confirmed)
    account_days.record_read(session.connection, account, Level.AD, [DAY], confirmed)

    for row in (numbers(spend="1"), numbers("a9")):
        with pytest.raises(OutdatedRead):
            merge_numbers(session, account, [row], T0 + timedelta(hours=1))

    assert stored(session.connection, "spend") == [(Decimal(2),)]
    newer = merge_numbers(session, account, [numbers(spend="3")], T0 + timedelta(hours=3))
    assert newer == MergeCounts(0, 1, 0)


def test_the_same_row_twice_in_one_read(session: AccountSession, account: Account) -> None:
    """Of several rows of one entity and day the last one counts, once."""
    rows = [numbers(spend="1"), numbers(spend="2"), numbers(spend="3")]

    assert merge_numbers(session, account, rows, T0) == MergeCounts(1, 0, 0)
    assert stored(session.connection, "spend") == [(Decimal(3),)]


def test_levels_keep_their_own_numbers(session: AccountSession, account: Account) -> None:
    """Campaign, ad set and ad rows of one day stand side by side, also merged one by one."""
    rows = [
        numbers("c1", level=Level.CAMPAIGN, campaign_id=None, adset_id=None),
        numbers("s1", level=Level.ADSET, adset_id=None),
        numbers("a1"),
    ]
    with MetricsStage(session.connection) as stage:
        stage.add(rows)
        with session.transaction() as connection:
            for level in Level:
                counts = metrics.merge_metrics(connection, account, level, T0)
                assert counts == MergeCounts(1, 0, 0)
    found = session.connection.execute("SELECT entity_type FROM ad_metrics ORDER BY 1").fetchall()
    assert found == [("ad",), ("adset",), ("campaign",)]


def test_months_appear_by_themselves(session: AccountSession, account: Account) -> None:
    """Rows of any month find a partition, also of years back and of a month's last day."""
    days = ["2021-02-28", "2024-02-29", "2026-01-01", "2026-12-31", "2031-07-15"]
    rows = [numbers(day=day) for day in days]

    assert merge_numbers(session, account, rows, T0) == MergeCounts(5, 0, 0)
    assert merge_numbers(session, account, rows, T0) == MergeCounts(0, 0, 5)

    homes = session.connection.execute(
        "SELECT tableoid::regclass::text, date::text FROM ad_metrics ORDER BY date"
    ).fetchall()
    assert homes == [(f"ad_metrics_{day[:7].replace('-', '_')}", day) for day in days]
    key = "SELECT count(*) FROM pg_index WHERE indrelid = 'ad_metrics_2031_07'::regclass"
    assert one(session.connection, key + " AND indisprimary") == 1


def test_the_last_of_many_rows_wins_in_a_stage_that_was_used_before(
    session: AccountSession, account: Account
) -> None:
    """Which row was read last does not depend on where an emptied stage puts it."""
    for turn in range(3):
        with MetricsStage(session.connection) as stage:
            for page in range(4):
                stage.add([numbers(f"a{n}", impressions=f"{turn}{page}") for n in range(150)])
            with session.transaction() as connection:
                metrics.merge_metrics(connection, account, None, T0 + timedelta(hours=turn))
    shown = "SELECT DISTINCT impressions FROM ad_metrics"
    assert session.connection.execute(shown).fetchall() == [(23,)]


def test_a_stage_that_could_not_be_emptied_is_empty_when_it_is_opened(
    session: AccountSession,
) -> None:
    """Rows that a failure left behind are nobody's next read."""
    with pytest.raises(KeyError), session.transaction() as connection:  # noqa: PT012
        with MetricsStage(connection) as stage:
            stage.add([numbers()])
        raise KeyError
    with MetricsStage(session.connection) as stage:
        stage.add([numbers("a1")])
        with session.transaction() as connection, MetricsStage(connection):
            assert one(connection, "SELECT count(*) FROM stage_metrics") == 0
    for _ in range(2):
        with MetricsStage(session.connection):
            assert one(session.connection, "SELECT count(*) FROM stage_metrics") == 0


def test_accounts_that_need_the_same_new_month_at_once_all_get_it(
    database: Database, account: Account, new_account: Account
) -> None:
    """Two first syncs that both find a month missing make it once, and neither fails."""
    errors: list[Exception] = []
    ready = threading.Barrier(2)

    def work(owner: Account) -> None:
        try:
            with database.account_session(owner.id, wait_seconds=0) as session:
                ready.wait()
                for year in range(2010, 2018):
                    rows = [numbers(day=f"{year}-05-05")]
                    assert merge_numbers(session, owner, rows, T0) == MergeCounts(1, 0, 0)
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            errors.append(error)

    workers = [threading.Thread(target=work, args=(owner,)) for owner in (account, new_account)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert errors == []
    with database.connection() as connection:
        assert one(connection, "SELECT count(*) FROM ad_metrics") == 16


def test_an_implausible_range_makes_no_partitions(connection: Connection) -> None:
    """A date that a wrong parse made, such as year 9999, fails instead of making partitions."""
    with pytest.raises(RaiseException, match="not plausible"):
        metrics.ensure_partitions(connection, date(9999, 1, 1), date(9999, 1, 1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"impressions": "many"},
        {"spend": "1,5"},
        {"spend": "NaN"},
        {"conversion_value": "Infinity"},
        {"date": "2026-02-30"},
        {"clicks": "1.5"},
        {"impressions": ""},
        {"spend": None},
        {"extra": "{not json"},
        {"spend": "1" * 30},
        {"platform_id": "a\x00b"},
    ],
    ids=str,
)
def test_a_value_that_is_no_number_makes_the_read_incomplete(
    session: AccountSession, account: Account, wrong: dict[str, Any]
) -> None:
    """A row that cannot be a number, date or JSON refuses the page; nothing of it is stored."""
    with MetricsStage(session.connection) as stage:
        with pytest.raises(IncompleteRead):
            stage.add([numbers("fine"), numbers()._replace(**wrong)])
        assert one(session.connection, "SELECT count(*) FROM stage_metrics") == 0
    assert stored(session.connection, "1") == []


def test_a_stage_of_metrics_takes_nothing_else(session: AccountSession) -> None:
    """A record of another kind is refused."""
    with MetricsStage(session.connection) as stage, pytest.raises(Defect):
        stage.add([AD])


def test_extra_json_with_nul_characters_is_stored(
    session: AccountSession, account: Account
) -> None:
    """Escaped NUL characters inside platform extras go, other escapes stay what they are."""
    rows = [
        numbers("a1", extra='{"name": "a\\u0000b"}'),
        numbers("a2", extra='{"name": "a\\\\u0000b"}'),
        numbers("a3", extra='{"name": "caf\\u00e9"}'),
    ]

    merge_numbers(session, account, rows, T0)

    assert stored(session.connection, "extra->>'name'") == [("ab",), ("a\\u0000b",), ("café",)]


def test_absent_rows_are_stored_numbers_that_the_read_lacks(
    session: AccountSession, account: Account, new_account: Account
) -> None:
    """Only non-zero rows of the asked days, level and account that the stage lacks are absent."""
    zero = {
        "impressions": 0,
        "clicks": 0,
        "link_clicks": 0,
        "spend": 0,
        "reach": 0,
        "conversions": 0,
        "conversion_value": 0,
    }
    merge_numbers(
        session,
        account,
        [
            numbers("kept"),
            numbers("gone"),
            numbers("gone", "2026-03-08"),
            numbers("gone", "2026-03-01"),
            numbers("zero", **zero),
            numbers("late", **{**zero, "conversions": "1"}),
            numbers("s1", level=Level.ADSET),
        ],
        T0,
    )
    merge_numbers(session, new_account, [numbers("stranger")], T0)
    days = DateRange(since=date(2026, 3, 8), until=DAY)

    with MetricsStage(session.connection) as stage:
        stage.add([numbers("kept")])
        found = metrics.absent_rows(session.connection, account, Level.AD, days)

    assert found == [("gone", date(2026, 3, 8)), ("gone", DAY), ("late", DAY)]


def test_zeroing_keeps_what_was_unknown_and_what_is_newer(
    session: AccountSession, account: Account
) -> None:
    """Proven zeros overwrite numbers, leave unknown ones unknown, and spare newer rows."""
    merge_numbers(session, account, [numbers("a1", link_clicks=None, extra='{"a": 1}')], T0)
    merge_numbers(session, account, [numbers("a2")], T0 + timedelta(hours=2))
    rows = [("a1", DAY), ("a2", DAY), ("nobody", DAY)]

    zeroed = metrics.zero_rows(session.connection, account, Level.AD, rows, T0 + timedelta(hours=1))

    assert zeroed == 1
    assert stored(
        session.connection, "impressions, spend, conversions, link_clicks, reach, extra"
    ) == [
        (1000, Decimal("12.34"), Decimal(2), 8, 900, None),
        (0, 0, 0, None, 0, None),
    ]


def test_the_seeds_upsert_works_on_partitions(session: AccountSession, account: Account) -> None:
    """ON CONFLICT (entity_type, entity_id, date) finds the key of the partitioned table."""
    merge_numbers(session, account, [numbers()], T0)

    session.connection.execute(
        "INSERT INTO ad_metrics (entity_type, entity_id, date, ad_account_id, platform, spend)"
        " SELECT entity_type, entity_id, date, ad_account_id, platform, 7 FROM ad_metrics"
        " ON CONFLICT (entity_type, entity_id, date) DO UPDATE SET spend = excluded.spend"
    )

    assert stored(session.connection, "spend") == [(Decimal(7),)]


def test_an_empty_read_merges_nothing(session: AccountSession, account: Account) -> None:
    """A complete read without rows is fine and changes nothing."""
    assert merge_numbers(session, account, [], T0) == MergeCounts(0, 0, 0)


def test_fifty_thousand_rows_merge_in_seconds(session: AccountSession, account: Account) -> None:
    """Staging and merging a large first sync stays far from quadratic."""
    rows = [
        numbers(f"a{ad:04}", date(2026, 3, 1) + timedelta(days=day))
        for day in range(25)
        for ad in range(2000)
    ]
    started = time.perf_counter()
    assert merge_numbers(session, account, rows, T0) == MergeCounts(50_000, 0, 0)
    assert merge_numbers(session, account, rows, T0) == MergeCounts(0, 0, 50_000)
    assert time.perf_counter() - started < 30
