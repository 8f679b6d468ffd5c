"""Many seeds, and the one line that says how they ended."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from adsync_dagster.simulate.cluster import Arena
from adsync_dagster.simulate.minimise import minimise
from adsync_dagster.simulate.runner import Outcome, play
from adsync_dagster.simulate.scenario import Scenario

#: Seeds between two lines of progress.
PROGRESS_EVERY = 25


@dataclass(slots=True)
class Campaign:
    """What a series of seeds amounted to."""

    words: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    #: How often each fault, action and state happened over all seeds.
    sometimes: Counter[str] = field(default_factory=Counter)
    failures: list[Outcome] = field(default_factory=list)
    ticks: int = 0
    seconds: float = 0.0

    @property
    def seeds(self) -> int:
        """How many seeds were played."""
        return sum(self.words.values())

    def add(self, outcome: Outcome) -> None:
        """Count one outcome in."""
        self.words[outcome.word] += 1
        self.verdicts.update(outcome.judgement.counts)
        self.sometimes.update(outcome.sometimes)
        self.ticks += outcome.ticks
        if outcome.failed:
            self.failures.append(outcome)

    def count(self, outcomes: Iterable[Outcome], say: Callable[[str], None] | None = None) -> None:
        """Count outcomes in as they come; `say` is told of failures, and how far it is."""
        began = time.monotonic()
        for outcome in outcomes:
            self.add(outcome)
            self.seconds = time.monotonic() - began
            if outcome.failed and say is not None:
                say(describe(outcome))
            elif say is not None and self.seeds % PROGRESS_EVERY == 0:
                say(self.closing_line())

    def closing_line(self) -> str:
        """Seeds by word, entity-days by verdict, and the speed."""
        words = ", ".join(f"{count} {word}" for word, count in sorted(self.words.items()))
        verdicts = ", ".join(
            f"{count} {name.replace('_', ' ')}" for name, count in self.verdicts.items()
        )
        speed = self.seeds / self.seconds if self.seconds else 0.0
        return (
            f"{self.seeds} seeds: {words}; entity-days: {verdicts};"
            f" {self.ticks} ticks; {speed:.2f} seeds/s"
        )


def run_campaign(
    scenarios: Iterable[Scenario],
    arena: Arena,
    *,
    until_tick: int | None = None,
    say: Callable[[str], None] | None = None,
) -> Campaign:
    """Play every scenario, one after the other, in this process."""
    campaign = Campaign()
    campaign.count((play(scenario, arena, until_tick=until_tick) for scenario in scenarios), say)
    return campaign


def describe(outcome: Outcome) -> str:
    """A failure in one paragraph, with the command that replays it."""
    wrong = outcome.crashed or "; ".join(map(str, outcome.judgement.violations[:3]))
    return (
        f"seed {outcome.seed}: {outcome.word}: {wrong}\n  adsync simulate run --seed {outcome.seed}"
    )


def save_minimised(scenario: Scenario, arena: Arena, folder: Path) -> Path:
    """Minimise a failing scenario into a file that replays it."""
    small = minimise(scenario, lambda candidate: play(candidate, arena))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"seed_{scenario.seed}.json"
    path.write_bytes(small.to_json())
    return path
