"""The embedded Postgres: starts anywhere, once, quickly, and is as durable as any other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from adsync_dagster.errors import UsageError
from adsync_dagster.warehouse import embedded
from adsync_dagster.warehouse.database import with_driver

START = (
    "import sys; from pathlib import Path; from adsync_dagster.warehouse import embedded;"
    "print(embedded.ensure_started(Path(sys.argv[1])))"
)


@pytest.fixture
def odd_home(private_home: Path) -> Iterator[Path]:
    """A home whose path has spaces and other characters that URLs and shells take apart."""
    home = private_home / "my data+files & 50% 'more' \N{LATIN SMALL LETTER U WITH DIAERESIS}"
    yield home
    embedded.stop(home)


def value(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
        return row and row[0]


def test_odd_paths_work_and_every_driver_reads_the_url(odd_home: Path) -> None:
    """psycopg, psql, SQLAlchemy and psycopg2 all read the URL of a home with odd characters."""
    url = embedded.ensure_started(odd_home)

    assert value(url, "SELECT current_database()") == "adsync"
    for driver in ("psycopg", "psycopg2"):
        engine = create_engine(with_driver(url, driver))
        with engine.connect() as connection:
            assert connection.execute(text("SELECT current_database()")).scalar() == "adsync"
        engine.dispose()
    engine = create_engine(embedded.dagster_url(url))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT current_database()")).scalar() == "dagster"
    engine.dispose()
    psql = subprocess.run(
        [str(embedded.program("psql")), url, "-Atc", "SELECT 42"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert psql.stdout == "42\n"


def test_a_path_too_long_for_a_socket_works(private_home: Path) -> None:
    """A home deeper than a Unix socket's path may be gets a private short folder."""
    home = private_home / ("deep" * 30) / ("deeper" * 20)
    url = embedded.ensure_started(home)
    try:
        assert value(url, "SELECT 1") == 1
        folder = Path(str(value(url, "SHOW unix_socket_directories")).strip('"'))
        assert folder.stat().st_mode & 0o077 == 0
        assert embedded.ensure_started(home) == url
    finally:
        embedded.stop(home)


def test_a_running_server_is_found_quickly(private_home: Path) -> None:
    """The second call finds the first one's server without starting anything."""
    url = embedded.ensure_started(private_home)
    pid = value(url, "SELECT pg_postmaster_start_time()")
    started = time.perf_counter()

    assert embedded.ensure_started(private_home) == url

    assert time.perf_counter() - started < 1
    assert value(url, "SELECT pg_postmaster_start_time()") == pid


def test_several_processes_start_one_server(private_home: Path) -> None:
    """Four processes that start it at once get one server, and it outlives them all."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", START, str(private_home)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={k: v for k, v in os.environ.items() if k != "XDG_RUNTIME_DIR"},
        )
        for _ in range(4)
    ]
    answers = [process.communicate(timeout=120) for process in processes]

    assert [process.returncode for process in processes] == [0] * 4
    # Nothing on stderr: also no warning about XDG_RUNTIME_DIR.
    assert {error for _, error in answers} == {""}
    urls = {output.strip() for output, _ in answers}
    assert len(urls) == 1
    assert value(urls.pop(), "SELECT 1") == 1


def test_stop_and_start_again_keep_the_data(private_home: Path) -> None:
    """A stopped server is started again with what it had; stopping twice says so."""
    url = embedded.ensure_started(private_home)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n int)")

    assert embedded.stop(private_home)
    assert not embedded.stop(private_home)
    url = embedded.ensure_started(private_home)

    assert value(url, "SELECT count(*) FROM kept") == 0


def _postmaster(home: Path) -> tuple[Path, int]:
    path = home / "postgres" / "postmaster.pid"
    return path, int(path.read_text(encoding="utf-8").splitlines()[0])


def test_a_killed_server_recovers(private_home: Path) -> None:
    """After the whole server is killed, committed rows are there and it starts again."""
    url = embedded.ensure_started(private_home)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    _, pid = _postmaster(private_home)
    os.kill(pid, signal.SIGQUIT)  # immediate shutdown: no checkpoint, recovery on the next start
    while _alive(pid):
        time.sleep(0.02)

    assert value(embedded.ensure_started(private_home), "SELECT n FROM kept") == 7


def test_a_pid_that_now_belongs_to_somebody_else_does_not_block(private_home: Path) -> None:
    """A pid file left by a dead server, whose number another process has now, is forgotten."""
    embedded.ensure_started(private_home)
    path, pid = _postmaster(private_home)
    content = path.read_text(encoding="utf-8")
    embedded.stop(private_home)
    path.write_text(content.replace(str(pid), str(os.getpid()), 1), encoding="utf-8")
    path.chmod(0o644)

    assert value(embedded.ensure_started(private_home), "SELECT 1") == 1


def test_nothing_weakens_durability_or_opens_a_port(private_home: Path) -> None:
    """fsync, full pages and synchronous commit are on; no TCP port; bound values not logged."""
    url = embedded.ensure_started(private_home)
    shown = {
        name: value(url, f"SHOW {name}")
        for name in (
            "fsync",
            "full_page_writes",
            "synchronous_commit",
            "listen_addresses",
            "log_parameter_max_length",
            "log_parameter_max_length_on_error",
        )
    }
    assert shown == {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "listen_addresses": "",
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
    }
    # Whoever may enter the socket's folder is a superuser of this server.
    assert (private_home / "postgres").stat().st_mode & 0o077 == 0


def test_a_home_that_cannot_be_one_says_so(private_home: Path) -> None:
    """Where the home is a file, the error is one line that names it."""
    (private_home / "postgres").write_text("in the way", encoding="utf-8")

    with pytest.raises(UsageError) as caught:
        embedded.ensure_started(private_home)
    assert str(private_home) in str(caught.value)
    assert "\n" not in str(caught.value)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text(encoding="utf-8").split()[2] != "Z"
