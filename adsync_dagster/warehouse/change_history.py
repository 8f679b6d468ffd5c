"""What a reading of the platform's change history needs to know. Logging hints: changes.py."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from adsync_dagster.records import Account, Level
from adsync_dagster.warehouse.database import Connection
from adsync_dagster.warehouse.queries import level_query, queries


class HistoryMarks(NamedTuple):
    """How far the account's history is known, in UTC; both are None before the first sync."""

    #: The history was read without a gap up to here.
    read_until: datetime | None
    #: When the last complete sync ended.
    last_synced_at: datetime | None


def history_marks(connection: Connection, account: Account) -> HistoryMarks:
    """Where the next reading of the account's change history begins."""
    row = connection.execute(
        queries["history_read_until"], {"ad_account_id": account.id}
    ).fetchone()
    return HistoryMarks(None, None) if row is None else HistoryMarks._make(row)


def set_read_until(connection: Connection, account: Account, instant: datetime) -> None:
    """Note that the history was read up to there, and all that it names looked up."""
    connection.execute(
        queries["set_history_read_until"], {"ad_account_id": account.id, "instant": instant}
    )


def own_statuses(
    connection: Connection, account: Account, level: Level, ids: Sequence[str]
) -> dict[str, str]:
    """The stored own status of those that are known, by platform id."""
    rows = connection.execute(
        level_query("own_status", level), {"ad_account_id": account.id, "ids": list(ids)}
    ).fetchall()
    return dict(rows)
