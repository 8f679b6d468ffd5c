"""`adsync accounts add | list | remove | discover`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adsync_dagster.commands.chosen import NO_ACCOUNTS, choose
from adsync_dagster.commands.credentials import read_credential
from adsync_dagster.commands.exits import ExitCode, one_line
from adsync_dagster.commands.output import counted, note, say, shown, write_json, write_table
from adsync_dagster.commands.surroundings import (
    dagster_is_configured,
    open_environment,
    open_instance,
)
from adsync_dagster.errors import AccountBlocked
from adsync_dagster.platforms.registry import plugin_for
from adsync_dagster.records import AccountInfo, Platform
from adsync_dagster.settings import Settings

if TYPE_CHECKING:
    from adsync_dagster.platforms.protocol import Credential
    from adsync_dagster.sync.environment import Environment

group = typer.Typer(
    help="The ad accounts that are synced, and their credentials.", no_args_is_help=True
)

PlatformName = Annotated[
    str,
    typer.Option(
        "--platform",
        metavar="PLATFORM",
        help="The platform's key, such as facebook; `adsync platforms` lists them.",
        show_default=False,
    ),
]
TokenEnv = Annotated[
    str | None,
    typer.Option("--token-env", metavar="NAME", help="Environment variable with the token."),
]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", metavar="PATH", help="File with the token.")
]
TokenStdin = Annotated[
    bool, typer.Option("--token-stdin", help="Read the token from standard input.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Write the result as JSON to stdout.")]


#: The columns of `adsync accounts list --json`.
_LISTED = (
    "account",
    "name",
    "currency",
    "timezone",
    "account_status",
    "is_active",
    "last_synced_at",
    "last_sync_error",
    "blocked_reason",
)


@group.command()
def add(
    *,
    platform: PlatformName,
    account: Annotated[
        str,
        typer.Option(
            "--account", metavar="ID", help="The platform's account id.", show_default=False
        ),
    ],
    token_env: TokenEnv = None,
    token_file: TokenFile = None,
    token_stdin: TokenStdin = False,
    no_verify: Annotated[
        bool,
        typer.Option("--no-verify", help="Store without asking the platform; for hosts offline."),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Add an account, or renew the credential of one that is there.

    The account is read from its platform first (name, currency, time zone, status); the
    credential is stored encrypted, and only when the platform accepts it. A token is never an
    argument: arguments show in the process list.

    \b
    Example: adsync accounts add --platform facebook --account act_123 --token-env META_TOKEN
    """
    settings = Settings.from_environment()
    plugin = plugin_for(platform.lower())
    chosen = plugin.key
    with open_environment(settings) as environment:
        account_id = environment.adapter(chosen).normalise_account_id(account)
        credential = read_credential(
            token_env=token_env,
            token_file=token_file,
            token_stdin=token_stdin,
            base_url=settings.base_urls[chosen],
            plugin=plugin,
        )
        info = (
            _unverified(account_id)
            if no_verify
            else _verified(environment, chosen, account_id, credential)
        )
        key = _store(environment, chosen, info, credential)
    _add_partitions(settings, [key])
    if as_json:
        write_json({"account": key, "verified": not no_verify, **_described(info)})
    else:
        verified = "not verified" if no_verify else f"{info.name}, {info.currency}, {info.timezone}"
        say(f"{key} added ({verified}); its first sync: adsync sync {key}")
    return ExitCode.OK


@group.command("list")
def list_accounts(*, as_json: AsJson = False) -> int:
    """List the accounts, removed ones included.

    \b
    Example: adsync accounts list --json
    """
    from adsync_dagster.warehouse.overview import status_of_accounts

    with (
        open_environment(Settings.from_environment()) as environment,
        environment.database.connection() as connection,
    ):
        rows = status_of_accounts(connection)
    if as_json:
        write_json({"accounts": [{name: getattr(row, name) for name in _LISTED} for row in rows]})
    elif not rows:
        say(NO_ACCOUNTS)
    else:
        write_table(
            ["account", "name", "currency", "time zone", "last sync", "state"],
            [
                [
                    row.account,
                    row.name,
                    row.currency,
                    row.timezone,
                    shown(row.last_synced_at),
                    row.blocked_reason or ("active" if row.is_active else "removed"),
                ]
                for row in rows
            ],
        )
    return ExitCode.OK


@group.command()
def remove(
    account: Annotated[
        str, typer.Argument(metavar="ACCOUNT", help="A key such as facebook:act_123, or the id.")
    ],
) -> int:
    """Stop syncing an account and delete its credential.

    Its data stay where they are. `adsync accounts add` brings it back; the next sync then
    reads every day that is missing.

    \b
    Example: adsync accounts remove facebook:act_123
    """
    from adsync_dagster.warehouse import accounts

    with (
        open_environment(Settings.from_environment()) as environment,
        environment.database.connection() as connection,
    ):
        active = accounts.list_accounts(connection)
        key = choose(active, [account])[0]
        found = next(known for known in active if known.key == key)
        accounts.deactivate(connection, found)
        environment.vault.delete(connection, found.platform, found.platform_account_id)
    say(f"{key} is no longer synced and its credential is deleted; its data are kept")
    return ExitCode.OK


@group.command()
def discover(
    *,
    platform: PlatformName,
    token_env: TokenEnv = None,
    token_file: TokenFile = None,
    token_stdin: TokenStdin = False,
    add_all: Annotated[
        bool, typer.Option("--add", help="Add every readable account with this credential.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """List the accounts that a credential can see.

    \b
    Example: adsync accounts discover --platform facebook --token-env META_TOKEN --add
    """
    from adsync_dagster.commands.platform_accounts import WHILE_SOMEBODY_WAITS, read_accounts

    settings = Settings.from_environment()
    plugin = plugin_for(platform.lower())
    chosen = plugin.key
    added: list[str] = []
    with open_environment(settings) as environment:
        credential = read_credential(
            token_env=token_env,
            token_file=token_file,
            token_stdin=token_stdin,
            base_url=settings.base_urls[chosen],
            plugin=plugin,
        )
        client = environment.client_with(
            chosen, credential, budget_key=f"{chosen}:discover", limits=WHILE_SOMEBODY_WAITS
        )
        try:
            infos = read_accounts(client, environment.clock)
        finally:
            client.close()
        if add_all:
            readable = [info for info in infos if info.readable]
            added = [_store(environment, chosen, info, credential) for info in readable]
    _add_partitions(settings, added)
    _tell_discovered(infos, added, as_json=as_json)
    return ExitCode.OK


def _unverified(account_id: str) -> AccountInfo:
    """What is stored of an account that nobody asked about; the first sync corrects it."""
    return AccountInfo(
        platform_account_id=account_id, name=account_id, currency="", timezone="UTC", status=""
    )


def _verified(
    environment: Environment, platform: Platform, account_id: str, credential: Credential
) -> AccountInfo:
    from adsync_dagster.commands.platform_accounts import WHILE_SOMEBODY_WAITS, read_account

    client = environment.client_with(
        platform,
        credential,
        budget_key=f"{platform}:{account_id}",
        limits=WHILE_SOMEBODY_WAITS,
    )
    try:
        info = read_account(client, account_id, environment.clock)
    finally:
        client.close()
    if not info.readable:
        raise AccountBlocked(
            f"the platform gives {account_id} the status {info.status} and lets nothing be read;"
            " nothing was stored"
        )
    return info


def _store(
    environment: Environment, platform: Platform, info: AccountInfo, credential: Credential
) -> str:
    from adsync_dagster.sync.connecting import connect_account

    return connect_account(environment, platform, info, credential).key


def _add_partitions(settings: Settings, keys: Sequence[str]) -> None:
    """Let the UI show the accounts at once; a sensor does the same within a minute."""
    if not keys or not dagster_is_configured(settings):
        return
    from adsync_dagster.assets.partitions import ensure_partitions

    try:
        with open_instance(settings) as instance:
            ensure_partitions(instance, keys)
    except Exception as error:  # noqa: BLE001  the account is stored; Dagster only shows it later
        note(f"Dagster did not take the partition yet ({one_line(type(error).__name__)})")


def _described(info: AccountInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "currency": info.currency,
        "timezone": info.timezone,
        "status": info.status,
    }


def _tell_discovered(infos: Sequence[AccountInfo], added: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        found = [
            {"id": info.platform_account_id, "readable": info.readable, **_described(info)}
            for info in infos
        ]
        write_json({"found": found, "added": list(added)})
        return
    write_table(
        ["account id", "name", "currency", "time zone", "readable"],
        [
            [i.platform_account_id, i.name, i.currency, i.timezone, "yes" if i.readable else "no"]
            for i in infos
        ],
    )
    say(f"{counted(len(infos), 'account')} found, {len(added)} added")
