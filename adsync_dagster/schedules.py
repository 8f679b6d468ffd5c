"""The schedules. They run in ADSYNC_TIMEZONE, UTC unless it is set.

In a zone with daylight saving, Sunday 02:00 can be the hour that does not exist: the weekly
net then runs at 03:00 local time on that day, and once, not twice, in autumn. Ticks that were
missed while the daemon was down are caught up (Dagster's default, up to five).
"""

from __future__ import annotations

from collections.abc import Collection

import dagster as dg

from adsync_dagster.assets.account_asset import OWNERS
from adsync_dagster.assets.in_flight import accounts_in_flight, kind_in_flight
from adsync_dagster.assets.partitions import ensure_partitions
from adsync_dagster.assets.windows import cut_windows
from adsync_dagster.clock import SystemClock
from adsync_dagster.jobs import (
    account_sync_job,
    completeness_report_job,
    health_checks_job,
    safety_net_job,
    settle_job,
)
from adsync_dagster.settings import Settings
from adsync_dagster.warehouse import accounts, checks
from adsync_dagster.warehouse.database import Database
from adsync_dagster.wording import NO_ACCOUNT, as_sentence

SETTLE_CRON = "30 4 * * *"
SAFETY_NET_CRON = "0 2 * * 0"
HEALTH_CHECKS_CRON = "*/30 * * * *"
#: When the daily settle job has had time to seal what it can.
COMPLETENESS_REPORT_CRON = "0 6 * * *"

ScheduleAnswer = list[dg.RunRequest] | dg.SkipReason


def window_requests(
    context: dg.ScheduleEvaluationContext,
    warehouse: Database,
    kinds: Collection[str],
    *,
    window_size: int,
) -> ScheduleAnswer:
    """A run per window of active accounts, leaving out those whose last such run still lives."""
    with warehouse.connection() as connection:
        active = {account.key for account in accounts.list_accounts(connection)}
        locked = checks.locked_accounts(connection)
    if not active:
        return dg.SkipReason(as_sentence(NO_ACCOUNT))
    keys = ensure_partitions(context.instance, active)
    busy = accounts_in_flight(context.instance, kinds, keys, locked=locked, now=SystemClock().now())
    windows = cut_windows(
        keys,
        size=window_size,
        wanted=active - busy,
        avoid=busy | (set(keys) - active),
    )
    if not windows:
        return dg.SkipReason(
            f"Nothing started: all {len(active)} active accounts still have a run at work."
        )
    tick = context.scheduled_execution_time.isoformat()
    return [
        dg.RunRequest(
            run_key=f"{tick}|{window.first}",
            partition_key=window.partition_key,
            tags=window.range_tags,
        )
        for window in windows
    ]


def build_account_sync_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Every account, whole, as often as ADSYNC_SYNC_CRON says (hourly by default)."""

    @dg.schedule(
        name="account_sync_schedule",
        job=account_sync_job,
        cron_schedule=settings.sync_cron,
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            "Syncs every active account whole, a run per window of accounts: final syncs,"
            " campaigns, ad sets, ads, metrics of the days that are due. An account whose last"
            " sync is still running is left to it. ADSYNC_SYNC_CRON says when, ADSYNC_TIMEZONE"
            " in which zone."
        ),
        owners=list(OWNERS),
    )
    def account_sync_schedule(
        context: dg.ScheduleEvaluationContext, warehouse: dg.ResourceParam[Database]
    ) -> ScheduleAnswer:
        """Cut the accounts into windows and ask for a run each."""
        return window_requests(
            context, warehouse, ["account_sync"], window_size=settings.accounts_per_run
        )

    return account_sync_schedule


def build_settle_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Once a day, every open day of every account."""

    @dg.schedule(
        name="settle_schedule",
        job=settle_job,
        cron_schedule=SETTLE_CRON,
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            "Once a day: reads every open day of every active account again, as long as the"
            " platform may still revise it, and seals the days that have become final."
        ),
        owners=list(OWNERS),
    )
    def settle_schedule(
        context: dg.ScheduleEvaluationContext, warehouse: dg.ResourceParam[Database]
    ) -> ScheduleAnswer:
        """Cut the accounts into windows and ask for a run each."""
        return window_requests(
            context, warehouse, ["settle"], window_size=settings.accounts_per_run
        )

    return settle_schedule


def build_weekly_safety_net(settings: Settings) -> dg.ScheduleDefinition:
    """Sunday at two, over all accounts, in one run."""

    @dg.schedule(
        name="weekly_safety_net",
        job=safety_net_job,
        cron_schedule=SAFETY_NET_CRON,
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            "Sundays at 02:00: lists every account afresh, logs stops that left no row in the"
            " change log (a trigger disabled, a restore), and runs every final sync that is owed."
        ),
        owners=list(OWNERS),
    )
    def weekly_safety_net(
        context: dg.ScheduleEvaluationContext, warehouse: dg.ResourceParam[Database]
    ) -> dg.RunRequest | dg.SkipReason:
        """One run, unless there is no account or the last one is still at it."""
        return _one_run(context, warehouse, "safety_net")

    return weekly_safety_net


def build_health_checks_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """All asset checks, every half hour."""

    @dg.schedule(
        name="health_checks_schedule",
        job=health_checks_job,
        cron_schedule=HEALTH_CHECKS_CRON,
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            "Every half hour: runs all asset checks over all accounts. They find overdue final"
            " syncs, blocked accounts, days that do not add up and triggers that are off."
        ),
        owners=list(OWNERS),
    )
    def health_checks_schedule(
        context: dg.ScheduleEvaluationContext, warehouse: dg.ResourceParam[Database]
    ) -> dg.RunRequest | dg.SkipReason:
        """One run, unless there is no account or the last one is still at it."""
        return _one_run(context, warehouse, "health_checks")

    return health_checks_schedule


def build_completeness_report_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """The completeness report, every morning."""

    @dg.schedule(
        name="completeness_report_schedule",
        job=completeness_report_job,
        cron_schedule=COMPLETENESS_REPORT_CRON,
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every morning: writes the completeness report on all accounts.",
        owners=list(OWNERS),
    )
    def completeness_report_schedule(
        context: dg.ScheduleEvaluationContext, warehouse: dg.ResourceParam[Database]
    ) -> dg.RunRequest | dg.SkipReason:
        """One run, unless there is no account or the last one is still at it."""
        return _one_run(context, warehouse, "completeness_report")

    return completeness_report_schedule


def _one_run(
    context: dg.ScheduleEvaluationContext, warehouse: Database, kind: str
) -> dg.RunRequest | dg.SkipReason:
    with warehouse.connection() as connection:
        count = len(accounts.list_accounts(connection))
    if not count:
        return dg.SkipReason(as_sentence(NO_ACCOUNT))
    if kind_in_flight(context.instance, kind, now=context.scheduled_execution_time):
        return dg.SkipReason(f"Nothing started: the last {kind} run has not ended.")
    return dg.RunRequest(run_key=context.scheduled_execution_time.isoformat())


def build_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """All schedules of the code location."""
    return [
        build_account_sync_schedule(settings),
        build_settle_schedule(settings),
        build_weekly_safety_net(settings),
        build_health_checks_schedule(settings),
        build_completeness_report_schedule(settings),
    ]
