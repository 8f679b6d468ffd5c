"""Time inside the simulator: instants are integer microseconds since 1970, days are ordinals.

Integers compare and subtract exactly and fast, which the ledger's prefix sums need. A day
ordinal is `date.toordinal()` of a calendar day in the ad account's own zone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from adsync_dagster.errors import UsageError

SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
#: Later than anything a world ever does.
FOREVER = 1 << 62

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(instant: datetime) -> int:
    """An aware instant as microseconds since 1970; ValueError when it has no offset."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs its offset")
    return (instant - _EPOCH) // _MICROSECOND


def instant_of(stamp: int) -> datetime:
    """The aware UTC instant of a stamp in microseconds."""
    return _EPOCH + timedelta(microseconds=stamp)


def ordinal_of(day: date | str | int) -> int:
    """A day given as a date, ISO text or ordinal, as its ordinal."""
    if isinstance(day, int):
        return day
    if isinstance(day, str):
        return date.fromisoformat(day).toordinal()
    return day.toordinal()


class Zone:
    """An account's time zone: which day an instant falls on, and when days begin."""

    __slots__ = ("_starts", "info", "name")

    def __init__(self, name: str) -> None:
        try:
            self.info = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise UsageError(
                f"{name!r} is not a known time zone; use an IANA name such as America/New_York"
            ) from None
        self.name = name
        self._starts: dict[int, int] = {}

    def start(self, day: int) -> int:
        """The stamp at which the day begins."""
        found = self._starts.get(day)
        if found is None:
            midnight = datetime.combine(date.fromordinal(day), time.min, tzinfo=self.info)
            found = self._starts[day] = micros(midnight.astimezone(UTC))
        return found

    def end(self, day: int) -> int:
        """The stamp at which the day is over: the next day's start."""
        return self.start(day + 1)

    def day(self, stamp: int) -> int:
        """The ordinal of the account-local day that the stamp falls on."""
        return instant_of(stamp).astimezone(self.info).toordinal()

    def local(self, stamp: int) -> datetime:
        """The stamp as an aware datetime in this zone."""
        return instant_of(stamp).astimezone(self.info)
