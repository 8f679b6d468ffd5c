"""The weekly safety net: every account, every change that any other path missed.

Per account it compares entities with the log (a trigger may have been disabled, a restore may
have skipped it), logs what is missing, lists the entities afresh and runs every final sync.
Accounts are checked several at a time, beginning with the one whose last net is longest ago, so
that a net which is cut off leaves out others the next time. Whatever goes wrong with one does
not keep the others from being checked, and makes the report unsuccessful.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, suppress
from typing import NamedTuple

from adsync_dagster.errors import AdsyncError
from adsync_dagster.sync.account_sync import report_of_defect, sync_account
from adsync_dagster.sync.environment import Environment, logger
from adsync_dagster.sync.reports import ENTITY_STEPS, AccountReport, SafetyNetReport, Step
from adsync_dagster.warehouse import account_state, accounts


def run_safety_net(environment: Environment, *, log: logging.Logger = logger) -> SafetyNetReport:
    """Catch missed transitions on every active account and finish what is pending.

    ADSYNC_ACCOUNT_THREADS accounts at a time. What goes wrong with an account, be it a bug of
    ours, is in the report and keeps none of the others from being checked. Raises UsageError
    and Retryable when the accounts cannot even be listed.
    """
    report = SafetyNetReport()
    with environment.database.connection() as connection:
        keys = [account.key for account in accounts.list_for_safety_net(connection)]
    log.info("[safety-net] %d account(s) to check", len(keys))
    # Closed at once when the net is interrupted here: no more accounts are started then.
    with closing(_outcomes(environment, keys, log)) as outcomes:
        for outcome in outcomes:
            _add(report, outcome)
    log.info(
        "[safety-net] success=%s accountsProcessed=%d totalEntities=%d totalMetrics=%d",
        report.success,
        report.accounts_processed,
        report.total_entities,
        report.total_metrics,
    )
    return report


class _Outcome(NamedTuple):
    """What the net did with one account."""

    missed_changes: int
    sync: AccountReport
    #: False: it ended in the middle, by an error that no step could note.
    processed: bool


def _add(report: SafetyNetReport, outcome: _Outcome) -> None:
    sync = outcome.sync
    report.missed_changes += outcome.missed_changes
    report.accounts_processed += outcome.processed
    if sync.error is not None:
        report.failures[sync.account_key] = sync.error
        if sync.error_family == "defect":
            report.defects.append(sync.account_key)
    final = sync.steps.get(Step.FINAL_SYNCS)
    if final is not None:
        report.total_entities += final.counts["entities"]
        report.total_metrics += final.counts["metrics"]


def _outcomes(
    environment: Environment, keys: Sequence[str], log: logging.Logger
) -> Generator[_Outcome, None, None]:
    """The outcomes as accounts end; an interrupt lets those at work end and starts no more."""
    threads = environment.settings.account_threads
    if threads == 1:
        for key in keys:
            yield _check_account(environment, key, log)
        return
    pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="safety-net")
    try:
        futures = [pool.submit(_check_account, environment, key, log) for key in keys]
        for future in as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _check_account(environment: Environment, key: str, log: logging.Logger) -> _Outcome:
    """One account; whatever goes wrong stays its own failure."""
    missed = 0
    try:
        missed = log_missed_changes(environment, key)
        outcome = sync_account(environment, key, ENTITY_STEPS | {Step.FINAL_SYNCS}, log=log)
        processed = True
    except AdsyncError as error:
        outcome, processed = AccountReport(account_key=key), False
        outcome.fail(error)
    except Exception as error:  # noqa: BLE001  an account's bug must not take the others down
        outcome, processed = report_of_defect(key, error), False
    # A note that could not be taken only lets this account be an early one again.
    with suppress(AdsyncError), environment.database.connection() as connection:
        accounts.mark_safety_net(connection, key)
    return _Outcome(missed, outcome, processed)


def log_missed_changes(environment: Environment, account_key: str) -> int:
    """Log stops that left no row in the change log; returns how many there were."""
    with environment.database.connection() as connection:
        account = accounts.get_account(connection, account_key)
        return account_state.log_missed_changes(connection, account.id)
