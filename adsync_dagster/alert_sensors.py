"""The sensors that tell people: one notes failed runs, one looks, compares and sends.

Both are on and quiet: with no channel configured they say so and do nothing. Only
`alert_sensor` sends, one message per channel and tick, so a hundred failed runs are one
message too. It reads the warehouse itself, and so does not depend on the runs it watches over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import dagster as dg
import orjson

from adsync_dagster.alert_sources import (
    Scope,
    ended_of,
    failed_runs,
    failing_checks,
    failure_of,
    made_good,
)
from adsync_dagster.alerts.delivery import Channel, channels_of
from adsync_dagster.alerts.problems import Kind, Problem, instant
from adsync_dagster.alerts.rendering import one_problem
from adsync_dagster.alerts.telling import (
    Round,
    end_failed_runs,
    note_failed_run,
    note_states,
    tell,
    warehouse_problems,
)
from adsync_dagster.assets.account_asset import OWNERS
from adsync_dagster.assets.partitions import AD_ACCOUNTS_NAME
from adsync_dagster.clock import SystemClock
from adsync_dagster.errors import AdsyncError
from adsync_dagster.jobs import JOBS
from adsync_dagster.resources.warehouse import open_warehouse
from adsync_dagster.settings import Settings
from adsync_dagster.sync.verdict import FINAL_SYNC_OVERDUE
from adsync_dagster.warehouse import accounts, alerts
from adsync_dagster.warehouse.database import Connection, Database

ALERT_INTERVAL_SECONDS = 60
#: Runs that failed are looked for again this far back: a record may appear late.
OVERLAP = timedelta(minutes=2)
#: A restart of the database is not worth a message.
DOWN_HOLD = timedelta(minutes=2)
NOT_CONFIGURED = (
    "No alert channel is configured, nobody is told: set ADSYNC_ALERT_WEBHOOK_URL or"
    " ADSYNC_ALERT_EMAIL_TO"
)
OpenWarehouse = Callable[[], AbstractContextManager[Database]]


@dataclass(slots=True)
class Memory:
    """What a tick leaves for the next one, in Dagster's cursor: only what the table cannot hold."""

    #: Failed runs up to here are noted (ISO, real time).
    swept: str = ""
    #: Failed runs of the last look, which the next one may see again.
    seen: list[str] = field(default_factory=list)
    #: Since when the warehouse cannot be used, and which channels know it.
    down_since: str = ""
    down_told: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, cursor: str | None) -> Memory:
        """From a cursor; a new memory when there is none, or one of another shape."""
        try:
            found = orjson.loads(cursor or "{}")
            return cls(**{name: found[name] for name in cls.__dataclass_fields__ if name in found})
        except (orjson.JSONDecodeError, TypeError, AttributeError):
            return cls()

    def text(self) -> str:
        """As a cursor."""
        return orjson.dumps(self).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What the sensors look at, and how they reach the warehouse and people."""

    settings: Settings
    scope: Scope
    open_warehouse: OpenWarehouse
    channels: Mapping[str, Channel]


def look_and_tell(
    watch: Watch,
    instance: dg.DagsterInstance,
    location: str | None,
    memory: Memory,
) -> str:
    """One tick: what is wrong, what of it is news, tell it. The answer is for people."""
    try:
        with watch.open_warehouse() as warehouse, warehouse.connection() as connection:
            recovered = _warehouse_is_back(watch, memory)
            with alerts.sole_teller(connection) as alone:
                if not alone:
                    return Round(elsewhere=True).words()
                _note(watch, connection, instance, location, memory)
                done = tell(connection, watch.channels, watch.settings.alerts)
            return done.words() + recovered
    except AdsyncError as error:
        return _warehouse_is_down(watch, memory, error)


def _note(
    watch: Watch,
    connection: Connection,
    instance: dg.DagsterInstance,
    location: str | None,
    memory: Memory,
) -> None:
    channels = list(watch.channels)
    keys = instance.get_dynamic_partitions(AD_ACCOUNTS_NAME)
    _sweep(watch, connection, instance, location, memory)
    note_states(
        connection,
        channels,
        warehouse_problems(connection, FINAL_SYNC_OVERDUE, watch.scope.asset_of),
    )
    note_states(connection, channels, failing_checks(watch.scope, instance), [Kind.FAILED_CHECK])
    active = {account.key for account in accounts.list_accounts(connection)}
    end_failed_runs(connection, lambda problem: made_good(instance, problem, keys, active))


def _sweep(
    watch: Watch,
    connection: Connection,
    instance: dg.DagsterInstance,
    location: str | None,
    memory: Memory,
) -> None:
    """Note failed runs that the run failure sensor could not, the warehouse being away."""
    until = SystemClock().now()
    if memory.swept:
        keys = instance.get_dynamic_partitions(AD_ACCOUNTS_NAME)
        since = datetime.fromisoformat(memory.swept) - OVERLAP
        records, reached = failed_runs(instance, since)
        before, memory.seen = set(memory.seen), []
        for record in records:
            memory.seen.append(record.dagster_run.run_id)
            is_known = record.dagster_run.run_id in before
            if not is_known and watch.scope.has(record.dagster_run, location):
                problem = failure_of(record.dagster_run, ended_of(record), keys)
                note_failed_run(connection, list(watch.channels), problem)
        until = until if reached is None else reached + OVERLAP
    memory.swept = until.isoformat()


def _warehouse_is_down(watch: Watch, memory: Memory, error: AdsyncError) -> str:
    """Tell it without the table, which is away as well; the cursor remembers who knows."""
    now = SystemClock().now()
    memory.down_since = memory.down_since or now.isoformat()
    words = [f"The warehouse cannot be used: {error}"]
    if now - datetime.fromisoformat(memory.down_since) < DOWN_HOLD:
        return words[0]
    problem = _outage(memory)
    for name, channel in watch.channels.items():
        if name in memory.down_told:
            continue
        try:
            channel.send(one_problem("New", problem))
        except AdsyncError as failure:
            words.append(f"NOT told by {name}, tried again at the next look: {failure}")
        else:
            memory.down_told.append(name)
            words.append(f"told by {name}")
    return "; ".join(words)


def _warehouse_is_back(watch: Watch, memory: Memory) -> str:
    """Tell those who know of the outage that it is over; what to add to the tick's answer."""
    words = []
    for name in list(memory.down_told):
        if name in watch.channels:
            try:
                watch.channels[name].send(one_problem("Over", _outage(memory)))
            except AdsyncError as failure:
                words.append(f"; NOT told by {name} that the warehouse is back: {failure}")
                continue
        memory.down_told.remove(name)
        words.append(f"; told by {name} that the warehouse is back")
    if not memory.down_told:
        memory.down_since = ""
    return "".join(words)


def _outage(memory: Memory) -> Problem:
    since = instant(datetime.fromisoformat(memory.down_since).astimezone(UTC))
    return Problem(kind=Kind.WAREHOUSE, subject="warehouse", since=since)


def build_alert_sensor(watch: Watch, owners: Sequence[str]) -> dg.SensorDefinition:
    """The sensor that looks and tells."""

    @dg.sensor(
        name="alert_sensor",
        minimum_interval_seconds=ALERT_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Tells people, by webhook or e-mail, of failed runs, blocked accounts, overdue final"
            " syncs, unexplained residuals and failing checks: each once, again after"
            " ADSYNC_ALERT_REMINDER_HOURS, and when it is over. It starts no run. Without a"
            " channel it does nothing."
        ),
        owners=list(owners),
    )
    def alert_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        """Look, compare, tell, and say what was done."""
        if not watch.channels:
            return dg.SkipReason(NOT_CONFIGURED)
        memory = Memory.read(context.cursor)
        location = context.code_location_origin
        words = look_and_tell(
            watch, context.instance, location.location_name if location else None, memory
        )
        context.log.info(words)
        return dg.SensorResult(skip_reason=words, cursor=memory.text())

    return alert_sensor


def build_run_failure_alert_sensor(watch: Watch) -> dg.SensorDefinition:
    """The sensor that notes a failed run as soon as Dagster knows of it."""

    @dg.run_failure_sensor(
        name="run_failure_alert_sensor",
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Notes every failed run of this project in ad_alerts; alert_sensor tells it. A run"
            " that Dagster will retry is left to its retry. Without a channel it does nothing."
        ),
    )
    def run_failure_alert_sensor(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
        """Note the failure; when the warehouse is away, alert_sensor finds it later."""
        run = context.dagster_run
        if not watch.channels:
            return dg.SkipReason(NOT_CONFIGURED)
        # The location was matched by Dagster already.
        if not watch.scope.has(run):
            return None
        [record] = context.instance.get_run_records(dg.RunsFilter(run_ids=[run.run_id]))
        keys = context.instance.get_dynamic_partitions(AD_ACCOUNTS_NAME)
        try:
            with watch.open_warehouse() as warehouse, warehouse.connection() as connection:
                problem = failure_of(run, ended_of(record), keys)
                note_failed_run(connection, list(watch.channels), problem)
        except AdsyncError as error:
            context.log.warning("Not noted now, alert_sensor finds it later: %s", error)
        return None

    return run_failure_alert_sensor


def build_alert_sensors(
    settings: Settings,
    *,
    key_prefix: Sequence[str] = (),
    owners: Sequence[str] = OWNERS,
    warehouse: OpenWarehouse | None = None,
) -> list[dg.SensorDefinition]:
    """Both sensors. `warehouse` replaces how the database is opened, for tests."""
    watch = Watch(
        settings=settings,
        scope=Scope(job_names=frozenset(job.name for job in JOBS), key_prefix=tuple(key_prefix)),
        open_warehouse=warehouse or (lambda: open_warehouse(settings)),
        channels=channels_of(settings.alerts),
    )
    return [build_alert_sensor(watch, owners), build_run_failure_alert_sensor(watch)]
