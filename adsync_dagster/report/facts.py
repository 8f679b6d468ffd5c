"""Everything the completeness report is made of, read in one snapshot of the warehouse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from adsync_dagster.sync.environment import Environment
from adsync_dagster.sync.verdict import Question, questions
from adsync_dagster.warehouse.report import (
    AccountRow,
    BlockedRow,
    ChangeDayRow,
    DayRow,
    PendingCount,
    PendingRow,
    ReportReader,
    ResidualRow,
    WaitingTimes,
    snapshot,
)

#: Upper bounds, in seconds, of the classes in which waiting times are counted.
WAITING_BOUNDS = (60, 300, 900, 3600, 21_600, 86_400)
PENDING_ROWS_MAX = 50
SLOWEST_ROWS_MAX = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was found, and when. `chosen` is None when all accounts were asked for."""

    now: datetime
    days_asked: int
    chosen: tuple[str, ...] | None
    questions: Sequence[Question]
    accounts: Sequence[AccountRow]
    days: Sequence[DayRow]
    residuals: Sequence[ResidualRow]
    pending_counts: Sequence[PendingCount]
    pending: Sequence[PendingRow]
    blocked: Sequence[BlockedRow]
    change_days: Sequence[ChangeDayRow]
    waiting: WaitingTimes


def read_facts(environment: Environment, *, accounts: Sequence[str] | None, days: int) -> Facts:
    """Ask the warehouse, at one moment, about accounts (None: all) and the last `days` days."""
    with snapshot(environment.database) as (connection, now):
        reader = ReportReader(connection, now, accounts=accounts, days=days)
        return Facts(
            now=now,
            days_asked=days,
            chosen=None if accounts is None else tuple(accounts),
            questions=questions(environment, connection, accounts),
            accounts=reader.accounts(),
            days=reader.days(),
            residuals=reader.residuals(),
            pending_counts=reader.pending_counts(),
            pending=reader.pending(PENDING_ROWS_MAX),
            blocked=reader.blocked(),
            change_days=reader.change_days(),
            waiting=reader.waiting_times(WAITING_BOUNDS, SLOWEST_ROWS_MAX),
        )
