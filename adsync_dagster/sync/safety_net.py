"""The weekly safety net: every account, every change that any other path missed.

Per account it compares entities with the log (a trigger may have been disabled, a restore may
have skipped it), logs what is missing, lists the entities afresh and runs every final sync.
One account's failure does not stop the others, and makes the report unsuccessful.
"""

from __future__ import annotations

import logging

from adsync_dagster.errors import AdsyncError
from adsync_dagster.sync.account_sync import sync_account
from adsync_dagster.sync.environment import Environment, logger
from adsync_dagster.sync.reports import ENTITY_STEPS, SafetyNetReport, Step
from adsync_dagster.warehouse import account_state, accounts


def run_safety_net(environment: Environment, *, log: logging.Logger = logger) -> SafetyNetReport:
    """Catch missed transitions on every active account and finish what is pending.

    Account after account; the errors of one are in the report and do not keep the others from
    being checked. Raises UsageError and Defect only for what concerns no single account.
    """
    report = SafetyNetReport()
    with environment.database.connection() as connection:
        keys = [account.key for account in accounts.list_accounts(connection)]
    log.info("[safety-net] %d account(s) to check", len(keys))
    for key in keys:
        _check_account(environment, key, report, log)
    log.info(
        "[safety-net] success=%s accountsProcessed=%d totalEntities=%d totalMetrics=%d",
        report.success,
        report.accounts_processed,
        report.total_entities,
        report.total_metrics,
    )
    return report


def _check_account(
    environment: Environment, key: str, report: SafetyNetReport, log: logging.Logger
) -> None:
    try:
        report.missed_changes += log_missed_changes(environment, key)
        outcome = sync_account(environment, key, ENTITY_STEPS | {Step.FINAL_SYNCS}, log=log)
    except AdsyncError as error:
        if error.family == "defect":
            raise
        report.failures[key] = str(error)
        return
    report.accounts_processed += 1
    final = outcome.steps.get(Step.FINAL_SYNCS)
    if final is not None:
        report.total_entities += final.counts["entities"]
        report.total_metrics += final.counts["metrics"]
    if outcome.error is not None:
        report.failures[key] = outcome.error


def log_missed_changes(environment: Environment, account_key: str) -> int:
    """Log stops that left no row in the change log; returns how many there were."""
    with environment.database.connection() as connection:
        account = accounts.get_account(connection, account_key)
        return account_state.log_missed_changes(connection, account.id)
