"""Account days: the account's own calendar, through DST, odd zones and long ranges."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adsync_dagster.calendar import (
    account_day,
    end_of_day,
    ranges_of,
    split_range,
    start_of_day,
    zone,
)
from adsync_dagster.errors import UsageError
from adsync_dagster.records import DateRange

ZONES = sorted(name for name in available_timezones() if name not in {"localtime", "posixrules"})
days = st.dates(min_value=date(2000, 1, 1), max_value=date(2060, 12, 31))


@pytest.mark.parametrize(
    ("instant", "timezone", "day"),
    [
        ("2026-03-01T00:00:00+00:00", "UTC", date(2026, 3, 1)),
        ("2026-03-01T04:59:59+00:00", "America/New_York", date(2026, 2, 28)),
        ("2026-03-01T05:00:00+00:00", "America/New_York", date(2026, 3, 1)),
        ("2026-03-01T10:59:59+00:00", "Pacific/Pago_Pago", date(2026, 2, 28)),
        ("2026-02-28T10:00:00+00:00", "Pacific/Kiritimati", date(2026, 3, 1)),
        ("2026-02-28T18:15:00+00:00", "Asia/Kathmandu", date(2026, 3, 1)),
        # POSIX signs are the other way round: Etc/GMT+8 is eight hours *behind* UTC.
        ("2026-03-01T07:59:59+00:00", "Etc/GMT+8", date(2026, 2, 28)),
        ("2026-03-01T08:00:00+00:00", "Etc/GMT+8", date(2026, 3, 1)),
        ("2026-02-28T16:00:00+00:00", "Etc/GMT-8", date(2026, 3, 1)),
    ],
)
def test_an_instant_falls_on_the_accounts_day(instant: str, timezone: str, day: date) -> None:
    """The day is the account's calendar day, not UTC's, and Etc/GMT signs are not guessed."""
    assert account_day(datetime.fromisoformat(instant), timezone) == day


@pytest.mark.parametrize(
    ("day", "timezone", "hours"),
    [
        (date(2026, 3, 7), "America/New_York", 24),
        (date(2026, 3, 8), "America/New_York", 23),
        (date(2026, 11, 1), "America/New_York", 25),
        (date(2026, 3, 29), "Europe/Berlin", 23),
        (date(2026, 10, 25), "Europe/Berlin", 25),
        (date(2026, 4, 5), "Australia/Lord_Howe", 24.5),
        (date(2026, 10, 4), "Australia/Lord_Howe", 23.5),
        (date(2026, 3, 8), "Etc/GMT+8", 24),
    ],
)
def test_days_have_the_hours_their_zone_gives_them(day: date, timezone: str, hours: float) -> None:
    """A day of 23, 25 or 24.5 hours is measured in real hours, not assumed to be 24."""
    length = end_of_day(day, timezone) - start_of_day(day, timezone)
    assert length == timedelta(hours=hours)


def test_a_day_may_begin_after_midnight() -> None:
    """Where the clock jumps at midnight, the day begins with the first hour that exists."""
    assert start_of_day(date(2026, 4, 24), "Africa/Cairo") == datetime(2026, 4, 23, 22, tzinfo=UTC)
    first = start_of_day(date(2026, 4, 24), "Africa/Cairo")
    assert account_day(first, "Africa/Cairo") == date(2026, 4, 24)


@given(days, st.sampled_from(ZONES))
def test_days_tile_time(day: date, timezone: str) -> None:
    """In every zone one day ends exactly where the next begins, and none runs backwards."""
    assert end_of_day(day, timezone) == start_of_day(day + timedelta(days=1), timezone)
    # Samoa and Kwajalein once skipped a whole date: such a day is empty, never negative.
    assert end_of_day(day, timezone) >= start_of_day(day, timezone)


@given(
    st.datetimes(min_value=datetime(2000, 1, 2), max_value=datetime(2060, 12, 30)),  # noqa: DTZ001
    st.sampled_from(ZONES),
)
def test_an_instant_lies_within_its_day(naive: datetime, timezone: str) -> None:
    """start <= instant < end for the day that the instant is said to fall on."""
    instant = naive.replace(tzinfo=UTC)
    day = account_day(instant, timezone)
    assert start_of_day(day, timezone) <= instant < end_of_day(day, timezone)


def test_a_naive_instant_is_refused() -> None:
    """An instant without an offset has no account day."""
    with pytest.raises(ValueError, match="offset"):
        account_day(datetime(2026, 3, 1), "UTC")  # noqa: DTZ001


@pytest.mark.parametrize(
    "name", ["Mars/Olympus", "", "../../etc/passwd", "/etc/localtime", "UTC+8"]
)
def test_an_unknown_zone_is_one_clear_line(name: str) -> None:
    """A wrong zone name, also one that looks like a path, is bad input and no crash."""
    with pytest.raises(UsageError, match="not a known time zone"):
        zone(name)


@given(st.lists(days, max_size=40))
def test_ranges_hold_exactly_the_days(given_days: list[date]) -> None:
    """Ranges are ordered, apart from each other, and hold exactly the given days."""
    ranges = ranges_of(given_days)
    held = [
        piece.since + timedelta(days=offset) for piece in ranges for offset in range(piece.days)
    ]
    assert held == sorted(set(given_days))
    for left, right in pairwise(ranges):
        assert right.since - left.until > timedelta(days=1)


@given(days, st.integers(0, 400), st.integers(1, 90))
def test_a_split_range_loses_no_day(since: date, length: int, days_max: int) -> None:
    """The pieces touch, cover the whole range and none is longer than asked."""
    whole = DateRange(since=since, until=since + timedelta(days=length))
    pieces = split_range(whole, days_max)
    assert all(piece.days <= days_max for piece in pieces)
    assert ranges_of(
        piece.since + timedelta(days=offset) for piece in pieces for offset in range(piece.days)
    ) == [whole]
    assert sum(piece.days for piece in pieces) == whole.days
    assert len(pieces) == -(-whole.days // days_max)


def test_a_piece_of_no_days_is_refused() -> None:
    """Splitting into pieces of nothing would never end."""
    with pytest.raises(ValueError, match="at least one day"):
        split_range(DateRange(since=date(2026, 1, 1), until=date(2026, 1, 2)), 0)
