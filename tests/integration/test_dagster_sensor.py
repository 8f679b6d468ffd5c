"""The sensors against a real instance and a real Postgres: state, not cursors; nothing starves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import dagster as dg
import pytest
from dagster_support import (
    add_accounts,
    end_run,
    finish_changes,
    now,
    pause_a_campaign,
    start_run,
)

from adsync_dagster.assets.in_flight import GRACE
from adsync_dagster.assets.windows import RANGE_END_TAG, RANGE_START_TAG
from adsync_dagster.clock import SystemClock
from adsync_dagster.errors import AdsyncError
from adsync_dagster.sensors import (
    REQUESTS_MAX,
    build_new_account_sensor,
    build_status_change_sensor,
    find_final_syncs,
)
from adsync_dagster.settings import Settings
from adsync_dagster.warehouse import accounts
from adsync_dagster.warehouse.database import Database


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A real instance with storage of its own."""
    with dg.instance_for_test() as instance:
        yield instance


def look(
    instance: dg.DagsterInstance,
    database: Database,
    *,
    window_size: int = 10,
    at: datetime | None = None,
) -> list[dg.RunRequest]:
    """The runs that a tick asks for."""
    return find_final_syncs(instance, database, window_size=window_size, now=at or now()).requests


def tick(
    sensor: dg.SensorDefinition, instance: dg.DagsterInstance, database: Database
) -> dg.SensorResult | dg.SkipReason:
    """One tick of a sensor, as the daemon's code server evaluates it."""
    with dg.build_sensor_context(instance=instance, resources={"warehouse": database}) as context:
        answer = sensor(context)
    assert isinstance(answer, dg.SensorResult | dg.SkipReason)
    return answer


def test_nothing_pending_is_a_skip_in_plain_words(
    instance: dg.DagsterInstance, database: Database
) -> None:
    """A quiet tick says what it looked at instead of nothing."""
    add_accounts(database, 2)

    answer = tick(build_status_change_sensor(Settings()), instance, database)

    assert isinstance(answer, dg.SkipReason)
    assert answer.skip_message == "Nothing started: no change owes a final sync."


def test_a_status_change_asks_for_a_final_sync_and_shows_on_the_log(
    instance: dg.DagsterInstance, database: Database
) -> None:
    """One paused campaign: one run of its account, and an observation with the numbers."""
    account = add_accounts(database, 3)[1]
    pause_a_campaign(database, account)

    answer = tick(build_status_change_sensor(Settings()), instance, database)

    assert isinstance(answer, dg.SensorResult)
    assert answer.run_requests is not None
    assert [request.partition_key for request in answer.run_requests] == [account.key]
    observation = answer.asset_events[0]
    assert isinstance(observation, dg.AssetObservation)
    assert observation.asset_key == dg.AssetKey("ad_status_change_log")
    assert observation.metadata["pending"].value == 1
    assert observation.metadata["runs_requested"].value == 1


def test_pending_then_in_flight_then_failed_then_a_new_attempt_then_done(
    instance: dg.DagsterInstance, database: Database
) -> None:
    """The whole life of a change: a failed run is asked for again, under a new run key."""
    account = add_accounts(database, 1)[0]
    pause_a_campaign(database, account)

    first = look(instance, database)[0]
    run = start_run(instance, first)
    assert look(instance, database) == []  # in flight

    end_run(instance, run, success=False)
    assert look(instance, database) == []  # its back-off
    second = look(instance, database, at=now() + timedelta(seconds=31))[0]
    assert second.run_key != first.run_key
    assert second.tags["adsync/attempt"] == "2"

    run = start_run(instance, second)
    finish_changes(database, account)
    end_run(instance, run, success=True)
    assert look(instance, database, at=now() + timedelta(hours=1)) == []


def test_attempts_without_a_trace_wait_longer_each_time_but_never_stop(
    instance: dg.DagsterInstance, database: Database
) -> None:
    """A run that dies at its start is asked for again after 30, 60, 120... 900 seconds."""
    account = add_accounts(database, 1)[0]
    pause_a_campaign(database, account)

    for number, seconds in enumerate([0, 30, 60, 120, 240, 480, 900, 900], start=1):
        early = look(instance, database, at=now() + timedelta(seconds=seconds - 5))
        assert early == [] or number == 1
        request = look(instance, database, at=now() + timedelta(seconds=seconds + 1))[0]
        assert request.tags["adsync/attempt"] == str(number)
        end_run(instance, start_run(instance, request), success=False)


def test_a_new_change_does_not_wait_for_the_back_off_of_an_old_one(
    instance: dg.DagsterInstance, database: Database
) -> None:
    """A change that comes after a failed attempt makes a new batch, due at once."""
    account = add_accounts(database, 1)[0]
    pause_a_campaign(database, account, "c1")
    end_run(instance, start_run(instance, look(instance, database)[0]), success=False)
    assert look(instance, database) == []

    pause_a_campaign(database, account, "c2")

    assert [request.tags["adsync/attempt"] for request in look(instance, database)] == ["1"]


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED], ids=str
)
def test_a_run_that_waits_or_works_is_not_asked_for_twice(
    instance: dg.DagsterInstance, database: Database, status: dg.DagsterRunStatus
) -> None:
    """Created or started, one run per account is enough, and the skip says so."""
    account = add_accounts(database, 1)[0]
    pause_a_campaign(database, account)
    start_run(instance, look(instance, database)[0], status=status)

    answer = tick(build_status_change_sensor(Settings()), instance, database)

    assert isinstance(answer, dg.SkipReason)
    assert "1 due now" in (answer.skip_message or "")
    assert "1 run at work on an account already" in (answer.skip_message or "")


def test_a_run_left_behind_by_a_dead_host_stops_counting(
    instance: dg.DagsterInstance, database: Database
) -> None:
    """A run that is STARTED for ever blocks its accounts only while it can be believed."""
    account = add_accounts(database, 1)[0]
    pause_a_campaign(database, account)
    start_run(instance, look(instance, database)[0])

    assert look(instance, database, at=now() + GRACE - timedelta(minutes=1)) == []
    assert len(look(instance, database, at=now() + GRACE + timedelta(minutes=1))) == 1


def test_a_long_run_counts_as_long_as_it_holds_an_account(
    instance: dg.DagsterInstance, database: Database
) -> None:
    """A living run is recognised by its lock in Postgres, for the whole window it covers."""
    all_accounts = add_accounts(database, 3)
    for account in all_accounts:
        pause_a_campaign(database, account)
    start_run(instance, look(instance, database)[0])
    later = now() + GRACE + timedelta(minutes=1)

    with database.account_session(all_accounts[0].id, wait_seconds=0):
        assert look(instance, database, at=later) == []
    assert len(look(instance, database, at=later)) == 1


def test_an_account_that_somebody_syncs_by_hand_is_left_alone(
    instance: dg.DagsterInstance, database: Database
) -> None:
    """Whoever holds the account's lock, also without a run that Dagster knows, is not disturbed."""
    first, second = add_accounts(database, 2)
    pause_a_campaign(database, first)
    pause_a_campaign(database, second)

    with database.account_session(first.id, wait_seconds=0):
        requests = look(instance, database)

    assert [request.partition_key for request in requests] == [second.key]


def test_a_change_that_is_not_due_waits(instance: dg.DagsterInstance, database: Database) -> None:
    """A failed final sync comes back when its own back-off is over, not at every tick."""
    account = add_accounts(database, 1)[0]
    pause_a_campaign(database, account)
    with database.connection() as connection:
        connection.execute(
            "SELECT mark_final_sync_completed(id, false, 'throttled') FROM ad_status_change_log"
        )

    findings = find_final_syncs(instance, database, window_size=10, now=now())

    assert findings.requests == []
    assert findings.words() == (
        "1 change in 1 account owe a final sync; 0 due now;"
        " 1 failed before and wait for their next attempt"
    )


def test_blocked_changes_are_not_called_failed(
    instance: dg.DagsterInstance, database: Database
) -> None:
    """What waits for a person is told as that, also when it is the account that is blocked."""
    first, second = add_accounts(database, 2)
    for number, account in enumerate((first, first, second)):
        pause_a_campaign(database, account, f"c{number}")
    with database.connection() as connection:
        connection.execute(
            "UPDATE ad_status_change_log SET next_attempt_at = adsync_now() + interval '1 hour',"
            " blocked_reason = CASE WHEN platform_entity_id = 'c0' THEN 'permission' END"
        )
        accounts.set_blocked(connection, second, "credential", "expired")

    findings = find_final_syncs(instance, database, window_size=10, now=now())

    assert findings.words() == (
        "3 changes in 2 accounts owe a final sync; 0 due now;"
        " 1 failed before and wait for their next attempt;"
        " 2 blocked until a person acts (check no_account_blocked)"
    )


def test_a_burst_becomes_a_run_per_window_and_spares_inactive_accounts(
    instance: dg.DagsterInstance, database: Database
) -> None:
    """Twenty-five pending accounts, one of them removed, make four ranges that leave it out."""
    all_accounts = add_accounts(database, 25)
    for account in all_accounts:
        pause_a_campaign(database, account)
    look(instance, database)  # gives every account its partition
    with database.connection() as connection:
        accounts.deactivate(connection, all_accounts[3])

    requests = look(instance, database)

    ranges = {(r.tags[RANGE_START_TAG][-3:], r.tags[RANGE_END_TAG][-3:]) for r in requests}
    assert ranges == {("000", "002"), ("004", "009"), ("010", "019"), ("020", "024")}


def test_the_longest_waiting_comes_first_and_the_rest_in_the_next_tick(
    instance: dg.DagsterInstance, database: Database
) -> None:
    """A tick asks for a bounded number of runs, oldest first, and the next tick for the others."""
    all_accounts = add_accounts(database, REQUESTS_MAX + 5)
    for age, account in enumerate(all_accounts):
        pause_a_campaign(database, account, since=f"{age} minutes")

    first = look(instance, database, window_size=1)
    assert [request.partition_key for request in first] == [
        account.key for account in reversed(all_accounts[5:])
    ]

    for request in first:
        start_run(instance, request, status=dg.DagsterRunStatus.NOT_STARTED)
    second = look(instance, database, window_size=1)
    assert {request.partition_key for request in second} == {
        account.key for account in all_accounts[:5]
    }


def test_windows_that_keep_failing_do_not_starve_the_others(
    instance: dg.DagsterInstance, database: Database
) -> None:
    """While the oldest windows wait for their back-off, the younger ones get their turn."""
    all_accounts = add_accounts(database, REQUESTS_MAX + 1)
    for age, account in enumerate(all_accounts):
        pause_a_campaign(database, account, since=f"{age} minutes")
    for request in look(instance, database, window_size=1):
        end_run(instance, start_run(instance, request), success=False)

    requests = look(instance, database, window_size=1)

    assert [request.partition_key for request in requests] == [all_accounts[0].key]


def test_a_tick_that_cannot_look_fails(instance: dg.DagsterInstance) -> None:
    """An unreachable warehouse is a failed tick, never "nothing to do"."""
    nowhere = Database("postgresql://nobody@127.0.0.1:1/nowhere", SystemClock())

    for sensor in (build_status_change_sensor(Settings()), build_new_account_sensor()):
        with pytest.raises(AdsyncError):
            tick(sensor, instance, nowhere)


def test_a_new_account_gets_its_partition_once_and_keeps_it(
    instance: dg.DagsterInstance, database: Database
) -> None:
    """Accounts become partitions; a removed account keeps its key, so its history stays."""
    account = add_accounts(database, 1)[0]
    sensor = build_new_account_sensor()

    answer = tick(sensor, instance, database)
    assert isinstance(answer, dg.SensorResult)
    request = answer.dynamic_partitions_requests[0]
    assert request.partition_keys == [account.key]
    instance.add_dynamic_partitions("ad_account", list(request.partition_keys))

    with database.connection() as connection:
        accounts.deactivate(connection, account)
    again = tick(sensor, instance, database)
    assert isinstance(again, dg.SkipReason)
    assert instance.get_dynamic_partitions("ad_account") == [account.key]
