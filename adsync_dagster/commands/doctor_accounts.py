"""What `adsync doctor` says of each account: credential, permission, standing, time zone.

One line per account that names what is wrong and what to do about it. Only the account itself
is read from its platform.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from adsync_dagster.calendar import zone
from adsync_dagster.commands.exits import ExitCode, code_of, one_line
from adsync_dagster.commands.findings import Finding
from adsync_dagster.errors import AdsyncError, PermissionBlocked, UsageError
from adsync_dagster.records import Account, AccountInfo
from adsync_dagster.settings import Settings
from adsync_dagster.wording import counted

if TYPE_CHECKING:
    from adsync_dagster.sync.environment import Environment


def examine_accounts(settings: Settings, *, offline: bool) -> Iterator[Finding]:
    """A finding for each account that is synced."""
    from adsync_dagster.sync.environment import Environment
    from adsync_dagster.warehouse import accounts

    environment = Environment.from_settings(settings)
    try:
        with environment.database.connection() as connection:
            known = accounts.list_accounts(connection)
        if not known:
            yield Finding(subject="accounts", detail="none yet; `adsync accounts add` adds one")
        for account in known:
            yield examine_account(environment, account, offline=offline)
    finally:
        environment.close()


def examine_account(environment: Environment, account: Account, *, offline: bool) -> Finding:
    """Can the credential be decrypted, does the platform accept it, is the account in order?"""
    from adsync_dagster.commands.platform_accounts import WHILE_SOMEBODY_WAITS, read_account

    try:
        client = environment.client(account, limits=WHILE_SOMEBODY_WAITS)
        try:
            if offline:
                return _offline(account)
            info = read_account(client, account.platform_account_id, environment.clock)
        finally:
            client.close()
    except PermissionBlocked as error:
        return _refused(environment, account, error)
    except AdsyncError as error:
        return _failed(account, error)
    return _judged(account, info)


def _offline(account: Account) -> Finding:
    try:
        zone(account.timezone)
    except UsageError as error:
        return _failed(account, error)
    return Finding(subject=account.key, detail="its credential can be decrypted")


def _failed(account: Account, error: AdsyncError) -> Finding:
    code = ExitCode.UNREACHABLE if error.family == "retryable" else code_of(error)
    return Finding(subject=account.key, detail=_words(account, error), code=code)


def _words(account: Account, error: AdsyncError) -> str:
    """The error in one line, without the account's name, which stands in front of it already."""
    text = one_line(str(error))
    front, colon, rest = text.partition(": ")
    is_name = colon and front.endswith(account.platform_account_id) and front.count(" ") == 1
    return rest if is_name else text


def _refused(environment: Environment, account: Account, error: PermissionBlocked) -> Finding:
    """The refusal, and whether the credential reaches the account by another way."""
    from adsync_dagster.commands.discovery import Finder

    with environment.database.connection() as connection:
        stored = environment.vault.load(connection, account.platform, account.platform_account_id)
    finding = _failed(account, error)
    if stored is None:
        return finding
    try:
        found = Finder(environment, account.platform, stored).everything()
    except AdsyncError:
        return finding
    for info in found:
        if info.platform_account_id == account.platform_account_id and info.readable:
            way = f"through {info.through}" if info.through else "directly"
            detail = (
                f"the platform refuses the stored way in, but the credential reaches it {way}:"
                f" `adsync accounts add --platform {account.platform} --account"
                f" {account.platform_account_id}` with the same credential stores that"
            )
            return replace(finding, detail=detail)
    return replace(
        finding,
        detail=f"{finding.detail}; the credential reaches {counted(len(found), 'account')}, but"
        " not this one",
    )


def _judged(account: Account, info: AccountInfo) -> Finding:
    """What the account says of itself, against what is stored of it."""
    if not info.readable:
        return Finding(
            subject=account.key,
            detail=f"the platform says its status is {info.status}, and lets nothing be read",
            code=ExitCode.BLOCKED,
        )
    troubles = []
    if info.trouble:
        troubles.append(f"it {info.trouble}")
    if not account.currency:
        troubles.append("it was added without asking the platform; the next sync fills it in")
    elif info.timezone != account.timezone:
        troubles.append(
            f"its time zone is {info.timezone} on the platform and {account.timezone} here; the"
            " next sync takes it over and reads every open day again"
        )
    if info.currency != account.currency and account.currency:
        troubles.append(
            f"its currency is {info.currency} on the platform and {account.currency} here; amounts"
            " of sealed days stay in the old one"
        )
    if troubles:
        return Finding(
            subject=account.key, detail="readable, but " + "; ".join(troubles), warning=True
        )
    return Finding(
        subject=account.key, detail=f"readable, status {info.status}, time zone {info.timezone}"
    )
