"""Stored numbers for programs outside: streamed for files, and by platform id for comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from adsync_dagster.records import Account, DateRange, Level
from adsync_dagster.warehouse.database import Connection
from adsync_dagster.warehouse.queries import level_query, queries


class MetricRow(NamedTuple):
    """One entity's stored numbers on one account-local day; money in major units."""

    platform_id: str
    date: date
    impressions: int
    clicks: int
    spend: Decimal
    conversions: Decimal
    conversion_value: Decimal


def metric_rows(
    connection: Connection, account: Account, level: Level, days: DateRange
) -> Iterator[MetricRow]:
    """Stored rows of one level, ordered by day, then platform id."""
    cursor = connection.execute(
        queries["metric_rows"],
        {
            "ad_account_id": account.id,
            "entity_type": level.value,
            "since": days.since,
            "until": days.until,
        },
    )
    return (MetricRow(*row) for row in cursor)


class DayStates(NamedTuple):
    """How many account days of a range are in which state."""

    sealed: int
    reconciled: int
    open: int


#: Columns of an export with a list of rows, in their order.
Chunk = tuple[list[str], list[tuple[Any, ...]]]


def metrics_in_chunks(
    connection: Connection,
    level: Level,
    days: DateRange,
    accounts: Sequence[UUID] | None,
    rows_max: int,
) -> Iterator[Chunk]:
    """The facts of a level, at most `rows_max` rows at a time, by day, account and entity.

    Inside the caller's transaction; nothing but one chunk is ever in memory. `accounts` None
    means all. There is always a first chunk, empty when there are no rows.
    """
    query = level_query("export_metrics", level)
    return _in_chunks(connection, query, _range(days, accounts), rows_max)


def days_in_chunks(
    connection: Connection, days: DateRange, accounts: Sequence[UUID] | None, rows_max: int
) -> Iterator[Chunk]:
    """What is known of each account day of the range, in the same way."""
    return _in_chunks(connection, queries["export_days"], _range(days, accounts), rows_max)


def day_states(
    connection: Connection, days: DateRange, accounts: Sequence[UUID] | None
) -> DayStates:
    """How settled the range is; days before an account's history count nowhere."""
    row = connection.execute(queries["export_day_states"], _range(days, accounts)).fetchone()
    return DayStates(*(row or (0, 0, 0)))


def _range(days: DateRange, accounts: Sequence[UUID] | None) -> dict[str, Any]:
    return {
        "since": days.since,
        "until": days.until,
        "ad_account_ids": None if accounts is None else list(accounts),
    }


def _in_chunks(
    connection: Connection, query: str, values: dict[str, Any], rows_max: int
) -> Iterator[Chunk]:
    with connection.cursor(name="adsync_export") as cursor:
        cursor.execute(query, values)
        first = True
        while (rows := cursor.fetchmany(rows_max)) or first:
            yield [column.name for column in cursor.description or ()], rows
            first = False
