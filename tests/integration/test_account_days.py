"""Account days: open until they add up, sealed only when every level was read and adds up."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from warehouse_support import merge_numbers, numbers, one

from adsync_dagster.records import Account, DailyMetrics, DateRange, DayTotals, Level
from adsync_dagster.settlement import DayState
from adsync_dagster.warehouse import account_days
from adsync_dagster.warehouse.account_days import ResidualClass
from adsync_dagster.warehouse.database import AccountSession

T0 = datetime(2026, 3, 10, tzinfo=UTC)
DAY = date(2026, 3, 9)
BEFORE = date(2026, 3, 8)


def totals(day: date = DAY, spend: str = "12.34", impressions: int = 1000) -> DayTotals:
    return DayTotals(
        date=day,
        impressions=impressions,
        clicks=10,
        spend=Decimal(spend),
        conversions=Decimal(2),
        conversion_value=Decimal(50),
    )


def all_levels() -> list[DailyMetrics]:
    return [
        numbers("a1"),
        numbers("s1", level=Level.ADSET, adset_id=None),
        numbers("c1", level=Level.CAMPAIGN, campaign_id=None, adset_id=None),
    ]


def read(session: AccountSession, account: Account, started: datetime = T0) -> None:
    for level in Level:
        account_days.record_read(session.connection, account, level, [DAY], started)


def states(session: AccountSession) -> set[str]:
    rows = session.connection.execute("SELECT state FROM ad_account_days").fetchall()
    return {state for (state,) in rows}


def test_a_day_is_known_only_when_every_level_was_read(
    session: AccountSession, account: Account
) -> None:
    """While a level was never read the day has no read; then its oldest level's read counts."""
    connection = session.connection
    account_days.record_read(connection, account, Level.AD, [DAY], T0)
    account_days.record_read(connection, account, Level.ADSET, [DAY], T0 + timedelta(hours=1))
    assert account_days.day_states(connection, account, DAY) == {DAY: DayState(None, sealed=False)}

    account_days.record_read(connection, account, Level.CAMPAIGN, [DAY], T0 + timedelta(hours=2))

    assert account_days.day_states(connection, account, DAY) == {DAY: DayState(T0, sealed=False)}
    assert account_days.day_states(connection, account, DAY + timedelta(days=1)) == {}


def test_an_older_read_never_hides_a_newer_one(session: AccountSession, account: Account) -> None:
    """Recording a read that started earlier leaves the later one's start."""
    read(session, account, T0 + timedelta(hours=1))
    read(session, account, T0)

    found = account_days.day_states(session.connection, account, DAY)
    assert found[DAY].read_started_at == T0 + timedelta(hours=1)


def test_a_day_without_totals_stays_open(session: AccountSession, account: Account) -> None:
    """Rows alone do not reconcile a day: without the platform's total nothing is known."""
    merge_numbers(session, account, all_levels(), T0)
    read(session, account)

    assert account_days.reconcile(session.connection, account, Level.AD, [DAY]) == []
    assert states(session) == {"open"}


def test_totals_without_a_read_stay_open(session: AccountSession, account: Account) -> None:
    """Totals that happen to add up do not reconcile a day that no complete read covered."""
    merge_numbers(session, account, all_levels(), T0)
    account_days.record_totals(session.connection, account, [totals()], [DAY])

    for level in Level:
        assert account_days.reconcile(session.connection, account, level, [DAY]) == []
    assert states(session) == {"open"}
    sealed = account_days.seal(session.connection, account, {level: [DAY] for level in Level}, T0)
    assert sealed == 0


def test_a_residual_is_the_total_minus_the_rows(session: AccountSession, account: Account) -> None:
    """What rows lack, and what they have too much, shows per day with its sign."""
    merge_numbers(session, account, all_levels(), T0)
    read(session, account)
    account_days.record_totals(session.connection, account, [totals(spend="20")], [DAY])

    (residual,) = account_days.reconcile(session.connection, account, Level.AD, [DAY])

    assert (residual.spend, residual.impressions) == (Decimal("7.66"), 0)
    account_days.record_totals(session.connection, account, [totals(impressions=1)], [DAY])
    (residual,) = account_days.reconcile(session.connection, account, Level.AD, [DAY])
    assert (residual.spend, residual.impressions) == (0, -999)


def of_three(session: AccountSession, account: Account, conversions: str, value: str) -> None:
    """Three ads with the same numbers each, and no residual but that of conversions and value."""
    each = {"impressions": "300", "clicks": "3", "spend": "4"}
    rows = [
        numbers(name, conversions=conversions, conversion_value=value, **each)
        for name in ("a1", "a2", "a3")
    ]
    merge_numbers(session, account, rows, T0)
    account_days.record_read(session.connection, account, Level.AD, [DAY], T0)


def total_of_three(conversions: str, value: str) -> DayTotals:
    return DayTotals(
        date=DAY,
        impressions=900,
        clicks=9,
        spend=Decimal(12),
        conversions=Decimal(conversions),
        conversion_value=Decimal(value),
    )


def test_thirds_that_were_rounded_one_by_one_add_up(
    session: AccountSession, account: Account
) -> None:
    """Three times 2/3 are stored as 2.000001, and are the 2 of the total all the same."""
    of_three(session, account, "0.666667", "66.666667")
    total = total_of_three("2", "200")
    account_days.record_totals(session.connection, account, [total], [DAY])

    assert account_days.reconcile(session.connection, account, Level.AD, [DAY]) == []
    (day,) = [
        one
        for one in account_days.account_days(session.connection, account, DAY, DAY)
        if one.level is Level.AD
    ]
    assert (day.state, day.residual_conversions, day.residual_conversion_value) == (
        "reconciled",
        0,
        0,
    )


def test_what_rounding_does_not_explain_is_a_residual(
    session: AccountSession, account: Account
) -> None:
    """Four millionths of three rounded rows are, and so is the smallest part of unrounded ones."""
    of_three(session, account, "0.666667", "66.67")
    total = total_of_three("2.000005", "200.010001")
    account_days.record_totals(session.connection, account, [total], [DAY])

    (residual,) = account_days.reconcile(session.connection, account, Level.AD, [DAY])

    assert residual.conversions == Decimal("0.000004")
    assert residual.conversion_value == Decimal("0.000001")


def test_a_tenth_of_a_cent_is_a_residual(session: AccountSession, account: Account) -> None:
    """Comparison is exact: ten times 0.1 is 1, and 0.000001 more is not."""
    rows = [
        numbers(f"a{n}", impressions=0, clicks=0, spend="0.1", conversions=0, conversion_value=0)
        for n in range(10)
    ]
    merge_numbers(session, account, rows, T0)
    read(session, account)
    zero = Decimal(0)

    def residuals(spend: str) -> int:
        day = DayTotals(
            date=DAY,
            impressions=0,
            clicks=0,
            spend=Decimal(spend),
            conversions=zero,
            conversion_value=zero,
        )
        account_days.record_totals(session.connection, account, [day], [DAY])
        return len(account_days.reconcile(session.connection, account, Level.AD, [DAY]))

    assert residuals("1") == 0
    assert residuals("1.000001") == 1


def test_a_day_the_totals_leave_out_is_a_zero_day(
    session: AccountSession, account: Account
) -> None:
    """A day without a total had no activity: rows on it are too much, none is right."""
    merge_numbers(session, account, all_levels(), T0)
    days = DateRange(since=BEFORE, until=DAY)
    for level in Level:
        account_days.record_read(session.connection, account, level, days, T0)
    account_days.record_totals(session.connection, account, [], days)

    residuals = account_days.reconcile(session.connection, account, Level.AD, days)

    assert [(r.date, r.spend) for r in residuals] == [(DAY, Decimal("-12.34"))]


def test_an_explanation_holds_only_for_what_it_explained(
    session: AccountSession, account: Account
) -> None:
    """A residual keeps its class while totals and rows stay, and loses it when either changes."""
    connection = session.connection
    merge_numbers(session, account, all_levels(), T0)
    read(session, account)

    def residual_class(spend: str) -> ResidualClass | None:
        account_days.record_totals(connection, account, [totals(spend=spend)], [DAY])
        return account_days.reconcile(connection, account, Level.AD, [DAY])[0].residual_class

    assert residual_class("20") is None
    account_days.classify(connection, account, Level.AD, [DAY], "never_seen_entity")
    assert residual_class("20") == ResidualClass.NEVER_SEEN_ENTITY
    assert residual_class("21") is None
    account_days.classify(connection, account, Level.AD, [DAY], "never_seen_entity")
    merge_numbers(session, account, [numbers("a2", spend="1")], T0)
    assert residual_class("22") is None


@pytest.mark.parametrize(("spend", "left"), [("5", ResidualClass.NEVER_SEEN_ENTITY), ("9", None)])
def test_a_stranger_that_is_seen_at_last_leaves_the_rest_of_a_final_day_explained(
    session: AccountSession, account: Account, spend: str, left: ResidualClass | None
) -> None:
    """Less is missing then, for the same reason; more than was missing is nobody's reason."""
    connection = session.connection
    merge_numbers(session, account, all_levels(), T0)
    read(session, account)
    account_days.record_totals(connection, account, [totals(spend="20")], [DAY])
    account_days.reconcile(connection, account, Level.AD, [DAY])
    account_days.classify(connection, account, Level.AD, [DAY], "never_seen_entity")
    assert account_days.seal(connection, account, {Level.AD: [DAY]}, T0) == 1

    nothing = {"impressions": 0, "clicks": 0, "conversions": Decimal(0)}
    seen = numbers("a2", spend=spend)._replace(**nothing, conversion_value=Decimal(0))
    merge_numbers(session, account, [seen], T0)
    [rest] = account_days.reconcile(connection, account, Level.AD, [DAY])
    assert rest.residual_class == left


def test_moving_and_unexplained_days_stay_open(session: AccountSession, account: Account) -> None:
    """Only a lasting reason reconciles a day; moving and unexplained keep it open."""
    connection = session.connection
    merge_numbers(session, account, all_levels(), T0)
    read(session, account)
    account_days.record_totals(connection, account, [totals(spend="20")], [DAY])
    for level in Level:
        account_days.reconcile(connection, account, level, [DAY])

    for name, state in (
        ("moving", "open"),
        ("unexplained", "open"),
        ("deleted_hidden", "open"),
        ("never_seen_entity", "reconciled"),
    ):
        for level in Level:
            account_days.classify(connection, account, level, [DAY], name)
        assert states(session) == {state}, name


def test_reading_again_opens_a_day_until_it_adds_up_again(
    session: AccountSession, account: Account
) -> None:
    """A reconciled day that is read again is open until its rows are added up anew."""
    connection = session.connection
    merge_numbers(session, account, all_levels(), T0)
    read(session, account)
    account_days.record_totals(connection, account, [totals()], [DAY])
    for level in Level:
        account_days.reconcile(connection, account, level, [DAY])
    assert states(session) == {"reconciled"}

    read(session, account, T0 + timedelta(hours=1))
    assert states(session) == {"open"}


def test_a_sealed_day_stays_sealed(session: AccountSession, account: Account) -> None:
    """Reading, reconciling or classifying a sealed day does not open it, and shows residuals."""
    connection = session.connection
    merge_numbers(session, account, all_levels(), T0)
    read(session, account)
    account_days.record_totals(connection, account, [totals()], [DAY])
    for level in Level:
        account_days.reconcile(connection, account, level, [DAY])
    every_level = {level: [DAY] for level in Level}
    assert account_days.seal(connection, account, every_level, T0) == 3
    assert account_days.seal(connection, account, every_level, T0) == 0

    read(session, account, T0 + timedelta(days=1))
    account_days.record_totals(connection, account, [totals(spend="99")], [DAY])
    assert len(account_days.reconcile(connection, account, Level.AD, [DAY])) == 1
    account_days.classify(connection, account, Level.AD, [DAY], "unexplained")

    assert states(session) == {"sealed"}
    assert account_days.day_states(connection, account, DAY)[DAY].sealed
    shown = account_days.account_days(connection, account, DAY, DAY)
    assert [(day.level, day.residual_class) for day in shown if day.residual_spend] != []
    assert one(connection, "SELECT count(*) FROM ad_account_days WHERE sealed_at = %s", T0) == 3
