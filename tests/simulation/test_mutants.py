"""The oracle is strong enough: each planted bug is seen within its budget of seeds."""

from __future__ import annotations

import pytest
from simulation.mutants import MUTANTS, Mutant
from simulation.platform_mutants import PLATFORM_MUTANTS
from simulation.quiet_mutants import QUIET_MUTANTS

from adsync_dagster.simulate.campaign import describe
from adsync_dagster.simulate.cluster import Arena
from adsync_dagster.simulate.runner import play

EVERY = (*MUTANTS, *QUIET_MUTANTS, *PLATFORM_MUTANTS)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mutant", EVERY, ids=lambda mutant: mutant.name)
def test_every_planted_bug_is_caught(mutant: Mutant, arena: Arena) -> None:
    """With the bug in the engine a seed fails; a mutant that survives is a hole in the oracle.

    It is seen by the rule that is meant for it: by another one it would be seen by chance.
    """
    with mutant.planted(arena):
        outcomes = (play(scenario, arena) for scenario in mutant.scenarios())
        caught = next((outcome for outcome in outcomes if outcome.failed), None)
    assert caught is not None, (
        f"{mutant.name} survived {len(mutant.replays) + len(mutant.seeds)} runs"
    )
    rules = {violation.check for violation in caught.judgement.violations} or {"defect"}
    assert rules & set(mutant.rules.split()), (
        f"{mutant.name} was caught by {rules}: {describe(caught)}"
    )


def test_every_planted_bug_names_its_rules() -> None:
    """A mutant that any failure would do for proves nothing about a rule."""
    unnamed = [mutant.name for mutant in EVERY if not mutant.rules]
    assert not unnamed
