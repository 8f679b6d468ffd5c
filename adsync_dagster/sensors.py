"""The sensors: one asks for final syncs when changes are pending, one adds new accounts.

The status change sensor looks at state, never at a cursor: a change is asked for again and
again until it is done. A tick that cannot look fails; it never says "nothing to do".
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import dagster as dg

from adsync_dagster.assets.account_asset import LOG_KEY, OWNERS
from adsync_dagster.assets.in_flight import (
    ATTEMPT_TAG,
    BATCH_TAG,
    accounts_in_flight,
    last_attempt_number,
    recent_attempts,
)
from adsync_dagster.assets.partitions import AD_ACCOUNTS, AD_ACCOUNTS_NAME, ensure_partitions
from adsync_dagster.assets.windows import Window, cut_windows, oldest_first
from adsync_dagster.clock import SystemClock
from adsync_dagster.crash_points import crash_point
from adsync_dagster.jobs import final_sync_job
from adsync_dagster.settings import Settings
from adsync_dagster.warehouse import accounts, changes, checks
from adsync_dagster.warehouse.changes import PendingSummary
from adsync_dagster.warehouse.database import Database
from adsync_dagster.wording import NO_ACCOUNT, as_sentence, counted

#: Runs asked for in one tick; the windows that waited longest come first, the rest next time.
REQUESTS_MAX = 25
#: Dagster ends a tick after 60 seconds and throws away what it found; this comes first.
TICK_SECONDS_MAX = 35.0
#: Accounts shown in the observation on the log.
ACCOUNTS_SHOWN = 20
NEW_ACCOUNT_INTERVAL_SECONDS = 30


@dataclass(slots=True)
class Findings:
    """What one tick saw, for its answer to people."""

    summaries: Sequence[PendingSummary]
    busy: int = 0
    waiting: int = 0
    requests: list[dg.RunRequest] = field(default_factory=list)
    postponed: int = 0

    def total(self, name: str) -> int:
        return sum(getattr(summary, name) for summary in self.summaries)

    def words(self) -> str:
        """What the tick saw and why it did what it did, for a person; nothing that is zero."""
        pending = self.total("pending")
        if not pending:
            return "no change owes a final sync"
        parts = [
            (len(self.requests), "{} started"),
            (self.busy, "{} at work on an account already"),
            (self.waiting, "{} waiting up to 15 minutes, because the last one died at its start"),
            (self.postponed, "{} left for the next tick"),
        ]
        runs = [words.format(counted(count, "run")) for count, words in parts if count]
        owed = f"{counted(pending, 'change')} in {counted(len(self.summaries), 'account')}"
        return "; ".join([f"{owed} owe a final sync", *self._why_not_due(), *runs])

    def _why_not_due(self) -> list[str]:
        words = [f"{self.total('due')} due now"]
        if failed := self.total("failed"):
            words.append(f"{failed} failed before and wait for their next attempt")
        if blocked := self.total("blocked"):
            words.append(f"{blocked} blocked until a person acts (check no_account_blocked)")
        return words

    def observation(self) -> dg.AssetObservation:
        """What the log asset shows for this tick."""
        oldest = sorted(self.summaries, key=lambda summary: summary.oldest)[:ACCOUNTS_SHOWN]
        return dg.AssetObservation(
            LOG_KEY,
            metadata={
                "pending": self.total("pending"),
                "due": self.total("due"),
                "blocked": self.total("blocked"),
                "runs_requested": len(self.requests),
                "accounts": dg.MetadataValue.table(
                    [
                        dg.TableRecord(
                            {
                                "account": summary.account_key,
                                "pending": summary.pending,
                                "due": summary.due,
                                "blocked": summary.blocked,
                                "oldest": summary.oldest.isoformat(timespec="seconds"),
                            }
                        )
                        for summary in oldest
                    ]
                ),
            },
        )


def find_final_syncs(
    instance: dg.DagsterInstance, warehouse: Database, *, window_size: int, now: datetime
) -> Findings:
    """Look at the pending changes and decide which windows need a run now.

    Accounts with a run in flight or a lock held are left alone; a window whose last run left
    no trace waits for its back-off; the windows that waited longest are asked for first. `now`
    is real time, the one of Dagster's records.
    """
    deadline = time.monotonic() + TICK_SECONDS_MAX
    with warehouse.connection() as connection:
        active = {account.key for account in accounts.list_accounts(connection)}
        summaries = [s for s in changes.pending_summary(connection) if s.account_key in active]
        locked = checks.locked_accounts(connection)
    findings = Findings(summaries=summaries)
    due = {summary.account_key: summary for summary in summaries if summary.due}
    if not due:
        return findings
    keys = ensure_partitions(instance, active)
    avoid = locked | accounts_in_flight(instance, ["final_sync"], keys, locked=locked, now=now)
    findings.busy = len(avoid & due.keys())
    windows = cut_windows(
        keys,
        size=window_size,
        wanted=due.keys() - avoid,
        avoid=avoid | (set(keys) - active),
    )
    recent = recent_attempts(instance, "final_sync", now)
    for window in oldest_first(windows, {key: s.oldest for key, s in due.items()}):
        batch = batch_of(window, due)
        if batch in recent and now < recent[batch].not_before:
            findings.waiting += 1
        elif len(findings.requests) >= REQUESTS_MAX or time.monotonic() > deadline:
            findings.postponed += 1
        else:
            attempt = last_attempt_number(instance, batch) + 1
            findings.requests.append(_request(window, batch, attempt))
    return findings


def batch_of(window: Window, due: Mapping[str, PendingSummary]) -> str:
    """A name for the window's work: it changes with every new change and every recorded failure.

    Runs with the same batch are attempts that left no trace in the change log.
    """
    summaries = [due[key] for key in window.wanted]
    newest = max(summary.max_seq for summary in summaries)
    tries = max(summary.max_attempts for summary in summaries)
    return f"{window.first}|{window.last}|change {newest}|failures {tries}"


def _request(window: Window, batch: str, attempt: int) -> dg.RunRequest:
    """The run for a window. Its key holds the attempt: Dagster never launches a key twice, not
    even after the run failed.
    """
    return dg.RunRequest(
        run_key=f"{batch}|attempt {attempt}",
        partition_key=window.partition_key,
        tags={**window.range_tags, BATCH_TAG: batch, ATTEMPT_TAG: str(attempt)},
    )


def build_status_change_sensor(settings: Settings) -> dg.SensorDefinition:
    """The sensor that turns pending changes into runs of `final_sync_job`."""

    @dg.sensor(
        name="status_change_sensor",
        job=final_sync_job,
        minimum_interval_seconds=settings.sensor_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Looks every few seconds whether a change in ad_status_change_log owes a final sync and"
            " is due, and starts final_sync_job for those accounts, the oldest first, one run per"
            " window of neighbouring accounts. Accounts that a run is at work on are left alone."
            " Nothing is remembered between ticks: a change is asked for again until it is done."
            " A skipped tick says how many changes are pending and why none of them was started."
        ),
        metadata={
            "starts": "final_sync_job",
            "looks_at": "ad_status_change_log",
            "run_key": "first account|last account|change NEWEST|failures SO FAR|attempt NUMBER",
        },
        owners=list(OWNERS),
    )
    def status_change_sensor(
        context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[Database]
    ) -> dg.SensorResult | dg.SkipReason:
        """Look, decide, and say why."""
        findings = find_final_syncs(
            context.instance,
            warehouse,
            window_size=settings.accounts_per_run,
            # Dagster's own records of runs are in real time, also where a test's clock is not.
            now=SystemClock().now(),
        )
        if not findings.requests:
            return dg.SkipReason(f"Nothing started: {findings.words()}.")
        context.log.info(findings.words())
        crash_point("sensor_tick_end")
        return dg.SensorResult(
            run_requests=findings.requests, asset_events=[findings.observation()]
        )

    return status_change_sensor


def build_new_account_sensor() -> dg.SensorDefinition:
    """The sensor that gives every account of the warehouse its partition."""

    @dg.sensor(
        name="new_account_sensor",
        minimum_interval_seconds=NEW_ACCOUNT_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Gives every account that appears in ad_accounts its partition. It starts no run: the"
            " next tick of account_sync_schedule reads the account. A removed account keeps its"
            " partition, and no run reads it."
        ),
        metadata={"looks_at": "ad_accounts"},
        owners=list(OWNERS),
    )
    def new_account_sensor(
        context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[Database]
    ) -> dg.SensorResult | dg.SkipReason:
        """Compare accounts and partitions."""
        with warehouse.connection() as connection:
            active = [account.key for account in accounts.list_accounts(connection)]
        known = set(context.instance.get_dynamic_partitions(AD_ACCOUNTS_NAME))
        new = [key for key in active if key not in known]
        if not new:
            return dg.SkipReason(
                f"No new account: all {len(active)} active accounts have their partition."
                if active
                else as_sentence(NO_ACCOUNT)
            )
        return dg.SensorResult(dynamic_partitions_requests=[AD_ACCOUNTS.build_add_request(new)])

    return new_account_sensor


def build_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """All sensors of the code location."""
    return [build_status_change_sensor(settings), build_new_account_sensor()]
