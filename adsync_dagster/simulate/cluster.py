"""The Postgres that simulations run in: real, fast, and worth nothing after a power cut.

One server and one database per process. Crashes here are those of our own process; what a
crash of the server does to committed work is Postgres's promise, kept by fsync, which is off.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from adsync_dagster.simulate.faulty_database import Spare
from adsync_dagster.simulator.oracle_queries import oracle_queries
from adsync_dagster.warehouse import embedded
from adsync_dagster.warehouse.database import with_driver
from adsync_dagster.warehouse.migrations import migrate

#: Binary rows by table.
Saved = dict[str, bytes]

#: A server that may lose everything: no waiting for a disk, and little to keep on one.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "64MB",
    "max_wal_size": "256MB",
    "shared_buffers": "128MB",
    "max_connections": "100",
}
#: A file system in memory, where there is one, spares the disk every table that is emptied.
MEMORY = Path("/dev/shm")  # noqa: S108 - a private folder is made there
MEMORY_FREE_MIN = 2 * 1024**3


class Arena:
    """A migrated database, emptied for every run, and a connection for the judge."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.connection: psycopg.Connection[Any] = psycopg.connect(url, autocommit=True)
        #: What one simulated process leaves to the next.
        self.spare: Spare = {}

    def reset(self) -> None:
        """Empty every table. The guards against that are off for this session only."""
        self.connection.execute(oracle_queries["reset"].encode())

    def save(self) -> Saved:
        """Every row there is, to be put back any number of times."""
        saved: Saved = {}
        for table, columns in self._tables():
            with self.connection.cursor().copy(_statement("save_table", table, columns)) as copy:
                saved[table] = b"".join(bytes(piece) for piece in copy)
        return saved

    def restore(self, saved: Saved) -> None:
        """Empty the database and put the saved rows back, as they were."""
        self.reset()
        self.connection.execute(oracle_queries["guards_off"].encode())
        columns = dict(self._tables())
        for table in sorted(saved, key=_order):
            if _order(table) == 2:
                self.connection.execute(oracle_queries["empty_logs"].encode())
            statement = _statement("restore_table", table, columns[table])
            with self.connection.cursor().copy(statement) as copy:
                copy.write(saved[table])
        self.connection.execute(oracle_queries["guards_on"].encode())

    def _tables(self) -> list[tuple[str, list[str]]]:
        return self.connection.execute(oracle_queries["stored_columns"].encode()).fetchall()

    def close(self) -> None:
        """Close the judge's connection and those that are left over."""
        self.connection.close()
        for connection in itertools.chain(*self.spare.values()):
            connection.close()


@contextmanager
def running_server(home: Path) -> Iterator[str]:
    """A server for simulations under `home`, stopped at the end; the URL to make arenas with."""
    try:
        yield with_driver(embedded.ensure_started(home, SETTINGS), "", "postgres")
    finally:
        embedded.stop(home)


def folder_for_server() -> Path | None:
    """Where a short-lived server's folder is best made; None is the usual place."""
    if not MEMORY.is_dir() or not os.access(MEMORY, os.W_OK):
        return None
    return MEMORY if shutil.disk_usage(MEMORY).free >= MEMORY_FREE_MIN else None


def prepared_arena(server_url: str) -> Arena:
    """A migrated database of this process's own on a running server that may lose data."""
    name = f"arena_{os.getpid()}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        for statement in oracle_queries["fast_and_unsafe"].split(";"):
            if statement.strip():
                connection.execute(statement.encode())
        create: Any = oracle_queries["create_arena"]
        connection.execute(sql.SQL(create).format(sql.Identifier(name)))
    url = with_driver(server_url, "", name)
    migrate(url)
    return Arena(url)


def _order(table: str) -> int:
    """Accounts first, logs last."""
    if table in {"ad_entity_parent_changes", "ad_status_change_log"}:
        return 2 if table == "ad_entity_parent_changes" else 3
    return 0 if table == "ad_accounts" else 1


def _statement(name: str, table: str, columns: list[str]) -> sql.Composed:
    text: Any = oracle_queries[name]
    return sql.SQL(text).format(
        table=sql.Identifier(table), columns=sql.SQL(", ").join(map(sql.Identifier, columns))
    )
