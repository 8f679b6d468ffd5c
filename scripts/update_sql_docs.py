"""Puts every table and view, column by column, into docs/sql.md. `make docs` runs it.

The words are the database's own comments (COMMENT ON), read from a freshly migrated database of
the embedded server, so that psql, dbt and the page say the same. A test compares.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg

from adsync_dagster.warehouse import embedded
from adsync_dagster.warehouse.database import with_driver
from adsync_dagster.warehouse.migrations import migrate

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "sql.md"
BLOCK = re.compile(r"(<!-- relations: (?P<kind>views|tables) -->\n).*?(<!-- end -->)", re.DOTALL)
KINDS = {"views": ["v"], "tables": ["r", "p"]}
COLUMNS = """
SELECT c.relname, obj_description(c.oid, 'pg_class'), a.attname,
       format_type(a.atttypid, a.atttypmod), a.attnotnull, col_description(c.oid, a.attnum)
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = ANY (%s)
   AND NOT c.relispartition AND c.relname NOT LIKE '%%yoyo%%'
 ORDER BY c.relname, a.attnum
"""


class Column(NamedTuple):
    """One column as the database describes it."""

    relation: str
    relation_comment: str
    name: str
    type: str
    not_null: bool
    comment: str


def columns(connection: psycopg.Connection, kind: str) -> list[Column]:
    """The columns of all views or all tables, in their order."""
    return [Column(*row) for row in connection.execute(COLUMNS, (KINDS[kind],)).fetchall()]


def updated(document: str, connection: psycopg.Connection) -> str:
    """The document with its two lists as they should be."""
    return BLOCK.sub(
        lambda match: match[1] + _sections(columns(connection, match["kind"])) + match[3],
        document,
    )


def _sections(found: Iterable[Column]) -> str:
    lines: list[str] = []
    current = ""
    for column in found:
        if column.relation != current:
            current = column.relation
            lines += ["", f"### {current}", "", _cell(column.relation_comment), ""]
            lines += ["| column | type | meaning |", "| --- | --- | --- |"]
        kind = column.type.replace("timestamp with time zone", "timestamptz")
        kind += " not null" if column.not_null else ""
        lines.append(f"| `{column.name}` | {kind} | {_cell(column.comment)} |")
    return "\n".join([*lines, "", ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


@contextmanager
def documented_database() -> Iterator[psycopg.Connection]:
    """An empty database of the embedded server, just migrated."""
    with tempfile.TemporaryDirectory(prefix="adsync-docs-") as folder:
        home = Path(folder)
        try:
            server = embedded.ensure_started(home)
            with psycopg.connect(with_driver(server, "", "postgres"), autocommit=True) as admin:
                admin.execute("CREATE DATABASE documented TEMPLATE template0")
            url = with_driver(server, "", "documented")
            migrate(url)
            with psycopg.connect(url) as connection:
                yield connection
        finally:
            embedded.stop(home)


def main() -> None:
    """Write the page anew."""
    with documented_database() as connection:
        text = updated(DOCUMENT.read_text(encoding="utf-8"), connection)
    DOCUMENT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
