"""docs/guarantees.md: every fault of the catalogue has its row, and every row its tests."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| (?P<id>[A-H]\d+(?:-[A-H]\d+)?) \| (?P<fault>[^|]+) \| (?P<how>[^|]+) \|"
    r" (?P<tests>[^|]+) \| (?P<what>[^|]+) \|$",
    re.MULTILINE,
)
#: The last number of each section of the catalogue.
CATALOGUE = {"A": 15, "B": 17, "C": 12, "D": 15, "E": 15, "F": 22, "G": 8, "H": 11}


def numbers(text: str) -> list[str]:
    """The faults a row is about: one, or a range of one section."""
    first, _, last = text.partition("-")
    until = int((last or first)[1:])
    return [f"{first[0]}{number}" for number in range(int(first[1:]), until + 1)]


def test_every_fault_of_the_catalogue_has_one_row() -> None:
    """No fault is missing and none stands twice."""
    rows = [number for match in ROW.finditer(TEXT) for number in numbers(match["id"])]
    wanted = [
        f"{section}{number}" for section, last in CATALOGUE.items() for number in range(1, last + 1)
    ]
    assert rows == wanted


def test_every_row_names_tests_that_exist() -> None:
    """A row without a test, or with the name of one that is gone, proves nothing."""
    for match in ROW.finditer(TEXT):
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", match["tests"])
        assert named, match["id"]
        for path, name in named:
            source = (ROOT / "tests" / path).read_text(encoding="utf-8")
            assert f"def {name}(" in source, f"{match['id']}: {path}::{name}"
