"""docs/sql.md says what the database says, and names only what is there."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

from adsync_dagster.warehouse.database import Connection

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "sql.md"


def _generator() -> ModuleType:
    """The script behind `make docs`."""
    path = ROOT / "scripts" / "update_sql_docs.py"
    spec = importlib.util.spec_from_file_location("update_sql_docs", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_table_and_view_is_in_the_docs_as_it_is(connection: Connection) -> None:
    """The page holds each column with its type and comment word for word."""
    text = DOCUMENT.read_text(encoding="utf-8")
    assert _generator().updated(text, connection) == text, "run `make docs`"
    assert text.count("### ") > 15


def test_the_table_of_questions_names_every_view(connection: Connection) -> None:
    """Whoever looks for a view finds it at the top of the page, and none that is gone."""
    top = DOCUMENT.read_text(encoding="utf-8").split("## Examples")[0]
    views = {column.relation for column in _generator().columns(connection, "views")}
    assert set(re.findall(r"`(v_[a-z_]+)`", top)) == views
