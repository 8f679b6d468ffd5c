"""Reading accounts from their platform, to verify a credential before it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adsync_dagster.clock import Clock
from adsync_dagster.errors import IncompleteRead
from adsync_dagster.records import AccountInfo

if TYPE_CHECKING:
    from adsync_dagster.transport import PlatformClient


def read_account(client: PlatformClient, account_id: str, clock: Clock) -> AccountInfo:
    """The account as its platform describes it.

    Raises Blocked when the credential may not read it, Retryable when the platform does not
    answer.
    """
    rows, _ = client.rows(client.adapter.read_account(account_id, clock.now()))
    found = [row for row in rows if isinstance(row, AccountInfo)]
    if len(found) != 1:
        raise IncompleteRead(f"the platform described {len(found)} accounts instead of one")
    return found[0]


def read_accounts(client: PlatformClient, clock: Clock) -> list[AccountInfo]:
    """Every account that the credential can see."""
    rows, _ = client.rows(client.adapter.read_accounts(clock.now()))
    return [row for row in rows if isinstance(row, AccountInfo)]
