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

Kind = Literal["act", "fault", "calm", "io", "run", "late"]
MINUTES_A_DAY = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPlan:
    """One account of the world."""

    platform: str = "facebook"
    timezone: str = "America/New_York"
    currency: str = "USD"
    campaigns: int = 2
    adsets: int = 3
    ads: int = 6
    history_days: int = 5
    #: Whether history stopped some of its objects already.
    stopped: bool = True
    #: Google Ads: campaigns whose ads have no rows, and the windows of the conversion actions.
    performance_max: int = 0
    conversion_windows: tuple[int, ...] = (30,)
    #: Google Ads: a manager account keeps the conversion actions, so nobody knows the windows.
    windows_known: bool = True
    #: Google Ads: access goes through a manager account.
    managed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TikTokConfig:
    """What the Business API is like during a run."""

    #: Reports of this many ads or more are cut; reports of more entity-days time out.
    ads_considered_max: int = 20_000
    report_cells_max: int | None = None
    task_shows_deleted: bool = False
    display_timezone: bool = True
    empty_total_page: int = 0
    #: Ids in one filter.
    ids_max: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleAdsConfig:
    """What the Google Ads API is like during a run."""

    stream_chunk_rows: int = 10_000
    empty_stream: Literal["chunk", "array"] = "chunk"
    access_token_seconds: int = 3_599
    change_lag_seconds: int = 0
    #: What one conversion counts for, in millionths.
    conversion_credit_micros: int = 1_000_000
    #: Ids in one question, days in one question, changes in one answer.
    ids_max: int = 200
    days_max: int = 31
    changes_max: int = 10_000


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
    #: From the second day after the end of activity on nothing runs for so many days.
    rest_pause_days: int = 0
    tiktok: TikTokConfig = TikTokConfig()
    google_ads: GoogleAdsConfig = GoogleAdsConfig()

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platforms of its accounts, each once."""
        return tuple(dict.fromkeys(plan.platform for plan in self.accounts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happens, `minute` minutes after the run began.

    `calm` ends the faults of that name. What is `late` happens when faults and activity are over:
    its minutes count from there.
    """

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
        plans = tuple(_plan(plan) for plan in config.pop("accounts"))
        tiktok = TikTokConfig(**config.pop("tiktok", {}))
        google_ads = GoogleAdsConfig(**config.pop("google_ads", {}))
        events = tuple(
            Event(**{**event, "picks": tuple(event["picks"])}) for event in data["events"]
        )
        whole = Config(accounts=plans, tiktok=tiktok, google_ads=google_ads, **config)
        return cls(seed=data["seed"], config=whole, events=events)


def _plan(data: dict[str, Any]) -> AccountPlan:
    """An account's plan; what an older file leaves out is as it was then."""
    windows = tuple(data.pop("conversion_windows", (30,)))
    return AccountPlan(**data, conversion_windows=windows)
