"""The `filtering` and `effective_status` parameters: parsing, refusing, matching."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from adsync_dagster.simulator.entities import LEVELS
from adsync_dagster.simulator.facebook_errors import deleted_requested, invalid
from adsync_dagster.simulator.facebook_request import GraphRequest
from adsync_dagster.simulator.facebook_settings import FacebookSettings
from adsync_dagster.simulator.instants import SECOND, micros

_SHARED = ("ACTIVE", "PAUSED", "DELETED", "ARCHIVED", "IN_PROCESS", "WITH_ISSUES")
_AD_ONLY = (
    "ADSET_PAUSED", "PENDING_REVIEW", "DISAPPROVED", "PREAPPROVED", "PENDING_BILLING_INFO",
)  # fmt: skip
#: The twelve documented words.
STATUS_WORDS = frozenset((*_SHARED, "CAMPAIGN_PAUSED", *_AD_ONLY))
#: Effective statuses that lists show when nobody asks for more.
GONE = frozenset({"ARCHIVED", "DELETED"})

#: Lower-case delivery words of `delivery_info`, and the statuses they stand for here.
_DELIVERY = {
    "active": {"ACTIVE"},
    "limited": {"WITH_ISSUES"},
    "inactive": {"PAUSED", "CAMPAIGN_PAUSED", "ADSET_PAUSED"},
    "not_delivering": {"WITH_ISSUES", "DISAPPROVED", "PENDING_BILLING_INFO"},
    "pending_review": {"PENDING_REVIEW"},
    "rejected": {"DISAPPROVED"},
    "archived": {"ARCHIVED"},
    "deleted": {"DELETED"},
    "permanently_deleted": {"DELETED"},
    "scheduled": {"PREAPPROVED"},
    "not_published": {"IN_PROCESS"},
    "completed": set(),
    "recently_completed": set(),
    "recently_rejected": set(),
}
STATUS_FIELDS = frozenset({"effective_status", "delivery_info"})
METRIC_FIELDS = frozenset({"impressions", "clicks", "spend"})
_PLAIN_FIELDS = frozenset({"id", "name", "status", "configured_status"})
_TIME_FIELDS = frozenset({"updated_time", "created_time"})


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition; all conditions of a list must hold."""

    level: str
    field: str
    operator: str
    value: Any

    def accepts(self, actual: Any) -> bool:
        """Whether an entity's value passes."""
        return _OPERATORS[self.operator](actual, self.value)


def _one_of(actual: Any, wanted: Any) -> bool:
    items = wanted if isinstance(wanted, list) else [wanted]
    return actual in items


def _contains(actual: Any, wanted: Any) -> bool:
    return str(wanted).lower() in str(actual).lower()


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "IN": _one_of,
    "NOT_IN": lambda actual, wanted: not _one_of(actual, wanted),
    "EQUAL": lambda actual, wanted: bool(actual == wanted),
    "NOT_EQUAL": lambda actual, wanted: bool(actual != wanted),
    "GREATER_THAN": lambda actual, wanted: bool(actual > wanted),
    "GREATER_THAN_OR_EQUAL": lambda actual, wanted: bool(actual >= wanted),
    "LESS_THAN": lambda actual, wanted: bool(actual < wanted),
    "LESS_THAN_OR_EQUAL": lambda actual, wanted: bool(actual <= wanted),
    "IN_RANGE": lambda actual, wanted: bool(wanted[0] <= actual <= wanted[1]),
    "NOT_IN_RANGE": lambda actual, wanted: not wanted[0] <= actual <= wanted[1],
    "CONTAIN": _contains,
    "NOT_CONTAIN": lambda actual, wanted: not _contains(actual, wanted),
    "STARTS_WITH": lambda actual, wanted: str(actual).startswith(str(wanted)),
    "ENDS_WITH": lambda actual, wanted: str(actual).endswith(str(wanted)),
}


def parse_filters(request: GraphRequest, level: str) -> list[Filter]:
    """The `filtering` parameter; a bare field name means the listed level."""
    raw = request.json("filtering")
    if raw is None:
        return []
    if not isinstance(raw, list):
        raise invalid("Param filtering must be an array")
    return [_parse_filter(item, level) for item in raw]


def _parse_filter(item: Any, level: str) -> Filter:
    if not isinstance(item, dict) or not {"field", "operator"} <= item.keys():
        raise invalid("Param filtering[0] must have a field, an operator and a value")
    name, operator = str(item["field"]), str(item["operator"]).upper()
    prefix, _, field = name.rpartition(".")
    known = STATUS_FIELDS | METRIC_FIELDS | _PLAIN_FIELDS | _TIME_FIELDS
    if (prefix and prefix not in LEVELS) or field not in known or operator not in _OPERATORS:
        raise invalid(
            f"Filtering field '{name}' with operation '{operator.lower()}' is not supported"
        )
    value = item.get("value")
    if operator in {"IN", "NOT_IN"} and not isinstance(value, list):
        raise invalid(f"Filtering field '{name}' needs a list of values")
    return Filter(prefix or level, field, operator, _read_value(field, value, name))


def _read_value(field: str, value: Any, name: str) -> Any:
    """Values in the form that the entity's own values have here."""
    if field == "delivery_info":
        unknown = [word for word in value if word not in _DELIVERY]
        if unknown:
            raise invalid(f"Filtering field '{name}' does not know '{unknown[0]}'")
        return sorted(set[str]().union(*(_DELIVERY[word] for word in value)))
    if field in METRIC_FIELDS:
        return float(value)
    if field in _TIME_FIELDS:
        return [_stamp(one) for one in value] if isinstance(value, list) else _stamp(value)
    return [str(one) for one in value] if isinstance(value, list) else str(value)


def _stamp(value: Any) -> int:
    try:
        return int(value) * SECOND
    except ValueError:
        pass
    try:
        return micros(datetime.fromisoformat(str(value)))
    except ValueError:
        raise invalid("A time must be a unix time or an ISO instant with its offset") from None


def asked_statuses(
    request: GraphRequest, level: str, settings: FacebookSettings
) -> frozenset[str] | None:
    """The statuses an edge is asked for by `effective_status`; None when it is not."""
    words = request.words("effective_status")
    if not words:
        return None
    for index, word in enumerate(words):
        ad_only = level == "adset" and word in _AD_ONLY
        if word not in STATUS_WORDS or (settings.strict and ad_only):
            raise invalid(f"Param effective_status[{index}] must be one of {{ACTIVE, PAUSED, ...}}")
    if "DELETED" in words:
        raise deleted_requested()
    return frozenset(words)


def status_wish(filters: list[Filter], level: str) -> frozenset[str] | None:
    """The statuses that the filters ask of a level by inclusion; None when they ask none."""
    wishes = [
        frozenset(item.value if isinstance(item.value, list) else [item.value])
        for item in filters
        if item.level == level and item.field in STATUS_FIELDS and item.operator in {"IN", "EQUAL"}
    ]
    return frozenset.intersection(*wishes) if wishes else None


def refuse_deleted(filters: list[Filter], settings: FacebookSettings) -> None:
    """1815001 when a listing edge's filter names DELETED, unless the setting drops it."""
    if settings.deleted_in_filtering == "drop":
        return
    for item in filters:
        if item.field == "effective_status" and _one_of("DELETED", item.value):
            raise deleted_requested()
