"""Entity lists and advertisers of the simulated Business API.

Lists hide deleted entities unless a status filter asks for them; naming their ids does not.
They are ordered by id, the newest first, and cut into numbered pages without a snapshot.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adsync_dagster.simulator.entities import SimAccount, SimEntity
from adsync_dagster.simulator.faults import Faults
from adsync_dagster.simulator.instants import instant_of
from adsync_dagster.simulator.tiktok_request import ApiRequest, TikTokError, bad_parameter
from adsync_dagster.simulator.tiktok_statuses import (
    GROUPS,
    PREFIXES,
    Shown,
    matches,
    shown_statuses,
)
from adsync_dagster.simulator.world import World

#: TikTok's word for each level of the world.
WORDS = {"campaign": "campaign", "adset": "adgroup", "ad": "ad"}
_ADVERTISER_STATUSES = {
    1: "STATUS_ENABLE",
    2: "STATUS_DISABLE",
    3: "STATUS_LIMIT",
    7: "STATUS_PENDING_VERIFIED",
    100: "STATUS_CONTRACT_PENDING",
    101: "STATUS_DISABLE",
}

_Check = Callable[[SimEntity, Shown], bool]
_Render = Callable[["_Row"], Any]


class _Row:
    """One entity on its way into a list."""

    __slots__ = ("account", "adset", "at", "campaign", "entity", "shown", "version")

    def __init__(self, world: World, entity: SimEntity, shown: Shown, at: int) -> None:
        self.entity, self.shown, self.at = entity, shown, at
        self.version = entity.at(at) or entity.versions[0]
        self.account = world.account(entity.account_id)
        chain = [*world.ancestors(entity), entity]
        self.campaign = chain[0]
        self.adset = chain[1] if len(chain) > 1 else entity

    @property
    def budget(self) -> float:
        minor = self.version.daily_budget
        return 0.0 if minor is None else minor * self.account.unit_micros / 1_000_000


def time_text(stamp: int) -> str:
    """UTC without saying so, in whole seconds."""
    return instant_of(stamp).strftime("%Y-%m-%d %H:%M:%S")


def _modified(row: _Row) -> str | None:
    # Smart+ ads come without it.
    return None if row.entity.traits.get("smart_plus") else time_text(row.version.updated_at)


_COMMON: dict[str, _Render] = {
    "advertiser_id": lambda row: row.account.id,
    "operation_status": lambda row: row.shown.operation,
    "secondary_status": lambda row: row.shown.secondary,
    "create_time": lambda row: time_text(row.entity.created_at),
    "modify_time": _modified,
    "campaign_id": lambda row: row.campaign.id,
    "campaign_name": lambda row: row.campaign.now.name,
}
_BUDGET: dict[str, _Render] = {
    "budget": lambda row: row.budget,
    "budget_mode": lambda row: (
        "BUDGET_MODE_INFINITE" if row.version.daily_budget is None else "BUDGET_MODE_DAY"
    ),
}
_FIELDS: dict[str, dict[str, _Render]] = {
    "campaign": {
        **_COMMON,
        **_BUDGET,
        "campaign_name": lambda row: row.version.name,
        "objective_type": lambda _: "WEB_CONVERSIONS",
        "campaign_type": lambda _: "REGULAR_CAMPAIGN",
        "campaign_automation_type": lambda _: "MANUAL",
        "is_smart_performance_campaign": lambda _: False,
        "budget_optimize_on": lambda _: False,
    },
    "adset": {
        **_COMMON,
        **_BUDGET,
        "adgroup_id": lambda row: row.entity.id,
        "adgroup_name": lambda row: row.version.name,
        "bid_price": lambda _: 0,
        "billing_event": lambda _: "OCPM",
        "optimization_goal": lambda _: "CONVERT",
        "schedule_type": lambda _: "SCHEDULE_FROM_NOW",
        "schedule_start_time": lambda row: time_text(row.entity.created_at),
        "schedule_end_time": lambda row: time_text(row.entity.created_at + 315_360_000_000_000),
        "click_attribution_window": lambda _: "SEVEN_DAYS",
        "view_attribution_window": lambda _: "ONE_DAY",
        "engaged_view_attribution_window": lambda _: "ONE_DAY",
        "attribution_event_count": lambda _: "EVERY",
    },
    "ad": {
        **_COMMON,
        "adgroup_id": lambda row: row.adset.id,
        "adgroup_name": lambda row: row.adset.now.name,
        "ad_id": lambda row: row.entity.id,
        "ad_name": lambda row: row.version.name,
        "ad_format": lambda _: "SINGLE_VIDEO",
        "landing_page_url": lambda _: "https://shop.example/",
        "call_to_action": lambda _: "SHOP_NOW",
        "smart_plus_ad_id": lambda row: row.entity.traits.get("smart_plus"),
    },
}
#: Filters that are read elsewhere, or that every entity of a world passes.
_IGNORED_FILTERS = frozenset(
    {
        "primary_status", "secondary_status", "objective_type", "optimization_goal",
        "destination", "creative_material_mode", "campaign_system_origins",
        "campaign_automation_type",
    }
)  # fmt: skip


class EntityLister:
    """Answers the entity lists and what is asked about advertisers."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world = world
        self._faults = faults

    def entities(self, request: ApiRequest, level: str) -> dict[str, Any]:
        """One page of a level."""
        filtering = request.json("filtering") or {}
        if not isinstance(filtering, dict):
            raise bad_parameter("filtering: Not an object.")
        names = self._names(request, level)
        checks = self._checks(request, level, filtering)
        found = []
        for entity in reversed(request.advertiser.entities[level].values()):
            if entity.created_at > request.at or entity.id in request.settings.purged:
                continue
            shown = shown_statuses(self._world, entity, request.at)
            if all(check(entity, shown) for check in checks):
                found.append((entity, shown))
        page = request.page(found)
        page["list"] = [self._render(request, names, *one) for one in page["list"]]
        return page

    def _names(self, request: ApiRequest, level: str) -> list[str]:
        known, asked = _FIELDS[level], request.words("fields")
        for name in asked:
            if name not in known and request.settings.strict:
                raise bad_parameter(f"fields: {name} is not a valid choice.")
        names = [name for name in asked if name in known] or list(known)
        if not request.settings.secondary_status:
            names = [name for name in names if name != "secondary_status"]
        return names

    def _render(
        self, request: ApiRequest, names: list[str], entity: SimEntity, shown: Shown
    ) -> dict[str, Any]:
        row = _Row(self._world, entity, shown, request.at)
        body = {name: _FIELDS[entity.level][name](row) for name in names}
        if request.settings.ids_as_numbers:
            body = {k: int(v) if k.endswith("_id") and v else v for k, v in body.items()}
        return {name: value for name, value in body.items() if value is not None}

    def _checks(self, request: ApiRequest, level: str, filtering: dict[str, Any]) -> list[_Check]:
        checks: list[_Check] = [_status_check(level, filtering)]
        for name, value in filtering.items():
            check = self._check(request, level, name, value)
            if check is not None:
                checks.append(check)
        return checks

    def _check(self, request: ApiRequest, level: str, name: str, value: Any) -> _Check | None:
        if name in _IGNORED_FILTERS:
            return None
        if name in {"campaign_ids", "adgroup_ids", "ad_ids"}:
            return self._id_check(request, level, name, value)
        if name == f"{WORDS[level]}_name":
            return lambda entity, _: str(value).lower() in entity.now.name.lower()
        if name == "buying_types":
            if not isinstance(value, list) or ("RESERVATION_TOP_VIEW" in value and len(value) > 1):
                raise bad_parameter("buying_types: RESERVATION_TOP_VIEW must stand alone.")
            return lambda *_: "AUCTION" in value
        check = _time_check(level, name, str(value))
        if check is None and request.settings.strict:
            raise bad_parameter(f"filtering.{name}: Unknown field.")
        return check

    def _id_check(self, request: ApiRequest, level: str, name: str, value: Any) -> _Check:
        order = ["campaign_ids", "adgroup_ids", "ad_ids"]
        depth = order.index(name)
        if depth > order.index(f"{WORDS[level]}_ids"):
            raise bad_parameter(f"filtering.{name}: Unknown field.")
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise bad_parameter(f"filtering.{name}: Not a list of strings.")
        if len(value) > request.settings.ids_max:
            raise TikTokError(40011, f"filtering.{name}: Too many ids.")
        wanted = frozenset(value)

        def check(entity: SimEntity, _: Shown) -> bool:
            chain = [*self._world.ancestors(entity), entity]
            if chain[depth].id not in wanted:
                return False
            is_itself = chain[depth] is entity
            return not (is_itself and self._faults.hides(request.name, entity.sequence))

        return check

    def advertisers(self, request: ApiRequest, visible: list[SimAccount]) -> dict[str, Any]:
        """`oauth2/advertiser/get`: everything the token sees, unpaged."""
        request.text("app_id")
        if request.settings.app_secret not in (None, request.text("secret")):
            raise TikTokError(40101, "The app_id or secret is incorrect.")
        rows = [{"advertiser_id": one.id, "advertiser_name": one.name} for one in visible]
        return {"list": rows}

    def advertiser_info(self, request: ApiRequest, visible: list[SimAccount]) -> dict[str, Any]:
        """`advertiser/info`: the advertisers named, as far as the token sees them."""
        ids, names = request.words("advertiser_ids"), request.words("fields")
        if not ids:
            raise bad_parameter("advertiser_ids: Missing data for required field.")
        if len(ids) > request.settings.ids_max:
            raise TikTokError(40011, "advertiser_ids: Too many ids.")
        known = {account.id: account for account in visible}
        for one in ids:
            if one not in known:
                raise TikTokError(40001, f"No permission to operate advertiser {one}")
        return {"list": [_advertiser(request, known[one], names) for one in ids]}


def _time_check(level: str, name: str, value: str) -> _Check | None:
    if name == "creation_filter_start_time":
        return lambda entity, _: time_text(entity.created_at) >= value
    if name == "creation_filter_end_time":
        return lambda entity, _: time_text(entity.created_at) <= value
    if name == "modified_after" and level == "ad":
        return lambda entity, _: time_text(entity.now.updated_at) >= value
    return None


def _status_check(level: str, filtering: dict[str, Any]) -> _Check:
    """The status filter; without one, what is deleted is hidden."""
    secondary, primary = filtering.get("secondary_status"), filtering.get("primary_status")
    prefix = PREFIXES[level]
    if secondary == f"{prefix}ALL":
        return lambda *_: True
    if secondary == f"{prefix}NOT_DELETE":
        primary = "STATUS_NOT_DELETE"
    elif secondary is not None:
        if not isinstance(secondary, str) or "_STATUS_" not in secondary:
            raise bad_parameter("filtering.secondary_status: Not a valid choice.")
        return lambda _, shown: shown.secondary == secondary
    wanted = primary or "STATUS_NOT_DELETE"
    if wanted not in GROUPS | {"STATUS_ALL", "STATUS_NOT_DELETE"}:
        raise bad_parameter("filtering.primary_status: Not a valid choice.")
    return lambda _, shown: matches(wanted, shown)


def _advertiser(request: ApiRequest, account: SimAccount, names: list[str]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "advertiser_id": account.id,
        "name": account.name,
        "status": _ADVERTISER_STATUSES.get(account.status, "STATUS_DISABLE"),
        "currency": account.currency,
        "timezone": posix_zone(account),
        "display_timezone": account.timezone,
        "country": "US",
        "company": account.name,
        "role": "ROLE_ADVERTISER",
        "advertiser_account_type": "AUCTION",
        "create_time": account.created_at // 1_000_000,
        "balance": 0,
    }
    if not request.settings.display_timezone:
        del body["display_timezone"]
    for name in names:
        if name not in body and name != "display_timezone" and request.settings.strict:
            raise bad_parameter(f"fields: {name} is not a valid choice.")
    return {name: value for name, value in body.items() if not names or name in names}


def posix_zone(account: SimAccount) -> str:
    """The account's standard offset in POSIX notation, whose sign is turned around."""
    if account.timezone.startswith("Etc/"):
        return account.timezone
    january = instant_of(0).replace(year=2026, tzinfo=account.zone.info)
    offset = january.utcoffset()
    hours = 0.0 if offset is None else offset.total_seconds() / 3600
    if hours != int(hours):
        return account.timezone
    return f"Etc/GMT{-int(hours):+d}" if hours else "Etc/GMT"
