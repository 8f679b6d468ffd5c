"""What a worker process of a crash test does: build its environment as production does, and sync.

It runs in a process forked from a clean server (multiprocessing's forkserver), so that a worker
costs a tenth of a second and not two, and dies as any process dies.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from adsync_dagster.platforms.facebook import FacebookAdapter
from adsync_dagster.platforms.facebook_wire import ReadLimits
from adsync_dagster.records import Platform
from adsync_dagster.settings import Settings
from adsync_dagster.sync.account_sync import sync_account
from adsync_dagster.sync.environment import Environment
from adsync_dagster.sync.final_sync import process_all_pending_final_syncs
from adsync_dagster.sync.reports import AccountReport, FinalSyncReport, Step

#: As long as the job of the sensor waits for an account.
LOCK_WAIT_SECONDS = 20.0
#: Small pages, so that a small account has many places to die at.
PAGES = ReadLimits(entity_page_rows=6, insights_page_rows=20, page_rows_floor=5, batch_items_max=2)


def run(variables: Mapping[str, str], job: str, account_key: str, answer: str) -> None:
    """Do one job in this process and write its reports, one for each thread, to a file."""
    for name in [name for name in os.environ if name.startswith(("ADSYNC_", "DAGSTER_"))]:
        del os.environ[name]
    os.environ.update(variables)
    environment = Environment.from_settings(Settings.from_environment())
    if job == "sensor_tick":
        _write(answer, [_tick(environment)])
        return
    adapter = environment.adapter(Platform.FACEBOOK)
    assert isinstance(adapter, FacebookAdapter)
    environment._adapters[Platform.FACEBOOK] = replace(adapter, limits=PAGES)
    name, _, threads = job.partition("*")
    reports: list[dict[str, Any]] = []
    workers = [
        threading.Thread(target=lambda: reports.append(_facts(_do(environment, name, account_key))))
        for _ in range(int(threads or "1"))
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    environment.close()
    _write(answer, reports)


def _write(answer: str, reports: list[dict[str, Any]]) -> None:
    draft = Path(answer).with_suffix(".draft")
    draft.write_text(json.dumps(reports), encoding="utf-8")
    draft.rename(answer)


def _tick(environment: Environment) -> dict[str, Any]:
    """One tick of the status change sensor, as Dagster's code server evaluates it."""
    import dagster as dg  # noqa: PLC0415 - costs seconds that no other job needs

    from adsync_dagster.sensors import build_status_change_sensor  # noqa: PLC0415

    sensor = build_status_change_sensor(environment.settings)
    with (
        dg.DagsterInstance.get() as instance,
        dg.build_sensor_context(
            instance=instance, resources={"warehouse": environment.database}
        ) as context,
    ):
        result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    return {"run_keys": [request.run_key for request in result.run_requests or []]}


def _do(environment: Environment, job: str, account_key: str) -> AccountReport | FinalSyncReport:
    if job == "pending":
        return process_all_pending_final_syncs(environment, account_key)
    if job == "final_sync":
        return sync_account(
            environment,
            account_key,
            frozenset({Step.FINAL_SYNCS}),
            lock_wait_seconds=LOCK_WAIT_SECONDS,
        )
    if job == "account_sync":
        return sync_account(environment, account_key, lock_wait_seconds=LOCK_WAIT_SECONDS)
    raise ValueError(job)


def _facts(report: AccountReport | FinalSyncReport) -> dict[str, Any]:
    return {name: getattr(report, name) for name in ("error", "error_family", "busy")}
