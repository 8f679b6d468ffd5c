"""Makes a failing scenario small: leaves out events as long as it still fails the same way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from adsync_dagster.simulate.runner import Outcome
from adsync_dagster.simulate.scenario import Event, Scenario

#: Runs that a minimisation may cost.
RUNS_MAX = 300


def minimise(
    scenario: Scenario,
    run: Callable[[Scenario], Outcome],
    *,
    runs_max: int = RUNS_MAX,
) -> Scenario:
    """The smallest scenario found that breaks the same rule (delta debugging on its events).

    Returns the scenario itself when it does not fail.
    """
    wanted = signature(run(scenario))
    if wanted is None:
        return scenario
    budget = [runs_max]

    def still_fails(events: Sequence[Event]) -> bool:
        if budget[0] <= 0:
            return False
        budget[0] -= 1
        return signature(run(replace(scenario, events=tuple(events)))) == wanted

    return replace(scenario, events=tuple(_reduce(list(scenario.events), still_fails)))


def signature(outcome: Outcome) -> str | None:
    """What a failure is about: the rule that was broken first; None when it did not fail."""
    if outcome.crashed:
        return f"defect {outcome.crashed.partition(':')[0]}"
    if outcome.judgement.violations:
        return outcome.judgement.violations[0].check
    return None


def _reduce(events: list[Event], still_fails: Callable[[Sequence[Event]], bool]) -> list[Event]:
    pieces = 2
    while len(events) >= 2:
        size = max(1, len(events) // pieces)
        for start in range(0, len(events), size):
            rest = events[:start] + events[start + size :]
            if still_fails(rest):
                events, pieces = rest, max(pieces - 1, 2)
                break
        else:
            if size == 1:
                break
            pieces = min(len(events), pieces * 2)
    return events
