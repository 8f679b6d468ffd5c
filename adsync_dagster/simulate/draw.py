"""Draws a scenario from a seed.

World, faults and schedule have generators of their own, so that taking a fault away does not
reshuffle the rest. A third of the seeds is Meta's alone, a third that of one other platform,
and in a third accounts of several platforms share a warehouse. Swarm: every class of faults is
off in half of the seeds, and its rate is drawn in the others, because faults that always come
together hide each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random

from adsync_dagster.simulate.draw_old_days import (
    late_switches,
    lying_windows,
    silent_first_sync,
    with_old_days,
)
from adsync_dagster.simulate.hazards import FAULTS, MISSING, Classes
from adsync_dagster.simulate.scenario import (
    MINUTES_A_DAY,
    AccountPlan,
    Config,
    Event,
    GoogleAdsConfig,
    Scenario,
    TikTokConfig,
)

ZONES = (
    "America/Los_Angeles",
    "America/New_York",
    "UTC",
    "Europe/Berlin",
    "Asia/Tokyo",
    "Pacific/Auckland",
    "Etc/GMT+8",
)
CURRENCIES = ("USD", "EUR", "JPY")
#: Polls of one run; with more days they come less often.
SYNCS_MAX = 14

#: Zones without summer time, which a fixed offset names as well.
FIXED_ZONES = ("UTC", "Asia/Tokyo", "Etc/GMT+8", "Asia/Dubai")
PLATFORMS = ("facebook", "tiktok", "google_ads")
#: Conversion windows of Google Ads accounts. The platform promises no more than 90 days.
WINDOWS = ((30,), (30,), (30, 60), (90, 30))
#: Ads that a synchronous report of TikTok considers, where nothing is cut.
_LARGE = 20_000

#: Verb and weight; see actions.py for what each does. Meta's first.
ACTIONS = {
    "pause": 8,
    "resume": 5,
    "archive": 3,
    "delete": 5,
    "resurrect": 1,
    "create_ad": 4,
    "create_adset": 1,
    "create_campaign": 1,
    "create_and_delete": 2,
    "flap": 3,
    "reparent": 1,
    "hold": 2,
    "release": 2,
    "rename": 2,
    "budget": 1,
    "late_conversions": 6,
    "refund": 3,
    "refund_all": 2,
    "add_spend": 3,
    "midnight_pause": 2,
}
_META_ONLY = frozenset({"archive", "reparent"})
_SHARED = {name: weight for name, weight in ACTIONS.items() if name not in _META_ONLY}
#: TikTok has no archive, and freezes things by itself.
TIKTOK_ACTIONS = {**_SHARED, "freeze": 3}
#: Google has no archive, removes for good, and pauses ad groups by itself.
GOOGLE_ADS_ACTIONS = {
    **{name: weight for name, weight in _SHARED.items() if name != "resurrect"},
    "low_activity": 3,
}
ACTIONS_OF = {"facebook": ACTIONS, "tiktok": TIKTOK_ACTIONS, "google_ads": GOOGLE_ADS_ACTIONS}
IO_KINDS = ("error", "lost_before", "lost_after", "crash_before", "crash_after", "down")


def draw_scenario(seed: int) -> Scenario:
    """The scenario of a seed; the same for ever, as long as this module stays as it is."""
    config = _config(Random(f"config {seed}"))
    others = Random(f"platforms {seed}")
    platforms = _platforms(others)
    if platforms != ("facebook",):
        config = _with_platforms(others, config, platforms)
    end = config.active_days * MINUTES_A_DAY
    old = Random(f"old {seed}")
    config = with_old_days(old, config)
    config, windows = lying_windows(Random(f"windows {seed}"), config, end)
    schedule = Random(f"schedule {seed}")
    events = [*_actions(Random(f"world {seed}"), config, end), *_runs(schedule, end)]
    faults = Random(f"faults {seed}")
    for platform in sorted(config.platforms, key=PLATFORMS.index):
        own = faults if platform == "facebook" else Random(f"faults {platform} {seed}")
        events += _faults(own, end, FAULTS[platform])
    events += _machine_faults(faults, end)
    events += _missing(Random(f"missing {seed}"), config, end)
    events += _late(others, config)
    events += windows
    events += late_switches(old)
    events += silent_first_sync(old, config)
    if config.rest_pause_days:
        # What TikTok purges meanwhile nobody could have read: gone, and nothing is proven.
        events = [event for event in events if event.name != "purge"]
    events.sort(key=lambda event: (event.minute, event.kind, event.name, event.picks))
    return Scenario(seed=seed, config=config, events=tuple(events))


def _config(random: Random) -> Config:
    plans = [_account(random)]
    if random.random() < 0.15:
        plans.append(_account(random))
    return Config(
        accounts=tuple(plans),
        start_minute=random.randrange(30 * MINUTES_A_DAY),
        active_days=random.choice((2, 4, 7, 10, 14)),
        margin_days=random.choice((0, 1, 2)),
        recent_days=random.choice((1, 2, 3, 5)),
        entity_page_rows=random.choice((2, 3, 200)),
        insights_page_rows=random.choice((3, 10, 500)),
        sync_days_max=random.choice((3, 7, 40)),
        latency_seconds=random.choice((0.0, 0.0, 1.0, 47.0)),
        reporting_delay_seconds=random.choice((0, 0, 0, 900, 4 * 3600)),
        deleted_rows=random.choice(("docs_strict", "filter_deleted_works", "lenient")),
        offset_cursors=random.random() < 0.3,
        keep_running=random.random() < 0.3,
        history_kept_days=random.choice((180, 0)),
    )


def _account(random: Random) -> AccountPlan:
    campaigns = random.randint(1, 3)
    adsets = campaigns + random.randint(0, 2)
    return AccountPlan(
        timezone=random.choice(ZONES),
        currency=random.choice(CURRENCIES),
        campaigns=campaigns,
        adsets=adsets,
        ads=min(9, adsets + random.randint(0, 5)),
        history_days=random.randint(1, 8),
        stopped=random.random() < 0.7,
    )


def _platforms(random: Random) -> tuple[str, ...]:
    """Whose accounts a seed is about."""
    kind = random.randrange(3)
    if kind == 0:
        return ("facebook",)
    if kind == 1:
        return (random.choice(PLATFORMS[1:]),)
    return tuple(random.sample(PLATFORMS, k=random.choice((2, 3))))


def _with_platforms(random: Random, config: Config, platforms: tuple[str, ...]) -> Config:
    """The same run with accounts of these platforms, smaller ones where there are several."""
    plans = config.accounts
    if len(platforms) > 1:
        plans = tuple(_small(_account(random)) for _ in platforms)
    plans = tuple(
        _on_platform(random, plan, platforms[number % len(platforms)])
        for number, plan in enumerate(plans)
    )
    tiktok = TikTokConfig(
        ads_considered_max=random.choice((_LARGE, _LARGE, 6)),
        report_cells_max=random.choice((None, None, 5, 40)),
        task_shows_deleted=random.random() < 0.5,
        display_timezone=random.random() < 0.7,
        empty_total_page=random.choice((0, 1)),
        ids_max=random.choice((2, 5, 100)),
    )
    google_ads = GoogleAdsConfig(
        stream_chunk_rows=random.choice((2, 7, 10_000)),
        empty_stream=random.choice(("chunk", "array")),
        access_token_seconds=random.choice((300, 3_599)),
        change_lag_seconds=random.choice((0, 180)),
        conversion_credit_micros=random.choice((1_000_000, 333_333, 700_001)),
        ids_max=random.choice((2, 200)),
        days_max=random.choice((3, 7, 31)),
        changes_max=random.choice((6, 10_000)),
    )
    if tiktok.ads_considered_max < _LARGE:
        # A deleted campaign of so many ads could be read by nobody: a declared limit.
        tiktok = replace(tiktok, task_shows_deleted=True)
    if not tiktok.display_timezone:
        plans = tuple(
            replace(plan, timezone=random.choice(FIXED_ZONES))
            if plan.platform == "tiktok"
            else plan
            for plan in plans
        )
    return replace(config, accounts=plans, tiktok=tiktok, google_ads=google_ads)


def _small(plan: AccountPlan) -> AccountPlan:
    return replace(
        plan,
        campaigns=min(plan.campaigns, 2),
        adsets=min(plan.adsets, 3),
        ads=min(plan.ads, 5),
        history_days=min(plan.history_days, 5),
    )


def _on_platform(random: Random, plan: AccountPlan, platform: str) -> AccountPlan:
    plan = replace(plan, platform=platform)
    if platform != "google_ads":
        return plan
    return replace(
        plan,
        performance_max=1 if plan.campaigns > 1 and random.random() < 0.5 else 0,
        conversion_windows=random.choice(WINDOWS),
        windows_known=random.random() < 0.8,
        managed=random.random() < 0.4,
    )


def _late(random: Random, config: Config) -> list[Event]:
    """What happens to platforms' accounts weeks after their activity ended."""
    events = []
    for number, plan in enumerate(config.accounts):
        picks = (number, random.randrange(1_000_000), random.randrange(1_000_000))
        if plan.platform == "google_ads":
            for window in plan.conversion_windows if plan.windows_known else (90,):
                minute = (window - random.randrange(3, 9)) * MINUTES_A_DAY
                name = "very_late_conversions"
                events.append(Event(minute=minute, kind="late", name=name, picks=picks))
        elif plan.platform == "tiktok":
            minute = random.randrange(45, 60) * MINUTES_A_DAY
            events.append(Event(minute=minute, kind="late", name="purge", picks=picks))
    return events


def _weights(platforms: tuple[str, ...]) -> Mapping[str, int]:
    """Every verb that one of the platforms allows."""
    weights: dict[str, int] = {}
    for platform in platforms:
        weights |= ACTIONS_OF[platform]
    return weights


def _actions(random: Random, config: Config, end: int) -> list[Event]:
    table = _weights(config.platforms)
    names, weights = list(table), list(table.values())
    count = random.randint(3, 6 + 3 * config.active_days)
    events = []
    for name in random.choices(names, weights, k=count):
        minute = random.randrange(end)
        if random.random() < 0.2:
            # Right at a poll or shortly before it, where races live.
            minute -= minute % 60
        picks = tuple(random.randrange(1_000_000) for _ in range(3))
        events.append(Event(minute=minute, kind="act", name=name, picks=picks))
    events += _account_trouble(random, config, end)
    return events


def _account_trouble(random: Random, config: Config, end: int) -> list[Event]:
    """A token revoked for a while, an account disabled or closed for a while."""
    pairs = [("revoke_token", "restore_token"), ("disable_account", "enable_account")]
    if "google_ads" in config.platforms:
        pairs.append(("cancel_account", "enable_account"))
    events = []
    for begins, ends in pairs:
        if random.random() < 0.15:
            start = random.randrange(end)
            length = random.randrange(60, 4 * MINUTES_A_DAY)
            account = random.randrange(6) if config.platforms != ("facebook",) else 0
            picks = (account, 0, 0) if account else ()
            events.append(Event(minute=start, kind="act", name=begins, picks=picks))
            over = min(start + length, end)
            events.append(Event(minute=over, kind="act", name=ends, picks=picks))
    return events


def _runs(random: Random, end: int) -> list[Event]:
    """A poll, a sensor and daily settling, with an outage now and then."""
    poll = max(random.choice((120, 360, 720, 1440, 2880)), end // SYNCS_MAX)
    sensor = poll // random.choice((1, 1, 2))
    events = [Event(minute=0, kind="run", name="sync")]
    events += [Event(minute=minute, kind="run", name="sync") for minute in range(poll, end, poll)]
    if sensor < poll:
        events += [
            Event(minute=minute, kind="run", name="final_syncs")
            for minute in range(sensor, end, sensor)
            if minute % poll
        ]
    if random.random() < 0.5:
        events += [
            Event(minute=minute, kind="run", name="settle")
            for minute in range(1440, end, 1440 * random.choice((1, 3)))
        ]
    if random.random() < 0.5:
        events.append(Event(minute=random.randrange(end), kind="run", name="safety_net"))
    if random.random() < 0.2:
        first = random.randrange(1, end)
        last = first + random.randrange(1440, max(1441, end))
        return [event for event in events if not first <= event.minute < last]
    return events


def _faults(random: Random, end: int, classes: Classes) -> list[Event]:
    """Faults of one platform's answers."""
    events = []
    for wires in classes.values():
        on, rate = random.random() < 0.5, random.choice((1, 2, 4, 8))
        if not on:
            continue
        for _ in range(rate):
            name, path, options = random.choice(wires)
            events.append(
                Event(
                    minute=random.randrange(end),
                    kind="fault",
                    name=name,
                    options={
                        **options,
                        "path": path,
                        "skip": random.choice((0, 0, 1, 2, 5)),
                        "count": random.choice((1, 1, 2, 4, 12)),
                    },
                )
            )
    return events


def _missing(random: Random, config: Config, end: int) -> list[Event]:
    """Objects that cannot be read by id for hours, for days, or weeks beyond all else."""
    if random.random() >= 0.25:
        return []
    events = []
    for platform in sorted(config.platforms, key=PLATFORMS.index):
        name, path, options = random.choice(MISSING[platform])
        chosen = {**options, "path": path, "hours": random.choice((5, 30, 24 * 365))}
        minute = random.randrange(end // 2)
        events.append(Event(minute=minute, kind="fault", name=name, options=chosen))
    return events


def _machine_faults(random: Random, end: int) -> list[Event]:
    """Requests, statements and commits that fail, and processes that die."""
    if random.random() >= 0.5:
        return []
    return [
        Event(
            minute=random.randrange(end),
            kind="io",
            name=random.choice(IO_KINDS),
            picks=(int(random.paretovariate(0.5)) % 300 + 1,),
        )
        for _ in range(random.choice((1, 2, 4, 8)))
    ]
