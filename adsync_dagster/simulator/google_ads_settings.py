"""Knobs of the simulated Google Ads API, and what an account has set up in Google's interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from adsync_dagster.errors import UsageError


@dataclass(slots=True, kw_only=True)
class GoogleAdsSettings:
    """Behaviour of the simulated API. Settable while it serves."""

    #: Rows in one chunk of a stream.
    stream_chunk_rows: int = 10_000
    #: A stream of no rows: a chunk without results, or an empty array.
    empty_stream: Literal["chunk", "array"] = "chunk"
    #: Rows of a page of `:search`; clients cannot choose it.
    search_page_rows: int = 10_000
    page_token_seconds: int = 3_600
    #: An older API wants a developer token with every request.
    developer_token_required: bool = False
    #: Whether the API is enabled in the Cloud project of every credential.
    api_enabled: bool = True
    access_token_seconds: int = 3_599
    oldest_major: int = 23
    newest_major: int = 26
    report_retention_months: int = 37
    #: Reports lag behind the truth by this much virtual time.
    report_lag_seconds: int = 0
    #: Changes appear in the change history after this much virtual time.
    change_lag_seconds: int = 0
    #: What one conversion of the ledger counts for, in millionths: credit that is shared.
    conversion_credit_micros: int = 1_000_000
    #: Questions per account in a sliding day of virtual time; None for no limit.
    operations_per_day: int | None = None

    def update(self, changes: dict[str, Any]) -> None:
        """Set knobs by name; UsageError for an unknown name."""
        for name, value in changes.items():
            if not hasattr(self, name):
                raise UsageError(f"the simulated Google Ads API has no setting {name!r}")
            setattr(self, name, value)


@dataclass(slots=True, kw_only=True)
class AccountSetup:
    """What an account has set up. Change the fields at will."""

    #: Click-through windows of its conversion actions, in days.
    conversion_windows: tuple[int, ...] = (30,)
    tracking: str = "CONVERSION_TRACKING_MANAGED_BY_SELF"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manager:
    """A manager account and the customers under it, accounts or managers."""

    id: str
    name: str
    clients: tuple[str, ...]
    currency: str = "USD"
    timezone: str = "America/New_York"
