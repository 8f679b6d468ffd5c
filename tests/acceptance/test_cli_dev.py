"""`adsync dev` from an empty folder: Postgres, migrations, Dagster; and nothing left afterwards."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Shell

from adsync_dagster.commands.exits import ExitCode
from adsync_dagster.warehouse import embedded

SECONDS_MAX = 120


@pytest.fixture
def shell() -> Iterator[Shell]:
    """A shell in an empty folder that is not pytest's, since Postgres may be another user."""
    with tempfile.TemporaryDirectory(prefix="adsync dev ") as folder:
        yield Shell(Path(folder), {"PATH": "/usr/bin:/bin"})
        embedded.stop(Path(folder) / "home")


@pytest.fixture
def port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int, query: str) -> dict[str, object]:
    """A GraphQL query to the UI."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": query}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        return dict(json.load(response))


def wait_for_ui(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    """Return when the UI answers."""
    deadline = time.monotonic() + SECONDS_MAX
    while time.monotonic() < deadline:
        assert process.poll() is None, output.read_text()
        try:
            ask(port, "{ version }")
        except OSError:
            select_nothing(0.2)
        else:
            return
    raise AssertionError(output.read_text())


def select_nothing(seconds: float) -> None:
    """Give the processes under test the processor."""
    signal.sigtimedwait([signal.SIGUSR2], seconds)


def processes_of(folder: Path) -> list[str]:
    """Command lines of the living processes that work in that folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            where = (path / "environ").read_bytes()
        except OSError:
            continue
        if int(path.name) != os.getpid() and (
            str(folder) in command or f"ADSYNC_HOME={folder}/".encode() in where
        ):
            found.append(command)
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at /proc")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_dev_starts_everything_and_ends_it(shell: Shell, port: int, ending: signal.Signals) -> None:
    """From nothing, with a blank in the path and no venv on PATH, to the UI; then no trace."""
    output = shell.folder / "dev.txt"
    process = shell.start("dev", "--port", str(port), output=output)
    try:
        wait_for_ui(process, port, output)
        answer = ask(
            port,
            "{ repositoriesOrError { ... on RepositoryConnection { nodes { name jobs { name }"
            " sensors { name } schedules { name } } } } }",
        )
        assert "account_sync_job" in json.dumps(answer)
        assert "status_change_sensor" in json.dumps(answer)
        assert (shell.folder / "home" / "dagster" / "dagster.yaml").is_file()
        # A second one sees the port, and a status sees the database that dev migrated.
        assert shell.run("dev", "--port", str(port)).code == ExitCode.USAGE
        assert shell.run("status").code == 0
        process.send_signal(ending)
        assert process.wait(timeout=SECONDS_MAX) == 0, output.read_text()
    finally:
        process.kill()
        process.wait(timeout=30)
    assert processes_of(shell.folder) == []
    assert "Traceback" not in output.read_text()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


def test_stop_ends_the_embedded_database(shell: Shell) -> None:
    """The embedded Postgres outlives a command, and `adsync stop` ends it."""
    assert shell.run("migrate").code == 0
    assert embedded.is_running(shell.folder / "home")
    assert "is stopped" in shell.run("stop").out
    assert not embedded.is_running(shell.folder / "home")
    assert "no database runs" in shell.run("stop").out


def test_dagster_shares_the_embedded_server(shell: Shell) -> None:
    """Without any URL, Dagster's runs are kept in their own database of the same server."""
    assert shell.run("migrate").code == 0
    findings = shell.run("doctor", "--json").json["findings"]
    (dagster,) = [finding for finding in findings if finding["subject"] == "Dagster"]
    assert "kept in PostgreSQL" in dagster["detail"]
    assert all(finding["ok"] for finding in findings)
