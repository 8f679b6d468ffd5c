"""Account days: calendar days in the ad account's own time zone.

A day of 23 or 25 hours is just a day. Zones are IANA names, also the POSIX-signed ones
such as `Etc/GMT+8` (which is UTC-8); the sign is never parsed by hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from adsync_dagster.errors import UsageError
from adsync_dagster.records import DateRange

#: No account's day begins earlier than this before UTC's.
EARLIEST_ZONE = timedelta(hours=14)


def zone(name: str) -> ZoneInfo:
    """The time zone of that IANA name; UsageError when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            f"{name!r} is not a known time zone; use an IANA name such as America/New_York"
        ) from None


def account_day(instant: datetime, timezone: str) -> date:
    """The account-local day that an aware instant falls on."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs its offset")
    return instant.astimezone(zone(timezone)).date()


def start_of_day(day: date, timezone: str) -> datetime:
    """The instant, in UTC, at which an account-local day begins."""
    return datetime.combine(day, time.min, tzinfo=zone(timezone)).astimezone(UTC)


def end_of_day(day: date, timezone: str) -> datetime:
    """The instant, in UTC, at which an account-local day is over."""
    return start_of_day(day + timedelta(days=1), timezone)


def begins_nowhere(day: date, now: datetime) -> bool:
    """Whether the day has not begun in any time zone."""
    return day > (now + EARLIEST_ZONE).astimezone(UTC).date()


def ranges_of(days: Iterable[date]) -> list[DateRange]:
    """The days as as few contiguous ranges as possible, in order."""
    ranges: list[DateRange] = []
    for day in sorted(set(days)):
        if ranges and ranges[-1].until + timedelta(days=1) == day:
            ranges[-1] = DateRange(since=ranges[-1].since, until=day)
        else:
            ranges.append(DateRange(since=day, until=day))
    return ranges


def split_range(whole: DateRange, days_max: int) -> list[DateRange]:
    """Cut a range into pieces of at most `days_max` days, oldest first."""
    if days_max < 1:
        raise ValueError("a piece needs at least one day")
    pieces = []
    since = whole.since
    while since <= whole.until:
        until = min(since + timedelta(days=days_max - 1), whole.until)
        pieces.append(DateRange(since=since, until=until))
        since = until + timedelta(days=1)
    return pieces
