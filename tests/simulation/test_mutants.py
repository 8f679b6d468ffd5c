"""The oracle is strong enough: each planted bug is seen within its budget of seeds."""

from __future__ import annotations

import pytest
from simulation.mutants import MUTANTS, Mutant
from simulation.platform_mutants import PLATFORM_MUTANTS

from adsync_dagster.simulate.cluster import Arena
from adsync_dagster.simulate.runner import play


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mutant", [*MUTANTS, *PLATFORM_MUTANTS], ids=lambda mutant: mutant.name)
def test_every_planted_bug_is_caught(mutant: Mutant, arena: Arena) -> None:
    """With the bug in the engine a seed fails; a mutant that survives is a hole in the oracle."""
    with mutant.planted():
        is_caught = any(play(scenario, arena).failed for scenario in mutant.scenarios())
    assert is_caught, f"{mutant.name} survived {len(mutant.replays) + len(mutant.seeds)} runs"
