"""`final_sync_completion`: step 0 (and again after step 3), the changes that owe a final sync."""

from __future__ import annotations

import dagster as dg

from adsync_dagster.assets.account_asset import (
    GROUP,
    LOG_KEY,
    OWNERS,
    AccountAsset,
    AccountFacts,
    Metadata,
)
from adsync_dagster.assets.partitions import AD_ACCOUNTS
from adsync_dagster.sync.reports import AccountReport, Step, StepReport


def _describe(report: AccountReport, step: StepReport, _: AccountFacts) -> Metadata:
    return {**step.counts, "pending": report.pending, "blocked": report.blocked}


FINAL_SYNC_COMPLETION = AccountAsset(
    spec=dg.AssetSpec(
        "final_sync_completion",
        deps=[LOG_KEY],
        description=(
            "The final syncs of the account: every open day of a stopped entity and its"
            " descendants is read by id, and its changes are marked done in the transaction that"
            " stores the rows. Runs first in every account sync, when the sensor sees a change,"
            " and in the weekly safety net. A partition is fresh when nothing was left undone."
        ),
        group_name=GROUP,
        owners=list(OWNERS),
        kinds={"postgres", "python"},
        partitions_def=AD_ACCOUNTS,
        skippable=True,
        metadata={"dagster/table_name": "ad_status_change_log"},
    ),
    step=Step.FINAL_SYNCS,
    describe=_describe,
)
