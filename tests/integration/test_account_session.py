"""An account is written by one worker at a time, and time comes from the clock it was given."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import psycopg
import pytest
from harness import SkewedClock
from warehouse_support import AD, merge, one

from adsync_dagster.clock import SystemClock, VirtualClock
from adsync_dagster.errors import (
    AccountBusy,
    CredentialBlocked,
    Defect,
    PlatformBusy,
    Retryable,
    UsageError,
)
from adsync_dagster.records import Account
from adsync_dagster.warehouse.database import AccountSession, Connection, Database, _prepare

T0 = datetime(2026, 3, 10, tzinfo=UTC)


def test_sessions_of_one_account_take_turns(database: Database, account: Account) -> None:
    """Eight threads that write the same account are never inside at the same time."""
    inside: list[int] = []
    overlaps: list[int] = []

    def work(number: int) -> None:
        with database.account_session(account.id, wait_seconds=30) as session:
            inside.append(number)
            overlaps.append(len(inside))
            session.connection.execute("SELECT pg_sleep(0.02)")
            inside.remove(number)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert overlaps == [1] * 8


def test_a_busy_account_is_refused_at_once_or_after_the_wait(
    database: Database, account: Account, session: AccountSession
) -> None:
    """Without a wait a held account is refused at once, with one after it."""
    for wait_seconds in (0.0, 0.2):
        with (
            pytest.raises(AccountBusy),
            database.account_session(account.id, wait_seconds=wait_seconds),
        ):
            pytest.fail("two sessions held one account")
    assert session.connection.info.status == psycopg.pq.ConnStatus.OK


def test_other_accounts_are_not_held_up(
    database: Database, session: AccountSession, new_account: Account
) -> None:
    """The lock of one account is nobody else's."""
    with database.account_session(new_account.id, wait_seconds=0) as other:
        assert other.connection is not session.connection


def test_the_lock_ends_with_its_session(database: Database, account: Account) -> None:
    """After a session, well ended or not, the account is free."""
    with database.account_session(account.id, wait_seconds=0):
        pass
    with pytest.raises(KeyError), database.account_session(account.id, wait_seconds=0):
        raise KeyError
    with database.account_session(account.id, wait_seconds=0):
        pass


def test_a_terminated_backend_frees_the_account(
    database: Database, account: Account, connection: Connection
) -> None:
    """When the holder's backend dies, the next one gets the account and the holder is out."""
    with database.account_session(account.id, wait_seconds=0) as lost:
        pid = lost.connection.info.backend_pid
        assert one(connection, "SELECT pg_terminate_backend(%s, 5000)", pid)
        with database.account_session(account.id, wait_seconds=0) as session:
            assert merge(session, account, [AD], datetime.now(tz=UTC)).inserted == 1
        with pytest.raises((Retryable, psycopg.OperationalError)), lost.transaction() as broken:
            broken.execute("SELECT 1")


def test_a_session_without_its_lock_writes_nothing(
    session: AccountSession, account: Account
) -> None:
    """When the server's session is not the lock's (a transaction pooler), nothing is written."""
    merge(session, account, [AD], T0)
    session.connection.execute("SELECT pg_advisory_unlock_all()")

    with pytest.raises(UsageError, match="session mode"):
        merge(session, account, [replace(AD, name="changed")], T0)

    assert one(session.connection, "SELECT name FROM ads") == "Ad"


def test_an_old_server_is_refused() -> None:
    """PostgreSQL 14 is refused with the version that is needed."""
    old = SimpleNamespace(info=SimpleNamespace(server_version=140_011))

    with pytest.raises(UsageError, match="PostgreSQL 14; adsync needs PostgreSQL 15"):
        _prepare(old, None)


def test_a_session_leaves_nothing_behind_in_the_pool(database: Database, account: Account) -> None:
    """Temporary tables and settings of a session do not show up on pooled connections."""
    with database.account_session(account.id, wait_seconds=0.5) as session:
        session.connection.execute("CREATE TEMP TABLE leftover (n int)")
        pid = session.connection.info.backend_pid
    with database.connection() as connection:
        assert connection.info.backend_pid != pid
        assert one(connection, "SELECT to_regclass('pg_temp.leftover')") is None
        assert one(connection, "SHOW lock_timeout") == "1min"


def test_the_next_session_has_the_connection_but_nothing_else(
    database: Database, account: Account, new_account: Account
) -> None:
    """A connection serves one account after the other: its lock, rows and waits stay behind."""
    with database.account_session(account.id, wait_seconds=0.5) as session:
        merge(session, account, [AD], T0)
        former = pid_of(session)
    with database.account_session(new_account.id, wait_seconds=0) as session:
        assert pid_of(session) == former
        locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = %s"
        assert one(session.connection, locks, former) == 1
        assert one(session.connection, "SELECT count(*) FROM stage_ads") == 0
        assert one(session.connection, "SHOW lock_timeout") == "1min"
        with database.account_session(account.id, wait_seconds=0) as other:
            assert pid_of(other) != former


def test_a_session_is_over_when_it_is_over(database: Database, account: Account) -> None:
    """Whoever kept a session cannot write with the connection that may serve another account."""
    with database.account_session(account.id, wait_seconds=0) as session:
        pass
    with pytest.raises(Defect, match="after its end"):
        session.connection.execute("SELECT 1")
    with pytest.raises(Defect, match="after its end"), session.transaction():
        pytest.fail("a session wrote after its end")


@pytest.mark.parametrize(
    ("error", "again"),
    [(PlatformBusy("busy"), True), (CredentialBlocked("no"), True), (Defect("bug"), False)],
)
def test_a_connection_outlives_only_what_was_foreseen(
    database: Database, account: Account, error: Exception, again: bool
) -> None:
    """After a failure of the platform the connection is used again, after a bug it is closed."""
    with (  # noqa: PT012
        pytest.raises(type(error)),
        database.account_session(account.id, wait_seconds=0) as session,
    ):
        former = pid_of(session)
        raise error
    with database.account_session(account.id, wait_seconds=0) as session:
        assert (pid_of(session) == former) is again


@pytest.mark.parametrize(
    "meddle",
    [
        "SELECT pg_advisory_unlock_all()",
        "SELECT pg_advisory_lock(4711)",
        "SELECT pg_advisory_lock(hashtextextended('adsync:account:' || id, 0)) FROM ad_accounts",
        "BEGIN",
    ],
)
def test_a_connection_whose_lock_is_in_doubt_is_closed(
    database: Database, account: Account, meddle: str
) -> None:
    """A lock too few, one too many or an open transaction: nobody gets that connection again."""
    with database.account_session(account.id, wait_seconds=0) as session:
        former = pid_of(session)
        session.connection.execute(meddle.encode())
    with database.account_session(account.id, wait_seconds=5) as session:
        assert pid_of(session) != former


def pid_of(session: AccountSession) -> int:
    """The server process behind a session."""
    return session.connection.info.backend_pid


def test_a_virtual_clock_is_the_databases_time(
    database: Database, account: Account, clock: VirtualClock
) -> None:
    """Stamps follow a virtual clock as it moves, within one session."""
    with database.account_session(account.id, wait_seconds=0) as session:
        with session.transaction() as connection:
            assert one(connection, "SELECT adsync_now()") == clock.now()
        clock.instant += timedelta(days=400)
        with session.transaction() as connection:
            assert one(connection, "SELECT adsync_now()") == clock.now()
        assert one(session.connection, "SELECT adsync_now()") == clock.now()
    with database.connection() as connection:
        assert one(connection, "SELECT adsync_now()") == clock.now()


def test_the_system_clock_leaves_the_database_its_own(database_url: str) -> None:
    """Without a virtual clock adsync_now() is the wall clock and moves within a transaction."""
    database = Database(database_url, SystemClock())
    with database.connection() as connection, connection.transaction():
        first = one(connection, "SELECT adsync_now()")
        second = one(connection, "SELECT adsync_now()")
    database.dispose()

    assert first < second
    assert abs((datetime.now(tz=UTC) - second).total_seconds()) < 5


def test_a_session_goes_by_the_servers_clock(database_url: str, account: Account) -> None:
    """A host whose clock is hours fast or slow dates its reads like any other host."""
    for apart in (timedelta(hours=6), timedelta(hours=-6)):
        database = Database(database_url, SkewedClock(apart))
        with database.account_session(account.id, wait_seconds=0) as session:
            before = one(session.connection, "SELECT clock_timestamp()")
            ours = [session.clock.now(), session.clock.now()]
            after = one(session.connection, "SELECT clock_timestamp()")
        database.dispose()

        assert before - timedelta(seconds=2) < ours[0] < ours[1] <= after


def test_sessions_are_set_up_for_long_work_and_sudden_death(connection: Connection) -> None:
    """Sessions run in UTC, with bounds on locks, statements and idle transactions."""
    settings = {
        name: one(connection, f"SHOW {name}")
        for name in (
            "TimeZone",
            "lock_timeout",
            "statement_timeout",
            "idle_in_transaction_session_timeout",
        )
    }
    assert settings == {
        "TimeZone": "UTC",
        "lock_timeout": "1min",
        "statement_timeout": "15min",
        "idle_in_transaction_session_timeout": "5min",
    }


def test_database_errors_carry_no_values(database: Database, session: AccountSession) -> None:
    """A refused statement is a Defect without the row's values; a lock wait is Retryable."""
    with pytest.raises(Defect) as refused, session.transaction() as connection:
        connection.execute(
            "INSERT INTO ad_accounts (platform, platform_account_id, timezone)"
            " VALUES ('facebook', 'secret_value', NULL)"
        )
    assert "secret_value" not in str(refused.value)
    assert refused.value.__suppress_context__

    with database.connection() as holder, holder.transaction():
        holder.execute("LOCK TABLE ads")
        with pytest.raises(Retryable), session.transaction() as connection:  # noqa: PT012
            connection.execute("SET LOCAL lock_timeout = '10ms'")
            connection.execute("LOCK TABLE ads")
