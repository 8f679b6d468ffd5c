"""Campaigns, ad sets and ads of a simulated account, with every version they ever had.

Versions are kept because a reader may be served a stale one, and because a judge asks what
was true at a past instant.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from typing import Any

from adsync_dagster.simulator.instants import Zone
from adsync_dagster.simulator.plans import SETTLED_AFTER_DAYS

LEVELS = ("campaign", "adset", "ad")
OWN_STATUSES = ("ACTIVE", "PAUSED", "ARCHIVED", "DELETED")


@dataclass(frozen=True, slots=True)
class Version:
    """What an entity was from an instant on."""

    at: int
    name: str
    own: str
    effective: str
    updated_at: int
    #: The ad set of an ad, the campaign of an ad set; None for a campaign.
    parent_id: str | None = None
    #: In minor units of the currency, as the platform sends budgets; None when not set here.
    daily_budget: int | None = None
    #: A state that is nobody's switch: PENDING_REVIEW, DISAPPROVED, WITH_ISSUES, IN_PROCESS.
    hold: str | None = None


@dataclass(slots=True, eq=False)
class SimEntity:
    """One campaign, ad set or ad."""

    level: str
    id: str
    account_id: str
    #: Its place in the order of creation, unique in its account and level.
    sequence: int
    created_at: int
    versions: list[Version]
    children: list[SimEntity] = field(default_factory=list)
    #: Descriptive fields that never change: objective, optimisation goal, creative id.
    traits: dict[str, Any] = field(default_factory=dict)

    @property
    def now(self) -> Version:
        """Its latest version."""
        return self.versions[-1]

    def at(self, stamp: int) -> Version | None:
        """Its version at an instant; None before it existed."""
        if stamp < self.created_at:
            return None
        if self.versions[-1].at <= stamp:
            return self.versions[-1]
        index = bisect_right(self.versions, stamp, key=lambda version: version.at)
        return self.versions[index - 1] if index else None

    def push(self, at: int, **changes: Any) -> Version:
        """Append a version that differs from the latest in these fields."""
        self.versions.append(replace(self.versions[-1], at=at, **changes))
        return self.versions[-1]


@dataclass(slots=True, eq=False)
class SimAccount:
    """One ad account of one platform."""

    platform: str
    id: str
    name: str
    currency: str
    timezone: str
    zone: Zone
    #: Micros of the currency's smallest unit on this platform.
    unit_micros: int
    created_at: int
    #: The platform's own code: Meta 1 active, 2 disabled, 3 unsettled, ...
    status: int = 1
    #: For this long after a day's end its numbers may change; the platform's promise.
    window_days: int = SETTLED_AFTER_DAYS
    entities: dict[str, dict[str, SimEntity]] = field(
        default_factory=lambda: {level: {} for level in LEVELS}
    )

    @property
    def delivers(self) -> bool:
        """Whether the account's own state lets its ads spend."""
        return self.status in {1, 8, 9, 201}


@dataclass(frozen=True, slots=True)
class Activity:
    """One entry of the account's own change history, before a wire dresses it up."""

    at: int
    kind: str
    level: str
    entity_id: str
    name: str
    old: Any
    new: Any
    parent_id: str | None


def effective_status(own: str, hold: str | None, ancestors: list[tuple[str, str]]) -> str:
    """What really happens to an entity. `ancestors` are (level, own status), top first.

    An ancestor that is archived or deleted takes its children with it; a paused one names
    itself; the entity's own switch counts before a paused ancestor.
    """
    for gone in ("DELETED", "ARCHIVED"):
        if own == gone:
            return gone
    for gone in ("DELETED", "ARCHIVED"):
        if any(status == gone for _, status in ancestors):
            return gone
    if own != "ACTIVE":
        return own
    for level, status in ancestors:
        if status == "PAUSED":
            return "CAMPAIGN_PAUSED" if level == "campaign" else "ADSET_PAUSED"
    return hold or "ACTIVE"
