"""Keeps a copy of the warehouse, renewed after each tick by what was written meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from adsync_dagster.simulator.instants import micros
from adsync_dagster.simulator.oracle_queries import oracle_queries
from adsync_dagster.simulator.oracle_records import (
    AccountRow,
    CellRow,
    ChangeRow,
    DayRow,
    EntityRow,
    Reader,
    Snapshot,
)


class Watcher:
    """Reads the warehouse through a connection handed in."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._horizon = 0
        self.snapshot = Snapshot()

    def look(self) -> Snapshot:
        """Renew the copy. The same object each time; its `..._before` tell what changed."""
        now = self.snapshot
        since, horizon = self._horizon, next(self._rows("horizon"))[0]
        now.accounts_before = now.accounts
        now.accounts = {row[0]: _account(row) for row in self._rows("accounts")}
        now.entities_before, now.cells_before = {}, {}
        now.changes_before, now.days_before = {}, {}
        for row in self._rows("entities", since):
            key = (row[0], row[1], row[2])
            now.entities_before[key] = now.entities.get(key)
            now.entities[key] = _entity(row)
        for row in self._rows("metrics", since):
            cell = (row[0], row[1], row[2], row[3].toordinal())
            now.cells_before[cell] = now.cells.get(cell)
            now.cells[cell] = CellRow(tuple(row[4:11]), _stamp(row[11]))
        for row in self._rows("changes", since):
            change = _change(row)
            now.changes_before[change.id] = now.changes.get(change.id)
            now.changes[change.id] = change
        for row in self._rows("days", since):
            day = (row[0], row[1].toordinal(), row[2])
            now.days_before[day] = now.days.get(day)
            now.days[day] = _day(row)
        now.counts_before, now.counts = now.counts, next(self._rows("counts"))
        self._horizon = horizon
        return now

    def _rows(self, name: str, since: int | None = None) -> Iterator[tuple[Any, ...]]:
        params = None if since is None else {"since": since}
        yield from self._reader.execute(oracle_queries[name].encode(), params).fetchall()


def _stamp(instant: datetime | None) -> int | None:
    return None if instant is None else micros(instant)


def _ordinal(day: date | None) -> int | None:
    return None if day is None else day.toordinal()


def _account(row: tuple[Any, ...]) -> AccountRow:
    return AccountRow(row[0], row[1], _ordinal(row[2]), row[3] is not None, row[4], row[5])


def _entity(row: tuple[Any, ...]) -> EntityRow:
    return EntityRow((row[3], row[4]), row[5] is None, row[6], row[7], row[8], micros(row[9]))


def _change(row: tuple[Any, ...]) -> ChangeRow:
    return ChangeRow(
        (row[0], row[2], row[3]),
        str(row[1]),
        row[4],
        row[5],
        row[6],
        row[7],
        row[8],
        row[9],
        micros(row[10]),
        (row[11], row[12]),
        (row[13], row[14]),
        _stamp(row[15]),
        row[16],
        row[17],
        _stamp(row[18]),
    )


def _day(row: tuple[Any, ...]) -> DayRow:
    total, stored = row[6:11], row[11:16]
    return DayRow(
        row[3],
        _stamp(row[4]),
        row[5],
        None if None in total else total,
        None if None in stored else stored,
    )
