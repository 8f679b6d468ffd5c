"""Drawn fates of small accounts against the real engine: nothing is lost, whatever happens."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from simulation.mutants import MUTANTS

from adsync_dagster.simulate.campaign import describe, run_campaign
from adsync_dagster.simulate.cluster import Arena
from adsync_dagster.simulate.draw import ACTIONS_OF, IO_KINDS, draw_scenario
from adsync_dagster.simulate.hazards import FAULTS, MISSING
from adsync_dagster.simulate.minimise import minimise, signature
from adsync_dagster.simulate.runner import play
from adsync_dagster.simulate.scenario import AccountPlan, Config, Event, Scenario

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.json"))
#: Platform and name of every fault.
FAULT_NAMES = sorted(
    {
        (platform, name)
        for platform, classes in FAULTS.items()
        for wires in (*classes.values(), MISSING[platform])
        for name, _, _ in wires
    }
)
SEEDS = 200
CHUNK = 25
#: A seed beyond them, for a fault that strikes in none of them: a report task that stands still.
ALSO = (3550,)
#: What must have happened in every chunk, or its seeds proved too little.
ALWAYS = ("restart", "change:trigger:True", "change:first_sight:True", "act:delete", "act:pause")
#: Seeds of a chunk in which nothing stopped, so that they prove nothing.
UNKNOWN_MAX = 2
#: What happened in all chunks of this process. They are one group, so that it is one process.
HAPPENED: dict[int, Counter[str]] = {}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("first", range(1, SEEDS + 1, CHUNK))
def test_no_seed_loses_anything(first: int, arena: Arena) -> None:
    """Every tick of every seed keeps the promise, and every seed comes to rest exact."""
    scenarios = [draw_scenario(seed) for seed in range(first, first + CHUNK)]

    campaign = run_campaign(scenarios, arena)

    HAPPENED[first] = campaign.sometimes
    assert not campaign.failures, "\n".join(map(describe, campaign.failures))
    assert campaign.words["unknown"] <= UNKNOWN_MAX
    assert campaign.verdicts["stable"] > 1_000
    assert not [what for what in ALWAYS if not campaign.sometimes[what]]
    struck = [what for what, often in campaign.sometimes.items() if often and ":" in what]
    for platform in FAULTS:
        faults = [what for what in struck if what.startswith(f"struck:{platform}:")]
        assert len(faults) >= 5, f"{platform} suffered {faults} only"
    assert len([what for what in struck if what.startswith("io:")]) >= 3


@pytest.mark.slow
def test_every_fault_struck_somewhere(arena: Arena) -> None:
    """What is drawn has to reach an answer: a fault whose path fits nothing proves nothing."""
    if len(HAPPENED) < SEEDS // CHUNK:
        pytest.skip("this asks what happened in all seeds, and not all of them were played")
    happened = sum(HAPPENED.values(), Counter[str]())
    for seed in ALSO:
        outcome = play(draw_scenario(seed), arena)
        assert outcome.word == "pass", describe(outcome)
        happened.update(outcome.sometimes)
    wanted = {f"struck:{one}:{name}" for one, name in FAULT_NAMES}
    wanted |= {f"change:change_history:{state}" for state in (True, None)}
    assert sorted(what for what in wanted if not happened[what]) == []


def test_the_seeds_hold_every_action_and_fault() -> None:
    """Over all seeds of this suite each platform's actions and faults are drawn several times."""
    drawn: Counter[str] = Counter()
    paths = {
        platform: {path for wires in (*classes.values(), MISSING[platform]) for _, path, _ in wires}
        for platform, classes in FAULTS.items()
    }
    for seed in range(1, SEEDS + 1):
        scenario = draw_scenario(seed)
        for event in scenario.events:
            drawn[f"{event.kind}:{event.name}"] += 1
            drawn.update(
                f"{platform}:{event.kind}:{event.name}"
                for platform in scenario.config.platforms
                if event.kind != "fault" or event.options["path"] in paths[platform]
            )
    wanted = [f"{one}:act:{name}" for one, names in ACTIONS_OF.items() for name in names]
    wanted += [f"{platform}:fault:{name}" for platform, name in FAULT_NAMES]
    wanted += [f"io:{name}" for name in IO_KINDS]
    wanted += [f"run:{name}" for name in ("sync", "final_syncs", "settle", "safety_net")]
    wanted += ["late:very_late_conversions", "late:purge", "act:cancel_account"]
    wanted += [f"late:{name}" for name in ("pause", "delete", "resume")]
    assert {what: drawn[what] for what in wanted if drawn[what] < 5} == {}


def test_the_seeds_hold_days_that_are_final_while_a_platform_lies() -> None:
    """Several begin with days that a first sync may seal, and some pause for longer than days move.

    So O6 is asked about days read in trouble, not only about what a healthy platform told.
    """
    scenarios = [draw_scenario(seed) for seed in range(1, SEEDS + 1)]
    old = [one for one in scenarios if min(p.history_days for p in one.config.accounts) >= 30]
    lies = [one for one in old if any(event.kind == "calm" for event in one.events)]
    pauses = [one for one in scenarios if one.config.rest_pause_days >= 30]
    paths = [str(event.options.get("path")) for one in scenarios for event in one.events]
    assert min(len(old), len(lies), len(pauses)) >= 10
    assert len([path for path in paths if "conversion_action" in path]) >= 10


def test_the_seeds_hold_every_platform_alone_and_together() -> None:
    """A third of the seeds is Meta's, a third another platform's, and in a third they mix."""
    worlds = Counter(
        "+".join(sorted(draw_scenario(seed).config.platforms)) for seed in range(1, SEEDS + 1)
    )
    mixed = sum(count for name, count in worlds.items() if "+" in name)
    alone = worlds["tiktok"] + worlds["google_ads"]
    assert min(worlds["facebook"], alone, mixed) > SEEDS / 4
    assert min(worlds["tiktok"], worlds["google_ads"], worlds["facebook+google_ads+tiktok"]) > 15


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_what_failed_once_never_fails_again(path: Path, arena: Arena) -> None:
    """Every scenario that once showed a bug is replayed for ever."""
    outcome = play(Scenario.from_json(path.read_bytes()), arena)
    assert outcome.word == "pass", describe(outcome)


def test_a_seed_is_the_same_run_every_time(arena: Arena) -> None:
    """Two plays of a seed with faults make the same ticks, requests, faults and verdicts."""
    first, second = (play(draw_scenario(5), arena) for _ in range(2))
    assert (first.ticks, first.requests) == (second.ticks, second.requests)
    assert first.sometimes == second.sometimes
    assert first.judgement.counts == second.judgement.counts


def test_a_scenario_survives_its_file() -> None:
    """A scenario read back from its JSON is the scenario."""
    scenario = draw_scenario(11)
    assert Scenario.from_json(scenario.to_json()) == scenario


def test_a_run_that_could_lose_nothing_proves_nothing(arena: Arena) -> None:
    """Without a single stop the verdict is unknown, not pass."""
    account = AccountPlan(campaigns=1, adsets=1, ads=1, history_days=2, stopped=False)
    config = Config(accounts=(account,), active_days=1, keep_running=True)
    quiet = Scenario(seed=3, config=config, events=(Event(minute=0, kind="run", name="sync"),))
    assert play(quiet, arena).word == "unknown"


@pytest.mark.slow
def test_a_failure_is_made_small(arena: Arena) -> None:
    """Minimising keeps the broken rule and leaves most events out."""
    mutant = next(one for one in MUTANTS if one.name == "final_sync_of_two_days")
    with mutant.planted(arena):
        whole = draw_scenario(mutant.seeds[0])
        small = minimise(whole, lambda candidate: play(candidate, arena), runs_max=40)
        assert signature(play(small, arena)) == signature(play(whole, arena)) is not None
    assert len(small.events) < len(whole.events) / 2
    assert not play(replace(small), arena).failed
