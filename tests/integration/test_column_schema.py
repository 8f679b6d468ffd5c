"""The catalog's columns are the database's: names, types, nullability and words."""

from __future__ import annotations

import pytest

from adsync_dagster.assets.columns import TABLE_COLUMNS
from adsync_dagster.warehouse.database import Connection

COLUMNS = """
SELECT a.attname,
       replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone', 'timestamptz'),
       a.attnotnull, col_description(a.attrelid, a.attnum)
  FROM pg_attribute a
 WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
"""


@pytest.mark.parametrize("table", TABLE_COLUMNS)
def test_the_catalog_shows_the_columns_that_the_table_has(
    connection: Connection, table: str
) -> None:
    """A column added, renamed, retyped or described anew in a migration must be so here too."""
    stored = {(row[0], *row[1:]) for row in connection.execute(COLUMNS, (table,)).fetchall()}

    shown = {
        (column.name, column.type, not column.constraints.nullable, column.description)
        for column in TABLE_COLUMNS[table]
    }

    assert shown == stored
