"""What the Dagster tests share: accounts and changes in the warehouse, runs in an instance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg
from dagster._core.test_utils import create_run_for_test

from adsync_dagster.assets.in_flight import KIND_TAG
from adsync_dagster.records import Account, AccountInfo, Platform
from adsync_dagster.warehouse import accounts
from adsync_dagster.warehouse.database import Database


def add_accounts(database: Database, count: int) -> list[Account]:
    """Accounts act_000, act_001 and so on, in the order of their keys."""
    with database.connection() as connection:
        return [
            accounts.add_account(
                connection,
                Platform.FACEBOOK,
                AccountInfo(
                    platform_account_id=f"act_{number:03}",
                    name=f"Shop {number}",
                    currency="USD",
                    timezone="UTC",
                    status="1",
                ),
            )
            for number in range(count)
        ]


def pause_a_campaign(
    database: Database, account: Account, platform_id: str = "c1", *, since: str | None = None
) -> None:
    """Let a trigger log one pending change of the account; `since` backdates it (SQL interval)."""
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO ad_campaigns (ad_account_id, platform, platform_campaign_id, name, status)"
            " VALUES (%s, 'facebook', %s, 'Spring', 'ACTIVE')",
            (account.id, platform_id),
        )
        if since is not None:
            connection.execute(
                "SELECT set_config('adsync.now', (adsync_now() - %s::interval)::text, false)",
                (since,),
            )
        connection.execute(
            "UPDATE ad_campaigns SET status = 'PAUSED'"
            " WHERE ad_account_id = %s AND platform_campaign_id = %s",
            (account.id, platform_id),
        )
        connection.execute("SELECT set_config('adsync.now', '', false)")


def finish_changes(database: Database, account: Account) -> None:
    """Settle everything the account owes, as a final sync would."""
    with database.connection() as connection:
        connection.execute(
            "SELECT mark_final_sync_completed(id) FROM ad_status_change_log"
            " WHERE NOT final_sync_completed AND ad_account_id = %s",
            (account.id,),
        )


def start_run(
    instance: dg.DagsterInstance,
    request: dg.RunRequest,
    *,
    kind: str = "final_sync",
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED,
) -> str:
    """Record the run that a request asks for, as the daemon would; returns its id."""
    tags: dict[str, str] = {KIND_TAG: kind, **request.tags}
    if request.partition_key is not None:
        tags["dagster/partition"] = request.partition_key
    if request.run_key is not None:
        tags["dagster/run_key"] = request.run_key
    return record_run(instance, tags, status)


def record_run(
    instance: dg.DagsterInstance, tags: Mapping[str, str], status: dg.DagsterRunStatus
) -> str:
    """A run with these tags in that status; returns its id."""
    run = create_run_for_test(instance, job_name="final_sync_job", tags=dict(tags))
    _report(instance, run, status)
    return run.run_id


def end_run(instance: dg.DagsterInstance, run_id: str, *, success: bool) -> None:
    """End a recorded run."""
    run = instance.get_run_by_id(run_id)
    assert run is not None
    _report(instance, run, dg.DagsterRunStatus.SUCCESS if success else dg.DagsterRunStatus.FAILURE)


_EVENTS: Mapping[dg.DagsterRunStatus, Sequence[dg.DagsterEventType]] = {
    dg.DagsterRunStatus.NOT_STARTED: [],
    dg.DagsterRunStatus.STARTED: [dg.DagsterEventType.PIPELINE_START],
    dg.DagsterRunStatus.SUCCESS: [dg.DagsterEventType.PIPELINE_SUCCESS],
    dg.DagsterRunStatus.FAILURE: [dg.DagsterEventType.PIPELINE_FAILURE],
}


def _report(instance: dg.DagsterInstance, run: dg.DagsterRun, status: dg.DagsterRunStatus) -> None:
    for event_type in _EVENTS[status]:
        instance.report_dagster_event(
            dg.DagsterEvent(event_type_value=event_type.value, job_name=run.job_name),
            run_id=run.run_id,
        )


def now() -> datetime:
    """Real time, which Dagster's records of runs are in."""
    return datetime.now(tz=UTC)
