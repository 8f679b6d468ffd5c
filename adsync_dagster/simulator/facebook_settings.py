"""Knobs of the simulated Graph API. Where sources conflict, the strict reading is the default."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from adsync_dagster.errors import UsageError

#: How insights row lists treat entities that are gone (their totals are always in parents).
#: docs_strict: archived only when filtered for, deleted only by id.
#: filter_deleted_works: both when filtered for. lenient: all rows, always.
DeletedRows = Literal["docs_strict", "filter_deleted_works", "lenient"]


@dataclass(slots=True, kw_only=True)
class UsageKnobs:
    """What the throttling headers say. None leaves a header out. Percent unless named."""

    app_percent: float | None = None
    account_percent: float | None = None
    account_reset_seconds: int = 0
    insights_percent: float | None = None
    management_percent: float | None = None
    regain_minutes: int = 0
    insights_throttle_percent: float | None = None
    #: Headers appear only after this many calls.
    after_calls: int = 0
    #: A budget of calls per account and hour of virtual time; None for no limit.
    calls_per_hour: int | None = None


@dataclass(slots=True, kw_only=True)
class FacebookSettings:
    """Behaviour of the simulated Graph API. Settable while it serves."""

    strict: bool = True
    deleted_rows: DeletedRows = "docs_strict"
    #: DELETED in `filtering` of a listing edge: the error 1815001, or dropped silently.
    deleted_in_filtering: Literal["error", "drop"] = "error"
    page_size: int = 25
    #: A larger `limit` is answered with code 1, "reduce the amount of data".
    page_size_max: int = 1_000
    insights_page_size_max: int = 5_000
    #: More entity-days than this in a synchronous insights call is "too much data".
    sync_rows_max: int | None = None
    #: The same for asynchronous reports.
    report_rows_max: int | None = None
    retention_months: int = 37
    #: Insights lag behind the truth by this much virtual time.
    reporting_delay_seconds: int = 0
    oldest_version: tuple[int, int] = (25, 0)
    newest_version: tuple[int, int] = (26, 0)
    #: What happens to a call below the oldest version.
    old_versions: Literal["refuse", "upgrade"] = "refuse"
    #: Reports complete after this many status polls, or this much virtual time if set.
    report_polls: int = 2
    report_seconds: int | None = None
    report_expires_days: int = 30
    #: Report run ids as a bare JSON number, as one documentation sample shows.
    report_ids_as_numbers: bool = False
    activities_retention_days: int = 180
    app_secret: str | None = None
    require_appsecret_proof: bool = False
    #: Rows paged by position instead of by key: they shift when something vanishes.
    offset_cursors: bool = False
    #: Scheme and host that `paging.next` names; None for those that were asked.
    next_host: str | None = None
    #: Bytes of rendered insights pages to keep for repeated questions; for benchmarks.
    page_cache_bytes: int = 0
    usage: UsageKnobs = field(default_factory=UsageKnobs)

    def update(self, changes: dict[str, Any]) -> None:
        """Set knobs by name, `usage` by a nested object; UsageError for an unknown name."""
        for name, value in changes.items():
            if name == "usage" and isinstance(value, dict):
                for key, knob in value.items():
                    _set(self.usage, key, knob)
            else:
                _set(self, name, tuple(value) if isinstance(value, list) else value)


def _set(target: object, name: str, value: Any) -> None:
    if not hasattr(target, name):
        raise UsageError(f"the simulated Graph API has no setting {name!r}")
    setattr(target, name, value)
