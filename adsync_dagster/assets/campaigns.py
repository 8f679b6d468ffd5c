"""`campaigns`: step 1, the table `ad_campaigns`."""

from __future__ import annotations

from adsync_dagster.assets.account_asset import (
    AccountAsset,
    describe_entities,
    table_spec,
)
from adsync_dagster.sync.reports import Step

CAMPAIGNS = AccountAsset(
    spec=table_spec(
        "campaigns",
        table="ad_campaigns",
        description=(
            "Every campaign of the account, paused, archived and deleted ones included. A status"
            " change is written to ad_status_change_log by trigger_log_campaign_status_change"
            " in the same transaction."
        ),
    ),
    step=Step.CAMPAIGNS,
    describe=describe_entities("ad_campaigns"),
)
