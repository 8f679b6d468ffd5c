"""docs/tiktok.md and docs/google_ads.md: every promise has its tests, and they exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("tiktok", "google_ads")
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def rows_of(page: str) -> list[tuple[str, str]]:
    """What has to be right, and what proves it, line by line."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    table = text.partition("## What proves it")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")][2:]
    return [(first.strip(), second) for _, first, second, _ in (line.split("|") for line in lines)]


@pytest.mark.parametrize("page", PAGES)
def test_every_promise_names_tests_that_exist(page: str) -> None:
    """A promise without a test, or with the name of one that is gone, proves nothing."""
    rows = rows_of(page)
    assert len(rows) > 20
    for promise, tests in rows:
        named = NAMED.findall(tests)
        assert named, promise
        for path, name in named:
            source = (ROOT / "tests" / path).read_text(encoding="utf-8")
            assert f"def {name}(" in source, f"{promise}: {path}::{name}"


@pytest.mark.parametrize("page", PAGES)
def test_no_promise_is_made_twice(page: str) -> None:
    """One row for each."""
    promises = [promise for promise, _ in rows_of(page)]
    assert len(promises) == len(set(promises))
