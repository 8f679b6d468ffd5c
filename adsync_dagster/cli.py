"""The `adsync` command: its commands, and `main`, which turns every outcome into an exit code.

The commands themselves stand in `adsync_dagster.commands`. They return exit codes and raise
this project's errors; nothing but `main` ends the process.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from adsync_dagster import __version__
from adsync_dagster.commands import (
    accounts,
    alerts,
    database,
    doctor,
    exits,
    export,
    health,
    history,
    keys,
    platforms,
    report,
    simulate,
    ui,
    work,
)
from adsync_dagster.commands.output import say

EPILOG = (
    "Exit codes: 0 done, 1 work left, 2 bad input, 3 a person must act,"
    " 4 database unreachable (or the platform, where a command asks it itself), 70 a bug."
    " Settings: docs/settings.md"
)

app = typer.Typer(
    name="adsync",
    help="Sync ad platforms into Postgres and lose no metrics when an ad stops.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(*, value: bool) -> None:
    if value:
        say(f"adsync {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_version, is_eager=True),
    ] = False,
    _debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Options before the command."""


app.command()(ui.demo)
app.command()(ui.dev)
app.command()(database.migrate)
accounts.group.command("rotate-keys")(keys.rotate_keys)
app.add_typer(accounts.group, name="accounts")
app.command()(platforms.platforms)
app.command()(work.sync)
app.command("final-sync")(work.final_sync)
app.command("safety-net")(work.safety_net)
app.command()(work.settle)
app.command()(health.status)
app.command()(health.verify)
app.command()(report.report)
app.command()(export.export)
app.command()(doctor.doctor)
app.add_typer(alerts.group, name="alert")
app.add_typer(simulate.group, name="simulate")
app.command()(history.prune)
app.command()(database.stop)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and end the process with the exit code it earned."""
    given = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    command = typer.main.get_command(app)
    code = exits.run_guarded(
        lambda: command.main(given, prog_name="adsync", standalone_mode=False),
        debug="--debug" in given[:2],
    )
    raise SystemExit(code)


if __name__ == "__main__":
    main()
