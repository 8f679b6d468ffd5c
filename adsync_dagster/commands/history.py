"""`adsync prune`: Dagster's own history of runs, which nothing else ever deletes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from adsync_dagster.clock import SystemClock
from adsync_dagster.commands.exits import ExitCode
from adsync_dagster.commands.output import note, say, write_json
from adsync_dagster.commands.surroundings import open_instance
from adsync_dagster.settings import Settings
from adsync_dagster.wording import counted

if TYPE_CHECKING:
    from datetime import datetime

    from dagster import DagsterInstance, RunsFilter

#: Runs deleted between two lines about it; each is a few statements on Dagster's database.
BATCH_RUNS = 200


def prune(
    *,
    days: Annotated[
        int,
        typer.Option(min=1, max=3650, metavar="DAYS", help="Keep the runs of this many days."),
    ] = 90,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would go.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> int:
    """Delete old runs and their events from Dagster's history.

    Dagster keeps every event of every run for ever. This deletes runs that ended and were made
    more than --days ago. The warehouse is not touched: what is owed and done stands there.

    \b
    Example: adsync prune --days 90
    """
    before = SystemClock().now() - timedelta(days=days)
    with open_instance(Settings.from_environment()) as instance:
        found = count_ended(instance, before)
        if not dry_run:
            delete_ended(instance, before)
    if as_json:
        write_json({"before": before, "runs": found, "deleted": not dry_run})
    else:
        verb = "would be deleted" if dry_run else "deleted"
        say(f"{counted(found, 'run')} from before {before:%Y-%m-%d %H:%M} UTC {verb}")
    return ExitCode.OK


def count_ended(instance: DagsterInstance, before: datetime) -> int:
    """How many ended runs were made before that instant."""
    return instance.get_runs_count(filters=_ended(before))


def delete_ended(instance: DagsterInstance, before: datetime) -> int:
    """Delete ended runs made before that instant, oldest first; how many."""
    deleted = 0
    while True:
        records = instance.get_run_records(filters=_ended(before), limit=BATCH_RUNS, ascending=True)
        for record in records:
            instance.delete_run(record.dagster_run.run_id)
        deleted += len(records)
        if len(records) < BATCH_RUNS:
            return deleted
        note(f"{deleted} runs deleted")


def _ended(before: datetime) -> RunsFilter:
    from dagster import DagsterRunStatus, RunsFilter

    ended = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
    return RunsFilter(statuses=ended, created_before=before)
