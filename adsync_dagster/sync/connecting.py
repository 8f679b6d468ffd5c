"""Connecting an account: what the platform says of it, and storing it with its credential."""

from __future__ import annotations

from adsync_dagster.calendar import zone
from adsync_dagster.clock import Clock
from adsync_dagster.errors import AccountBlocked, IncompleteRead, UsageError
from adsync_dagster.platforms.protocol import Credential
from adsync_dagster.platforms.registry import plugin_for
from adsync_dagster.records import Account, AccountInfo, Platform
from adsync_dagster.sync.environment import Environment
from adsync_dagster.transport import PlatformClient
from adsync_dagster.warehouse import accounts


def describe_account(client: PlatformClient, account_id: str, clock: Clock) -> AccountInfo:
    """The account as its platform describes it; IncompleteRead when the answer is not one."""
    rows, _ = client.rows(client.adapter.read_account(account_id, clock.now()))
    found = [row for row in rows if isinstance(row, AccountInfo)]
    if len(found) != 1:
        raise IncompleteRead(
            f"the platform described {len(found)} accounts instead of {account_id} alone"
        )
    require_zone(found[0])
    return found[0]


def require_zone(info: AccountInfo) -> None:
    """AccountBlocked when this host does not know the account's time zone.

    No day of it can be dated then, and waiting does not help.
    """
    try:
        zone(info.timezone)
    except UsageError:
        raise AccountBlocked(
            f"the time zone of {info.platform_account_id}, {info.timezone[:60]!r}, is not known on"
            " this host, so its days cannot be dated; update the time zone data"
            " (pip install -U tzdata)"
        ) from None


def connect_account(
    environment: Environment, platform: Platform, info: AccountInfo, credential: Credential
) -> Account:
    """Store an account and its credential, encrypted, in one transaction, or renew them.

    A block is lifted with it. Asks the platform nothing: `describe_account` gives the `info`.
    What the account needs besides (Google's manager id) is stored with it, unless it says so.
    """
    form = plugin_for(platform).credential
    credential = form.to_store(Credential({**info.access, **credential.values}))
    with environment.database.connection() as connection, connection.transaction():
        account = accounts.add_account(connection, platform, info)
        environment.vault.store(connection, platform, info.platform_account_id, credential)
        accounts.clear_blocked(connection, account)
    return account
