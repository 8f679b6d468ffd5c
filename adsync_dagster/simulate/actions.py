"""Plays the events of a scenario on a world. What has become impossible does nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from adsync_dagster.clock import VirtualClock
from adsync_dagster.errors import UsageError
from adsync_dagster.simulate.scenario import Event
from adsync_dagster.simulator.entities import SimAccount, SimEntity
from adsync_dagster.simulator.facebook_auth import Token
from adsync_dagster.simulator.google_ads_auth import RefreshToken
from adsync_dagster.simulator.instants import DAY, FOREVER, SECOND, instant_of
from adsync_dagster.simulator.simulator import Simulator
from adsync_dagster.simulator.world import World

HOLDS = ("PENDING_REVIEW", "DISAPPROVED", "WITH_ISSUES", "IN_PROCESS")
#: Entities of a level an account may grow to, so that runs stay quick.
ENTITIES_MAX = 14
#: An ad whose deletion is older than this may be purged: its days are final by then.
PURGED_AFTER_DAYS = 35

Act = Callable[["Stage", Sequence[int]], None]


class Stage:
    """A world, its simulator and its clock, as the events see them."""

    def __init__(self, simulator: Simulator, tokens: Mapping[str, str]) -> None:
        """`tokens` are the stored ones by platform; for Google Ads the refresh token."""
        self.simulator = simulator
        self.world: World = simulator.world
        book = simulator.facebook.tokens
        self.tokens: dict[str, Token | RefreshToken] = {
            "facebook": book.add(Token(value=tokens["facebook"])),
            "tiktok": book.add(Token(value=tokens["tiktok"])),
            "google_ads": simulator.google_ads.tokens.add(RefreshToken(value=tokens["google_ads"])),
        }

    def play(self, event: Event) -> bool:
        """Do what the event says; False when it cannot be done any more."""
        with suppress(UsageError, IndexError, ZeroDivisionError):
            _ACTS[event.name](self, event.picks or (0, 0, 0))
            return True
        return False

    def account(self, pick: int, platform: str | None = None) -> SimAccount:
        """One of the accounts, or of those of a platform."""
        accounts = [
            account
            for account in self.world.accounts.values()
            if platform in (None, account.platform)
        ]
        return accounts[pick % len(accounts)]

    def any_entity(self, picks: Sequence[int], level: str | None = None) -> SimEntity:
        """One of the entities, more often an ad than a campaign."""
        levels = ("ad", "ad", "ad", "adset", "adset", "campaign")
        chosen = level or levels[picks[1] % len(levels)]
        found = list(self.account(picks[0]).entities[chosen].values())
        return found[picks[2] % len(found)]

    def day(self, entity: SimEntity, pick: int) -> int:
        """A day of the last two weeks on which the platform may still revise."""
        today = self.world.today(entity.account_id)
        first = self.world.account(entity.account_id).zone.day(entity.created_at)
        return max(first, today - pick % 14)


def _switch(status: str) -> Act:
    def act(stage: Stage, picks: Sequence[int]) -> None:
        entity = stage.any_entity(picks)
        stage.world.set_status(entity.level, entity.id, status)

    return act


def _resurrect(stage: Stage, picks: Sequence[int]) -> None:
    account = stage.account(picks[0])
    gone = [
        entity
        for level in ("ad", "adset")
        for entity in account.entities[level].values()
        if entity.now.own in {"DELETED", "ARCHIVED"}
    ]
    entity = gone[picks[2] % len(gone)]
    stage.world.resurrect(entity.level, entity.id)


def _create(level: str) -> Act:
    above = {"ad": "adset", "adset": "campaign"}

    def act(stage: Stage, picks: Sequence[int]) -> None:
        account = stage.account(picks[0])
        if len(account.entities[level]) >= ENTITIES_MAX:
            return
        name = f"New {level} {picks[1] % 1000}"
        if level == "campaign":
            stage.world.create_campaign(account.id, name)
            return
        parents = [
            entity
            for entity in account.entities[above[level]].values()
            if entity.now.effective not in {"DELETED", "ARCHIVED"}
        ]
        parent = parents[picks[2] % len(parents)]
        create = stage.world.create_ad if level == "ad" else stage.world.create_adset
        create(parent.id, name)

    return act


def _create_and_delete(stage: Stage, picks: Sequence[int]) -> None:
    """An ad that lives for hours and is gone: often between two polls."""
    account = stage.account(picks[0])
    if len(account.entities["ad"]) >= ENTITIES_MAX:
        return
    live = [e for e in account.entities["adset"].values() if e.now.effective == "ACTIVE"]
    now = stage.world.clock.now()
    hours = 1 + picks[1] % 5
    ad = stage.world.create_ad(live[picks[2] % len(live)].id, "Short", at=_ago(now, hours))
    stage.world.delete("ad", ad)


def _ago(now: datetime, hours: int) -> datetime:
    return now - timedelta(hours=hours)


def _flap(stage: Stage, picks: Sequence[int]) -> None:
    """Off and on again in between polls."""
    entity = stage.any_entity(picks)
    stage.world.pause(entity.level, entity.id)
    stage.world.move_clock(stage.world.clock.now() + timedelta(minutes=3))
    stage.world.resume(entity.level, entity.id)


def _midnight_pause(stage: Stage, picks: Sequence[int]) -> None:
    """The last second of the account's day."""
    entity = stage.any_entity(picks)
    zone = stage.world.account(entity.account_id).zone
    end = zone.end(stage.world.today(entity.account_id)) - SECOND
    clock = stage.world.clock
    if isinstance(clock, VirtualClock) and instant_of(end) - clock.now() < timedelta(hours=6):
        stage.world.move_clock(instant_of(end))
    stage.world.pause(entity.level, entity.id)


def _reparent(stage: Stage, picks: Sequence[int]) -> None:
    """An ad to another ad set, and every third time an ad set to another campaign."""
    level, above = ("ad", "adset") if picks[1] % 3 else ("adset", "campaign")
    child = stage.any_entity(picks, level)
    if level == "adset" and child.now.effective in {"DELETED", "ARCHIVED"}:
        return
    parents = [
        entity
        for entity in stage.world.account(child.account_id).entities[above].values()
        if entity.now.own not in {"DELETED", "ARCHIVED"} and entity.id != child.now.parent_id
    ]
    stage.world.reparent(level, child.id, parents[picks[1] % len(parents)].id)


def _hold(stage: Stage, picks: Sequence[int]) -> None:
    ad = stage.any_entity(picks, "ad")
    stage.world.set_hold("ad", ad.id, HOLDS[picks[1] % len(HOLDS)])


def _release(stage: Stage, picks: Sequence[int]) -> None:
    held = [ad for ad in stage.account(picks[0]).entities["ad"].values() if ad.now.hold]
    stage.world.set_hold("ad", held[picks[2] % len(held)].id, None)


def _rename(stage: Stage, picks: Sequence[int]) -> None:
    entity = stage.any_entity(picks)
    stage.world.rename(entity.level, entity.id, f"Renamed {picks[1] % 100} \U0001f4b8")


def _budget(stage: Stage, picks: Sequence[int]) -> None:
    entity = stage.any_entity(picks, "adset")
    stage.world.set_budget("adset", entity.id, 1_000 + picks[1] % 9_000)


def _late_conversions(stage: Stage, picks: Sequence[int]) -> None:
    ad = stage.any_entity(picks, "ad")
    value = 10 * (1 + picks[1] % 50)
    stage.world.late_conversions(ad.id, stage.day(ad, picks[1]), 1 + picks[0] % 3, value)


def _refund(permille: int) -> Act:
    def act(stage: Stage, picks: Sequence[int]) -> None:
        ad = stage.any_entity(picks, "ad")
        day = stage.day(ad, picks[1])
        if permille < 1000 or _can_vanish(stage.world, ad, day):
            stage.world.refund(ad.id, day, f"{permille / 1000}")

    return act


def _can_vanish(world: World, ad: SimEntity, day: int) -> bool:
    """Whether taking everything back leaves nothing: no credit is still to come on top of it."""
    book = world.ledger.book(ad.account_id)
    now, later = (book.total("ad", ad.id, day, at) for at in (world.now(), FOREVER - 1))
    falls = any(end < start for start, end in zip(now.vector, later.vector, strict=True))
    return day < world.today(ad.account_id) and not falls


def _add_spend(stage: Stage, picks: Sequence[int]) -> None:
    ad = stage.any_entity(picks, "ad")
    stage.world.add_spend(
        ad.id, stage.day(ad, picks[1]), 1 + picks[1] % 90, impressions=1_000, clicks=7
    )


def _revoke(stage: Stage, picks: Sequence[int]) -> None:
    """The token of an account's platform, for every account of it."""
    stage.tokens[stage.account(picks[0]).platform].revoked = True


def _restore(stage: Stage, picks: Sequence[int]) -> None:
    stage.tokens[stage.account(picks[0]).platform].revoked = False


def _low_activity(stage: Stage, picks: Sequence[int]) -> None:
    """Google pauses an ad group by itself."""
    account = stage.account(picks[0], "google_ads")
    live = [one for one in account.entities["adset"].values() if one.now.own == "ACTIVE"]
    stage.simulator.google_ads.pause_for_low_activity(live[picks[1] % len(live)].id)


def _very_late_conversions(stage: Stage, picks: Sequence[int]) -> None:
    """Conversions of a click long ago, shortly before the account's window closes."""
    account = stage.account(picks[0], "google_ads")
    ads = list(account.entities["ad"].values())
    ad = ads[picks[1] % len(ads)]
    day = stage.world.today(account.id) - account.window_days + 2 + picks[2] % 8
    if day >= account.zone.day(ad.created_at):
        stage.world.late_conversions(ad.id, day, 1 + picks[2] % 3, 10 * (1 + picks[1] % 50))


def _purge(stage: Stage, picks: Sequence[int]) -> None:
    """TikTok shows an ad no more that was deleted long ago."""
    account = stage.account(picks[0], "tiktok")
    if stage.simulator.faults.hides_objects:
        # Nobody could have read its last days: what is purged then is gone, and nothing is proven.
        return
    long_ago = stage.world.now() - PURGED_AFTER_DAYS * DAY
    gone = [
        ad.id
        for ad in account.entities["ad"].values()
        if ad.now.own == "DELETED" and ad.now.at < long_ago
    ]
    settings = stage.simulator.tiktok.settings
    settings.purged |= {gone[picks[1] % len(gone)]}


def _account_status(status: int) -> Act:
    def act(stage: Stage, picks: Sequence[int]) -> None:
        stage.world.set_account_status(stage.account(picks[0]).id, status)

    return act


_ACTS: dict[str, Act] = {
    "pause": _switch("PAUSED"),
    "resume": _switch("ACTIVE"),
    "archive": _switch("ARCHIVED"),
    "freeze": _switch("ARCHIVED"),
    "delete": _switch("DELETED"),
    "resurrect": _resurrect,
    "create_ad": _create("ad"),
    "create_adset": _create("adset"),
    "create_campaign": _create("campaign"),
    "create_and_delete": _create_and_delete,
    "flap": _flap,
    "reparent": _reparent,
    "hold": _hold,
    "release": _release,
    "rename": _rename,
    "budget": _budget,
    "late_conversions": _late_conversions,
    "refund": _refund(300),
    "refund_all": _refund(1000),
    "add_spend": _add_spend,
    "midnight_pause": _midnight_pause,
    "low_activity": _low_activity,
    "very_late_conversions": _very_late_conversions,
    "purge": _purge,
    "revoke_token": _revoke,
    "restore_token": _restore,
    "disable_account": _account_status(2),
    "cancel_account": _account_status(100),
    "enable_account": _account_status(1),
}
