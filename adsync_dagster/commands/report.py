"""`adsync report`: the completeness report as one HTML file."""

from __future__ import annotations

import webbrowser
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adsync_dagster.commands.chosen import OnlyAccounts, choose
from adsync_dagster.commands.exits import ExitCode
from adsync_dagster.commands.output import note, say, write_json
from adsync_dagster.commands.surroundings import make_private_folder, open_environment
from adsync_dagster.settings import Settings
from adsync_dagster.wording import counted

if TYPE_CHECKING:
    from adsync_dagster.report.service import ReportSummary
    from adsync_dagster.sync.environment import Environment

AsJson = Annotated[bool, typer.Option("--json", help="Write the headline as JSON to stdout.")]


def report(
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Where to write, folders made when missing; reports/completeness.html in"
            " ADSYNC_HOME when left out.",
            show_default=False,
        ),
    ] = None,
    accounts: OnlyAccounts = None,
    days: Annotated[
        int,
        typer.Option(
            "--days", min=1, max=400, metavar="N", help="How many days to show, 1 to 400."
        ),
    ] = 90,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Show the report in your browser.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Write the completeness report, one HTML file that needs nothing else.

    Per account and day open, reconciled or sealed; status changes and the time to their final
    syncs; what is blocked and who must act; residuals with their reasons; spend by day. An
    earlier report in the same place is replaced. The exit code is 0 whatever it says; `adsync
    verify` judges.

    \b
    Example: adsync report --open
    """
    from adsync_dagster.report.service import default_path, write_report

    with open_environment(Settings.from_environment()) as environment:
        path = (out or default_path(environment)).expanduser().absolute()
        if out is None:
            make_private_folder(path.parent, "ADSYNC_HOME")
        chosen = _chosen(environment, accounts or [])
        summary = write_report(environment, path, accounts=chosen, days=days)
    if as_json:
        write_json(asdict(summary))
    else:
        _tell(summary)
    if open_browser and not webbrowser.open(path.as_uri()):
        note(f"no browser could be started here; open {path} yourself")
    return ExitCode.OK


def _chosen(environment: Environment, names: list[str]) -> list[str] | None:
    """The keys of the accounts that were named, removed ones too; None for all."""
    from adsync_dagster.warehouse.accounts import list_accounts

    if not names:
        return None
    with environment.database.connection() as connection:
        return choose(list_accounts(connection, also_inactive=True), names, also_removed=True)


def _tell(summary: ReportSummary) -> None:
    say(f"{summary.title}: {summary.path}")
    for reason in summary.reasons:
        say(f"  {reason}")
    say(
        f"{counted(summary.accounts, 'account')}; days sealed {summary.days_sealed}, reconciled"
        f" {summary.days_reconciled}, open {summary.days_open}; final syncs owed"
        f" {summary.final_syncs_owed}, {summary.final_syncs_blocked} of them blocked"
    )
