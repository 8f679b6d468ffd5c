"""The code location as Dagster loads it: names, order, schedules, limits, and no secrets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.run_status_sensor_definition import RunStatusSensorDefinition
from dagster._utils.schedules import cron_string_iterator

from adsync_dagster.alert_sensors import build_alert_sensors
from adsync_dagster.assets.account_sync import ACCOUNT_ASSETS
from adsync_dagster.assets.checks import CHECKS, WHAT_TO_DO
from adsync_dagster.assets.in_flight import KIND_TAG
from adsync_dagster.assets.launch_config import AccountSyncConfig, BackfillConfig
from adsync_dagster.definitions import build_definitions, defs
from adsync_dagster.jobs import JOBS
from adsync_dagster.schedules import SAFETY_NET_CRON, build_schedules
from adsync_dagster.sensors import build_sensors
from adsync_dagster.settings import Settings
from adsync_dagster.sync.reports import Step
from adsync_dagster.sync.verdict import COMMANDS

ROOT = Path(__file__).parents[2]


def test_everything_dagster_loads_is_bound() -> None:
    """Every job, sensor, schedule and asset finds the resources and assets that it names."""
    dg.Definitions.validate_loadable(defs)


def test_the_graph_has_no_cycle_not_even_through_the_log() -> None:
    """Dagster loads a cycle that passes through an external asset; sorting the graph finds it."""
    order = [key.to_user_string() for key in defs.resolve_asset_graph().toposorted_asset_keys]

    assert order.index("campaigns") < order.index("ad_sets") < order.index("ads")
    assert order.index("ads") < order.index("metrics")
    assert order.index("ads") < order.index("ad_status_change_log")
    assert order.index("ad_status_change_log") < order.index("final_sync_completion")
    assert order.index("ad_status_change_log") < order.index("weekly_safety_net")


def test_names_are_what_documents_and_operators_use() -> None:
    """Renaming an asset, job, sensor, schedule, check or resource breaks what people built."""
    repository = defs.get_repository_def()

    assert sorted(k.to_user_string() for k in defs.resolve_asset_graph().get_all_asset_keys()) == [
        "ad_sets",
        "ad_status_change_log",
        "ads",
        "campaigns",
        "completeness_report",
        "final_sync_completion",
        "metrics",
        "weekly_safety_net",
    ]
    assert sorted(
        job.name for job in repository.get_all_jobs() if not job.name.startswith("__")
    ) == [
        "account_sync_job",
        "backfill_job",
        "completeness_report_job",
        "entity_sync_job",
        "final_sync_job",
        "health_checks_job",
        "safety_net_job",
        "settle_job",
    ]
    assert sorted(s.name for s in repository.sensor_defs) == [
        "alert_sensor",
        "new_account_sensor",
        "run_failure_alert_sensor",
        "status_change_sensor",
    ]
    assert sorted(s.name for s in repository.schedule_defs) == [
        "account_sync_schedule",
        "completeness_report_schedule",
        "health_checks_schedule",
        "settle_schedule",
        "weekly_safety_net",
    ]
    assert sorted(check.name for check in CHECKS) == [
        "every_account_synced",
        "no_account_blocked",
        "no_final_sync_overdue",
        "oldest_pending_age",
        "open_days_past_due",
        "residuals_explained",
        "triggers_present_and_enabled",
    ]
    assert sorted(repository.get_top_level_resources()) == [
        "adsync",
        "facebook",
        "google_ads",
        "tiktok",
        "token_vault",
        "warehouse",
    ]


def test_the_log_is_external_and_everything_else_can_be_run() -> None:
    """Triggers write the log; a materialize button on it would promise what no run does."""
    graph = defs.resolve_asset_graph()

    external = {key.to_user_string() for key in graph.external_asset_keys}

    assert external == {"ad_status_change_log"}


def test_every_step_of_a_sync_is_an_asset() -> None:
    """No step of the account sync runs without showing in the graph, and none shows twice."""
    assert {asset.step for asset in ACCOUNT_ASSETS} == set(Step)
    assert len(ACCOUNT_ASSETS) == len(Step)


def test_assets_tell_people_what_they_are() -> None:
    """Each asset has a description, a group, an owner and kinds."""
    for spec in defs.resolve_all_asset_specs():
        assert spec.description, spec.key
        assert spec.group_name == "ads"
        assert spec.owners == ["team:ads-data"]
        assert spec.kinds, spec.key


def test_every_column_of_a_table_is_described() -> None:
    """The catalog shows each table's name and each column with its type and meaning."""
    tables = [spec for spec in defs.resolve_all_asset_specs() if "table" in spec.kinds]

    assert len(tables) >= 5
    for spec in tables:
        assert spec.metadata["dagster/table_name"], spec.key
        schema = spec.metadata["dagster/column_schema"]
        assert schema.columns, spec.key
        assert all(column.type and column.description for column in schema.columns), spec.key


def test_jobs_sensors_schedules_and_checks_tell_people_what_they_are() -> None:
    """Each has a sentence or two, and all but checks, which have no such field, an owner."""
    repository = defs.get_repository_def()
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]

    for definition in [*jobs, *repository.sensor_defs, *repository.schedule_defs]:
        assert definition.description, definition.name
        assert len(definition.description) > 40, definition.name
        # Dagster's run failure sensors cannot have one.
        if not isinstance(definition, RunStatusSensorDefinition):
            assert definition.owners == ["team:ads-data"], definition.name
    for checks in defs.asset_checks or []:
        for spec in checks.check_specs:
            assert spec.description, spec.name
            assert len(spec.description) > 40, spec.name


def test_resources_tell_people_what_they_are() -> None:
    """The page of a resource says what it is for, in the words of its docstring."""
    for name, resource in defs.get_repository_def().get_top_level_resources().items():
        assert resource.description, name


def test_every_field_of_a_launchpad_has_a_sentence() -> None:
    """What a person may type is explained beside the editor, with its bound and default."""
    for config in (AccountSyncConfig, BackfillConfig):
        for name, field in config.model_fields.items():
            assert field.description, name
            assert len(field.description) > 40, name


def test_every_run_stays_in_one_process() -> None:
    """Every job, the one behind the UI's button included, runs in a single process."""
    repository = defs.get_repository_def()

    assert {job.executor_def.name for job in repository.get_all_jobs()} == {"in_process"}


def test_every_job_carries_its_kind_and_every_kind_has_a_limit() -> None:
    """Limits in dagster.yaml name exactly the kinds there are, and leave a slot for final syncs."""
    runs = _dagster_yaml()["concurrency"]["runs"]
    limits = {entry["value"]: entry["limit"] for entry in runs["tag_concurrency_limits"]}

    kinds = {job.name: defs.resolve_job_def(job.name).tags[KIND_TAG] for job in JOBS}

    assert set(limits) == set(kinds.values())
    assert all(entry["key"] == KIND_TAG for entry in runs["tag_concurrency_limits"])
    # The long ones together: whole syncs and settling.
    assert limits["account_sync"] + limits["settle"] < runs["max_concurrent_runs"]
    assert limits["final_sync"] >= 1


def test_account_jobs_do_not_run_the_checks_of_all_accounts() -> None:
    """A window of accounts does not pay for checks that look at every account."""
    for name in ("account_sync_job", "entity_sync_job", "final_sync_job", "settle_job"):
        assert [node.name for node in defs.resolve_job_def(name).nodes] == ["account_sync"]


def test_every_tick_source_is_on_and_explains_itself() -> None:
    """Sensors and schedules run from the start and say in words what they do."""
    for sensor in [*build_sensors(Settings()), *build_alert_sensors(Settings())]:
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
        assert sensor.description
    for schedule in build_schedules(Settings()):
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
        assert schedule.description
        assert schedule.execution_timezone == "UTC"


def test_settings_reach_the_definitions() -> None:
    """Cron line, time zone, look interval and window size come from the settings."""
    settings = Settings(
        sync_cron="15 */2 * * *",
        timezone="Europe/Berlin",
        sensor_interval_seconds=7,
        accounts_per_run=3,
    )
    built = build_definitions(settings).get_repository_def()

    schedule = built.get_schedule_def("account_sync_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone) == (
        "15 */2 * * *",
        "Europe/Berlin",
    )
    assert built.get_sensor_def("status_change_sensor").minimum_interval_seconds == 7
    policy = built.assets_defs_by_key[dg.AssetKey("campaigns")].backfill_policy
    assert policy == dg.BackfillPolicy.multi_run(3)


def test_loading_needs_no_database() -> None:
    """Definitions load with a database that does not answer: only runs and ticks open it."""
    nowhere = Settings(database_url="postgresql://nobody@127.0.0.1:1/nowhere")

    dg.Definitions.validate_loadable(build_definitions(nowhere))


def test_every_check_says_what_to_do() -> None:
    """A failing check tells the operator the next step, and no advice is left over."""
    assert set(WHAT_TO_DO) == {check.name for check in CHECKS}
    # `adsync verify` and the report ask all but the warning about slow work, and say commands.
    assert set(COMMANDS) == set(WHAT_TO_DO) - {"oldest_pending_age"}
    assert not [text for text in COMMANDS.values() if "launchpad" in text or "_job" in text]


def test_no_configuration_field_takes_a_secret_or_an_address() -> None:
    """Whoever may start a run cannot read a credential or send one elsewhere through config."""
    words = ("token", "secret", "password", "credential", "url", "host", "key")
    names = list(_config_field_names())

    assert "everything_open" in names
    assert [name for name in names if any(word in name.lower() for word in words)] == []


def _config_field_names() -> Iterator[str]:
    """Field names of every config schema a launchpad accepts, below ops and resources."""
    repository = defs.get_repository_def()
    for resource in repository.get_top_level_resources().values():
        yield from _fields(resource.config_schema.config_type)
    for job in repository.get_all_jobs():
        for node in job.nodes:
            definition = node.definition
            assert isinstance(definition, dg.OpDefinition)
            yield from _fields(definition.config_schema.config_type)


def _fields(config_type: Any) -> Iterator[str]:
    for name, field in getattr(config_type, "fields", {}).items():
        yield name
        yield from _fields(field.config_type)


def test_metadata_of_specs_holds_no_secret_words() -> None:
    """Spec metadata and tags are stored for ever and shown to everybody."""
    for spec in defs.resolve_all_asset_specs():
        assert "sim_" not in repr(spec.metadata)
        assert "://" not in repr(spec.metadata)


@pytest.mark.parametrize(
    ("zone", "sunday", "expected"),
    [
        ("UTC", "2027-03-14", ["02:00"]),
        ("America/New_York", "2027-03-14", ["03:00"]),
        ("Europe/Berlin", "2027-03-28", ["03:00"]),
        ("Europe/Berlin", "2027-10-31", ["02:00"]),
        ("Europe/London", "2027-03-28", ["02:00"]),
    ],
)
def test_the_weekly_net_runs_once_on_days_of_23_and_25_hours(
    zone: str, sunday: str, expected: list[str]
) -> None:
    """Sunday 02:00 that does not exist becomes 03:00; the doubled one in autumn ticks once."""
    schedule = next(
        s for s in build_schedules(Settings(timezone=zone)) if s.name == "weekly_safety_net"
    )
    midnight = datetime.fromisoformat(sunday).replace(tzinfo=ZoneInfo(zone))

    ticks = []
    for tick in cron_string_iterator(midnight.timestamp(), SAFETY_NET_CRON, zone):
        if tick.astimezone(ZoneInfo(zone)).date().isoformat() != sunday:
            break
        ticks.append(tick.astimezone(ZoneInfo(zone)).strftime("%H:%M"))

    assert (schedule.cron_schedule, schedule.execution_timezone) == (SAFETY_NET_CRON, zone)
    assert ticks == expected


def test_the_workspace_names_the_code_location() -> None:
    """`dagster dev -w workspace.yaml` loads this package under a name of its own."""
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text(encoding="utf-8"))

    assert workspace == {
        "load_from": [
            {
                "python_module": {
                    "module_name": "adsync_dagster.definitions",
                    "location_name": "adsync_dagster",
                }
            }
        ]
    }


def test_dagster_keeps_its_promises_about_queue_logs_and_telemetry() -> None:
    """A run starts a second after the tick, shows the services' lines, and nothing phones home."""
    config = _dagster_yaml()

    assert config["run_queue"]["dequeue_interval_seconds"] == 1
    assert config["python_logs"]["managed_python_loggers"] == ["adsync_dagster"]
    assert config["telemetry"]["enabled"] is False
    assert config["run_monitoring"]["max_runtime_seconds"] > 0
    assert config["run_retries"]["max_retries"] == 0


def _dagster_yaml() -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded
