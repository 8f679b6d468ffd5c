"""A fault at every single request, statement and commit of the critical units, of every kind.

Random seeds find what nobody thought of; these loops leave nothing out where it matters most.
Each unit is run once to count its passages to the outside; then once per passage and kind of
fault, judged, recovered by a whole sync two hours later, and judged again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from adsync_dagster.simulate.cluster import Arena, Saved
from adsync_dagster.simulate.io import IoFault, IoFaultKind, IoKind
from adsync_dagster.simulate.runner import Runner
from adsync_dagster.simulate.scenario import AccountPlan, Config, Scenario
from adsync_dagster.simulator.oracle import Oracle
from adsync_dagster.simulator.world import World
from adsync_dagster.sync.account_sync import sync_account
from adsync_dagster.sync.reports import ENTITY_STEPS

ACCOUNT = "act_501"
SMALL = Scenario(
    seed=77,
    config=Config(
        accounts=(AccountPlan(campaigns=2, adsets=2, ads=3, history_days=3, stopped=False),)
    ),
    events=(),
)
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


class Rig:
    """A prepared account, to be put back as often as wanted."""

    def __init__(self, arena: Arena, prepare: Callable[[Rig], None]) -> None:
        self.runner = Runner(SMALL, arena)
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
        runner.oracle = Oracle(runner.world, self.arena.connection, secrets=runner.oracle.secrets)
        runner.outcome.judgement.violations.clear()

    def explain(self) -> str:
        outcome = self.runner.outcome
        return outcome.crashed or "; ".join(map(str, outcome.judgement.violations[:3]))


def stop_things(rig: Rig) -> None:
    """One ad deleted, a whole campaign paused, one ad created and gone, numbers revised."""
    world = rig.world
    campaigns = list(world.account(ACCOUNT).entities["campaign"].values())
    ads = list(world.account(ACCOUNT).entities["ad"].values())
    world.late_conversions(ads[0].id, world.today(ACCOUNT), 2, 40)
    world.delete("ad", ads[0].id)
    world.pause("campaign", campaigns[1].id)
    short = world.create_ad(next(iter(world.account(ACCOUNT).entities["adset"])), "Short")
    rig.later(hours=2)
    world.delete("ad", short)
    rig.later(hours=1)


def stop_and_poll(rig: Rig) -> None:
    """The same, and the changes are logged: final syncs are owed."""
    stop_things(rig)
    rig.tick("entities")
    rig.later(hours=1)


def miss_a_change(rig: Rig) -> None:
    """The same, with a stop that no trigger saw."""
    connection = rig.arena.connection
    names = ("zzz_track_ad_status_change", "trigger_log_ad_status_change")
    for name in names:
        connection.execute(f"ALTER TABLE ads DISABLE TRIGGER {name}".encode())
    ad = list(rig.world.account(ACCOUNT).entities["ad"].values())[1]
    rig.world.pause("ad", ad.id)
    rig.later(hours=1)
    # Not as a tick: a change without a log row is what the judge would complain of.
    sync_account(rig.runner.engine.environment, rig.runner.keys[0], ENTITY_STEPS)
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


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("unit", UNITS)
def test_a_fault_at_any_passage_loses_nothing(unit: str, arena: Arena) -> None:
    """Whatever fails wherever: no wrong state in between, and exact numbers after recovery."""
    service, prepare = UNITS[unit]
    rig = Rig(arena, prepare)
    rig.back()
    rig.tick(service)
    passages = list(rig.runner.passages)
    assert IoKind.COMMIT in passages
    struck = 0
    for number, kind in enumerate(passages, start=1):
        for fault in KINDS[kind]:
            rig.back()
            rig.runner.engine.tap.arm(IoFault(number, fault))
            assert rig.runner.tick(service), f"{fault} at {number}: {rig.explain()}"
            struck += rig.runner.struck
            recover(rig, f"{unit}: {fault} at passage {number} of {len(passages)} ({kind})")
    assert struck == sum(len(KINDS[kind]) for kind in passages)


def recover(rig: Rig, what: str) -> None:
    """Ordinary syncs later everything is exact and nothing is owed."""
    rig.runner.engine.tap.arm(None)
    for _ in range(3):
        rig.later(hours=2)
        assert rig.runner.tick("sync"), f"{what}: {rig.explain()}"
        judgement = rig.runner.oracle.at_quiescence()
        if judgement.word == "pass":
            return
    pytest.fail(f"{what}: {judgement.word}: {judgement.violations[:3]}")
