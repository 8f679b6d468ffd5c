"""What `adsync doctor` looks at in Dagster: daemons, sensors and schedules, runs nobody starts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from adsync_dagster.commands.exits import ExitCode, one_line
from adsync_dagster.commands.findings import Finding
from adsync_dagster.wording import counted

if TYPE_CHECKING:
    from dagster import DagsterInstance
    from dagster._core.scheduler.instigation import InstigatorState

#: Daemons report every 30 s; one that was silent for this long is gone.
HEARTBEAT_AGE_MAX = timedelta(minutes=5)
#: A run that waits longer for its start waits for a daemon, or for a limit that nothing frees.
QUEUED_AGE_MAX = timedelta(minutes=30)
#: What has to run for the promise to hold without a person.
NEEDED = frozenset(
    {
        "status_change_sensor",
        "new_account_sensor",
        "account_sync_schedule",
        "settle_schedule",
        "weekly_safety_net",
        "health_checks_schedule",
    }
)
_START = "start `adsync dev`, or dagster-daemon under your supervisor"


def look_at_dagster(instance: DagsterInstance, now: datetime) -> Iterator[Finding]:
    """Daemons, sensors and schedules, and runs that wait for their start."""
    yield _daemons(instance, now)
    yield from _instigators(instance)
    yield from _queued(instance, now)


def runs_at_once(instance: DagsterInstance) -> int | None:
    """How many runs the instance starts at most at the same time; None when it sets no limit."""
    queue = instance.get_concurrency_config().run_queue_config
    if queue is None or queue.max_concurrent_runs < 0:
        return None
    return queue.max_concurrent_runs


def look_at_monitoring(instance: DagsterInstance) -> Iterator[Finding]:
    """Whether Dagster ends runs whose host died; an instance must be told to, by default it is not.

    Schedules and sensor do not wait for such a run for ever, but it keeps its place among the
    runs that are allowed at once.
    """
    missing = [
        name
        for name, there in (
            ("enabled: true", instance.run_monitoring_enabled),
            ("max_runtime_seconds", bool(instance.run_monitoring_max_runtime_seconds)),
        )
        if not there
    ]
    if missing:
        yield Finding(
            subject="run monitoring",
            detail="nothing ends a run whose host died, and it keeps its place in the queue's"
            f" limits: set {' and '.join(missing)} under run_monitoring in the instance's"
            " dagster.yaml (docs/adopting.md)",
            warning=True,
        )


def _daemons(instance: DagsterInstance, now: datetime) -> Finding:
    """Whether every daemon that the instance needs has reported lately."""
    beats = instance.get_daemon_heartbeats()
    if not beats:
        return Finding(
            subject="daemon",
            detail=f"none ever ran on this Dagster home, nothing happens by itself: {_START}",
            warning=True,
        )
    ages = {
        name: now - datetime.fromtimestamp(beats[name].timestamp, tz=UTC)
        for name in instance.get_required_daemon_types()
        if name in beats
    }
    missing = sorted(set(instance.get_required_daemon_types()) - set(ages))
    silent = {name: age for name, age in ages.items() if age > HEARTBEAT_AGE_MAX}
    if missing or silent:
        names = ", ".join([*missing, *sorted(silent)])
        since = max(silent.values(), default=None)
        ago = "" if since is None else f" for {_age(since)}"
        return Finding(
            subject="daemon",
            detail=f"silent{ago}: {names}; {_START}",
            code=ExitCode.WORK_LEFT,
        )
    errors = [error for name in ages for error in beats[name].errors or ()]
    if errors:
        return Finding(
            subject="daemon",
            detail=f"its last word was an error: {one_line(errors[0].message)[:200]}",
            warning=True,
        )
    return Finding(subject="daemon", detail=f"{counted(len(ages), 'daemon')} reported just now")


def _instigators(instance: DagsterInstance) -> Iterator[Finding]:
    """Sensors and schedules that somebody switched off, or whose last tick failed."""
    from dagster._core.scheduler.instigation import InstigatorStatus

    states = [state for state in instance.all_instigator_state() if state.name in NEEDED]
    # Each place that ever loaded the code leaves a state: the newest tick tells which one counts.
    off = sorted({state.name for state in states if state.status == InstigatorStatus.STOPPED})
    for name in off:
        yield Finding(
            subject=name,
            detail="is switched off; switch it on in the UI under Automation",
            code=ExitCode.USAGE,
        )
    failed = 0
    for state in states:
        error = None if state.name in off else _failed_tick(instance, state)
        if error is not None:
            failed += 1
            yield Finding(
                subject=state.name, detail=f"its last tick failed: {error}", code=ExitCode.WORK_LEFT
            )
    if states and not off and not failed:
        yield Finding(
            subject="sensors and schedules", detail=f"{len({s.name for s in states})} seen, all on"
        )


def _failed_tick(instance: DagsterInstance, state: InstigatorState) -> str | None:
    """What the newest tick failed with; None when it did not."""
    from dagster._core.scheduler.instigation import TickStatus

    ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
    if not ticks or ticks[0].status != TickStatus.FAILURE:
        return None
    error = ticks[0].error
    return "see it in the UI" if error is None else one_line(error.message)[:200]


def _queued(instance: DagsterInstance, now: datetime) -> Iterator[Finding]:
    """Runs that were asked for and that nobody started."""
    from dagster import DagsterRunStatus, RunsFilter

    waiting = RunsFilter(
        statuses=[DagsterRunStatus.QUEUED, DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING],
        created_before=now - QUEUED_AGE_MAX,
    )
    count = instance.get_runs_count(filters=waiting)
    if count:
        oldest = instance.get_run_records(filters=waiting, limit=1, ascending=True)[0]
        yield Finding(
            subject="runs",
            detail=f"{counted(count, 'run')} waiting for a start, the oldest (job"
            f" {oldest.dagster_run.job_name}) for {_age(now - oldest.create_timestamp)};"
            f" is the daemon up? {_START}",
            code=ExitCode.WORK_LEFT,
        )


def _age(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days"
