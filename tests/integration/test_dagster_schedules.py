"""The schedules against a real instance and a real Postgres: windows, skips and run keys."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster_support import add_accounts, end_run, record_run, start_run

from adsync_dagster.assets.in_flight import (
    ENDING,
    KIND_TAG,
    RUNTIME_MAX,
    START_MAX,
    kind_in_flight,
)
from adsync_dagster.assets.windows import RANGE_END_TAG, RANGE_START_TAG
from adsync_dagster.clock import SystemClock
from adsync_dagster.errors import AdsyncError
from adsync_dagster.schedules import build_schedules
from adsync_dagster.settings import Settings
from adsync_dagster.warehouse import accounts
from adsync_dagster.warehouse.database import Database

TICK = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A real instance with storage of its own."""
    with dg.instance_for_test() as instance:
        yield instance


def tick(
    name: str, instance: dg.DagsterInstance, database: Database, *, at: datetime = TICK
) -> list[dg.RunRequest] | str:
    """The runs that a schedule's tick asks for, or the reason why it skips."""
    schedule = next(s for s in build_schedules(Settings(accounts_per_run=4)) if s.name == name)
    with dg.build_schedule_context(
        instance=instance, scheduled_execution_time=at, resources={"warehouse": database}
    ) as context:
        answer = schedule(context)
    if isinstance(answer, dg.SkipReason):
        return answer.skip_message or ""
    return [answer] if isinstance(answer, dg.RunRequest) else list(answer)


@pytest.mark.parametrize("name", [s.name for s in build_schedules(Settings())])
def test_without_accounts_every_schedule_skips_and_says_how_to_add_one(
    name: str, instance: dg.DagsterInstance, database: Database
) -> None:
    """A fresh installation ticks in peace."""
    assert (
        tick(name, instance, database)
        == "There is no account to sync; add one with `adsync accounts add`."
    )


@pytest.mark.parametrize("name", ["account_sync_schedule", "settle_schedule"])
def test_every_active_account_is_in_exactly_one_window(
    name: str, instance: dg.DagsterInstance, database: Database
) -> None:
    """Ten accounts in windows of four: three runs, contiguous, with keys of their own."""
    all_accounts = add_accounts(database, 10)

    requests = tick(name, instance, database)

    assert isinstance(requests, list)
    assert [(r.tags[RANGE_START_TAG], r.tags[RANGE_END_TAG]) for r in requests] == [
        (all_accounts[0].key, all_accounts[3].key),
        (all_accounts[4].key, all_accounts[7].key),
        (all_accounts[8].key, all_accounts[9].key),
    ]
    keys = {request.run_key for request in requests}
    later = tick(name, instance, database, at=TICK + timedelta(hours=1))
    assert isinstance(later, list)
    assert len(keys) == 3
    assert keys.isdisjoint({request.run_key for request in later})


def test_a_single_account_is_a_partition_of_its_own(
    instance: dg.DagsterInstance, database: Database
) -> None:
    """One account makes a plain partitioned run, which is what the UI shows best."""
    account = add_accounts(database, 1)[0]

    requests = tick("account_sync_schedule", instance, database)

    assert isinstance(requests, list)
    assert [(r.partition_key, dict(r.tags)) for r in requests] == [(account.key, {})]


def test_accounts_whose_sync_still_runs_and_removed_ones_are_left_out(
    instance: dg.DagsterInstance, database: Database
) -> None:
    """An hour that was too short for one account does not pile up runs for it."""
    all_accounts = add_accounts(database, 4)
    first = tick("account_sync_schedule", instance, database)
    assert isinstance(first, list)
    record_run(
        instance,
        {KIND_TAG: "account_sync", "dagster/partition": all_accounts[1].key},
        dg.DagsterRunStatus.STARTED,
    )
    with database.connection() as connection:
        accounts.deactivate(connection, all_accounts[3])

    requests = tick("account_sync_schedule", instance, database)

    assert isinstance(requests, list)
    assert [request.partition_key for request in requests] == [
        all_accounts[0].key,
        all_accounts[2].key,
    ]


def test_when_every_account_is_in_flight_the_schedule_skips_until_the_run_ends(
    instance: dg.DagsterInstance, database: Database
) -> None:
    """A whole window in flight is a skip; its failure frees the accounts for the next hour."""
    add_accounts(database, 2)
    first = tick("account_sync_schedule", instance, database)
    assert isinstance(first, list)
    run = start_run(instance, first[0], kind="account_sync")

    assert tick("account_sync_schedule", instance, database) == (
        "Nothing started: all 2 active accounts still have a run at work."
    )
    end_run(instance, run, success=False)
    assert isinstance(tick("account_sync_schedule", instance, database), list)


def test_a_run_of_another_kind_holds_no_schedule_back(
    instance: dg.DagsterInstance, database: Database
) -> None:
    """Settling and syncing wait for each other at the account's lock, not in the queue."""
    add_accounts(database, 2)
    first = tick("settle_schedule", instance, database)
    assert isinstance(first, list)
    start_run(instance, first[0], kind="settle")

    assert isinstance(tick("account_sync_schedule", instance, database), list)
    assert isinstance(tick("settle_schedule", instance, database), str)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("weekly_safety_net", "safety_net"),
        ("health_checks_schedule", "health_checks"),
        ("completeness_report_schedule", "completeness_report"),
    ],
)
def test_a_job_over_all_accounts_runs_once_at_a_time(
    name: str, kind: str, instance: dg.DagsterInstance, database: Database
) -> None:
    """The weekly net and the checks are one run each, and not a second beside the first."""
    add_accounts(database, 2)
    requests = tick(name, instance, database)
    assert isinstance(requests, list)
    assert [request.run_key for request in requests] == [TICK.isoformat()]

    start_run(instance, requests[0], kind=kind)

    assert tick(name, instance, database) == (
        f"Nothing started: the last {kind} run has not ended."
    )


@pytest.mark.parametrize(
    ("name", "kind", "seconds"),
    [
        ("weekly_safety_net", "safety_net", None),
        ("health_checks_schedule", "health_checks", 600),
    ],
)
def test_a_run_whose_host_died_stops_counting_when_its_time_is_over(
    name: str, kind: str, seconds: int | None, database: Database
) -> None:
    """Where Dagster's run monitoring is off, it stays STARTED for ever, and blocks nothing."""
    add_accounts(database, 1)
    limit = {} if seconds is None else {"dagster/max_runtime": str(seconds)}
    longest = RUNTIME_MAX if seconds is None else timedelta(seconds=seconds)
    with dg.instance_for_test() as instance:
        assert not instance.run_monitoring_enabled
        record_run(instance, {KIND_TAG: kind, **limit}, dg.DagsterRunStatus.STARTED)
        now = datetime.now(tz=UTC)

        alive = tick(name, instance, database, at=now + longest - timedelta(minutes=1))
        assert alive == f"Nothing started: the last {kind} run has not ended."
        over = tick(name, instance, database, at=now + longest + ENDING + timedelta(minutes=1))
        assert isinstance(over, list)


def test_a_run_that_never_begins_stops_counting_after_an_hour(
    instance: dg.DagsterInstance, database: Database
) -> None:
    """Its host died between the queue and its start."""
    add_accounts(database, 1)
    record_run(instance, {KIND_TAG: "safety_net"}, dg.DagsterRunStatus.NOT_STARTED)
    now = datetime.now(tz=UTC)

    assert isinstance(tick("weekly_safety_net", instance, database, at=now), str)
    assert kind_in_flight(instance, "safety_net", now=now + START_MAX - timedelta(minutes=1))
    assert not kind_in_flight(instance, "safety_net", now=now + START_MAX + timedelta(minutes=1))


def test_a_schedule_that_cannot_look_fails(instance: dg.DagsterInstance) -> None:
    """An unreachable warehouse is a failed tick, never "no account"."""
    nowhere = Database("postgresql://nobody@127.0.0.1:1/nowhere", SystemClock())

    with pytest.raises(AdsyncError):
        tick("account_sync_schedule", instance, nowhere)
