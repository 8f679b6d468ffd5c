# ruff: noqa: E501 - a meaning stays on one line, as it stands in the database
"""The columns of the tables behind the assets, for the catalog: every column, with its meaning.

The words are the COMMENTs of the database (sql/migrations); a test compares them column by
column, so the catalog cannot drift from the tables.
"""

from __future__ import annotations

import dagster as dg


def _column(name: str, kind: str, meaning: str, *, required: bool = False) -> dg.TableColumn:
    constraints = dg.TableColumnConstraints(nullable=not required)
    return dg.TableColumn(name, kind, meaning, constraints=constraints)


_KEYS = [
    _column(
        "id",
        "uuid",
        "Our id; ad_metrics.entity_id and ad_status_change_log.entity_id refer to it.",
        required=True,
    ),
    _column("ad_account_id", "uuid", "The account it belongs to."),
    _column("user_id", "uuid", "Copied from the account."),
    _column("platform", "text", "Copied from the account."),
]
_ENTITY = [
    _column("name", "text", "The name at the latest read that saw a change."),
    _column(
        "status",
        "text",
        "Its own switch, normalised: ACTIVE, PAUSED, ARCHIVED, DELETED, else UNKNOWN.",
    ),
    _column(
        "platform_status",
        "text",
        "The switch as the platform spells it. Null with status UNKNOWN: a stub, known from its numbers only.",
    ),
    _column(
        "effective_status",
        "text",
        "What really happens to it, parents and reviews included, such as CAMPAIGN_PAUSED. Null means: what status says.",
    ),
    _column("platform_created_at", "timestamptz", "When the platform says it was created."),
    _column("platform_updated_at", "timestamptz", "When the platform says it was last changed."),
    _column(
        "unreachable_since",
        "timestamptz",
        "Since when the platform neither lists it nor answers for it by id; null while it does. Not a status.",
    ),
    _column("extra", "jsonb", "Budgets, objective and other descriptive fields of the platform."),
    _column(
        "read_started_at",
        "timestamptz",
        "Start of the read that last changed this row. A read that started earlier does not replace it.",
    ),
    _column("created_at", "timestamptz", "When the row was made.", required=True),
    _column(
        "updated_at",
        "timestamptz",
        "When a read last changed the row. Unchanged rows are not written.",
        required=True,
    ),
    _column(
        "previous_status",
        "text",
        "The status before the latest logged change; the effective one where only that changed.",
    ),
    _column("status_changed_at", "timestamptz", "When the latest status change was observed."),
    _column("last_final_sync_at", "timestamptz", "When a final sync of this entity last ended."),
]
_CAMPAIGN = [
    _column("campaign_id", "uuid", "Its campaign, where that is known."),
    _column(
        "platform_campaign_id",
        "text",
        "The platform's id of its campaign, known even where the campaign itself is not.",
    ),
]
_AD_SET = [
    _column("ad_set_id", "uuid", "Its ad set, where that is known."),
    _column(
        "platform_ad_set_id",
        "text",
        "The platform's id of its ad set, known even where the ad set itself is not.",
    ),
]


def _own_id(name: str, word: str) -> dg.TableColumn:
    return _column(name, "text", f"The platform's id of the {word}, as text.")


_METRICS = [
    _column("date", "date", "Calendar day in the account's time zone.", required=True),
    _column(
        "entity_type",
        "text",
        "campaign, adset or ad: the table entity_id refers to.",
        required=True,
    ),
    _column("entity_id", "uuid", "Our id of the campaign, ad set or ad.", required=True),
    _column("ad_account_id", "uuid", "The account of the entity.", required=True),
    _column("platform", "text", "Copied from the account.", required=True),
    _column("impressions", "bigint", "Times shown.", required=True),
    _column("clicks", "bigint", "All clicks.", required=True),
    _column(
        "link_clicks",
        "bigint",
        "Clicks that led to the advertiser; null where the platform does not report them.",
    ),
    _column(
        "spend",
        "numeric(18,6)",
        "Money spent, in the account's currency, major unit.",
        required=True,
    ),
    _column("reach", "bigint", "People reached on that day; never to be summed."),
    _column(
        "frequency", "numeric", "Times shown per person reached, as reported; never to be summed."
    ),
    _column(
        "conversions",
        "numeric(18,6)",
        "Conversions of the configured action, fractions possible.",
        required=True,
    ),
    _column(
        "conversion_value",
        "numeric(18,6)",
        "Value of those conversions, in the account's currency.",
        required=True,
    ),
    _column("cpc", "numeric", "Spend per click; null without clicks. Derived."),
    _column("cpm", "numeric", "Spend per thousand impressions; null without impressions. Derived."),
    _column("ctr", "numeric", "Clicks per hundred impressions; null without impressions. Derived."),
    _column("roas", "numeric", "Conversion value per unit of spend; null without spend. Derived."),
    _column("extra", "jsonb", "What else the platform reported, such as all action types."),
    _column(
        "read_started_at",
        "timestamptz",
        "Start of the complete read that these numbers come from. Only a read that started later replaces them.",
    ),
    _column("created_at", "timestamptz", "When the row was made.", required=True),
    _column(
        "updated_at",
        "timestamptz",
        "When the numbers last changed. Unchanged rows are not written.",
        required=True,
    ),
]
_LOG = [
    _column("id", "uuid", "The log id that mark_final_sync_completed takes.", required=True),
    _column(
        "change_seq",
        "bigint",
        "Order of changes. Not an order of commits: never use it as a cursor.",
        required=True,
    ),
    _column("entity_type", "text", "campaign, adset or ad."),
    _column("entity_id", "uuid", "Our id of the entity."),
    _column("platform_entity_id", "text", "The platform's id of the entity."),
    _column("ad_account_id", "uuid", "The account of the entity."),
    _column("user_id", "uuid", "Copied from the entity."),
    _column("platform", "text", "Copied from the entity."),
    _column("old_status", "text", "Status before; null when the entity was first seen."),
    _column(
        "new_status",
        "text",
        "Status after: the own one, or the effective one where only that changed.",
    ),
    _column(
        "final_sync_completed",
        "boolean",
        "false: a final sync is owed. true: done. null: this change needs none.",
    ),
    _column("final_sync_completed_at", "timestamptz", "When it was done."),
    _column(
        "final_sync_attempted_at", "timestamptz", "When the latest attempt ended, well or not."
    ),
    _column("final_sync_error", "text", "Why the latest attempt failed; null after a good one."),
    _column(
        "attempts",
        "integer",
        "Failed attempts so far. No number of them discards the change.",
        required=True,
    ),
    _column("next_attempt_at", "timestamptz", "Not to be tried before.", required=True),
    _column(
        "blocked_reason",
        "text",
        "Machine-readable word when a person must act: credential, permission, account, blocked (another reason),"
        " unreachable (the platform no longer shows the entity), or unreadable (the row names nothing that the"
        " platform could have); else null. Such changes are tried hourly and use up no attempts.",
    ),
    _column(
        "claim_token",
        "uuid",
        "Whoever works on it now. Completing needs this token, so a late twin changes nothing.",
    ),
    _column("claimed_at", "timestamptz", "When that work began."),
    _column(
        "source",
        "text",
        "trigger; first_sight: seen for the first time, already stopped; change_history: told by the platform's own history; safety_net: found by the weekly check.",
        required=True,
    ),
    _column(
        "metadata",
        "jsonb",
        "kind (own, effective, ...) and the own and effective statuses before and after.",
    ),
    _column("created_at", "timestamptz", "When the change was observed.", required=True),
]

#: Columns by table, in the order a person looks for them.
TABLE_COLUMNS: dict[str, list[dg.TableColumn]] = {
    "ad_campaigns": [*_KEYS, _own_id("platform_campaign_id", "campaign"), *_ENTITY],
    "ad_sets": [*_KEYS, _own_id("platform_ad_set_id", "ad set"), *_CAMPAIGN, *_ENTITY],
    "ads": [*_KEYS, _own_id("platform_ad_id", "ad"), *_CAMPAIGN, *_AD_SET, *_ENTITY],
    "ad_metrics": _METRICS,
    "ad_status_change_log": _LOG,
}
