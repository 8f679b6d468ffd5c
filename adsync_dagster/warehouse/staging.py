"""Stages: temporary tables that take a read page by page, outside any transaction.

A page goes over by COPY, the fastest way in, and nothing is judged here: merging dedupes,
compares and guards. A stage belongs to its connection and is emptied when it is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import psycopg
from psycopg.types.string import StrDumper

from adsync_dagster.crash_points import crash_point
from adsync_dagster.errors import Defect, IncompleteRead
from adsync_dagster.records import DailyMetrics, Entity, Level
from adsync_dagster.warehouse.database import Connection
from adsync_dagster.warehouse.database_errors import family_of, translated
from adsync_dagster.warehouse.queries import level_query, queries
from adsync_dagster.warehouse.text import json_text, storable_json_text, storable_text


class EntityStage:
    """Takes the entities of one level that one read saw."""

    def __init__(self, connection: Connection, level: Level) -> None:
        self._connection = connection
        self._level = level
        self._count = 0

    @property
    def count(self) -> int:
        """How many records were added, duplicates included."""
        return self._count

    def __enter__(self) -> Self:
        self._connection.execute(level_query("create_entity_stage", self._level))
        self._connection.execute(level_query("clear_entity_stage", self._level))
        return self

    def __exit__(self, *_: object) -> None:
        _clear_quietly(self._connection, level_query("clear_entity_stage", self._level).as_string())

    def add(self, records: Sequence[object]) -> None:
        """Copy one page of Entity records. The last of several of one entity wins a tie."""
        if self._count:
            crash_point("between_pages")
        with (
            translated(),
            self._connection.cursor() as cursor,
            cursor.copy(level_query("copy_entities", self._level)) as copy,
        ):
            for record in records:
                if not isinstance(record, Entity) or record.level != self._level:
                    raise Defect(f"the stage of {self._level}s was handed something else")
                copy.write_row(_entity_row(record))
        self._count += len(records)
        crash_point("page_copied")


class MetricsStage:
    """Takes the daily numbers of one read, of any levels."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._count = 0

    @property
    def count(self) -> int:
        """How many records were added, duplicates included."""
        return self._count

    def __enter__(self) -> Self:
        # Levels are strings; said here, psycopg need not ask Python for the value of each.
        self._connection.adapters.register_dumper(Level, StrDumper)
        self._connection.execute(queries["create_metrics_stage"])
        self._connection.execute(queries["clear_metrics_stage"])
        return self

    def __exit__(self, *_: object) -> None:
        _clear_quietly(self._connection, queries["clear_metrics_stage"])

    def add(self, records: Sequence[object]) -> None:
        """Copy one page of DailyMetrics.

        Raises IncompleteRead when a value is not the number, date or JSON it should be.
        """
        if self._count:
            crash_point("between_pages")
        try:
            with self._connection.cursor() as cursor, cursor.copy(queries["copy_metrics"]) as copy:
                write_row = copy.write_row
                for record in records:
                    if not isinstance(record, DailyMetrics):
                        raise Defect("the stage of metrics was handed something else")
                    extra = record.extra
                    if extra is not None and "\\u" in extra:
                        write_row((*record[:-1], storable_json_text(extra)))
                    else:
                        write_row(record)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            raise IncompleteRead(
                f"a report row holds a value that is no number, date or JSON"
                f" ({error.sqlstate or 'text that cannot be stored'})"
            ) from None
        except psycopg.Error as error:
            raise family_of(error) from None
        self._count += len(records)
        crash_point("page_copied")


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


def _clear_quietly(connection: Connection, statement: str) -> None:
    """Give the memory back; a broken connection or transaction has nothing to give."""
    if not connection.closed and connection.info.transaction_status == (
        psycopg.pq.TransactionStatus.IDLE
    ):
        connection.execute(statement)
