"""Starting Dagster runs as the UI does, over GraphQL, and waiting for them to end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from dagster import DagsterRunStatus
from dagster_graphql import DagsterGraphQLClient

from adsync_dagster.assets.windows import Window
from adsync_dagster.demo.stage import Stage
from adsync_dagster.errors import Retryable

#: Far beyond what a run takes, also on a busy laptop: the demo ends rather than hang.
RUN_SECONDS_MAX = 600
_ENDED = {DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED}


@dataclass(frozen=True, slots=True)
class Run:
    """A run that ended."""

    id: str
    succeeded: bool
    seconds: float


def launch(stage: Stage, job: str, accounts: Sequence[str] = ()) -> Run:
    """Launch a job through the webserver and wait for its end; the daemon executes it.

    `accounts` are neighbouring partition keys, in their order: one run covers all of them.
    """
    began = time.monotonic()
    tags = {} if not accounts else Window(wanted=tuple(accounts)).range_tags
    run_id = stage.dagster.submit_job_execution(job, tags={**tags, "adsync/started_by": "demo"})
    return _wait(stage.dagster, run_id, began)


def _wait(client: DagsterGraphQLClient, run_id: str, began: float) -> Run:
    while time.monotonic() - began < RUN_SECONDS_MAX:
        status = client.get_run_status(run_id)
        if status in _ENDED:
            return Run(run_id, status == DagsterRunStatus.SUCCESS, time.monotonic() - began)
        time.sleep(0.3)
    raise Retryable(f"run {run_id} did not end within {RUN_SECONDS_MAX} s; see the UI")
