"""The command line against a real database and a simulated platform, as a person would use it.

Each test is one chapter with a database of its own; commands run as processes, time is a file
that all of them read.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from command import Finished, Shell

from adsync_dagster.clock import FileClock
from adsync_dagster.commands.exits import ExitCode
from adsync_dagster.simulator.facebook_auth import Token
from adsync_dagster.simulator.server import RunningSimulator, serve
from adsync_dagster.simulator.world import World
from adsync_dagster.warehouse.database import with_driver

START = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
TOKEN = "sim_cli_canary_2d9e"
KEY = "facebook:act_501"
_NUMBERS = itertools.count()


@dataclass
class Stage:
    """A shell, the world behind the platform, and the database."""

    shell: Shell
    world: World
    simulator: RunningSimulator
    url: str

    def adsync(self, *arguments: str, stdin: str = "") -> Finished:
        """Run a command; whatever it does, it shows no token and no traceback."""
        done = self.shell.run(*arguments, stdin=stdin)
        assert TOKEN not in done.out + done.err
        assert "Traceback" not in done.err
        return done

    def connect(self) -> None:
        """Add the account."""
        done = self.adsync(
            "accounts", "add", "--platform", "facebook", "--account", "501", "--token-env", "TOKEN"
        )
        assert done.code == 0, done.err

    def query(self, statement: str) -> list[tuple[object, ...]]:
        """Rows of a SQL statement."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(statement).fetchall()  # type: ignore[arg-type]


def small_world(folder: Path) -> World:
    """A small Meta account under a clock in a file; the same one every time."""
    clock = FileClock(folder / "now")
    clock.set(START)
    world = World(seed=3, clock=clock)
    world.add_facebook_account("act_501", campaigns=2, adsets=3, ads=6, history_days=5)
    return world


def shell_of(folder: Path, database_url: str, simulator: RunningSimulator) -> Shell:
    """A shell with all that the commands need."""
    return Shell(
        folder,
        {
            "ADSYNC_DATABASE_URL": database_url,
            "ADSYNC_FACEBOOK_BASE_URL": simulator.base_url,
            "ADSYNC_NOW": f"file:{folder / 'now'}",
            "ADSYNC_HISTORY_DAYS": "5",
            "TOKEN": TOKEN,
        },
    )


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[RunningSimulator]:
    """The small world behind a loopback port."""
    with serve(small_world(tmp_path)) as running:
        yield running


@pytest.fixture
def stage(tmp_path: Path, database_url: str, simulator: RunningSimulator) -> Stage:
    """Everything together, with a migrated and empty database."""
    shell = shell_of(tmp_path, database_url, simulator)
    return Stage(shell, simulator.world, simulator, database_url)


@dataclass(frozen=True)
class Synced:
    """A database after the account's first sync, to clone, and the home that goes with it."""

    template: str
    home: Path


@pytest.fixture(scope="session")
def synced_before(
    server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Synced:
    """Connect the account and sync it once, for all tests that begin after that."""
    name = f"synced_{os.getpid()}"
    folder = tmp_path_factory.mktemp("synced")
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")  # type: ignore[arg-type]
    with serve(small_world(folder)) as simulator:
        url = with_driver(server_url, "", name)
        stage = Stage(shell_of(folder, url, simulator), simulator.world, simulator, url)
        stage.connect()
        done = stage.adsync("sync")
        assert done.code == 0, done.err
    return Synced(name, folder / "home")


@pytest.fixture
def synced(
    tmp_path: Path, server_url: str, synced_before: Synced, simulator: RunningSimulator
) -> Stage:
    """A stage on which the account is connected and its first sync is done."""
    name = f"story_{os.getpid()}_{next(_NUMBERS)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} TEMPLATE {synced_before.template}"  # type: ignore[arg-type]
        )
    shutil.copytree(synced_before.home, tmp_path / "home")
    url = with_driver(server_url, "", name)
    return Stage(shell_of(tmp_path, url, simulator), simulator.world, simulator, url)


def test_migrate_says_what_it_does(empty_url: str, tmp_path: Path) -> None:
    """--dry-run lists the steps and changes nothing; migrate applies them once."""
    shell = Shell(tmp_path, {"ADSYNC_DATABASE_URL": empty_url})
    complaint = shell.run("status").complaint(ExitCode.USAGE)
    assert "adsync migrate" in complaint
    planned = shell.run("migrate", "--dry-run", "--json").json["pending"]
    assert planned[0] == "0001_entities"
    assert "adsync migrate" in shell.run("status").complaint(ExitCode.USAGE)
    applied = shell.run("migrate", "--json")
    assert (applied.code, applied.json["applied"]) == (0, planned)
    assert shell.run("migrate").out == "the database was current\n"
    assert shell.run("status").code == 0


def test_a_newer_database_is_left_alone(stage: Stage) -> None:
    """A database that a later version migrated is refused by every command that would write."""
    with psycopg.connect(stage.url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc)"
            " VALUES ('x', '9999_future', now())"
        )
    for command in ("migrate", "status", "sync"):
        complaint = stage.adsync(command).complaint(ExitCode.USAGE)
        assert "newer than this adsync" in complaint


def test_a_missing_database_is_named(stage: Stage) -> None:
    """A server without the database says which one to create."""
    url = stage.url.replace("/" + stage.url.split("/")[3].split("?")[0], "/not_there", 1)
    complaint = stage.shell.with_(ADSYNC_DATABASE_URL=url).run("status")
    assert "not_there" in complaint.complaint(ExitCode.USAGE)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--platform", "meta", "--account", "1", "--token-env", "TOKEN"], "use one of facebook"),
        (["--platform", "facebook", "--account", "act_x1", "--token-env", "TOKEN"], "act_x1"),
        (["--platform", "facebook", "--account", "501", "--token-env", "NOT_SET"], "NOT_SET"),
        (["--platform", "facebook", "--account", "501"], "--token-stdin"),
        (["--platform", "facebook", "--account", "501", "--token-stdin"], "empty"),
        (["--platform", "facebook", "--account", "501", "--token-file", "/gone"], "/gone"),
    ],
)
def test_bad_input_to_accounts_add(stage: Stage, arguments: list[str], words: str) -> None:
    """Each mistake is one line that says what to write, and nothing is stored."""
    assert words in stage.adsync("accounts", "add", *arguments).complaint(ExitCode.USAGE)
    assert stage.query("SELECT count(*) FROM ad_accounts") == [(0,)]


def test_accounts_are_verified_before_they_are_stored(stage: Stage) -> None:
    """A credential that the platform refuses, or an account it does not show, is not stored."""
    add = ["accounts", "add", "--platform", "facebook", "--token-stdin", "--account"]
    stage.simulator.simulator.facebook.tokens.add(
        Token(value=TOKEN + "_other", accounts=frozenset({"act_1"}))
    )
    stage.simulator.simulator.facebook.tokens.add(Token(value=TOKEN + "_gone", revoked=True))
    for token in ("_other", "_gone"):
        stage.adsync(*add, "501", stdin=TOKEN + token).complaint(ExitCode.BLOCKED)
    stage.adsync(*add, "999", stdin=TOKEN).complaint(ExitCode.BLOCKED)
    stage.simulator.stop()
    complaint = stage.adsync(*add, "501", stdin=TOKEN).complaint(ExitCode.UNREACHABLE)
    assert "could not be reached" in complaint
    assert stage.query("SELECT count(*) FROM ad_accounts") == [(0,)]
    assert stage.query("SELECT count(*) FROM platform_tokens") == [(0,)]


def test_adding_without_the_platform(stage: Stage) -> None:
    """--no-verify stores the account for a host that cannot reach the platform now."""
    stage.simulator.stop()
    done = stage.adsync(
        "accounts", "add", "--platform", "facebook", "--account", "act_501",
        "--token-stdin", "--no-verify", "--json", stdin=TOKEN,
    )  # fmt: skip
    assert (done.code, done.json["account"], done.json["verified"]) == (0, KEY, False)


def test_an_account_from_its_first_sync_to_its_removal(stage: Stage) -> None:
    """Add, sync, stop an ad, final sync, verify, remove: every command says the truth."""
    assert "adsync accounts add" in stage.adsync("sync").complaint(ExitCode.USAGE)
    stage.connect()
    assert stage.adsync("accounts", "list", "--json").json["accounts"][0]["name"] == "Shop US"

    done = stage.adsync("sync", "--json")
    assert (done.code, done.json["success"]) == (0, True), done.err
    assert "Step 4/4" in done.err

    stage.world.advance(hours=3)
    ad = next(e.id for e in stage.world.entities("act_501", "ad") if e.effective == "ACTIVE")
    stage.world.pause("ad", ad)
    stage.world.advance(hours=3)
    assert stage.adsync("sync", "501").code == 0
    (row,) = stage.adsync("status", "--json").json["accounts"]
    assert (row["pending"], row["done_last_week"]) == (0, 1)
    assert row["to_do"] is None

    verdict = stage.adsync("verify", "--json")
    assert (verdict.code, verdict.json["complete"]) == (0, True), verdict.out
    for command in ("verify", "status", "accounts list", "final-sync"):
        assert stage.adsync(*command.split()).code == 0
    findings = stage.adsync("doctor", "--json").json["findings"]
    # The tests' server runs with fsync off, which doctor rightly finds.
    assert [finding["subject"] for finding in findings if not finding["ok"]] == ["fsync"]

    assert stage.adsync("accounts", "remove", "act_501").code == 0
    assert "removed" in stage.adsync("accounts", "list").out
    assert stage.query("SELECT count(*) FROM platform_tokens") == [(0,)]
    assert stage.query("SELECT count(*) > 0 FROM ad_metrics") == [(True,)]
    stage.adsync("sync").complaint(ExitCode.USAGE)


def test_a_change_made_by_hand_is_finished_by_final_sync(synced: Stage) -> None:
    """`adsync final-sync` runs what is owed, and says so when nothing is."""
    assert synced.adsync("final-sync").out == "no final sync is pending\n"
    with psycopg.connect(synced.url, autocommit=True) as connection:
        connection.execute("SELECT set_config('adsync.now', '2026-03-10T14:00:00Z', false)")
        connection.execute(
            "UPDATE ads SET status = 'PAUSED' WHERE status = 'ACTIVE' AND platform_ad_id ="
            " (SELECT min(platform_ad_id) FROM ads WHERE status = 'ACTIVE')"
        )
    assert synced.adsync("status", "--json").json["accounts"][0]["pending"] == 1
    done = synced.adsync("final-sync", "--json")
    assert done.code == 0, done.err
    assert [(row["account"], row["ok"], row["pending"]) for row in done.json["accounts"]] == [
        (KEY, True, 0)
    ]


def test_an_expired_credential_needs_a_person(synced: Stage) -> None:
    """Sync, status, verify and doctor all say who must act; a new credential mends it."""
    synced.simulator.simulator.facebook.tokens.add(Token(value=TOKEN, revoked=True))
    synced.world.advance(hours=2)

    done = synced.adsync("sync", "--json")
    assert done.code == ExitCode.BLOCKED, done.err
    assert done.json["accounts"][0]["what_helps"].startswith("a person")
    (row,) = synced.adsync("status", "--json").json["accounts"]
    assert row["to_do"].startswith("a person: ")
    assert synced.adsync("verify").code == ExitCode.BLOCKED
    findings = synced.adsync("doctor", "--json").json["findings"]
    assert next(f for f in findings if f["subject"] == KEY)["code"] == ExitCode.BLOCKED
    assert synced.adsync("safety-net").code != 0

    add = ["accounts", "add", "--platform", "facebook", "--account", "501", "--token-stdin"]
    assert synced.adsync(*add, stdin=TOKEN + "_renewed").code == 0
    assert synced.adsync("sync").code == 0
    assert synced.adsync("verify").code == 0


def test_a_platform_that_is_down_is_waited_for(synced: Stage) -> None:
    """A failure that passes is exit code 1, stays visible, and is gone after the next sync."""
    port = synced.simulator.port
    synced.simulator.stop()
    done = synced.adsync("sync", "--json")
    assert done.code == ExitCode.WORK_LEFT, done.err
    assert done.json["accounts"][0]["what_helps"].startswith("waiting")
    assert "nobody yet" in synced.adsync("status").out
    with serve(synced.world, port=port):
        assert synced.adsync("sync").code == 0
        assert "nothing waits for anybody" in synced.adsync("status").out


def test_runs_are_the_uis_runs(synced: Stage) -> None:
    """What the command line runs is recorded in Dagster's instance, job, partition and all."""
    runs = synced.adsync("settle", "--json").json["runs"]
    synced.adsync("safety-net", "--json")
    (database,) = (synced.shell.folder / "home" / "dagster").rglob("runs.db")
    with sqlite3.connect(database) as connection:
        recorded = connection.execute("SELECT pipeline_name, status, run_id FROM runs").fetchall()
    assert [(job, status) for job, status, _ in recorded] == [
        ("account_sync_job", "SUCCESS"),
        ("settle_job", "SUCCESS"),
        ("safety_net_job", "SUCCESS"),
    ]
    assert recorded[1][2] == runs[0]


def test_chosen_days_and_names(stage: Stage) -> None:
    """--from and --until read that range; wrong days and unknown accounts are one line."""
    stage.connect()
    days = ["--from", "2026-03-07", "--until", "2026-03-08"]
    assert stage.adsync("sync", *days).code == 0
    assert stage.query("SELECT min(date)::text, max(date)::text FROM ad_metrics") == [
        ("2026-03-07", "2026-03-08")
    ]
    for arguments, words in (
        (["--from", "2026-03-08"], "both --from and --until"),
        (["--from", "2026-03-08", "--until", "2026-03-07"], "after"),
        (["--from", "8 March", "--until", "9 March"], "2026-03-01"),
        (["facebook:act_502"], "facebook:act_502"),
        (["act_501", "nobody"], "nobody"),
    ):
        assert words in stage.adsync("sync", *arguments).complaint(ExitCode.USAGE)


def test_one_level_is_read_on_demand(stage: Stage) -> None:
    """--level reads metrics of that level only; the days stay due, so nothing is complete."""
    stage.connect()
    assert stage.adsync("sync", "--level", "campaign").code == 0
    assert stage.query("SELECT DISTINCT entity_type FROM ad_metrics") == [("campaign",)]
    assert stage.query("SELECT count(*) FROM ad_account_days WHERE state = 'sealed'") == [(0,)]
    assert stage.adsync("verify").code == ExitCode.WORK_LEFT


def test_the_key_of_credentials_is_changed(stage: Stage) -> None:
    """Old key, both keys, rotate, new key alone: the credential opens at every step."""
    old, new = (b64encode(os.urandom(32)).decode() for _ in range(2))
    before = replace(stage, shell=stage.shell.with_(ADSYNC_TOKEN_KEY=old))
    before.connect()
    both = stage.shell.with_(ADSYNC_TOKEN_KEY=new, ADSYNC_TOKEN_KEY_PREVIOUS=old)
    after = stage.shell.with_(ADSYNC_TOKEN_KEY=new)
    # Nobody may believe it is done while a key is missing.
    assert after.run("accounts", "rotate-keys").code == ExitCode.BLOCKED
    done = both.run("accounts", "rotate-keys")
    assert (done.code, done.out) == (0, "1 credential moved to the present key\n"), done.err
    assert "no credential needs ADSYNC_TOKEN_KEY_PREVIOUS any more" in done.err
    assert both.run("accounts", "rotate-keys", "--json").json["moved"] == 0
    assert after.run("sync").code == 0


def test_discover_lists_and_adds(stage: Stage) -> None:
    """A credential's accounts are listed, and with --add all the readable ones are added."""
    stage.world.add_facebook_account("act_777", name="Shop EU", campaigns=1, adsets=1, ads=1)
    discover = ["accounts", "discover", "--platform", "facebook", "--token-env", "TOKEN"]
    found = stage.adsync(*discover, "--json").json
    assert {account["id"] for account in found["found"]} == {"act_501", "act_777"}
    assert stage.query("SELECT count(*) FROM ad_accounts") == [(0,)]
    done = stage.adsync(*discover, "--add")
    assert "2 accounts found, 2 added" in done.out
    assert len(stage.adsync("accounts", "list", "--json").json["accounts"]) == 2


@pytest.mark.parametrize("kind", ["relative", "a file", "read-only"])
def test_a_dagster_home_that_cannot_be_used(synced: Stage, tmp_path: Path, kind: str) -> None:
    """A relative, blocked or read-only DAGSTER_HOME is one line that names it."""
    place = tmp_path / "dagster_home"
    if kind == "a file":
        place.write_text("")
    elif kind == "read-only":
        if os.geteuid() == 0:
            pytest.skip("root writes anywhere")
        place.mkdir(mode=0o500)
    home = "dagster_home" if kind == "relative" else str(place)
    complaint = synced.shell.with_(DAGSTER_HOME=home).run("sync")
    line = [text for text in complaint.err.splitlines() if text.startswith("adsync:")]
    assert complaint.code == ExitCode.USAGE
    assert len(line) == 1
    assert "DAGSTER_HOME" in line[0]


def test_doctor_finds_what_is_broken(synced: Stage) -> None:
    """A disabled trigger, a lost durability setting and an open key file are named."""
    (synced.shell.folder / "home" / "token.key").chmod(0o644)
    with psycopg.connect(synced.url, autocommit=True) as connection:
        connection.execute("ALTER TABLE ads DISABLE TRIGGER trigger_log_ad_status_change")
        connection.execute(
            f"ALTER DATABASE {connection.info.dbname} SET synchronous_commit = off"  # type: ignore[arg-type]
        )
    done = synced.adsync("doctor", "--json")
    bad = {finding["subject"] for finding in done.json["findings"] if not finding["ok"]}
    assert done.code != 0
    assert {"key file", "trigger", "synchronous_commit"} <= bad
    assert synced.adsync("verify").code == ExitCode.WORK_LEFT


def test_no_secret_is_stored_in_clear(synced: Stage) -> None:
    """The token is in no table, no file of the home and no Dagster event."""
    assert synced.query("SELECT count(*) FROM platform_tokens") == [(1,)]
    tables = synced.query(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'public'"
    )
    for (table,) in tables:
        assert synced.query(f"SELECT count(*) FROM {table} t WHERE t::text LIKE '%{TOKEN}%'") == [
            (0,)
        ]
    for path in synced.shell.folder.rglob("*"):
        if path.is_file():
            assert TOKEN.encode() not in path.read_bytes(), path


def test_a_virtual_clock_reaches_every_command(synced: Stage) -> None:
    """Days are cut by the clock of the file, not by the machine's."""
    assert synced.query("SELECT max(date) <= '2026-03-10' FROM ad_metrics") == [(True,)]
    FileClock(synced.shell.folder / "now").set(START + timedelta(days=2))
    assert synced.adsync("sync").code == 0
    assert synced.query("SELECT max(date) > '2026-03-10' FROM ad_metrics") == [(True,)]


def test_output_for_scripts_is_clean(synced: Stage) -> None:
    """With --json stdout holds one JSON value and nothing else, without colours."""
    for command in ("status", "verify", "doctor --offline", "accounts list", "settle"):
        done = synced.adsync(*command.split(), "--json")
        json.loads(done.out)
        assert "\x1b" not in done.out + done.err


def test_a_pipe_that_closes_is_no_error(stage: Stage) -> None:
    """`adsync status | head -1` ends quietly."""
    done = subprocess.run(
        ["/bin/sh", "-c", "adsync status | head -1; adsync doctor --offline | true"],
        env={
            **stage.shell.environment,
            "PATH": f"{Path(__file__).parents[2] / '.venv' / 'bin'}:/usr/bin:/bin",
        },
        cwd=stage.shell.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_a_sync_at_once(synced: Stage, ending: signal.Signals) -> None:
    """Ctrl-C and SIGTERM leave nothing behind: no lock, no run that looks alive, no half day."""
    hang = synced.simulator.simulator.faults.arm("hang", path="insights", seconds=600)
    output = synced.shell.folder / "sync.txt"
    process = synced.shell.start("sync", output=output)
    try:
        deadline = time.monotonic() + 120
        while not hang.fired and time.monotonic() < deadline:
            assert process.poll() is None, output.read_text()
            signal.sigtimedwait([signal.SIGUSR2], 0.1)
        process.send_signal(ending)
        assert process.wait(timeout=30) == ExitCode.INTERRUPTED, output.read_text()
    finally:
        process.kill()
        process.wait(timeout=30)
    assert "interrupted; what was finished is kept" in output.read_text()
    (database,) = (synced.shell.folder / "home" / "dagster").rglob("runs.db")
    with sqlite3.connect(database) as connection:
        (last,) = connection.execute("SELECT status FROM runs ORDER BY id DESC LIMIT 1").fetchone()
    assert last == "CANCELED"
    synced.simulator.simulator.faults.disarm()
    assert synced.adsync("sync").code == 0


def test_the_documented_sql_runs(synced: Stage) -> None:
    """Every SQL statement that the docs print works on a database as it is."""
    docs = Path(__file__).parents[2]
    statements = []
    for page in [*docs.glob("*.md"), *(docs / "docs").glob("*.md")]:
        blocks = re.findall(
            r"^```sql\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
        )
        statements += [part for block in blocks for part in block.split(";") if part.strip()]
    assert statements
    for statement in statements:
        synced.query(statement)
