"""A person's run, the sensor and `adsync sync` on one account at once: the result of one sync."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import dagster as dg
import psycopg
import pytest
from command import PROGRAM
from crash_daemon import Deployment
from crash_scene import Scene, cloned, live, on_database, wait_until
from harness import KEY, Harness

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SECONDS_MAX = 180.0
#: Sessions of workers that wait for the account which another one holds.
WAITING = (
    "SELECT count(*) AS waiting FROM pg_locks JOIN pg_database d ON d.oid = database"
    " WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"
)


@pytest.fixture(scope="module")
def half_known(behind: Harness) -> Harness:
    """The account with changes that are logged and owed, and with others that nobody has seen."""
    assert behind.poll_entities().error is None
    assert behind.pending() > 2
    behind.world.pause("ad", live(behind, "ad")[0])
    behind.environment.database.dispose()
    return behind


@pytest.fixture(scope="module")
def changes_of_one(
    half_known: Harness, durable_url: str, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """What one sync alone logs of the same account."""
    template = str(psycopg.conninfo.conninfo_to_dict(half_known.url)["dbname"])
    with (
        cloned(durable_url, template, f"alone_{os.getpid()}") as url,
        on_database(half_known, url) as harness,
        Scene(harness, tmp_path_factory.mktemp("alone")) as scene,
    ):
        scene.recover("account_sync")
        scene.assert_whole()
        return scene.changes()


@pytest.fixture
def deployment(
    half_known: Harness, durable_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """Dagster over that account, its daemon not started."""
    home = tmp_path_factory.mktemp("dagster")
    with Scene(half_known, home) as scene:
        deployment = Deployment(scene, home, durable_url, f"dagster_crowd_{os.getpid()}")
        deployment.create_storage()
        try:
            yield deployment
        finally:
            deployment.drop_storage()


def test_a_run_the_sensor_and_the_command_give_the_result_of_one(
    changes_of_one: list[dict[str, Any]], deployment: Deployment
) -> None:
    """The sensor's run is held in the middle of a read until both others wait for the account."""
    scene = deployment.scene
    assert scene.differences()
    held, waiting = threading.Event(), []

    def hold() -> None:
        held.set()
        waiting.append(wait_until("two other workers", lambda: two_wait(scene), SECONDS_MAX))

    scene.harness.simulator.simulator.faults.arm("call", path="insights$|^$", count=1, do=hold)
    with deployment.daemon(), deployment.webserver() as ui:
        assert held.wait(SECONDS_MAX), "the sensor started nothing"
        run_id = ui.submit_job_execution("account_sync_job", tags={"dagster/partition": KEY})
        command = subprocess.run(
            [str(PROGRAM), "sync"],
            env={**os.environ, **deployment.variables},
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
        wait_until("the end of every run", deployment.is_idle, SECONDS_MAX, every_seconds=0.3)
        deployment.wait_until_nothing_is_owed(SECONDS_MAX)
        with deployment.instance() as instance:
            runs = {run.run_id: run for run in instance.get_runs()}

    assert waiting
    assert command.returncode == 0, command.stderr
    assert runs[run_id].status is dg.DagsterRunStatus.SUCCESS
    assert "final_sync_job" in {run.job_name for run in runs.values()}
    scene.assert_whole()
    assert scene.changes() == changes_of_one


def two_wait(scene: Scene) -> bool:
    """Whether two workers wait for the account that another one holds."""
    return int(scene.harness.query(WAITING)[0]["waiting"]) >= 2
