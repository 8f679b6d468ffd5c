"""`adsync doctor` and `adsync prune` on a real Dagster instance: daemons, switches, old runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.storage.dagster_run import DagsterRunStatus
from dagster._core.test_utils import create_run_for_test
from dagster._daemon.types import DaemonHeartbeat
from dagster._utils.error import SerializableErrorInfo

from adsync_dagster.clock import SystemClock
from adsync_dagster.commands.doctor_dagster import (
    NEEDED,
    look_at_dagster,
    look_at_monitoring,
    runs_at_once,
)
from adsync_dagster.commands.doctor_machine import (
    look_at_connections,
    look_at_disks,
    look_at_rights,
)
from adsync_dagster.commands.exits import ExitCode
from adsync_dagster.commands.findings import Finding
from adsync_dagster.commands.history import count_ended, delete_ended
from adsync_dagster.definitions import defs
from adsync_dagster.settings import Settings
from adsync_dagster.warehouse.database import Database

NOW = datetime.now(tz=UTC)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance of its own, without a daemon."""
    with dg.instance_for_test() as instance:
        yield instance


def found(instance: dg.DagsterInstance, now: datetime = NOW) -> list[Finding]:
    return list(look_at_dagster(instance, now))


def beat(instance: dg.DagsterInstance, at: datetime, *, error: str | None = None) -> None:
    """Every daemon that the instance needs reports at that instant."""
    errors = None if error is None else [SerializableErrorInfo(error, [], "Error")]
    for name in instance.get_required_daemon_types():
        instance.add_daemon_heartbeat(DaemonHeartbeat(at.timestamp(), name, "id", errors))


def switch(instance: dg.DagsterInstance, name: str, status: InstigatorStatus) -> InstigatorState:
    """Leave the state that the UI's switch leaves."""
    location = RegisteredCodeLocationOrigin("adsync_dagster")
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), name)
    state = InstigatorState(origin, InstigatorType.SENSOR, status, SensorInstigatorData())
    instance.add_instigator_state(state)
    return state


def test_no_daemon_is_said(instance: dg.DagsterInstance) -> None:
    """Where no daemon ever ran, nothing happens by itself: a warning says what to start."""
    (finding,) = found(instance)
    assert (finding.code, finding.warning) == (ExitCode.OK, True)
    assert "adsync dev" in finding.detail


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        (None, "enabled: true and max_runtime_seconds"),
        ({"enabled": True}, "max_runtime_seconds"),
        ({"enabled": True, "max_runtime_seconds": 21600}, None),
    ],
)
def test_an_instance_that_never_ends_a_dead_hosts_run_is_told(
    settings: dict[str, object] | None, missing: str | None
) -> None:
    """Run monitoring is off where nobody asked for it: a warning names what to write."""
    overrides = {} if settings is None else {"run_monitoring": settings}
    with dg.instance_for_test(overrides=overrides) as instance:
        told = list(look_at_monitoring(instance))
    assert [one.warning for one in told] == ([True] if missing else [])
    if missing:
        assert f"set {missing} under run_monitoring" in told[0].detail


def test_a_daemon_that_reports_is_fine_and_one_that_stopped_is_not(
    instance: dg.DagsterInstance,
) -> None:
    """Silence of more than five minutes is a failure with its length."""
    beat(instance, NOW - timedelta(seconds=40))
    assert [one.code for one in found(instance)] == [ExitCode.OK]
    assert "reported just now" in found(instance)[0].detail

    (finding,) = found(instance, NOW + timedelta(hours=3))

    assert finding.code == ExitCode.WORK_LEFT
    assert "silent for 3 h" in finding.detail


def test_a_daemon_in_trouble_is_quoted(instance: dg.DagsterInstance) -> None:
    """A daemon that reports an error is alive, and its error is shown."""
    beat(instance, NOW, error="cannot reach the code server")
    (finding,) = found(instance)
    assert finding.warning
    assert "cannot reach the code server" in finding.detail


def test_a_sensor_that_is_off_fails(instance: dg.DagsterInstance) -> None:
    """A switch that somebody turned is named; one of another project is none of ours."""
    beat(instance, NOW)
    switch(instance, "status_change_sensor", InstigatorStatus.STOPPED)
    switch(instance, "somebody_elses_sensor", InstigatorStatus.STOPPED)

    bad = [one for one in found(instance) if one.code]

    assert [one.subject for one in bad] == ["status_change_sensor"]
    assert "switched off" in bad[0].detail


def test_a_sensor_whose_last_tick_failed_is_named(instance: dg.DagsterInstance) -> None:
    """The newest tick counts, with its error."""
    beat(instance, NOW)
    state = switch(instance, "status_change_sensor", InstigatorStatus.RUNNING)
    error = SerializableErrorInfo("the database is gone", [], "Error")
    for moment, status in ((-60, TickStatus.SUCCESS), (0, TickStatus.FAILURE)):
        instance.create_tick(
            TickData(
                instigator_origin_id=state.instigator_origin_id,
                instigator_name=state.name,
                instigator_type=InstigatorType.SENSOR,
                status=status,
                timestamp=NOW.timestamp() + moment,
                selector_id=state.selector_id,
                run_ids=[],
                error=error if status == TickStatus.FAILURE else None,
            )
        )

    bad = [one for one in found(instance) if one.code]

    assert [one.subject for one in bad] == ["status_change_sensor"]
    assert "the database is gone" in bad[0].detail


def test_a_run_that_nobody_starts_is_found(instance: dg.DagsterInstance) -> None:
    """A run that was asked for more than half an hour ago waits for a daemon."""
    beat(instance, NOW + timedelta(hours=1))
    create_run_for_test(instance, job_name="account_sync_job", status=DagsterRunStatus.NOT_STARTED)
    assert not [one for one in found(instance) if one.code]

    (bad,) = [one for one in found(instance, NOW + timedelta(hours=1)) if one.code]

    assert bad.subject == "runs"
    assert "1 run waiting for a start" in bad.detail
    assert "account_sync_job" in bad.detail


def test_what_is_needed_exists() -> None:
    """The switches that doctor asks for are those that the code location has."""
    names = {one.name for one in [*(defs.sensors or []), *(defs.schedules or [])]}
    assert names >= NEEDED


def test_a_full_disk_fails_and_a_small_one_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Free room decides; a home that is not there yet is looked at through its parent."""
    settings = Settings.from_environment({"ADSYNC_HOME": str(tmp_path / "not" / "yet")})
    for free, code, warning in (
        (10**12, ExitCode.OK, False),
        (10**9, ExitCode.OK, True),
        (10**7, ExitCode.BLOCKED, True),
    ):
        usage = type("Usage", (), {"free": free})
        monkeypatch.setattr("shutil.disk_usage", lambda _path, usage=usage: usage)
        (finding,) = look_at_disks(settings, tmp_path / "dagster")
        assert (finding.code, finding.warning) == (code, warning)


def test_connections_are_counted_for_the_runs_that_dagster_allows() -> None:
    """Twenty runs at once need more connections than four; without a limit nobody can say."""
    with dg.instance_for_test(
        overrides={"concurrency": {"runs": {"max_concurrent_runs": 20}}}
    ) as instance:
        runs_max = runs_at_once(instance)
    assert runs_max == 20
    settings = Settings(account_threads=4)
    assert list(look_at_connections(100, 4, settings)) == []
    (finding,) = look_at_connections(100, runs_max, settings)
    assert "20 runs of 4 accounts and Dagster may need 140" in finding.detail
    assert list(look_at_connections(100, None, settings)) == []


def test_a_user_without_rights_is_found(database_url: str) -> None:
    """Tables that the user cannot write are named."""
    settings = Settings.from_environment({"ADSYNC_DATABASE_URL": database_url})
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("DROP ROLE IF EXISTS doctor_test")
        owner.execute("CREATE ROLE doctor_test LOGIN")
        owner.execute("GRANT SELECT, INSERT, UPDATE ON ads TO doctor_test")
    database = Database(database_url.replace("postgres@", "doctor_test@"), SystemClock())
    try:
        with database.connection() as connection:
            (finding,) = look_at_rights(connection, settings)
    finally:
        database.dispose()
        with psycopg.connect(database_url, autocommit=True) as owner:
            owner.execute("DROP OWNED BY doctor_test")
            owner.execute("DROP ROLE doctor_test")

    assert finding.code == ExitCode.USAGE
    assert "ad_metrics" in finding.detail
    assert "ads," not in finding.detail


def test_pruning_deletes_old_ended_runs_and_their_events_only(
    instance: dg.DagsterInstance,
) -> None:
    """Runs that are young or have not ended stay, with every event; the others go with theirs."""

    @dg.job
    def work() -> None:
        @dg.op
        def one() -> None: ...

        one()

    old, young = (work.execute_in_process(instance=instance).run_id for _ in range(2))
    running = create_run_for_test(instance, status=DagsterRunStatus.STARTED).run_id
    long_ago = NOW - timedelta(days=100)
    _make_old(instance, [old, running], long_ago)
    before = NOW - timedelta(days=90)

    assert count_ended(instance, before) == 1
    assert delete_ended(instance, before) == 1

    assert {run.run_id for run in instance.get_runs()} == {young, running}
    assert instance.all_logs(old) == []
    assert len(instance.all_logs(young)) > 3
    assert delete_ended(instance, before) == 0


def _make_old(instance: dg.DagsterInstance, run_ids: list[str], at: datetime) -> None:
    """Date runs back, which no interface of Dagster does."""
    from dagster._core.storage.runs.schema import RunsTable  # noqa: PLC0415

    storage = instance.run_storage
    with storage.connect() as connection:  # type: ignore[attr-defined]
        connection.execute(
            RunsTable.update()
            .where(RunsTable.c.run_id.in_(run_ids))
            .values(create_timestamp=at.replace(tzinfo=None))
        )
