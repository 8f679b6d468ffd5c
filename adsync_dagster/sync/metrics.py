"""Step 4: read the days that are due at every level, reconcile them, seal what is final.

What is due comes from settlement.plan, which starts at the first day not sealed. A range is
cut into pieces, so that memory and transactions stay bounded. Each piece is merged level by
level, compared with the account's own totals, repaired where they differ (reconciliation.py),
then sealed where its reads started late enough.

A read of some levels only (a person's choice) is stored and reconciled at those levels. It
seals nothing, and the days stay due: a day is read when all of its levels are.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import date, datetime

from adsync_dagster.calendar import account_day, split_range
from adsync_dagster.crash_points import crash_point
from adsync_dagster.errors import UsageError
from adsync_dagster.platforms.registry import plugin_for
from adsync_dagster.records import LEVELS, Account, DateRange, DayTotals, Level
from adsync_dagster.settlement import (
    SettlementRules,
    first_reported_day,
    may_seal,
    plan,
    sealable_from,
)
from adsync_dagster.sync.environment import SyncContext
from adsync_dagster.sync.reconciliation import read_totals, reconcile_level
from adsync_dagster.sync.reports import StepReport
from adsync_dagster.transport import Ordered
from adsync_dagster.warehouse import account_days, accounts, entities, metrics
from adsync_dagster.warehouse.days import day_list
from adsync_dagster.warehouse.staging import MetricsStage

#: Rows a piece of a range may be expected to hold, and its length in days at most.
ROWS_PER_PIECE = 50_000
DAYS_PER_PIECE = 30
#: A range is told in at most this many lines.
LINES_PER_RANGE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsScope:
    """Which metrics to read: what is due at every level, unless a person chose otherwise."""

    #: Exactly these account-local days; None for the days that are due.
    days: DateRange | None = None
    #: Every open day, not only those that are due.
    everything_open: bool = False
    #: Some levels only. Such a read seals nothing and leaves its days due.
    levels: tuple[Level, ...] = LEVELS

    @property
    def whole(self) -> bool:
        """Whether a faultless read of this leaves nothing due unread."""
        return self.days is None and set(self.levels) == set(LEVELS)


EVERYTHING_DUE = MetricsScope()


def read_metrics(context: SyncContext, scope: MetricsScope = EVERYTHING_DUE) -> StepReport:
    """Read, merge, reconcile and seal the days that the scope asks for."""
    report = StepReport(
        counts=dict.fromkeys(
            ("days", "rows", "inserted", "updated", "unchanged", "unreconciled", "sealed"), 0
        )
    )
    if scope.days is None:
        ranges = _due(context, everything_open=scope.everything_open)
    else:
        ranges = [scope.days]
        _follow_open_days(context, scope.days)
    known_ads = len(entities.known_ids(context.session.connection, context.account, Level.AD))
    for whole in ranges:
        days_max = max(1, min(DAYS_PER_PIECE, ROWS_PER_PIECE // max(known_ads, 1)))
        pieces = split_range(whole, days_max)
        for number, piece in enumerate(pieces, start=1):
            _read_piece(context, piece, scope.levels, report)
            if _is_told(number, len(pieces)):
                context.log.info(
                    "[sync] Step 4/4: %s to %s read, piece %d of %d (%s)",
                    piece.since,
                    piece.until,
                    number,
                    len(pieces),
                    context.account.key,
                )
    return report


def _is_told(number: int, pieces: int) -> bool:
    """Whether the log says that this piece is read: about ten lines however many there are."""
    return (
        pieces > 1 and number * LINES_PER_RANGE // pieces > (number - 1) * LINES_PER_RANGE // pieces
    )


def check_reported(context: SyncContext, days: DateRange) -> None:
    """Refuse, with a UsageError, days before the platform's retention or not begun yet."""
    require_reported(context.account, context.rules, context.clock.now(), days)


def require_reported(
    account: Account, rules: SettlementRules, now: datetime, days: DateRange
) -> None:
    """The same for an account that is not being synced."""
    today = account_day(now, account.timezone)
    oldest = first_reported_day(today, rules)
    if days.since < oldest:
        raise UsageError(
            f"{account.key}: {plugin_for(account.platform).label} reports"
            f" {rules.retention_days} days back; the first day that can be read is {oldest}, not"
            f" {days.since}"
        )
    if days.until > today:
        raise UsageError(
            f"{account.key}: {days.until} has not begun in {account.timezone}; the last day"
            f" that can be read is {today}"
        )


def _follow_open_days(context: SyncContext, days: DateRange) -> None:
    """Let the account's history begin where a chosen day is still open.

    Days before the history are in nobody's plan: one that the platform may still revise would
    stay open for ever.
    """
    account, rules, now = context.account, context.rules, context.clock.now()
    if account.history_start is None or days.since >= account.history_start:
        return
    for day in day_list(days):
        if day < account.history_start and now < sealable_from(day, account.timezone, rules):
            with context.session.transaction() as connection:
                accounts.set_history_start(connection, account, day)
            return


def _due(context: SyncContext, *, everything_open: bool) -> list[DateRange]:
    account, rules, now = context.account, context.rules, context.clock.now()
    known = account_days.day_states(
        context.session.connection, account, since=context.reported_from
    )
    return plan(
        start=context.first_day,
        now=now,
        timezone=account.timezone,
        days=known,
        rules=rules,
        everything_open=everything_open,
    )


def _read_piece(
    context: SyncContext, piece: DateRange, levels: Collection[Level], report: StepReport
) -> None:
    """The levels of one piece. Every level is its own transaction and its own verdict."""
    totals = read_totals(context, piece)
    with context.session.transaction() as connection:
        account_days.record_totals(connection, context.account, totals.values(), piece)
    unreconciled: set[date] = set()
    started: dict[Level, datetime] = {}
    with ExitStack() as stack:
        # Children first: their rows name parents that no list shows, which are then asked by id.
        # While one level is read and stored, the platform computes the others.
        reads = {
            level: stack.enter_context(_ordered(context, level, piece))
            for level in reversed(LEVELS)
            if level in levels
        }
        for level, read in reads.items():
            started[level], moving = _read_level(context, level, read, totals, report)
            unreconciled |= moving
    if started.keys() == set(LEVELS):
        _seal(context, piece, started, unreconciled, report)
    report.counts["days"] += piece.days
    report.counts["unreconciled"] += len(unreconciled)
    for day, total in totals.items():
        report.spend_by_day[day] = total.spend


def _ordered(context: SyncContext, level: Level, piece: DateRange) -> closing[Ordered]:
    """The level's report, on its way where the platform has to compute it first."""
    adapter, account_id = context.client.adapter, context.account.platform_account_id
    crash_point("before_first_request")
    return closing(
        context.client.order(lambda: adapter.report(account_id, level, piece, context.clock.now()))
    )


def _read_level(
    context: SyncContext,
    level: Level,
    read: Ordered,
    totals: dict[date, DayTotals],
    report: StepReport,
) -> tuple[datetime, set[date]]:
    """Merge one level of a piece; returns when its read started and the days still apart."""
    account, piece = context.account, DateRange(since=min(totals), until=max(totals))
    with MetricsStage(context.session.connection) as stage:
        verdict = context.client.run(read, stage.add)
        crash_point("after_last_page")
        with context.session.transaction() as connection:
            counts = metrics.merge_metrics(connection, account, level, verdict.read_started_at)
            account_days.record_read(connection, account, level, piece, verdict.read_started_at)
        absent = metrics.absent_rows(context.session.connection, account, level, piece)
    report.counts["rows"] += verdict.row_count
    for name in ("inserted", "updated", "unchanged"):
        report.counts[name] += getattr(counts, name)
    apart = reconcile_level(context, level, totals, absent)
    return verdict.read_started_at, apart


def _seal(
    context: SyncContext,
    piece: DateRange,
    started: dict[Level, datetime],
    unreconciled: set[date],
    report: StepReport,
) -> None:
    """Seal the days whose every level was read late enough; unexplained days stay open."""
    account, rules = context.account, context.rules
    oldest = min(started.values())
    final = [
        day
        for day in day_list(piece)
        if day not in unreconciled and may_seal(day, account.timezone, oldest, rules)
    ]
    if final:
        with context.session.transaction() as connection:
            report.counts["sealed"] += account_days.seal(
                connection, account, dict.fromkeys(LEVELS, final), context.clock.now()
            ) // len(LEVELS)
