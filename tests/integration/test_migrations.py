"""Migrations: each exactly once, whoever runs them, whatever crashed before."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import fasteners
import psycopg
import pytest
from warehouse_support import AD, log_rows, merge, merge_numbers, numbers, paused

from adsync_dagster.clock import SystemClock
from adsync_dagster.errors import UsageError
from adsync_dagster.records import Account
from adsync_dagster.warehouse import embedded
from adsync_dagster.warehouse.database import AccountSession, Database, parse_url
from adsync_dagster.warehouse.migrations import migrate, pending, require_current
from adsync_dagster.warehouse.queries import sql_directory

FILES = sorted((sql_directory() / "migrations").glob("*.sql"))
NAMES = [path.stem for path in FILES]


def schema_of(url: str) -> str:
    """The whole schema as pg_dump writes it."""
    program = embedded.program("pg_dump")
    dump = subprocess.run(
        [str(program), "--schema-only", "--dbname", url], capture_output=True, text=True, check=True
    ).stdout
    return re.sub(r"\\(un)?restrict .*", "", dump)


def test_an_empty_database_gets_every_migration_in_order(empty_url: str) -> None:
    """An empty database lacks all migrations, takes all of them, then lacks none."""
    assert pending(empty_url) == NAMES
    assert migrate(empty_url) == NAMES
    assert pending(empty_url) == []


def test_a_second_run_changes_nothing(empty_url: str) -> None:
    """Migrating again applies nothing and leaves the schema byte for byte as it was."""
    migrate(empty_url)
    before = schema_of(empty_url)

    assert migrate(empty_url) == []

    assert schema_of(empty_url) == before


def test_every_file_can_run_again(database_url: str) -> None:
    """A migration whose commit was recorded too late runs again without harm."""
    before = schema_of(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        for path in FILES:
            connection.execute(path.read_text(encoding="utf-8"))

    assert schema_of(database_url) == before


def test_pending_writes_nothing(empty_url: str) -> None:
    """Asking what is missing leaves an empty database empty."""
    pending(empty_url)

    with psycopg.connect(empty_url) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert tables.fetchone() == (0,)


def test_twelve_migrators_at_once_apply_each_file_once(empty_url: str) -> None:
    """Of twelve concurrent migrators exactly one applies each file and all of them succeed."""
    applied: list[str] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            applied.extend(migrate(empty_url))
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            errors.append(error)

    workers = [threading.Thread(target=work) for _ in range(12)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert errors == []
    assert sorted(applied) == NAMES


def test_the_lock_row_of_a_crashed_migrator_does_not_block(empty_url: str) -> None:
    """The tool's own lock row, left behind by a crash, does not stop the next migrator."""
    migrate(empty_url)
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, now(), 999)")
        connection.execute("DELETE FROM _yoyo_migration WHERE migration_id = %s", (NAMES[-1],))

    assert migrate(empty_url) == [NAMES[-1]]


def test_a_database_behind_asks_for_migrate(empty_url: str) -> None:
    """A program that is ahead of the database says to run adsync migrate."""
    database = Database(empty_url, SystemClock())
    with database.connection() as connection:
        with pytest.raises(UsageError, match="run adsync migrate") as caught:
            require_current(connection)
        name = parse_url(empty_url).database
        assert str(caught.value).startswith(f"the database {name} on ")
        with pytest.raises(UsageError, match=r"^the embedded database under /srv/home \(ADSYNC_"):
            require_current(connection, embedded_in=Path("/srv/home"))
        migrate(empty_url)
        require_current(connection)
    database.dispose()


def test_a_database_ahead_asks_for_an_upgrade(database_url: str) -> None:
    """A database that is ahead of the program is left alone by every entry."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc)"
            " VALUES ('x', '9999_from_the_future', now())"
        )
    database = Database(database_url, SystemClock())
    with database.connection() as connection, pytest.raises(UsageError, match="upgrade adsync"):
        require_current(connection)
    database.dispose()
    with pytest.raises(UsageError, match="upgrade adsync"):
        migrate(database_url)


def test_a_schema_of_its_own_works_too(empty_url: str) -> None:
    """Where the search path starts with another schema, everything goes there."""
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA marketing")
        (database,) = connection.execute("SELECT current_database()").fetchone() or ("",)
        connection.execute(f"ALTER DATABASE {database} SET search_path = marketing, public")
    migrate(empty_url)

    with psycopg.connect(empty_url) as connection:
        found = connection.execute(
            "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename LIKE 'ad%'"
        ).fetchall()
        assert found == [("marketing",)]
        pinned = connection.execute(
            "SELECT DISTINCT proconfig FROM pg_proc WHERE prosecdef"
            " AND pronamespace = 'marketing'::regnamespace"
        ).fetchall()
        assert pinned == [(["search_path=marketing, pg_temp"],)]


def test_every_table_view_and_column_is_explained(database_url: str) -> None:
    """Each table, view and column of ours has a comment that psql shows."""
    with psycopg.connect(database_url) as connection:
        bare = connection.execute(
            "SELECT c.relname, a.attname FROM pg_class c"
            " LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
            "  AND NOT a.attisdropped"
            " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')"
            "  AND NOT c.relispartition AND c.relname NOT LIKE '%yoyo%'"
            "  AND (obj_description(c.oid, 'pg_class') IS NULL"
            "       OR col_description(c.oid, a.attnum) IS NULL)"
        ).fetchall()
    assert bare == []


def test_migrations_are_numbered_without_gaps_and_say_what_they_do() -> None:
    """Files are numbered from 0001 on and begin with a sentence for people."""
    assert [name[:4] for name in NAMES] == [f"{n:04}" for n in range(1, len(NAMES) + 1)]
    for path in FILES:
        assert re.match(r"-- [A-Z].+[.:,]?\n", path.read_text(encoding="utf-8")), path


def test_no_migration_deletes_or_returns_rows() -> None:
    """Migrations drop no table or column, delete no row, and print nothing to anybody's output."""
    for path in FILES:
        text = re.sub(r"--.*", "", path.read_text(encoding="utf-8"))
        assert not re.search(r"\b(DROP TABLE|DROP COLUMN|DELETE FROM|TRUNCATE TABLE)\b", text)
        assert not re.search(r"^SELECT", text, flags=re.MULTILINE), path


def test_a_backup_restores_to_the_same_record(
    session: AccountSession, account: Account, database_url: str, empty_url: str, tmp_path: Path
) -> None:
    """A restored dump holds the same rows, logs nothing twice, and takes the next sync."""
    now = datetime(2026, 3, 10, tzinfo=UTC)
    merge(session, account, [AD], now)
    merge(session, account, [paused(AD), paused(replace(AD, platform_id="a2"))], now)
    merge_numbers(session, account, [numbers()], now)
    file = str(tmp_path / "backup")
    dump = [str(embedded.program("pg_dump")), "-Fc", "-f", file, "-d", database_url]
    subprocess.run(dump, check=True)
    restore = [str(embedded.program("pg_restore")), "--exit-on-error", "-d", empty_url, file]
    subprocess.run(restore, check=True)

    assert migrate(empty_url) == []
    with psycopg.connect(empty_url, autocommit=True) as copy:
        for table in ("ads", "ad_metrics", "ad_status_change_log", "ad_accounts"):
            query = f"SELECT * FROM {table} ORDER BY 1, 2, 3"
            assert copy.execute(query).fetchall() == session.connection.execute(query).fetchall()
    database = Database(empty_url, SystemClock())
    with database.account_session(account.id, wait_seconds=0) as restored:
        assert merge(restored, account, [AD], datetime.now(tz=UTC)).updated == 1
        assert log_rows(restored.connection, "a1")[-1] == ("PAUSED", "ACTIVE", None, "trigger")
    database.dispose()


@pytest.fixture(scope="module")
def postgres_16(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL 16 that came with the same package."""
    data = tmp_path_factory.mktemp("pg16") / "data"
    module = embedded._bundled_server()
    # Its own lock file may belong to another user of this machine.
    module.PostgresServer._lock = fasteners.InterProcessLock(data.parent / "lock")
    server = module.get_server(data, cleanup_mode=None, postgres_version=16)
    yield server.get_uri()
    server.stop()


def test_an_older_server_gets_the_same_tables(postgres_16: str) -> None:
    """On a server without uuidv7 and virtual columns the migrations run and rates are derived."""
    assert migrate(postgres_16) == NAMES
    with psycopg.connect(postgres_16, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO ad_metrics (date, entity_type, entity_id, ad_account_id, platform,"
            " impressions, clicks, spend) VALUES (current_date, 'ad', gen_random_uuid(),"
            " gen_random_uuid(), 'facebook', 1000, 10, 5)"
        )
        row = connection.execute("SELECT cpc, cpm, ctr, roas FROM ad_metrics").fetchone()
        assert row == (0.5, 5, 1, 0)
    assert migrate(postgres_16) == []
