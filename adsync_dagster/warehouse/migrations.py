"""Bringing a database up to date: the numbered files of sql/migrations, each exactly once.

yoyo reads and applies the files; a lock that Postgres itself releases decides who migrates.
yoyo's own lock is a row that a crash leaves behind, so it is cleared once ours is held.
Its waiters poll: a session that waits inside `pg_advisory_lock` would hold a snapshot and
deadlock with an index that is built concurrently.
"""

from __future__ import annotations

import getpass
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import yoyo
from yoyo.exceptions import LockTimeout

from adsync_dagster.clock import SystemClock
from adsync_dagster.errors import Defect, Retryable, UsageError
from adsync_dagster.warehouse.database import Connection, Database, with_driver
from adsync_dagster.warehouse.database_errors import family_of, translated
from adsync_dagster.warehouse.queries import queries, sql_directory
from adsync_dagster.wording import counted

LOCK_SECONDS_MAX = 300
LOCK_POLL_SECONDS = 0.2

_log = logging.getLogger(__name__)


def migrate(url: str) -> list[str]:
    """Apply what is missing, in order; the names of the migrations applied now.

    Twelve at once apply each file once.

    Args:
        url: `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`, by a user that owns the tables.

    Raises:
        UsageError: The database holds something that a migration cannot adopt, it is newer than
            this program, the user lacks a right, or the server refuses the URL.
        Unreachable: No database answers there.
        Retryable: It takes no connections at the moment, or another process is migrating it.
    """
    database = Database(url, SystemClock())
    try:
        with database.connection() as connection, only_migrator(connection):
            missing = missing_migrations(connection)
            if missing:
                _apply(url)
                left = missing_migrations(connection)
                if left:
                    raise Defect(f"migration {left[0]} was not applied and gave no reason")
            return missing
    finally:
        database.dispose()


def pending(url: str) -> list[str]:
    """The migrations that the database lacks, in order. Changes nothing.

    Raises:
        UsageError: The database is newer than this program, or the server refuses the URL.
        Unreachable: No database answers there.
        Retryable: It takes no connections at the moment.
    """
    database = Database(url, SystemClock())
    try:
        with database.connection() as connection:
            return missing_migrations(connection)
    finally:
        database.dispose()


def require_current(connection: Connection, *, embedded_in: Path | None = None) -> None:
    """Return when database and program agree; UsageError says which of them to bring up to date.

    It also says which database that is, since a wrong folder or an unset variable leads to
    another: `embedded_in` is the home of an embedded one.
    """
    missing = missing_migrations(connection)
    if missing:
        raise UsageError(
            f"{_named(connection, embedded_in)} lacks"
            f" {counted(len(missing), 'migration')}, from {missing[0]} on: run adsync migrate"
        )


def _named(connection: Connection, embedded_in: Path | None) -> str:
    """Which database a connection leads to, without user and password."""
    if embedded_in is not None:
        return f"the embedded database under {embedded_in} (ADSYNC_DATABASE_URL is not set)"
    info = connection.info
    return f"the database {info.dbname} on {info.host}:{info.port} (ADSYNC_DATABASE_URL)"


def missing_migrations(connection: Connection) -> list[str]:
    """The migrations that the database lacks, in order; UsageError when it is newer than we."""
    known = sorted(path.stem for path in (sql_directory() / "migrations").glob("*.sql"))
    row = connection.execute(queries["migrations_recorded"]).fetchone()
    if row is None or not row[0]:
        return known
    applied = {name for (name,) in connection.execute(queries["applied_migrations"]).fetchall()}
    newer = sorted(name for name in applied if name > known[-1])
    if newer:
        raise UsageError(
            f"the database is newer than this adsync (it has {newer[-1]}): upgrade adsync"
        )
    return [name for name in known if name not in applied]


@contextmanager
def only_migrator(connection: Connection) -> Iterator[None]:
    """Keep other migrators out for the length of the block; Retryable when one does not end."""
    deadline = time.monotonic() + LOCK_SECONDS_MAX
    while True:
        row = connection.execute(queries["try_lock_migrations"]).fetchone()
        if row is not None and row[0]:
            break
        if time.monotonic() > deadline:
            raise Retryable("another process has been migrating this database for five minutes")
        time.sleep(LOCK_POLL_SECONDS)
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute(queries["unlock_migrations"])


def _apply(url: str) -> None:
    logging.getLogger("yoyo").setLevel(logging.WARNING)
    _name_the_user()
    try:
        with _backend(url) as backend:
            backend.break_lock()
            migrations = yoyo.read_migrations(str(sql_directory() / "migrations"))
            with backend.lock():
                backend.apply_migrations(backend.to_apply(migrations))
    except psycopg.errors.RaiseException as error:
        # A migration's own sentence about what stands in the way.
        raise UsageError(f"{error.diag.message_primary}") from None
    except LockTimeout:
        raise Retryable("another process is migrating this database") from None
    except psycopg.Error as error:
        raise family_of(error) from None


@contextmanager
def _backend(url: str) -> Iterator[Any]:
    with translated():
        backend = yoyo.get_backend(with_driver(url, "psycopg"))
    try:
        yield backend
    finally:
        backend.connection.close()


def _name_the_user() -> None:
    """yoyo notes who migrated; in a container the user often has no name, and that must do."""
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):
        os.environ["LOGNAME"] = "adsync"
