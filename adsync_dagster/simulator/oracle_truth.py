"""What was true at an instant, in the words of the warehouse."""

from __future__ import annotations

from collections.abc import Iterable

from adsync_dagster.simulator.entities import SimEntity
from adsync_dagster.simulator.instants import DAY, Zone
from adsync_dagster.simulator.ledger import AccountBook
from adsync_dagster.simulator.metrics import Totals
from adsync_dagster.simulator.oracle_records import NO_NUMBERS, EntityKey, Numbers, Status
from adsync_dagster.simulator.world import World

LEVELS = ("campaign", "adset", "ad")
#: A purchase is dated at most this many days after its click (see plans.py).
CARRY_DAYS = 26
_DELIVERING = frozenset({"ACTIVE", "WITH_ISSUES"})


def delivers(status: Status) -> bool:
    """Whether an entity in this status can spend."""
    own, effective = status
    return own in _DELIVERING and (own if effective is None else effective) in _DELIVERING


class Truth:
    """Questions to the world and its ledger."""

    def __init__(self, world: World, window_days: int) -> None:
        self.world = world
        self.window_days = window_days

    def find(self, key: EntityKey) -> SimEntity | None:
        """The entity, if this world ever had it in that account and at that level."""
        account, level, platform_id = key
        known = self.world.accounts.get(account)
        return None if known is None else known.entities[level].get(platform_id)

    def keys(self, account: str, level: str) -> list[EntityKey]:
        """Every entity of a level that ever existed."""
        return [(account, level, id_) for id_ in self.world.accounts[account].entities[level]]

    def status(self, key: EntityKey, at: int) -> Status | None:
        """Own and effective status at an instant; None before the entity existed."""
        entity = self.find(key)
        version = None if entity is None else entity.at(at)
        return None if version is None else (version.own, version.effective)

    def statuses_until(self, key: EntityKey, at: int) -> set[Status]:
        """Every pair of statuses the entity ever had up to an instant."""
        entity = self.find(key)
        versions = [] if entity is None else entity.versions
        return {(version.own, version.effective) for version in versions if version.at <= at}

    def numbers(self, key: EntityKey, day: int, at: int) -> Numbers:
        """V(entity, day, at); all zero when a report would have no row."""
        return as_numbers(self.book(key[0]).total(key[1], key[2], day, at))

    def account_total(self, account: str, day: int, at: int) -> Numbers:
        """The account's own total, unseen entities included."""
        return total_of(as_numbers(self.book(account).total("account", account, day, at)))

    def book(self, account: str) -> AccountBook:
        """The account's book."""
        return self.world.ledger.book(account)

    def zone(self, account: str) -> Zone:
        """The account's time zone."""
        return self.world.accounts[account].zone

    def settled_at(self, account: str, day: int) -> int:
        """The stamp from which on the platform promises not to change the day any more."""
        return self.zone(account).end(day) + self.window_days * DAY

    def below(self, key: EntityKey) -> set[EntityKey]:
        """The entity and everything under it now."""
        entity = self.find(key)
        if entity is None:
            return set()
        found = {key}
        for child in entity.children:
            found |= self.below((key[0], child.level, child.id))
        return found


def as_numbers(totals: Totals) -> Numbers:
    """A ledger total in the order of the warehouse's columns."""
    if totals.is_nothing:
        return NO_NUMBERS
    impressions, clicks, links, spend, conversions, value = totals.vector[:6]
    return (impressions, clicks, links, spend, totals.reach, conversions, value)


def total_of(numbers: Numbers) -> Numbers:
    """The five columns that account totals have."""
    return (numbers[0], numbers[1], numbers[3], numbers[5], numbers[6])


def add_totals(many: Iterable[Numbers]) -> Numbers:
    """The sum of five-column totals."""
    sums = [0, 0, 0, 0, 0]
    for numbers in many:
        for index, amount in enumerate(numbers):
            sums[index] += int(amount)
    return tuple(sums)
