"""What happens in one simulated run: the world's shape, and every event with its minute.

A scenario is plain data. Its events do not depend on each other: each one says what it wants
(such as "pause the 17th entity, counted modulo those there are"), and one that has become
impossible does nothing. So any of them can be left out, which is how failures are minimised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import orjson

Kind = Literal["act", "fault", "io", "run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPlan:
    """One account of the world."""

    timezone: str = "America/New_York"
    currency: str = "USD"
    campaigns: int = 2
    adsets: int = 3
    ads: int = 6
    history_days: int = 5
    #: Whether history stopped some of its objects already.
    stopped: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that stays the same during a run."""

    accounts: tuple[AccountPlan, ...] = (AccountPlan(),)
    #: Minutes after midnight UTC of 2026-03-01 at which the run begins.
    start_minute: int = 600
    active_days: int = 7
    margin_days: int = 2
    recent_days: int = 3
    #: Rows per page; small ones make paging happen on small accounts.
    entity_page_rows: int = 200
    insights_page_rows: int = 500
    #: Ranges longer than this become report runs.
    sync_days_max: int = 7
    #: How far each exchange moves the clock.
    latency_seconds: float = 0.0
    reporting_delay_seconds: int = 0
    deleted_rows: str = "docs_strict"
    offset_cursors: bool = False
    #: How long the platform's own change history goes back; 0 hides what came and went.
    history_kept_days: int = 180
    #: Whether something still delivers when activity ends.
    keep_running: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happens, `minute` minutes after the run began."""

    minute: int
    kind: Kind
    name: str
    #: Which of the possible objects, amounts, moments; taken modulo what there is.
    picks: tuple[int, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A whole run. `seed` also seeds the world's numbers and the engine's own draws."""

    seed: int
    config: Config
    events: tuple[Event, ...]

    def to_json(self) -> bytes:
        """As a file of the corpus."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2)

    @classmethod
    def from_json(cls, text: bytes) -> Scenario:
        """From a file of the corpus."""
        data = orjson.loads(text)
        config = data["config"]
        plans = tuple(AccountPlan(**plan) for plan in config.pop("accounts"))
        events = tuple(
            Event(**{**event, "picks": tuple(event["picks"])}) for event in data["events"]
        )
        return cls(seed=data["seed"], config=Config(accounts=plans, **config), events=events)
