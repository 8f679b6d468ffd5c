"""Finding accounts by what a person types: the key, or the platform's id alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from adsync_dagster.errors import UsageError
from adsync_dagster.records import DateRange

if TYPE_CHECKING:
    from adsync_dagster.records import Account

OnlyAccounts = Annotated[
    list[str] | None,
    typer.Option(
        "--account",
        metavar="ACCOUNT",
        help="Only this account, by key or platform id; repeat for several.",
        show_default=False,
    ),
]
NO_ACCOUNTS = (
    "there is no account yet; add one with `adsync accounts add --platform facebook"
    " --account act_123 --token-env NAME`"
)


def choose(accounts: Sequence[Account], names: Sequence[str]) -> list[str]:
    """The keys of the named accounts, each once and in the order given; of all when none is named.

    UsageError for a name that is unknown or fits two platforms.
    """
    if not accounts:
        raise UsageError(NO_ACCOUNTS)
    if not names:
        return [account.key for account in accounts]
    return list(dict.fromkeys(_key(accounts, name) for name in names))


def _key(accounts: Sequence[Account], name: str) -> str:
    fitting = [account.key for account in accounts if account.key == name]
    fitting = fitting or [
        account.key
        for account in accounts
        if _bare(account.platform_account_id) == _bare(name) and name
    ]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise UsageError(f"{name!r} fits {' and '.join(fitting)}; write the whole key")
    raise UsageError(f"no account {name[:80]!r} here; `adsync accounts list` shows those there are")


def _bare(account_id: str) -> str:
    """The id without Meta's `act_` and Google's dashes, which people leave out or put in."""
    return account_id.removeprefix("act_").replace("-", "")


def day_range(date_from: str | None, date_until: str | None) -> DateRange:
    """The range that --from and --until name; UsageError when they name none."""
    try:
        first, last = date.fromisoformat(date_from or ""), date.fromisoformat(date_until or "")
    except ValueError:
        raise UsageError("give both --from and --until as dates such as 2026-03-01") from None
    if first > last:
        raise UsageError(f"--from {first} lies after --until {last}")
    return DateRange(since=first, until=last)
