"""A real PostgreSQL for tests: one server per process, one database per test."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from adsync_dagster.clock import VirtualClock
from adsync_dagster.records import Account, AccountInfo, Platform
from adsync_dagster.warehouse import accounts, embedded
from adsync_dagster.warehouse.database import AccountSession, Connection, Database, with_driver
from adsync_dagster.warehouse.migrations import migrate

_NUMBERS = itertools.count()
NOW = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def server_home() -> Iterator[Path]:
    """The home of this process's embedded server; stopped and removed at the end."""
    yield from _home()


@pytest.fixture
def private_home() -> Iterator[Path]:
    """A home for an embedded server of the test's own; stopped and removed at the end."""
    yield from _home()


@pytest.fixture(scope="session")
def server_url(server_home: Path) -> str:
    """The server's `postgres` database, to make and drop others from."""
    url = with_driver(embedded.ensure_started(server_home), "", "postgres")
    with psycopg.connect(url, autocommit=True) as connection:
        # These databases live for seconds: a power cut may take them.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    return url


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    """The name of a migrated database that tests clone."""
    name = f"template_{os.getpid()}"
    _create(server_url, name, "template0")
    migrate(with_driver(server_url, "", name))
    return name


@pytest.fixture
def empty_url(server_url: str) -> Iterator[str]:
    """The URL of an empty database of this test's own."""
    yield from _temporary(server_url, "template0")


@pytest.fixture
def database_url(server_url: str, template: str) -> Iterator[str]:
    """The URL of a migrated database of this test's own."""
    yield from _temporary(server_url, template)


@pytest.fixture(scope="module")
def module_database_url(server_url: str, template: str) -> Iterator[str]:
    """The URL of a migrated database that the tests of one module share and only read."""
    yield from _temporary(server_url, template)


@pytest.fixture
def clock() -> VirtualClock:
    """A clock that stands still until the test moves it."""
    return VirtualClock(NOW)


@pytest.fixture
def database(database_url: str, clock: VirtualClock) -> Iterator[Database]:
    """A migrated database under the test's clock."""
    database = Database(database_url, clock)
    yield database
    database.dispose()


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    """A plain connection to the test's database."""
    with database.connection() as connection:
        yield connection


@pytest.fixture
def account(database: Database) -> Account:
    """An account that has had its first complete sync."""
    info = AccountInfo(
        platform_account_id="act_501",
        name="Shop",
        currency="USD",
        timezone="America/New_York",
        status="1",
    )
    with database.connection() as connection:
        account = accounts.add_account(connection, Platform.FACEBOOK, info)
        accounts.mark_synced(connection, account)
        return accounts.get_account(connection, account.key)


@pytest.fixture
def new_account(database: Database) -> Account:
    """An account that has never been synced."""
    info = AccountInfo(
        platform_account_id="act_777", name="New", currency="EUR", timezone="UTC", status="1"
    )
    with database.connection() as connection:
        return accounts.add_account(connection, Platform.FACEBOOK, info)


@pytest.fixture
def session(database: Database, account: Account) -> Iterator[AccountSession]:
    """A session that holds the account's lock."""
    with database.account_session(account.id, wait_seconds=0) as session:
        yield session


def _home() -> Iterator[Path]:
    """A folder for a server.

    Not one of pytest's own: each session that starts closes those to other users, and when we
    are root the server is another user.
    """
    with tempfile.TemporaryDirectory(prefix="adsync-tests-") as folder:
        home = Path(folder)
        try:
            yield home
        finally:
            embedded.stop(home)


def _create(server_url: str, name: str, template: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))


def _temporary(server_url: str, template: str) -> Iterator[str]:
    name = f"test_{os.getpid()}_{next(_NUMBERS)}"
    _create(server_url, name, template)
    yield with_driver(server_url, "", name)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
