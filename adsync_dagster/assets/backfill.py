"""The backfill: chosen days of chosen accounts read again, in one run without partitions.

The accounts of a partitioned run are neighbours in the list of partitions. A backfill names
them one by one, and reports each as a materialization of `metrics` on the account's partition.
"""

# No postponed annotations here: Dagster compares the one of `context` with its own types.

import dagster as dg

from adsync_dagster.assets.account_sync import WindowPlan, run_window
from adsync_dagster.assets.event_log import services_lines
from adsync_dagster.assets.launch_config import BackfillConfig, chosen_accounts
from adsync_dagster.assets.metrics import METRICS
from adsync_dagster.assets.partitions import ensure_partitions
from adsync_dagster.sync.account_sync import LOCK_WAIT_SECONDS
from adsync_dagster.sync.environment import Environment
from adsync_dagster.warehouse import accounts


def build_backfill(metrics_key: dg.AssetKey = METRICS.key) -> dg.OpDefinition:
    """The op; `metrics_key` is the key that `metrics` has in a project that prefixes keys."""

    @dg.op(
        description=(
            "Reads the metrics of the chosen days again for the chosen accounts, compares them"
            " with the platform's totals and seals what is final. Fails at once, before anything"
            " is read, when an account is unknown or a date is malformed."
        ),
        tags={"adsync/unit": "chosen accounts"},
    )
    def backfill(
        context: dg.OpExecutionContext,
        config: BackfillConfig,
        adsync: dg.ResourceParam[Environment],
    ) -> None:
        """Read the chosen days of the chosen accounts, `account_threads` of them at a time."""
        scope = config.scope(adsync.clock.now())
        with adsync.database.connection() as connection:
            active = [account.key for account in accounts.list_accounts(connection)]
        keys = chosen_accounts(config.accounts, active)
        ensure_partitions(context.instance, keys)
        plan = WindowPlan(
            assets=(METRICS.under(metrics_key),),
            scope=scope,
            threads=adsync.settings.account_threads,
            lock_wait_seconds=LOCK_WAIT_SECONDS,
        )
        with services_lines(context.log, context.instance):
            for event in run_window(context.log, adsync, keys, plan):
                context.log_event(event)

    return backfill
