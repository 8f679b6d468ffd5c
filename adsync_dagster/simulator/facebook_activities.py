"""The activity log: what people changed, newest first, in the words of the token's language.

Only own changes stand here, never what they cascade to. Labels do not tell paused from
archived or deleted; only reading the object does.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import orjson

from adsync_dagster.simulator.entities import Activity, SimAccount, SimEntity
from adsync_dagster.simulator.facebook_errors import invalid
from adsync_dagster.simulator.facebook_fields import parse_fields
from adsync_dagster.simulator.facebook_request import GraphRequest, decode_cursor, encode_cursor
from adsync_dagster.simulator.facebook_settings import FacebookSettings
from adsync_dagster.simulator.instants import DAY, SECOND, instant_of
from adsync_dagster.simulator.world import World

#: (active, inactive, pending process) as the log names them.
_LABELS = {
    "en": ("Active", "Inactive", "Pending Process"),
    "es": ("Activo", "Inactivo", "Proceso pendiente"),
    "pt": ("Ativa", "Inativa", "Processo pendente"),
    "zh": ("投放中", "未投放", "等待处理"),
}
_TYPES = {"campaign": "CAMPAIGN_GROUP", "adset": "CAMPAIGN", "ad": "ADGROUP"}
_EVENTS = {
    ("create", "campaign"): "create_campaign_group",
    ("create", "adset"): "create_ad_set",
    ("create", "ad"): "create_ad",
    ("status", "campaign"): "update_campaign_run_status",
    ("status", "adset"): "update_ad_set_run_status",
    ("status", "ad"): "update_ad_run_status",
    ("name", "campaign"): "update_campaign_name",
    ("name", "adset"): "update_ad_set_name",
    ("name", "ad"): "update_ad_friendly_name",
    ("budget", "campaign"): "update_campaign_budget",
    ("budget", "adset"): "update_ad_set_budget",
}
_LEVEL_CATEGORY = {"campaign": "CAMPAIGN", "adset": "AD_SET", "ad": "AD"}
_DEFAULT_FIELDS = ("event_time", "event_type")
_CATEGORIES = {
    "ACCOUNT", "AD", "AD_KEYWORDS", "AD_SET", "AUDIENCE", "BID", "BUDGET", "CAMPAIGN", "DATE",
    "STATUS", "TARGETING",
}  # fmt: skip
_STEP_CODES = {"Active": 1, "Inactive": 7, "Pending Process": 15}


def activities_page(
    world: World,
    settings: FacebookSettings,
    request: GraphRequest,
    account: SimAccount,
    adset: SimEntity | None,
) -> dict[str, Any]:
    """One page of the account's or ad set's activities; a week back unless told otherwise."""
    since, until = _window(request, settings, account)
    category = request.params.get("category")
    if category is not None and category not in _CATEGORIES:
        raise invalid("Param category must be one of {ACCOUNT, AD, ..., STATUS, TARGETING}")
    names = [field.name for field in parse_fields(request.params.get("fields", ""))]
    size = min(request.limit(settings.page_size), settings.page_size_max)
    after = request.params.get("after")
    skip = decode_cursor(after, 1)[0] if after else 0
    language = request.token.language
    records = [
        record
        for activity in reversed(world.activities[account.id])
        if since <= activity.at <= until and _concerns(activity, category, adset)
        for record in reversed(_render(activity, account, language))
    ]
    shown = records[skip : skip + size]
    data = [{name: record[name] for name in names or _DEFAULT_FIELDS if name in record}
            for record in shown]  # fmt: skip
    body: dict[str, Any] = {"data": data}
    if data:
        last = encode_cursor(skip + len(shown))
        body["paging"] = {"cursors": {"before": encode_cursor(skip), "after": last}}
        if skip + size < len(records):
            body["paging"]["next"] = request.next_url(last)
    return body


def _window(
    request: GraphRequest, settings: FacebookSettings, account: SimAccount
) -> tuple[int, int]:
    until = _moment(request.params.get("until"), account, default=request.at, ends=True)
    since = _moment(request.params.get("since"), account, default=until - 7 * DAY, ends=False)
    oldest = request.at - settings.activities_retention_days * DAY
    return max(since, oldest), min(until, request.at)


def _moment(text: str | None, account: SimAccount, *, default: int, ends: bool) -> int:
    """A unix time, or a date in the account's zone (its end for `until`)."""
    if not text:
        return default
    if text.isdigit():
        return int(text) * SECOND + (SECOND - 1 if ends else 0)
    try:
        day = date.fromisoformat(text[:10]).toordinal()
    except ValueError:
        raise invalid("since and until must be unix times or dates") from None
    return account.zone.end(day) - 1 if ends else account.zone.start(day)


def _concerns(activity: Activity, category: str | None, adset: SimEntity | None) -> bool:
    if (activity.kind, activity.level) not in _EVENTS:
        return False
    if category is not None and category not in _categories(activity):
        return False
    return adset is None or adset.id in {activity.entity_id, activity.parent_id}


def _categories(activity: Activity) -> set[str]:
    kind = {"status": "STATUS", "budget": "BUDGET"}.get(activity.kind)
    return {_LEVEL_CATEGORY[activity.level], *([kind] if kind else [])}


def _render(activity: Activity, account: SimAccount, language: str) -> list[dict[str, Any]]:
    """The log's entries for one change, oldest first: a stop takes two steps."""
    record: dict[str, Any] = {
        "event_time": _utc(activity.at),
        "event_type": _EVENTS[(activity.kind, activity.level)],
        "object_id": activity.entity_id,
        "object_type": _TYPES[activity.level],
        "object_name": activity.name,
        "actor_id": "990777",
        "actor_name": "Pat",
        "application_id": "990555",
        "application_name": "Ads Manager",
        "date_time_in_timezone": account.zone.local(activity.at).strftime("%d/%m/%Y at %H:%M"),
        "tool": "ADS_MANAGER",
        "translated_event_type": _EVENTS[(activity.kind, activity.level)].replace("_", " "),
    }
    return [{**record, "extra_data": extra} for extra in _extras(activity, account, language)]


def _extras(activity: Activity, account: SimAccount, language: str) -> list[str]:
    if activity.kind == "status":
        return _status_extras(activity, language)
    if activity.kind == "budget":
        return [_budget_extra(activity, account)]
    extra: dict[str, Any] = {"old_value": activity.old, "new_value": activity.new, "type": "text"}
    if activity.kind == "create":
        extra = {"new_value": activity.name, "type": "created"}
    return [orjson.dumps({**extra, **_parent(activity)}).decode()]


def _status_extras(activity: Activity, language: str) -> list[str]:
    active, inactive, pending = _LABELS.get(language[:2], _LABELS["en"])
    old = active if activity.old == "ACTIVE" else inactive
    new = active if activity.new == "ACTIVE" else inactive
    steps = [(old, pending), (pending, new)] if old != new else [(old, new)]
    if activity.at // SECOND % 5 == 0 and language[:2] == "en":
        return [_coded_extra(activity, step) for step in steps]
    return [
        orjson.dumps(
            {"old_value": before, "new_value": after, **_parent(activity), "type": "run_status"}
        ).decode()
        for before, after in steps
    ]


def _coded_extra(activity: Activity, step: tuple[str, str]) -> str:
    """Some records carry numeric codes instead of labels."""
    codes = {"old_value": _STEP_CODES[step[0]], "new_value": _STEP_CODES[step[1]]}
    return orjson.dumps({"run_status": codes, **_parent(activity), "type": "run_status"}).decode()


def _budget_extra(activity: Activity, account: SimAccount) -> str:
    amount = {"type": "payment_amount", "currency": account.currency}
    return orjson.dumps(
        {
            "old_value": {**amount, "old_value": activity.old or 0},
            "new_value": {**amount, "new_value": activity.new},
            "type": "composite_data",
        }
    ).decode()


def _parent(activity: Activity) -> dict[str, Any]:
    """For ads, the inner `campaign_id` is the ad set's, as a bare number."""
    if activity.parent_id is None or not activity.parent_id.isdigit():
        return {}
    return {"campaign_id": int(activity.parent_id)}


def _utc(stamp: int) -> str:
    return instant_of(stamp).strftime("%Y-%m-%dT%H:%M:%S+0000")
