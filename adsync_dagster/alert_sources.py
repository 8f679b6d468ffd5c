"""What Dagster itself knows to be wrong: runs that failed, and results of asset checks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from adsync_dagster.alerts.problems import Kind, Problem, instant
from adsync_dagster.assets.ad_sets import AD_SETS
from adsync_dagster.assets.ads import ADS
from adsync_dagster.assets.campaigns import CAMPAIGNS
from adsync_dagster.assets.checks import CHECKS
from adsync_dagster.assets.final_sync_completion import FINAL_SYNC_COMPLETION
from adsync_dagster.assets.metrics import METRICS
from adsync_dagster.assets.safety_net import SAFETY_NET_KEY
from adsync_dagster.assets.windows import keys_of_run
from adsync_dagster.sync.verdict import WHAT_TO_DO

RUNS_MAX = 500
WILL_RETRY_TAG = "dagster/will_retry"
#: Dagster's own job behind the button "Materialize".
HAND_JOB = "__ASSET_JOB"
BY_HAND = "assets started by hand"
#: Checks about single accounts, which the warehouse answers with names (`problems_now`).
ANSWERED_BY_THE_WAREHOUSE = {"no_account_blocked", "no_final_sync_overdue", "residuals_explained"}
#: A success of these jobs makes good for a failure of that one, account by account.
ALSO_DONE_BY = {
    "final_sync_job": ["account_sync_job"],
    "entity_sync_job": ["account_sync_job"],
    HAND_JOB: ["account_sync_job"],
}
SHOWN_ON = {
    Kind.BLOCKED_ACCOUNT: FINAL_SYNC_COMPLETION.key,
    Kind.BLOCKED_CHANGES: FINAL_SYNC_COMPLETION.key,
    Kind.OVERDUE_CHANGES: FINAL_SYNC_COMPLETION.key,
    Kind.RESIDUALS: METRICS.key,
}
_ASSETS = frozenset(
    {SAFETY_NET_KEY, *(a.key for a in (CAMPAIGNS, AD_SETS, ADS, METRICS, FINAL_SYNC_COMPLETION))}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What of a Dagster deployment is ours."""

    job_names: frozenset[str]
    #: Parts put before the keys of assets in a project that prefixes them.
    key_prefix: tuple[str, ...] = ()

    def asset_of(self, kind: Kind) -> str:
        """The path of the asset that a kind of problem shows on."""
        return "/".join((*self.key_prefix, *SHOWN_ON[kind].path))

    def advice_by_check(self) -> dict[dg.AssetCheckKey, str]:
        """Checks whose stored results are looked at, with the advice for each."""
        return {
            dg.AssetCheckKey(self._prefixed(check.asset_key), check.name): WHAT_TO_DO[check.name]
            for check in CHECKS
            if check.name not in ANSWERED_BY_THE_WAREHOUSE
        }

    def has(self, run: dg.DagsterRun, location: str | None = None) -> bool:
        """Whether a failure of the run is for us to tell: our job or assets, in our location.

        A run that Dagster is about to retry is not: its retry decides.
        """
        if run.tags.get(WILL_RETRY_TAG) == "true":
            return False
        origin = run.remote_job_origin
        if location is not None and origin is not None:
            found = origin.repository_origin.code_location_origin.location_name
            if found != location:
                return False
        assets = {self._prefixed(key) for key in _ASSETS}
        return run.job_name in self.job_names or not assets.isdisjoint(run.asset_selection or ())

    def _prefixed(self, key: dg.AssetKey) -> dg.AssetKey:
        return dg.AssetKey([*self.key_prefix, *key.path])


def failure_of(run: dg.DagsterRun, ended: float, keys: Sequence[str]) -> Problem:
    """The problem that a failed run is; runs of one job are the same problem."""
    shown = instant(datetime.fromtimestamp(ended, tz=UTC))
    return Problem(
        kind=Kind.FAILED_RUN,
        subject=BY_HAND if run.job_name == HAND_JOB else run.job_name,
        run_id=run.run_id,
        ended=ended,
        accounts=tuple(keys_of_run(run.tags, keys)),
        since=shown,
        until=shown,
    )


def failed_runs(
    instance: dg.DagsterInstance, since: datetime
) -> tuple[list[dg.RunRecord], datetime | None]:
    """Runs that failed since then (real time), oldest first; how far it reaches when cut short."""
    records = list(
        instance.get_run_records(
            dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since),
            limit=RUNS_MAX,
            order_by="update_timestamp",
            ascending=True,
        )
    )
    if len(records) < RUNS_MAX:
        return records, None
    return records, records[-1].update_timestamp.replace(tzinfo=UTC)


def ended_of(record: dg.RunRecord) -> float:
    """When a run ended, in seconds since 1970."""
    return record.end_time or record.update_timestamp.replace(tzinfo=UTC).timestamp()


def failing_checks(scope: Scope, instance: dg.DagsterInstance) -> list[Problem]:
    """The checks whose last result is a failure that is an error, from Dagster's own records."""
    advice_by_key = scope.advice_by_check()
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        list(advice_by_key)
    )
    problems = []
    for key, record in records.items():
        event = record.event.dagster_event if record.event else None
        evaluation: Any = event.event_specific_data if event else None
        if not isinstance(evaluation, dg.AssetCheckEvaluation) or evaluation.passed:
            continue
        if evaluation.severity is not dg.AssetCheckSeverity.ERROR:
            continue
        found = evaluation.metadata.get("found")
        problems.append(
            Problem(
                kind=Kind.FAILED_CHECK,
                subject=key.asset_key.to_user_string(),
                reason=key.name,
                count=(found.value or 0) if isinstance(found, dg.IntMetadataValue) else 0,
                asset=key.asset_key.to_user_string(),
                advice=advice_by_key[key],
            )
        )
    return problems


def made_good(
    instance: dg.DagsterInstance, problem: Problem, keys: Sequence[str], active: Collection[str]
) -> bool:
    """Whether later runs succeeded for every account, still active, that a failed run was about."""
    job = HAND_JOB if problem.subject == BY_HAND else problem.subject
    records = [
        record
        for name in (job, *ALSO_DONE_BY.get(job, ()))
        for record in instance.get_run_records(
            dg.RunsFilter(
                job_name=name,
                statuses=[dg.DagsterRunStatus.SUCCESS],
                updated_after=datetime.fromtimestamp(problem.ended, tz=UTC),
            ),
            limit=RUNS_MAX,
        )
        if (record.start_time or 0) > problem.ended
    ]
    wanted = set(problem.accounts) & set(active)
    if not problem.accounts:
        return bool(records)
    done = {key for record in records for key in keys_of_run(record.dagster_run.tags, keys)}
    return wanted <= done
