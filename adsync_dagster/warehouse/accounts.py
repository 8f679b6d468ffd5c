"""`ad_accounts`: which accounts are synced, what the platform calls them, how syncs went."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from adsync_dagster.calendar import zone
from adsync_dagster.errors import UsageError
from adsync_dagster.records import Account, AccountInfo, Platform, is_platform_key
from adsync_dagster.settlement import BELIEVED_AFTER
from adsync_dagster.warehouse.database import Connection
from adsync_dagster.warehouse.queries import queries
from adsync_dagster.warehouse.text import short_text, storable_text


def list_accounts(connection: Connection, *, also_inactive: bool = False) -> list[Account]:
    """The accounts to sync, ordered by key; with `also_inactive` the removed ones as well.

    Those of platforms that are not installed are among them: they are blocked, not forgotten.
    Rows of other programs, whose platform could be no key, are left out.
    """
    rows = connection.execute(queries["list_accounts"], {"also_inactive": also_inactive})
    return [_account(row) for row in rows.fetchall() if is_platform_key(row[1])]


def list_for_safety_net(connection: Connection) -> list[Account]:
    """The accounts to sync, the one whose last safety net is longest ago first."""
    waited = {row[0]: at for at, row in enumerate(connection.execute(queries["safety_net_order"]))}
    return sorted(list_accounts(connection), key=lambda account: waited.get(account.id, -1))


def mark_safety_net(connection: Connection, key: str) -> None:
    """Note that the safety net has ended with an account, whatever came of it."""
    account = get_account(connection, key)
    connection.execute(queries["mark_safety_net"], {"id": account.id})


def get_account(connection: Connection, key: str) -> Account:
    """The account with that key, `platform:platform_account_id`; UsageError when there is none."""
    platform, separator, platform_account_id = key.partition(":")
    if not separator or not platform_account_id or not is_platform_key(platform):
        raise UsageError(
            f"{key[:80]!r} is not an account key; write PLATFORM:ID, such as facebook:act_123"
        )
    row = connection.execute(
        queries["get_account"],
        {"platform": platform, "platform_account_id": platform_account_id},
    ).fetchone()
    if row is None:
        raise UsageError(f"there is no account {key}; see adsync accounts list")
    return _account(row)


def add_account(
    connection: Connection,
    platform: Platform,
    info: AccountInfo,
    *,
    history_start: date | None = None,
    user_id: UUID | None = None,
) -> Account:
    """Add an account, or take a deactivated one up again; UsageError for an unknown time zone."""
    zone(info.timezone)
    row = connection.execute(
        queries["add_account"],
        {
            **_info_values(info),
            "platform": platform,
            "platform_account_id": info.platform_account_id,
            "history_start": history_start,
            "user_id": user_id,
        },
    ).fetchone()
    if row is None:
        raise UsageError(f"account {info.platform_account_id} could not be added")
    return _account(row)


def update_account_info(connection: Connection, account: Account, info: AccountInfo) -> Account:
    """Store what the platform says of the account now, and return the account with it."""
    zone(info.timezone)
    connection.execute(queries["update_account_info"], {**_info_values(info), "id": account.id})
    return get_account(connection, account.key)


def set_history_start(connection: Connection, account: Account, first_day: date) -> Account:
    """Fix the account-local day its history begins with; it only ever moves back."""
    connection.execute(queries["set_history_start"], {"id": account.id, "history_start": first_day})
    return get_account(connection, account.key)


def set_settling(connection: Connection, account: Account, days: int, longest: int) -> int:
    """Note how many days after its end a day settles as just told; returns what to go by.

    Less than before, or at first less than the platform's `longest`, holds only once it was told
    for an hour: the answer may lack rows.
    """
    row = connection.execute(
        queries["set_settling"],
        {"id": account.id, "days": days, "longest": longest, "lasting": BELIEVED_AFTER},
    ).fetchone()
    if row is None:
        raise UsageError(f"there is no account {account.key}")
    return int(row[0])


def mark_sync_attempted(connection: Connection, account: Account) -> None:
    """Note that a sync of the account begins."""
    connection.execute(queries["mark_sync_attempted"], {"id": account.id})


def mark_synced(connection: Connection, account: Account) -> None:
    """Note a complete sync. The first one is remembered for ever; errors and blocks are over."""
    connection.execute(queries["mark_synced"], {"id": account.id})


def mark_sync_failed(connection: Connection, account: Account, error: str) -> None:
    """Note why a sync failed; the time of the last complete one stays."""
    connection.execute(queries["mark_sync_failed"], {"id": account.id, "error": short_text(error)})


def set_blocked(connection: Connection, account: Account, reason: str, detail: str) -> None:
    """Note that the account needs a person: the reason's word, and a sentence."""
    connection.execute(
        queries["set_blocked"],
        {"id": account.id, "reason": short_text(reason), "detail": short_text(detail)},
    )


def clear_blocked(connection: Connection, account: Account) -> None:
    """Note that the person has acted. See changes.retry_blocked for the waiting final syncs."""
    connection.execute(queries["clear_blocked"], {"id": account.id})


def deactivate(connection: Connection, account: Account) -> None:
    """Stop syncing the account. Nothing of it is deleted."""
    connection.execute(queries["deactivate_account"], {"id": account.id})


def _info_values(info: AccountInfo) -> dict[str, Any]:
    return {
        "name": storable_text(info.name),
        "currency": storable_text(info.currency),
        "timezone": info.timezone,
        "account_status": storable_text(info.status),
    }


def _account(row: tuple[Any, ...]) -> Account:
    return Account(
        id=row[0],
        platform=Platform(row[1]),
        platform_account_id=row[2],
        name=row[3] or "",
        currency=row[4] or "",
        timezone=row[5],
        history_start=row[6],
        first_synced_at=row[7],
        is_active=row[8],
    )
