"""Compare an account's children with its own totals, repair what can be repaired, name the rest.

An account-wide report may hide deleted entities, leave a living one out, or be older than the
totals beside it. So a day that does not add up is, in this order: compared with totals read
again (numbers that move are not a loss), completed by reading by id what the report may have
hidden, corrected to zero where two syncs, an hour apart or more, hear that nothing is left and
the totals agree, completed by asking every entity that was silent on it, and only then
explained. What stays is kept as a residual with its class. A day that moves, is not explained,
or lacks what a known entity that cannot be read may have, is never sealed; one that an unseen
entity explains is sealed when a later sync, having asked once more, finds the same. Where the
platform itself keeps numbers to campaigns (Performance Max), ad sets and ads lack just those.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from adsync_dagster.errors import IncompleteRead
from adsync_dagster.platforms.registry import may_be_id
from adsync_dagster.records import DateRange, DayAmounts, DayTotals, Level
from adsync_dagster.settlement import sealable_from
from adsync_dagster.sync.environment import SyncContext
from adsync_dagster.warehouse import account_days, account_state, entities, metrics
from adsync_dagster.warehouse.account_days import Residual, ResidualClass
from adsync_dagster.warehouse.days import day_list
from adsync_dagster.warehouse.staging import MetricsStage

#: Entities asked by id in one read.
IDS_PER_READ = 50
#: Silent entities asked by id at most; above it the day stays open as unexplained.
SILENT_IDS_MAX = 2_000
#: Entities that reports may hide, asked by id at most; the same above it.
HIDDEN_IDS_MAX = 2_000

#: The last decimal of what is stored.
MILLIONTH = Decimal("0.000001")

AbsentRow = tuple[str, date]


@dataclass(slots=True)
class _Doubts:
    """What keeps the days of one reconciliation from being explained, or final."""

    #: Their totals changed between two readings.
    moved: set[date]
    #: They have stored rows that are gone from the reports, and not proven to be zero.
    unproven: set[date] = field(default_factory=set)
    #: They were set to zero just now: one more sync has to find them so.
    zeroed: set[date] = field(default_factory=set)
    #: Known entities that could not be read by id: what they have is unknown.
    unreadable: set[str] = field(default_factory=set)
    #: Whether entities that may have numbers were not asked, because they are too many.
    unasked: bool = False


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
    doubts = _Doubts(moved)
    residuals = _compare(context, level, days)
    if not all(_is_campaigns_only(residual, totals) for residual in residuals):
        residuals = _complete_hidden(context, totals, residuals, absent, doubts)
    # What moves is read again anyway; asking everybody about today, every hour, proves nothing.
    unexplained = [
        one.date
        for one in residuals
        if one.date not in moved and not _is_explained(context, one, totals)
    ]
    if unexplained:
        _ask_the_silent(context, level, unexplained, doubts)
        residuals = _compare(context, level, days)
    classes = {residual.date: _class_of(residual, doubts, totals) for residual in residuals}
    unconfirmed = {
        residual.date
        for residual in residuals
        if classes[residual.date] is ResidualClass.NEVER_SEEN_ENTITY and not _is_confirmed(residual)
    }
    return (
        _classify(context, level, classes)
        | unconfirmed
        | doubts.moved
        | doubts.unproven
        | doubts.zeroed
    )


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
    doubts: _Doubts,
) -> list[Residual]:
    """Read by id what the report may hide, then prove zeros where rows are gone for good.

    Returns the days still apart; days with rows whose end is not proven are doubted.
    """
    level, days = residuals[0].level, DateRange(since=min(totals), until=max(totals))
    apart = {residual.date for residual in residuals}
    gone = {row for row in absent if row[1] in apart}
    hidden = entities.hidden_candidates(
        context.session.connection, context.account, level, days.since, limit=HIDDEN_IDS_MAX + 1
    )
    if len(hidden) > HIDDEN_IDS_MAX:
        doubts.unasked = True
        context.log.warning(
            "[sync] %s: more than %d %ss that reports may hide; the others take turns, and the"
            " days stay open meanwhile",
            context.account.key,
            HIDDEN_IDS_MAX,
            level,
        )
    asked = sorted({*hidden, *(row[0] for row in gone)})
    still_gone = _read_by_id(context, level, asked, days, doubts)
    residuals = _compare(context, level, days)
    _prove_zeros(context, totals, residuals, sorted(gone & still_gone), doubts)
    return _compare(context, level, days) if residuals else []


def _read_by_id(
    context: SyncContext, level: Level, ids: Sequence[str], days: DateRange, doubts: _Doubts
) -> set[AbsentRow]:
    """Merge what the platform reports by id; returns stored rows it does not confirm."""
    account, adapter = context.account, context.client.adapter
    # Rows of an adopted database's own have nothing that anybody could doubt.
    ids = [one for one in ids if may_be_id(account.platform, level, one)]
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
            asked = sorted(set(batch) - verdict.missing_ids)
            unconfirmed |= set(
                metrics.absent_rows(context.session.connection, account, level, days, asked)
            )
        doubts.unreadable |= verdict.missing_ids & set(batch)
    return unconfirmed


def _prove_zeros(
    context: SyncContext,
    totals: Mapping[date, DayTotals],
    residuals: Sequence[Residual],
    rows: Sequence[AbsentRow],
    doubts: _Doubts,
) -> None:
    """Set rows to zero that neither report nor read by id show any more; doubt the other days.

    One sync's word is not enough: a platform in trouble answers every question with nothing.
    So the day must have been apart in the same way at a sync an hour ago or more, and what is
    left of it must then add up, or fall short as it does when an entity was never seen.
    """
    doubted = 0
    for residual in residuals:
        gone = [row for row in rows if row[1] == residual.date]
        if not gone:
            continue
        level, day = residual.level, DateRange(since=residual.date, until=residual.date)
        try:
            if not residual.lasting or residual.residual_class not in _SEEN_APART:
                raise _NotProven
            with context.session.transaction() as connection:
                metrics.zero_rows(connection, context.account, level, gone, context.clock.now())
                rest = account_days.reconcile(connection, context.account, level, day)
                if not all(_falls_short(left, totals) for left in rest):
                    raise _NotProven
            doubts.zeroed.add(residual.date)
        except _NotProven:
            doubts.unproven.add(residual.date)
            doubted += len(gone)
    if doubts.unproven:
        context.log.warning(
            "[sync] %s: %d %s row(s) of %d day(s) from %s on are gone from the reports; they are"
            " kept until a later sync and the account's total confirm it",
            context.account.key,
            doubted,
            residuals[0].level,
            len(doubts.unproven),
            min(doubts.unproven),
        )


#: Classes of a day that an earlier sync found apart by these very amounts.
_SEEN_APART = frozenset({ResidualClass.MOVING, ResidualClass.UNEXPLAINED})


class _NotProven(Exception):
    """Rolls back a zeroing that is not proven."""


def _is_explained(
    context: SyncContext, residual: Residual, totals: Mapping[date, DayTotals]
) -> bool:
    """Whether the day is apart by exactly what the platform, or an earlier read, explains.

    Before it is final everybody is asked once more: what one answer left out may be there now.
    """
    if _is_campaigns_only(residual, totals):
        return True
    final_from = sealable_from(residual.date, context.account.timezone, context.rules)
    return (
        residual.residual_class == ResidualClass.NEVER_SEEN_ENTITY
        and context.clock.now() < final_from
    )


def _is_confirmed(residual: Residual) -> bool:
    """Whether a sync an hour ago or more gave the day this very explanation."""
    return residual.lasting and residual.residual_class == ResidualClass.NEVER_SEEN_ENTITY


def _ask_the_silent(
    context: SyncContext, level: Level, days: Sequence[date], doubts: _Doubts
) -> None:
    """Ask by id every entity that could have delivered and has no row on one of the days."""
    silent = account_state.silent_ids(
        context.session.connection, context.account, level, days, limit=SILENT_IDS_MAX
    )
    if silent is None:
        doubts.unasked = True
        context.log.warning(
            "[sync] %s: more than %d silent %ss between %s and %s; not asked one by one, the"
            " days stay open",
            context.account.key,
            SILENT_IDS_MAX,
            level,
            min(days),
            max(days),
        )
        return
    _read_by_id(context, level, silent, DateRange(since=min(days), until=max(days)), doubts)


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
    residual: Residual, doubts: _Doubts, totals: Mapping[date, DayTotals]
) -> ResidualClass:
    if residual.date in doubts.moved:
        return ResidualClass.MOVING
    if _is_campaigns_only(residual, totals):
        return ResidualClass.NO_AD_ROWS
    if residual.residual_class == ResidualClass.NEVER_SEEN_ENTITY:
        # By these very amounts: everybody was asked about them before. Of rows that are gone since
        # the total still has the amounts, so they stay, and the day waits for them.
        return ResidualClass.NEVER_SEEN_ENTITY
    # Children can only fall short of the total when one of them is not stored. Children above
    # the total means a row of ours is wrong or stale, and a person should look.
    if residual.date in doubts.unproven or not _falls_short(residual, totals):
        return ResidualClass.UNEXPLAINED
    return _who_is_missing(doubts)


def _who_is_missing(doubts: _Doubts) -> ResidualClass:
    """Why a day falls short of its total."""
    if doubts.unasked:
        return ResidualClass.UNEXPLAINED
    return ResidualClass.DELETED_HIDDEN if doubts.unreadable else ResidualClass.NEVER_SEEN_ENTITY


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
        only, rounded = DayAmounts(0, 0, Decimal(0), Decimal(0), Decimal(0)), Decimal(0)
    else:
        # Their own sum and the total were rounded as well.
        rounded = residual.rounded + MILLIONTH
    return [
        residual.impressions - only.impressions,
        residual.clicks - only.clicks,
        residual.spend - only.spend,
        _beyond(rounded, residual.conversions - only.conversions),
        _beyond(rounded, residual.conversion_value - only.conversion_value),
    ]


def _beyond(rounded: Decimal, amount: Decimal) -> Decimal:
    """The amount; nothing when it is no more than rounding makes."""
    return Decimal(0) if abs(amount) <= rounded else amount
