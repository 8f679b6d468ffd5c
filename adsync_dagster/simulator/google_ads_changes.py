"""change_event and change_status: what people changed, 30 and 90 days back.

Both want a finite period and a LIMIT of at most 10,000. Times are local, without an offset.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from adsync_dagster.simulator.entities import Activity, SimAccount
from adsync_dagster.simulator.google_ads_errors import GoogleAdsError
from adsync_dagster.simulator.google_ads_fields import STATUSES, Line
from adsync_dagster.simulator.google_ads_query import Query
from adsync_dagster.simulator.instants import DAY, SECOND, micros
from adsync_dagster.simulator.world import World

ROWS_MAX = 10_000
_TIMES = {
    "change_event": "change_event.change_date_time",
    "change_status": "change_status.last_change_date_time",
}
_FAMILIES = {"change_event": "changeEventError", "change_status": "changeStatusError"}
_DAYS_BACK = {"change_event": 30, "change_status": 90}
_TYPES = {"campaign": "CAMPAIGN", "adset": "AD_GROUP", "ad": "AD_GROUP_AD"}
_BODIES = {"campaign": "campaign", "adset": "adGroup", "ad": "adGroupAd"}
_COLLECTIONS = {"campaign": "campaigns", "adset": "adGroups", "ad": "adGroupAds"}
_KINDS = frozenset({"create", "status", "name"})


def change_lines(world: World, query: Query, base: Line) -> Iterator[Line]:
    """The rows of one of the two histories, oldest first."""
    account = base.account
    if account is None:
        return
    since, until = _period(query, base, account)
    until = min(until, base.at - base.settings.change_lag_seconds * SECOND)
    told = [
        activity
        for activity in world.activities[account.id]
        if activity.kind in _KINDS and since <= activity.at <= until
    ]
    if query.resource == "change_event":
        for number, activity in enumerate(told):
            yield base._replace(extra=_event(activity, account, number))
        return
    latest = {(activity.level, activity.entity_id): activity for activity in told}
    for activity in sorted(latest.values(), key=lambda one: one.at):
        yield base._replace(extra=_status(activity, account))


def _period(query: Query, base: Line, account: SimAccount) -> tuple[int, int]:
    """The period asked for; GoogleAdsError when it is open, backwards, or too long ago."""
    family = _FAMILIES[query.resource]
    since: list[int] = []
    until: list[int] = []
    for condition in query.on(_TIMES[query.resource]):
        stamps = [_stamp(value, account) for value in condition.values]
        if condition.operator in {">=", ">", "BETWEEN"}:
            since.append(stamps[0])
        if condition.operator in {"<=", "<", "BETWEEN"}:
            until.append(stamps[-1])
    if not since or not until:
        raise GoogleAdsError(f"{family}.CHANGE_DATE_RANGE_INFINITE")
    if max(since) > min(until):
        raise GoogleAdsError(f"{family}.CHANGE_DATE_RANGE_NEGATIVE")
    if max(since) < base.at - _DAYS_BACK[query.resource] * DAY:
        raise GoogleAdsError(f"{family}.START_DATE_TOO_OLD")
    if query.limit is None:
        raise GoogleAdsError(f"{family}.LIMIT_NOT_SPECIFIED")
    if query.limit > ROWS_MAX:
        raise GoogleAdsError(f"{family}.INVALID_LIMIT_CLAUSE")
    return max(since), min(until)


def _stamp(text: str, account: SimAccount) -> int:
    try:
        wall = datetime.fromisoformat(text)
    except ValueError:
        raise GoogleAdsError("dateRangeError.INVALID_DATE") from None
    return micros(wall.replace(tzinfo=account.zone.info))


def _event(activity: Activity, account: SimAccount, number: int) -> dict[str, Any]:
    created = activity.kind == "create"
    removed = activity.kind == "status" and activity.new == "DELETED"
    operation = "CREATE" if created else "REMOVE" if removed else "UPDATE"
    old, new = _sides(activity)
    body = _BODIES[activity.level]
    event = {
        "resource_name": f"customers/{account.id}/changeEvents/{activity.at}~{number}~0",
        "change_date_time": _local(activity, account),
        "change_resource_type": _TYPES[activity.level],
        "change_resource_name": _name(activity, account),
        "resource_change_operation": operation,
        "changed_fields": "name" if activity.kind == "name" else "status",
        "new_resource": None if removed else {body: new},
        "old_resource": None if created else {body: old},
        "user_email": "pat@shop.example",
        "client_type": "GOOGLE_ADS_WEB_CLIENT",
    }
    return {f"change_event.{name}": value for name, value in event.items() if value is not None}


def _sides(activity: Activity) -> tuple[dict[str, Any], dict[str, Any]]:
    """The old and the new resource, changed fields only."""
    if activity.kind == "name":
        if activity.level == "ad":
            return {"ad": {"name": activity.old}}, {"ad": {"name": activity.new}}
        return {"name": activity.old}, {"name": activity.new}
    old = STATUSES.get(str(activity.old))
    return ({} if old is None else {"status": old}), {"status": STATUSES[activity.new]}


def _status(activity: Activity, account: SimAccount) -> dict[str, Any]:
    word = "ADDED" if activity.kind == "create" else "CHANGED"
    if activity.kind == "status" and activity.new == "DELETED":
        word = "REMOVED"
    key = {"campaign": "campaign", "adset": "ad_group", "ad": "ad_group_ad"}[activity.level]
    name = _name(activity, account)
    return {
        "change_status.resource_name": f"customers/{account.id}/changeStatus/{activity.at}",
        "change_status.last_change_date_time": _local(activity, account),
        "change_status.resource_type": _TYPES[activity.level],
        "change_status.resource_status": word,
        f"change_status.{key}": name,
    }


def _name(activity: Activity, account: SimAccount) -> str:
    return f"customers/{account.id}/{_COLLECTIONS[activity.level]}/{activity.entity_id}"


def _local(activity: Activity, account: SimAccount) -> str:
    return account.zone.local(activity.at).strftime("%Y-%m-%d %H:%M:%S.%f")
