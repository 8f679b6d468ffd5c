"""A world: ad accounts, their entities and the clock, built from a seed and moved by actions.

    world = World(seed=7, clock=VirtualClock(...))
    world.add_facebook_account("act_501", timezone="America/New_York")
    world.pause("campaign", campaign_id)
    world.ledger.value("campaign", campaign_id, day)

All metrics are functions of virtual time: move the clock, and more of them has happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from adsync_dagster.clock import FileClock, VirtualClock
from adsync_dagster.errors import UsageError
from adsync_dagster.simulator.actions import Actions
from adsync_dagster.simulator.bulk import BulkTrack
from adsync_dagster.simulator.entities import (
    Activity,
    SimAccount,
    SimEntity,
    Version,
    effective_status,
)
from adsync_dagster.simulator.instants import Zone, instant_of
from adsync_dagster.simulator.ledger import StatusEvent
from adsync_dagster.simulator.plans import AdProfile, draw_profile
from adsync_dagster.simulator.population import Size, populate, populate_bulk
from adsync_dagster.simulator.tracks import AdTrack

#: Currencies that Meta counts in whole major units; all others have a hundred minor units.
META_OFFSET_ONE = frozenset(
    {"CLP", "COP", "CRC", "HUF", "IDR", "ISK", "JPY", "KRW", "PYG", "TWD", "VND"}
)


@dataclass(frozen=True, slots=True)
class EntityView:
    """What is true of an entity now, for judges."""

    level: str
    id: str
    name: str
    own: str
    effective: str
    campaign_id: str
    #: None for a campaign.
    adset_id: str | None
    created_at: datetime
    updated_at: datetime


class World(Actions):
    """Accounts of any platform under one clock. See Actions for the verbs."""

    def add_account(
        self,
        platform: str,
        account_id: str,
        name: str = "Shop",
        currency: str = "USD",
        timezone: str = "America/New_York",
        *,
        campaigns: int = 40,
        adsets: int = 150,
        ads: int = 600,
        history_days: int = 90,
        stopped: bool = True,
    ) -> SimAccount:
        """Add an account of a platform, by its key, with history up to now.

        About a sixth of its objects are already paused, archived or deleted, as in real
        accounts, unless `stopped` is False.
        """
        with self.acting():
            account = self._open(
                account_id, name, currency, timezone, history_days, platform=platform
            )
            size = Size(campaigns, adsets, ads, history_days, stopped=stopped)
            populate(self, account, size)
            return account

    def add_facebook_account(
        self,
        account_id: str = "act_501",
        name: str = "Shop US",
        currency: str = "USD",
        timezone: str = "America/New_York",
        **sizes: Any,
    ) -> SimAccount:
        """Add a Meta account; for the sizes see add_account."""
        return self.add_account("facebook", account_id, name, currency, timezone, **sizes)

    def add_tiktok_account(
        self,
        account_id: str = "7010000000000000501",
        name: str = "Shop TT",
        currency: str = "USD",
        timezone: str = "America/Los_Angeles",
        **sizes: Any,
    ) -> SimAccount:
        """Add a TikTok advertiser; for the sizes see add_account.

        TikTok has no archive: what is ARCHIVED is an ad group or ad that it froze.
        """
        return self.add_account("tiktok", account_id, name, currency, timezone, **sizes)

    def add_google_ads_account(
        self,
        account_id: str = "5015015011",
        name: str = "Shop Search",
        currency: str = "USD",
        timezone: str = "America/New_York",
        *,
        performance_max: int = 0,
        **sizes: Any,
    ) -> SimAccount:
        """Add a Google Ads account; for the sizes see add_account.

        Ad sets are its ad groups; an ad's id is its key, `ad_group~ad`. The first
        `performance_max` campaigns are of that kind: what delivers in them is no ad.
        """
        account = self.add_account("google_ads", account_id, name, currency, timezone, **sizes)
        for campaign in list(account.entities["campaign"].values())[:performance_max]:
            campaign.traits["channel_type"] = "PERFORMANCE_MAX"
        return account

    def add_bulk_facebook_account(
        self,
        account_id: str = "act_900",
        name: str = "Bulk",
        currency: str = "USD",
        timezone: str = "America/New_York",
        *,
        campaigns: int = 200,
        adsets: int = 2_000,
        ads: int = 10_000,
        history_days: int = 100,
    ) -> SimAccount:
        """Add a Meta account with a large settled history: a row per ad and day up to yesterday.

        Its ads deliver nothing after the building instant; actions work as on any account.
        """
        with self.acting():
            account = self._open(account_id, name, currency, timezone, history_days + 1)
            size = Size(campaigns, adsets, ads, history_days, stopped=False)
            populate_bulk(self, account, size)
            return account

    def create_campaign(self, account_id: str, name: str, **details: Any) -> str:
        """Create a campaign and return its id. For details see create_ad."""
        return self.create_entity(self.account(account_id), "campaign", None, name, **details).id

    def create_adset(self, campaign_id: str, name: str, **details: Any) -> str:
        """Create an ad set and return its id. For details see create_ad."""
        campaign = self.entity("campaign", campaign_id)
        account = self.account(campaign.account_id)
        return self.create_entity(account, "adset", campaign, name, **details).id

    def create_ad(self, adset_id: str, name: str, **details: Any) -> str:
        """Create an ad and return its id.

        Details: status (own), hold, daily_budget (minor units), entity_id, traits, at, and
        for ads profile (an AdProfile).
        """
        adset = self.entity("adset", adset_id)
        account = self.account(adset.account_id)
        return self.create_entity(account, "ad", adset, name, **details).id

    def move_clock(self, instant: datetime) -> None:
        """Set the virtual clock, for every process when it stands in a file."""
        clock = self.clock
        if isinstance(clock, FileClock):
            clock.set(instant)
        elif isinstance(clock, VirtualClock):
            clock.instant = instant
        else:
            raise UsageError("the system's clock cannot be moved; start with a virtual one")

    def advance(self, *, days: float = 0, hours: float = 0, seconds: float = 0) -> None:
        """Move the virtual clock forward."""
        step = timedelta(days=days, hours=hours, seconds=seconds)
        self.move_clock(self.clock.now() + step)

    # Queries for judges

    def entities(self, account_id: str, level: str) -> list[EntityView]:
        """Every entity of a level that ever existed, with what is true of it now."""
        return [self._view(entity) for entity in self.account(account_id).entities[level].values()]

    def transitions(self, account_id: str) -> list[StatusEvent]:
        """Every status fact of the account, cascades included, oldest first."""
        return [event for event in self.ledger.status_events if event.account_id == account_id]

    def today(self, account_id: str) -> int:
        """The ordinal of the account-local day it is now."""
        return self.account(account_id).zone.day(self.now())

    def warm(self, account_id: str, days: int = 90) -> int:
        """Evaluate the ledger's last days once, so that the first report is as fast as others."""
        today, now = self.today(account_id), self.now()
        book = self.ledger.book(account_id)
        cells = 0
        for track in book.tracks.values():
            for day in range(today - days + 1, today + 1):
                track.cell(day, now)
                cells += 1
        return cells

    def _view(self, entity: SimEntity) -> EntityView:
        version = entity.now
        chain = [*self.ancestors(entity), entity]
        return EntityView(
            entity.level,
            entity.id,
            version.name,
            version.own,
            version.effective,
            chain[0].id,
            chain[1].id if len(chain) > 1 else None,
            instant_of(entity.created_at),
            instant_of(version.updated_at),
        )

    # Building

    def _open(
        self,
        account_id: str,
        name: str,
        currency: str,
        timezone: str,
        days: int,
        *,
        platform: str = "facebook",
    ) -> SimAccount:
        if account_id in self.accounts:
            raise UsageError(f"this world already has the account {account_id}")
        zone = Zone(timezone)
        unit = 1_000_000 if currency in META_OFFSET_ONE else 10_000
        created_at = zone.start(zone.day(self.now()) - max(days - 1, 0))
        account = SimAccount(platform, account_id, name, currency, timezone, zone, unit, created_at)
        self.accounts[account_id] = account
        self.activities[account_id] = []
        self.ledger.open_account(account_id, zone)
        return account

    def create_entity(
        self,
        account: SimAccount,
        level: str,
        parent: SimEntity | None,
        name: str,
        *,
        status: str = "ACTIVE",
        hold: str | None = None,
        daily_budget: int | None = None,
        entity_id: str | None = None,
        traits: dict[str, Any] | None = None,
        profile: AdProfile | None = None,
        at: datetime | None = None,
        bulk_from: int | None = None,
    ) -> SimEntity:
        """Create an entity of any level. `bulk_from` is the first day of a drawn history."""
        with self.acting():
            stamp = self._stamp(at)
            sequence = len(account.entities[level]) + 1
            new_id = entity_id or self._new_id(account, level, sequence)
            if account.platform == "google_ads" and level == "ad" and parent is not None:
                new_id = f"{parent.id}~{new_id.rpartition('~')[2]}"
            if self.find(new_id) is not None:
                raise UsageError(f"the id {new_id} is taken")
            lineage = [] if parent is None else [*self.ancestors(parent), parent]
            effective = effective_status(
                status, hold, [(above.level, above.now.own) for above in lineage]
            )
            parent_id = parent.id if parent is not None else None
            first = Version(stamp, name, status, effective, stamp, parent_id, daily_budget, hold)
            entity = SimEntity(level, new_id, account.id, sequence, stamp, [first])
            entity.traits.update(traits or {})
            account.entities[level][new_id] = self._entities[(level, new_id)] = entity
            if parent is not None:
                parent.children.append(entity)
            if level == "ad":
                self._open_track(account, entity, profile, bulk_from)
            self._record(entity, stamp, "created")
            self._log(stamp, "create", entity, None, status)
            return entity

    def _open_track(
        self,
        account: SimAccount,
        ad: SimEntity,
        profile: AdProfile | None,
        bulk_from: int | None,
    ) -> None:
        own = ad.id.rpartition("~")[2]
        number = int(own) if own.isdigit() else hash_text(ad.id)
        seed = self.seed * 1_000_000_007 + number
        if profile is None:
            profile = draw_profile(Random(seed), seed=seed, unit_micros=account.unit_micros)
        track = (
            AdTrack(account.id, ad.id, profile, account.zone)
            if bulk_from is None
            else BulkTrack(account.id, ad.id, profile, account.zone, bulk_from)
        )
        campaign, adset = self.ancestors(ad)
        book = self.ledger.book(account.id)
        book.add_track(track, account.zone.day(ad.created_at), adset.id, campaign.id)
        self._set_live(account, ad, ad.created_at)

    def _new_id(self, account: SimAccount, level: str, sequence: int) -> str:
        """Eighteen digits, as Meta's are now: more than a float can hold."""
        number = list(self.accounts).index(account.id) + 1
        digit = {"campaign": 1, "adset": 2, "ad": 3}[level]
        return f"1202{number:04d}{digit}{sequence:08d}{(sequence * 7 + 3) % 10}"

    def history(self, account_id: str) -> Iterator[Activity]:
        """The account's own change history, newest first."""
        return reversed(self.activities[account_id])


def hash_text(text: str) -> int:
    """A number from text that is the same in every process."""
    return int.from_bytes(text.encode()[:16], "big")
