"""`ad_sets`: step 2, the table `ad_sets`."""

from __future__ import annotations

from adsync_dagster.assets.account_asset import (
    AccountAsset,
    describe_entities,
    table_spec,
)
from adsync_dagster.sync.reports import Step

AD_SETS = AccountAsset(
    spec=table_spec(
        "ad_sets",
        table="ad_sets",
        description=(
            "Every ad set (ad group) of the account, whatever its status. A status change is"
            " written to ad_status_change_log by trigger_log_adset_status_change in the same"
            " transaction."
        ),
        deps=["campaigns"],
    ),
    step=Step.AD_SETS,
    describe=describe_entities("ad_sets"),
)
