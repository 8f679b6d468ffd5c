"""The state of every account in one look, and facts about the server, for `status` and `doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from adsync_dagster.warehouse.database import Connection
from adsync_dagster.warehouse.queries import queries


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStatus:
    """One account: what it owes, how far its days are settled, and what went wrong last.

    Instants are aware, in UTC; a day is a calendar day in `timezone`.
    """

    #: The partition key, `platform:platform_account_id`.
    account: str
    name: str | None
    #: ISO code. Name and currency are None in an adopted row until the first sync.
    currency: str | None
    #: IANA name of the zone in which the platform cuts the account's days.
    timezone: str
    #: The platform's own word or code, raw.
    account_status: str | None
    is_active: bool
    #: End of the latest complete sync, and when one last began or ended, complete or not.
    last_synced_at: datetime | None
    last_sync_attempted_at: datetime | None
    last_sync_error: str | None
    #: Why a person must act (credential, permission, account, blocked), in a word and a sentence,
    #: and since when; None when nothing blocks the account.
    blocked_reason: str | None
    blocked_detail: str | None
    blocked_at: datetime | None
    #: Changes that owe a final sync; `blocked` of them wait for a person.
    pending: int
    blocked: int
    #: Final syncs done for changes that were observed in the last seven days.
    done_last_week: int
    #: When the oldest of the pending changes was observed; None when none is.
    oldest_pending: datetime | None
    #: The most attempts any pending change has had.
    attempts: int
    #: Account-local days from the start of the history to today, all levels together.
    days_open: int
    days_reconciled: int
    days_sealed: int
    #: Days whose rows do not add up to the platform's total, and by how much in account currency:
    #: of each such day the largest difference of its three levels, without its sign, summed.
    residual_days: int
    residual_spend: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """The database server as its settings describe it."""

    version_number: int
    version: str
    database: str
    fsync: str
    full_page_writes: str
    synchronous_commit: str
    read_only: str
    connections_max: int
    server_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRights:
    """What the database user may do."""

    user: str
    is_superuser: bool
    #: Tables of a sync that it may not read, insert into and update.
    lacking: list[str]


def status_of_accounts(connection: Connection) -> list[AccountStatus]:
    """Every account, active ones first."""
    return [AccountStatus(**row) for row in _rows(connection, "status_of_accounts")]


def server_facts(connection: Connection) -> ServerFacts:
    """Version, durability settings and clock of the server."""
    return ServerFacts(**_rows(connection, "server_facts")[0])


def user_rights(connection: Connection) -> UserRights:
    """Whether this connection's user can write what a sync writes."""
    return UserRights(**_rows(connection, "user_rights")[0])


def _rows(connection: Connection, name: str) -> list[dict[str, Any]]:
    cursor = connection.execute(queries[name])
    columns = [column.name for column in cursor.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
