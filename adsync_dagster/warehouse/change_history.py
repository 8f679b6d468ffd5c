"""What a reading of the platform's change history needs to know. Logging hints: changes.py."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from adsync_dagster.records import Account, Level
from adsync_dagster.warehouse.database import Connection
from adsync_dagster.warehouse.queries import level_query, queries


def last_synced_at(connection: Connection, account: Account) -> datetime | None:
    """When the account's last complete sync ended, in UTC; None before the first."""
    row = connection.execute(queries["last_synced_at"], {"ad_account_id": account.id}).fetchone()
    return None if row is None else row[0]


def own_statuses(
    connection: Connection, account: Account, level: Level, ids: Sequence[str]
) -> dict[str, str]:
    """The stored own status of those that are known, by platform id."""
    rows = connection.execute(
        level_query("own_status", level), {"ad_account_id": account.id, "ids": list(ids)}
    ).fetchall()
    return dict(rows)
