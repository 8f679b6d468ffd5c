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


class DayState(NamedTuple):
    """What the warehouse knows of one account day, over all levels."""

    #: Start of the oldest of its levels' latest complete reads; None when a level was never read.
    read_started_at: datetime | None
    sealed: bool


def sealable_from(day: date, timezone: str, rules: SettlementRules) -> datetime:
    """The first instant at which a complete read may seal this day."""
    return end_of_day(day, timezone) + timedelta(days=rules.window_days + rules.margin_days)


def may_seal(day: date, timezone: str, read_started_at: datetime, rules: SettlementRules) -> bool:
    """Whether a complete read started at that instant is final for the day.

    The *start* counts: a read that straddles the boundary saw the day before it settled.
    """
    return read_started_at >= sealable_from(day, timezone, rules)


def nothing_after(day: date, timezone: str, rules: SettlementRules) -> datetime:
    """What had ended before this instant has nothing attributed to it from that day on."""
    return start_of_day(day, timezone) - timedelta(days=rules.window_days + rules.margin_days)


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
    `reread_hours` ago, or can be sealed by a read taken now and was not read since that is so:
    one that could not be sealed waits like the others. `everything_open` asks for all open
    days, as the settle job does.
    """
    today = account_day(now, timezone)
    recent_from = today - timedelta(days=rules.recent_days - 1)
    stale_before = now - timedelta(hours=rules.reread_hours)
    due: list[date] = []
    day = max(start, first_reported_day(today, rules))
    while day <= today:
        state = days.get(day, DayState(None, sealed=False))
        if not state.sealed and (
            everything_open
            or day >= recent_from
            or state.read_started_at is None
            or state.read_started_at <= stale_before
            or state.read_started_at < sealable_from(day, timezone, rules) <= now
        ):
            due.append(day)
        day += timedelta(days=1)
    return ranges_of(due)
