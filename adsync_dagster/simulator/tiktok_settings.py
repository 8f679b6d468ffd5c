"""Knobs of the simulated TikTok Business API. Where sources conflict, the strict reading rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adsync_dagster.errors import UsageError


@dataclass(slots=True, kw_only=True)
class TikTokSettings:
    """Behaviour of the simulated Business API. Settable while it serves."""

    #: Unknown fields, filters, dimensions and metrics are 40002; else they are ignored.
    strict: bool = True
    page_size: int = 10
    #: A larger page_size is 40002.
    page_size_max: int = 1_000
    #: More ids than this in one filter are 40011.
    ids_max: int = 100
    #: More days than this with a daily dimension are 40002.
    report_days_max: int = 30
    #: A report that covers this many ads considers only the newest ones and says so in a header.
    ads_considered_max: int = 20_000
    #: A synchronous report of more entity-days than this times out (50002).
    report_cells_max: int | None = None
    #: Pages of an empty list: 0 or 1, which is not documented.
    empty_total_page: int = 0
    #: The sandbox leaves secondary_status out.
    secondary_status: bool = True
    #: Without it an advertiser has only `timezone`, which may be POSIX (`Etc/GMT+8`).
    display_timezone: bool = True
    #: Ids as bare numbers, as older answers have them.
    ids_as_numbers: bool = False
    #: Entities that lists and rows show no more, by id; their numbers stay in the totals.
    purged: frozenset[str] = frozenset()
    #: Reports lag behind the truth by this much virtual time.
    reporting_delay_seconds: int = 0
    #: Report tasks succeed after this many checks.
    task_polls: int = 2
    task_expires_days: int = 30
    #: Whether a task's rows include deleted entities; sources conflict.
    task_shows_deleted: bool = False
    #: The app's secret, without which the token's advertisers are not listed; None takes any.
    app_secret: str | None = None
    #: Calls per app and minute of virtual time; 40100 beyond them. None for no limit.
    calls_per_minute: int | None = None

    def update(self, changes: dict[str, Any]) -> None:
        """Set knobs by name; UsageError for an unknown one."""
        for name, value in changes.items():
            if not hasattr(self, name):
                raise UsageError(f"the simulated Business API has no setting {name!r}")
            setattr(self, name, frozenset(value) if isinstance(value, list) else value)
