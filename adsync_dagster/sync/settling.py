"""The settle job: read everything that is still open, and seal what has become final."""

from __future__ import annotations

import logging

from adsync_dagster.sync.account_sync import sync_account
from adsync_dagster.sync.environment import Environment, logger
from adsync_dagster.sync.metrics import MetricsScope
from adsync_dagster.sync.reports import AccountReport, Step


def settle_account(
    environment: Environment, account_key: str, *, log: logging.Logger = logger
) -> AccountReport:
    """Run pending final syncs, then read every open day of the account and seal what may be.

    Errors as in `sync_account`.
    """
    return sync_account(
        environment,
        account_key,
        frozenset({Step.FINAL_SYNCS, Step.METRICS}),
        scope=MetricsScope(everything_open=True),
        log=log,
    )
