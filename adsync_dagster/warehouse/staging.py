"""Stages: temporary tables that take a read page by page, outside any transaction.

A page goes over by COPY, the fastest way in, and nothing is judged here: merging dedupes,
compares and guards. A stage belongs to its connection and is empty when it is opened. Its
table is made once per connection and emptied by whoever filled it; one that could not be
emptied is not trusted, and is made empty by the next who opens it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self
from weakref import WeakKeyDictionary

import psycopg
from psycopg.types.string import StrDumper

from adsync_dagster.crash_points import crash_point
from adsync_dagster.errors import Defect, IncompleteRead
from adsync_dagster.records import DailyMetrics, Entity, Level
from adsync_dagster.warehouse.database import Connection
from adsync_dagster.warehouse.database_errors import family_of, translated
from adsync_dagster.warehouse.queries import level_query, queries
from adsync_dagster.warehouse.text import json_text, storable_json_text, storable_text

#: Rows that may pass a stage before its space is given back. Up to here deleting is cheaper.
ROWS_BEFORE_TRUNCATE = 2_000
#: From so many rows on a merge's plan is worth a look at them. Below, the planner's guess is
#: as good, and every look would make it plan all that reads the stage anew.
ROWS_WORTH_ANALYZING = 1_000


@dataclass(frozen=True, slots=True)
class _Statements:
    """The statements of one stage."""

    create: str
    empty: str
    truncate: str
    copy: str
    analyze: str


@dataclass(slots=True)
class _Known:
    """What is known of one connection's stages, by their COPY statement."""

    #: Stages that are empty, and how many rows passed each since its space was given back.
    empty: dict[str, int] = field(default_factory=dict)
    #: How many rows were added to each.
    rows: dict[str, int] = field(default_factory=dict)


_KNOWN: WeakKeyDictionary[Connection, _Known] = WeakKeyDictionary()


def _known(connection: Connection) -> _Known:
    return _KNOWN.setdefault(connection, _Known())


def _analyze(connection: Connection, statements: _Statements) -> None:
    if _known(connection).rows.get(statements.copy, 0) >= ROWS_WORTH_ANALYZING:
        connection.execute(statements.analyze)


class _Stage:
    """What the stages share: a table that is empty before and after."""

    def __init__(self, connection: Connection, statements: _Statements) -> None:
        self._connection = connection
        self._statements = statements
        self._count = 0
        #: Rows that may be in the table, a page that failed included.
        self._passed = 0
        self._passed_before = 0

    @property
    def count(self) -> int:
        """How many records were added, duplicates included."""
        return self._count

    def __enter__(self) -> Self:
        # Whatever happens until it is emptied again, nobody may take it for empty.
        known = _known(self._connection)
        passed = known.empty.pop(self._statements.copy, None)
        known.rows[self._statements.copy] = 0
        if passed is None:
            self._connection.execute(self._statements.create)
            self._connection.execute(self._statements.truncate)
        self._passed_before = passed or 0
        return self

    def __exit__(self, *_: object) -> None:
        """Empty the table; in a broken connection or transaction there is nothing to empty."""
        if self._connection.closed or self._connection.info.transaction_status != (
            psycopg.pq.TransactionStatus.IDLE
        ):
            return
        passed = self._passed_before + self._passed
        if passed > ROWS_BEFORE_TRUNCATE:
            self._connection.execute(self._statements.truncate)
            passed = 0
        elif self._passed:
            self._connection.execute(self._statements.empty)
        _known(self._connection).empty[self._statements.copy] = passed

    def _taken(self, records: Sequence[object]) -> None:
        self._count += len(records)
        _known(self._connection).rows[self._statements.copy] = self._count
        crash_point("page_copied")


def _entity_statements(level: Level) -> _Statements:
    return _Statements(
        create=level_query("create_entity_stage", level),
        empty=level_query("empty_entity_stage", level),
        truncate=level_query("clear_entity_stage", level),
        copy=level_query("copy_entities", level),
        analyze=level_query("analyze_entity_stage", level),
    )


def _metrics_statements() -> _Statements:
    return _Statements(
        create=queries["create_metrics_stage"],
        empty=queries["empty_metrics_stage"],
        truncate=queries["clear_metrics_stage"],
        copy=queries["copy_metrics"],
        analyze=queries["analyze_metrics_stage"],
    )


def analyze_entities(connection: Connection, level: Level) -> None:
    """Tell the planner what is in the level's stage, when that is much."""
    _analyze(connection, _entity_statements(level))


def analyze_metrics(connection: Connection) -> None:
    """Tell the planner what is in the stage of metrics, when that is much."""
    _analyze(connection, _metrics_statements())


class EntityStage(_Stage):
    """Takes the entities of one level that one read saw."""

    def __init__(self, connection: Connection, level: Level) -> None:
        super().__init__(connection, _entity_statements(level))
        self._level = level

    def add(self, records: Sequence[object]) -> None:
        """Copy one page of Entity records. The last of several of one entity wins a tie."""
        if not records:
            return
        if self._count:
            crash_point("between_pages")
        self._passed += len(records)
        with (
            translated(),
            self._connection.cursor() as cursor,
            cursor.copy(self._statements.copy) as copy,
        ):
            for position, record in enumerate(records, self._count):
                if not isinstance(record, Entity) or record.level != self._level:
                    raise Defect(f"the stage of {self._level}s was handed something else")
                copy.write_row((*_entity_row(record), position))
        self._taken(records)


class MetricsStage(_Stage):
    """Takes the daily numbers of one read, of any levels."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, _metrics_statements())

    def __enter__(self) -> Self:
        # Levels are strings; said here, psycopg need not ask Python for the value of each.
        self._connection.adapters.register_dumper(Level, StrDumper)
        return super().__enter__()

    def add(self, records: Sequence[object]) -> None:
        """Copy one page of DailyMetrics.

        Raises IncompleteRead when a value is not the number, date or JSON it should be.
        """
        if not records:
            return
        if self._count:
            crash_point("between_pages")
        self._passed += len(records)
        try:
            with self._connection.cursor() as cursor, cursor.copy(self._statements.copy) as copy:
                write_row = copy.write_row
                for position, record in enumerate(records, self._count):
                    if not isinstance(record, DailyMetrics):
                        raise Defect("the stage of metrics was handed something else")
                    extra = record.extra
                    if extra is not None and "\\u" in extra:
                        write_row((*record[:-1], storable_json_text(extra), position))
                    else:
                        write_row((*record, position))
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            raise IncompleteRead(
                f"a report row holds a value that is no number, date or JSON"
                f" ({error.sqlstate or 'text that cannot be stored'})"
            ) from None
        except psycopg.Error as error:
            raise family_of(error) from None
        self._taken(records)


def _entity_row(record: Entity) -> tuple[object, ...]:
    return (
        record.platform_id,
        record.campaign_id,
        record.adset_id,
        storable_text(record.name),
        storable_text(record.status),
        storable_text(record.platform_status),
        storable_text(record.effective_status),
        record.created_at,
        record.updated_at,
        json_text(dict(record.extra)) if record.extra else None,
    )
