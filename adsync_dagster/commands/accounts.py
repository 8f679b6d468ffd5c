"""`adsync accounts add | list | remove | discover`; discovery.py finds and chooses them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adsync_dagster.commands.chosen import NO_ACCOUNTS, choose
from adsync_dagster.commands.credentials import read_credential
from adsync_dagster.commands.exits import ExitCode, one_line
from adsync_dagster.commands.output import complain, note, say, shown, write_json, write_table
from adsync_dagster.commands.surroundings import (
    dagster_is_configured,
    open_environment,
    open_instance,
)
from adsync_dagster.errors import UsageError
from adsync_dagster.platforms.registry import adapter_for, plugin_for
from adsync_dagster.records import AccountInfo, Platform
from adsync_dagster.settings import Settings
from adsync_dagster.wording import counted

if TYPE_CHECKING:
    from adsync_dagster.commands.discovery import Finder
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
        str | None,
        typer.Option(
            "--account",
            metavar="ID",
            help="The platform's account id; without it, the credential's accounts are listed.",
        ),
    ] = None,
    add_all: Annotated[
        bool, typer.Option("--all", help="Add every account that the credential can read.")
    ] = False,
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

    Without --account, the accounts that the credential can see are listed: on a terminal to
    choose from, otherwise --all adds them. An account is read from its platform first (name,
    currency, time zone, status); the credential is stored encrypted, and only when the platform
    accepts it. A token is never an argument: arguments show in the process list.

    \b
    Example: adsync accounts add --platform facebook --account act_123 --token-env META_TOKEN
    """
    from adsync_dagster.commands.discovery import Finder

    _refuse_contradictions(account, add_all=add_all, no_verify=no_verify, as_json=as_json)
    settings = Settings.from_environment()
    plugin = plugin_for(platform.lower())
    account_id = None
    if account is not None:
        account_id = adapter_for(plugin.key, settings).normalise_account_id(account)
    credential = read_credential(
        token_env=token_env,
        token_file=token_file,
        token_stdin=token_stdin,
        base_url=settings.base_urls[plugin.key],
        plugin=plugin,
    )
    with open_environment(settings) as environment:
        finder = Finder(environment, plugin.key, credential)
        if account_id is None:
            may_ask = not (add_all or token_stdin)
            return _add_several(settings, finder, add_all=add_all, may_ask=may_ask, as_json=as_json)
        if no_verify:
            info = _unverified(account_id)
        else:
            info, credential = finder.one(account_id)
        key = _store(environment, plugin.key, info, credential)
    _add_partitions(settings, [key])
    if as_json:
        write_json({"account": key, "verified": not no_verify, **_described(info)})
    else:
        _say_added(key, info, is_verified=not no_verify)
    return ExitCode.OK


def _refuse_contradictions(
    account: str | None, *, add_all: bool, no_verify: bool, as_json: bool
) -> None:
    """Options of `add` of which one takes back what another asks for."""
    if account is not None and add_all:
        raise UsageError("--account adds one account and --all every one: give one of the two")
    if as_json and account is None and not add_all:
        raise UsageError(
            "with --json nobody can be asked: give --account ID or --all"
            " (`adsync accounts discover --json` lists the accounts)"
        )
    if account is None and no_verify:
        raise UsageError("--no-verify asks nobody, so it needs --account ID")


def _say_added(key: str, info: AccountInfo, *, is_verified: bool) -> None:
    described = f"{info.name}, {info.currency}, {info.timezone}" if is_verified else "not verified"
    say(f"{key} added ({described}); its first sync: adsync sync {key}")
    if info.trouble:
        note(f"{key} {info.trouble}")


def _add_several(
    settings: Settings, finder: Finder, *, add_all: bool, may_ask: bool, as_json: bool
) -> int:
    """Add what is chosen of the accounts that the credential can see."""
    from adsync_dagster.commands import discovery

    infos = finder.everything()
    known = _known(finder.environment, finder.platform)
    if not as_json:
        discovery.show(infos, known)
    if add_all:
        chosen = infos
    elif may_ask and infos and discovery.is_interactive():
        chosen = discovery.choose(infos)
    else:
        complain("nothing was added: name one with --account ID, or add all with --all")
        return ExitCode.USAGE
    added = discovery.add_found(finder, chosen)
    _add_partitions(settings, added.keys)
    if as_json:
        write_json(
            {
                "found": [_found(info) for info in infos],
                "added": added.keys,
                "refused": added.refused,
            }
        )
    else:
        discovery.tell(added, len(infos))
    return ExitCode.BLOCKED if added.refused else ExitCode.OK


def _known(environment: Environment, platform: Platform) -> frozenset[str]:
    """The ids of the platform's accounts that are synced already."""
    from adsync_dagster.warehouse import accounts

    with environment.database.connection() as connection:
        return frozenset(
            one.platform_account_id
            for one in accounts.list_accounts(connection)
            if one.platform == platform
        )


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
        known = accounts.list_accounts(connection, also_inactive=True)
        key = choose(known, [account])[0]
        found = next(one for one in known if one.key == key)
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

    Manager accounts are walked to the accounts below them, whatever their status.

    \b
    Example: adsync accounts discover --platform facebook --token-env META_TOKEN --add
    """
    from adsync_dagster.commands import discovery

    settings = Settings.from_environment()
    plugin = plugin_for(platform.lower())
    credential = read_credential(
        token_env=token_env,
        token_file=token_file,
        token_stdin=token_stdin,
        base_url=settings.base_urls[plugin.key],
        plugin=plugin,
    )
    with open_environment(settings) as environment:
        finder = discovery.Finder(environment, plugin.key, credential)
        if add_all:
            return _add_several(settings, finder, add_all=True, may_ask=False, as_json=as_json)
        infos = finder.everything()
        if as_json:
            write_json({"found": [_found(info) for info in infos], "added": []})
            return ExitCode.OK
        discovery.show(infos, _known(environment, plugin.key))
    say(f"{counted(len(infos), 'account')} found, 0 added")
    return ExitCode.OK


def _unverified(account_id: str) -> AccountInfo:
    """What is stored of an account that nobody asked about; the first sync corrects it."""
    return AccountInfo(
        platform_account_id=account_id, name=account_id, currency="", timezone="UTC", status=""
    )


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


def _found(info: AccountInfo) -> dict[str, Any]:
    return {
        "id": info.platform_account_id,
        "readable": info.readable,
        **_described(info),
        "trouble": info.trouble,
        "through": info.through,
    }
