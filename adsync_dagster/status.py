"""One vocabulary of statuses, and the rule which transitions owe a final sync.

The rule also stands in SQL (`requires_final_sync` in sql/migrations), because triggers
apply it; a test asks both for every pair. SQL is the master.
"""

from __future__ import annotations

from enum import StrEnum


class OwnStatus(StrEnum):
    """An entity's own switch, the same four words on every platform."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    ARCHIVED = "ARCHIVED"
    DELETED = "DELETED"
    #: A word nobody here knows: the raw text is kept and the entity is synced more, not less.
    UNKNOWN = "UNKNOWN"


#: Effective statuses under which an entity can spend. WITH_ISSUES still delivers in part.
#: Every other status, also one never seen before, counts as stopped: that syncs more.
DELIVERING = frozenset({"ACTIVE", "WITH_ISSUES"})


def is_delivering(status: str | None) -> bool:
    """Whether an entity in this (own or effective) status can spend."""
    return status is not None and status.upper() in DELIVERING


def requires_final_sync(old_status: str | None, new_status: str | None) -> bool:
    """Whether the step from old to new owes a final sync.

    True when the entity could spend and no longer can. An entity first seen stopped
    (`old_status` None) owes one as well: it may have spent before anyone looked.
    """
    if is_delivering(new_status):
        return False
    return old_status is None or is_delivering(old_status)
