"""Dagster's own processes die, or lose what they knew: every final sync is done all the same."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import dagster as dg
import pytest
from crash_daemon import Deployment
from crash_scene import Scene, stop_some, wait_until
from harness import Harness

pytestmark = pytest.mark.slow

START_SECONDS_MAX = 90.0
#: The first back-off after an attempt without a trace is 30 seconds.
RECOVERY_SECONDS_MAX = 120.0
#: The daemon looks after its code server once a minute.
REPLACED_SECONDS_MAX = 180.0
ENDED_BADLY = {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


@pytest.fixture(scope="module")
def deployment(
    durable_url: str, synced: Harness, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """The synced account four hours later, and an empty storage for Dagster."""
    synced.advance(hours=4)
    home = tmp_path_factory.mktemp("dagster")
    with Scene(synced, home) as scene:
        deployment = Deployment(scene, home, durable_url, f"dagster_{os.getpid()}")
        deployment.create_storage()
        try:
            yield deployment
        finally:
            deployment.drop_storage()


def test_runs_that_die_are_followed_by_others(
    deployment: Deployment, record_property: Callable[[str, object], None]
) -> None:
    """Run processes are killed at three places; the sensor asks again until all is stored.

    A run that is asked to end, in contrast, finishes its account first.
    """
    scene = deployment.scene
    with deployment.daemon():
        for place in ("claim_committed", "metrics_merged", "before_commit:SIGKILL:3"):
            deployment.arm(place if ":" in place else f"{place}:SIGKILL")
            ad = deployment.stop_an_ad()
            deployment.wait_until_hit(START_SECONDS_MAX)
            assert scene.log_of(ad)["final_sync_completed"] is False
            scene.assert_nothing_early()
        began = time.monotonic()
        deployment.wait_until_nothing_is_owed(RECOVERY_SECONDS_MAX)
        record_property("killed run: recovery seconds", round(time.monotonic() - began, 2))
        scene.assert_whole(scene.logged())

        *killed, last = wait_until("the end of the runs", lambda: ended(deployment))
        assert [run.status for run in killed] == [dg.DagsterRunStatus.FAILURE] * 3
        assert last.status == dg.DagsterRunStatus.SUCCESS
        assert last.tags["adsync/attempt"] == "2"

        deployment.arm("page_copied:SIGTERM")
        deployment.stop_an_ad()
        deployment.wait_until_hit(START_SECONDS_MAX)
        deployment.wait_until_nothing_is_owed(RECOVERY_SECONDS_MAX)
        scene.assert_whole(scene.logged())
        *_, terminated = wait_until("the end of the runs", lambda: ended(deployment))
        assert len(deployment.runs()) == 5
        assert terminated.status in ENDED_BADLY


def ended(deployment: Deployment) -> list[dg.DagsterRun]:
    """All runs once each of them has ended."""
    runs = deployment.runs()
    return runs if all(run.is_finished for run in runs) else []


def use(deployment: Deployment) -> list[str]:
    """Let an ad stop and Dagster do its final sync; the ids of all runs that Dagster knows."""
    with deployment.daemon():
        deployment.stop_an_ad()
        deployment.wait_until_nothing_is_owed(RECOVERY_SECONDS_MAX)
        runs = wait_until("the end of the runs", lambda: ended(deployment))
    assert runs[-1].status == dg.DagsterRunStatus.SUCCESS
    return [run.run_id for run in runs]


def test_a_wiped_storage_loses_nothing(
    deployment: Deployment, record_property: Callable[[str, object], None]
) -> None:
    """Dagster's database, used before, is dropped while changes are pending: a new one does."""
    scene = deployment.scene
    used = use(deployment)
    stop_some(scene.harness)
    deployment.create_storage()

    began = time.monotonic()
    with deployment.daemon():
        deployment.wait_until_nothing_is_owed(START_SECONDS_MAX)
        record_property(
            "wiped storage, daemon started: recovery seconds", round(time.monotonic() - began, 2)
        )
        scene.assert_whole(scene.logged())
        [run] = wait_until("the end of the run", lambda: ended(deployment))
        assert run.status == dg.DagsterRunStatus.SUCCESS
        assert run.run_id not in used


def test_a_storage_restored_from_a_backup_loses_nothing(deployment: Deployment) -> None:
    """Dagster forgets its latest run and tick, while changes are pending: they are done anew."""
    scene = deployment.scene
    older = use(deployment)
    deployment.keep_storage()
    newer = use(deployment)
    assert newer[: len(older)] == older
    assert len(newer) > len(older)
    deployment.stop_an_ad()
    deployment.restore_storage()

    with deployment.daemon():
        deployment.wait_until_nothing_is_owed(RECOVERY_SECONDS_MAX)
        scene.assert_whole(scene.logged())
        runs = wait_until("the end of the run", lambda: ended(deployment))
    assert [run.run_id for run in runs[:-1]] == older
    assert runs[-1].run_id not in newer


def test_a_code_server_that_dies_at_the_end_of_a_tick_is_replaced(deployment: Deployment) -> None:
    """The sensor runs in it: what it had decided is decided again, and done."""
    scene = deployment.scene
    with deployment.daemon():
        deployment.arm("sensor_tick_end:SIGKILL")
        ad = deployment.stop_an_ad()
        deployment.wait_until_hit(START_SECONDS_MAX)
        assert scene.log_of(ad)["final_sync_completed"] is False
        deployment.wait_until_nothing_is_owed(REPLACED_SECONDS_MAX)
        scene.assert_whole(scene.logged())
