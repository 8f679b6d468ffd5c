"""`ads`: step 3, the table `ads`."""

from __future__ import annotations

from adsync_dagster.assets.account_asset import (
    AccountAsset,
    describe_entities,
    entity_columns,
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
        columns=entity_columns(
            id_column="platform_ad_id",
            parents=[
                ("ad_set_id", "uuid", "Its ad set's row in ad_sets"),
                ("campaign_id", "uuid", "Its campaign's row in ad_campaigns"),
                ("platform_ad_set_id", "text", "Its ad set's platform id"),
                ("platform_campaign_id", "text", "Its campaign's platform id"),
            ],
        ),
        deps=["ad_sets"],
    ),
    step=Step.ADS,
    describe=describe_entities("ads"),
)
