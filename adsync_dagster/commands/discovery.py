"""Which accounts a credential can see: found, shown, chosen and added."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import typer

from adsync_dagster.calendar import zone
from adsync_dagster.commands.output import answer, note, say, write_table
from adsync_dagster.commands.platform_accounts import (
    WHILE_SOMEBODY_WAITS,
    read_account,
    read_accounts,
)
from adsync_dagster.errors import AccountBlocked, AdsyncError, PermissionBlocked, UsageError
from adsync_dagster.platforms.protocol import Credential
from adsync_dagster.platforms.registry import plugin_for
from adsync_dagster.records import AccountInfo, Platform
from adsync_dagster.sync.connecting import connect_account
from adsync_dagster.wording import counted

if TYPE_CHECKING:
    from adsync_dagster.sync.environment import Environment
    from adsync_dagster.transport import PlatformClient


class Reached(NamedTuple):
    """An account that could be read, and the credential that reads it."""

    info: AccountInfo
    credential: Credential


@dataclass(frozen=True)
class Finder:
    """A credential in hand, and what it finds on its platform."""

    environment: Environment
    platform: Platform
    credential: Credential

    @property
    def direct(self) -> Credential:
        """The credential without a way in: which way leads where is what it finds out."""
        return plugin_for(self.platform).credential.direct(self.credential)

    def everything(self) -> list[AccountInfo]:
        """Every account the credential can see, in the platform's order."""
        with self._client(self.direct, "discover") as client:
            return read_accounts(client, self.environment.clock)

    def one(self, account_id: str) -> Reached:
        """The account as its platform describes it, found through a manager if need be.

        Raises Blocked with the platform's own reason when it cannot be read.
        """
        try:
            return Reached(self._described(account_id, self.credential), self.credential)
        except PermissionBlocked as error:
            refusal = error
        # Perhaps the way in is only not known, or a wrong one.
        for info in self._elsewhere():
            if info.platform_account_id == account_id:
                return self.through(info)
        raise refusal

    def through(self, info: AccountInfo) -> Reached:
        """An account that was found, read by the way that leads there."""
        credential = Credential({**self.direct.values, **info.access})
        return Reached(self._described(info.platform_account_id, credential), credential)

    def _elsewhere(self) -> list[AccountInfo]:
        try:
            return self.everything()
        except AdsyncError:
            return []

    def _described(self, account_id: str, credential: Credential) -> AccountInfo:
        with self._client(credential, account_id) as client:
            info = read_account(client, account_id, self.environment.clock)
        if not info.readable:
            raise AccountBlocked(
                f"the platform gives {account_id} the status {info.status} and lets nothing be"
                " read; nothing was stored"
            )
        return info

    def _client(self, credential: Credential, name: str) -> closing[PlatformClient]:
        return closing(
            self.environment.client_with(
                self.platform,
                credential,
                budget_key=f"{self.platform}:{name}",
                limits=WHILE_SOMEBODY_WAITS,
            )
        )


@dataclass
class Added:
    """What became of the accounts that were chosen."""

    keys: list[str] = field(default_factory=list)
    #: Platform ids and why they were not added.
    refused: dict[str, str] = field(default_factory=dict)


def add_found(finder: Finder, chosen: Sequence[AccountInfo]) -> Added:
    """Verify and store each; one that cannot be read is named, and the others are added."""
    added = Added()
    for info in chosen:
        try:
            reached = finder.through(info)
            account = connect_account(finder.environment, finder.platform, *reached)
        except AdsyncError as error:
            if error.family not in {"blocked", "usage"}:
                raise
            added.refused[info.platform_account_id] = str(error)
        else:
            added.keys.append(account.key)
    return added


def show(infos: Sequence[AccountInfo], known: frozenset[str]) -> None:
    """The accounts as a table, numbered as `choose` wants them."""
    managed = any(info.through for info in infos)
    headings = ["no", "account id", "name", "currency", "time zone", "status"]
    rows = [
        [
            str(number),
            info.platform_account_id,
            info.name,
            info.currency,
            _zone_words(info),
            _state(info, known),
            *([info.through or "directly"] if managed else []),
        ]
        for number, info in enumerate(infos, start=1)
    ]
    write_table([*headings, *(["reached through"] if managed else [])], rows)


def _zone_words(info: AccountInfo) -> str:
    try:
        zone(info.timezone)
    except UsageError:
        return f"{info.timezone} (unknown here)" if info.timezone else ""
    return info.timezone


def _state(info: AccountInfo, known: frozenset[str]) -> str:
    words = [info.status] if info.status else []
    if info.trouble:
        words.append(info.trouble.partition(":")[0])
    if info.platform_account_id in known:
        words.append("added already")
    return ", ".join(words)


def is_interactive() -> bool:
    """Whether somebody is there to choose."""
    return sys.stdin.isatty() and answer().is_terminal


def choose(infos: Sequence[AccountInfo]) -> list[AccountInfo]:
    """What a person picks from the numbered table; nothing when they want none."""
    while True:
        text = typer.prompt(
            "Add which? Numbers such as 1,3-5, or all; Enter for none",
            default="",
            show_default=False,
        )
        try:
            return [infos[index] for index in picked(text, len(infos))]
        except UsageError as error:
            note(str(error))


def picked(text: str, count: int) -> list[int]:
    """Indexes from `1,3-5` or `all`; UsageError says what is wrong with it."""
    words = text.replace(",", " ").split()
    if words == ["all"]:
        return list(range(count))
    found: dict[int, None] = {}
    for word in words:
        first, dash, last = word.partition("-")
        ends = [first, last if dash else first]
        if not all(end.isascii() and end.isdigit() and len(end) < 7 for end in ends):
            raise UsageError(f"{word[:20]!r} is no number; write 1,3-5 or all")
        low, high = (int(end) for end in ends)
        if not 1 <= low <= high <= count:
            raise UsageError(f"{word[:20]!r} is not among 1 to {count}")
        found.update(dict.fromkeys(range(low - 1, high)))
    return list(found)


def tell(added: Added, found: int) -> None:
    """What was added and what was not, one line each."""
    for account_id, why in added.refused.items():
        note(f"{account_id} was not added: {why}")
    for key in added.keys:
        say(f"{key} added; its first sync: adsync sync {key}")
    say(f"{counted(found, 'account')} found, {len(added.keys)} added")
