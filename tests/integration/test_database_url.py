"""A wrong database address is one clear line, and never shows the password."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from adsync_dagster.clock import SystemClock
from adsync_dagster.errors import Retryable, Unreachable, UsageError
from adsync_dagster.warehouse import embedded
from adsync_dagster.warehouse.database import Database, with_driver
from adsync_dagster.warehouse.migrations import migrate

PASSWORD = "canary p@ss/word"
QUOTED = "canary%20p%40ss%2Fword"


def connect(url: str) -> None:
    database = Database(url, SystemClock())
    try:
        with database.connection():
            pass
    finally:
        database.dispose()


def assert_clear(error: UsageError, *words: str) -> None:
    """One line, with these words, and no part of the password anywhere in what is printed."""
    printed = "".join(traceback.format_exception(error)) + repr(error)
    for part in (PASSWORD, QUOTED, "canary", "ss/word", "ss%2Fword"):
        assert part not in printed.replace("canary_db", "")
    message = str(error)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "url",
    [
        "canary p@ss/word",
        "mysql://u:canary%20p%40ss%2Fword@localhost/adsync",
        "postgresql://u:canary p@ss/word@localhost:notaport/x",
        "postgresql://u:canary%20p%40ss%2Fword@localhost",
    ],
)
def test_a_malformed_url_is_refused_without_showing_it(url: str) -> None:
    """What cannot be a database URL is refused before anything connects."""
    with pytest.raises(UsageError) as caught:
        connect(url)
    assert_clear(caught.value, "ADSYNC_DATABASE_URL")


def test_an_unreachable_database_names_its_address(tmp_path: Path) -> None:
    """Nobody listening, on a port or a socket, is Unreachable and names the address."""
    with pytest.raises(Unreachable) as caught:
        connect(f"postgresql://u:{QUOTED}@127.0.0.1:1/adsync")
    assert_clear(caught.value, "127.0.0.1:1", "check")
    with pytest.raises(Unreachable) as caught:
        connect(f"postgresql://u:{QUOTED}@/adsync?host={tmp_path}")
    assert_clear(caught.value, str(tmp_path))


def test_a_missing_database_says_how_to_make_it(server_url: str) -> None:
    """A database that does not exist is named, with the command that creates it."""
    with pytest.raises(UsageError, match="createdb nowhere"):
        connect(with_driver(server_url, "", "nowhere"))


def test_an_unknown_user_is_named(server_url: str) -> None:
    """A user the server does not know is named."""
    with pytest.raises(UsageError, match="no user nobody"):
        connect(server_url.replace("postgres@", f"nobody:{QUOTED}@"))


@pytest.fixture
def password_server(server_home: Path, server_url: str) -> Iterator[Callable[[str], str]]:
    """A user with a password on the test server, over a connection that asks for it."""
    hba = server_home / "postgres" / "pg_hba.conf"
    text = hba.read_text(encoding="utf-8")
    hba.write_text("local all locked scram-sha-256\n" + text, encoding="utf-8")
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE locked LOGIN PASSWORD 'right one'")
        connection.execute("SELECT pg_reload_conf()")
    yield lambda password: server_url.replace("postgres@", f"locked:{password}@")
    hba.write_text(text, encoding="utf-8")
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("DROP ROLE locked")
        connection.execute("SELECT pg_reload_conf()")


def test_a_wrong_password_is_not_shown(password_server: Callable[[str], str]) -> None:
    """A refused password names the user and the address, not the password."""
    connect(password_server("right%20one"))
    with pytest.raises(UsageError) as caught:
        connect(password_server(QUOTED))
    assert_clear(caught.value, "password", "locked")
    with pytest.raises(UsageError) as caught:
        migrate(password_server(QUOTED))
    assert_clear(caught.value, "password", "locked")


def test_a_database_that_was_there_before_is_an_outage(private_home: Path) -> None:
    """A server that goes away after it was reached is Retryable, and comes back by itself."""
    url = embedded.ensure_started(private_home)
    database = Database(url, SystemClock())
    with database.connection():
        pass
    assert embedded.stop(private_home)
    with pytest.raises(Retryable), database.connection():
        pass
    embedded.ensure_started(private_home)
    with database.connection() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    database.dispose()
