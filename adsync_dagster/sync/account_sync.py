"""An account sync: the steps 0 to 4 in order, for one account, in one session.

0 final syncs that are pending; 1 campaigns; 2 ad sets; 3 ads; the final syncs those steps
caused; 4 metrics of every day that is due, reconciled and sealed. Each step commits its own
work. A step that fails leaves the later ones to run where that can help, and the account's
"last synced" mark where it was, so nothing that was missed is ever skipped over.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import datetime

from adsync_dagster.errors import (
    AccountBusy,
    AdsyncError,
    Blocked,
    IncompleteRead,
    Retryable,
    UsageError,
)
from adsync_dagster.records import Level
from adsync_dagster.settlement import history_start, settled_after, settled_within
from adsync_dagster.sync.change_history import read_change_history
from adsync_dagster.sync.connecting import describe_account
from adsync_dagster.sync.entities import sync_entities
from adsync_dagster.sync.environment import Environment, SyncContext, account_context, logger
from adsync_dagster.sync.final_sync import block_account_changes, run_pending
from adsync_dagster.sync.metrics import (
    EVERYTHING_DUE,
    MetricsScope,
    check_reported,
    read_metrics,
)
from adsync_dagster.sync.reports import (
    ALL_STEPS,
    ENTITY_STEPS,
    AccountReport,
    FinalSyncReport,
    Step,
    StepReport,
)
from adsync_dagster.warehouse import account_state, accounts

#: How long a sync waits for another worker on the same account.
LOCK_WAIT_SECONDS = 900.0

_ENTITY_STEPS = (
    (Step.CAMPAIGNS, Level.CAMPAIGN, "1/4: Fetching campaigns"),
    (Step.AD_SETS, Level.ADSET, "2/4: Fetching ad sets"),
    (Step.ADS, Level.AD, "3/4: Fetching ads"),
)


def sync_account(
    environment: Environment,
    account_key: str,
    steps: frozenset[Step] = ALL_STEPS,
    *,
    scope: MetricsScope = EVERYTHING_DUE,
    lock_wait_seconds: float = LOCK_WAIT_SECONDS,
    log: logging.Logger = logger,
) -> AccountReport:
    """Sync one account and say what happened.

    Retryable and Blocked errors are recorded on the account and in the report, not raised.
    What is raised is recorded on the account as well, unless a person asked for chosen days
    and is there to read the answer.

    Args:
        environment: Database, credentials, clock and platform clients.
        account_key: `platform:platform_account_id`.
        steps: What to do, in the fixed order of `Step`; all of it by default.
        scope: Which metrics to read; what is due at every level by default.
        lock_wait_seconds: How long to wait for another worker on the account.
        log: Where the lines `[sync] Step n/4: ...` go.

    Raises:
        UsageError: There is no such account, or the platform does not report those days.
        Defect: A bug of ours; nothing was written after it.
    """
    report = AccountReport(account_key=account_key)
    began = time.monotonic()
    try:
        with account_context(
            environment, account_key, lock_wait_seconds=lock_wait_seconds, log=log
        ) as context:
            _AccountSync(context, steps, report, scope).run()
            return report
    except AccountBusy as error:
        report.busy = True
        report.fail(error)
    except (Blocked, Retryable) as error:
        report.fail(error)
        try:
            if isinstance(error, Blocked):
                block_account_changes(environment, account_key, error)
            _record_failure(environment, account_key, error, report)
        except Retryable as unrecorded:
            log.warning("[sync] %s: the failure could not be noted: %s", account_key, unrecorded)
    except Exception as error:
        if scope.days is None or not isinstance(error, UsageError):
            _record_raised(environment, account_key, error, log)
        raise
    finally:
        report.seconds = time.monotonic() - began
    return report


def report_of_defect(key: str, error: Exception) -> AccountReport:
    """An error nobody foresaw. Its text may hold anything, so only its type and place are kept."""
    places = []
    trace = error.__traceback__
    while trace is not None:
        places.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    logger.error("[sync] %s: %s at %s", key, type(error).__name__, " > ".join(places[-6:]))
    message = f"{type(error).__name__} at {places[-1] if places else 'an unknown place'}"
    return AccountReport(account_key=key, error=message, error_family="defect")


class _AccountSync:
    """One account's run through its steps."""

    def __init__(
        self,
        context: SyncContext,
        steps: frozenset[Step],
        report: AccountReport,
        scope: MetricsScope,
    ) -> None:
        self.context = context
        self.steps = steps
        self.report = report
        self.scope = scope
        self.final_syncs = FinalSyncReport(account_key=context.account.key)
        #: The levels whose list was whole and is merged.
        self.listed: set[Level] = set()

    def run(self) -> None:
        """Run the chosen steps; a throttle or a block ends them early, a bad read does not."""
        context = self.context
        accounts.mark_sync_attempted(context.session.connection, context.account)
        self._refresh_account()
        context = self.context
        if Step.METRICS in self.steps and self.scope.days is not None:
            check_reported(context, self.scope.days)
        self._run_final_syncs()
        listed_from = self.context.clock.now()
        for step, level, words in _ENTITY_STEPS:
            if step in self.steps:
                self._run_step(step, level, words)
        if self.steps >= ENTITY_STEPS:
            self._read_change_history(listed_from)
        if self.steps & ENTITY_STEPS:
            self._run_final_syncs()
        if Step.METRICS in self.steps:
            self._run_metrics()
        self._close()

    def _run_final_syncs(self) -> None:
        """Run what is pending, and report it at once: a later step may end the sync early."""
        if Step.FINAL_SYNCS in self.steps:
            began = time.monotonic()
            before = self.report.steps.get(Step.FINAL_SYNCS)
            run_pending(self.context, self.final_syncs, again=before is not None)
            outcome = _final_sync_step(self.final_syncs)
            outcome.seconds = time.monotonic() - began + (before.seconds if before else 0.0)
            self.report.steps[Step.FINAL_SYNCS] = outcome

    def _refresh_account(self) -> None:
        """Name, currency, time zone and standing of the account, before anything is dated."""
        context = self.context
        info = describe_account(context.client, context.account.platform_account_id, context.clock)
        rules = context.client.adapter.rules
        told = settled_within(rules, info.window_days)
        with context.session.transaction() as connection:
            account = accounts.update_account_info(connection, context.account, info)
            if account.history_start is None:
                start = history_start(context.clock.now(), account.timezone, rules)
                account = accounts.set_history_start(connection, account, start)
            settled = accounts.set_settling(
                connection, account, told.settles_after_days, rules.settles_after_days
            )
            accounts.clear_blocked(connection, account)
            account_state.unblock_changes(connection, account.id)
        self.context = replace(context, account=account, settlement=settled_after(rules, settled))

    def _run_step(self, step: Step, level: Level, words: str) -> None:
        context = self.context
        context.log.info("[sync] Step %s... (%s)", words, context.account.key)
        began = time.monotonic()
        try:
            outcome = sync_entities(context, level)
        except IncompleteRead as error:
            self._step_failed(step, error)
        else:
            self.listed.add(level)
            self._step_done(step, words.split(":", maxsplit=1)[0], outcome, began)

    def _read_change_history(self, listed_from: datetime) -> None:
        """What no list shows: entities that came and went, switches that came back."""
        outcome = read_change_history(self.context, self.listed, listed_from)
        ads = self.report.steps[Step.ADS]
        ads.counts |= outcome.counts
        ads.note = ads.note or outcome.note

    def _run_metrics(self) -> None:
        context = self.context
        context.log.info("[sync] Step 4/4: Fetching metrics... (%s)", context.account.key)
        began = time.monotonic()
        try:
            outcome = read_metrics(context, self.scope)
        except IncompleteRead as error:
            self._step_failed(Step.METRICS, error)
        else:
            self._step_done(Step.METRICS, "4/4", outcome, began)

    def _step_done(self, step: Step, number: str, outcome: StepReport, began: float) -> None:
        outcome.seconds = time.monotonic() - began
        self.report.steps[step] = outcome
        self.context.log.info(
            "[sync] Step %s: %s in %.1f s (%s)",
            number,
            _words(outcome.counts),
            outcome.seconds,
            self.context.account.key,
        )

    def _step_failed(self, step: Step, error: AdsyncError) -> None:
        self.report.fail(error)
        self.report.steps[step] = StepReport(note=f"failed: {error}", failed=True)
        self.context.log.warning(
            "[sync] %s of %s failed: %s", step, self.context.account.key, error
        )

    def _close(self) -> None:
        """Record the outcome; only a full, faultless sync moves the account's marks."""
        context, report = self.context, self.report
        connection = context.session.connection
        if self.final_syncs.error is not None and report.error is None:
            report.error = self.final_syncs.error
            report.error_family = self.final_syncs.error_family
        counts = account_state.count_pending(connection, context.account.id)
        report.pending, report.blocked = counts.pending, counts.blocked
        if report.error is not None:
            accounts.mark_sync_failed(connection, context.account, report.error)
        elif self.steps == ALL_STEPS and self.scope.whole:
            accounts.mark_synced(connection, context.account)


def _record_failure(
    environment: Environment, account_key: str, error: AdsyncError, report: AccountReport
) -> None:
    """Write on the account why its sync stopped; its sync mark stays where it was."""
    with environment.database.connection() as connection:
        account = accounts.get_account(connection, account_key)
        if isinstance(error, Blocked):
            accounts.set_blocked(connection, account, error.reason, str(error))
        accounts.mark_sync_failed(connection, account, str(error))
        counts = account_state.count_pending(connection, account.id)
        report.pending, report.blocked = counts.pending, counts.blocked


def _record_raised(
    environment: Environment, account_key: str, error: Exception, log: logging.Logger
) -> None:
    """Write on the account why its sync stopped, before the error goes on its way.

    The text of an error that is not ours may hold anything, so only its type is kept. An
    account or a database that cannot be reached is no reason to hide the error itself.
    """
    ours = isinstance(error, AdsyncError)
    text = str(error) if ours else f"{type(error).__name__}; the log of the run says where"
    try:
        with environment.database.connection() as connection:
            account = accounts.get_account(connection, account_key)
            accounts.mark_sync_failed(connection, account, text)
    except AdsyncError as unrecorded:
        log.warning("[sync] %s: the failure could not be noted: %s", account_key, unrecorded)


def _final_sync_step(final: FinalSyncReport) -> StepReport:
    return StepReport(
        counts={
            "entities": final.entities,
            "metrics": final.metrics,
            "done": final.done,
            "failed": final.failed,
            "blocked": final.blocked,
            "pending": final.pending_after,
        },
        note=final.error or "",
        failed=final.error is not None,
    )


def _words(counts: dict[str, int]) -> str:
    """The counts in words; the first is always said, the others where there is something."""
    first, *others = counts.items()
    return ", ".join(f"{count:,} {name}" for name, count in (first, *(o for o in others if o[1])))
