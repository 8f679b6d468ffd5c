"""Step 4: read the days that are due at every level, reconcile them, seal what is final.

What is due comes from settlement.plan, which starts at the first day not sealed. A range is
cut into pieces, so that memory and transactions stay bounded. Each piece is merged level by
level, compared with the account's own totals, repaired where they differ (reconciliation.py),
then sealed where its reads started late enough.
"""

from __future__ import annotations

from datetime import date, datetime

from adsync_dagster.calendar import split_range
from adsync_dagster.crash_points import crash_point
from adsync_dagster.records import LEVELS, DateRange, DayTotals, Level
from adsync_dagster.settlement import history_start, may_seal, plan
from adsync_dagster.sync.environment import SyncContext
from adsync_dagster.sync.reconciliation import read_totals, reconcile_level
from adsync_dagster.sync.reports import StepReport
from adsync_dagster.warehouse import account_days, entities, metrics
from adsync_dagster.warehouse.days import day_list
from adsync_dagster.warehouse.staging import MetricsStage

#: Rows a piece of a range may be expected to hold, and its length in days at most.
ROWS_PER_PIECE = 50_000
DAYS_PER_PIECE = 30


def read_metrics(
    context: SyncContext, *, days: DateRange | None = None, everything_open: bool = False
) -> StepReport:
    """Read, merge, reconcile and seal the days that are due, or exactly `days`."""
    report = StepReport(
        counts=dict.fromkeys(
            ("days", "rows", "inserted", "updated", "unchanged", "unreconciled", "sealed"), 0
        )
    )
    ranges = [days] if days is not None else _due(context, everything_open=everything_open)
    known_ads = len(entities.known_ids(context.session.connection, context.account, Level.AD))
    for whole in ranges:
        days_max = max(1, min(DAYS_PER_PIECE, ROWS_PER_PIECE // max(known_ads, 1)))
        for piece in split_range(whole, days_max):
            _read_piece(context, piece, report)
    return report


def _due(context: SyncContext, *, everything_open: bool) -> list[DateRange]:
    account, rules, now = context.account, context.rules, context.clock.now()
    start = account.history_start or history_start(now, account.timezone, rules)
    return plan(
        start=start,
        now=now,
        timezone=account.timezone,
        days=account_days.day_states(context.session.connection, account, since=start),
        rules=rules,
        everything_open=everything_open,
    )


def _read_piece(context: SyncContext, piece: DateRange, report: StepReport) -> None:
    """All levels of one piece. Every level is its own transaction and its own verdict."""
    totals = read_totals(context, piece)
    with context.session.transaction() as connection:
        account_days.record_totals(connection, context.account, totals.values(), piece)
    unreconciled: set[date] = set()
    started: dict[Level, datetime] = {}
    # Children first: their rows name parents that no list shows, which are then asked by id.
    for level in reversed(LEVELS):
        started[level], moving = _read_level(context, level, piece, totals, report)
        unreconciled |= moving
    _seal(context, piece, started, unreconciled, report)
    report.counts["days"] += piece.days
    report.counts["unreconciled"] += len(unreconciled)
    for day, total in totals.items():
        report.spend_by_day[day] = total.spend
    context.log.info(
        "[sync] Metrics of %s: %s to %s read, %d day(s) not reconciled",
        context.account.key,
        piece.since,
        piece.until,
        len(unreconciled),
    )


def _read_level(
    context: SyncContext,
    level: Level,
    piece: DateRange,
    totals: dict[date, DayTotals],
    report: StepReport,
) -> tuple[datetime, set[date]]:
    """Merge one level of a piece; returns when its read started and the days still apart."""
    account, adapter = context.account, context.client.adapter
    with MetricsStage(context.session.connection) as stage:
        crash_point("before_first_request")
        verdict = context.client.run(
            adapter.report(account.platform_account_id, level, piece, context.clock.now()),
            stage.add,
        )
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
