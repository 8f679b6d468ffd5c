"""`ads`: step 3, the table `ads`."""

from __future__ import annotations

from adsync_dagster.assets.account_asset import (
    AccountAsset,
    describe_entities,
    table_spec,
)
from adsync_dagster.sync.reports import Step

ADS = AccountAsset(
    spec=table_spec(
        "ads",
        table="ads",
        description=(
            "Every ad of the account, whatever its status. A status change is written to"
            " ad_status_change_log by trigger_log_ad_status_change in the same transaction."
        ),
        deps=["ad_sets"],
    ),
    step=Step.ADS,
    describe=describe_entities("ads"),
)
