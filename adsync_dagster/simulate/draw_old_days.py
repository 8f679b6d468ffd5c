"""Draws what days go through that are final already, or nearly so.

A run of two weeks on a young account seals nothing before faults and activity are over. So some
seeds have a history whose oldest days a first sync may seal, while a platform lies; some see
switches weeks after all else, and some a pause that is longer than days move. All of that comes
from generators of its own: the other draws of a seed are what they were.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from adsync_dagster.simulate.hazards import LYING_WINDOWS, NO_ROWS
from adsync_dagster.simulate.scenario import MINUTES_A_DAY, Config, Event

#: Days of history of which the oldest are final at a first sync, for all but Google's longest.
LONG_HISTORY = (30, 45)
#: Google's conversion windows when the list of them lies: what is left of it has the shorter
#: one, or none.
LONG_WINDOWS = ((30, 60), (30, 90))
#: A lie of a first sync is over before the next sync, and within the hour.
LIES_END_MINUTE = 59


def with_old_days(random: Random, config: Config) -> Config:
    """Now and then so much history that a first sync seals days, and a pause beyond windows."""
    if random.random() < 0.15:
        plans = tuple(
            replace(plan, history_days=random.randint(*LONG_HISTORY)) for plan in config.accounts
        )
        config = replace(config, accounts=plans)
    if random.random() < 0.1:
        config = replace(config, rest_pause_days=random.choice((30, 45)))
    return config


def late_switches(random: Random) -> list[Event]:
    """Now and then something is switched when all but its last days are final."""
    if random.random() >= 0.3:
        return []
    return [
        Event(
            minute=random.randrange(20, 50) * MINUTES_A_DAY + random.randrange(MINUTES_A_DAY),
            kind="late",
            name=random.choice(("pause", "delete", "resume")),
            picks=tuple(random.randrange(1_000_000) for _ in range(3)),
        )
        for _ in range(random.choice((1, 2, 3)))
    ]


def silent_first_sync(random: Random, config: Config) -> list[Event]:
    """Where days are old, reports without rows in a first sync, as many in a row as it may be."""
    if max(plan.history_days for plan in config.accounts) < LONG_HISTORY[0]:
        return []
    events = []
    for platform in sorted(config.platforms):
        skip, count = random.choice((0, 0, 1, 2, 5)), random.choice((4, 12, 30))
        if random.random() < 0.5:
            continue
        name, path, options = NO_ROWS[platform]
        chosen = {**options, "path": path, "skip": skip, "count": count}
        events.append(Event(minute=0, kind="fault", name=name, options=chosen))
        events.append(Event(minute=LIES_END_MINUTE, kind="calm", name=name))
    return events


def lying_windows(random: Random, config: Config, end: int) -> tuple[Config, list[Event]]:
    """Google's accounts seem to have shorter windows than they have, in one sync.

    There are days, then, that would be final with the shorter one.
    """
    if "google_ads" not in config.platforms or random.random() >= 0.2:
        return config, []
    windows, days = random.choice(LONG_WINDOWS), random.randint(*LONG_HISTORY)
    plans = tuple(
        replace(plan, conversion_windows=windows, windows_known=True, history_days=days)
        if plan.platform == "google_ads"
        else plan
        for plan in config.accounts
    )
    name, path, options = random.choice(LYING_WINDOWS)
    minute = random.choice((0, random.randrange(end)))
    event = Event(minute=minute, kind="fault", name=name, options={**options, "path": path})
    return replace(config, accounts=plans), [event]
