"""Google Ads reports: exact numbers, absent ones refused, pieces, totals and what lacks ads."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest
from google_ads_driving import ACCOUNT, ADAPTER, STARTED, Chunk, days, drive, metrics_row
from hypothesis import given
from hypothesis import strategies as st

from adsync_dagster.errors import AccountBlocked, IncompleteRead, TooMuchData
from adsync_dagster.platforms.google_ads_metrics import double, micros
from adsync_dagster.records import LEVELS, DailyMetrics, DayAmounts, DayTotals, Level

MONTH = days("2026-11-01", "2026-11-04")


def reported(row: dict[str, Any]) -> DailyMetrics:
    """The one record that a report of this row makes."""
    done = drive(ADAPTER.report(ACCOUNT, Level.AD, MONTH, STARTED), [[Chunk([row])]])
    assert done.error is None, done.error
    (record,) = done.records
    assert isinstance(record, DailyMetrics)
    return record


@pytest.mark.parametrize("level", LEVELS)
def test_reports_ask_for_days_of_everything(level: Level) -> None:
    """By day, both ends included, without a filter on any status."""
    done = drive(ADAPTER.report(ACCOUNT, level, MONTH, STARTED), [[Chunk()]])
    (query,) = done.queries
    assert "segments.date BETWEEN '2026-11-01' AND '2026-11-04'" in query
    assert "status" not in query
    assert query.startswith("SELECT segments.date, customer.id, campaign.id")


def test_a_row_is_read_exactly() -> None:
    """Micros become major units, fractional conversions stay what they are."""
    record = reported(metrics_row())
    assert (record.platform_id, record.campaign_id, record.adset_id) == ("200~301", "100", "200")
    assert (record.impressions, record.clicks, record.spend) == ("10423", "215", "87.400001")
    assert (record.conversions, record.conversion_value) == ("2.333333", "120.500000")
    assert (record.link_clicks, record.reach, record.frequency) == (None, None, None)
    assert orjson.loads(record.extra or "") == {"interactions": "215", "all_conversions": 3.0}


@given(st.integers(min_value=-(10**17), max_value=10**17))
def test_micros_lose_nothing(amount: int) -> None:
    """Text to text, whatever the amount."""
    assert Decimal(micros(str(amount), "costMicros")) * 1_000_000 == amount


@given(st.integers(min_value=-(10**12), max_value=10**12))
def test_doubles_keep_six_decimals(millionths: int) -> None:
    """What Google counts in millionths comes through its doubles unharmed."""
    value = orjson.loads(orjson.dumps(millionths / 1_000_000))
    assert Decimal(double(value, "conversions")) * 1_000_000 == millionths


def test_the_noise_of_sums_is_rounded_away() -> None:
    """0.1 + 0.2 is 0.3."""
    assert double(0.1 + 0.2, "conversions") == "0.300000"
    assert double(7.0, "conversions") == double(7, "conversions") == "7"


@pytest.mark.parametrize(
    "wrong",
    [
        {"impressions": 10423},
        {"impressions": "-1"},
        {"clicks": "1.5"},
        {"costMicros": "87.4"},
        {"costMicros": 87400001},
        {"costMicros": "9" * 19},
        {"conversions": "2.3"},
        {"conversions": True},
        {"conversions": None},
        {"conversionsValue": 1e30},
    ],
)
def test_a_number_that_is_none_fails_the_read(wrong: dict[str, Any]) -> None:
    """int64 is text and double a number; anything else is not this API's answer."""
    done = drive(
        ADAPTER.report(ACCOUNT, Level.AD, MONTH, STARTED), [[Chunk([metrics_row(**wrong)])]] * 3
    )
    assert isinstance(done.error, IncompleteRead)


@pytest.mark.parametrize(
    "name", ["impressions", "clicks", "costMicros", "conversions", "conversionsValue"]
)
def test_an_absent_number_is_not_zero(name: str) -> None:
    """Selected numbers are always returned: one that is missing was not read."""
    row = metrics_row()
    del row["metrics"][name]
    done = drive(ADAPTER.report(ACCOUNT, Level.AD, MONTH, STARTED), [[Chunk([row])]] * 3)
    assert isinstance(done.error, IncompleteRead)
    assert name in str(done.error)


def test_rows_of_other_days_and_accounts_are_refused() -> None:
    """A mixed-up answer is not stored under the wrong day or account."""
    other = metrics_row()
    other["customer"]["id"] = "999"
    for row in (metrics_row("2026-10-31"), other):
        done = drive(ADAPTER.report(ACCOUNT, Level.AD, MONTH, STARTED), [[Chunk([row])]] * 3)
        assert isinstance(done.error, IncompleteRead)


def test_what_is_too_much_comes_in_halves() -> None:
    """A refused or ever-breaking range is asked for in two, down to single days."""
    row = metrics_row("2026-11-03")
    done = drive(
        ADAPTER.report(ACCOUNT, Level.AD, MONTH, STARTED),
        [
            TooMuchData("too large"),
            [Chunk()],
            *([IncompleteRead("broke off")] * 3),
            [Chunk([row])],
            [Chunk()],
        ],
    )
    assert done.error is None
    asked = [query.partition("BETWEEN ")[2][:28] for query in done.queries]
    assert asked[0] == "'2026-11-01' AND '2026-11-04"
    assert asked[1] == "'2026-11-01' AND '2026-11-02"
    assert asked[2:5] == ["'2026-11-03' AND '2026-11-04"] * 3
    assert asked[5:] == ["'2026-11-03' AND '2026-11-03", "'2026-11-04' AND '2026-11-04"]
    day = days("2026-11-01", "2026-11-01")
    done = drive(ADAPTER.report(ACCOUNT, Level.AD, day, STARTED), [TooMuchData("too large")])
    assert isinstance(done.error, TooMuchData)


def test_what_was_too_much_once_is_not_asked_for_again() -> None:
    """A refused month is cut, and so is every later one: no second refusal is paid for."""
    two_months = days("2026-09-01", "2026-10-31")
    done = drive(
        ADAPTER.report(ACCOUNT, Level.AD, two_months, STARTED),
        [TooMuchData("too large"), *([[Chunk()]] * 4)],
    )
    assert done.error is None
    asked = [query.partition("BETWEEN ")[2][:28] for query in done.queries]
    assert asked[0] == "'2026-09-01' AND '2026-10-01"
    assert asked[1:] == [
        "'2026-09-01' AND '2026-09-16",
        "'2026-09-17' AND '2026-10-01",
        "'2026-10-02' AND '2026-10-17",
        "'2026-10-18' AND '2026-10-31",
    ]


def test_long_ranges_are_asked_for_in_pieces() -> None:
    """A year is twelve questions, each of a month at most."""
    year = days("2025-11-01", "2026-10-31")
    done = drive(ADAPTER.report(ACCOUNT, Level.CAMPAIGN, year, STARTED), [[Chunk()]] * 12)
    assert done.error is None


def test_reads_by_id_tell_no_numbers_from_unknown() -> None:
    """An ad without rows was looked up; one that Google does not know is named as missing."""
    keys = Chunk([metrics_row(number=1), metrics_row(number=2)])
    stranger = metrics_row(number=3)
    done = drive(
        ADAPTER.report_entities(
            ACCOUNT, Level.AD, ["200~301", "200~302", "200~309"], MONTH, STARTED
        ),
        [[keys], [Chunk([metrics_row(number=1), stranger])]],
    )
    assert done.error is None
    assert [record.platform_id for record in done.records] == ["200~301"]  # type: ignore[union-attr]
    assert done.verdict is not None
    assert done.verdict.missing_ids == {"200~309"}


def totals_row(day: str, cost: str, campaign: str = "100") -> dict[str, Any]:
    return {
        "customer": {"id": ACCOUNT},
        "campaign": {"id": campaign},
        "segments": {"date": day},
        "metrics": {
            "impressions": "10",
            "clicks": "1",
            "costMicros": cost,
            "conversions": 0.5,
            "conversionsValue": 0.0,
        },
    }


def test_totals_say_what_only_campaigns_show() -> None:
    """Performance Max has no ad rows: its share of each day comes beside the total.

    A row of it that a stream repeats counts once.
    """
    one, other = totals_row("2026-11-01", "1000000"), totals_row("2026-11-01", "500000", "101")
    pmax = Chunk([one, one, other])
    whole = Chunk([totals_row("2026-11-01", "9000000"), totals_row("2026-11-02", "1")])
    done = drive(ADAPTER.report_totals(ACCOUNT, MONTH, STARTED), [[pmax], [whole]])
    assert "PERFORMANCE_MAX" in done.queries[0]
    first, second = done.records
    assert isinstance(first, DayTotals)
    assert isinstance(second, DayTotals)
    assert first.spend == 9
    assert first.campaigns_only == DayAmounts(20, 2, Decimal("1.5"), Decimal(1), Decimal(0))
    assert (second.spend, second.campaigns_only) == (Decimal("0.000001"), None)


def test_a_managers_numbers_block() -> None:
    """Google has no metrics of manager accounts; a person has to name the leaves."""
    blocked = AccountBlocked("manager")
    assert drive(ADAPTER.report_totals(ACCOUNT, MONTH, STARTED), [blocked]).error is blocked
