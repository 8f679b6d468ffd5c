"""`ad_metrics`: merging what reports said, and proving what they no longer say.

Runs inside the caller's transaction, which also marks final syncs done and records the read:
numbers and the claim that they are complete are never apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from adsync_dagster.crash_points import crash_point
from adsync_dagster.records import Account, Level
from adsync_dagster.warehouse.database import Connection
from adsync_dagster.warehouse.days import Days, day_list
from adsync_dagster.warehouse.entities import MergeCounts, ensure_stubs, merge_counts
from adsync_dagster.warehouse.queries import level_query, queries
from adsync_dagster.warehouse.staging import analyze_metrics


def merge_metrics(
    connection: Connection, account: Account, level: Level | None, read_started_at: datetime
) -> MergeCounts:
    """Merge the metrics stage (of one level, or of all), inside the caller's transaction.

    Entities nobody has seen get a stub and missing months their partition first. Raises
    OutdatedRead, to roll the transaction back, when a read recorded as later says otherwise.
    """
    analyze_metrics(connection)
    level_value = None if level is None else level.value
    extent = connection.execute(
        queries["staged_extent"], {"ad_account_id": account.id, "level": level_value}
    ).fetchone()
    if extent is None or extent[0] is None:
        return MergeCounts(0, 0, 0)
    since, until, _, names_unknown = extent
    if names_unknown:
        ensure_stubs(connection, account)
    row = connection.execute(
        queries["merge_metrics"],
        {
            "ad_account_id": account.id,
            "level": level_value,
            "since": since,
            "until": until,
            "read_started_at": read_started_at,
        },
    ).fetchone()
    crash_point("metrics_merged")
    return merge_counts(row, account, read_started_at)


def absent_rows(
    connection: Connection,
    account: Account,
    level: Level,
    days: Days,
    ids: Sequence[str] | None = None,
) -> list[tuple[str, date]]:
    """Stored non-zero rows (platform id, day) of those days that the stage does not have.

    The stage must hold a complete read for those days, of the level or of those platform ids.
    """
    wanted = day_list(days)
    if not wanted or ids == []:
        return []
    rows = connection.execute(
        level_query("absent_rows", level),
        {
            "ad_account_id": account.id,
            "level": level.value,
            "days": wanted,
            "since": wanted[0],
            "until": wanted[-1],
            "platform_ids": None if ids is None else list(ids),
        },
    ).fetchall()
    return [(platform_id, day) for day, platform_id in rows]


def zero_rows(
    connection: Connection,
    account: Account,
    level: Level,
    rows: Sequence[tuple[str, date]],
    read_started_at: datetime,
) -> int:
    """Set rows to zero whose absence a complete read has proven; how many were set."""
    if not rows:
        return 0
    cursor = connection.execute(
        level_query("zero_rows", level),
        {
            "ad_account_id": account.id,
            "level": level.value,
            "platform_ids": [platform_id for platform_id, _ in rows],
            "dates": [day for _, day in rows],
            "since": min(day for _, day in rows),
            "until": max(day for _, day in rows),
            "read_started_at": read_started_at,
        },
    )
    return cursor.rowcount


def ensure_partitions(connection: Connection, since: date, until: date) -> int:
    """Make the monthly partitions those days need; how many were made."""
    row = connection.execute(
        queries["ensure_partitions"], {"since": since, "until": until}
    ).fetchone()
    return 0 if row is None else int(row[0])
