"""Builds the people and history of an account: names, budgets, and who was stopped when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Any

from adsync_dagster.errors import UsageError
from adsync_dagster.simulator.bulk import BulkTrack
from adsync_dagster.simulator.entities import SimAccount, SimEntity
from adsync_dagster.simulator.instants import DAY, HOUR, SECOND, instant_of

if TYPE_CHECKING:
    from adsync_dagster.simulator.world import World

_SEASONS = ("Spring", "Summer", "Autumn", "Winter", "Launch", "Always on", "Clearance", "Brand")
_AUDIENCES = ("US 25-44", "Lookalike 1%", "Retargeting 30d", "Broad", "Newsletter", "Interest")
_FORMATS = ("Video", "Carousel", "Static", "Collection", "Story")
_OBJECTIVES = ("OUTCOME_SALES", "OUTCOME_SALES", "OUTCOME_TRAFFIC", "OUTCOME_LEADS")
#: How an object that history stopped was stopped: half paused, the rest archived or deleted.
_STOPS = ("PAUSED", "PAUSED", "ARCHIVED", "DELETED")
_STOP_SHARE = {"campaign": 0.05, "adset": 0.06, "ad": 0.09}


@dataclass(frozen=True, slots=True)
class Size:
    """How large an account is."""

    campaigns: int
    adsets: int
    ads: int
    history_days: int
    stopped: bool = True

    def __post_init__(self) -> None:
        if self.history_days < 1 or min(self.campaigns, self.adsets, self.ads) < 0:
            raise UsageError("an account needs at least one day of history and no negative counts")
        if (self.ads and not self.adsets) or (self.adsets and not self.campaigns):
            raise UsageError("ads need an ad set, and ad sets a campaign")


@dataclass(frozen=True, slots=True)
class _Planned:
    """An object to be created, and what becomes of it. Times are stamps."""

    level: str
    index: int
    parent: int
    name: str
    created_at: int
    stops: tuple[tuple[int, str], ...]
    traits: dict[str, Any]
    daily_budget: int | None


def populate(world: World, account: SimAccount, size: Size) -> None:
    """Create an account's objects over its history and stop some of them, in order of time."""
    random = Random(f"population {world.seed} {account.id}")
    plans = _Planner(random, account, world.now(), size.stopped).objects(size)
    built: dict[tuple[str, int], SimEntity] = {}
    steps: list[tuple[int, int, Callable[[], None]]] = []
    for plan in plans:
        steps.append((plan.created_at, len(steps), _creation(world, account, plan, built)))
        for at, status in plan.stops:
            steps.append((at, len(steps), _switch(world, plan, status, built, at)))
    for _, _, step in sorted(steps, key=lambda entry: entry[:2]):
        step()


def populate_bulk(world: World, account: SimAccount, size: Size) -> None:
    """Create an account whose ads all have settled numbers on every day of its history."""
    at = instant_of(account.created_at)
    today = account.zone.day(world.now())
    first_day = today - size.history_days
    campaigns = [
        world.create_entity(account, "campaign", None, f"Campaign {i + 1}", at=at)
        for i in range(size.campaigns)
    ]
    adsets = [
        world.create_entity(account, "adset", campaigns[i % size.campaigns], f"Set {i + 1}", at=at)
        for i in range(size.adsets)
    ]
    book = world.ledger.book(account.id)
    for i in range(size.ads):
        ad = world.create_entity(
            account, "ad", adsets[i % size.adsets], f"Ad {i + 1}", at=at, bulk_from=first_day
        )
        track = book.tracks[ad.id]
        if isinstance(track, BulkTrack):
            _draw_history(track, Random(f"bulk {world.seed} {ad.id}"), size.history_days)


def _draw_history(track: BulkTrack, random: Random, days: int) -> None:
    """Final numbers for every day, none of them empty."""
    draw, unit, profile = random.random, track.profile.unit_micros, track.profile
    for _ in range(days):
        impressions = 1 + int(profile.impressions * (0.5 + draw()))
        clicks = int(impressions * profile.click_rate)
        links = clicks * 4 // 5
        spend = (1 + int(impressions * profile.cpm_units / 1000)) * unit
        one_click, one_view, rest = int(3 * draw()), int(1.3 * draw()), int(1.5 * draw())
        value = int(profile.order_units * (0.5 + draw())) * unit
        track.append_day(
            (
                impressions, clicks, links, spend,
                one_click + one_view + rest, (one_click + one_view + rest) * value,
                one_click, one_view, 0, one_click * value, one_view * value, 0,
            ),
            max(1, impressions * 4 // 5),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Planner:
    """Draws the objects of one account."""

    random: Random
    account: SimAccount
    now: int
    stopped: bool

    def objects(self, size: Size) -> list[_Planned]:
        counts = (("campaign", size.campaigns), ("adset", size.adsets), ("ad", size.ads))
        planned: list[_Planned] = []
        above: list[_Planned] = []
        for level, count in counts:
            above = [self._object(level, index, above) for index in range(count)]
            planned.extend(above)
        return planned

    def _object(self, level: str, index: int, above: list[_Planned]) -> _Planned:
        random = self.random
        parent, floor = -1, self.account.created_at
        if above:
            # The first objects fill every parent once; the rest spread unevenly, as people do.
            spread = int(len(above) * random.random() * random.random())
            parent = index if index < len(above) else spread
            floor = above[parent].created_at + 60 * SECOND
        late = random.random()
        wait = 0 if late < 0.6 else int((self.now - floor) * (late - 0.6) * 1.8)
        created_at = min(floor + wait + int(random.random() * HOUR), self.now - HOUR)
        created_at = max(created_at, floor)
        created_at -= created_at % SECOND
        name, traits, budget = _name(random, level, index), _traits(random, level, index), None
        if level != "ad" and random.random() < 0.5:
            budget = 1_000 + 500 * int(40 * random.random())
        stops = _plan_stops(random, level, created_at, self.now) if self.stopped else ()
        if level == "campaign" and self.account.platform == "tiktok":
            stops = tuple((at, "PAUSED" if word == "ARCHIVED" else word) for at, word in stops)
        if self.account.platform == "google_ads":
            stops = tuple((at, "DELETED" if word == "ARCHIVED" else word) for at, word in stops)
        return _Planned(level, index, parent, name, created_at, stops, traits, budget)


def _plan_stops(
    random: Random, level: str, created_at: int, now: int
) -> tuple[tuple[int, str], ...]:
    """Switch flips: some objects stop for good, a few pause and come back."""
    room = now - created_at - 3 * DAY
    pick, when = random.random(), random.random()
    if room <= 0 or pick > _STOP_SHARE[level] + 0.02:
        return ()
    at = created_at + 2 * DAY + int(room * when)
    at -= at % SECOND
    if pick > _STOP_SHARE[level]:
        # A history ends before it is told: what comes later would already be true.
        back = min(at + int(8 * HOUR + 30 * HOUR * random.random()), now - HOUR)
        return ((at, "PAUSED"), (back, "ACTIVE"))
    final = _STOPS[int(random.random() * len(_STOPS))]
    if final != "PAUSED" and random.random() < 0.5:
        return ((at - 12 * HOUR, "PAUSED"), (at, final))
    return ((at, final),)


def _name(random: Random, level: str, index: int) -> str:
    words = {"campaign": _SEASONS, "adset": _AUDIENCES, "ad": _FORMATS}[level]
    return f"{words[int(random.random() * len(words))]} {index + 1:03d}"


def _traits(random: Random, level: str, index: int) -> dict[str, Any]:
    if level == "campaign":
        return {"objective": _OBJECTIVES[int(random.random() * len(_OBJECTIVES))]}
    if level == "adset":
        return {"optimization_goal": "OFFSITE_CONVERSIONS", "billing_event": "IMPRESSIONS"}
    return {"creative_id": f"1203{index + 1:012d}"}


def _creation(
    world: World, account: SimAccount, plan: _Planned, built: dict[tuple[str, int], SimEntity]
) -> Callable[[], None]:
    above = {"campaign": "", "adset": "campaign", "ad": "adset"}[plan.level]

    def create() -> None:
        built[(plan.level, plan.index)] = world.create_entity(
            account,
            plan.level,
            built.get((above, plan.parent)),
            plan.name,
            daily_budget=plan.daily_budget,
            traits=plan.traits,
            at=instant_of(plan.created_at),
        )

    return create


def _switch(
    world: World,
    plan: _Planned,
    status: str,
    built: dict[tuple[str, int], SimEntity],
    at: int,
) -> Callable[[], None]:
    when: datetime = instant_of(at)

    def switch() -> None:
        world.set_status(plan.level, built[(plan.level, plan.index)].id, status, at=when)

    return switch
