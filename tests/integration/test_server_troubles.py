"""What a busy, full or changing server does to a sync: the work stays pending, and is done later.

Each error is the server's own, raised where it really strikes, in the middle of a merge.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy
from harness import Harness
from psycopg import sql
from warehouse_support import AD, merge, merge_numbers, numbers

from adsync_dagster.clock import VirtualClock
from adsync_dagster.errors import Retryable
from adsync_dagster.records import Account, Level
from adsync_dagster.sync import final_sync
from adsync_dagster.sync.account_sync import sync_account
from adsync_dagster.sync.environment import Environment
from adsync_dagster.sync.final_sync import process_all_pending_final_syncs
from adsync_dagster.warehouse import database as database_module
from adsync_dagster.warehouse.database import AccountSession, Database
from adsync_dagster.warehouse.entities import merge_entities
from adsync_dagster.warehouse.metrics import merge_metrics
from adsync_dagster.warehouse.queries import sql_directory
from adsync_dagster.warehouse.staging import EntityStage, MetricsStage

T0 = datetime(2026, 3, 10, tzinfo=UTC)
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
WAITING += " AND datname = current_database()"


def wait_for_waiting(url: str, sessions: int) -> None:
    """Return once so many sessions of the database wait for a lock."""
    pause = threading.Event()
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(1_000):
            row = connection.execute(WAITING.encode()).fetchone()
            if row is not None and row[0] >= sessions:
                return
            pause.wait(0.01)
    pytest.fail(f"no {sessions} sessions came to wait")


# Deadlocks


def merge_ads(database: Database, account: Account, numbers_: list[int]) -> None:
    """Merge ads in the order they are staged, without the account's lock."""
    ads = [replace(AD, platform_id=f"a{n:03}", name=f"from {numbers_[0]}") for n in numbers_]
    with database.connection() as connection, EntityStage(connection, Level.AD) as stage:
        stage.add(ads)
        with connection.transaction():
            merge_entities(connection, account, Level.AD, T0)


def merge_days(database: Database, account: Account, numbers_: list[int]) -> None:
    """Merge numbers in the order they are staged, without the account's lock."""
    rows = [numbers(f"a{n:03}", impressions=1 + numbers_[0]) for n in numbers_]
    with database.connection() as connection, MetricsStage(connection) as stage:
        stage.add(rows)
        with connection.transaction():
            merge_metrics(connection, account, Level.AD, T0)


MERGES: dict[str, tuple[Callable[..., None], str]] = {
    "ads": (merge_ads, "SELECT FROM ads WHERE platform_ad_id = 'a020' FOR UPDATE"),
    "ad_metrics": (
        merge_days,
        (
            "SELECT FROM ads e JOIN ad_metrics m ON m.entity_id = e.id"
            " WHERE platform_ad_id = 'a020' FOR UPDATE OF m"
        ),
    ),
}


@pytest.mark.parametrize("table", MERGES)
def test_merges_of_the_same_rows_in_opposite_orders_do_not_deadlock(
    database: Database,
    database_url: str,
    account: Account,
    session: AccountSession,
    table: str,
) -> None:
    """Both stop at a row in the middle that somebody holds; let go, both succeed.

    Were rows taken in the order they were read, each would by then hold half of the other's.
    """
    work, hold = MERGES[table]
    ids = list(range(41))
    merge(session, account, [replace(AD, platform_id=f"a{n:03}") for n in ids], T0)
    merge_numbers(session, account, [numbers(f"a{n:03}") for n in ids], T0)
    errors: list[Exception] = []

    def run(order: list[int]) -> None:
        try:
            work(database, account, order)
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            errors.append(error)

    with psycopg.connect(database_url) as holder:
        holder.execute(hold.encode())
        workers = [threading.Thread(target=run, args=(order,)) for order in (ids, ids[::-1])]
        for worker in workers:
            worker.start()
        wait_for_waiting(database_url, 2)
        holder.rollback()
        for worker in workers:
            worker.join()

    assert errors == []


# A final sync whose merge the server refuses


@pytest.fixture
def owing(database_url: str, tmp_path: Path) -> Iterator[Harness]:
    """A deleted ad whose final sync is due."""
    with Harness(database_url, tmp_path, history_days=3) as harness:
        assert harness.sync().error is None
        harness.advance(hours=4)
        ads = harness.world.entities(harness.account_id, "ad")
        harness.world.delete("ad", next(ad.id for ad in ads if ad.effective == "ACTIVE"))
        assert harness.poll_entities().error is None
        assert harness.pending() == 1
        yield harness


def stored(harness: Harness) -> list[dict[str, Any]]:
    return harness.query("SELECT xmin::text, m.* FROM ad_metrics m ORDER BY entity_id, date")


def deleted(harness: Harness) -> str:
    rows = harness.query("SELECT platform_entity_id AS id FROM ad_status_change_log")
    return str(rows[-1]["id"])


def assert_recovers(harness: Harness) -> None:
    """The next attempt does it, and every number is the ledger's."""
    harness.advance(hours=1)
    report = harness.final_syncs()
    assert (report.error, report.pending_after) == (None, 0)
    assert harness.log(deleted(harness))[-1]["final_sync_completed"] is True
    assert harness.differences(ids={deleted(harness)}) == []


@contextmanager
def on_every_merge(harness: Harness, body: str) -> Iterator[None]:
    """A trigger that does this before each row of numbers is stored."""
    harness.query(
        "CREATE FUNCTION strike() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN {body}; RETURN NEW; END $$;"
        " CREATE TRIGGER strike BEFORE INSERT ON ad_metrics FOR EACH ROW"
        " EXECUTE FUNCTION strike()"
    )
    try:
        yield
    finally:
        harness.query("DROP TRIGGER strike ON ad_metrics; DROP FUNCTION strike()")


def test_a_final_sync_that_a_deadlock_ends_is_done_again(
    owing: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody by hand holds the ad and wants its numbers, the sync the other way round."""
    before, ad = stored(owing), deleted(owing)
    complete = final_sync.changes.complete
    by_hand = psycopg.connect(owing.url)
    # The sync's wait is looked at first, so it is the one that the server ends.
    by_hand.execute("SET deadlock_timeout = '1h'")
    by_hand.execute("UPDATE ads SET name = 'mine' WHERE platform_ad_id = %s", (ad,))
    wants = b"UPDATE ad_metrics SET clicks = clicks WHERE entity_id ="
    wants += b" (SELECT id FROM ads WHERE platform_ad_id = %s)"
    worker = threading.Thread(target=lambda: by_hand.execute(wants, (ad,)))

    def after_the_merge(*arguments: Any) -> int:
        worker.start()
        wait_for_waiting(owing.url, 1)
        return complete(*arguments)

    monkeypatch.setattr(final_sync.changes, "complete", after_the_merge)
    report = owing.final_syncs()
    worker.join()
    by_hand.rollback()
    by_hand.close()
    monkeypatch.undo()

    assert (report.done, report.error_family) == (0, "retryable")
    assert "(40P01)" in str(report.error)
    assert "(40P01)" in owing.log(ad)[-1]["final_sync_error"]
    assert stored(owing) == before
    assert_recovers(owing)


def test_a_full_disk_leaves_the_change_pending_with_the_reason(owing: Harness) -> None:
    """The server has no room for the numbers: they and the mark are stored when it has."""
    before = stored(owing)
    full = "RAISE EXCEPTION USING ERRCODE = '53100', MESSAGE = 'could not extend file'"

    with on_every_merge(owing, full):
        report = owing.final_syncs()

    assert (report.done, report.error_family) == (0, "retryable")
    assert "disk of the database server is full" in str(report.error)
    assert (
        "disk of the database server is full" in owing.log(deleted(owing))[-1]["final_sync_error"]
    )
    assert stored(owing) == before
    assert_recovers(owing)


def test_a_server_that_becomes_read_only_loses_nothing(owing: Harness) -> None:
    """In the middle of a final sync, as when a replica takes over; then for whole syncs, too.

    The server keeps no reason then: it is in the report and, with Dagster, in the failed run.
    """
    before, ad = stored(owing), deleted(owing)
    name = psycopg.conninfo.conninfo_to_dict(owing.url)["dbname"]
    alter = sql.SQL("ALTER DATABASE {} {}")

    def change(setting: str) -> None:
        with psycopg.connect(owing.url, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(alter.format(sql.Identifier(str(name)), sql.SQL(setting)))

    def take_over() -> None:
        change("SET default_transaction_read_only = on")
        owing.query(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = 'adsync' AND datname = current_database()"
        )

    # The first connection of the sync is lost while it reads, and the next finds a replica.
    owing.simulator.simulator.faults.arm("call", path="insights$", do=take_over)
    try:
        lost = owing.final_syncs()
        refused = owing.final_syncs()
        whole = owing.sync()
    finally:
        change("RESET default_transaction_read_only")
        owing.environment.database.dispose()

    assert [report.error_family for report in (lost, refused, whole)] == ["retryable"] * 3
    assert "connection to the database was lost" in str(lost.error)
    for report in (refused, whole):
        assert "(25006)" in str(report.error)
    assert owing.log(ad)[-1]["final_sync_completed"] is False
    assert stored(owing) == before
    assert_recovers(owing)


def test_a_merge_beyond_the_statement_timeout_is_tried_again(owing: Harness) -> None:
    """The server cancels a merge that takes too long; nothing of it is kept."""
    before = stored(owing)
    sessions = owing.environment.database._sessions

    def be_impatient(connection: psycopg.Connection[Any], *_: object) -> None:
        connection.execute("SET statement_timeout = '1s'")

    sqlalchemy.event.listen(sessions, "checkout", be_impatient)
    with on_every_merge(owing, "PERFORM pg_sleep(60)"):
        report = owing.final_syncs()

    assert (report.done, report.error_family) == (0, "retryable")
    assert "statement timeout (57014)" in str(report.error)
    assert "(57014)" in owing.log(deleted(owing))[-1]["final_sync_error"]
    assert stored(owing) == before
    assert_recovers(owing)


# No connection is free


def test_a_full_pool_waits_within_a_bound(
    database_url: str, clock: VirtualClock, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever finds every connection of the process in use waits, and then is told to retry."""
    create = database_module.create_engine

    def small(*arguments: Any, **options: Any) -> Any:
        return create(
            *arguments, **options | {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.1}
        )

    monkeypatch.setattr(database_module, "create_engine", small)
    database = Database(database_url, clock)
    try:
        with (
            database.connection(),
            pytest.raises(Retryable, match="no database connection became free in time"),
            database.connection(),
        ):
            pytest.fail("one connection served two")
        with (
            database.account_session(account.id, wait_seconds=0),
            pytest.raises(Retryable, match="no database connection became free in time"),
            database.account_session(account.id, wait_seconds=0),
        ):
            pytest.fail("one connection served two")
        with database.account_session(account.id, wait_seconds=0) as session:
            assert merge(session, account, [AD], T0).inserted == 1
    finally:
        database.dispose()


@pytest.fixture
def narrow(owing: Harness) -> Iterator[Environment]:
    """The same account for a database user who may have two connections: just enough."""
    name = psycopg.conninfo.conninfo_to_dict(owing.url)["dbname"]
    owing.query((sql_directory() / "roles.sql").read_text(encoding="utf-8"))
    owing.query("CREATE ROLE narrow LOGIN CONNECTION LIMIT 2 IN ROLE adsync_writer")
    owing.query(f'GRANT CONNECT ON DATABASE "{name}" TO narrow')
    environment = Environment(
        database=Database(owing.url.replace("postgres@", "narrow@"), owing.clock),
        clock=owing.clock,
        settings=owing.settings,
        vault=owing.environment.vault,
    )
    try:
        yield environment
    finally:
        environment.close()
        for role in ("narrow", "adsync_reader", "adsync_writer"):
            owing.query(f"DROP OWNED BY {role}")
            owing.query(f"DROP ROLE {role}")


def test_a_server_without_a_free_connection_leaves_all_pending(
    owing: Harness, narrow: Environment
) -> None:
    """Others have taken what the user may have: retryable, and done once they are gone."""
    before, key = stored(owing), owing.account.key
    url = narrow.database.url
    with psycopg.connect(url), psycopg.connect(url):
        refused = process_all_pending_final_syncs(narrow, key)
        whole = sync_account(narrow, key)

    for report in (refused, whole):
        assert report.error_family == "retryable"
        assert "takes no connections at the moment" in str(report.error)
    assert stored(owing) == before
    assert owing.log(deleted(owing))[-1]["final_sync_completed"] is False
    owing.advance(hours=1)
    done = process_all_pending_final_syncs(narrow, key)
    assert (done.error, done.pending_after) == (None, 0)
    assert owing.differences(ids={deleted(owing)}) == []
