"""`ad_status_change_log`: an external asset. Database triggers write it, no run does."""

from __future__ import annotations

import dagster as dg

from adsync_dagster.assets.account_asset import GROUP, LOG_KEY, OWNERS

_COLUMNS = [
    dg.TableColumn("id", "uuid"),
    dg.TableColumn("entity_type", "text", "campaign, adset or ad"),
    dg.TableColumn("platform_entity_id", "text", "The platform's id of the entity"),
    dg.TableColumn("old_status", "text", "NULL: first seen in the new status"),
    dg.TableColumn("new_status", "text"),
    dg.TableColumn("final_sync_completed", "boolean", "false: owed; true: done; NULL: none needed"),
    dg.TableColumn("final_sync_attempted_at", "timestamptz"),
    dg.TableColumn("final_sync_error", "text"),
    dg.TableColumn("attempts", "integer"),
    dg.TableColumn("next_attempt_at", "timestamptz"),
    dg.TableColumn("blocked_reason", "text", "Why it waits for a person"),
    dg.TableColumn("source", "text", "trigger, first_sight or change_history"),
    dg.TableColumn("metadata", "jsonb", "Own and effective status, before and after"),
    dg.TableColumn("created_at", "timestamptz"),
]

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
    kinds={"postgres"},
    metadata={
        "dagster/table_name": "ad_status_change_log",
        "dagster/column_schema": dg.TableSchema(columns=_COLUMNS),
    },
)
