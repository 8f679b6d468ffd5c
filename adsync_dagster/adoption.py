"""adsync inside another Dagster project: definitions that merge with its own.

What a project of its own may take for granted, a guest may not: assets named `ads` or `metrics`,
a resource named `warehouse`, all asset checks of the location, an executor. So here keys can be
prefixed, jobs select exactly what is ours, and sensors and schedules open the warehouse
themselves. The only resource key that is taken is `adsync`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from adsync_dagster.alert_sensors import build_alert_sensors
from adsync_dagster.assets.metrics import METRICS
from adsync_dagster.definitions import build_definitions
from adsync_dagster.errors import UsageError
from adsync_dagster.jobs import backfill_job, build_backfill_job
from adsync_dagster.resources.environment import AdsyncResource
from adsync_dagster.resources.platforms import platform_resources as all_platform_resources
from adsync_dagster.resources.tokens import TokenVaultResource
from adsync_dagster.resources.warehouse import WarehouseResource, open_warehouse, warehouse_url
from adsync_dagster.settings import Settings
from adsync_dagster.sync.environment import Environment
from adsync_dagster.warehouse.database import Database

#: The resource that our sensors and schedules name; in a guest they are given it directly.
WAREHOUSE = "warehouse"

Chosen = bool | Sequence[str]


def adsync_definitions(
    *,
    settings: Settings | None = None,
    key_prefix: str | Sequence[str] = (),
    group_name: str | None = None,
    owners: Sequence[str] = (),
    sensors: Chosen = True,
    schedules: Chosen = True,
    alerts: bool = True,
    own_resources: bool = False,
) -> dg.Definitions:
    """Definitions of adsync to be merged with a project's own (`dg.Definitions.merge`).

    Args:
        settings: What the ADSYNC_ variables would say, for projects that keep their configuration
            elsewhere. `None` reads the environment, here and again in every run.
        key_prefix: Put before the key of every asset, one part or several: `ads` beside an asset
            `ads` of the project's own becomes `("marketing", "ads")`.
        group_name: The group of all assets; `None` keeps `ads`.
        owners: Who owns assets, jobs, sensors and schedules, as Dagster writes it: e-mail
            addresses and `team:NAME`. Nobody unless named: the teams are yours.
        sensors: All of them, none, or those named: `status_change_sensor`, `new_account_sensor`.
            Without the first, final syncs wait for the next account sync.
        schedules: All, none, or those named: `account_sync_schedule`, `settle_schedule`,
            `weekly_safety_net`, `health_checks_schedule`, `completeness_report_schedule`. The jobs
            are there in any case.
        alerts: Whether the sensors that tell people are included (they need a channel to speak).
        own_resources: Also the resources `warehouse`, `token_vault` and one per platform, for
            assets of the project's own. Off, because `warehouse` is a name others use as well.

    Returns:
        Assets, checks, jobs, sensors, schedules and the resource `adsync`. There is no executor:
        our jobs bring their own, and the project's serves the button "Materialize".

    Raises:
        UsageError: A variable is wrong, or a sensor or schedule is named that does not exist.
    """
    chosen = settings or Settings.from_environment()
    prefix = [key_prefix] if isinstance(key_prefix, str) else list(key_prefix)
    telling = build_alert_sensors(chosen, key_prefix=prefix, owners=owners)
    guests = _Guests(chosen, prefix, owners)
    jobs = guests.jobs()
    looking = [s for s in guests.own.sensors or () if s.name not in {t.name for t in telling}]
    return dg.Definitions(
        assets=guests.assets(group_name),
        asset_checks=guests.checks(),
        jobs=list(jobs.values()),
        sensors=[
            *(guests.sensor(sensor, jobs) for sensor in _chosen(looking, sensors)),
            *(telling if alerts else ()),
        ],
        schedules=[
            guests.schedule(schedule, jobs)
            for schedule in _chosen(list(guests.own.schedules or ()), schedules)
        ],
        resources={
            "adsync": AdsyncResource() if settings is None else _environment_of(settings),
            **(_resources(chosen) if own_resources else {}),
        },
    )


def _chosen(definitions: Sequence[Any], wanted: Chosen) -> list[Any]:
    """The definitions that are wanted; UsageError for a name that none of them has."""
    if isinstance(wanted, bool):
        return list(definitions) if wanted else []
    names = [definition.name for definition in definitions]
    if unknown := sorted(set(wanted) - set(names)):
        raise UsageError(f"there is no {', '.join(unknown)}; choose from {', '.join(names)}")
    return [definition for definition in definitions if definition.name in wanted]


def _environment_of(settings: Settings) -> dg.ResourceDefinition:
    """The resource `adsync` from settings in hand; they are in no launchpad and no log."""

    @dg.resource(description="Warehouse, clock, credentials and platform clients of one run.")
    def adsync(_: dg.InitResourceContext) -> Iterator[Environment]:
        warehouse_url(settings)
        environment = Environment.from_settings(settings)
        try:
            yield environment
        finally:
            environment.close()

    return adsync


def _resources(settings: Settings) -> dict[str, Any]:
    return {
        WAREHOUSE: WarehouseResource(),
        "token_vault": TokenVaultResource(),
        **all_platform_resources(settings),
    }


def _given(warehouse: Database, wanted: Collection[str]) -> dict[str, Database]:
    """The resources of a sensor or schedule: the warehouse, when it asks for it."""
    return {WAREHOUSE: warehouse} if WAREHOUSE in wanted else {}


def _asset_job(job: Any) -> Any:
    """A job that selects assets; ours are all of that kind but the backfill."""
    if not hasattr(job, "selection") and job.name != backfill_job.name:
        raise TypeError(f"{job.name} selects no assets, so its assets cannot be renamed")
    return job


class _Guests:
    """Our definitions under the keys that they have in somebody else's project."""

    def __init__(self, settings: Settings, prefix: Sequence[str], owners: Sequence[str]) -> None:
        self._settings = settings
        self._owners = list(owners)
        #: What adsync is in a project of its own: whatever is added there comes along here.
        self.own = build_definitions(settings)
        self._graph = self.own.resolve_asset_graph()
        self._keys = {
            key: dg.AssetKey([*prefix, *key.path]) for key in self._graph.get_all_asset_keys()
        }

    def assets(self, group_name: str | None) -> list[Any]:
        """The assets with their owners here, regrouped when a group is named."""
        moved = [self._asset(asset) for asset in self.own.assets or ()]
        return list(
            dg.map_asset_specs(
                lambda spec: spec.replace_attributes(
                    owners=self._owners, group_name=group_name or spec.group_name
                ),
                moved,
            )
        )

    def _asset(self, asset: Any) -> Any:
        if isinstance(asset, dg.AssetSpec):
            deps = [self._keys[dep.asset_key] for dep in asset.deps]
            return asset.replace_attributes(key=self._keys[asset.key], deps=deps)
        return asset.with_attributes(asset_key_replacements=self._keys)

    def checks(self) -> list[Any]:
        """The asset checks."""
        return [
            check.with_attributes(asset_key_replacements=self._keys)
            for check in self.own.asset_checks or ()
        ]

    def jobs(self) -> dict[str, Any]:
        """The jobs by name, each with what it selects among our own spelled out."""
        # It selects no assets: it is made anew, for the key that metrics has here.
        backfill = build_backfill_job(self._keys[METRICS.key], owners=self._owners)
        moved: dict[str, Any] = {
            job.name: dg.define_asset_job(
                job.name,
                selection=self._selection(job.selection),
                config=job.config,
                description=job.description,
                tags=job.tags,
                run_tags=job.run_tags,
                metadata=job.metadata,
                partitions_def=job.partitions_def,
                executor_def=job.executor_def,
                owners=self._owners,
            )
            for job in map(_asset_job, self.own.jobs or ())
            if job.name != backfill.name
        }
        return {**moved, backfill.name: backfill}

    def _selection(self, selection: dg.AssetSelection) -> dg.AssetSelection:
        keys = selection.resolve(self._graph)
        checks = selection.resolve_checks(self._graph)
        found = [
            dg.AssetCheckKey(self._keys[check.asset_key], check.name)
            for check in sorted(checks, key=lambda check: check.name)
        ]
        if not keys:
            return dg.AssetSelection.checks(*found)
        ours = dg.AssetSelection.assets(*(self._keys[key] for key in sorted(keys)))
        return ours.without_checks() | dg.AssetSelection.checks(*found)

    def sensor(self, sensor: dg.SensorDefinition, jobs: Mapping[str, Any]) -> dg.SensorDefinition:
        """The sensor with a warehouse of its own and our job."""
        # Dagster has no public way to the decorated function; a test would see it go.
        function: Callable[..., Any] = sensor._raw_fn  # noqa: SLF001

        def evaluate(context: dg.SensorEvaluationContext) -> Any:
            with open_warehouse(self._settings) as warehouse:
                given = _given(warehouse, sensor.required_resource_keys)
                return self._moved(function(context, **given))

        return dg.SensorDefinition(
            name=sensor.name,
            evaluation_fn=evaluate,
            minimum_interval_seconds=sensor.minimum_interval_seconds,
            default_status=sensor.default_status,
            description=sensor.description,
            job=jobs[str(sensor.job_name)] if sensor.has_jobs else None,
            metadata=sensor.metadata,
            owners=self._owners,
        )

    def _moved(self, answer: Any) -> Any:
        """A sensor's answer with the keys of what it observed moved."""
        if not isinstance(answer, dg.SensorResult) or not answer.asset_events:
            return answer
        return answer._replace(asset_events=[self._observed(e) for e in answer.asset_events])

    def _observed(self, event: Any) -> dg.AssetObservation:
        return dg.AssetObservation(
            self._keys[event.asset_key], description=event.description, metadata=event.metadata
        )

    def schedule(
        self, schedule: dg.ScheduleDefinition, jobs: Mapping[str, Any]
    ) -> dg.ScheduleDefinition:
        """The schedule with a warehouse of its own and our job."""
        decorated: Any = schedule._execution_fn  # noqa: SLF001  as for the sensor

        def evaluate(context: dg.ScheduleEvaluationContext) -> Iterator[Any]:
            with open_warehouse(self._settings) as warehouse:
                given = _given(warehouse, schedule.required_resource_keys)
                answer = decorated.decorated_fn(context, **given)
            yield from answer if isinstance(answer, list) else [answer]

        return dg.ScheduleDefinition(
            name=schedule.name,
            cron_schedule=schedule.cron_schedule,
            execution_timezone=schedule.execution_timezone,
            execution_fn=evaluate,
            default_status=schedule.default_status,
            description=schedule.description,
            job=jobs[schedule.job_name],
            owners=self._owners,
        )
