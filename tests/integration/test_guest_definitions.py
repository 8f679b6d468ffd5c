"""adsync merged into a project that has assets, checks and a resource of the same names."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.definitions.run_status_sensor_definition import RunStatusSensorDefinition
from dagster_support import pause_a_campaign
from harness import Harness

from adsync_dagster import adsync_definitions
from adsync_dagster.assets.checks import CHECKS
from adsync_dagster.assets.partitions import AD_ACCOUNTS_NAME
from adsync_dagster.definitions import defs as standalone
from adsync_dagster.errors import UsageError
from adsync_dagster.settings import Settings

PREFIX = ("marketing", "paid")


class SomebodysWarehouse(dg.ConfigurableResource[Any]):
    """A resource that has nothing to do with us."""


@dg.asset
def ads() -> int:
    """An asset of the project's own, named like one of ours."""
    return 1


@dg.asset(deps=[dg.AssetKey([*PREFIX, "metrics"])])
def spend_report() -> None:
    """An asset of the project's own that reads ours."""


@dg.asset_check(asset=ads)
def ads_are_fine() -> dg.AssetCheckResult:
    """A check of the project's own."""
    return dg.AssetCheckResult(passed=True)


OWN = dg.Definitions(
    assets=[ads, spend_report],
    asset_checks=[ads_are_fine],
    resources={"warehouse": SomebodysWarehouse()},
    executor=dg.multiprocess_executor,
)


@pytest.fixture
def harness(database_url: str, tmp_path: Path) -> Iterator[Harness]:
    """A simulated account, connected and not yet synced."""
    with Harness(database_url, tmp_path / "home", campaigns=1, adsets=1, ads=2) as harness:
        yield harness


@pytest.fixture
def merged(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    """The project with us in it, our settings passed and not in the environment."""
    monkeypatch.setenv("ADSYNC_NOW", harness.clock.now().isoformat())
    settings = replace(harness.settings, database_url=harness.url)
    guest = adsync_definitions(settings=settings, key_prefix=PREFIX, group_name="paid")
    merged = dg.Definitions.merge(OWN, guest)
    dg.Definitions.validate_loadable(merged)
    return merged


def keys_of(definitions: dg.Definitions) -> set[str]:
    """All asset keys."""
    return {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}


def test_every_asset_of_ours_is_prefixed_and_grouped(merged: dg.Definitions) -> None:
    """Keys, dependencies, groups: ours move, the project's stay, and the graph still sorts."""
    ours = {f"marketing/paid/{key}" for key in keys_of(standalone)}
    assert keys_of(merged) == {"ads", "spend_report"} | ours
    graph = merged.resolve_asset_graph()
    order = [key.to_user_string() for key in graph.toposorted_asset_keys]
    assert order.index("marketing/paid/ads") < order.index("marketing/paid/metrics")
    assert order.index("marketing/paid/metrics") < order.index("spend_report")
    assert graph.get(dg.AssetKey("ads")).group_name == "default"
    assert {graph.get(k).group_name for k in graph.get_all_asset_keys() if len(k.path) > 1} == {
        "paid"
    }


@pytest.mark.parametrize("owners", [[], ["team:marketing", "ads@example.com"]])
def test_ours_belong_to_whom_the_project_says(harness: Harness, owners: list[str]) -> None:
    """Assets, jobs, sensors and schedules have the owners that were named, and no team of ours."""
    settings = replace(harness.settings, database_url=harness.url)
    guest = adsync_definitions(settings=settings, key_prefix=PREFIX, owners=owners)
    repository = guest.get_repository_def()
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    named = [
        *guest.resolve_all_asset_specs(),
        *jobs,
        *(s for s in repository.sensor_defs if not isinstance(s, RunStatusSensorDefinition)),
        *repository.schedule_defs,
    ]

    assert len(named) > 20
    for definition in named:
        assert list(definition.owners or ()) == owners, definition


def test_a_sync_its_sensor_and_its_checks_run_under_the_prefix(
    merged: dg.Definitions, harness: Harness
) -> None:
    """A simulated account is synced, a stopped campaign is asked for, the checks judge."""
    key = harness.account.key
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions(AD_ACCOUNTS_NAME, [key])
        result = merged.resolve_job_def("account_sync_job").execute_in_process(
            instance=instance, partition_key=key
        )
        assert result.success
        assert harness.differences() == []
        synced = {
            e.asset_key.to_user_string()
            for e in result.get_asset_materialization_events()
            if e.asset_key
        }
        assert synced == {
            f"marketing/paid/{name}"
            for name in ("campaigns", "ad_sets", "ads", "metrics", "final_sync_completion")
        }

        pause_a_campaign(harness.environment.database, harness.account)
        answer = tick(merged, "status_change_sensor", instance)
        assert [request.partition_key for request in answer.run_requests or ()] == [key]
        [observation] = answer.asset_events
        assert observation.asset_key == dg.AssetKey([*PREFIX, "ad_status_change_log"])
        assert merged.get_sensor_def("status_change_sensor").job_name == "final_sync_job"

        checked = merged.resolve_job_def("health_checks_job").execute_in_process(instance=instance)
        evaluations = checked.get_asset_check_evaluations()
        assert {e.check_name for e in evaluations} == {check.name for check in CHECKS}
        assert {e.asset_key.path[:-1] == list(PREFIX) for e in evaluations} == {True}


def tick(definitions: dg.Definitions, name: str, instance: dg.DagsterInstance) -> Any:
    """A tick of a sensor, as the daemon evaluates it."""
    sensor = definitions.get_sensor_def(name)
    repository = definitions.get_repository_def()
    with (
        partition_loading_context(dynamic_partitions_store=instance),
        dg.build_sensor_context(instance=instance, repository_def=repository) as context,
    ):
        return sensor.evaluate_tick(context)


def test_a_schedule_opens_the_warehouse_itself(merged: dg.Definitions, harness: Harness) -> None:
    """The project's `warehouse` is something else; the schedule still finds its accounts."""
    schedule = merged.get_schedule_def("account_sync_schedule")
    with dg.instance_for_test() as instance:
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=harness.clock.now(),
            repository_def=merged.get_repository_def(),
        )
        data = schedule.evaluate_tick(context)
    assert [request.partition_key for request in data.run_requests or ()] == [harness.account.key]


def test_a_project_chooses_what_it_wants() -> None:
    """Sensors, schedules, alerts and resources by name or not at all."""
    few = adsync_definitions(
        settings=Settings(),
        sensors=["status_change_sensor"],
        schedules=False,
        alerts=False,
        own_resources=True,
    )
    assert [sensor.name for sensor in few.sensors or ()] == ["status_change_sensor"]
    assert few.schedules == []
    assert {"adsync", "warehouse", "token_vault", "facebook"} <= set(few.resources or {})
    assert keys_of(few) == keys_of(standalone)
    alone = adsync_definitions(settings=Settings())
    assert set(alone.resources or {}) == {"adsync"}
    assert {s.name for s in alone.sensors or ()} == {s.name for s in standalone.sensors or ()}
    assert {s.name for s in alone.schedules or ()} == {s.name for s in standalone.schedules or ()}


def test_a_name_that_does_not_exist_is_refused() -> None:
    """A typing mistake must not silently leave a sensor out."""
    with pytest.raises(UsageError, match=r"no status_chnage_sensor; choose from .*status_change"):
        adsync_definitions(settings=Settings(), sensors=["status_chnage_sensor"])


def test_importing_the_package_loads_no_dagster() -> None:
    """`adsync --help` stays quick: the public names are loaded when they are asked for."""
    code = (
        "import sys, adsync_dagster; assert 'dagster' not in sys.modules;"
        "from adsync_dagster import AdSyncComponent, adsync_definitions;"
        "assert 'dagster' in sys.modules; assert 'adsync_definitions' in dir(adsync_dagster)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
