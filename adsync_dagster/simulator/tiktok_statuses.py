"""Renders what is true of an entity as TikTok's `operation_status` and `secondary_status`.

A parent's pause or deletion shows only in the child's secondary status; a deleted entity keeps
the switch it had. An archived ad group or ad is one that TikTok froze.
"""

from __future__ import annotations

from typing import NamedTuple

from adsync_dagster.simulator.actions import Actions
from adsync_dagster.simulator.entities import SimEntity, Version

PREFIXES = {"campaign": "CAMPAIGN_STATUS_", "adset": "ADGROUP_STATUS_", "ad": "AD_STATUS_"}
_SWITCHES = {"ACTIVE": "ENABLE", "PAUSED": "DISABLE", "ARCHIVED": "FROZEN"}
_HOLDS = {
    "campaign": {"PENDING_REVIEW": "ADVERTISER_AUDIT", "DISAPPROVED": "ADVERTISER_AUDIT_DENY"},
    "adset": {
        "PENDING_REVIEW": "AUDIT",
        "DISAPPROVED": "AUDIT_DENY",
        "WITH_ISSUES": "PARTIAL_AUDIT_DELIVERY_OK",
        "IN_PROCESS": "CREATE",
    },
    "ad": {
        "PENDING_REVIEW": "AUDIT",
        "DISAPPROVED": "AUDIT_DENY",
        "WITH_ISSUES": "PARTIAL_AUDIT_DELIVERY_OK",
        "IN_PROCESS": "CREATE",
    },
}
_PARENT_WORDS = {"campaign": "CAMPAIGN", "adset": "ADGROUP"}
_DELIVERING = frozenset({"ENABLE", "DELIVERY_OK", "PARTIAL_AUDIT_DELIVERY_OK"})


class Shown(NamedTuple):
    """An entity's two status fields, and the primary group they belong to."""

    operation: str
    secondary: str
    primary: str


def shown_statuses(world: Actions, entity: SimEntity, at: int) -> Shown:
    """What a list shows of an entity at an instant."""
    version = entity.at(at) or entity.versions[0]
    prefix, word = _word(world, entity, version, at)
    return Shown(_operation(entity, at), prefix + word, _primary(word))


def _operation(entity: SimEntity, at: int) -> str:
    """The switch; after a deletion the one before it."""
    for version in reversed(entity.versions):
        if version.at <= at and version.own in _SWITCHES:
            return _SWITCHES[version.own]
    return "ENABLE"


def _word(world: Actions, entity: SimEntity, version: Version, at: int) -> tuple[str, str]:
    """Prefix and word of the secondary status, by the precedence the world's statuses have."""
    prefix, parents = PREFIXES[entity.level], _parents(world, entity, version, at)
    if version.own == "DELETED":
        return prefix, "DELETE"
    if version.own == "ARCHIVED":
        return PREFIXES["adset"], "FROZEN"
    gone = [level for level, own in parents if own == "DELETED"]
    if gone:
        return prefix, f"{_PARENT_WORDS[gone[-1]]}_DELETE"
    if any(own == "ARCHIVED" for _, own in parents):
        return PREFIXES["adset"], "FROZEN"
    paused = [f"{_PARENT_WORDS[level]}_DISABLE" for level, own in parents if own == "PAUSED"]
    if version.own == "PAUSED" or paused:
        return prefix, "DISABLE" if version.own == "PAUSED" else paused[0]
    held = _HOLDS[entity.level].get(version.hold or "")
    return prefix, held or ("ENABLE" if entity.level == "campaign" else "DELIVERY_OK")


def _parents(world: Actions, entity: SimEntity, version: Version, at: int) -> list[tuple[str, str]]:
    """Level and own status of the ancestors at that instant, top first."""
    found: list[tuple[str, str]] = []
    level, parent_id = entity.level, version.parent_id
    while parent_id is not None:
        level = {"ad": "adset", "adset": "campaign"}[level]
        parent = world.entity(level, parent_id)
        then = parent.at(at) or parent.versions[0]
        found.insert(0, (level, then.own))
        parent_id = then.parent_id
    return found


def _primary(word: str) -> str:
    """The group that `primary_status` filters by; lists never show it."""
    if word == "DELETE" or word.endswith("_DELETE"):
        return "STATUS_DELETE"
    if word == "DISABLE" or word.endswith("_DISABLE"):
        return "STATUS_DISABLE"
    if word in _DELIVERING:
        return "STATUS_DELIVERY_OK"
    return "STATUS_FROZEN" if word == "FROZEN" else "STATUS_NOT_DELIVERY"


#: Values of `primary_status` that name a group.
GROUPS = frozenset(
    {
        "STATUS_DELETE",
        "STATUS_DISABLE",
        "STATUS_DELIVERY_OK",
        "STATUS_NOT_DELIVERY",
        "STATUS_FROZEN",
        "STATUS_TIME_DONE",
        "STATUS_RF_CLOSED",
    }
)


def matches(wanted: str, shown: Shown) -> bool:
    """Whether an entity passes a value of `primary_status` or a report's status filter."""
    if wanted == "STATUS_ALL":
        return True
    if wanted == "STATUS_NOT_DELETE":
        return shown.primary != "STATUS_DELETE"
    return shown.primary == wanted
