"""`adsync export`: metrics of any range of days as Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adsync_dagster.commands.chosen import OnlyAccounts, choose, day_range
from adsync_dagster.commands.exits import ExitCode
from adsync_dagster.commands.output import note, say, write_json
from adsync_dagster.commands.surroundings import open_environment
from adsync_dagster.records import Level
from adsync_dagster.settings import Settings
from adsync_dagster.wording import counted

if TYPE_CHECKING:
    from uuid import UUID

    from adsync_dagster.parquet_export import Exported
    from adsync_dagster.sync.environment import Environment

AsJson = Annotated[bool, typer.Option("--json", help="Write what was exported as JSON to stdout.")]


def export(
    *,
    date_from: Annotated[
        str, typer.Option("--from", metavar="DATE", help="First account-local day.")
    ],
    date_until: Annotated[str, typer.Option("--until", metavar="DATE", help="Last day, included.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="PATH",
            help="A folder for a file per level, or FILE.parquet for one level; made when missing.",
            show_default=False,
        ),
    ],
    accounts: OnlyAccounts = None,
    levels: Annotated[
        list[Level] | None,
        typer.Option(
            "--level",
            metavar="LEVEL",
            help="Only this level: campaign, adset or ad; repeat for several.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    as_json: AsJson = False,
) -> int:
    """Export metrics with names and rates as Parquet, one file per level.

    The columns of v_metrics_daily with exact types. `day_state` says of each row whether its day
    is final; a folder also gets the account days, since a day that was never read has no row.
    Files appear once all of them are whole. Needs pyarrow: `pip install 'pyarrow>=17'`.

    \b
    Example: adsync export --from 2026-03-01 --until 2026-03-31 --out march
    """
    from adsync_dagster.parquet_export import export_metrics

    days = day_range(date_from, date_until)
    with open_environment(Settings.from_environment()) as environment:
        exported = export_metrics(
            environment,
            out.expanduser(),
            days,
            levels=levels or (),
            accounts=_chosen(environment, accounts or []),
            force=force,
        )
    if as_json:
        write_json(_as_dict(exported))
    else:
        _tell(exported)
    return ExitCode.OK


def _chosen(environment: Environment, names: list[str]) -> list[UUID] | None:
    """Our ids of the named accounts, removed ones too; None for all."""
    from adsync_dagster.warehouse.accounts import list_accounts

    if not names:
        return None
    with environment.database.connection() as connection:
        known = {one.key: one for one in list_accounts(connection, also_inactive=True)}
    return [known[key].id for key in choose(list(known.values()), names, also_removed=True)]


def _as_dict(exported: Exported) -> dict[str, object]:
    return {
        "files": [
            {"path": file.path, "level": file.level, "rows": file.rows} for file in exported.files
        ],
        "account_days": exported.days._asdict(),
    }


def _tell(exported: Exported) -> None:
    for file in exported.files:
        say(f"{file.path}: {counted(file.rows, 'row')}")
    days = exported.days
    if not sum(days):
        note("no account has a day of its history in this range")
    elif days.open or days.reconciled:
        note(
            f"not final: {counted(days.open, 'account day')} open, {days.reconciled} that add up"
            f" and may still be revised; {days.sealed} sealed"
        )
