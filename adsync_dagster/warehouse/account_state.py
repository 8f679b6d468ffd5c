"""What one account owes, what it hides, what its log missed: questions across several tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple
from uuid import UUID

from adsync_dagster.records import LEVELS, Account, Level
from adsync_dagster.warehouse.database import Connection
from adsync_dagster.warehouse.entities import QUIET_DAYS_MAX, ids_of
from adsync_dagster.warehouse.queries import level_query, queries
from adsync_dagster.warehouse.text import short_text


class PendingCount(NamedTuple):
    """Changes that owe a final sync, and how many of them wait for a person."""

    pending: int
    blocked: int


class ChangeCount(NamedTuple):
    """All logged changes of an account, by what became of them. Some need no final sync."""

    logged: int
    done: int
    pending: int
    blocked: int


def count_pending(connection: Connection, account_id: UUID) -> PendingCount:
    """What the account owes now."""
    row = connection.execute(queries["count_pending"], {"ad_account_id": account_id}).fetchone()
    return PendingCount(*row) if row is not None else PendingCount(0, 0)


def count_changes(connection: Connection, account_id: UUID) -> ChangeCount:
    """Everything the account's log holds; reads the whole log of the account."""
    row = connection.execute(queries["count_changes"], {"ad_account_id": account_id}).fetchone()
    return ChangeCount(*row) if row is not None else ChangeCount(0, 0, 0, 0)


def block_changes(connection: Connection, account_id: UUID, error: str, reason: str) -> int:
    """Keep every pending change of the account waiting for a person; how many."""
    cursor = connection.execute(
        queries["block_account_changes"],
        {"ad_account_id": account_id, "error": short_text(error), "reason": reason},
    )
    return cursor.rowcount


def unblock_changes(connection: Connection, account_id: UUID) -> int:
    """Make due what only waited for the account to be readable again; how many."""
    cursor = connection.execute(queries["unblock_account_changes"], {"ad_account_id": account_id})
    return cursor.rowcount


def log_missed_changes(connection: Connection, account_id: UUID) -> int:
    """Log the stops that no trigger logged; how many there were."""
    return sum(
        connection.execute(
            level_query("log_missed_changes", level),
            {"ad_account_id": account_id, "level": level.value},
        ).rowcount
        for level in LEVELS
    )


def silent_ids(
    connection: Connection, account: Account, level: Level, days: Sequence[date], *, limit: int
) -> list[str] | None:
    """Platform ids without a stored row on one of those days that may have delivered on it.

    When they are more than `limit`, only those below campaigns that do not add up, provided
    that the account's campaigns do. None when that does not help: nobody can be ruled out.
    """
    values = {
        "ad_account_id": account.id,
        "level": level.value,
        "days": list(days),
        "since": min(days),
        "until": max(days),
        "active_since": min(days) - timedelta(days=QUIET_DAYS_MAX),
        "limit": limit + 1,
    }
    found = ids_of(connection, level_query("silent_ids", level), values)
    if len(found) > limit and level is not Level.CAMPAIGN:
        row = connection.execute(queries["campaigns_add_up"], values).fetchone()
        if row is not None and row[0]:
            found = ids_of(connection, level_query("silent_ids_below", level), values)
    return None if len(found) > limit else found


def residual_days(connection: Connection, account: Account, since: date) -> list[date]:
    """Sealed days from `since` on whose rest belongs to entities nobody had seen, oldest first."""
    rows = connection.execute(
        queries["residual_days"], {"ad_account_id": account.id, "since": since}
    ).fetchall()
    return [row[0] for row in rows]


def count_sealed_days(connection: Connection, account: Account) -> int:
    """Days of the account that are final at every level."""
    row = connection.execute(queries["count_sealed_days"], {"ad_account_id": account.id}).fetchone()
    return 0 if row is None else int(row[0])
