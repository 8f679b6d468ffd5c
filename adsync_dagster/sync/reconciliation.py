"""Compare an account's children with its own totals, repair what can be repaired, name the rest.

An account-wide report may hide deleted entities, leave a living one out, or be older than the
totals beside it. So a day that does not add up is, in this order: compared with totals read
again (numbers that move are not a loss), completed by reading by id what the report may have
hidden, corrected to zero where two syncs in a row hear that nothing is left and the totals
agree, completed by asking every entity that was silent, and only then explained. What stays
is kept as a residual with its class; a moving or unexplained day is never sealed. Where the
platform itself keeps numbers to campaigns (Performance Max), ad sets and ads lack just those.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal

from adsync_dagster.errors import IncompleteRead
from adsync_dagster.records import DateRange, DayAmounts, DayTotals, Level
from adsync_dagster.sync.environment import SyncContext
from adsync_dagster.warehouse import account_days, account_state, entities, metrics
from adsync_dagster.warehouse.account_days import Residual, ResidualClass
from adsync_dagster.warehouse.days import day_list
from adsync_dagster.warehouse.staging import MetricsStage

#: Entities asked by id in one read.
IDS_PER_READ = 50
#: Silent entities asked by id at most; above it the day stays open as unexplained.
SILENT_IDS_MAX = 2_000

AbsentRow = tuple[str, date]


def reconcile_level(
    context: SyncContext,
    level: Level,
    totals: Mapping[date, DayTotals],
    absent: Collection[AbsentRow],
) -> set[date]:
    """Reconcile one level of the days just merged; returns those that must stay open.

    `totals` are the account totals the days were compared with so far, one for each day;
    `absent` are stored non-zero rows that the report did not show again.
    """
    residuals = _compare(context, level, DateRange(since=min(totals), until=max(totals)))
    if all(_is_campaigns_only(residual, totals) for residual in residuals):
        explained = dict.fromkeys((one.date for one in residuals), ResidualClass.NO_AD_ROWS)
        return _classify(context, level, explained)
    days, moved, totals = _reread_totals(context, residuals, totals)
    residuals = _compare(context, level, days)
    unproven: set[date] = set()
    if not all(_is_campaigns_only(residual, totals) for residual in residuals):
        residuals, unproven = _complete_hidden(context, totals, residuals, absent)
    if not _explained_before(residuals, totals):
        residuals = _ask_the_silent(context, level, days)
    classes = {
        residual.date: _class_of(residual, moved, unproven, totals) for residual in residuals
    }
    return _classify(context, level, classes)


def read_totals(context: SyncContext, days: DateRange) -> dict[date, DayTotals]:
    """The platform's account totals; a day it leaves out of a complete read is a zero day."""
    adapter = context.client.adapter
    records, _ = context.client.rows(
        adapter.report_totals(context.account.platform_account_id, days, context.clock.now())
    )
    totals: dict[date, DayTotals] = {day: _zero(day) for day in day_list(days)}
    for record in records:
        if not isinstance(record, DayTotals) or record.date not in totals:
            raise IncompleteRead(
                f"the account totals of {context.account.key} hold a day that was not asked for"
            )
        totals[record.date] = record
    return totals


def _zero(day: date) -> DayTotals:
    nothing = Decimal(0)
    return DayTotals(
        date=day,
        impressions=0,
        clicks=0,
        spend=nothing,
        conversions=nothing,
        conversion_value=nothing,
    )


def _compare(context: SyncContext, level: Level, days: DateRange) -> list[Residual]:
    """Sum our rows per day against the totals; returns only the days that differ."""
    with context.session.transaction() as connection:
        return account_days.reconcile(connection, context.account, level, days)


def _reread_totals(
    context: SyncContext, residuals: Sequence[Residual], before: Mapping[date, DayTotals]
) -> tuple[DateRange, set[date], dict[date, DayTotals]]:
    """Read the totals of the days apart once more: the days, those that moved, the totals."""
    days = DateRange(
        since=min(residual.date for residual in residuals),
        until=max(residual.date for residual in residuals),
    )
    fresh = read_totals(context, days)
    with context.session.transaction() as connection:
        account_days.record_totals(connection, context.account, fresh.values(), days)
    return days, {day for day, total in fresh.items() if total != before[day]}, fresh


def _complete_hidden(
    context: SyncContext,
    totals: Mapping[date, DayTotals],
    residuals: Sequence[Residual],
    absent: Collection[AbsentRow],
) -> tuple[list[Residual], set[date]]:
    """Read by id what the report may hide, then prove zeros where rows are gone for good.

    Returns the days still apart, and those of them with rows whose end is not proven.
    """
    level, days = residuals[0].level, DateRange(since=min(totals), until=max(totals))
    apart = {residual.date for residual in residuals}
    gone = {row for row in absent if row[1] in apart}
    hidden = entities.hidden_candidates(
        context.session.connection, context.account, level, days.since
    )
    still_gone = _read_by_id(context, level, sorted({*hidden, *(row[0] for row in gone)}), days)
    residuals = _compare(context, level, days)
    unproven = _prove_zeros(context, totals, residuals, sorted(gone & still_gone))
    return _compare(context, level, days) if residuals else [], unproven


def _read_by_id(
    context: SyncContext, level: Level, ids: Sequence[str], days: DateRange
) -> set[AbsentRow]:
    """Merge what the platform reports by id; returns stored rows it does not confirm."""
    account, adapter = context.account, context.client.adapter
    unconfirmed: set[AbsentRow] = set()
    for start in range(0, len(ids), IDS_PER_READ):
        batch = ids[start : start + IDS_PER_READ]
        with MetricsStage(context.session.connection) as stage:
            verdict = context.client.run(
                adapter.report_entities(
                    account.platform_account_id, level, batch, days, context.clock.now()
                ),
                stage.add,
            )
            with context.session.transaction() as connection:
                metrics.merge_metrics(connection, account, level, verdict.read_started_at)
            asked = set(batch) - verdict.missing_ids
            absent = metrics.absent_rows(context.session.connection, account, level, days)
            unconfirmed |= {row for row in absent if row[0] in asked}
    return unconfirmed


def _prove_zeros(
    context: SyncContext,
    totals: Mapping[date, DayTotals],
    residuals: Sequence[Residual],
    rows: Sequence[AbsentRow],
) -> set[date]:
    """Set rows to zero that neither report nor read by id show any more; the days not proven.

    One sync's word is not enough: a platform in trouble answers every question with nothing.
    So the day must have been apart in the same way at an earlier sync, and what is left of it
    must then add up, or fall short as it does when an entity was never seen.
    """
    unproven: set[date] = set()
    doubted = 0
    for residual in residuals:
        gone = [row for row in rows if row[1] == residual.date]
        if not gone:
            continue
        level, day = residual.level, DateRange(since=residual.date, until=residual.date)
        try:
            if residual.residual_class not in _SEEN_APART:
                raise _NotProven
            with context.session.transaction() as connection:
                metrics.zero_rows(connection, context.account, level, gone, context.clock.now())
                rest = account_days.reconcile(connection, context.account, level, day)
                if not all(_falls_short(left, totals) for left in rest):
                    raise _NotProven
        except _NotProven:
            unproven.add(residual.date)
            doubted += len(gone)
    if unproven:
        context.log.warning(
            "[sync] %s: %d %s row(s) of %d day(s) from %s on are gone from the reports; they are"
            " kept until a later sync and the account's total confirm it",
            context.account.key,
            doubted,
            residuals[0].level,
            len(unproven),
            min(unproven),
        )
    return unproven


#: Classes of a day that an earlier sync found apart by these very amounts.
_SEEN_APART = frozenset({ResidualClass.MOVING, ResidualClass.UNEXPLAINED})


class _NotProven(Exception):
    """Rolls back a zeroing that is not proven."""


def _explained_before(residuals: Sequence[Residual], totals: Mapping[date, DayTotals]) -> bool:
    """Whether every day is apart by exactly what an earlier read, or the platform, explains."""
    return all(
        residual.residual_class == ResidualClass.NEVER_SEEN_ENTITY
        or _is_campaigns_only(residual, totals)
        for residual in residuals
    )


def _ask_the_silent(context: SyncContext, level: Level, days: DateRange) -> list[Residual]:
    """Ask by id every entity that could have delivered and had no row in the report."""
    silent = account_state.silent_ids(
        context.session.connection, context.account, level, days, limit=SILENT_IDS_MAX + 1
    )
    if len(silent) > SILENT_IDS_MAX:
        context.log.warning(
            "[sync] %s: more than %d silent %ss between %s and %s; not asked one by one",
            context.account.key,
            SILENT_IDS_MAX,
            level,
            days.since,
            days.until,
        )
        return _compare(context, level, days)
    _read_by_id(context, level, silent, days)
    return _compare(context, level, days)


def _classify(
    context: SyncContext, level: Level, classes: Mapping[date, ResidualClass]
) -> set[date]:
    """Name each remaining residual; returns the days that must not be sealed."""
    if classes:
        with context.session.transaction() as connection:
            for name in sorted(set(classes.values())):
                days = [day for day, given in classes.items() if given == name]
                account_days.classify(connection, context.account, level, days, name)
    return {day for day, name in classes.items() if name not in _EXPLAINED}


#: What a day may be apart by and still be final.
_EXPLAINED = frozenset({ResidualClass.NEVER_SEEN_ENTITY, ResidualClass.NO_AD_ROWS})


def _class_of(
    residual: Residual,
    moved: set[date],
    unproven: set[date],
    totals: Mapping[date, DayTotals],
) -> ResidualClass:
    if residual.date in moved:
        return ResidualClass.MOVING
    if _is_campaigns_only(residual, totals):
        return ResidualClass.NO_AD_ROWS
    # Children can only fall short of the total when one of them was never seen. Children
    # above the total means a row of ours is wrong or stale, and a person should look.
    if residual.date not in unproven and _falls_short(residual, totals):
        return ResidualClass.NEVER_SEEN_ENTITY
    return ResidualClass.UNEXPLAINED


def _falls_short(residual: Residual, totals: Mapping[date, DayTotals]) -> bool:
    """Whether no amount of the children is above the total, as far as they can show it."""
    return all(amount >= 0 for amount in _unshown(residual, totals))


def _is_campaigns_only(residual: Residual, totals: Mapping[date, DayTotals]) -> bool:
    """Whether just that is missing which the platform tells of campaigns only."""
    return not any(_unshown(residual, totals))


def _unshown(residual: Residual, totals: Mapping[date, DayTotals]) -> list[Decimal]:
    """What is missing besides that which no ad set or ad can show."""
    only = totals[residual.date].campaigns_only
    if only is None or residual.level is Level.CAMPAIGN:
        only = DayAmounts(0, 0, Decimal(0), Decimal(0), Decimal(0))
    return [
        residual.impressions - only.impressions,
        residual.clicks - only.clicks,
        residual.spend - only.spend,
        residual.conversions - only.conversions,
        residual.conversion_value - only.conversion_value,
    ]
