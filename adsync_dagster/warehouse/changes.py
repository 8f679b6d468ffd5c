"""`ad_status_change_log`: what is owed, who works on it, and how it ended.

Pending is the state of a row, never a cursor: a change whose transaction commits late is found
like any other. Completing is a guarded update with a claim token, so a worker that was thought
dead changes nothing when it comes back. No number of failures ever discards a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from adsync_dagster.records import Account, ChangeHint, Level
from adsync_dagster.warehouse.database import Connection
from adsync_dagster.warehouse.queries import level_query, queries
from adsync_dagster.warehouse.text import json_text, short_text

#: One claim takes at most this many changes; the rest waits for the next one.
CLAIM_ROWS_MAX = 5_000
_KINDS = frozenset(Level)


class PendingChange(NamedTuple):
    """A logged change that owes a final sync. `created_at` is when it was observed, in UTC."""

    log_id: UUID
    level: Level
    entity_id: UUID
    platform_entity_id: str
    old_status: str | None
    new_status: str | None
    created_at: datetime
    attempts: int
    blocked_reason: str | None


class PendingSummary(NamedTuple):
    """What one account owes. `oldest` is UTC; `max_seq` grows with every new change."""

    account_key: str
    pending: int
    due: int
    blocked: int
    #: Neither due nor blocked: an attempt failed, and the next one is not due yet.
    failed: int
    oldest: datetime
    max_seq: int
    max_attempts: int


def get_entities_needing_final_sync(
    connection: Connection, account_id: UUID, entity_type: Level | str | None = None
) -> list[PendingChange]:
    """The account's entities that owe a final sync, each with its latest pending change.

    `account_id` is the key of `ad_accounts`; `entity_type` narrows it to campaign, adset or ad.
    """
    rows = connection.execute(
        queries["get_entities_needing_final_sync"],
        {
            "ad_account_id": account_id,
            "entity_type": None if entity_type is None else Level(entity_type).value,
        },
    ).fetchall()
    return [_pending(row) for row in rows]


def set_aside_unreadable(
    connection: Connection, account: Account, id_forms: Mapping[Level, str]
) -> int:
    """Block due changes that nothing can be read for, with the reason on them; how many.

    Rows of a database that was adopted: of an unknown kind, or of an entity whose platform id is
    missing or does not match `id_forms`, a regular expression per level. They are looked at
    again every hour; claiming leaves them alone meanwhile.
    """
    cursor = connection.execute(
        queries["set_aside_unreadable"],
        {"ad_account_id": account.id, "id_forms": json_text(dict(id_forms))},
    )
    return cursor.rowcount


def claim_pending(
    connection: Connection,
    account: Account,
    claim_token: UUID,
    limit: int = CLAIM_ROWS_MAX,
    *,
    entity: tuple[Level, str] | None = None,
) -> list[PendingChange]:
    """Claim the account's due pending changes for this token, oldest first.

    With an entity (its level and platform id), only its own.
    """
    level, platform_id = entity or (None, None)
    rows = connection.execute(
        queries["claim_pending"],
        {
            "ad_account_id": account.id,
            "claim_token": claim_token,
            "limit": limit,
            "level": level,
            "platform_id": platform_id,
        },
    ).fetchall()
    # One without kind or id was logged this very moment: the next round sets it aside.
    return [_pending(row) for row in rows if row[1] in _KINDS and row[3] is not None]


def complete(connection: Connection, log_ids: Sequence[UUID], claim_token: UUID) -> int:
    """Settle claimed changes and stamp their entities; how many were settled.

    Fewer than asked for means that another worker holds or has settled them: whoever calls must
    then roll back what it wrote on their behalf.
    """
    row = connection.execute(
        queries["complete_changes"], {"log_ids": list(log_ids), "claim_token": claim_token}
    ).fetchone()
    return 0 if row is None else int(row[0])


def mark_final_sync_completed(
    connection: Connection,
    log_id: UUID,
    success: bool = True,
    error: str | None = None,
) -> bool:
    """Record how one final sync ended, whoever holds it; False when it was settled already.

    Success settles the entity's earlier pending changes too. Failure puts the next attempt off.
    """
    row = connection.execute(
        queries["mark_final_sync_completed"],
        {
            "log_id": log_id,
            "success": success,
            "error": None if error is None else short_text(error),
        },
    ).fetchone()
    return row is not None and bool(row[0])


def record_failure(
    connection: Connection,
    log_ids: Sequence[UUID],
    claim_token: UUID,
    error: str,
    *,
    blocked_reason: str | None = None,
    retry_after_seconds: float | None = None,
) -> int:
    """Keep claimed changes pending after a failure and put the next attempt off; how many.

    The wait doubles from a minute up to six hours, and is never shorter than the platform's
    own `retry_after_seconds`. With a `blocked_reason` a person must act: the row is tried every
    hour and no attempt is counted.
    """
    cursor = connection.execute(
        queries["record_failure"],
        {
            "log_ids": list(log_ids),
            "claim_token": claim_token,
            "error": short_text(error),
            "blocked_reason": blocked_reason,
            "retry_after_seconds": retry_after_seconds or 0.0,
        },
    )
    return cursor.rowcount


def release(
    connection: Connection, claim_token: UUID, log_ids: Sequence[UUID] | None = None
) -> int:
    """Give claimed changes back untouched, all of the token's or those named; how many."""
    cursor = connection.execute(
        queries["release_changes"],
        {"claim_token": claim_token, "log_ids": None if log_ids is None else list(log_ids)},
    )
    return cursor.rowcount


def pending_summary(connection: Connection) -> list[PendingSummary]:
    """What each active account owes; accounts that owe nothing are not listed."""
    rows = connection.execute(queries["pending_summary"])
    return [PendingSummary(*row) for row in rows.fetchall()]


def log_hints(
    connection: Connection, account: Account, hints: Sequence[ChangeHint], poll_gap: timedelta
) -> int:
    """Log changes that the platform's history tells of and no read saw; how many were new.

    A hint is dropped when it was logged before, or when a read within `poll_gap` after it
    logged the same step. Hints of entities that are not known are dropped.
    """
    logged = 0
    for hint in hints:
        cursor = connection.execute(
            level_query("log_hint", hint.level),
            {
                "ad_account_id": account.id,
                "level": hint.level.value,
                "platform_entity_id": hint.platform_id,
                "old_status": hint.old_status,
                "new_status": hint.new_status,
                "exact": hint.exact,
                "occurred_at": hint.occurred_at,
                "raw": json_text(dict(hint.raw)),
                "poll_gap": poll_gap,
            },
        )
        logged += cursor.rowcount
    return logged


def _pending(row: tuple[Any, ...]) -> PendingChange:
    log_id, entity_type, *rest = row
    return PendingChange(log_id, Level(entity_type), *rest)
