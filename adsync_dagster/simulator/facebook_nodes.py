"""Renders accounts, campaigns, ad sets and ads as Graph API nodes, field by field.

A field without a value is absent, never null. Without `fields` a node shows only its id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adsync_dagster.simulator.entities import SimAccount, SimEntity, Version
from adsync_dagster.simulator.facebook_errors import unknown_field
from adsync_dagster.simulator.facebook_fields import Field
from adsync_dagster.simulator.facebook_request import GraphRequest
from adsync_dagster.simulator.facebook_settings import FacebookSettings
from adsync_dagster.simulator.instants import SECOND
from adsync_dagster.simulator.metrics import SPEND
from adsync_dagster.simulator.world import World

#: Meta's own names for the levels, as they leak into messages.
NODE_TYPES = {
    "account": "AdAccount",
    "campaign": "AdCampaignGroup",
    "adset": "AdCampaign",
    "ad": "AdGroup",
}
EDGES = {"campaigns": "campaign", "adsets": "adset", "ads": "ad"}

#: Fields that exist but have no value in this world.
_VALUELESS: dict[str, frozenset[str]] = {
    "account": frozenset({"disable_reason", "spend_cap", "funding_source", "end_advertiser"}),
    "campaign": frozenset(
        {
            "lifetime_budget", "spend_cap", "stop_time", "issues_info", "promoted_object",
            "source_campaign_id", "topline_id", "pacing_type", "adlabels",
        }
    ),
    "adset": frozenset(
        {
            "lifetime_budget", "bid_amount", "bid_strategy", "end_time", "issues_info",
            "daily_spend_cap", "lifetime_spend_cap", "promoted_object", "targeting", "adlabels",
            "daily_min_spend_target", "lifetime_min_spend_target", "learning_stage_info",
        }
    ),
    "ad": frozenset(
        {
            "bid_amount", "issues_info", "adlabels", "ad_review_feedback", "tracking_specs",
            "ad_schedule_start_time", "ad_schedule_end_time", "preview_shareable_link",
            "source_ad_id",
        }
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NodeContext:
    """What a field needs to know: where it is, and which version of the node is shown."""

    renderer: NodeRenderer
    request: GraphRequest
    account: SimAccount
    entity: SimEntity
    version: Version

    def time(self, stamp: int) -> str:
        """A moment as Meta writes it: account-local, offset without a colon."""
        return local_time(self.account, stamp)

    def parent(self, level: str) -> SimEntity:
        """The ancestor of that level at the instant shown."""
        world, entity = self.renderer.world, self.entity
        while entity.level != level:
            version = entity.at(self.request.at) or entity.versions[0]
            entity = world.entity(_PARENT[entity.level], str(version.parent_id))
        return entity


_PARENT = {"ad": "adset", "adset": "campaign"}
NestedRenderer = Callable[[GraphRequest, SimAccount, SimEntity | None, Field], Any]
_FieldRenderer = Callable[[NodeContext, Field], Any]


def local_time(account: SimAccount, stamp: int) -> str:
    """`2026-01-05T10:33:03-0800`, in the account's zone."""
    return account.zone.local(stamp - stamp % SECOND).strftime("%Y-%m-%dT%H:%M:%S%z")


def _nested(level: str) -> _FieldRenderer:
    def render(context: NodeContext, field: Field) -> Any:
        return context.renderer.entity(
            context.request, context.account, context.parent(level), field.fields
        )

    return render


def _creative(context: NodeContext, field: Field) -> Any:
    creative_id = context.entity.traits.get("creative_id")
    if creative_id is None:
        return None
    body: dict[str, Any] = {"id": creative_id}
    if any(inner.name == "name" for inner in field.fields):
        body["name"] = f"Creative of {context.version.name}"
    return body


def _budget(context: NodeContext, _: Field) -> Any:
    budget = context.version.daily_budget
    return None if budget is None else str(budget)


def _attribution(_context: NodeContext, _: Field) -> Any:
    return [
        {"event_type": "CLICK_THROUGH", "window_days": 7},
        {"event_type": "VIEW_THROUGH", "window_days": 1},
    ]


def _trait(name: str, default: Any = None) -> _FieldRenderer:
    return lambda context, _: context.entity.traits.get(name, default)


_COMMON: dict[str, _FieldRenderer] = {
    "id": lambda context, _: context.entity.id,
    "account_id": lambda context, _: context.account.id.removeprefix("act_"),
    "name": lambda context, _: context.version.name,
    "status": lambda context, _: context.version.own,
    "configured_status": lambda context, _: context.version.own,
    "effective_status": lambda context, _: context.version.effective,
    "created_time": lambda context, _: context.time(context.entity.created_at),
    "updated_time": lambda context, _: context.time(context.version.updated_at),
}
_BUDGETED: dict[str, _FieldRenderer] = {
    "daily_budget": _budget,
    "budget_remaining": _budget,
    "start_time": lambda context, _: context.time(context.entity.created_at),
}
_FIELDS: dict[str, dict[str, _FieldRenderer]] = {
    "campaign": {
        **_COMMON,
        **_BUDGETED,
        "objective": _trait("objective", "OUTCOME_SALES"),
        "buying_type": _trait("buying_type", "AUCTION"),
        "bid_strategy": _trait("bid_strategy", "LOWEST_COST_WITHOUT_CAP"),
        "special_ad_categories": _trait("special_ad_categories", []),
    },
    "adset": {
        **_COMMON,
        **_BUDGETED,
        "campaign_id": lambda context, _: context.parent("campaign").id,
        "campaign": _nested("campaign"),
        "billing_event": _trait("billing_event", "IMPRESSIONS"),
        "optimization_goal": _trait("optimization_goal", "OFFSITE_CONVERSIONS"),
        "attribution_spec": _attribution,
    },
    "ad": {
        **_COMMON,
        "adset_id": lambda context, _: context.parent("adset").id,
        "campaign_id": lambda context, _: context.parent("campaign").id,
        "adset": _nested("adset"),
        "campaign": _nested("campaign"),
        "creative": _creative,
    },
}


class NodeRenderer:
    """Renders nodes. Edges nested in `fields` are handed to the edge and insights renderers."""

    def __init__(self, world: World, settings: FacebookSettings) -> None:
        self.world = world
        self.settings = settings
        self.nested: Mapping[str, NestedRenderer] = {}

    def entity(
        self,
        request: GraphRequest,
        account: SimAccount,
        entity: SimEntity,
        fields: Sequence[Field],
    ) -> dict[str, Any]:
        """A campaign, ad set or ad as it was at the request's instant."""
        version = entity.at(request.at) or entity.versions[0]
        context = NodeContext(self, request, account, entity, version)
        known = _FIELDS[entity.level]
        body: dict[str, Any] = {}
        for field in fields:
            render = known.get(field.name)
            if render is not None:
                value = render(context, field)
            else:
                value = self._edge(request, account, entity, field)
            if value is not None:
                body[field.name] = value
        body["id"] = entity.id
        return body

    def account(
        self, request: GraphRequest, account: SimAccount, fields: Sequence[Field]
    ) -> dict[str, Any]:
        """An ad account. Without fields: `id` and `account_id`."""
        body: dict[str, Any] = {}
        for field in fields or (Field("account_id"),):
            render = _ACCOUNT_FIELDS.get(field.name)
            if render is not None:
                value = render(self, request, account)
            else:
                value = self._edge(request, account, None, field)
            if value is not None:
                body[field.name] = value
        body["id"] = account.id
        return body

    def _edge(
        self, request: GraphRequest, account: SimAccount, entity: SimEntity | None, field: Field
    ) -> Any:
        level = "account" if entity is None else entity.level
        nested = self.nested.get(field.name)
        if nested is not None and field.name in _NESTED_EDGES[level]:
            return nested(request, account, entity, field)
        if field.name not in _VALUELESS[level] and self.settings.strict:
            raise unknown_field(field.name, NODE_TYPES[level])
        return None


_NESTED_EDGES = {
    "account": {"campaigns", "adsets", "ads", "insights"},
    "campaign": {"adsets", "ads", "insights"},
    "adset": {"ads", "insights"},
    "ad": {"insights"},
}

_AccountRenderer = Callable[[NodeRenderer, GraphRequest, SimAccount], Any]


def _amount_spent(renderer: NodeRenderer, request: GraphRequest, account: SimAccount) -> str:
    """Everything ever spent, in minor units."""
    book = renderer.world.ledger.book(account.id)
    days = range(account.zone.day(account.created_at), account.zone.day(request.at) + 1)
    spent = sum(book.total("account", account.id, day, request.at).vector[SPEND] for day in days)
    return str(spent // account.unit_micros)


def _offset_hours(_: NodeRenderer, request: GraphRequest, account: SimAccount) -> float:
    offset = account.zone.local(request.at).utcoffset()
    return 0.0 if offset is None else offset.total_seconds() / 3600


_ACCOUNT_FIELDS: dict[str, _AccountRenderer] = {
    "id": lambda _r, _q, account: account.id,
    "account_id": lambda _r, _q, account: account.id.removeprefix("act_"),
    "name": lambda _r, _q, account: account.name,
    "currency": lambda _r, _q, account: account.currency,
    "account_status": lambda _r, _q, account: account.status,
    "timezone_name": lambda _r, _q, account: account.timezone,
    "timezone_id": lambda _r, _q, account: 1 + len(account.timezone) % 150,
    "timezone_offset_hours_utc": _offset_hours,
    "created_time": lambda _r, _q, account: local_time(account, account.created_at),
    "amount_spent": _amount_spent,
    "balance": lambda _r, _q, _account: "0",
    "min_daily_budget": lambda _r, _q, _account: 100,
    "business": lambda _r, _q, account: {"id": "990001", "name": f"{account.name} Ltd"},
    "business_name": lambda _r, _q, account: f"{account.name} Ltd",
    "user_tasks": lambda _r, _q, _account: ["ANALYZE"],
    "age": lambda _r, request, account: (request.at - account.created_at) / (86_400 * SECOND),
}
