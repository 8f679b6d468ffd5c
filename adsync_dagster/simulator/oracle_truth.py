"""What was true at an instant, in the words of the warehouse."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from adsync_dagster.simulator.entities import Activity, SimEntity
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
TIKTOK_ADS_MAX = 20_000
#: So much of a change history is asked for at most; a few hours less, whatever the zone.
HISTORY_DAYS = 29
_DELIVERING = frozenset({"ACTIVE", "WITH_ISSUES"})


def can_spend(word: str | None) -> bool:
    """Whether a word for the own or the effective status is one of those that let money go."""
    return word in _DELIVERING


def delivers(status: Status) -> bool:
    """Whether an entity in this status can spend."""
    own, effective = status
    return can_spend(own) and can_spend(own if effective is None else effective)


def is_on(own: object) -> bool:
    """Whether a switch is on. Of histories, Meta's tells no more of a status than that."""
    return own == "ACTIVE"


class Truth:
    """Questions to the world and its ledger."""

    def __init__(
        self,
        world: World,
        credit: int = WHOLE,
        tiktok_ads_max: int = TIKTOK_ADS_MAX,
        *,
        margin_days: int = 0,
        history_days: int = 0,
        history_lag: int = 0,
    ) -> None:
        self.world = world
        #: What is waited beyond a platform's window before a day is sealed.
        self.margin = margin_days * DAY
        #: How far back Meta's activity log goes, and how late Google's shows a change.
        self.history_days, self.history_lag = history_days, history_lag
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
        """Whether no report can be trusted to show all of the entity: a declared limit.

        It is TikTok's, and it or something under it is deleted and has so many ads that only a
        report task takes it, which may hide what is deleted (docs/tiktok.md).
        """
        if self.platform(key[0]) != "tiktok":
            return False
        return any(self._is_too_large(one) for one in self.below(key))

    def _is_too_large(self, key: EntityKey) -> bool:
        status = self.status(key, self.world.now())
        ads = sum(level == "ad" for _, level, _ in self.below(key))
        return status is not None and "DELETED" in status and ads >= self.tiktok_ads_max

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

    def sealable_at(self, account: str, day: int) -> int:
        """The stamp from which on a read of the day is final: the window, and the margin."""
        return self.settled_at(account, day) + self.margin

    def parents(self, key: EntityKey, at: int) -> tuple[str | None, str | None]:
        """The entity's parent and its campaign at an instant; a campaign has neither."""
        entity = self.find(key)
        version = None if entity is None else entity.at(at)
        if version is None or version.parent_id is None:
            return None, None
        if key[1] == "adset":
            return version.parent_id, version.parent_id
        return version.parent_id, self.parents((key[0], "adset", version.parent_id), at)[0]

    def switches(self, key: EntityKey) -> list[Activity]:
        """Every change of the entity's own status, in the order of events."""
        return [one for one in self._switches(key[0]) if (one.level, one.entity_id) == key[1:]]

    def _switches(self, account: str) -> list[Activity]:
        return [one for one in self.world.activities[account] if one.kind == "status"]

    def told_between(self, account: str, since: int, until: int) -> list[Activity]:
        """What was created or given another status after one instant and up to another, as far
        as the platform's own history tells it."""
        platform, now = self.platform(account), self.world.now()
        if platform == "tiktok":
            return []
        kept = self.history_days if platform == "facebook" else HISTORY_DAYS
        if platform == "google_ads":
            # What was too fresh to be shown at one instant is told by the next.
            since, until = since - self.history_lag, until - self.history_lag
        since = max(since, now - min(kept, HISTORY_DAYS) * DAY)
        return [
            one
            for one in self.world.activities[account]
            if since < one.at <= until and one.kind in {"create", "status"}
        ]

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
