"""`ad_alerts`: which problems last, and who has been told of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from adsync_dagster.warehouse.database import Connection
from adsync_dagster.warehouse.queries import queries
from adsync_dagster.warehouse.text import json_text, short_text


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """A state of the warehouse that a person should know of."""

    kind: str
    #: The account's key, `platform:platform_account_id`.
    account: str
    name: str | None
    reason: str | None
    count: int
    since: datetime | None
    #: First and last account day concerned.
    since_day: date | None
    until_day: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """One problem on one channel, not closed yet."""

    id: int
    channel: str
    problem: str
    kind: str
    facts: Mapping[str, Any]
    opened_at: datetime
    seen_at: datetime
    told_at: datetime | None
    ended_at: datetime | None
    attempts: int
    error: str | None


def problems_now(connection: Connection, overdue_after: timedelta) -> list[ProblemRow]:
    """What is wrong now: blocked accounts and changes, overdue changes, unexplained residuals."""
    cursor = connection.execute(queries["problems_now"], {"seconds": overdue_after.total_seconds()})
    return [ProblemRow(*row) for row in cursor.fetchall()]


def open_alerts(
    connection: Connection, channels: Sequence[str], problems: Sequence[Mapping[str, Any]]
) -> None:
    """Note problems (`problem`, `kind`, `facts`) as lasting, on each of the channels."""
    if problems:
        connection.execute(
            queries["open_alerts"],
            {"channels": list(channels), "problems": json_text(list(problems))},
        )


def end_alerts(connection: Connection, kinds: Collection[str], lasting: Collection[str]) -> None:
    """Note as over what is open, of one of the kinds, and not among the lasting problems."""
    connection.execute(queries["end_alerts"], {"kinds": sorted(kinds), "problems": sorted(lasting)})


def list_alerts(connection: Connection) -> list[AlertRow]:
    """Every row that is not closed, in the order of first sight."""
    cursor = connection.execute(queries["list_alerts"])
    columns = [column.name for column in cursor.description or ()]
    return [AlertRow(**dict(zip(columns, row, strict=True))) for row in cursor.fetchall()]


def mark_told(connection: Connection, lasting: Sequence[int], over: Sequence[int]) -> None:
    """A message was taken, about problems that last and about some that are over."""
    connection.execute(queries["mark_alerts_told"], {"ids": list(lasting)})
    connection.execute(queries["close_alerts"], {"ids": list(over)})


def mark_untold(connection: Connection, ids: Sequence[int], error: str) -> None:
    """A message about these was not taken; it stays due."""
    connection.execute(
        queries["mark_alerts_untold"], {"ids": list(ids), "error": short_text(error)}
    )


def present_time(connection: Connection) -> datetime:
    """The warehouse's time."""
    row = connection.execute(queries["present_time"]).fetchone()
    if row is None:
        raise AssertionError("a query without FROM has one row")
    present: datetime = row[0]
    return present


@contextmanager
def sole_teller(connection: Connection) -> Iterator[bool]:
    """Whether nobody else is telling people at this moment; held for the length of the block."""
    row = connection.execute(queries["lock_alerts"]).fetchone()
    alone = bool(row and row[0])
    try:
        yield alone
    finally:
        if alone and not connection.closed:
            connection.execute(queries["unlock_alerts"])
