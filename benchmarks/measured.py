"""One measured process: `python -m benchmarks.measured`, a task on stdin, figures on stdout.

Every measurement has a process of its own, so that its peak of memory is its own and nothing
is warm that would not be warm in production.
"""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path

import psycopg

from adsync_dagster.calendar import account_day
from adsync_dagster.clock import SystemClock
from adsync_dagster.records import DateRange, Platform
from adsync_dagster.settings import Settings
from adsync_dagster.settlement import history_start
from adsync_dagster.sync.account_sync import sync_account
from adsync_dagster.sync.environment import Environment
from adsync_dagster.sync.metrics import MetricsScope
from adsync_dagster.sync.reports import ALL_STEPS, Step
from adsync_dagster.warehouse.database import Database
from adsync_dagster.warehouse.tokens import TokenVault
from benchmarks.floor import Floor
from benchmarks.meter import Meter
from benchmarks.shapes import ACCOUNT_KEY, Figures, Task
from benchmarks.stages import Stopwatch, Traffic, time_stages, time_steps, watch_traffic


def main() -> None:
    """Do the task and print its figures."""
    task = Task.from_dict(json.loads(sys.stdin.readline()))
    logging.disable(logging.INFO)
    figures = _floor(task) if task.kind == "floor" else _sync(task)
    print(json.dumps(asdict(figures)))


def _floor(task: Task) -> Figures:
    exchanges = json.loads(Path(task.requests_file).read_text(encoding="utf-8"))
    with psycopg.connect(task.database_url, autocommit=True) as connection:
        floor = Floor(task.base_url, connection)
        meter = Meter(Path(task.home))
        floor.run(exchanges)
        return meter.figures(requests=len(exchanges), bytes=floor.bytes, rows=floor.rows)


def _sync(task: Task) -> Figures:
    """Every step of a sync: the first load, or with `reload` the same days once more."""
    environment = environment_of(task)
    days = _all_days(environment, task) if task.kind == "reload" else None
    traffic, steps = Traffic(), {"entities": 0.0, "metrics": 0.0}
    watch_traffic(traffic)
    time_steps(steps)
    watch = Stopwatch()
    time_stages(watch)
    meter = Meter(Path(task.home))
    watch.restart()
    report = sync_account(environment, ACCOUNT_KEY, ALL_STEPS, scope=MetricsScope(days=days))
    stages = watch.stop()
    if report.error is not None:
        raise SystemExit(f"the sync failed: {report.error}")
    counts = report.steps[Step.METRICS].counts
    figures = meter.figures(
        requests=len(traffic.requests),
        bytes=traffic.bytes,
        rows=counts["rows"],
        stages=stages,
        entity_seconds=steps["entities"],
        metrics_seconds=steps["metrics"],
        counts=counts,
    )
    environment.close()
    if task.kind == "record":
        Path(task.requests_file).write_text(json.dumps(traffic.requests), encoding="utf-8")
    return figures


def environment_of(task: Task) -> Environment:
    """The surroundings of a production sync: defaults, the machine's clock, a stored token."""
    defaults = Settings()
    home = Path(task.home)
    settings = Settings(
        home=home,
        # Today is a day of the range as well; it has no rows yet.
        history_days=task.shape.days + 1,
        base_urls={**defaults.base_urls, Platform.FACEBOOK: task.base_url},
    )
    clock = SystemClock()
    return Environment(
        database=Database(task.database_url, clock),
        clock=clock,
        settings=settings,
        vault=TokenVault.from_settings(settings),
    )


def _all_days(environment: Environment, task: Task) -> DateRange:
    """The days of the first load, sealed ones included."""
    now, zone = environment.clock.now(), task.shape.timezone
    rules = environment.adapter(Platform.FACEBOOK).rules
    return DateRange(since=history_start(now, zone, rules), until=account_day(now, zone))


if __name__ == "__main__":
    main()
