"""What the completeness report shows, read in one snapshot.

Amounts are exact and in each account's own currency; days are the account's, instants in UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from adsync_dagster.warehouse.database import Connection, Database
from adsync_dagster.warehouse.queries import queries

_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """One account over its whole history."""

    ad_account_id: UUID
    account: str
    account_name: str | None
    platform: str
    currency: str | None
    timezone: str
    is_active: bool
    #: None: there never was a complete sync, and nothing may be concluded.
    first_synced_at: datetime | None
    last_synced_at: datetime | None
    last_sync_error: str | None
    blocked_reason: str | None
    days_sealed: int
    days_reconciled: int
    days_open: int
    #: Open days that are over; today is open by nature.
    past_days_open: int
    days_overdue: int
    oldest_open: date | None
    #: When the last of its past days may be sealed.
    all_sealable_from: datetime | None
    first_day: date
    today: date


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRow:
    """One account-local day; None is unknown."""

    account: str
    currency: str | None
    date: date
    state: str
    last_read_at: datetime | None
    sealable_from: datetime | None
    overdue: bool | None
    total_spend: Decimal | None
    residual_spend_campaign: Decimal | None
    residual_spend_adset: Decimal | None
    residual_spend_ad: Decimal | None
    adds_up: bool | None
    residual_class: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidualRow:
    """Differences of one reason, level and currency."""

    residual_class: str
    level: str
    currency: str | None
    days: int
    accounts: int
    spend_missing: Decimal | None
    spend_too_much: Decimal | None
    impressions: Decimal | None
    clicks: Decimal | None
    conversions: Decimal | None
    conversion_value: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingCount:
    """How many final syncs an account owes that wait for the same thing."""

    account: str
    waits_for: str
    owed: int
    oldest: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingRow:
    """One final sync that is owed."""

    account: str
    level: str
    entity_name: str | None
    platform_entity_id: str
    old_status: str | None
    new_status: str
    observed_at: datetime
    pending_seconds: Decimal
    waits_for: str
    attempts: int
    last_error: str | None
    next_attempt_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedRow:
    """Something that waits for a person."""

    account: str
    account_name: str | None
    what: str
    reason: str
    since: datetime | None
    final_syncs_waiting: int
    detail: str | None
    who_must_act: str
    what_then: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeDayRow:
    """The status changes of one UTC day."""

    date: date
    done: int
    owed: int
    not_needed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowRow:
    """A change whose final sync took long."""

    account: str
    level: str
    entity_name: str | None
    platform_entity_id: str
    old_status: str | None
    new_status: str
    observed_at: datetime
    final_sync_completed_at: datetime
    seconds_to_final_sync: Decimal
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingTimes:
    """How long changes took to their final sync, in seconds; None when none was done."""

    #: Counts below each bound, and one more for the rest.
    buckets: tuple[int, ...]
    median: Decimal | None
    p95: Decimal | None
    longest: Decimal | None
    slowest: tuple[SlowRow, ...]


@contextmanager
def snapshot(database: Database) -> Iterator[tuple[Connection, datetime]]:
    """A connection on which all questions see one moment, and that moment."""
    with database.connection() as connection, connection.transaction():
        connection.execute(queries["begin_report_snapshot"])
        row = connection.execute(queries["report_now"]).fetchone()
        if row is None:
            raise AssertionError("the question of the time always has an answer")
        yield connection, row[0]


class ReportReader:
    """Asks the report's questions for some accounts (None: all) and the last `days` days."""

    def __init__(
        self, connection: Connection, now: datetime, *, accounts: Sequence[str] | None, days: int
    ) -> None:
        self._connection = connection
        self._values = {
            "now": now,
            "accounts": None if accounts is None else list(accounts),
            "days": days,
        }

    def accounts(self) -> list[AccountRow]:
        """Every account, active ones first."""
        return self._rows("report_accounts", AccountRow)

    def days(self) -> list[DayRow]:
        """The last days of every account, by account and day."""
        return self._rows("report_days", DayRow)

    def residuals(self) -> list[ResidualRow]:
        """Differences in those days by reason, level and currency."""
        return self._rows("report_residuals", ResidualRow)

    def pending_counts(self) -> list[PendingCount]:
        """What is owed, counted."""
        return self._rows("report_pending_counts", PendingCount)

    def pending(self, rows_max: int) -> list[PendingRow]:
        """The final syncs that are owed for longest."""
        return self._rows("report_pending", PendingRow, rows_max=rows_max)

    def blocked(self) -> list[BlockedRow]:
        """What waits for a person."""
        return self._rows("report_blocked", BlockedRow)

    def change_days(self) -> list[ChangeDayRow]:
        """Status changes by UTC day; a day without any has no row."""
        return self._rows("report_change_days", ChangeDayRow)

    def waiting_times(self, bounds: Sequence[int], rows_max: int) -> WaitingTimes:
        """How long final syncs took; `bounds` are upper bounds in seconds, ascending."""
        cursor = self._connection.execute(
            queries["report_waiting_times"], {**self._values, "bounds": list(bounds)}
        )
        counts: dict[int, int] = dict(cursor.fetchall())
        row = self._connection.execute(
            queries["report_waiting_percentiles"], self._values
        ).fetchone()
        median, p95, longest = row or (None, None, None)
        return WaitingTimes(
            buckets=tuple(counts.get(bucket, 0) for bucket in range(len(bounds) + 1)),
            median=median,
            p95=p95,
            longest=longest,
            slowest=tuple(self._rows("report_slowest", SlowRow, rows_max=rows_max)),
        )

    def _rows(self, name: str, kind: type[_Row], **values: Any) -> list[_Row]:
        cursor = self._connection.execute(queries[name], {**self._values, **values})
        columns = [column.name for column in cursor.description or ()]
        return [kind(**dict(zip(columns, row, strict=True))) for row in cursor.fetchall()]
