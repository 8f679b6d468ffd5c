"""Every Python block of the pages runs as it stands; every public name explains itself.

The blocks of a page run one after the other, as a reader would type them, with a simulated account
`facebook:act_501` in a real Postgres. Their `assert`s are what they show.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Harness

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [
    page
    for page in sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])
    # The blocks of that page are files of a package: acceptance/test_fourth_platform.py builds it.
    if page.name != "adding-a-platform.md" and BLOCK.search(page.read_text(encoding="utf-8"))
]
API = sorted((ROOT / "docs" / "api").glob("*.md"))
NAMES = sorted(
    name
    for page in API
    for name in re.findall(r"^::: ([\w.]+)$", page.read_text("utf-8"), re.MULTILINE)
)


@pytest.fixture
def surroundings(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """What the pages take for granted: a migrated database, an account, its platform."""
    with Harness(database_url, tmp_path / "home", campaigns=1, adsets=1, ads=2) as harness:
        for name, value in {
            "ADSYNC_DATABASE_URL": harness.url,
            "ADSYNC_HOME": str(harness.settings.home),
            "ADSYNC_FACEBOOK_BASE_URL": harness.simulator.base_url,
            "ADSYNC_HISTORY_DAYS": str(harness.settings.history_days),
            "ADSYNC_NOW": harness.clock.now().isoformat(),
        }.items():
            monkeypatch.setenv(name, value)
        yield


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_run(page: Path, surroundings: None) -> None:
    """Each block does what it says, in the order of the page."""
    names: dict[str, Any] = {"__name__": "example"}
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        # Errors name the page's own line.
        padding = "\n" * text[: match.start(1)].count("\n")
        exec(compile(padding + match[1], str(page), "exec"), names)  # noqa: S102 - our own page


def test_every_page_of_the_api_has_an_example_or_names() -> None:
    """There are pages, and none of them is empty."""
    assert len(API) >= 7
    assert len(NAMES) > 25
    assert {page.name for page in API} <= {page.name for page in PAGES}


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_exists_and_explains_itself(name: str) -> None:
    """A class, its public methods, a function, a module: each has a docstring."""
    parts = list(_parts(name, _object(name)))
    assert [label for label, thing in parts if not inspect.getdoc(thing)] == []


def _object(name: str) -> Any:
    """The object with that dotted name."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        return getattr(importlib.import_module(module), attribute)


def _parts(name: str, thing: Any) -> Iterator[tuple[str, Any]]:
    """The object and what of it a reader sees."""
    yield name, thing
    if inspect.ismodule(thing):
        for key, member in vars(thing).items():
            is_own = getattr(member, "__module__", None) == thing.__name__
            if is_own and not key.startswith("_") and callable(member):
                yield from _parts(f"{name}.{key}", member)
    elif inspect.isclass(thing):
        for key, member in vars(thing).items():
            is_shown = inspect.isroutine(member) or isinstance(member, property | classmethod)
            if is_shown and not key.startswith("_"):
                yield f"{name}.{key}", member
