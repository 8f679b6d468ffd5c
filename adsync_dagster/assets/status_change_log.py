"""`ad_status_change_log`: an external asset. Database triggers write it, no run does."""

from __future__ import annotations

import dagster as dg

from adsync_dagster.assets.account_asset import GROUP, LOG_KEY, OWNERS, table_metadata

#: Not partitioned: the log is one table, and the sensor observes it as one.
AD_STATUS_CHANGE_LOG = dg.AssetSpec(
    LOG_KEY,
    deps=["campaigns", "ad_sets", "ads"],
    description=(
        "Every change of status, written by triggers on ad_campaigns, ad_sets and ads (see"
        " sql/migrations) in the transaction of the change itself, also when a person changes a"
        " row by hand. Rows are never deleted. The status change sensor observes it."
    ),
    group_name=GROUP,
    owners=list(OWNERS),
    kinds={"postgres", "table"},
    metadata=table_metadata("ad_status_change_log"),
)
