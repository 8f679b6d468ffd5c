"""docs/guarantees.md: every fault of the catalogue has its row, and every row its tests.

A row is also held to what is really done: what the drawn runs inject is named by a row, and what
a row says is injected is drawn, or stands in a test that the row names.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from adsync_dagster.simulate.draw import ACTIONS_OF, IO_KINDS, draw_scenario
from adsync_dagster.simulate.hazards import FAULTS

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| (?P<id>[A-H]\d+(?:-[A-H]\d+)?) \| (?P<fault>[^|]+) \| (?P<how>[^|]+) \|"
    r" (?P<tests>[^|]+) \| (?P<what>[^|]+) \|$",
    re.MULTILINE,
)
#: What each section of the catalogue had at least when it was written. It only grows.
CATALOGUE = {"A": 15, "B": 17, "C": 14, "D": 15, "E": 15, "F": 22, "G": 8, "H": 11}
SEEDS = "simulation/test_seeds.py"
#: As many as the suite plays.
SCENARIOS = range(1, 201)


def numbers(text: str) -> list[str]:
    """The faults a row is about: one, or a range of one section."""
    first, _, last = text.partition("-")
    until = int((last or first)[1:])
    return [f"{first[0]}{number}" for number in range(int(first[1:]), until + 1)]


def named_tests(match: re.Match[str]) -> list[tuple[str, str]]:
    """Path and function of the tests a row names."""
    return re.findall(r"`([\w/]+\.py)::(\w+)`", match["tests"])


def quoted(match: re.Match[str]) -> list[str]:
    """What a row says, in code, that is injected."""
    return re.findall(r"`([^`]+)`", match["how"])


@cache
def source(path: str) -> str:
    return (ROOT / "tests" / path).read_text(encoding="utf-8")


@cache
def collected(path: str) -> frozenset[str]:
    """The test functions of a file that pytest collects, methods of test classes included."""
    bodies = [ast.parse(source(path)).body]
    bodies += [
        node.body
        for node in bodies[0]
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test")
    ]
    return frozenset(
        node.name
        for body in bodies
        for node in body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


@cache
def drawn() -> frozenset[str]:
    """Every word of the suite's scenarios: events, their options, and the knobs that vary."""
    words: set[str] = set()
    knobs: dict[str, set[str]] = {}
    for seed in SCENARIOS:
        scenario = draw_scenario(seed)
        for event in scenario.events:
            words.add(event.name)
            words.update(texts(dict(event.options)))
        for name, value in leaves(asdict(scenario.config)):
            knobs.setdefault(name, set()).add(str(value))
    varied = {name for name, values in knobs.items() if len(values) > 1}
    words |= varied | {text for name in varied for text in knobs[name]}
    return frozenset(words | {word.partition(".")[0] for word in words})


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The plain values of a nested structure, each with its nearest name."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from leaves(one, key)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from leaves(one, name)
    else:
        yield name, value


def texts(options: dict[str, Any]) -> set[str]:
    return {value for _, value in leaves(options) if isinstance(value, str)}


def test_every_fault_of_the_catalogue_has_one_row() -> None:
    """No fault is missing between two others, none stands twice, and none has gone."""
    rows = [number for match in ROW.finditer(TEXT) for number in numbers(match["id"])]
    counts = {section: sum(row[0] == section for row in rows) for section in CATALOGUE}
    assert rows == [
        f"{section}{number}" for section, last in counts.items() for number in range(1, last + 1)
    ]
    assert all(counts[section] >= least for section, least in CATALOGUE.items()), counts


def test_every_line_that_looks_like_a_row_is_read_as_one() -> None:
    """A row that the expression above does not match would be checked by nobody."""
    lines = re.findall(r"^\| ([A-H]\d[\w-]*) \|", TEXT, re.MULTILINE)
    assert lines == [match["id"] for match in ROW.finditer(TEXT)]


def test_every_row_names_tests_that_are_run() -> None:
    """A row without a test, or with the name of one that pytest never collects, proves nothing."""
    for match in ROW.finditer(TEXT):
        named = named_tests(match)
        assert named, match["id"]
        for path, name in named:
            assert name in collected(path), f"{match['id']}: {path}::{name}"


def test_what_the_seeds_inject_has_a_row() -> None:
    """Every fault of every platform, every drawn action, and what befalls machines."""
    injected = {
        name for classes in FAULTS.values() for faults in classes.values() for name, _, _ in faults
    }
    injected |= {name for actions in ACTIONS_OF.values() for name in actions}
    injected |= set(IO_KINDS)
    named = {word for match in ROW.finditer(TEXT) for word in quoted(match)}
    assert injected - named == set()


def test_what_a_row_says_is_injected_is_injected() -> None:
    """By the drawn runs, and then the row names their test; or in a test that it names."""
    for match in ROW.finditer(TEXT):
        paths = {path for path, _ in named_tests(match)}
        own = "\n".join(source(path) for path in paths - {SEEDS})
        for word in quoted(match):
            by_seeds = word in drawn() and SEEDS in paths
            assert by_seeds or word in own, f"{match['id']}: nobody injects `{word}`"


def test_a_row_that_speaks_of_seeds_names_their_test() -> None:
    """The drawn runs prove something only through the test that plays them, or its mutants."""
    players = {SEEDS, "simulation/test_mutants.py"}
    for match in ROW.finditer(TEXT):
        if "seeds" in match["how"] or "every seed" in match["how"]:
            assert players & {path for path, _ in named_tests(match)}, match["id"]
