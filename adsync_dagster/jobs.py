"""The jobs that sensor, schedules and people start. Every run of one carries `adsync/kind`.

Limits per kind stand in dagster.yaml; they keep a slot free for final syncs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg

from adsync_dagster.assets.account_asset import OWNERS, AccountAsset
from adsync_dagster.assets.account_sync import ACCOUNT_ASSETS
from adsync_dagster.assets.ad_sets import AD_SETS
from adsync_dagster.assets.ads import ADS
from adsync_dagster.assets.backfill import build_backfill
from adsync_dagster.assets.campaigns import CAMPAIGNS
from adsync_dagster.assets.completeness_report import COMPLETENESS_REPORT_KEY
from adsync_dagster.assets.final_sync_completion import FINAL_SYNC_COMPLETION
from adsync_dagster.assets.in_flight import KIND_TAG
from adsync_dagster.assets.metrics import METRICS
from adsync_dagster.assets.safety_net import SAFETY_NET_KEY

#: The launchpad config of the settle job: all open days, not only those that are due.
EVERYTHING_OPEN: dict[str, Any] = {"ops": {"account_sync": {"config": {"everything_open": True}}}}


def _account_job(
    name: str,
    kind: str,
    assets: tuple[AccountAsset, ...],
    description: str,
    *,
    config: dict[str, Any] | None = None,
    tags: dict[str, str] | None = None,
) -> Any:
    """A job over the account partitions. Checks have their own job: they look at all accounts."""
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*(a.key for a in assets)).without_checks(),
        description=description,
        tags={KIND_TAG: kind, **(tags or {})},
        executor_def=dg.in_process_executor,
        config=config,
        owners=list(OWNERS),
    )


account_sync_job = _account_job(
    "account_sync_job",
    "account_sync",
    ACCOUNT_ASSETS,
    "Sync accounts whole: final syncs, campaigns, ad sets, ads, metrics of the days that are due."
    " account_sync_schedule starts it; in the launchpad choose partitions (accounts), and dates or"
    " levels if not what is due.",
)

entity_sync_job = _account_job(
    "entity_sync_job",
    "entity_sync",
    (CAMPAIGNS, AD_SETS, ADS),
    "List campaigns, ad sets and ads only: a cheap poll that lets the triggers log changes early.",
)

final_sync_job = _account_job(
    "final_sync_job",
    "final_sync",
    (FINAL_SYNC_COMPLETION,),
    "Run the final syncs that accounts owe. The status change sensor starts it.",
    tags={"dagster/priority": "10", "dagster/max_runtime": "7200"},
)

settle_job = _account_job(
    "settle_job",
    "settle",
    (FINAL_SYNC_COMPLETION, METRICS),
    "Read every open day of accounts again and seal what has become final. settle_schedule"
    " starts it once a day.",
    config=EVERYTHING_OPEN,
)


def build_backfill_job(
    metrics_key: dg.AssetKey = METRICS.key, *, owners: Sequence[str] = OWNERS
) -> dg.JobDefinition:
    """The backfill, for a project in which `metrics` may have another key and owner."""
    backfill = build_backfill(metrics_key)

    @dg.job(
        name="backfill_job",
        description=(
            "Read chosen days of chosen accounts again, whether they are due or not. Open the"
            " launchpad, name accounts, date_from and date_until, and launch; the accounts need"
            " not be neighbours. Each account shows as a materialization of metrics."
        ),
        tags={KIND_TAG: "backfill"},
        executor_def=dg.in_process_executor,
        owners=list(owners),
    )
    def backfill_job() -> None:
        """One step over the accounts that the launchpad names."""
        backfill()

    return backfill_job


backfill_job = build_backfill_job()

safety_net_job = dg.define_asset_job(
    "safety_net_job",
    selection=dg.AssetSelection.assets(SAFETY_NET_KEY),
    description="The weekly net over all accounts: log missed changes, finish what is pending.",
    tags={KIND_TAG: "safety_net", "dagster/max_retries": "2"},
    executor_def=dg.in_process_executor,
    owners=list(OWNERS),
)

health_checks_job = dg.define_asset_job(
    "health_checks_job",
    selection=dg.AssetSelection.all_asset_checks(),
    description="All asset checks, over all accounts, in one step.",
    tags={KIND_TAG: "health_checks", "dagster/max_runtime": "600"},
    executor_def=dg.in_process_executor,
    owners=list(OWNERS),
)

completeness_report_job = dg.define_asset_job(
    "completeness_report_job",
    selection=dg.AssetSelection.assets(COMPLETENESS_REPORT_KEY),
    description="Write the completeness report: one HTML page on all accounts.",
    tags={KIND_TAG: "completeness_report", "dagster/max_runtime": "1800"},
    executor_def=dg.in_process_executor,
    owners=list(OWNERS),
)

JOBS = (
    account_sync_job,
    entity_sync_job,
    final_sync_job,
    settle_job,
    backfill_job,
    safety_net_job,
    health_checks_job,
    completeness_report_job,
)
