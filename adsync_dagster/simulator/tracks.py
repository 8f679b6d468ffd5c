"""The truth of one ad: when it was live, what it delivered, what was revised, and when.

A track answers `cell(day, at)`: the ad's numbers of an account-local day as they stood at an
instant, past or present. Plans say what could happen; only pulses and clicks inside a live
interval did happen. Every answer carries until when it holds, so that a page of a thousand
rows costs a thousand dictionary look-ups.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from adsync_dagster.simulator.instants import FOREVER, Zone
from adsync_dagster.simulator.metrics import (
    CLICKS,
    COLUMNS,
    IMPRESSIONS,
    LINK_CLICKS,
    NOTHING,
    SPEND,
    WIDTH,
    WINDOW_COLUMNS,
    Totals,
    Vector,
)
from adsync_dagster.simulator.plans import AdProfile, Conversion, DayPlan, plan_day

#: No plan's conversion is dated later than this after its click.
_CARRY_DAYS = 26
#: Column by column, what an event changes.
Deltas = list[tuple[int, int]]


class MetricEvent(NamedTuple):
    """One fact: at this moment, this metric of this ad and day changed by this much."""

    at: int
    account_id: str
    ad_id: str
    day: int
    metric: str
    delta: int
    cause: str


class Cell(NamedTuple):
    """An ad's day, and the span of instants [valid_from, valid_until) over which it stands."""

    totals: Totals
    valid_from: int
    valid_until: int


@dataclass(frozen=True, slots=True)
class Revision:
    """An explicit event: an action or a restatement, on top of the plan."""

    at: int
    vector: Vector
    cause: str


class AdTrack:
    """One planned ad. `live` holds the intervals in which it delivers; the last may be open."""

    __slots__ = (
        "_carried", "_cells", "_idle", "_plans", "_revisions",
        "account_id", "ad_id", "live", "parents", "profile", "zone",
    )  # fmt: skip

    def __init__(self, account_id: str, ad_id: str, profile: AdProfile, zone: Zone) -> None:
        self.account_id = account_id
        self.ad_id = ad_id
        self.profile = profile
        self.zone = zone
        self.live: list[tuple[int, int]] = []
        #: (first day, ad set id, campaign id): whom the ad's days count for, oldest first.
        self.parents: list[tuple[int, str, str]] = []
        self._plans: dict[int, DayPlan] = {}
        #: Days without a plan, as long as the ad's live intervals stay as they are.
        self._idle: set[int] = set()
        self._carried: dict[int, list[Conversion]] = {}
        self._revisions: dict[int, list[Revision]] = {}
        self._cells: dict[int, Cell] = {}

    def set_live(self, at: int, *, live: bool) -> bool:
        """Start or end delivery at that instant; returns whether anything changed."""
        open_now = bool(self.live) and self.live[-1][1] == FOREVER
        if open_now == live:
            return False
        if live:
            self.live.append((at, FOREVER))
        else:
            self.live[-1] = (self.live[-1][0], at)
        self._idle.clear()
        today = self.zone.day(at)
        for day in [day for day in self._cells if day >= today]:
            del self._cells[day]
        return True

    def revise(self, day: int, revision: Revision) -> None:
        """Append an explicit event to one day."""
        self._revisions.setdefault(day, []).append(revision)
        self._cells.pop(day, None)

    def cell(self, day: int, at: int) -> Cell:
        """The ad's numbers of that day as they stood at that instant."""
        found = self._cells.get(day)
        if found is not None and found.valid_from <= at < found.valid_until:
            return found
        cell = self._evaluate(day, at)
        if found is None or cell.valid_from >= found.valid_from:
            self._cells[day] = cell
        return cell

    def parents_on(self, day: int) -> tuple[str, str]:
        """The ad set and campaign the day counts for: those at the day's start."""
        for first_day, adset_id, campaign_id in reversed(self.parents):
            if first_day <= day:
                return adset_id, campaign_id
        return self.parents[0][1], self.parents[0][2]

    def days(self, until: int) -> Iterator[int]:
        """Every day up to `until` that may hold anything, ascending."""
        found: set[int] = set(self._revisions)
        for start, end in self.live:
            last = min(until, self.zone.day(min(end, self.zone.end(until))) + _CARRY_DAYS)
            found.update(range(self.zone.day(start), last + 1))
        return iter(sorted(day for day in found if day <= until))

    def _plan(self, day: int) -> DayPlan | None:
        """The day's plan, or None when the ad is not live at any moment of it."""
        plan = self._plans.get(day)
        if plan is not None:
            return plan
        start, end = self.zone.start(day), self.zone.end(day)
        if not any(a < end and b > start for a, b in self.live):
            self._idle.add(day)
            return None
        plan = self._plans[day] = plan_day(self.profile, day, self.zone)
        for conversion in plan.conversions:
            if conversion.day != day:
                self._carried.setdefault(conversion.day, []).append(conversion)
        return plan

    def _is_live(self, at: int) -> bool:
        return any(start <= at < end for start, end in self.live)

    def _evaluate(self, day: int, at: int) -> Cell:
        sums = [0] * WIDTH
        since, until = 0, FOREVER
        reach = 0
        plan = self._plan(day)
        for earlier in range(day - _CARRY_DAYS, day):
            if earlier not in self._plans and earlier not in self._idle:
                self._plan(earlier)
        if plan is not None:
            delivered, since, until = self._delivered(plan, at)
            sums[IMPRESSIONS], sums[CLICKS], sums[LINK_CLICKS], sums[SPEND] = delivered
            reach = delivered[0] * plan.reach_permille // 1000 or min(1, delivered[0])
        for moment, vector in self._dated(day, plan):
            if moment > at:
                until = min(until, moment)
                continue
            since = max(since, moment)
            for column, delta in vector:
                sums[column] += delta
        if not any(sums):
            return Cell(NOTHING, since, until)
        return Cell(Totals(tuple(sums), reach if sums[IMPRESSIONS] else 0), since, until)

    def _delivered(self, plan: DayPlan, at: int) -> tuple[tuple[int, int, int, int], int, int]:
        """What the pulses inside live intervals up to `at` brought, and the span it holds for."""
        result = (0, 0, 0, 0)
        since, until = 0, FOREVER
        pulses = plan.pulses
        for start, end in self.live:
            first = bisect_left(pulses, start)
            last = bisect_left(pulses, end)
            seen = min(last, bisect_right(pulses, at))
            coming = max(first, seen)
            if coming < last:
                until = min(until, pulses[coming])
            if seen > first:
                since = max(since, pulses[seen - 1])
                part = plan.totals[seen - 1]
                if first:
                    a, b, c, d = plan.totals[first - 1]
                    part = (part[0] - a, part[1] - b, part[2] - c, part[3] - d)
                if any(result):
                    a, b, c, d = result
                    part = (part[0] + a, part[1] + b, part[2] + c, part[3] + d)
                result = part
        return result, since, until

    def _dated(self, day: int, plan: DayPlan | None) -> Iterator[tuple[int, Deltas]]:
        """Everything but pulses that changes this day: conversions, credits, explicit events."""
        if plan is not None:
            for conversion in plan.conversions:
                if conversion.day == day and self._is_live(conversion.click_at):
                    yield conversion.arrives_at, _conversion_deltas(conversion)
            if plan.correction_at:
                yield plan.correction_at, self._credit(plan)
        for conversion in self._carried.get(day, ()):
            if self._is_live(conversion.click_at):
                yield conversion.arrives_at, _conversion_deltas(conversion)
        for revision in self._revisions.get(day, ()):
            yield revision.at, [(i, delta) for i, delta in enumerate(revision.vector) if delta]

    def _credit(self, plan: DayPlan) -> Deltas:
        """Invalid traffic taken back: a share of what the day's pulses delivered."""
        (impressions, clicks, link_clicks, spend), _, _ = self._delivered(plan, FOREVER - 1)
        percent, unit = plan.correction_percent, self.profile.unit_micros
        return [
            (IMPRESSIONS, -(impressions * percent // 100)),
            (CLICKS, -(clicks * percent // 100)),
            (LINK_CLICKS, -(link_clicks * percent // 100)),
            (SPEND, -(spend * percent // (100 * unit) * unit)),
        ]

    def events(self, until_day: int) -> Iterator[MetricEvent]:
        """Every fact of every day up to `until_day`, day by day, unsorted within a day.

        Written on its own, not with `cell`: the tests hold the two against each other.
        """
        for day in self.days(until_day):
            self.cell(day, 0)
            plan = self._plan(day)
            for index, moment in enumerate(plan.pulses if plan else ()):
                if plan is None or not self._is_live(moment):
                    continue
                before = plan.totals[index - 1] if index else (0, 0, 0, 0)
                for column in (IMPRESSIONS, CLICKS, LINK_CLICKS, SPEND):
                    delta = plan.totals[index][column] - before[column]
                    yield self._event(moment, day, column, delta, "delivery")
            for moment, deltas in self._dated(day, plan):
                for column, delta in deltas:
                    yield self._event(moment, day, column, delta, "revision")

    def _event(self, at: int, day: int, column: int, delta: int, cause: str) -> MetricEvent:
        return MetricEvent(at, self.account_id, self.ad_id, day, COLUMNS[column], delta, cause)


def _conversion_deltas(conversion: Conversion) -> Deltas:
    counts, values = WINDOW_COLUMNS[conversion.window]
    return [(column, 1) for column in counts] + [
        (column, conversion.value_micros) for column in values
    ]
