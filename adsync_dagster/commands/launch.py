"""Running Dagster's jobs from the command line, recorded in the instance that the UI shows.

The same job definitions, the same windows of accounts, executed in this process: no daemon is
needed, and a run that fails here looks in the UI like any other.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from adsync_dagster.commands.exits import ExitCode, leave, worst
from adsync_dagster.commands.output import StepProgress, progress_of
from adsync_dagster.commands.surroundings import open_instance
from adsync_dagster.settings import Settings

if TYPE_CHECKING:
    from dagster import DagsterInstance, ExecuteInProcessResult

#: The services log under this name; their lines are the progress that a person sees.
SERVICE_LOGGER = "adsync_dagster.sync"
STARTED_BY = {"adsync/started_by": "command line"}
#: Dagster's own lines go to its event log; on the console they would drown the services'.
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFailure:
    """One account that a run could not finish, in the words of the run."""

    account: str
    what_helps: str
    error: str

    @property
    def code(self) -> ExitCode:
        if self.what_helps.startswith("waiting"):
            return ExitCode.WORK_LEFT
        if self.what_helps.startswith("a person"):
            return ExitCode.BLOCKED
        return ExitCode.USAGE if self.what_helps.startswith("a corrected") else ExitCode.DEFECT


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What the runs of one command did."""

    run_ids: list[str] = field(default_factory=list)
    failures: list[AccountFailure] = field(default_factory=list)
    #: A run that failed without naming an account.
    run_errors: list[str] = field(default_factory=list)
    #: Numbers and texts that the materializations carried, by account (or asset) key.
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def code(self) -> ExitCode:
        codes = [failure.code for failure in self.failures]
        return worst([*codes, *([ExitCode.WORK_LEFT] if self.run_errors else [])])


def run_windows(
    settings: Settings,
    job_name: str,
    *,
    active: Sequence[str],
    wanted: Sequence[str],
    config: Mapping[str, Any] | None = None,
) -> Outcome:
    """Run an account job for the wanted accounts, in windows like the schedule's."""
    from adsync_dagster.assets.partitions import ensure_partitions
    from adsync_dagster.assets.windows import cut_windows

    outcome = Outcome()
    with _running(settings) as (instance, progress):
        keys = ensure_partitions(instance, active)
        windows = cut_windows(
            keys,
            size=settings.accounts_per_run,
            wanted=set(wanted),
            avoid=set(keys) - set(wanted),
        )
        progress.total(len(wanted))
        for window in windows:
            _run(
                instance,
                job_name,
                outcome,
                config=config,
                partition_key=window.partition_key,
                tags=window.range_tags,
            )
            progress.advance(len(window.wanted))
    return outcome


def run_whole(settings: Settings, job_name: str) -> Outcome:
    """Run a job that has no partitions."""
    outcome = Outcome()
    with _running(settings) as (instance, _):
        _run(instance, job_name, outcome, config=None, partition_key=None, tags={})
    return outcome


@contextmanager
def _running(settings: Settings) -> Iterator[tuple[DagsterInstance, StepProgress]]:
    with open_instance(settings) as instance, progress_of(SERVICE_LOGGER) as progress:
        logging.getLogger("dagster").setLevel(logging.CRITICAL)
        yield instance, progress


def _run(
    instance: DagsterInstance,
    job_name: str,
    outcome: Outcome,
    *,
    config: Mapping[str, Any] | None,
    partition_key: str | None,
    tags: Mapping[str, str],
) -> None:
    from adsync_dagster.definitions import defs

    job = defs.resolve_job_def(job_name)
    run_id = str(uuid4())
    result = _interruptible(
        lambda: job.execute_in_process(
            run_config={**QUIET, **(config or {})},
            instance=instance,
            partition_key=partition_key,
            raise_on_error=False,
            tags={**tags, **STARTED_BY},
            run_id=run_id,
        ),
        lambda: _cancel(instance, run_id),
    )
    outcome.run_ids.append(run_id)
    _collect_facts(result, outcome)
    if not result.success:
        _collect_failures(result, outcome)


def _interruptible(
    call: Callable[[], ExecuteInProcessResult], cancel: Callable[[], None]
) -> ExecuteInProcessResult:
    """Run the call in a thread, so that Ctrl-C and SIGTERM end the command at once.

    That is safe at any moment: what is committed stays, Postgres rolls the rest back and
    frees the accounts' locks with the connections. Dagster alone would wait for the accounts.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="run") as pool:
        before = signal.signal(signal.SIGTERM, _interrupt)
        future = pool.submit(call)
        try:
            return future.result()
        except KeyboardInterrupt:
            cancel()
            leave(ExitCode.INTERRUPTED)
        finally:
            signal.signal(signal.SIGTERM, before)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _cancel(instance: DagsterInstance, run_id: str) -> None:
    """Let the UI show the run as canceled and not as running for ever."""
    run = instance.get_run_by_id(run_id)
    if run is not None and not run.is_finished:
        instance.report_run_canceled(run, "interrupted on the command line")


def _collect_facts(result: ExecuteInProcessResult, outcome: Outcome) -> None:
    for event in result.all_events:
        made: Any = None
        if event.is_step_materialization:
            made = event.step_materialization_data.materialization
        elif event.is_asset_observation:
            made = event.asset_observation_data.asset_observation
        if made is not None:
            facts = outcome.facts.setdefault(made.partition or made.asset_key.to_user_string(), {})
            for name, value in made.metadata.items():
                facts[f"{made.asset_key.path[-1]}.{name}"] = value.value


def _collect_failures(result: ExecuteInProcessResult, outcome: Outcome) -> None:
    """The accounts that the run's failure names; else the failure's own text."""
    named = False
    for event in result.all_events:
        if not event.is_step_failure:
            continue
        data = event.step_failure_data.user_failure_data
        failures = [] if data is None else _named_failures(data.metadata)
        outcome.failures += failures
        named = named or bool(failures)
        if not failures and data is not None and data.description:
            named = True
            outcome.run_errors.append(data.description)
    if not named:
        outcome.run_errors.append(
            f"run {result.run_id} failed; see it in the UI (adsync dev) for the reason"
        )


def _named_failures(metadata: Mapping[str, Any]) -> list[AccountFailure]:
    """The rows of the table of failed accounts; the safety net's has no word on what helps."""
    table = metadata.get("failed_accounts") or metadata.get("failures")
    return [
        AccountFailure(
            account=str(record.data["account"]),
            what_helps=str(record.data.get("what helps", "waiting; the next run tries again")),
            error=str(record.data["error"]),
        )
        for record in (table.records if table is not None else [])
    ]
