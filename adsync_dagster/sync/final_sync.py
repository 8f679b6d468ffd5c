"""Final syncs: read every open day of a stopped entity and its descendants, then mark done.

Invariant: a change becomes done only in a transaction that also stores the complete reads,
started after the change was claimed, of the last entities it still needed. Entities are read
by id, because account-wide reports hide the deleted ones, in bounded batches, children
before parents, so a parent's change is the last to be marked. Whatever fails leaves its
changes pending with the error written on them; nothing is ever given up.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID, uuid4

from adsync_dagster.calendar import account_day
from adsync_dagster.crash_points import crash_point
from adsync_dagster.errors import AccountBusy, AdsyncError, Blocked, IncompleteRead, Retryable
from adsync_dagster.records import LEVELS, Complete, DateRange, Level
from adsync_dagster.settlement import DayState, first_open_day
from adsync_dagster.sync.claiming import claim, needed_by
from adsync_dagster.sync.environment import Environment, SyncContext, account_context, logger
from adsync_dagster.sync.reports import FinalSyncReport
from adsync_dagster.warehouse import (
    account_days,
    account_state,
    accounts,
    changes,
    metrics,
)
from adsync_dagster.warehouse.changes import (
    PendingChange,
    get_entities_needing_final_sync,
    mark_final_sync_completed,
)
from adsync_dagster.warehouse.database import Connection
from adsync_dagster.warehouse.staging import MetricsStage

#: Entities per read and per transaction: one batch call of the platform, one short transaction.
ENTITIES_PER_TRANSACTION = 50
#: Changes claimed at once. More are claimed in the next round, so a mass pause stays bounded.
CHANGES_PER_ROUND = 500
ROUNDS_MAX = 10_000
#: Entities of one round whose answers may be unusable before the platform itself is suspected.
BAD_ENTITIES_MAX = 5

__all__ = [
    "get_entities_needing_final_sync",
    "mark_final_sync_completed",
    "process_all_pending_final_syncs",
    "process_final_sync_for_entity",
    "run_pending",
]

Needed = tuple[Level, str]


@dataclass(slots=True)
class _Round:
    """The claimed changes of one round and what each still needs."""

    token: UUID
    #: Every open day of the account, the range each entity is read for.
    days: DateRange
    #: Days that are final; a read by id leaves them as they are.
    sealed: frozenset[date] = frozenset()
    #: Entities seen for the first time, and the sealed days that they may explain.
    first_seen: frozenset[Needed] = frozenset()
    residual_days: DateRange | None = None
    needs: dict[UUID, set[Needed]] = field(default_factory=dict)
    bad_entities: int = 0

    def sealed_in_range(self) -> list[date]:
        """Sealed days whose rows were read again, so that their sums may be other ones."""
        since = min(one.since for one in (self.days, self.residual_days) if one is not None)
        return sorted(day for day in self.sealed if day >= since)

    def finished_by(self, read: set[Needed]) -> list[UUID]:
        """The changes that need nothing more once these entities are stored."""
        return [log_id for log_id, needed in self.needs.items() if needed <= read]

    def needing(self, entities_: set[Needed]) -> list[UUID]:
        """The changes that cannot be done without these entities."""
        return [log_id for log_id, needed in self.needs.items() if needed & entities_]

    def cover(self, read: set[Needed]) -> None:
        """Strike stored entities off; changes that need nothing more leave the round."""
        self.needs = {
            log_id: needed - read for log_id, needed in self.needs.items() if not needed <= read
        }

    def drop(self, log_ids: Iterable[UUID]) -> None:
        for log_id in log_ids:
            self.needs.pop(log_id, None)


def process_all_pending_final_syncs(
    environment: Environment, account_key: str, *, log: logging.Logger = logger
) -> FinalSyncReport:
    """Run every due final sync of one account, in its own session.

    Returns a report with `busy` when another worker holds the account. Retryable and Blocked
    errors are kept on the pending rows and in the report; UsageError and Defects raise.
    """
    report = FinalSyncReport(account_key=account_key)
    try:
        with account_context(environment, account_key, lock_wait_seconds=0, log=log) as context:
            return run_pending(context, report)
    except AccountBusy as error:
        report.busy = True
        report.fail(error)
    except Blocked as error:
        block_account_changes(environment, account_key, error)
        report.fail(error)
    except Retryable as error:
        # The session itself is gone, so nothing could be written on the rows: they stay due.
        report.fail(error)
    with suppress(Retryable), environment.database.connection() as connection:
        account = accounts.get_account(connection, account_key)
        _finish(connection, account.id, report)
    return report


def block_account_changes(environment: Environment, account_key: str, error: Blocked) -> None:
    """Write on every pending change of the account why it has to wait for a person."""
    with environment.database.connection() as connection:
        account = accounts.get_account(connection, account_key)
        account_state.block_changes(connection, account.id, str(error), error.reason)


def process_final_sync_for_entity(
    context: SyncContext, level: Level, platform_entity_id: str
) -> FinalSyncReport:
    """Run the due final syncs of one entity only, within an open account session.

    `context` comes from `account_context`; `platform_entity_id` is the platform's own id. What
    fails stays pending, with the reason on its row and in the report.
    """
    report = FinalSyncReport(account_key=context.account.key)
    token = uuid4()
    claimed = claim(context, token, CHANGES_PER_ROUND, entity=(level, platform_entity_id))
    _run_round(context, _plan(context, token, claimed), report)
    return _finish(context.session.connection, context.account.id, report)


def run_pending(
    context: SyncContext, report: FinalSyncReport | None = None, *, again: bool = False
) -> FinalSyncReport:
    """Run every due final sync of the context's account: step 0, and `again` after step 3."""
    report = report or FinalSyncReport(account_key=context.account.key)
    context.log.info(
        "[sync] Step 0/4%s: Checking for entities needing final sync... (%s)",
        ", again" if again else "",
        context.account.key,
    )
    _finish(context.session.connection, context.account.id, report)
    if report.pending_after:
        _run_rounds(context, report)
        _finish(context.session.connection, context.account.id, report)
    context.log.info(
        "[sync] Final sync complete: %d entities, %d metrics collected (%s: %d done, %d pending)",
        report.entities,
        report.metrics,
        context.account.key,
        report.done,
        report.pending_after,
    )
    return report


def _run_rounds(context: SyncContext, report: FinalSyncReport) -> None:
    for _ in range(ROUNDS_MAX):
        token = uuid4()
        claimed = claim(context, token, CHANGES_PER_ROUND)
        if not claimed:
            return
        crash_point("claim_committed")
        if not _run_round(context, _plan(context, token, claimed), report):
            return


def open_range(context: SyncContext, states: Mapping[date, DayState]) -> DateRange:
    """Every open day of the account that the platform still reports: never a fixed look-back."""
    start, today = context.first_day, account_day(context.clock.now(), context.account.timezone)
    return DateRange(since=min(first_open_day(start, today, states), today), until=today)


def _plan(context: SyncContext, token: UUID, claimed: Sequence[PendingChange]) -> _Round:
    connection, account = context.session.connection, context.account
    since = context.first_day
    states = account_days.day_states(connection, account, since=since)
    round_ = _Round(
        token=token,
        days=open_range(context, states),
        sealed=frozenset(day for day, state in states.items() if state.sealed),
    )
    first_seen: set[Needed] = set()
    for change in claimed:
        needed = needed_by(context, change, round_.days.since)
        round_.needs[change.log_id] = needed
        if change.old_status is None:
            first_seen |= needed
    if first_seen:
        # Nobody had seen it before: sealed days may hold its amounts as their residual.
        days = account_state.residual_days(connection, account, since)
        round_.first_seen = frozenset(first_seen)
        round_.residual_days = DateRange(since=days[0], until=days[-1]) if days else None
    return round_


def _run_round(context: SyncContext, round_: _Round, report: FinalSyncReport) -> bool:
    """Read and commit batch by batch; False when the round had to stop early."""
    _complete_what_needs_nothing(context, round_, report)
    for level in reversed(LEVELS):
        ids = sorted(
            {key[1] for needed in round_.needs.values() for key in needed if key[0] == level}
        )
        for start in range(0, len(ids), ENTITIES_PER_TRANSACTION):
            batch = ids[start : start + ENTITIES_PER_TRANSACTION]
            try:
                _read_in_halves(context, round_, level, batch, report)
            except (Retryable, Blocked) as error:
                _leave_pending(context, round_, list(round_.needs), error, report)
                return False
    if touched := round_.sealed_in_range():
        with context.session.transaction() as connection:
            for level in LEVELS:
                account_days.reconcile(connection, context.account, level, touched)
    return True


def _complete_what_needs_nothing(
    context: SyncContext, round_: _Round, report: FinalSyncReport
) -> None:
    """Settle changes of what had ended before anything could fall on a day that is still open."""
    if finished := round_.finished_by(set()):
        with context.session.transaction() as connection:
            report.done += changes.complete(connection, finished, round_.token)
        round_.drop(finished)


def _read_in_halves(
    context: SyncContext, round_: _Round, level: Level, ids: Sequence[str], report: FinalSyncReport
) -> None:
    """Read a batch; when its answer is unusable, halve it, so one bad entity stays alone.

    Raises what ends the round: a throttle, a block, or too many bad entities in a row.
    """
    try:
        _read_and_commit(context, round_, level, ids, report)
    except IncompleteRead as error:
        if len(ids) > 1:
            middle = len(ids) // 2
            _read_in_halves(context, round_, level, ids[:middle], report)
            _read_in_halves(context, round_, level, ids[middle:], report)
            return
        round_.bad_entities += 1
        if round_.bad_entities >= BAD_ENTITIES_MAX:
            raise
        stuck = round_.needing({(level, ids[0])})
        _leave_pending(context, round_, stuck, error, report)
        round_.drop(stuck)


def _read_and_commit(
    context: SyncContext,
    round_: _Round,
    level: Level,
    ids: Sequence[str],
    report: FinalSyncReport,
) -> None:
    """The one transaction that stores the last metrics and marks the changes done."""
    account = context.account
    with MetricsStage(context.session.connection) as stage:
        crash_point("before_first_request")
        verdict = _read(context, level, ids, round_.days, stage)
        missing = set(verdict.missing_ids)
        first_seen = [one for one in ids if (level, one) in round_.first_seen]
        if round_.residual_days is not None and first_seen:
            earlier = _read(context, level, first_seen, round_.residual_days, stage)
            missing |= earlier.missing_ids
        crash_point("after_last_page")
        vanished = _vanished(context, round_, level, ids) - missing
        read = {(level, one) for one in ids if one not in missing and one not in vanished}
        finished = round_.finished_by(read)
        with context.session.transaction() as connection:
            counts = metrics.merge_metrics(connection, account, level, verdict.read_started_at)
            done = changes.complete(connection, finished, round_.token)
            crash_point("changes_completed")
            if done != len(finished):
                raise AccountBusy(
                    f"final syncs of {account.key} were settled or taken over by someone else"
                    " during the read; what it read is dropped"
                )
    round_.cover(read)
    report.entities += len(read)
    report.metrics += counts.inserted + counts.updated
    report.done += done
    if vanished:
        _doubt_vanished(context, round_, level, vanished, report)
    if missing:
        _block_unreachable(context, round_, level, missing, report)


def _read(
    context: SyncContext, level: Level, ids: Sequence[str], days: DateRange, stage: MetricsStage
) -> Complete:
    """Stage what the platform tells of these entities by id."""
    return context.client.run(
        context.client.adapter.report_entities(
            context.account.platform_account_id, level, ids, days, context.clock.now()
        ),
        stage.add,
    )


def _vanished(context: SyncContext, round_: _Round, level: Level, ids: Sequence[str]) -> set[str]:
    """Entities of which an open stored day is gone from the answer: cut, or really zero."""
    absent = metrics.absent_rows(
        context.session.connection, context.account, level, round_.days, ids
    )
    return {platform_id for platform_id, day in absent if day not in round_.sealed}


def _doubt_vanished(
    context: SyncContext, round_: _Round, level: Level, vanished: set[str], report: FinalSyncReport
) -> None:
    """An answer without days it had before proves nothing; step 4 finds out which it is."""
    stuck = round_.needing({(level, platform_id) for platform_id in vanished})
    error = IncompleteRead(
        f"the report of {len(vanished)} {level}(s) of {context.account.key} (first:"
        f" {min(vanished)}) lacks days it had before; the final sync waits until they are"
        " back or proven to be zero"
    )
    _leave_pending(context, round_, stuck, error, report)
    round_.drop(stuck)


def _block_unreachable(
    context: SyncContext, round_: _Round, level: Level, missing: set[str], report: FinalSyncReport
) -> None:
    """Changes that need an object the platform no longer shows wait for a person."""
    stuck = round_.needing({(level, platform_id) for platform_id in missing})
    error = _Unreachable(
        f"{len(missing)} {level}(s) of {context.account.key} cannot be read by id"
        f" (first: {min(missing)}); check the credential's access to them"
    )
    _leave_pending(context, round_, stuck, error, report)
    round_.drop(stuck)


class _Unreachable(Blocked):
    """The platform says the object does not exist for us; it may have been, so we keep asking."""

    reason = "unreachable"


def _leave_pending(
    context: SyncContext,
    round_: _Round,
    log_ids: Sequence[UUID],
    error: AdsyncError,
    report: FinalSyncReport,
) -> None:
    if not log_ids:
        return
    reason = error.reason if isinstance(error, Blocked) else None
    with context.session.transaction() as connection:
        changes.record_failure(
            connection,
            log_ids,
            round_.token,
            str(error),
            blocked_reason=reason,
            retry_after_seconds=error.retry_after_seconds if isinstance(error, Retryable) else None,
        )
    report.fail(error)
    report.failed += len(log_ids)
    context.log.warning(
        "[sync] Final sync left %d change(s) of %s pending: %s",
        len(log_ids),
        context.account.key,
        error,
    )


def _finish(connection: Connection, account_id: UUID, report: FinalSyncReport) -> FinalSyncReport:
    counts = account_state.count_pending(connection, account_id)
    report.pending_after, report.blocked = counts.pending, counts.blocked
    return report
