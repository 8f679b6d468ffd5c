"""The ledger of truth: who had which status when, and what every ad really did on every day.

Facts are only ever appended; they are dated, so `V(entity, day, at)` is known for any instant,
past ones included. Campaigns, ad sets and accounts are the sums of all their ads, deleted
ones too. The ledger never imports what reads platforms or writes warehouses: it judges them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from threading import RLock
from typing import NamedTuple

from adsync_dagster.errors import UsageError
from adsync_dagster.simulator.bulk import BulkTrack
from adsync_dagster.simulator.instants import FOREVER, Zone, instant_of, micros, ordinal_of
from adsync_dagster.simulator.metrics import COLUMNS, NOTHING, Totals, Vector, add_up
from adsync_dagster.simulator.tracks import AdTrack, Cell, MetricEvent, Revision

Instant = datetime | None
Day = date | str | int


class StatusEvent(NamedTuple):
    """One fact: from this moment on, this entity had this own and effective status."""

    at: int
    account_id: str
    level: str
    entity_id: str
    own: str
    effective: str
    #: The campaign of an ad set, the ad set of an ad, None for a campaign.
    parent_id: str | None
    cause: str

    @property
    def time(self) -> datetime:
        return instant_of(self.at)


class _Member(NamedTuple):
    track: AdTrack
    first_day: int
    last_day: int


class AccountBook:
    """The part of the ledger that belongs to one account."""

    def __init__(self, account_id: str, zone: Zone) -> None:
        self.account_id = account_id
        self.zone = zone
        self.tracks: dict[str, AdTrack] = {}
        self._members: dict[tuple[str, str], list[_Member]] = {}
        self._sums: dict[int, dict[tuple[str, str], Cell]] = {}
        self._bulk: dict[tuple[str, str], BulkTrack | None] = {}
        #: Days with explicit events, which sums of drawn histories do not hold.
        self._revised: set[int] = set()

    def add_track(self, track: AdTrack, day: int, adset_id: str, campaign_id: str) -> None:
        """Open an ad's track under its first parents."""
        self.tracks[track.ad_id] = track
        track.parents.append((day, adset_id, campaign_id))
        for key in (("adset", adset_id), ("campaign", campaign_id)):
            self._members.setdefault(key, []).append(_Member(track, 0, _LAST_DAY))
        self._bulk.clear()
        self._forget(day)

    def move_track(self, ad_id: str, day: int, adset_id: str, campaign_id: str) -> None:
        """From that day on the ad's days count for other parents; earlier days stay."""
        track = self.tracks[ad_id]
        _, old_adset, old_campaign = track.parents[-1]
        track.parents.append((day, adset_id, campaign_id))
        moves = (("adset", old_adset, adset_id), ("campaign", old_campaign, campaign_id))
        for level, old, new in moves:
            if old != new:
                self._leave((level, old), track, day)
                self._members.setdefault((level, new), []).append(_Member(track, day, _LAST_DAY))
        self._bulk.clear()
        self._forget(day)

    def _leave(self, key: tuple[str, str], track: AdTrack, day: int) -> None:
        members = self._members[key]
        for index, member in enumerate(members):
            if member.track is track and member.last_day == _LAST_DAY:
                members[index] = member._replace(last_day=day - 1)

    def set_live(self, ad_id: str, at: int, *, live: bool) -> None:
        """Start or end an ad's delivery."""
        if self.tracks[ad_id].set_live(at, live=live):
            self._forget(self.zone.day(at))

    def revise(self, ad_id: str, day: int, revision: Revision) -> None:
        """Append an explicit metric event."""
        self.tracks[ad_id].revise(day, revision)
        self._sums.pop(day, None)
        self._revised.add(day)

    def total(self, level: str, entity_id: str, day: int, at: int) -> Totals:
        """The numbers of an account, campaign, ad set or ad on a day, as of an instant."""
        if level == "ad":
            track = self.tracks.get(entity_id)
            return NOTHING if track is None else track.cell(day, at).totals
        sums = self._sums.setdefault(day, {})
        key = (level, entity_id)
        found = sums.get(key)
        if found is not None and found.valid_from <= at < found.valid_until:
            return found.totals
        bulk = None if day in self._revised else self._bulk_sum(key)
        cell = (
            bulk.cell(day, at)
            if bulk is not None
            else _sum_cells([track.cell(day, at) for track in self._tracks_of(key, day)])
        )
        if found is None or cell.valid_from >= found.valid_from:
            sums[key] = cell
        return cell.totals

    def _bulk_sum(self, key: tuple[str, str]) -> BulkTrack | None:
        """The drawn sum of a group of bulk ads, for all days at once; None for others."""
        if key not in self._bulk:
            tracks = [track for track in self._everyone_in(key) if isinstance(track, BulkTrack)]
            fits = len(tracks) == len(self._everyone_in(key)) > 0 and all(
                track.stayed and track.same_days(tracks[0]) for track in tracks
            )
            self._bulk[key] = BulkTrack.sum_of(tracks) if fits else None
        return self._bulk[key]

    def _everyone_in(self, key: tuple[str, str]) -> list[AdTrack]:
        if key[0] == "account":
            return list(self.tracks.values())
        return [member.track for member in self._members.get(key, ())]

    def _tracks_of(self, key: tuple[str, str], day: int) -> Iterator[AdTrack]:
        if key[0] == "account":
            return iter(self.tracks.values())
        members = self._members.get(key, ())
        return (member.track for member in members if member.first_day <= day <= member.last_day)

    def _forget(self, day: int) -> None:
        for known in [known for known in self._sums if known >= day]:
            del self._sums[known]


_LAST_DAY = date.max.toordinal()


def _sum_cells(cells: list[Cell]) -> Cell:
    if not cells:
        return Cell(NOTHING, 0, FOREVER)
    totals, since, until = zip(*cells, strict=True)
    return Cell(add_up(totals), max(since), min(until))


class Ledger:
    """Truth of a whole world. Ids are the platform's; days are account-local."""

    def __init__(self, now: Callable[[], datetime], lock: RLock) -> None:
        self._now = now
        # A judge in one thread may ask while a server in another answers from the same caches.
        self._lock = lock
        self.status_events: list[StatusEvent] = []
        self.books: dict[str, AccountBook] = {}
        self._where: dict[tuple[str, str], str] = {}

    def open_account(self, account_id: str, zone: Zone) -> AccountBook:
        """Start the book of a new account."""
        book = self.books[account_id] = AccountBook(account_id, zone)
        self._where[("account", account_id)] = account_id
        return book

    def record_status(self, event: StatusEvent) -> None:
        """Append one status fact."""
        self._where[(event.level, event.entity_id)] = event.account_id
        self.status_events.append(event)

    def value(self, level: str, entity_id: str, day: Day, at: Instant = None) -> dict[str, int]:
        """V(entity, day, at): the columns by name; all zero when nothing happened."""
        account_id = self._where.get((level, entity_id))
        if account_id is None:
            raise UsageError(f"this world has no {level} {entity_id}")
        return self._total(account_id, level, entity_id, ordinal_of(day), at).as_dict()

    def account_total(self, account_id: str, day: Day, at: Instant = None) -> dict[str, int]:
        """Everything that happened in the account that day, deleted entities included."""
        return self._total(account_id, "account", account_id, ordinal_of(day), at).as_dict()

    def sums(
        self, account_id: str, since: Day, until: Day, at: Instant = None
    ) -> dict[str, dict[str, int]]:
        """Per level: the sum over all entities and days, and how many rows hold anything.

        `reach` is the sum of the rows' reach: right for comparing tables, wrong for people.
        """
        result = {}
        for level in ("campaign", "adset", "ad"):
            sums = dict.fromkeys((*COLUMNS, "reach", "rows"), 0)
            for _, _, totals in self.rows(account_id, level, since, until, at):
                sums["rows"] += 1
                for name, amount in totals.as_dict().items():
                    sums[name] += amount
            result[level] = sums
        return result

    def rows(
        self, account_id: str, level: str, since: Day, until: Day, at: Instant = None
    ) -> Iterator[tuple[str, date, Totals]]:
        """(id, day, numbers) of every entity and day that holds anything."""
        book, stamp = self.book(account_id), self.stamp(at)
        days = range(ordinal_of(since), ordinal_of(until) + 1)
        for entity_id in self.ids(account_id, level):
            for day in days:
                with self._lock:
                    totals = book.total(level, entity_id, day, stamp)
                if not totals.is_nothing:
                    yield entity_id, date.fromordinal(day), totals

    def ids(self, account_id: str, level: str) -> list[str]:
        """Every entity of a level that ever existed in the account, in order of creation."""
        return [
            entity_id
            for (known, entity_id), owner in self._where.items()
            if known == level and owner == account_id
        ]

    def metric_events(self, account_id: str, until: Day) -> Iterator[MetricEvent]:
        """Every metric fact of the account up to a day, one by one, also future ones."""
        for track in self.book(account_id).tracks.values():
            yield from track.events(ordinal_of(until))

    def statuses(self, level: str, entity_id: str) -> list[StatusEvent]:
        """The entity's status facts, oldest first."""
        return [
            event
            for event in self.status_events
            if event.entity_id == entity_id and event.level == level
        ]

    def revise(self, ad_id: str, day: int, at: int, vector: Vector, cause: str) -> None:
        """Append an explicit metric event on an ad's day."""
        book = self.book(self._where[("ad", ad_id)])
        book.revise(ad_id, day, Revision(at, vector, cause))

    def book(self, account_id: str) -> AccountBook:
        """The account's book; UsageError when the world has no such account."""
        try:
            return self.books[account_id]
        except KeyError:
            raise UsageError(f"this world has no account {account_id}") from None

    def stamp(self, at: Instant) -> int:
        """The instant asked for, or now."""
        return micros(self._now() if at is None else at)

    def _total(self, account_id: str, level: str, entity_id: str, day: int, at: Instant) -> Totals:
        with self._lock:
            return self.book(account_id).total(level, entity_id, day, self.stamp(at))
