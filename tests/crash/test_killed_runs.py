"""Account syncs run by Dagster's daemon die at every named place, by either signal."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import dagster as dg
import pytest
from crash_daemon import Deployment
from crash_scene import Scene, live, wait_until
from dagster_graphql import DagsterGraphQLClient
from harness import KEY, Harness

from adsync_dagster.crash_points import POINTS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.proof,
    pytest.mark.timeout(1200),
]

RUN_SECONDS_MAX = 180.0
#: A whole sync, but for the place that belongs to the sensor (test_killed_sensor.py).
PLACES = [name for name in POINTS if name != "sensor_tick_end"]
ENDED_BADLY = {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
ENDED = {dg.DagsterRunStatus.SUCCESS, *ENDED_BADLY}


@pytest.fixture(scope="module")
def deployment(
    durable_url: str, synced: Harness, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """The synced account four hours later, with a running daemon."""
    synced.advance(hours=4)
    # Small pages, so that a small account has many places to die at.
    synced.simulator.simulator.facebook.settings.update(
        {"page_size_max": 13, "insights_page_size_max": 20}
    )
    home = tmp_path_factory.mktemp("dagster")
    with Scene(synced, home) as scene:
        deployment = Deployment(scene, home, durable_url, f"dagster_runs_{os.getpid()}")
        deployment.create_storage()
        try:
            with deployment.daemon():
                yield deployment
        finally:
            deployment.drop_storage()


@pytest.fixture(scope="module")
def ui(deployment: Deployment) -> Iterator[DagsterGraphQLClient]:
    """The webserver that runs are launched through."""
    with deployment.webserver() as client:
        yield client


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM"])
def test_a_run_that_dies_at_any_place_is_followed_by_one_that_makes_it_whole(
    deployment: Deployment,
    ui: DagsterGraphQLClient,
    how: str,
    record_property: Callable[[str, object], None],
) -> None:
    """At each place an ad stops, a run dies, and the next one (or the sensor's) is exact."""
    scene = deployment.scene
    for place in PLACES:
        let_an_ad_stop(scene.harness, f"{place} {how}")
        assert scene.differences(), f"{place}: there is nothing that could be lost"
        # A run of the sensor's, asked for before all was whole, must not be the one that dies.
        wait_until("the end of every run", deployment.is_idle, RUN_SECONDS_MAX, every_seconds=0.3)
        deployment.arm(f"{place}:{how}")
        dying = launch(ui)
        deployment.wait_until_hit(RUN_SECONDS_MAX)
        scene.assert_nothing_early()
        assert status_at_end(ui, dying) in ENDED_BADLY, place

        began = time.monotonic()
        assert status_at_end(ui, launch(ui)) is dg.DagsterRunStatus.SUCCESS, place
        record_property(f"run ended by {how}: recovery seconds", round(time.monotonic() - began, 2))
        scene.assert_whole()


def let_an_ad_stop(harness: Harness, name: str) -> None:
    """A new ad, one paused with late conversions, and nobody has looked yet."""
    ad = live(harness, "ad")[0]
    harness.world.create_ad(harness.world.ancestors(harness.world.entity("ad", ad))[-1].id, name)
    harness.world.late_conversions(ad, harness.today(), 2, 30)
    harness.world.pause("ad", ad)


def launch(ui: DagsterGraphQLClient) -> str:
    """Launch a sync of the account as a person does."""
    run_id: str = ui.submit_job_execution("account_sync_job", tags={"dagster/partition": KEY})
    return run_id


def status_at_end(ui: DagsterGraphQLClient, run_id: str) -> dg.DagsterRunStatus:
    """The run's status once it has ended."""
    status: dg.DagsterRunStatus = wait_until(
        "the end of the run",
        lambda: ended if (ended := ui.get_run_status(run_id)) in ENDED else None,
        RUN_SECONDS_MAX,
        every_seconds=0.3,
    )
    return status
