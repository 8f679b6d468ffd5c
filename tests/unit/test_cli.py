"""The command line without a database: help, refusals, exit codes, and where errors go."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import PROGRAM, Shell

from adsync_dagster.commands import work
from adsync_dagster.commands.exits import ExitCode, code_of, run_guarded, worst
from adsync_dagster.commands.launch import Outcome
from adsync_dagster.errors import (
    AccountBusy,
    CredentialBlocked,
    Defect,
    PlatformBusy,
    Unreachable,
    UsageError,
)

CANARY = "canary-9c41"
NOBODY = "postgresql://adsync:canary-9c41@127.0.0.1:1/adsync"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell with an empty home and a database that does not answer."""
    return Shell(tmp_path, {"ADSYNC_DATABASE_URL": NOBODY})


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_help_and_version(shell: Shell) -> None:
    """Help and version go to stdout with exit code 0, also without any command."""
    for arguments in (["--help"], ["-h"], ["accounts", "--help"], ["sync", "-h"]):
        done = shell.run(*arguments)
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith("Usage: adsync")
    assert shell.run("--version").out.startswith("adsync 0.")
    assert "Commands:" in shell.run().out
    group = shell.run("accounts")
    assert (group.code, group.out) == (ExitCode.USAGE, "")
    assert "Commands:" in group.err


def test_help_is_quick_and_opens_nothing(shell: Shell) -> None:
    """Help loads neither Dagster nor a database and leaves no file behind."""
    code = (
        "import sys; sys.argv=['adsync','--help']\n"
        "from adsync_dagster.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'dagster', 'psycopg', 'sqlalchemy', 'requests', 'starlette'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [PROGRAM.with_name("python"), "-c", code],
        env=shell.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not (shell.folder / "home").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["synk"], "No such command 'synk'"),
        (["sync", "--fast"], "No such option"),
        (["accounts", "add"], "--platform"),
        (["dev", "--port", "http"], "--port"),
        (["dev", "--port", "70000"], "--port"),
        (["simulate", "serve", "--ads", "0"], "--ads"),
        (["accounts", "remove"], "ACCOUNT"),
    ],
)
def test_a_mistyped_command_is_one_line(shell: Shell, arguments: list[str], words: str) -> None:
    """The line names what is wrong and the help to read."""
    complaint = shell.run(*arguments).complaint(ExitCode.USAGE)
    assert words in complaint
    assert "--help" in complaint


@pytest.mark.parametrize("command", ["status", "sync", "migrate", "doctor", "dev"])
def test_an_unknown_setting_is_refused_by_every_command(shell: Shell, command: str) -> None:
    """A misspelt variable ends the command before anything is opened."""
    shell = shell.with_(ADSYNC_DATABASE="x")
    complaint = shell.run(command).complaint(ExitCode.USAGE)
    assert "ADSYNC_DATABASE is not a setting" in complaint


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ADSYNC_DATABASE_URL", f"mysql://u:{CANARY}@h/d", "postgresql://"),
        ("ADSYNC_DATABASE_URL", f"{CANARY}", "postgresql://"),
        ("ADSYNC_HISTORY_DAYS", "all", "whole number"),
        ("ADSYNC_TIMEZONE", "Berlin", "time zone"),
        ("ADSYNC_SYNC_CRON", "hourly", "cron line"),
        ("ADSYNC_NOW", "yesterday", "ISO instant"),
        ("ADSYNC_NOW", "file:/nonexistent/now", "cannot be read"),
        ("ADSYNC_FACEBOOK_BASE_URL", "http://graph.facebook.com", "https"),
    ],
)
def test_a_wrong_setting_is_one_line(shell: Shell, name: str, value: str, words: str) -> None:
    """The line names the variable and what to write instead, and repeats no secret."""
    if name == "ADSYNC_NOW":
        done = shell.with_(**{name: value}).run("simulate", "serve")
    else:
        done = shell.with_(**{name: value}).run("status")
    complaint = done.complaint(ExitCode.USAGE)
    assert words in complaint
    assert name in complaint
    assert CANARY not in complaint


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--from", "2030-01-01", "--until", "2030-01-02"], "--until 2030-01-02 lies in the"),
        (["--from", "2020-01-01", "--until", "2026-03-01"], "are 2,252 days; read at most 1,123"),
        (["--from", "1.3.2026", "--until", "2026-03-01"], "--from '1.3.2026' is no date"),
        (["--level", "campain"], "'--level': 'campain' is not one of 'campaign', 'adset', 'ad'"),
    ],
)
def test_days_and_levels_are_refused_before_anything_is_opened(
    shell: Shell, arguments: list[str], words: str
) -> None:
    """What no run could read is bad input, not a failed run: the database is not even asked."""
    shell = shell.with_(ADSYNC_NOW="2026-03-10T12:00:00+00:00")
    assert words in shell.run("sync", *arguments).complaint(ExitCode.USAGE)
    assert not (shell.folder / "home").exists()


@pytest.mark.parametrize("command", ["add", "discover"])
def test_a_missing_token_is_said_before_a_database_is_started(tmp_path: Path, command: str) -> None:
    """Without a database URL nothing is created for a command that could not work."""
    arguments = ["--platform", "facebook", *(["--account", "1"] if command == "add" else [])]
    complaint = Shell(tmp_path).run("accounts", command, *arguments).complaint(ExitCode.USAGE)
    assert "say where the token is" in complaint
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("command", ["migrate", "status", "verify", "sync", "settle", "dev"])
def test_a_database_that_does_not_answer(shell: Shell, command: str) -> None:
    """Exit code 4, with the place but without the password."""
    complaint = shell.run(command).complaint(ExitCode.UNREACHABLE)
    assert "127.0.0.1:1" in complaint
    assert CANARY not in complaint


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://adsync:p@{CANARY}@127.0.0.1:1/adsync",
        f"postgresql://adsync:{CANARY}@127.0.0.1:port/adsync",
        f"postgresql://adsync:{CANARY}@[::1/adsync",
    ],
)
def test_a_malformed_url_never_shows_its_password(shell: Shell, url: str) -> None:
    """Whatever is wrong with the URL, no part of the password is printed."""
    done = shell.with_(ADSYNC_DATABASE_URL=url).run("status")
    assert done.code in {ExitCode.USAGE, ExitCode.UNREACHABLE}
    assert CANARY not in done.out + done.err
    assert "Traceback" not in done.err


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    """ADSYNC_HOME on a plain file is named, with what to do."""
    (tmp_path / "home").write_text("I am a file")
    complaint = Shell(tmp_path).run("migrate").complaint(ExitCode.USAGE)
    assert "ADSYNC_HOME" in complaint
    assert "folder" in complaint


def test_dev_refuses_a_port_in_use(shell: Shell, taken_port: int) -> None:
    """A taken port is one line, before a database is started."""
    for command in (["dev"], ["simulate", "serve"], ["demo"]):
        complaint = shell.run(*command, "--port", str(taken_port)).complaint(ExitCode.USAGE)
        assert f"port {taken_port} is in use" in complaint
    assert not (shell.folder / "home").exists()


def test_dev_refuses_to_be_seen_by_others(shell: Shell) -> None:
    """Dagster's UI has no login, so another address than loopback needs a clear word."""
    for host in ("0.0.0.0", "::", "192.0.2.1"):  # noqa: S104
        complaint = shell.run("dev", "--host", host).complaint(ExitCode.USAGE)
        assert "no login" in complaint


def test_a_closed_pipe_is_no_error(shell: Shell) -> None:
    """`adsync --help | head -1` ends quietly."""
    done = subprocess.run(
        ["/bin/sh", "-c", f"'{PROGRAM}' --help | true"],
        env=shell.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), ExitCode.USAGE),
        (Unreachable("x"), ExitCode.UNREACHABLE),
        (PlatformBusy("x"), ExitCode.WORK_LEFT),
        (AccountBusy("x"), ExitCode.WORK_LEFT),
        (CredentialBlocked("x"), ExitCode.BLOCKED),
        (Defect("x"), ExitCode.DEFECT),
    ],
)
def test_each_family_has_its_exit_code(error: Exception, code: ExitCode) -> None:
    """Scripts can tell waiting, a person, bad input and a bug apart."""
    assert code_of(error) is code  # type: ignore[arg-type]


def test_the_worst_outcome_decides() -> None:
    """A bug outweighs a person, a person outweighs waiting, and nothing wrong is 0."""
    codes = [ExitCode.OK, ExitCode.WORK_LEFT, ExitCode.BLOCKED]
    assert worst([]) is ExitCode.OK
    assert worst(codes[:2]) is ExitCode.WORK_LEFT
    assert worst(codes) is ExitCode.BLOCKED
    assert worst([*codes, ExitCode.DEFECT]) is ExitCode.DEFECT


def test_a_bug_leaves_its_traceback_in_a_private_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A person sees one line with the file; the file is for its owner only."""
    monkeypatch.setenv("ADSYNC_HOME", str(tmp_path))

    def call() -> int:
        raise ZeroDivisionError(CANARY)

    assert run_guarded(call, debug=False) == ExitCode.DEFECT
    said = capsys.readouterr().err
    assert CANARY not in said
    (log,) = (tmp_path / "logs").iterdir()
    assert str(log) in said.replace("\n", "")
    assert "ZeroDivisionError" in log.read_text(encoding="utf-8")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_debug_shows_the_traceback(shell: Shell) -> None:
    """--debug adds where an error came from."""
    done = shell.run("--debug", "status")
    assert done.code == ExitCode.UNREACHABLE
    assert "Traceback" in done.err


def test_an_interrupt_is_no_bug(shell: Shell) -> None:
    """Ctrl-C ends at once with 130 and a sentence, whatever threads are still at work."""
    code = (
        "import threading, time\n"
        "from adsync_dagster.commands.exits import run_guarded\n"
        "def call():\n"
        "    threading.Thread(target=time.sleep, args=(600,)).start()\n"
        "    raise KeyboardInterrupt\n"
        "run_guarded(call, debug=False)"
    )
    done = subprocess.run(
        [PROGRAM.with_name("python"), "-c", code],
        env=shell.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == ExitCode.INTERRUPTED
    assert done.stderr == "adsync: interrupted; what was finished is kept\n"


def test_an_accounts_failure_names_it_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Errors that begin with the account do not get it a second time."""
    row = {"account": "facebook:act_501", "ok": False, "pending": 0, "blocked": 0}
    row |= {"error": "facebook:act_501: Meta reports 1123 days back", "what_helps": "a correction"}
    work._show([row], Outcome())
    said = " ".join(capsys.readouterr().err.split())
    assert said == "facebook:act_501: Meta reports 1123 days back (a correction)"


def test_the_simulator_serves_and_ends(shell: Shell) -> None:
    """`adsync simulate serve` answers on loopback and ends with its signal."""
    output = shell.folder / "simulator.txt"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = shell.start("simulate", "serve", "--port", str(port), "--ads", "8", output=output)
    try:
        deadline = time.monotonic() + 60
        while f"127.0.0.1:{port}" not in output.read_text() and time.monotonic() < deadline:
            assert process.poll() is None, output.read_text()
            os.sched_yield()
        with socket.create_connection(("127.0.0.1", port), timeout=10):
            pass
        while "accounts add" not in output.read_text() and time.monotonic() < deadline:
            os.sched_yield()
        told = output.read_text()
        assert told.index("adsync migrate") < told.index("adsync accounts add")
    finally:
        process.terminate()
        process.wait(timeout=20)
