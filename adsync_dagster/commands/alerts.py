"""`adsync alert test | list`."""

from __future__ import annotations

from typing import Annotated

import typer

from adsync_dagster.commands.exits import ExitCode, code_of, worst
from adsync_dagster.commands.output import complain, say, shown, write_json, write_table
from adsync_dagster.commands.surroundings import open_environment
from adsync_dagster.errors import AdsyncError, UsageError
from adsync_dagster.settings import Settings

group = typer.Typer(
    help="Who is told when something is wrong, and what they were told.", no_args_is_help=True
)


@group.command("test")
def send_test() -> int:
    """Send a test message by every channel that is set: webhook, e-mail, or both.

    \b
    Example: adsync alert test
    """
    from adsync_dagster.alerts.delivery import channels_of
    from adsync_dagster.alerts.rendering import trial_message

    channels = channels_of(Settings.from_environment().alerts)
    if not channels:
        raise UsageError(
            "no alert channel is set; set ADSYNC_ALERT_WEBHOOK_URL or ADSYNC_ALERT_EMAIL_TO"
            " (docs/alerts.md)"
        )
    codes = [ExitCode.OK]
    for name, channel in channels.items():
        try:
            remark = channel.send(trial_message())
        except AdsyncError as error:
            complain(f"{name}: {error}")
            is_down = error.family == "retryable"
            codes.append(ExitCode.UNREACHABLE if is_down else code_of(error))
        else:
            say(f"{name}: taken" + (f", but {remark}" if remark else ""))
    return worst(codes)


@group.command("list")
def list_(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Write the problems as JSON.")] = False,
) -> int:
    """Show the problems that people are told of, and whether they were.

    Lists what alert_sensor has noted; `adsync verify` looks afresh.

    \b
    Example: adsync alert list
    """
    from adsync_dagster.alerts.problems import Problem, describe
    from adsync_dagster.warehouse.alerts import list_alerts

    with (
        open_environment(Settings.from_environment()) as environment,
        environment.database.connection() as connection,
    ):
        rows = list_alerts(connection)
    if as_json:
        write_json(
            [
                {
                    "channel": row.channel,
                    "kind": row.kind,
                    "problem": describe(Problem.from_facts(row.facts)),
                    "opened_at": row.opened_at,
                    "told_at": row.told_at,
                    "ended_at": row.ended_at,
                    "error": row.error,
                }
                for row in rows
            ]
        )
    elif not rows:
        say("no problem is open")
    else:
        write_table(
            ["problem", "by", "first seen", "told", "over", "last error"],
            [
                (
                    describe(Problem.from_facts(row.facts)),
                    row.channel,
                    shown(row.opened_at),
                    shown(row.told_at),
                    "" if row.ended_at is None else shown(row.ended_at),
                    row.error or "",
                )
                for row in rows
            ],
        )
    return ExitCode.OK
