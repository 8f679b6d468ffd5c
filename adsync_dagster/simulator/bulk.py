"""Ads of very large accounts: their whole history is drawn once and held in flat arrays.

A day's numbers appear whole when the day ends and never move again, except by explicit events,
which work as on any ad. Sums over thousands of such ads are taken for all days at once.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

from adsync_dagster.simulator.instants import FOREVER, Zone
from adsync_dagster.simulator.metrics import IMPRESSIONS, NOTHING, WIDTH, Totals, Vector
from adsync_dagster.simulator.plans import AdProfile, DayPlan
from adsync_dagster.simulator.tracks import AdTrack, Cell, Deltas


class BulkTrack(AdTrack):
    """One ad of a large account."""

    __slots__ = ("first_day", "reaches", "values")

    def __init__(
        self, account_id: str, ad_id: str, profile: AdProfile, zone: Zone, first_day: int
    ) -> None:
        super().__init__(account_id, ad_id, profile, zone)
        self.first_day = first_day
        self.values = array("q")
        self.reaches = array("q")

    def append_day(self, vector: Vector, reach: int) -> None:
        """Append the next day's final numbers."""
        self.values.extend(vector)
        self.reaches.append(reach)

    def cell(self, day: int, at: int) -> Cell:
        """As AdTrack.cell; nothing is cached, the array is the cache."""
        if day in self._revisions:
            return self._revised(day, at)
        index = day - self.first_day
        if not 0 <= index < len(self.reaches):
            return Cell(NOTHING, 0, FOREVER)
        ends = self.zone.end(day)
        if at < ends:
            return Cell(NOTHING, 0, ends)
        vector = tuple(self.values[index * WIDTH : (index + 1) * WIDTH])
        return Cell(Totals(vector, self.reaches[index]), ends, FOREVER)

    def _revised(self, day: int, at: int) -> Cell:
        (vector, _), since, until = super().cell(day, at)
        index = day - self.first_day
        shown = vector[IMPRESSIONS] > 0 and 0 <= index < len(self.reaches)
        return Cell(Totals(vector, self.reaches[index] if shown else 0), since, until)

    def days(self, until: int) -> Iterator[int]:
        """Every drawn day up to `until`, and days with explicit events."""
        drawn = range(self.first_day, min(until + 1, self.first_day + len(self.reaches)))
        return iter(sorted(set(drawn) | {day for day in self._revisions if day <= until}))

    def _plan(self, day: int) -> DayPlan | None:  # noqa: ARG002 - bulk ads have no plans
        return None

    def _dated(self, day: int, plan: DayPlan | None) -> Iterator[tuple[int, Deltas]]:
        index = day - self.first_day
        if 0 <= index < len(self.reaches):
            vector = self.values[index * WIDTH : (index + 1) * WIDTH]
            yield self.zone.end(day), list(enumerate(vector))
        yield from super()._dated(day, plan)

    @property
    def stayed(self) -> bool:
        """Whether all its days count for the same parents."""
        return len(self.parents) == 1

    def same_days(self, other: BulkTrack) -> bool:
        """Whether both histories cover the same days."""
        return self.first_day == other.first_day and len(self.reaches) == len(other.reaches)

    @classmethod
    def sum_of(cls, tracks: Sequence[BulkTrack]) -> BulkTrack:
        """A track that stands for the drawn sum of tracks over the same days."""
        first = tracks[0]
        whole = cls(first.account_id, "", first.profile, first.zone, first.first_day)
        whole.values = array("q", map(sum, zip(*[track.values for track in tracks], strict=True)))
        columns = list(zip(*[track.reaches for track in tracks], strict=True))
        whole.reaches = array("q", [_people(day) for day in columns])
        return whole


def _people(parts: Sequence[int]) -> int:
    """As metrics.add_up counts people."""
    whole, largest = sum(parts), max(parts)
    return whole if whole == largest else max(largest, whole * 85 // 100)
