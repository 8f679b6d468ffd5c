"""Every mistake of the first hour ends in one line that says what to do, and a fitting exit code.

The table in docs/troubleshooting.md lists them; the last test holds it to this file.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from acceptance.fake_postgres import old_server, postgres_that_answers, refusal
from command import PROGRAM, Shell

from adsync_dagster.clock import SystemClock
from adsync_dagster.commands.exits import ExitCode, run_guarded
from adsync_dagster.errors import UsageError
from adsync_dagster.simulator.facebook_auth import Token
from adsync_dagster.simulator.server import RunningSimulator, serve
from adsync_dagster.simulator.world import World
from adsync_dagster.warehouse import embedded
from adsync_dagster.warehouse.database_errors import family_of

CANARY = "canary-4d1e"
TOKEN = "sim_first_hour"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "troubleshooting.md"


@dataclass(frozen=True)
class Stage:
    """A migrated database, the simulated platforms, and a shell between them."""

    shell: Shell
    simulator: RunningSimulator

    def add(self, platform: str, account: str, token: str) -> str:
        """Add an account with a token; what the one line says."""
        shell = self.shell.with_(TOKEN=token)
        arguments = ["--platform", platform, "--account", account, "--token-env", "TOKEN"]
        done = shell.run("accounts", "add", *arguments)
        return done.complaint(done.code) + f" [{done.code}]"

    def add_quietly(self, platform: str, account: str) -> None:
        """Add an account with a token that the platform takes."""
        arguments = ["--platform", platform, "--account", account, "--token-stdin"]
        assert self.shell.run("accounts", "add", *arguments, stdin=TOKEN).code == 0


@pytest.fixture
def stage(database_url: str, tmp_path: Path) -> Iterator[Stage]:
    """A Meta, a TikTok and a Google Ads account of a few ads."""
    world = World(seed=3, clock=SystemClock())
    size = {"campaigns": 1, "adsets": 1, "ads": 2, "history_days": 3}
    world.add_facebook_account("act_501", **size)
    world.add_tiktok_account("7010000000000000501", **size)
    world.add_google_ads_account("5015015011", **size)
    with serve(world) as simulator:
        url = simulator.base_url
        variables = {
            "ADSYNC_DATABASE_URL": database_url,
            "ADSYNC_FACEBOOK_BASE_URL": url,
            "ADSYNC_TIKTOK_BASE_URL": url,
            "ADSYNC_GOOGLE_ADS_BASE_URL": url,
            "ADSYNC_GOOGLE_OAUTH_URL": f"{url}/token",
        }
        yield Stage(Shell(tmp_path, variables), simulator)


def test_wrong_token(stage: Stage) -> None:
    """A token that the platform refuses: a person must get another; it is not repeated."""
    for platform, account in (("facebook", "act_501"), ("tiktok", "7010000000000000501")):
        said = stage.add(platform, account, f"EAAB{CANARY}")
        assert said.endswith(f"[{ExitCode.BLOCKED}]"), said
        assert "token" in said
        assert CANARY not in said


def test_token_that_is_no_token(stage: Stage) -> None:
    """An empty token, one with blanks, and text where Google wants JSON are refused unasked."""
    for platform, account, token, words in (
        ("facebook", "act_501", "two words", "blanks"),
        ("google_ads", "5015015011", TOKEN, "JSON object"),
    ):
        said = stage.add(platform, account, token)
        assert words in said
        assert said.endswith(f"[{ExitCode.USAGE}]")


def test_missing_permission(stage: Stage) -> None:
    """A valid token without the right to read ads: the right to give is named."""
    stage.simulator.simulator.facebook.tokens.add(Token(value=TOKEN, permissions=frozenset()))
    said = stage.add("facebook", "act_501", TOKEN)
    assert said.endswith(f"[{ExitCode.BLOCKED}]"), said
    assert "ads_read" in said


def test_wrong_account(stage: Stage) -> None:
    """An account that the platform does not know, and text that is no account's id."""
    unknown = stage.add("facebook", "act_999", TOKEN)
    assert "act_999" in unknown
    assert "`adsync accounts discover --platform facebook` lists" in unknown
    assert unknown.endswith(f"[{ExitCode.BLOCKED}]")
    for platform in ("facebook", "tiktok", "google_ads"):
        credential = (
            f'{{"client_id":"c","client_secret":"s","refresh_token":"{TOKEN}"}}'
            if platform == "google_ads"
            else TOKEN
        )
        said = stage.add(platform, "shop", credential)
        assert "write it" in said or "write its id" in said, said
        assert said.endswith(f"[{ExitCode.USAGE}]")


def test_no_account_yet(stage: Stage) -> None:
    """With nothing to sync or to judge, the next step is named and nothing is called complete."""
    for command in ("sync", "verify", "final-sync", "settle"):
        assert "adsync accounts add" in stage.shell.run(command).complaint(ExitCode.USAGE)


def test_account_never_synced(stage: Stage) -> None:
    """An account that was only added is not complete; one that was removed is not judged."""
    stage.add_quietly("facebook", "act_501")
    done = stage.shell.run("verify")
    assert done.code == ExitCode.WORK_LEFT, done.out
    assert "FAIL  accounts never synced whole, or not lately: 1" in done.out
    assert done.out.endswith("not complete: 1 check failed\n")
    assert "Run `adsync sync ACCOUNT`" in done.err

    assert stage.shell.run("accounts", "remove", "act_501").code == 0
    for command in ("verify", "sync", "settle", "sync act_501"):
        said = stage.shell.run(*command.split()).complaint(ExitCode.USAGE)
        assert "facebook:act_501 was removed" in said
        assert "adsync accounts add" in said


def test_days_that_are_not_reported(stage: Stage) -> None:
    """Days before what the platform reports are refused before a run, with its name, once."""
    stage.add_quietly("facebook", "act_501")
    said = stage.shell.run("sync", "--from", "2020-01-01", "--until", "2020-01-02")
    complaint = said.complaint(ExitCode.USAGE)
    assert "facebook:act_501: Meta reports 1123 days back; the first day that can" in complaint
    assert complaint.count("act_501") == 1
    assert not (stage.shell.folder / "home" / "dagster").exists()


def test_database_not_migrated(empty_url: str, tmp_path: Path) -> None:
    """Commands that need the tables say to migrate."""
    shell = Shell(tmp_path, {"ADSYNC_DATABASE_URL": empty_url})
    for command in ("status", "sync", "verify"):
        assert "run adsync migrate" in shell.run(command).complaint(ExitCode.USAGE)


def test_old_postgres(tmp_path: Path) -> None:
    """A server before 15 is named with its version, whatever the command."""
    with postgres_that_answers(old_server("14.11")) as port:
        url = f"postgresql://adsync:{CANARY}@127.0.0.1:{port}/adsync"
        for command in ("migrate", "status"):
            said = Shell(tmp_path, {"ADSYNC_DATABASE_URL": url}).run(command)
            assert "PostgreSQL 14; adsync needs PostgreSQL 15" in said.complaint(ExitCode.USAGE)


REFUSALS = {
    'password authentication failed for user "adsync"': ("28P01", "refused the password"),
    'database "adsync" does not exist': ("3D000", "createdb adsync"),
    'role "adsync" does not exist': ("28000", "no user adsync"),
    'no pg_hba.conf entry for host "10.0.0.9"': ("28000", "does not let user adsync in"),
}


@pytest.mark.parametrize("text", REFUSALS)
def test_database_refuses(text: str, tmp_path: Path) -> None:
    """Wrong password, database, user or address: each its own line, never with the password."""
    code, words = REFUSALS[text]
    with postgres_that_answers(refusal(code, text)) as port:
        url = f"postgresql://adsync:{CANARY}@127.0.0.1:{port}/adsync"
        said = Shell(tmp_path, {"ADSYNC_DATABASE_URL": url}).run("status").complaint(ExitCode.USAGE)
    assert words in said
    assert CANARY not in said


def test_missing_database_rights() -> None:
    """A user without a right on the tables is bad input, not a bug, and says who may migrate."""
    import psycopg  # noqa: PLC0415

    error = family_of(psycopg.errors.InsufficientPrivilege("must be owner of table ads"))
    assert isinstance(error, UsageError)
    assert "as the owner of the tables" in str(error)


def test_dagster_storage_unreachable(stage: Stage) -> None:
    """A DAGSTER_PG_URL that does not answer is named as such, without Dagster's own lines."""
    shell = stage.shell.with_(
        DAGSTER_PG_URL=f"postgresql+psycopg2://u:{CANARY}@127.0.0.1:1/dagster", TOKEN=TOKEN
    )
    arguments = ["--platform", "facebook", "--account", "act_501", "--token-env", "TOKEN"]
    assert shell.run("accounts", "add", *arguments).code == 0
    for command in ("sync", "dev", "safety-net"):
        said = shell.run(command).complaint(ExitCode.UNREACHABLE)
        assert "DAGSTER_PG_URL" in said
        assert CANARY not in said


@pytest.mark.parametrize("variable", ["ADSYNC_HOME", "DAGSTER_HOME"])
def test_folder_that_cannot_be_written(stage: Stage, variable: str) -> None:
    """A home where nothing can be written is named with its variable."""
    (stage.shell.folder / "file").write_text("no folder", encoding="utf-8")
    shell = stage.shell.with_(**{variable: str(stage.shell.folder / "file" / "home")})
    if variable == "ADSYNC_HOME":
        shell = Shell(shell.folder, {**shell.variables, "ADSYNC_DATABASE_URL": ""})
    said = shell.run("migrate" if variable == "ADSYNC_HOME" else "dev").complaint(ExitCode.USAGE)
    assert f"{variable} is " in said
    assert "folder that you own" in said


def test_current_folder_without_rights() -> None:
    """Without ADSYNC_HOME everything lives in the current folder; one without rights is named."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("ADSYNC_", "DAGSTER_"))}
    done = subprocess.run(
        [str(PROGRAM), "migrate"],
        cwd="/proc",
        env=kept,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == ExitCode.USAGE
    assert "ADSYNC_HOME is /proc/.adsync, where nothing can be written" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_two_devs_at_once(stage: Stage) -> None:
    """A second `adsync dev` on the same home is refused with the first one's process and port."""
    home = stage.shell.folder / "home" / "dagster"
    home.mkdir(parents=True)
    with (home / "adsync-dev.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("process 4711, port 3000")
        lock.flush()
        said = stage.shell.run("dev").complaint(ExitCode.USAGE)
    assert "already runs" in said
    assert "process 4711, port 3000" in said


def test_full_disk_at_first_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little room for the embedded database is said before half of it is made."""
    monkeypatch.setattr(embedded, "NEW_CLUSTER_BYTES", 10**18)
    with pytest.raises(UsageError, match=r"MB free, and the embedded database needs"):
        embedded.ensure_started(tmp_path / "home")
    assert not (tmp_path / "home" / "postgres").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_later(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    """A disk that fills up while a command works needs a person; it is no bug of ours."""

    def work() -> int:
        try:
            raise OSError(number, os.strerror(number), "/var/lib/adsync/x")
        except OSError as error:
            raise RuntimeError("a library's own words") from error

    assert run_guarded(work, debug=False) == ExitCode.BLOCKED
    said = capsys.readouterr().err
    assert "a disk is full (/var/lib/adsync/x)" in " ".join(said.split())
    assert "bug" not in said


def test_full_disk_of_the_server() -> None:
    """The server's own full disk leaves the work pending and says where to make room."""
    import psycopg  # noqa: PLC0415

    error = family_of(psycopg.errors.DiskFull("could not extend file"))
    assert error.family == "retryable"
    assert "disk of the database server is full" in str(error)


def test_every_mistake_is_documented() -> None:
    """docs/troubleshooting.md has a row per mistake, each naming a test that exists."""
    page = PAGE.read_text(encoding="utf-8")
    named = set(
        re.findall(r"`((?:acceptance|unit|integration)/[a-z_]+\.py::test_[a-z_0-9]+)`", page)
    )
    here = Path(__file__).read_text(encoding="utf-8")
    ours = {
        f"acceptance/test_first_hour.py::{name}"
        for name in re.findall(r"^def (test_\w+)", here, re.M)
    }
    ours.discard("acceptance/test_first_hour.py::test_every_mistake_is_documented")
    assert ours <= named
    for name in named:
        file, _, test = name.partition("::")
        text = (Path(__file__).parents[1] / file).read_text(encoding="utf-8")
        assert f"def {test}(" in text, name
