"""The oracle is strong enough: each planted bug is seen within its budget of seeds."""

from __future__ import annotations

import pytest
from simulation.mutants import MUTANTS, Mutant
from simulation.platform_mutants import PLATFORM_MUTANTS

from adsync_dagster.simulate.cluster import Arena
from adsync_dagster.simulate.draw import draw_scenario
from adsync_dagster.simulate.runner import Outcome, play


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mutant", [*MUTANTS, *PLATFORM_MUTANTS], ids=lambda mutant: mutant.name)
def test_every_planted_bug_is_caught(mutant: Mutant, arena: Arena) -> None:
    """With the bug in the engine a seed fails; a mutant that survives is a hole in the oracle."""
    with mutant.planted():
        caught = next((seed for seed in mutant.seeds if failed(play_seed(seed, arena))), None)
    assert caught is not None, f"{mutant.name} survived {len(mutant.seeds)} seeds"


def play_seed(seed: int, arena: Arena) -> Outcome:
    """One seed, from beginning to end."""
    return play(draw_scenario(seed), arena)


def failed(outcome: Outcome) -> bool:
    """Whether the judge saw a broken promise."""
    return outcome.failed
