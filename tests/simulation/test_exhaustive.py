"""A fault at every single request, statement and commit of the critical units, of every kind.

Random seeds find what nobody thought of; these loops leave nothing out where it matters most.
Each unit is run once to count its passages to the outside; then once per passage and kind of
fault, judged, recovered by a whole sync two hours later, and judged again. All of that for an
account of each platform, and for one of each in the same warehouse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from adsync_dagster.simulate.cluster import Arena, Saved
from adsync_dagster.simulate.io import IoFault, IoFaultKind, IoKind
from adsync_dagster.simulate.runner import Runner
from adsync_dagster.simulate.scenario import AccountPlan, Config, GoogleAdsConfig, Scenario
from adsync_dagster.simulator.world import World
from adsync_dagster.sync.account_sync import sync_account
from adsync_dagster.sync.reports import ENTITY_STEPS

SMALL = AccountPlan(campaigns=2, adsets=2, ads=3, history_days=3, stopped=False)
SMALLER = replace(SMALL, ads=2, history_days=2)
WORLDS = {
    "facebook": (SMALL,),
    "tiktok": (replace(SMALLER, platform="tiktok", timezone="Etc/GMT+8"),),
    "google_ads": (replace(SMALLER, platform="google_ads", conversion_windows=(30, 60)),),
    "all": (
        SMALLER,
        replace(SMALLER, platform="tiktok"),
        replace(SMALLER, platform="google_ads", managed=True),
    ),
}
#: No platform's own history tells of a change, so that nobody but the safety net can.
NO_HISTORIES: dict[str, Any] = {
    "history_kept_days": 0,
    "google_ads": GoogleAdsConfig(change_lag_seconds=90 * 24 * 3600),
}
#: A crash right after a passage is the crash before the next one.
KINDS = {
    IoKind.HTTP: (IoFaultKind.ERROR, IoFaultKind.DOWN, IoFaultKind.CRASH_BEFORE),
    IoKind.STATEMENT: (IoFaultKind.ERROR, IoFaultKind.LOST_AFTER, IoFaultKind.CRASH_BEFORE),
    IoKind.COMMIT: (
        IoFaultKind.ERROR,
        IoFaultKind.LOST_BEFORE,
        IoFaultKind.LOST_AFTER,
        IoFaultKind.CRASH_BEFORE,
        IoFaultKind.CRASH_AFTER,
    ),
}


def faults_at(world: str, number: int, kind: IoKind) -> tuple[IoFaultKind, ...]:
    """How the passage with that number fails. On Meta's account in every way there is.

    The same statements serve every platform: elsewhere each of them fails in one way, in turn,
    and what belongs to the platform, its requests, in every way again. With three accounts
    there are three times the passages, and each fails once.
    """
    kinds = KINDS[kind]
    if world == "facebook" or (kind is IoKind.HTTP and world != "all"):
        return kinds
    if kind is IoKind.COMMIT and world != "all":
        return (IoFaultKind.LOST_BEFORE, IoFaultKind.LOST_AFTER)
    return (kinds[number % len(kinds)],)


class Rig:
    """A prepared account, to be put back as often as wanted."""

    def __init__(self, arena: Arena, world: str, prepare: Callable[[Rig], None]) -> None:
        config = Config(accounts=WORLDS[world])
        if prepare is miss_a_change:
            config = replace(config, **NO_HISTORIES)
        scenario = Scenario(seed=77, config=config, events=())
        self.runner = Runner(scenario, arena)
        self.arena = arena
        assert self.runner.tick("sync"), self.runner.outcome
        self.later(hours=5)
        prepare(self)
        self.saved: Saved = arena.save()
        self.instant = self.runner.clock.now()

    @property
    def world(self) -> World:
        return self.runner.world

    def later(self, **delta: float) -> None:
        self.runner.clock.instant += timedelta(**delta)

    def tick(self, name: str) -> None:
        assert self.runner.tick(name), self.explain()

    def back(self) -> None:
        """Everything as it was prepared, in a new process."""
        runner = self.runner
        runner.engine.close()
        self.arena.restore(self.saved)
        runner.clock.instant = self.instant
        runner.engine = runner._new_life()
        runner.oracle = runner.new_oracle()
        runner.outcome.judgement.violations.clear()

    def explain(self) -> str:
        outcome = self.runner.outcome
        return outcome.crashed or "; ".join(map(str, outcome.judgement.violations[:3]))


def stop_things(rig: Rig) -> None:
    """In every account one ad deleted, a campaign paused, an ad come and gone, numbers revised."""
    world, short = rig.world, []
    for account in world.accounts.values():
        campaigns = list(account.entities["campaign"].values())
        ads = list(account.entities["ad"].values())
        world.late_conversions(ads[0].id, world.today(account.id), 2, 40)
        world.delete("ad", ads[0].id)
        world.pause("campaign", campaigns[1].id)
        short.append(world.create_ad(next(iter(account.entities["adset"])), "Short"))
    rig.later(hours=2)
    for ad in short:
        world.delete("ad", ad)
    rig.later(hours=1)


def stop_and_poll(rig: Rig) -> None:
    """The same, and the changes are logged: final syncs are owed."""
    stop_things(rig)
    rig.tick("entities")
    rig.later(hours=1)


def miss_a_change(rig: Rig) -> None:
    """A day later, a stop that no trigger saw."""
    rig.later(hours=26)
    rig.tick("sync")
    rig.later(hours=1)
    connection = rig.arena.connection
    names = ("zzz_track_ad_status_change", "trigger_log_ad_status_change")
    for name in names:
        connection.execute(f"ALTER TABLE ads DISABLE TRIGGER {name}".encode())
    for account in rig.world.accounts.values():
        rig.world.pause("ad", list(account.entities["ad"])[1])
    rig.later(hours=1)
    # Not as a tick: a change without a log row is what the judge would complain of.
    for key in rig.runner.keys:
        sync_account(rig.runner.engine.environment, key, ENTITY_STEPS)
    for name in names:
        connection.execute(f"ALTER TABLE ads ENABLE ALWAYS TRIGGER {name}".encode())
    rig.later(hours=1)


UNITS: dict[str, tuple[str, Callable[[Rig], None]]] = {
    "final sync": ("final_syncs", stop_and_poll),
    "step 0": ("step 0", stop_and_poll),
    "entity merge": ("entities", stop_things),
    "metrics merge": ("metrics", stop_things),
    "safety net": ("safety_net", miss_a_change),
}


#: Every unit on an account of each platform; over all of them together what runs over accounts.
CASES = [(unit, world) for unit in UNITS for world in WORLDS if world != "all"]
CASES += [("final sync", "all"), ("safety net", "all")]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("unit", "world"), CASES)
def test_a_fault_at_any_passage_loses_nothing(unit: str, world: str, arena: Arena) -> None:
    """Whatever fails wherever: no wrong state in between, and exact numbers after recovery."""
    service, prepare = UNITS[unit]
    rig = Rig(arena, world, prepare)
    rig.back()
    rig.tick(service)
    passages = list(rig.runner.passages)
    assert IoKind.COMMIT in passages
    struck = expected = 0
    for number, kind in enumerate(passages, start=1):
        for fault in faults_at(world, number, kind):
            expected += 1
            rig.back()
            rig.runner.engine.tap.arm(IoFault(number, fault))
            assert rig.runner.tick(service), f"{fault} at {number}: {rig.explain()}"
            struck += rig.runner.struck
            recover(
                rig, f"{unit}: {fault} at passage {number} of {len(passages)} ({kind})", service
            )
    assert struck == expected


def recover(rig: Rig, what: str, service: str) -> None:
    """Ordinary syncs later everything is exact and nothing is owed.

    A change that no trigger saw is the safety net's alone: it comes again, as it does weekly.
    """
    rig.runner.engine.tap.arm(None)
    if service == "safety_net":
        rig.later(hours=2)
        assert rig.runner.tick(service), f"{what}: {rig.explain()}"
    for _ in range(3):
        rig.later(hours=2)
        assert rig.runner.tick("sync"), f"{what}: {rig.explain()}"
        judgement = rig.runner.oracle.at_quiescence()
        if judgement.word == "pass":
            assert service != "safety_net" or missed_and_done(rig) == set(rig.world.accounts), what
            return
    pytest.fail(f"{what}: {judgement.word}: {judgement.violations[:3]}")


def missed_and_done(rig: Rig) -> set[str]:
    """The accounts for which the safety net logged a stop whose final sync was done since."""
    changes = rig.runner.oracle.watcher.snapshot.changes.values()
    return {one.key[0] for one in changes if one.source == "safety_net" and one.completed}
