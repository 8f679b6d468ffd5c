"""Reading accounts from their platform, to verify a credential before it is stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from adsync_dagster.clock import Clock
from adsync_dagster.errors import PlatformBusy, Unreachable
from adsync_dagster.records import AccountInfo
from adsync_dagster.sync.connecting import describe_account
from adsync_dagster.transport import PlatformClient, TransportLimits

#: A person is watching: few tries, and an end within a minute.
WHILE_SOMEBODY_WAITS = TransportLimits(
    attempts_max=2,
    read_seconds=30.0,
    request_seconds=45.0,
    total_seconds=60.0,
    wait_seconds_max=5.0,
)


def read_account(client: PlatformClient, account_id: str, clock: Clock) -> AccountInfo:
    """The account as its platform describes it.

    Raises Blocked when the credential may not read it, Unreachable when the platform does
    not answer.
    """
    with _answering():
        return describe_account(client, account_id, clock)


def read_accounts(client: PlatformClient, clock: Clock) -> list[AccountInfo]:
    """Every account that the credential can see."""
    with _answering():
        rows, _ = client.rows(client.adapter.read_accounts(clock.now()))
    return [row for row in rows if isinstance(row, AccountInfo)]


@contextmanager
def _answering() -> Iterator[None]:
    """Nobody retries a question that a person asked: say that the platform does not answer."""
    try:
        yield
    except PlatformBusy as error:
        raise Unreachable(f"{error}; nothing was changed, try again later") from None
