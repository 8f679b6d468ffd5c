"""What was true at an instant, in the words of the warehouse."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from adsync_dagster.simulator.entities import SimEntity
from adsync_dagster.simulator.google_ads_fields import channel_of
from adsync_dagster.simulator.instants import DAY, Zone
from adsync_dagster.simulator.ledger import AccountBook
from adsync_dagster.simulator.oracle_platforms import (
    WHOLE,
    is_listed,
    is_without_rows,
    shown_numbers,
    shown_status,
)
from adsync_dagster.simulator.oracle_records import EntityKey, Numbers, Status
from adsync_dagster.simulator.world import World

LEVELS = ("campaign", "adset", "ad")
#: A purchase is dated at most this many days after its click (see plans.py).
CARRY_DAYS = 26
TIKTOK_ADS_MAX = 20_000
_DELIVERING = frozenset({"ACTIVE", "WITH_ISSUES"})


def delivers(status: Status) -> bool:
    """Whether an entity in this status can spend."""
    own, effective = status
    return own in _DELIVERING and (own if effective is None else effective) in _DELIVERING


class Truth:
    """Questions to the world and its ledger."""

    def __init__(
        self, world: World, credit: int = WHOLE, tiktok_ads_max: int = TIKTOK_ADS_MAX
    ) -> None:
        self.world = world
        #: A TikTok report that covers this many ads considers only the newest of them.
        self.tiktok_ads_max = tiktok_ads_max
        #: What a conversion counts for on Google Ads, in millionths.
        self.credit = credit

    def platform(self, account: str) -> str:
        """The account's platform."""
        return self.world.accounts[account].platform

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
        if version is None:
            return None
        return shown_status(self.platform(key[0]), (version.own, version.effective))

    def is_listed(self, key: EntityKey, at: int) -> bool:
        """Whether a whole list taken at that instant has to show the entity."""
        entity, status = self.find(key), self.status(key, at)
        if entity is None or status is None:
            return False
        return is_listed(self.world.accounts[key[0]], entity, status)

    def is_without_rows(self, key: EntityKey) -> bool:
        """Whether the platform shows neither the entity nor its numbers, ever."""
        entity = self.find(key)
        return entity is not None and is_without_rows(self.world.accounts[key[0]], entity)

    def is_beyond_reports(self, key: EntityKey) -> bool:
        """Whether no report can be trusted to show the entity: a declared limit (docs/tiktok.md).

        It is TikTok's, deleted, and has so many ads that only a report task takes it, which may
        hide what is deleted.
        """
        status = self.status(key, self.world.now())
        if self.platform(key[0]) != "tiktok" or status is None or "DELETED" not in status:
            return False
        ads = sum(level == "ad" for _, level, _ in self.below(key))
        return ads >= self.tiktok_ads_max

    def statuses_until(self, key: EntityKey, at: int) -> set[Status]:
        """Every pair of statuses the entity ever had up to an instant."""
        entity = self.find(key)
        versions = [] if entity is None else entity.versions
        platform = self.platform(key[0])
        return {
            shown_status(platform, (version.own, version.effective))
            for version in versions
            if version.at <= at
        }

    def numbers(self, key: EntityKey, day: int, at: int) -> Numbers:
        """V(entity, day, at); all zero when a report would have no row."""
        totals = self.book(key[0]).total(key[1], key[2], day, at)
        return shown_numbers(self.platform(key[0]), totals, self.credit)

    def account_total(self, account: str, day: int, at: int) -> Numbers:
        """The account's own total, unseen entities included."""
        return total_of(self.numbers((account, "account", account), day, at))

    def campaigns_only(self, account: str, day: int, at: int) -> Numbers:
        """What of the account's total only campaigns show: the share of Performance Max."""
        campaigns = self.world.accounts[account].entities["campaign"].values()
        keys = [(account, "campaign", one.id) for one in campaigns if _is_performance_max(one)]
        return add_totals(total_of(self.numbers(key, day, at)) for key in keys)

    def book(self, account: str) -> AccountBook:
        """The account's book."""
        return self.world.ledger.book(account)

    def zone(self, account: str) -> Zone:
        """The account's time zone."""
        return self.world.accounts[account].zone

    def settled_at(self, account: str, day: int) -> int:
        """The stamp from which on the platform promises not to change the day any more."""
        return self.zone(account).end(day) + self.world.accounts[account].window_days * DAY

    def below(self, key: EntityKey) -> set[EntityKey]:
        """The entity and everything under it now."""
        entity = self.find(key)
        if entity is None:
            return set()
        found = {key}
        for child in entity.children:
            found |= self.below((key[0], child.level, child.id))
        return found


def _is_performance_max(campaign: SimEntity) -> bool:
    return channel_of(campaign) == "PERFORMANCE_MAX"


def total_of(numbers: Numbers) -> Numbers:
    """The five columns that account totals have."""
    return (numbers[0], numbers[1], numbers[3], numbers[5], numbers[6])


def add_totals(many: Iterable[Numbers]) -> Numbers:
    """The sum of five-column totals."""
    sums: list[int | Decimal] = [0, 0, 0, 0, 0]
    for numbers in many:
        for index, amount in enumerate(numbers):
            sums[index] += amount
    return tuple(sums)
