"""What happens in a world at the current instant: people flip switches, numbers get revised.

Every action is one entry in the account's own change history plus the status facts it
causes, cascades included. `at` exists for building history; leave it out otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from threading import RLock
from typing import Any

from adsync_dagster.clock import Clock, VirtualClock, parse_instant
from adsync_dagster.errors import UsageError
from adsync_dagster.simulator.entities import (
    LEVELS,
    OWN_STATUSES,
    Activity,
    SimAccount,
    SimEntity,
    effective_status,
)
from adsync_dagster.simulator.instants import DAY, micros, ordinal_of
from adsync_dagster.simulator.ledger import Day, Ledger, StatusEvent
from adsync_dagster.simulator.metrics import (
    CLICKS,
    IMPRESSIONS,
    LINK_CLICKS,
    SPEND,
    WIDTH,
    conversion_vector,
    fraction_of,
)

#: Effective statuses under which an ad spends.
DELIVERING = frozenset({"ACTIVE", "WITH_ISSUES"})
_START = "2026-11-20T12:00:00+00:00"


class Actions:
    """The state of a world and the verbs that change it. `World` adds building and queries."""

    def __init__(self, seed: int = 0, clock: Clock | None = None) -> None:
        self.seed = seed
        self.clock: Clock = clock or VirtualClock(parse_instant(_START))
        #: Taken by every request, action and judge's question: threads see whole actions.
        self.lock = RLock()
        self.ledger = Ledger(self.clock.now, self.lock)
        self.accounts: dict[str, SimAccount] = {}
        self.activities: dict[str, list[Activity]] = {}
        #: Grows with every action; nothing but the clock changes an answer while it stands.
        self.revision = 0
        self._entities: dict[tuple[str, str], SimEntity] = {}

    def now(self) -> int:
        """The current virtual instant as a stamp."""
        return micros(self.clock.now())

    def account(self, account_id: str) -> SimAccount:
        """The account; UsageError when there is none."""
        try:
            return self.accounts[account_id]
        except KeyError:
            raise UsageError(f"this world has no account {account_id}") from None

    def entity(self, level: str, entity_id: str) -> SimEntity:
        """The entity, deleted ones included; UsageError when there never was one."""
        try:
            return self._entities[(level, entity_id)]
        except KeyError:
            raise UsageError(f"this world has no {level} {entity_id}") from None

    def find(self, entity_id: str) -> SimEntity | None:
        """The entity of any level with that id, or None."""
        for level in LEVELS:
            found = self._entities.get((level, entity_id))
            if found is not None:
                return found
        return None

    def ancestors(self, entity: SimEntity) -> list[SimEntity]:
        """The entity's campaign and ad set, as far as it has them, top first."""
        chain: list[SimEntity] = []
        parent_level = {"ad": "adset", "adset": "campaign"}
        level, parent_id = entity.level, entity.now.parent_id
        while parent_id is not None:
            level = parent_level[level]
            parent = self.entity(level, parent_id)
            chain.insert(0, parent)
            parent_id = parent.now.parent_id
        return chain

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Change the world: whole for every reader, and noted in `revision`."""
        with self.lock:
            self.revision += 1
            yield

    # Switches

    def pause(self, level: str, entity_id: str, *, at: datetime | None = None) -> None:
        """Switch an entity off. Delivery of its ads ends at this instant."""
        self.set_status(level, entity_id, "PAUSED", at=at)

    def resume(self, level: str, entity_id: str, *, at: datetime | None = None) -> None:
        """Switch a paused entity on again."""
        self.set_status(level, entity_id, "ACTIVE", at=at)

    def archive(self, level: str, entity_id: str, *, at: datetime | None = None) -> None:
        """Archive an entity: lists omit it unless asked; only deleting remains possible."""
        self.set_status(level, entity_id, "ARCHIVED", at=at)

    def delete(self, level: str, entity_id: str, *, at: datetime | None = None) -> None:
        """Delete an entity: lists never show it again, reading it by id still works."""
        self.set_status(level, entity_id, "DELETED", at=at)

    def resurrect(self, level: str, entity_id: str) -> None:
        """Bring an archived or deleted entity back: a platform bug, as it has been seen.

        UsageError on Google Ads, where a removal is for ever.
        """
        if self._platform_of(level, entity_id) == "google_ads":
            raise UsageError("what Google removed never comes back")
        self.set_status(level, entity_id, "ACTIVE", force=True)

    def set_status(
        self,
        level: str,
        entity_id: str,
        status: str,
        *,
        at: datetime | None = None,
        force: bool = False,
    ) -> None:
        """Set an entity's own status; UsageError for a step the platform does not allow."""
        with self.acting():
            entity, stamp = self.entity(level, entity_id), self._stamp(at)
            old = entity.now.own
            if status not in OWN_STATUSES:
                raise UsageError(
                    f"{status!r} is not a status; use one of {', '.join(OWN_STATUSES)}"
                )
            if not force and (old == "DELETED" or (old == "ARCHIVED" and status != "DELETED")):
                raise UsageError(f"{level} {entity_id} is {old} and cannot become {status}")
            if old == status:
                return
            if status == "ARCHIVED" and not _can_archive(self.account(entity.account_id), level):
                raise UsageError("there is no archive for it; pause the campaign, or delete it")
            self._log(stamp, "status", entity, old, status)
            entity.push(stamp, own=status, updated_at=stamp)
            self._settle_status(entity, stamp, f"{level} {status.lower()}", own_changed=True)

    def set_hold(self, level: str, entity_id: str, hold: str | None) -> None:
        """Put an entity under review, disapprove it, or let it go (None)."""
        with self.acting():
            entity, stamp = self.entity(level, entity_id), self._stamp(None)
            entity.push(stamp, hold=hold)
            self._settle_status(entity, stamp, f"hold {hold or 'lifted'}", own_changed=False)

    def set_account_status(self, account_id: str, status: int) -> None:
        """Set the platform's account status code; a disabled account's ads stop delivering."""
        with self.acting():
            account, stamp = self.account(account_id), self._stamp(None)
            account.status = status
            for ad in account.entities["ad"].values():
                self._set_live(account, ad, stamp)

    # Descriptions

    def rename(self, level: str, entity_id: str, name: str) -> None:
        """Give an entity another name; allowed even when it is deleted."""
        with self.acting():
            entity, stamp = self.entity(level, entity_id), self._stamp(None)
            self._log(stamp, "name", entity, entity.now.name, name)
            entity.push(stamp, name=name, updated_at=stamp)

    def set_budget(self, level: str, entity_id: str, daily_budget: int) -> None:
        """Set a daily budget in minor units. A campaign's updated_time does not move."""
        if level == "ad":
            raise UsageError("an ad has no budget; set it on its campaign or ad set")
        with self.acting():
            entity, stamp = self.entity(level, entity_id), self._stamp(None)
            self._log(stamp, "budget", entity, entity.now.daily_budget, daily_budget)
            updated_at = entity.now.updated_at if level == "campaign" else stamp
            entity.push(stamp, daily_budget=daily_budget, updated_at=updated_at)

    def reparent(self, level: str, entity_id: str, parent_id: str) -> None:
        """Move an ad to another ad set, or an ad set to another campaign.

        Days that already began keep counting for the old parents. UsageError on TikTok and
        Google Ads, where a child belongs to its parent for ever.
        """
        if self._platform_of(level, entity_id) != "facebook":
            raise UsageError("only Meta moves entities to other parents")
        with self.acting():
            entity, stamp = self.entity(level, entity_id), self._stamp(None)
            old = self.ancestors(entity)[-1]
            new = self.entity(old.level, parent_id)
            old.children.remove(entity)
            new.children.append(entity)
            entity.push(stamp, parent_id=new.id, updated_at=stamp)
            book = self.ledger.book(entity.account_id)
            for ad in [entity] if level == "ad" else entity.children:
                campaign, adset = self.ancestors(ad)
                book.move_track(ad.id, book.zone.day(stamp) + 1, adset.id, campaign.id)
            self._settle_status(entity, stamp, f"moved to {parent_id}", own_changed=True)

    # Numbers

    def late_conversions(
        self,
        ad_id: str,
        day: Day,
        count: int,
        value: Decimal | str | int = 0,
        *,
        window: str = "7d_click",
        restate: bool = False,
    ) -> None:
        """Report `count` more purchases worth `value` (major units, all of them) on a day."""
        vector = conversion_vector(window, count, self._money(ad_id, value))
        self._revise(ad_id, day, vector, "late conversions", restate=restate)

    def refund(
        self, ad_id: str, day: Day, fraction: Decimal | str | int, *, restate: bool = False
    ) -> None:
        """Take back a share (0 to 1) of everything the day shows now; 1 leaves nothing."""
        with self.acting():
            entity = self.entity("ad", ad_id)
            book = self.ledger.book(entity.account_id)
            vector = book.total("ad", ad_id, ordinal_of(day), self.now()).vector
            permille = int(Decimal(fraction) * 1000)
            if not 0 <= permille <= 1000:
                raise UsageError("a refund takes back a fraction between 0 and 1")
            unit = self.account(entity.account_id).unit_micros
            share = fraction_of(vector, permille, unit)
            negative = tuple(-amount for amount in share)
            self._revise(ad_id, day, negative, "refund", restate=restate)

    def add_spend(
        self,
        ad_id: str,
        day: Day,
        spend: Decimal | str | int,
        *,
        impressions: int = 0,
        clicks: int = 0,
        link_clicks: int = 0,
        restate: bool = False,
    ) -> None:
        """Add delivery that no plan foresaw to an ad's day. Spend is in major units."""
        cell = [0] * WIDTH
        cell[SPEND] = self._money(ad_id, spend)
        cell[IMPRESSIONS], cell[CLICKS], cell[LINK_CLICKS] = impressions, clicks, link_clicks
        self._revise(ad_id, day, tuple(cell), "added spend", restate=restate)

    # Plumbing

    def _revise(
        self, ad_id: str, day: Day, vector: tuple[int, ...], cause: str, *, restate: bool
    ) -> None:
        with self.acting():
            entity, stamp, ordinal = self.entity("ad", ad_id), self.now(), ordinal_of(day)
            account = self.account(entity.account_id)
            zone = account.zone
            if stamp < zone.start(ordinal):
                raise UsageError("a day that has not begun cannot have numbers")
            if not restate and stamp >= zone.end(ordinal) + account.window_days * DAY:
                raise UsageError("the day has settled; pass restate=True to break that promise")
            self.ledger.revise(ad_id, ordinal, stamp, vector, cause)

    def _money(self, ad_id: str, amount: Decimal | str | int) -> int:
        unit = self.account(self.entity("ad", ad_id).account_id).unit_micros
        value = Decimal(amount) * 1_000_000
        if value != int(value) or int(value) % unit:
            raise UsageError(f"{amount} is not a whole number of the currency's smallest unit")
        return int(value)

    def _platform_of(self, level: str, entity_id: str) -> str:
        return self.account(self.entity(level, entity_id).account_id).platform

    def _stamp(self, at: datetime | None) -> int:
        return self.now() if at is None else micros(at)

    def _log(self, stamp: int, kind: str, entity: SimEntity, old: Any, new: Any) -> None:
        version = entity.now
        self.activities[entity.account_id].append(
            Activity(
                stamp, kind, entity.level, entity.id, version.name, old, new, version.parent_id
            )
        )

    def _settle_status(
        self, entity: SimEntity, stamp: int, cause: str, *, own_changed: bool
    ) -> None:
        """Recompute an entity's effective status and its descendants', recording every step."""
        ancestors = [(parent.level, parent.now.own) for parent in self.ancestors(entity)]
        self._settle_under(entity, stamp, cause, ancestors, own_changed=own_changed)

    def _settle_under(
        self,
        entity: SimEntity,
        stamp: int,
        cause: str,
        ancestors: list[tuple[str, str]],
        *,
        own_changed: bool,
    ) -> None:
        version = entity.now
        effective = effective_status(version.own, version.hold, ancestors)
        changed = effective != version.effective
        if changed:
            self._push_effective(entity, stamp, effective)
        if own_changed or changed:
            self._record(entity, stamp, cause)
        if entity.level == "ad":
            self._set_live(self.account(entity.account_id), entity, stamp)
        below = [*ancestors, (entity.level, version.own)]
        for child in entity.children:
            self._settle_under(child, stamp, cause, below, own_changed=False)

    def _push_effective(self, entity: SimEntity, stamp: int, effective: str) -> None:
        """A version of its own, unless the switch flipped at this very moment."""
        same_moment = entity.now.at == stamp
        entity.push(stamp, effective=effective)
        if same_moment:
            del entity.versions[-2]

    def _record(self, entity: SimEntity, stamp: int, cause: str) -> None:
        version = entity.now
        self.ledger.record_status(
            StatusEvent(
                stamp,
                entity.account_id,
                entity.level,
                entity.id,
                version.own,
                version.effective,
                version.parent_id,
                cause,
            )
        )

    def _set_live(self, account: SimAccount, ad: SimEntity, stamp: int) -> None:
        live = account.delivers and ad.now.effective in DELIVERING
        self.ledger.book(account.id).set_live(ad.id, stamp, live=live)


def _can_archive(account: SimAccount, level: str) -> bool:
    """TikTok freezes ad groups and ads for good, which is what the word means there."""
    if account.platform == "google_ads":
        return False
    return account.platform != "tiktok" or level != "campaign"
