"""Finding accounts by what a person types: the key, or the platform's id alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from adsync_dagster.errors import UsageError
from adsync_dagster.records import DateRange
from adsync_dagster.wording import NO_ACCOUNT

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
NO_ACCOUNTS = f"{NO_ACCOUNT[:-1]} --platform facebook --account act_123 --token-env NAME`"
#: Removed accounts named in one line.
_REMOVED_SHOWN = 3


def no_accounts(known: Sequence[Account]) -> str:
    """Why there is nothing to work on and what to do; `known` are accounts that were removed."""
    if not known:
        return NO_ACCOUNTS
    keys = [account.key for account in known]
    more = f" and {len(keys) - _REMOVED_SHOWN} more" if len(keys) > _REMOVED_SHOWN else ""
    was = "was" if len(keys) == 1 else "were"
    named = f"{', '.join(keys[:_REMOVED_SHOWN])}{more}"
    return f"no account is synced: {named} {was} removed; {_brings_back(known[0])}"


def choose(
    accounts: Sequence[Account], names: Sequence[str], *, also_removed: bool = False
) -> list[str]:
    """The keys of the named accounts, each once and in the order given; of all when none is named.

    `accounts` are all there are. Removed ones are chosen only with `also_removed`. UsageError for
    a name that is unknown, was removed or fits two platforms.
    """
    offered = [account for account in accounts if account.is_active or also_removed]
    if not offered:
        raise UsageError(no_accounts(accounts))
    if not names:
        return [account.key for account in offered]
    return list(dict.fromkeys(_key(offered, accounts, name) for name in names))


def _key(offered: Sequence[Account], accounts: Sequence[Account], name: str) -> str:
    fitting = _fitting(offered, name)
    if len(fitting) == 1:
        return fitting[0].key
    if fitting:
        keys = " and ".join(account.key for account in fitting)
        raise UsageError(f"{name!r} fits {keys}; write the whole key")
    if removed := _fitting(accounts, name):
        raise UsageError(f"{removed[0].key} was removed; {_brings_back(removed[0])}")
    raise UsageError(f"no account {name[:80]!r} here; `adsync accounts list` shows those there are")


def _fitting(accounts: Sequence[Account], name: str) -> list[Account]:
    whole = [account for account in accounts if account.key == name]
    return whole or [
        account
        for account in accounts
        if _bare(account.platform_account_id) == _bare(name) and name
    ]


def _brings_back(account: Account) -> str:
    return (
        f"`adsync accounts add --platform {account.platform} --account"
        f" {account.platform_account_id} --token-env NAME` brings it back"
    )


def _bare(account_id: str) -> str:
    """The id without Meta's `act_` and Google's dashes, which people leave out or put in."""
    return account_id.removeprefix("act_").replace("-", "")


def day_range(date_from: str | None, date_until: str | None) -> DateRange:
    """The range that --from and --until name; UsageError when they name none."""
    first, last = _day("--from", date_from), _day("--until", date_until)
    if first > last:
        raise UsageError(f"--from {first} lies after --until {last}")
    return DateRange(since=first, until=last)


def _day(option: str, text: str | None) -> date:
    if not text:
        raise UsageError(f"{option} is missing; give both --from and --until, such as 2026-03-01")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text[:40]!r} is no date; write it like 2026-03-01") from None
