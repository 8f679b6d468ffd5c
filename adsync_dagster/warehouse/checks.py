"""Questions about the health of the warehouse, for asset checks and the sensor.

They read only, and none of them scans ad_metrics or the whole change log. A finding lists at
most `ROWS_MAX` offending rows and the exact number of all of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from adsync_dagster.records import Level, Platform
from adsync_dagster.settlement import SettlementRules
from adsync_dagster.warehouse.database import Connection
from adsync_dagster.warehouse.queries import queries

ROWS_MAX = 50
#: A day may be sealed from day end + window + margin on; the daily settle job gets two tries.
SEALING_GRACE_DAYS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Rows that should not be there: how many, and the first of them, in words for people."""

    total: int
    rows: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingAge:
    """The pending changes of all active accounts."""

    pending: int
    blocked: int
    #: None when nothing is pending that could be done.
    oldest: datetime | None
    oldest_seconds: float


def _find(connection: Connection, name: str, **parameters: Any) -> Findings:
    """Run a query whose rows carry `total`, the number of rows before its LIMIT."""
    cursor = connection.execute(queries[name], parameters)
    columns = [column.name for column in cursor.description or ()]
    rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    total = int(rows[0]["total"]) if rows else 0
    return Findings(
        total=total,
        rows=tuple({k: v for k, v in row.items() if k != "total"} for row in rows),
    )


def overdue_final_syncs(
    connection: Connection, after: timedelta, *, rows_max: int = ROWS_MAX
) -> Findings:
    """Changes that nothing blocks and that still owe their final sync after that long."""
    return _find(
        connection, "check_overdue_final_syncs", seconds=after.total_seconds(), rows_max=rows_max
    )


def pending_age(connection: Connection) -> PendingAge:
    """How many changes are pending, and how old the oldest is that could be done."""
    row = connection.execute(queries["check_pending_age"]).fetchone()
    if row is None:
        raise AssertionError("an aggregate always has a row")
    pending, blocked, oldest, seconds = row
    return PendingAge(
        pending=pending, blocked=blocked, oldest=oldest, oldest_seconds=float(seconds or 0)
    )


def unexplained_residuals(connection: Connection, *, rows_max: int = ROWS_MAX) -> Findings:
    """Account days whose rows do not add up to the platform's total, without a known reason."""
    return _find(connection, "check_unexplained_residuals", rows_max=rows_max)


def residuals_by_class(connection: Connection) -> list[dict[str, Any]]:
    """How many account days do not add up, by the reason known and the state of the day."""
    cursor = connection.execute(queries["residuals_by_class"])
    columns = [column.name for column in cursor.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def overdue_open_days(
    connection: Connection,
    rules: Mapping[Platform, SettlementRules],
    *,
    rows_max: int = ROWS_MAX,
) -> Findings:
    """Accounts with days that should have been sealed by now, also days never read at all.

    By the account's own window; the platform's where no sync has noted the account's yet.
    """
    settled = [
        {
            "platform": platform,
            "settles_after_days": rule.settles_after_days,
            "retention_days": rule.retention_days,
        }
        for platform, rule in rules.items()
    ]
    return _find(
        connection,
        "check_overdue_open_days",
        rules=json.dumps(settled),
        grace_days=SEALING_GRACE_DAYS,
        rows_max=rows_max,
    )


def rows_left_out(
    connection: Connection,
    id_forms: Mapping[Platform, Mapping[Level, str]],
    *,
    rows_max: int = ROWS_MAX,
) -> Findings:
    """Entities whose platform id is missing or does not match `id_forms`: no sync asks for them.

    Reads all entities, not only a few of them.
    """
    forms = [
        {"platform": platform, "level": level, "form": form}
        for platform, levels in id_forms.items()
        for level, form in levels.items()
    ]
    return _find(connection, "check_rows_left_out", id_forms=json.dumps(forms), rows_max=rows_max)


def silent_triggers(connection: Connection) -> Findings:
    """Triggers of the change log that are missing or would not fire always."""
    return _find(connection, "check_silent_triggers", rows_max=ROWS_MAX)


def stale_accounts(
    connection: Connection, after: timedelta, *, rows_max: int = ROWS_MAX
) -> Findings:
    """Active accounts that nothing blocks and that had no whole sync ever, or for that long.

    `is_new` is true, else None, for one that was added within that time and waits for its first.
    """
    return _find(
        connection, "check_stale_accounts", seconds=after.total_seconds(), rows_max=rows_max
    )


def blocked_accounts(connection: Connection, *, rows_max: int = ROWS_MAX) -> Findings:
    """Accounts, and changes of accounts, that wait for a person, with the reason."""
    return _find(connection, "check_blocked_accounts", rows_max=rows_max)


def locked_accounts(connection: Connection) -> set[str]:
    """Keys of the accounts that a living worker holds at this moment."""
    return {key for (key,) in connection.execute(queries["list_locked_accounts"]).fetchall()}
