"""Faults by name, armed by rule: the next n requests matching a path answer with this.

A rule fires at one stage of a request's life: `hook` before anything, `answer` instead of the
wire, `time` to show an older truth, `payload` on the JSON before it is encoded, `rewrite` on the
JSON of any wire, by a function `change`, `encode` on the bytes, `transport` on the socket, and
`object` for as long as it is armed, wherever one object is asked for by its id. Draws
come from a seeded generator of their own, so that leaving a fault out does not reshuffle the
world. Every hit is recorded for the judge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from adsync_dagster.errors import UsageError
from adsync_dagster.simulator.instants import HOUR

#: Every known fault and its stage. Wires add theirs with `register`.
STAGES: dict[str, str] = {
    "call": "hook",
    "stale": "time",
    "swapped": "payload",
    "missing_by_id": "object",
    "rewrite": "rewrite",
    "html_body": "answer",
    "empty_body": "answer",
    "http_status": "answer",
    "redirect": "answer",
    "body": "answer",
    "invalid_json": "encode",
    "cut_json": "encode",
    "not_a_number": "encode",
    "duplicate_keys": "encode",
    "gzip_bomb": "encode",
    "deep_json": "encode",
    "huge_body": "encode",
    "reset": "transport",
    "reset_mid_body": "transport",
    "long_content_length": "transport",
    "slow_drip": "transport",
    "hang": "transport",
}


#: Stages at which only the first matching rule strikes; the others wait their turn.
_ONE_AT_A_TIME = frozenset({"answer", "report", "encode", "transport"})
_CHECKS: dict[str, Callable[[Mapping[str, Any]], None]] = {}


def register(
    names: Mapping[str, str],
    checks: Mapping[str, Callable[[Mapping[str, Any]], None]] | None = None,
) -> None:
    """Make a wire's own faults known, each with its stage.

    A check sees a fault's options when it is armed and raises UsageError if they are wrong.
    """
    STAGES.update(names)
    _CHECKS.update(checks or {})


@dataclass(slots=True, eq=False)
class Rule:
    """One armed fault."""

    id: int
    name: str
    path: re.Pattern[str]
    method: str | None
    #: How often it still fires; None for always.
    left: int | None
    #: Matching requests to let pass first.
    skip: int
    probability: float
    options: dict[str, Any] = field(default_factory=dict)
    fired: int = 0
    armed_at: int = 0


@dataclass(frozen=True, slots=True)
class Hit:
    """A fault that happened."""

    at: int
    rule_id: int
    name: str
    method: str
    path: str


class Faults:
    """The armed rules of one simulator."""

    def __init__(self, seed: int, now: Callable[[], int]) -> None:
        self._random = Random(f"faults {seed}")
        self._now = now
        self._count = 0
        self.rules: list[Rule] = []
        self.hits: list[Hit] = []

    def arm(
        self,
        name: str,
        *,
        path: str = "",
        method: str | None = None,
        count: int | None = 1,
        skip: int = 0,
        probability: float = 1.0,
        **options: Any,
    ) -> Rule:
        """Arm a fault for requests whose path (without the version) matches this expression.

        `count` None means for ever; `skip` lets that many matching requests pass first.
        UsageError for a fault nobody knows.
        """
        if name not in STAGES:
            raise UsageError(f"no fault is called {name!r}; known: {', '.join(sorted(STAGES))}")
        if name in _CHECKS:
            _CHECKS[name](options)
        self._count += 1
        rule = Rule(self._count, name, re.compile(path), method, count, skip, probability, options)
        rule.armed_at = self._now()
        self.rules.append(rule)
        return rule

    def disarm(self, rule: Rule | int | None = None) -> None:
        """Remove one rule, or all."""
        wanted = rule.id if isinstance(rule, Rule) else rule
        self.rules = [known for known in self.rules if wanted is not None and known.id != wanted]

    @property
    def hides_objects(self) -> bool:
        """Whether some objects are not to be found by their id."""
        return any(rule.name == "missing_by_id" for rule in self.rules)

    def hides(self, path: str, sequence: int) -> bool:
        """Whether a question by id is answered as if there were no such object, or no right to it.

        Of every `modulus` objects of a level those are hidden whose place in the order of creation
        leaves `rest`, for `hours` from the arming on; without these options all, and for ever.
        """
        for rule in self.rules:
            if rule.name != "missing_by_id" or rule.path.search(path) is None:
                continue
            modulus, hours = rule.options.get("modulus", 1), rule.options.get("hours")
            if sequence % modulus != rule.options.get("rest", 0):
                continue
            if hours is None or self._now() < rule.armed_at + int(hours * HOUR):
                rule.fired += 1
                self.hits.append(Hit(self._now(), rule.id, rule.name, "", path))
                return True
        return False

    def fire(self, stage: str, method: str, path: str) -> list[Rule]:
        """The rules of a stage that strike this request, counted as used."""
        if not self.rules:
            return []
        struck = []
        for rule in self.rules:
            if STAGES[rule.name] == stage and self._strikes(rule, method, path):
                struck.append(rule)
                self.hits.append(Hit(self._now(), rule.id, rule.name, method, path))
                if stage in _ONE_AT_A_TIME:
                    break
        return struck

    def _strikes(self, rule: Rule, method: str, path: str) -> bool:
        if rule.left == 0 or (rule.method and rule.method != method):
            return False
        if rule.path.search(path) is None:
            return False
        if rule.probability < 1.0 and self._random.random() >= rule.probability:
            return False
        if rule.skip:
            rule.skip -= 1
            return False
        if rule.left is not None:
            rule.left -= 1
        rule.fired += 1
        return True
