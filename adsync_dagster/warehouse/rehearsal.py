"""What a migration would do to a database: rehearsed in one transaction that is rolled back.

The files are run for real, so what is reported is what would happen, refusals included, and
not what somebody thought would. While it lasts, the tables are locked as they would be by the
migration itself; that is why tables of many rows are only rehearsed when asked for.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from adsync_dagster.clock import SystemClock
from adsync_dagster.errors import Retryable
from adsync_dagster.warehouse.database import Connection, Database
from adsync_dagster.warehouse.database_errors import family_of
from adsync_dagster.warehouse.migrations import missing_migrations, only_migrator
from adsync_dagster.warehouse.queries import queries, sql_directory

#: A rehearsal rewrites and locks tables for as long as the migration would.
REHEARSED_ROWS_MAX = 1_000_000
#: Table locks from weak to strong. The strongest one a table gets is what others notice.
LOCKS = (
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A numbered file that the database lacks."""

    name: str
    #: The file's own first sentence.
    summary: str


@dataclass(slots=True, kw_only=True)
class TableChange:
    """What becomes of one table. Lists hold `name definition`, or `name: old -> new`."""

    table: str
    is_new: bool
    #: Exact after a rehearsal, else the planner's estimate; None when it has none.
    rows: int | None = None
    size_bytes: int = 0
    #: The strongest lock it is held with until the migration ends; None without a rehearsal.
    lock: str | None = None
    is_rewritten: bool = False
    #: Kind of object (column, trigger, index, constraint) to what is added or changed.
    added: dict[str, list[str]] = field(default_factory=dict)
    changed: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationPlan:
    """What `adsync migrate` would do."""

    steps: Sequence[Step]
    tables: Sequence[TableChange] = ()
    functions: Sequence[str] = ()
    views: Sequence[str] = ()
    #: The step that would stop the migration, and its sentence; None when all would pass.
    refused_by: str | None = None
    refusal: str | None = None
    #: Why nothing was rehearsed; None when it was.
    not_rehearsed: str | None = None
    seconds: float = 0.0


Objects = dict[tuple[str, str, str], str]


def plan_migration(url: str, *, rehearse_large: bool = False) -> MigrationPlan:
    """Rehearse the missing migrations and roll back; the database is left as it was.

    Retryable when another session holds a lock that a migration would need, or migrates itself.
    """
    database = Database(url, SystemClock())
    try:
        with database.connection() as connection:
            steps = [_step(name) for name in missing_migrations(connection)]
            if not steps:
                return MigrationPlan(steps=steps)
            large = _too_large(connection)
            if large and not rehearse_large:
                return MigrationPlan(steps=steps, tables=_known(connection), not_rehearsed=large)
            with only_migrator(connection):
                return _rehearse(connection, steps)
    finally:
        database.dispose()


def _step(name: str) -> Step:
    text = (sql_directory() / "migrations" / f"{name}.sql").read_text(encoding="utf-8")
    comment = " ".join(
        line.removeprefix("--").strip()
        for line in itertools.takewhile(lambda line: line.startswith("--"), text.splitlines())
    )
    return Step(name=name, summary=re.split(r"(?<=\.) (?=[A-Z]|$)", comment.strip())[0])


def _too_large(connection: Connection) -> str | None:
    """Why a rehearsal would hold somebody up; None when it would not."""
    for change in _known(connection):
        if change.rows is not None and change.rows > REHEARSED_ROWS_MAX:
            return (
                f"{change.table} holds about {change.rows:,} rows, which a rehearsal would lock:"
                " rehearse on a restored backup, or with --rehearse when nobody works"
            )
    return None


def _known(connection: Connection) -> list[TableChange]:
    """The tables that are there, with the planner's estimate of their rows."""
    return [
        TableChange(
            table=table, is_new=False, rows=None if rows < 0 else rows, size_bytes=size_bytes
        )
        for table, rows, size_bytes, _ in connection.execute(queries["tables_of_schema"])
    ]


def _rehearse(connection: Connection, steps: Sequence[Step]) -> MigrationPlan:
    began = time.monotonic()
    refused_by, refusal = None, None
    with connection.transaction(force_rollback=True):
        before, tables = _objects(connection), _known(connection)
        files = _files(connection)
        for change in tables:
            change.rows = _count(connection, change.table)
        for step in steps:
            refusal = _run(connection, step)
            if refusal is not None:
                refused_by = step.name
                break
        locks = _locks(connection)
        after = _objects(connection)
        rewritten = {name for name, file in _files(connection).items() if files.get(name) != file}
    known = {change.table for change in tables}
    tables += [
        TableChange(table=name, is_new=True, rows=0)
        for kind, _, name in after
        if kind == "table" and name not in known
    ]
    for change in tables:
        change.lock = locks.get(change.table)
        change.is_rewritten = not change.is_new and change.table in rewritten
        _compare(change, before, after)
    return MigrationPlan(
        steps=steps,
        tables=[change for change in tables if _is_touched(change)],
        functions=_new_or_changed("function", before, after),
        views=_new_or_changed("view", before, after),
        refused_by=refused_by,
        refusal=refusal,
        seconds=time.monotonic() - began,
    )


def _run(connection: Connection, step: Step) -> str | None:
    """Run a file inside the transaction; its sentence when it refuses.

    A savepoint keeps the transaction alive, so that what the steps before it did can be told.
    """
    text = (sql_directory() / "migrations" / f"{step.name}.sql").read_text(encoding="utf-8")
    try:
        with connection.transaction():
            connection.execute(text)
    except psycopg.errors.LockNotAvailable:
        raise Retryable(
            f"{step.name} waited 15 s for a table that another session uses; nothing was changed:"
            " try again when nobody works"
        ) from None
    except psycopg.errors.RaiseException as error:
        return str(error.diag.message_primary)
    except psycopg.Error as error:
        return str(family_of(error))
    return None


def _objects(connection: Connection) -> Objects:
    rows = connection.execute(queries["schema_objects"]).fetchall()
    return {(kind, table, name): definition for kind, table, name, definition in rows}


def _files(connection: Connection) -> dict[str, int]:
    return {row[0]: row[3] for row in connection.execute(queries["tables_of_schema"])}


def _count(connection: Connection, table: str) -> int:
    statement = sql.SQL(queries["count_table_rows"]).format(table=sql.Identifier(table))
    row = connection.execute(statement).fetchone()
    return 0 if row is None else int(row[0])


def _locks(connection: Connection) -> dict[str, str]:
    """The strongest lock on each table."""
    held: dict[str, str] = {}
    for table, mode in connection.execute(queries["locks_of_this_transaction"]):
        if mode in LOCKS and LOCKS.index(mode) >= LOCKS.index(held.get(table, LOCKS[0])):
            held[table] = mode
    return held


def _compare(change: TableChange, before: Objects, after: Objects) -> None:
    for (kind, table, name), definition in after.items():
        if table != change.table or kind in {"table", "view", "function"}:
            continue
        old = before.get((kind, table, name))
        shown = f"{name} {definition}" if kind == "column" else name
        if old is None:
            change.added.setdefault(kind, []).append(shown)
        elif old != definition:
            text = f"{name}: {old} -> {definition}" if kind == "column" else name
            change.changed.setdefault(kind, []).append(text)


def _is_touched(change: TableChange) -> bool:
    """Tables that have nothing to do with adsync are left out."""
    return change.is_new or bool(change.added or change.changed or change.is_rewritten)


def _new_or_changed(kind: str, before: Objects, after: Objects) -> list[str]:
    return sorted(_names(kind, (key for key, text in after.items() if before.get(key) != text)))


def _names(kind: str, keys: Iterable[tuple[str, str, str]]) -> Iterable[str]:
    return (name for known, _, name in keys if known == kind)
