"""When a day is sealed and what is read next: the rules, to the instant."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adsync_dagster.calendar import account_day, end_of_day
from adsync_dagster.records import DateRange
from adsync_dagster.settlement import (
    DayState,
    SettlementRules,
    first_open_day,
    history_start,
    may_seal,
    plan,
    sealable_from,
    settled_within,
)

META = SettlementRules(window_days=28, margin_days=2, retention_days=1123)
SHORT = SettlementRules(
    window_days=3, margin_days=1, retention_days=60, recent_days=2, history_days=30
)
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
TODAY = NOW.date()
ZONES = ["UTC", "America/New_York", "Etc/GMT+8", "Pacific/Kiritimati", "Australia/Lord_Howe"]
SECOND = timedelta(seconds=1)


def days_of(ranges: list[DateRange]) -> list[date]:
    """The single days of a plan."""
    return [r.since + timedelta(days=offset) for r in ranges for offset in range(r.days)]


def ago(days: int) -> date:
    """The day so many days before today."""
    return TODAY - timedelta(days=days)


class TestSealing:
    """A day is sealed by a read that *started* after its end, the window and the margin."""

    def test_the_boundary_is_exact(self) -> None:
        """One microsecond before the boundary a read does not seal; at the boundary it does."""
        boundary = datetime(2026, 1, 31, tzinfo=UTC)
        day = date(2025, 12, 31)
        assert sealable_from(day, "UTC", META) == boundary
        assert may_seal(day, "UTC", boundary, META)
        assert not may_seal(day, "UTC", boundary - timedelta(microseconds=1), META)

    @pytest.mark.parametrize(
        ("timezone", "boundary"),
        [
            # 8 March has 23 hours in New York and ends at 04:00 UTC; 1 November ends at 05:00.
            ("America/New_York", "2026-04-08T04:00:00+00:00"),
            ("Etc/GMT+8", "2026-04-08T08:00:00+00:00"),
            ("Pacific/Kiritimati", "2026-04-07T10:00:00+00:00"),
        ],
    )
    def test_the_window_counts_from_the_accounts_midnight(
        self, timezone: str, boundary: str
    ) -> None:
        """The window starts when the day is over where the account lives."""
        assert sealable_from(date(2026, 3, 8), timezone, META) == datetime.fromisoformat(boundary)

    def test_rules_without_window_seal_when_the_day_ends(self) -> None:
        """Window and margin may be zero, then the end of the day itself is the boundary."""
        rules = SettlementRules(window_days=0, margin_days=0, retention_days=30)
        assert sealable_from(TODAY, "UTC", rules) == end_of_day(TODAY, "UTC")

    @pytest.mark.parametrize(
        "change",
        [
            {"window_days": -1},
            {"margin_days": -1},
            {"retention_days": 0},
            {"recent_days": 0},
            {"reread_hours": 0},
            {"history_days": 0},
        ],
    )
    def test_rules_that_cannot_work_are_refused(self, change: dict[str, int]) -> None:
        """A negative window or an empty history is refused by name."""
        good = {"window_days": 28, "margin_days": 2, "retention_days": 1123}
        with pytest.raises(ValueError, match=next(iter(change))):
            SettlementRules(**{**good, **change})


class TestFirstSync:
    """What a new account asks for."""

    def test_history_is_the_shorter_of_wish_and_retention(self) -> None:
        """A platform that keeps 10 days is not asked for 90."""
        few = SettlementRules(window_days=3, margin_days=1, retention_days=10)
        assert history_start(NOW, "UTC", META) == ago(89)
        assert history_start(NOW, "UTC", few) == ago(9)

    def test_today_is_the_accounts_today(self) -> None:
        """At 07:00 UTC an account on Etc/GMT+8 is still in yesterday."""
        early = datetime(2026, 3, 10, 7, tzinfo=UTC)
        rules = SettlementRules(window_days=3, margin_days=1, retention_days=60, history_days=1)
        assert history_start(early, "Etc/GMT+8", rules) == date(2026, 3, 9)
        assert history_start(early, "UTC", rules) == date(2026, 3, 10)

    def test_a_first_sync_reads_all_of_its_history_at_once(self) -> None:
        """With nothing read, the plan is one range from the start to today."""
        ranges = plan(start=ago(29), now=NOW, timezone="UTC", days={}, rules=SHORT)
        assert ranges == [DateRange(since=ago(29), until=TODAY)]


class TestPlan:
    """Which days a sync reads."""

    def test_fresh_open_days_wait_recent_ones_do_not(self) -> None:
        """Right after a sync only the recent days are read again."""
        fresh = DayState(NOW - timedelta(hours=1), sealed=False)
        days = {ago(n): fresh for n in range(4)}
        ranges = plan(start=ago(3), now=NOW, timezone="UTC", days=days, rules=SHORT)
        assert ranges == [DateRange(since=ago(1), until=TODAY)]

    def test_an_open_day_is_due_again_after_its_hours(self) -> None:
        """An older open day is read when its last read is `reread_hours` old, not before."""
        limit = timedelta(hours=SHORT.reread_hours)
        for age, due in ((limit, True), (limit - SECOND, False)):
            days = {
                ago(3): DayState(NOW - age, sealed=False),
                ago(2): DayState(NOW, sealed=False),
            }
            ranges = plan(start=ago(3), now=NOW, timezone="UTC", days=days, rules=SHORT)
            assert (ago(3) in days_of(ranges)) is due

    def test_a_day_that_could_not_be_sealed_waits_like_others(self) -> None:
        """Read after its boundary and still open: again in `reread_hours`, not at every sync."""
        limit = timedelta(hours=SHORT.reread_hours)
        assert sealable_from(ago(20), "UTC", SHORT) < NOW - limit
        for age, due in ((limit, True), (limit - SECOND, False)):
            days = {ago(20): DayState(NOW - age, sealed=False)} | {
                ago(n): DayState(NOW, sealed=True) for n in range(1, 20)
            }
            ranges = plan(start=ago(20), now=NOW, timezone="UTC", days=days, rules=SHORT)
            assert (ago(20) in days_of(ranges)) is due

    def test_a_day_that_adds_up_and_waits_for_a_second_finding_is_due_in_an_hour(self) -> None:
        """Nothing but another look is needed, so it does not wait for `reread_hours`."""
        hour = timedelta(hours=1)
        for age, due in ((hour, True), (hour - SECOND, False)):
            days = {ago(20): DayState(NOW - age, sealed=False, reconciled=True)} | {
                ago(n): DayState(NOW, sealed=True) for n in range(1, 20)
            }
            ranges = plan(start=ago(20), now=NOW, timezone="UTC", days=days, rules=SHORT)
            assert (ago(20) in days_of(ranges)) is due

    def test_of_days_before_the_history_only_known_ones_are_due(self) -> None:
        """A person had them read; what nobody asked for, and what is not reported, is not."""
        days = {ago(SHORT.retention_days): DayState(None, sealed=False)}
        days |= {ago(30): DayState(None, sealed=False), ago(29): DayState(NOW, sealed=True)}
        ranges = plan(start=ago(1), now=NOW, timezone="UTC", days=days, rules=SHORT)
        assert days_of(ranges) == [ago(30), ago(1), TODAY]

    def test_a_day_that_can_be_sealed_is_due_at_once(self) -> None:
        """However fresh its last read, a day past its boundary is read so that it seals."""
        boundary = sealable_from(ago(5), "UTC", SHORT)
        for now, due in ((boundary, True), (boundary - SECOND, False)):
            days = {
                ago(5) + timedelta(days=n): DayState(now - SECOND, sealed=False) for n in range(9)
            }
            ranges = plan(start=ago(5), now=now, timezone="UTC", days=days, rules=SHORT)
            assert (ago(5) in days_of(ranges)) is due

    def test_sealed_days_are_never_read_again(self) -> None:
        """A sealed day stays out of the plan, also when everything open is asked for."""
        days = {ago(n): DayState(NOW, sealed=True) for n in range(10)}
        for everything_open in (False, True):
            assert not plan(
                start=ago(9),
                now=NOW,
                timezone="UTC",
                days=days,
                rules=SHORT,
                everything_open=everything_open,
            )

    def test_a_hole_between_sealed_days_is_found(self) -> None:
        """A day nobody ever read is due although its neighbours are sealed."""
        days = {ago(n): DayState(NOW, sealed=True) for n in range(10) if n != 7}
        assert plan(start=ago(9), now=NOW, timezone="UTC", days=days, rules=SHORT) == [
            DateRange(since=ago(7), until=ago(7))
        ]

    def test_the_settle_job_reads_every_open_day(self) -> None:
        """Everything open means also days read a minute ago."""
        fresh = DayState(NOW - timedelta(minutes=1), sealed=False)
        days = {ago(n): fresh for n in range(4)}
        ranges = plan(
            start=ago(3), now=NOW, timezone="UTC", days=days, rules=SHORT, everything_open=True
        )
        assert ranges == [DateRange(since=ago(3), until=TODAY)]

    @pytest.mark.parametrize("outage_days", [1, 7, 31, 59])
    def test_a_long_outage_only_makes_the_next_read_longer(self, outage_days: int) -> None:
        """After any outage within retention no day between the last read and now is skipped."""
        last = NOW - timedelta(days=outage_days)
        days = {
            last.date() - timedelta(days=n): DayState(last, sealed=n >= 4) for n in range(1, 30)
        }
        start = min(days)
        planned = days_of(plan(start=start, now=NOW, timezone="UTC", days=days, rules=SHORT))
        missed = [last.date() + timedelta(days=n) for n in range(outage_days + 1)]
        oldest = TODAY - timedelta(days=SHORT.retention_days - 1)
        assert set(planned) >= {day for day in missed if day >= oldest}

    def test_days_beyond_retention_are_not_asked_for(self) -> None:
        """What the platform no longer reports is left to the completeness verdict."""
        ranges = plan(start=ago(400), now=NOW, timezone="UTC", days={}, rules=SHORT)
        assert ranges == [DateRange(since=ago(59), until=TODAY)]

    def test_a_history_that_starts_tomorrow_asks_for_nothing(self) -> None:
        """Just after a change of time zone the start may lie ahead; that is no error."""
        start = TODAY + timedelta(days=1)
        assert plan(start=start, now=NOW, timezone="UTC", days={}, rules=SHORT) == []


states = st.builds(
    DayState,
    st.none() | st.integers(0, 24 * 40).map(lambda hours: NOW - timedelta(hours=hours)),
    sealed=st.booleans(),
)


@given(
    st.dictionaries(st.integers(0, 58).map(ago), states),
    st.sampled_from(ZONES),
    st.booleans(),
)
def test_a_plan_is_due_days_and_only_those(
    days: dict[date, DayState], timezone: str, everything_open: bool
) -> None:
    """Each day from the start to the account's today is planned exactly when it is due."""
    planned = days_of(
        plan(
            start=ago(40),
            now=NOW,
            timezone=timezone,
            days=days,
            rules=SHORT,
            everything_open=everything_open,
        )
    )
    today = account_day(NOW, timezone)
    assert planned == sorted(planned)
    for offset in range((today - ago(40)).days + 1):
        day = ago(40) + timedelta(days=offset)
        state = days.get(day, DayState(None, sealed=False))
        never_read = state.read_started_at is None
        if state.sealed:
            assert day not in planned
        elif everything_open or never_read or day > today - timedelta(days=SHORT.recent_days):
            assert day in planned


@given(st.dictionaries(st.integers(0, 58).map(ago), states), st.integers(0, 58))
def test_everything_before_the_first_open_day_is_sealed(
    days: dict[date, DayState], back: int
) -> None:
    """The first open day is open (or today), and every day before it is sealed."""
    start = ago(back)
    first = first_open_day(start, TODAY, days)
    assert start <= first <= TODAY
    if first < TODAY:
        state = days.get(first)
        assert state is None or not state.sealed
    day = start
    while day < first:
        assert days[day].sealed
        day += timedelta(days=1)


@given(st.integers(0, 3000), st.sampled_from(ZONES))
def test_reading_what_is_planned_in_time_seals_every_day(offset: int, timezone: str) -> None:
    """A daily sync that reads its plan leaves no day unsealed after window, margin and one day."""
    start = date(2020, 1, 1) + timedelta(days=offset)
    now = end_of_day(start, timezone)
    days: dict[date, DayState] = {}
    for _ in range(SHORT.window_days + SHORT.margin_days + 2):
        for day in days_of(plan(start=start, now=now, timezone=timezone, days=days, rules=SHORT)):
            days[day] = DayState(now, sealed=may_seal(day, timezone, now, SHORT))
        now += timedelta(hours=24)
    assert days[start].sealed


@pytest.mark.parametrize(("own", "window"), [(None, 90), (30, 30), (90, 90), (400, 90), (-1, 0)])
def test_an_accounts_own_window_never_widens_the_platforms(own: int | None, window: int) -> None:
    """A shorter window settles days sooner; one that is not known changes nothing."""
    rules = SettlementRules(window_days=90, margin_days=3, retention_days=1123)
    found = settled_within(rules, own)
    assert (found.window_days, found.margin_days) == (window, 3)
