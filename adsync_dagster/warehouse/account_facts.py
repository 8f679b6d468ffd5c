"""What the warehouse holds of one account: the numbers behind its pages in Dagster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from adsync_dagster.records import Account
from adsync_dagster.warehouse.database import Connection
from adsync_dagster.warehouse.queries import queries

#: The latest days that are shown, and the changes that are listed.
DAYS_SHOWN_MAX = 60
CHANGES_SHOWN_MAX = 20


class DayFacts(NamedTuple):
    """One account day over all levels."""

    date: date
    #: The platform's own total, in the account's currency.
    spend: Decimal
    #: The weakest state of the three levels: open, reconciled or sealed.
    state: str
    #: The largest part of the spend, of any level, that no row of it explains.
    residual: Decimal
    residual_class: str | None
    #: Whether any number of a level that was read differs from the platform's total.
    apart: bool


class WaitingChange(NamedTuple):
    """A change that owes a final sync."""

    created_at: datetime
    entity_type: str
    platform_entity_id: str
    old_status: str | None
    new_status: str
    attempts: int
    blocked_reason: str | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFacts:
    """What the warehouse holds for one account after its sync."""

    name: str
    currency: str
    timezone: str = "UTC"
    #: Entities by table and own status.
    entities: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    #: Metrics rows of all levels.
    metrics_rows: int = 0
    #: The latest days, oldest first, at most DAYS_SHOWN_MAX.
    days: Sequence[DayFacts] = ()
    #: All known days by state.
    days_by_state: Mapping[str, int] = field(default_factory=dict)
    #: The oldest pending changes, at most CHANGES_SHOWN_MAX.
    waiting: Sequence[WaitingChange] = ()

    def rows(self, table: str) -> int:
        """Entities of a table, whatever their status."""
        return sum(self.entities.get(table, {}).values())


def account_facts(connection: Connection, account: Account) -> AccountFacts:
    """Everything the pages of an account show; counts its rows, so call it once per sync."""
    parameters = {
        "account_id": account.id,
        "days_max": DAYS_SHOWN_MAX,
        "rows_max": CHANGES_SHOWN_MAX,
    }
    entities: dict[str, dict[str, int]] = {}
    for table, status, count in connection.execute(
        queries["count_account_entities"], parameters
    ).fetchall():
        entities.setdefault(table, {})[status] = count
    rows = connection.execute(queries["count_account_metrics"], parameters).fetchone()
    days = connection.execute(queries["latest_days"], parameters).fetchall()
    waiting = connection.execute(queries["waiting_changes"], parameters).fetchall()
    return AccountFacts(
        name=account.name,
        currency=account.currency,
        timezone=account.timezone,
        entities=entities,
        metrics_rows=0 if rows is None else int(rows[0]),
        days=[DayFacts._make(row) for row in reversed(days)],
        days_by_state=dict(connection.execute(queries["count_days"], parameters).fetchall()),
        waiting=[WaitingChange._make(row) for row in waiting],
    )
