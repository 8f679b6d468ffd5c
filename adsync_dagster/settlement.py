"""When a day may be sealed, and which days to read next. Pure rules, no clock, no I/O.

Platforms revise numbers for `window_days` after a day ends. A day is *open* until a complete
read was taken after day end + window + margin; then it is *sealed*. What to read next is
planned from the first open day, never from "the last N days", so an outage of any length
only makes the next read longer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import NamedTuple

from adsync_dagster.calendar import account_day, end_of_day, ranges_of, start_of_day
from adsync_dagster.records import DateRange

#: Meta, TikTok and Google Ads report 37 months back: this many days are always inside.
REPORTED_DAYS = 1123
#: How long two findings have to be apart to be two: platforms have minutes of silence.
BELIEVED_AFTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementRules:
    """How one platform settles."""

    #: How long after a day's end the platform keeps revising it.
    window_days: int
    #: Added before sealing, for reports that lag behind.
    margin_days: int
    #: The oldest day the platform still reports, counted back from today.
    retention_days: int
    #: Days re-read by every sync; older open days are re-read once `reread_hours` have passed.
    recent_days: int = 3
    reread_hours: int = 20
    #: History of a first sync.
    history_days: int = 90

    @property
    def settles_after_days(self) -> int:
        """How many days after its end a read of a day is final: window and margin."""
        return self.window_days + self.margin_days

    def __post_init__(self) -> None:
        for name in ("window_days", "margin_days"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} cannot be negative")
        for name in ("retention_days", "recent_days", "reread_hours", "history_days"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")


def settled_within(rules: SettlementRules, window_days: int | None) -> SettlementRules:
    """The rules of an account whose own window is known; it never widens the platform's."""
    if window_days is None:
        return rules
    return replace(rules, window_days=min(max(window_days, 0), rules.window_days))


def settled_after(rules: SettlementRules, days: int) -> SettlementRules:
    """The same rules, where a day settles so many days after its end, margin included."""
    return replace(rules, window_days=max(days - rules.margin_days, 0))


class DayState(NamedTuple):
    """What the warehouse knows of one account day, over all levels."""

    #: Start of the oldest of its levels' latest complete reads; None when a level was never read.
    read_started_at: datetime | None
    sealed: bool
    #: Every level adds up to the platform's total, or what is missing is explained.
    reconciled: bool = False


NEVER_READ = DayState(None, sealed=False)


def sealable_from(day: date, timezone: str, rules: SettlementRules) -> datetime:
    """The first instant at which a complete read may seal this day."""
    return end_of_day(day, timezone) + timedelta(days=rules.settles_after_days)


def may_seal(day: date, timezone: str, read_started_at: datetime, rules: SettlementRules) -> bool:
    """Whether a complete read started at that instant is final for the day.

    The *start* counts: a read that straddles the boundary saw the day before it settled.
    """
    return read_started_at >= sealable_from(day, timezone, rules)


def nothing_after(day: date, timezone: str, rules: SettlementRules) -> datetime:
    """What had ended before this instant has nothing attributed to it from that day on."""
    return start_of_day(day, timezone) - timedelta(days=rules.settles_after_days)


def first_reported_day(today: date, rules: SettlementRules) -> date:
    """The oldest day that the platform still reports."""
    return today - timedelta(days=rules.retention_days - 1)


def history_start(now: datetime, timezone: str, rules: SettlementRules) -> date:
    """The first day a first sync asks for."""
    days = min(rules.history_days, rules.retention_days)
    return account_day(now, timezone) - timedelta(days=days - 1)


def first_open_day(start: date, today: date, days: Mapping[date, DayState]) -> date:
    """The oldest day from the account's history start that is not sealed; today at the latest."""
    day = start
    while day < today:
        state = days.get(day)
        if state is None or not state.sealed:
            return day
        day += timedelta(days=1)
    return today


def plan(
    *,
    start: date,
    now: datetime,
    timezone: str,
    days: Mapping[date, DayState],
    rules: SettlementRules,
    everything_open: bool = False,
) -> list[DateRange]:
    """The ranges a sync should read now, oldest first.

    A day is due when it is not sealed and it is recent, was never read, was last read
    `reread_hours` ago, or can be sealed by a read taken now: at once where it was not read since
    that is so, after an hour where it adds up and one more finding is all it needs. One that does
    not add up waits like the others. `everything_open` asks for all open days, as the settle job
    does. Days before `start` are due where they are known: a person had them read, and they could
    not be sealed.
    """
    today = account_day(now, timezone)
    recent_from = today - timedelta(days=rules.recent_days - 1)
    reported_from = first_reported_day(today, rules)
    first = max(start, reported_from)
    earlier = [day for day in days if reported_from <= day < start]
    since_then = [first + timedelta(days=count) for count in range((today - first).days + 1)]
    return ranges_of(
        day
        for day in earlier + since_then
        if not (state := days.get(day, NEVER_READ)).sealed
        and (
            everything_open
            or day >= recent_from
            or _is_due(state, sealable_from(day, timezone, rules), now, rules)
        )
    )


def _is_due(state: DayState, final_from: datetime, now: datetime, rules: SettlementRules) -> bool:
    """Whether an open day that is not recent should be read again."""
    read = state.read_started_at
    if read is None or read <= now - timedelta(hours=rules.reread_hours):
        return True
    if read < final_from:
        return final_from <= now
    return state.reconciled and read <= now - BELIEVED_AFTER
