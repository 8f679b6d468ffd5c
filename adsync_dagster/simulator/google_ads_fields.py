"""The fields a query may select, and how each is rendered: proto3 JSON, null fields left out.

int64 is text, a double is a number, an enum is its name.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from adsync_dagster.simulator.entities import SimAccount, SimEntity, Version
from adsync_dagster.simulator.facebook_rows import day_text
from adsync_dagster.simulator.google_ads_settings import AccountSetup, GoogleAdsSettings, Manager
from adsync_dagster.simulator.metrics import (
    C_1D_VIEW,
    C_28D,
    CLICKS,
    CONVERSIONS,
    IMPRESSIONS,
    SPEND,
    V_28D,
    VALUE,
    ZERO,
    Vector,
)

#: The world's switch in Google's words.
STATUSES = {"ACTIVE": "ENABLED", "PAUSED": "PAUSED", "DELETED": "REMOVED"}
#: The world's account status codes (Meta's) in Google's words.
_ACCOUNT_STATUSES = {2: "SUSPENDED", 3: "SUSPENDED", 100: "CANCELED", 101: "CLOSED"}
#: What nobody's switch decides, as the primary status and its reason.
_HOLDS = {
    "PENDING_REVIEW": ("PENDING", "AD_GROUP_AD_UNDER_REVIEW"),
    "IN_PROCESS": ("PENDING", "AD_GROUP_AD_UNDER_REVIEW"),
    "DISAPPROVED": ("NOT_ELIGIBLE", "AD_GROUP_AD_DISAPPROVED"),
    "WITH_ISSUES": ("LIMITED", "AD_GROUP_AD_APPROVED_LABELED"),
}
_NAMES = {"campaign": "CAMPAIGN", "adset": "AD_GROUP", "ad": "AD_GROUP_AD"}
_SWITCHED = {"PAUSED": "PAUSED", "DELETED": "REMOVED"}
LOW_ACTIVITY = "AD_GROUP_PAUSED_DUE_TO_LOW_ACTIVITY"
_FAR_END = "2037-12-30 23:59:59"


class Line(NamedTuple):
    """One row before it is rendered. What a resource does not have is None."""

    customer: str
    account: SimAccount | None
    setup: AccountSetup
    settings: GoogleAdsSettings
    #: The instant whose truth is shown.
    at: int
    campaign: SimEntity | None = None
    adset: SimEntity | None = None
    ad: SimEntity | None = None
    day: int | None = None
    vector: Vector = ZERO
    manager: Manager | None = None
    #: Rows of customer_client, conversion_action and the change history come rendered.
    extra: dict[str, Any] | None = None


Renderer = Callable[[Line], Any]


@lru_cache(maxsize=512)
def path_of(field: str) -> tuple[str, ...]:
    """The field's path in a row: lowerCamelCase words."""
    return tuple(_camel(part) for part in field.split("."))


def _camel(word: str) -> str:
    first, *rest = word.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _version(entity: SimEntity, line: Line) -> Version:
    return entity.at(line.at) or entity.versions[0]


def _of(level: str, part: Callable[[SimEntity, Version, Line], Any]) -> Renderer:
    def render(line: Line) -> Any:
        entity = {"campaign": line.campaign, "adset": line.adset, "ad": line.ad}[level]
        return None if entity is None else part(entity, _version(entity, line), line)

    return render


def _primary(entity: SimEntity, version: Version, line: Line) -> str:
    """Google's verdict: the own switch, what is above, or a review."""
    return _verdict(entity, version, line)[0]


def _reasons(entity: SimEntity, version: Version, line: Line) -> list[str] | None:
    reasons = _verdict(entity, version, line)[1]
    return list(reasons) or None


def _verdict(entity: SimEntity, version: Version, line: Line) -> tuple[str, tuple[str, ...]]:
    name = _NAMES[entity.level]
    above = [known for known in (line.campaign, line.adset) if known not in (None, entity)]
    for word, ending in (("DELETED", "REMOVED"), ("PAUSED", "PAUSED")):
        if version.own == word:
            reason = f"{name}_{ending}"
            if word == "PAUSED" and entity.traits.get("low_activity"):
                reason = LOW_ACTIVITY
            return _SWITCHED[word], (reason,)
        for parent in above:
            if parent is not None and _version(parent, line).own == word:
                return "NOT_ELIGIBLE", (f"{_NAMES[parent.level]}_{ending}",)
    if version.hold is None:
        return "ELIGIBLE", ()
    primary, reason = _HOLDS.get(version.hold, ("PENDING", "UNKNOWN"))
    return primary, (reason,) if entity.level == "ad" else ()


def _common(level: str) -> dict[str, Renderer]:
    """The fields that campaigns, ad groups and ads share."""
    return {
        "status": _of(level, lambda _, version, __: STATUSES[version.own]),
        "primary_status": _of(level, _primary),
        "primary_status_reasons": _of(level, _reasons),
    }


def channel_of(campaign: SimEntity) -> str:
    """The campaign's advertising channel."""
    return str(campaign.traits.get("channel_type", "SEARCH"))


def _serving(_: SimEntity, version: Version, __: Line) -> str:
    return "SERVING" if version.own == "ACTIVE" else "NONE"


def _started(entity: SimEntity, _: Version, line: Line) -> str:
    if line.account is None:
        return _FAR_END
    return line.account.zone.local(entity.created_at).strftime("%Y-%m-%d 00:00:00")


def _name(entity: SimEntity, _: Version, line: Line) -> str:
    """The resource name."""
    collection = {"campaign": "campaigns", "adset": "adGroups", "ad": "adGroupAds"}[entity.level]
    return f"customers/{line.customer}/{collection}/{entity.id}"


def _ad_id(entity: SimEntity) -> str:
    return entity.id.rpartition("~")[2]


def _described(own: Callable[[SimAccount], Any], managed: Callable[[Manager], Any]) -> Renderer:
    def render(line: Line) -> Any:
        if line.manager is not None:
            return managed(line.manager)
        return None if line.account is None else own(line.account)

    return render


def account_status(account: SimAccount) -> str:
    """The account's standing in Google's words."""
    return _ACCOUNT_STATUSES.get(account.status, "ENABLED")


_CUSTOMER: dict[str, Renderer] = {
    "customer.resource_name": lambda line: f"customers/{line.customer}",
    "customer.id": lambda line: line.customer,
    "customer.descriptive_name": _described(lambda a: a.name, lambda m: m.name),
    "customer.currency_code": _described(lambda a: a.currency, lambda m: m.currency),
    "customer.time_zone": _described(lambda a: a.timezone, lambda m: m.timezone),
    "customer.status": _described(account_status, lambda _: "ENABLED"),
    "customer.manager": lambda line: line.manager is not None,
    "customer.test_account": lambda _: False,
    "customer.conversion_tracking_setting.conversion_tracking_status": (
        lambda line: line.setup.tracking
    ),
}
_CAMPAIGN: dict[str, Renderer] = {
    "campaign.resource_name": _of("campaign", _name),
    "campaign.id": _of("campaign", lambda e, _, __: e.id),
    "campaign.name": _of("campaign", lambda _, v, __: v.name),
    **{f"campaign.{name}": part for name, part in _common("campaign").items()},
    "campaign.serving_status": _of("campaign", _serving),
    "campaign.advertising_channel_type": _of("campaign", lambda e, _, __: channel_of(e)),
    "campaign.start_date_time": _of("campaign", _started),
    "campaign.end_date_time": lambda _: _FAR_END,
}
_AD_GROUP: dict[str, Renderer] = {
    "ad_group.resource_name": _of("adset", _name),
    "ad_group.id": _of("adset", lambda e, _, __: e.id),
    "ad_group.name": _of("adset", lambda _, v, __: v.name),
    **{f"ad_group.{name}": part for name, part in _common("adset").items()},
    "ad_group.type": lambda _: "SEARCH_STANDARD",
    "ad_group.campaign": _CAMPAIGN["campaign.resource_name"],
}
_AD_GROUP_AD: dict[str, Renderer] = {
    "ad_group_ad.resource_name": _of("ad", _name),
    "ad_group_ad.ad.resource_name": _of(
        "ad", lambda e, _, line: f"customers/{line.customer}/ads/{_ad_id(e)}"
    ),
    "ad_group_ad.ad.id": _of("ad", lambda e, _, __: _ad_id(e)),
    "ad_group_ad.ad.name": _of("ad", lambda _, v, __: v.name),
    "ad_group_ad.ad.type": lambda _: "RESPONSIVE_SEARCH_AD",
    **{f"ad_group_ad.{name}": part for name, part in _common("ad").items()},
    "ad_group_ad.ad_group": _AD_GROUP["ad_group.resource_name"],
}


def _whole(column: int) -> Renderer:
    return lambda line: str(line.vector[column])


def _credit(line: Line, count: int) -> float:
    return count * line.settings.conversion_credit_micros / 1_000_000


METRICS: dict[str, Renderer] = {
    "metrics.impressions": _whole(IMPRESSIONS),
    "metrics.clicks": _whole(CLICKS),
    "metrics.interactions": _whole(CLICKS),
    "metrics.cost_micros": _whole(SPEND),
    "metrics.view_through_conversions": _whole(C_1D_VIEW),
    "metrics.conversions": lambda line: _credit(line, line.vector[CONVERSIONS]),
    "metrics.conversions_value": lambda line: line.vector[VALUE] / 1_000_000,
    "metrics.all_conversions": (
        lambda line: _credit(line, line.vector[CONVERSIONS] + line.vector[C_28D])
    ),
    "metrics.all_conversions_value": (
        lambda line: (line.vector[VALUE] + line.vector[V_28D]) / 1_000_000
    ),
}
_DAY: dict[str, Renderer] = {
    "segments.date": lambda line: None if line.day is None else day_text(line.day)
}


def _extra(*names: str) -> dict[str, Renderer]:
    """Fields of rows that come rendered."""

    def field(name: str) -> Renderer:
        return lambda line: (line.extra or {}).get(name)

    return {name: field(name) for name in names}


_CLIENT = _extra(
    *(
        f"customer_client.{name}"
        for name in (
            "resource_name", "client_customer", "id", "descriptive_name", "level", "manager",
            "hidden", "status", "currency_code", "time_zone", "test_account",
        )
    )
)  # fmt: skip
_ACTION = _extra(
    *(
        f"conversion_action.{name}"
        for name in (
            "resource_name", "id", "name", "status", "click_through_lookback_window_days",
            "view_through_lookback_window_days",
        )
    )
)  # fmt: skip
_EVENT = _extra(
    *(
        f"change_event.{name}"
        for name in (
            "resource_name", "change_date_time", "change_resource_type", "change_resource_name",
            "resource_change_operation", "changed_fields", "old_resource", "new_resource",
            "user_email", "client_type", "campaign", "ad_group",
        )
    )
)  # fmt: skip
_CHANGE = _extra(
    *(
        f"change_status.{name}"
        for name in (
            "resource_name", "last_change_date_time", "resource_type", "resource_status",
            "campaign", "ad_group", "ad_group_ad",
        )
    )
)  # fmt: skip
_REPORTED = {**_CUSTOMER, **METRICS, **_DAY}
#: Per resource: every field that may stand in SELECT, WHERE and ORDER BY.
FIELDS: dict[str, dict[str, Renderer]] = {
    "customer": _REPORTED,
    "campaign": {**_REPORTED, **_CAMPAIGN},
    "ad_group": {**_REPORTED, **_CAMPAIGN, **_AD_GROUP},
    "ad_group_ad": {**_REPORTED, **_CAMPAIGN, **_AD_GROUP, **_AD_GROUP_AD},
    "customer_client": {**_CUSTOMER, **_CLIENT},
    "conversion_action": {**_CUSTOMER, **_ACTION},
    "change_event": {**_CUSTOMER, **_EVENT},
    "change_status": {**_CUSTOMER, **_CHANGE},
}
EVERY_FIELD = frozenset(name for fields in FIELDS.values() for name in fields)
