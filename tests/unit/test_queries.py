"""The SQL files: every query is named once, explained, and used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adsync_dagster.errors import Defect
from adsync_dagster.records import Level
from adsync_dagster.warehouse import queries as module
from adsync_dagster.warehouse.queries import level_query, queries, sql_directory

PACKAGE = Path(module.__file__).parents[1]
PYTHON = "\n".join(
    path.read_text(encoding="utf-8") for path in sorted((PACKAGE / "warehouse").glob("*.py"))
)


def test_every_query_says_what_it_is_for() -> None:
    """A query begins with a comment for people."""
    for name in queries.names():
        assert re.match(r"-- [A-Z].+", queries[name]), name


def test_every_query_is_used() -> None:
    """No query is left that no code asks for."""
    unused = [name for name in queries.names() if f'"{name}"' not in PYTHON]
    assert unused == []


def test_every_query_that_is_asked_for_exists() -> None:
    """No code asks for a query that is not there."""
    asked = set(re.findall(r'queries\["([a-z_0-9]+)"\]', PYTHON))
    asked |= set(re.findall(r'level_query\("([a-z_0-9]+)"', PYTHON))
    assert asked - set(queries.names()) == set()
    assert len(asked) > 40


def test_an_unknown_query_is_an_error() -> None:
    """Asking for a name that is not there fails at once."""
    with pytest.raises(KeyError):
        queries["no_such_query"]


def test_names_of_a_level_are_filled_in_and_quoted() -> None:
    """Braces become the level's own tables and columns, quoted as identifiers."""
    text = level_query("known_ids", Level.ADSET)

    assert 'SELECT "platform_ad_set_id" FROM "ad_sets"' in text
    assert "{" not in text


def test_each_file_begins_with_its_subject() -> None:
    """A file of queries says in its first line which tables it is about."""
    for path in (sql_directory() / "queries").glob("*.sql"):
        assert re.match(r"-- \w.+\n", path.read_text(encoding="utf-8")), path


def test_a_name_given_twice_is_a_defect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two queries of one name would silently hide each other."""
    folder = tmp_path / "queries"
    folder.mkdir()
    (folder / "a.sql").write_text("-- same --\n-- One.\nSELECT 1\n", encoding="utf-8")
    (folder / "b.sql").write_text("-- same --\n-- Two.\nSELECT 2\n", encoding="utf-8")
    monkeypatch.setattr(module, "sql_directory", lambda: tmp_path)

    with pytest.raises(Defect, match="same"):
        module._load.__wrapped__()
