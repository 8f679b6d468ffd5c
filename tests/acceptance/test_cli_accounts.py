"""Adding accounts of every platform, and what the doctor says of each mistake.

A person's shell against one simulator with accounts of all platforms, as in test_cli_story.py.
"""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from command import PROGRAM, Finished, Shell

from adsync_dagster.clock import FileClock
from adsync_dagster.commands.exits import ExitCode
from adsync_dagster.platforms.protocol import Credential
from adsync_dagster.records import AccountInfo, Platform
from adsync_dagster.settings import Settings
from adsync_dagster.simulator.facebook_auth import Token
from adsync_dagster.simulator.google_ads_auth import RefreshToken
from adsync_dagster.simulator.server import RunningSimulator, serve
from adsync_dagster.simulator.simulator import Simulator
from adsync_dagster.simulator.world import World
from adsync_dagster.sync.connecting import connect_account
from adsync_dagster.sync.environment import Environment
from adsync_dagster.warehouse.database import Database
from adsync_dagster.warehouse.tokens import TokenVault

START = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
TOKEN = "sim_accounts_canary_5c1d"
SECRET = "sim_app_secret_canary_8e2f"
GOOGLE = {"client_id": "c", "client_secret": "s", "refresh_token": TOKEN}
SMALL = {"campaigns": 1, "adsets": 1, "ads": 1, "history_days": 2}


@dataclass
class Stage:
    """A shell, the world behind the platforms, and the database."""

    shell: Shell
    running: RunningSimulator
    environment: Environment
    url: str

    @property
    def world(self) -> World:
        return self.running.world

    @property
    def simulator(self) -> Simulator:
        return self.running.simulator

    def adsync(self, *arguments: str, stdin: str = "") -> Finished:
        """Run a command; whatever it does, it shows no secret and no traceback."""
        done = self.shell.run(*arguments, stdin=stdin)
        for secret in (TOKEN, SECRET):
            assert secret not in done.out + done.err
        assert "Traceback" not in done.err
        return done

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(statement).fetchall()  # type: ignore[arg-type]

    def stored(self) -> set[str]:
        """The accounts there are."""
        return {
            f"{platform}:{account}"
            for platform, account in self.query(
                "SELECT platform, platform_account_id FROM ad_accounts"
            )
        }

    def connect(self, platform: Platform, account_id: str, **credential: str) -> None:
        """Store an account without asking its platform, as it was before the mistake."""
        info = AccountInfo(
            platform_account_id=account_id,
            name="Shop",
            currency="USD",
            timezone="America/New_York",
            status="1",
        )
        connect_account(self.environment, platform, info, Credential(credential))


@pytest.fixture
def stage(tmp_path: Path, database_url: str) -> Iterator[Stage]:
    """A world without accounts; each test adds those it needs."""
    clock = FileClock(tmp_path / "now")
    clock.set(START)
    with serve(World(seed=3, clock=clock)) as running:
        base = running.base_url
        shell = Shell(
            tmp_path,
            {
                "ADSYNC_DATABASE_URL": database_url,
                "ADSYNC_FACEBOOK_BASE_URL": base,
                "ADSYNC_TIKTOK_BASE_URL": base,
                "ADSYNC_GOOGLE_ADS_BASE_URL": base,
                "ADSYNC_GOOGLE_OAUTH_URL": f"{base}/token",
                "ADSYNC_NOW": f"file:{tmp_path / 'now'}",
                "META": TOKEN,
                "TIKTOK": json.dumps({"access_token": TOKEN, "app_id": "7", "secret": SECRET}),
                "GOOGLE": json.dumps(GOOGLE),
            },
        )
        settings = replace(Settings(), home=tmp_path / "home")
        environment = Environment(
            database=Database(database_url, clock),
            clock=clock,
            settings=settings,
            vault=TokenVault.from_settings(settings),
        )
        yield Stage(shell, running, environment, database_url)
        environment.close()


def doctor_lines(stage: Stage) -> tuple[int, dict[str, str]]:
    """The doctor's exit code, and its line for each account with its mark in front."""
    done = stage.adsync("doctor")
    lines = {}
    for line in done.out.splitlines():
        mark, _, rest = line.partition("  ")
        subject, _, detail = rest.strip().partition(": ")
        lines[subject] = f"{mark.strip()} {detail}"
    return done.code, lines


def meta_accounts(stage: Stage) -> None:
    """One Meta account for each mistake, named by its number."""
    past = stage.world.now() - 1
    tokens: dict[str, dict[str, Any]] = {
        "expired": {"expires_at": past},
        "revoked": {"revoked": True},
        "hidden": {"accounts": frozenset({"act_1"})},
        "scope": {"permissions": frozenset({"pages_read"})},
        "fine": {},
    }
    book = stage.simulator.facebook.tokens
    for name, powers in tokens.items():
        book.add(Token(value=f"{TOKEN}_{name}", **powers))
    for number, token, status in (
        ("501", "fine", 1),
        ("502", "expired", 1),
        ("503", "revoked", 1),
        ("504", "hidden", 1),
        ("505", "scope", 1),
        ("506", "fine", 2),
        ("507", "fine", 3),
        ("508", "fine", 101),
    ):
        stage.world.add_facebook_account(f"act_{number}", **SMALL)
        stage.world.set_account_status(f"act_{number}", status)
        stage.connect(Platform.FACEBOOK, f"act_{number}", access_token=f"{TOKEN}_{token}")


def tiktok_accounts(stage: Stage) -> None:
    """One advertiser for each mistake, named by the last digits of its id."""
    ids = {number: f"7010000000000000{number}" for number in range(501, 511)}
    book, past = stage.simulator.tiktok.tokens, stage.world.now() - 1
    book.add(Token(value=f"{TOKEN}_t_expired", expires_at=past))
    book.add(Token(value=f"{TOKEN}_t_revoked", revoked=True))
    book.add(Token(value=f"{TOKEN}_t_hidden", accounts=frozenset({ids[501]})))
    book.add(Token(value=f"{TOKEN}_t_scope", permissions=frozenset({"x"})))
    for number, token, status, timezone in (
        (501, "fine", 1, "America/New_York"),
        (502, "expired", 1, "America/New_York"),
        (503, "revoked", 1, "America/New_York"),
        (504, "hidden", 1, "America/New_York"),
        (505, "scope", 1, "America/New_York"),
        (506, "fine", 3, "America/New_York"),
        (507, "fine", 2, "America/New_York"),
        (508, "fine", 7, "America/New_York"),
        (509, "fine", 1, "Etc/GMT+8"),
    ):
        stage.world.add_tiktok_account(ids[number], timezone=timezone, **SMALL)
        stage.world.set_account_status(ids[number], status)
        stage.connect(Platform.TIKTOK, ids[number], access_token=f"{TOKEN}_t_{token}")
    # An id that TikTok does not know.
    stage.connect(Platform.TIKTOK, ids[510], access_token=f"{TOKEN}_t_fine")


def google_accounts(stage: Stage) -> None:
    """One customer for each mistake, named by its last digits."""
    wire = stage.simulator.google_ads
    known = {number: f"5015015{number}" for number in range(501, 510)}
    for token in (
        RefreshToken(value=f"{TOKEN}_g_revoked", revoked=True),
        RefreshToken(value=f"{TOKEN}_g_secret", client_secret="another"),
        RefreshToken(value=f"{TOKEN}_g_scope", scope="openid"),
        RefreshToken(value=f"{TOKEN}_g_agency", customers=frozenset({"8000000001"})),
        RefreshToken(value=f"{TOKEN}_g_other", customers=frozenset({known[501]})),
    ):
        wire.tokens.add(token)
    for number, token, status in (
        (501, "fine", 1),
        (502, "revoked", 1),
        (503, "secret", 1),
        (504, "scope", 1),
        (505, "agency", 1),
        (506, "other", 1),
        (507, "fine", 2),
        (508, "fine", 100),
        (509, "fine", 101),
    ):
        stage.world.add_google_ads_account(known[number], **SMALL)
        stage.world.set_account_status(known[number], status)
        values = {**GOOGLE, "refresh_token": f"{TOKEN}_g_{token}"}
        stage.connect(Platform.GOOGLE_ADS, known[number], **values)
    wire.add_manager("8000000001", (known[505],))


#: What the doctor says of each account above: its mark, what is wrong, what to do.
STORE_IT = "get a valid token and store it with `adsync accounts add`"
SAID = {
    "facebook:act_501": ("ok", "readable"),
    "facebook:act_502": ("FAIL", "the token expired", STORE_IT),
    "facebook:act_503": ("FAIL", "password was changed", STORE_IT),
    "facebook:act_504": ("FAIL", "needs ads_read on this account", "not this one"),
    "facebook:act_505": ("FAIL", "needs ads_read"),
    "facebook:act_506": ("warn", "is disabled", "Account Quality"),
    "facebook:act_507": ("warn", "is unsettled", "billing"),
    "facebook:act_508": ("warn", "is closed"),
    "tiktok:7010000000000000501": ("ok", "readable"),
    "tiktok:7010000000000000502": ("FAIL", "token expired", "`adsync accounts add`"),
    "tiktok:7010000000000000503": ("FAIL", "was revoked", "`adsync accounts add`"),
    "tiktok:7010000000000000504": ("FAIL", "may not read this advertiser", "authorise the app"),
    "tiktok:7010000000000000505": ("FAIL", "lacks the scope", "add that to the app"),
    "tiktok:7010000000000000506": ("warn", "is suspended by TikTok", "Ads Manager"),
    "tiktok:7010000000000000507": ("warn", "is disabled", "Ads Manager"),
    "tiktok:7010000000000000508": ("warn", "is under review"),
    "tiktok:7010000000000000509": ("warn", "time zone is Etc/GMT+8 on the platform", "next sync"),
    "tiktok:7010000000000000510": ("FAIL", "may not read this advertiser"),
    "google_ads:5015015501": ("ok", "readable"),
    "google_ads:5015015502": ("FAIL", "revoked or has expired", "store a new credential"),
    "google_ads:5015015503": ("FAIL", "client id or secret is wrong", "store a new credential"),
    "google_ads:5015015504": ("FAIL", "lacks the scope", "auth/adwords", "consent again"),
    "google_ads:5015015505": (
        "FAIL", "through Agency (8000000001)", "adsync accounts add --platform google_ads",
    ),
    "google_ads:5015015506": ("FAIL", "reaches 1 account, but not this one"),
    "google_ads:5015015507": ("warn", "is suspended", "policy and billing"),
    "google_ads:5015015508": ("FAIL", "cancelled, closed or not set up", "reactivate it"),
    "google_ads:5015015509": ("FAIL", "cancelled, closed or not set up", "accounts remove"),
}  # fmt: skip


def test_the_doctor_names_each_mistake_and_its_remedy(stage: Stage) -> None:
    """One line per account; the exit code says that a person must act."""
    meta_accounts(stage)
    tiktok_accounts(stage)
    google_accounts(stage)

    code, lines = doctor_lines(stage)

    accounts = {subject: line for subject, line in lines.items() if subject in SAID}
    assert set(accounts) == set(SAID) == stage.stored()
    for subject, (mark, *words) in SAID.items():
        line = accounts[subject]
        assert line.partition(" ")[0] == mark, line
        assert all(word in line for word in words), line
        # The account is named once, in front of the line.
        assert subject.partition(":")[2] not in line.partition(" --account ")[0], line
    assert code == ExitCode.BLOCKED


def test_the_doctor_names_what_is_wrong_with_a_whole_platform(stage: Stage) -> None:
    """A missing developer token, an API that is off, an old version, a zone nobody knows."""
    account, settings = "5015015501", stage.simulator.google_ads.settings
    key = f"google_ads:{account}"
    stage.world.add_google_ads_account(account, **SMALL)
    stage.connect(Platform.GOOGLE_ADS, account, **GOOGLE)
    zone_fault = {"path": " customer$", "field": "customer.timeZone", "value": "Mars/Olympus"}
    mistakes: list[tuple[Callable[[], object], str, int]] = [
        (
            lambda: setattr(settings, "developer_token_required", True),
            "wants a developer_token in the credential",
            ExitCode.BLOCKED,
        ),
        (lambda: setattr(settings, "api_enabled", False), "API is not enabled", ExitCode.BLOCKED),
        (lambda: setattr(settings, "oldest_major", 27), "API_VERSION", ExitCode.BLOCKED),
        (
            lambda: stage.simulator.faults.arm("stream_field_set", **zone_fault),
            "'Mars/Olympus', is not known on this host",
            ExitCode.BLOCKED,
        ),
        (stage.running.stop, "could not be reached", ExitCode.UNREACHABLE),
    ]
    for break_it, words, expected in mistakes:
        settings.developer_token_required, settings.api_enabled = False, True
        settings.oldest_major = 23
        break_it()
        findings = stage.adsync("doctor", "--json").json["findings"]
        (finding,) = [one for one in findings if one["subject"] == key]
        assert words in finding["detail"], finding
        assert finding["code"] == expected


def test_google_accounts_are_found_through_their_managers(stage: Stage) -> None:
    """--all adds every leaf by its way in; one that is closed is named and left out."""
    for number in (501, 502, 503):
        stage.world.add_google_ads_account(f"5015015{number}", name=f"Shop {number}", **SMALL)
    stage.world.set_account_status("5015015503", 101)
    wire = stage.simulator.google_ads
    wire.add_manager("8000000002", ("5015015502", "5015015503"), "Region")
    wire.add_manager("8000000001", ("5015015501", "8000000002"))
    wire.tokens.add(RefreshToken(value=TOKEN, customers=frozenset({"8000000001"})))
    add = ("accounts", "add", "--platform", "google_ads", "--token-env", "GOOGLE")

    listed = stage.adsync(*add)
    assert listed.code == ExitCode.USAGE
    assert "--account ID, or add all with --all" in listed.err
    rows = [line.split("  ")[-1].strip() for line in listed.out.splitlines()]
    assert rows == [
        "reached through",
        "Agency (8000000001)",
        "Agency (8000000001), 2 levels down",
        "Agency (8000000001), 2 levels down",
    ]
    assert stage.stored() == set()

    done = stage.adsync(*add, "--all", "--json")
    assert done.code == ExitCode.BLOCKED
    assert done.json["added"] == ["google_ads:5015015501", "google_ads:5015015502"]
    assert "cancelled, closed" in done.json["refused"]["5015015503"]
    _, lines = doctor_lines(stage)
    assert {lines[key].partition(" ")[0] for key in stage.stored()} == {"ok"}

    # One by its id: the way in is found without being named, and although a wrong one is.
    stage.adsync("accounts", "remove", "5015015501")
    wrong = json.dumps({**GOOGLE, "login_customer_id": "999-999-9999"})
    add = ("accounts", "add", "--platform", "google_ads", "--token-stdin")
    assert stage.adsync(*add, "--account", "501-501-5501", stdin=wrong).code == 0
    assert doctor_lines(stage)[1]["google_ads:5015015501"].startswith("ok")


def test_tiktoks_advertisers_are_listed_with_the_apps_secret_only(stage: Stage) -> None:
    """The secret is used once and stored nowhere; a bare token is told what to give."""
    for number in (501, 502):
        stage.world.add_tiktok_account(f"7010000000000000{number}", **SMALL)
    stage.world.set_account_status("7010000000000000502", 2)
    stage.simulator.tiktok.settings.app_secret = SECRET
    add = ["accounts", "add", "--platform", "tiktok", "--all"]

    complaint = stage.adsync(*add, "--token-stdin", stdin=TOKEN).complaint(ExitCode.USAGE)
    assert "access_token, app_id and secret" in complaint
    wrong = json.dumps({"access_token": TOKEN, "app_id": "7", "secret": "sim_wrong"})
    complaint = stage.adsync(*add, "--token-stdin", stdin=wrong).complaint(ExitCode.BLOCKED)
    assert "refuses the app's id or secret" in complaint

    done = stage.adsync(*add, "--token-env", "TIKTOK")
    assert done.code == 0, done.err
    assert "STATUS_DISABLE, is disabled" in done.out
    assert "2 accounts found, 2 added" in done.out
    with stage.environment.database.connection() as connection:
        stored = stage.environment.vault.load(connection, Platform.TIKTOK, "7010000000000000501")
    assert stored is not None
    assert stored.values == {"access_token": TOKEN}


def test_metas_accounts_are_added_at_once(stage: Stage) -> None:
    """--all adds what the token sees; doing it again adds nothing new."""
    for number in (501, 502):
        stage.world.add_facebook_account(f"act_{number}", **SMALL)
    add = ("accounts", "add", "--platform", "facebook", "--token-env", "META", "--all")
    assert stage.adsync(*add).code == 0
    again = stage.adsync(*add)
    assert again.out.count("added already") == 2
    assert stage.stored() == {"facebook:act_501", "facebook:act_502"}


def test_a_person_chooses_on_a_terminal(stage: Stage) -> None:
    """The numbered list is asked about; a slip is explained and asked again."""
    for number in (501, 502, 503):
        stage.world.add_facebook_account(f"act_{number}", **SMALL)
    talk = [("Add which?", "9\n"), ("not among 1 to 3", ""), ("Add which?", "1,3\n")]

    output = on_a_terminal(
        stage, talk, "accounts", "add", "--platform", "facebook", "--token-env", "META"
    )

    assert "3 accounts found, 2 added" in output
    assert len(stage.stored()) == 2


def on_a_terminal(stage: Stage, talk: list[tuple[str, str]], *arguments: str) -> str:
    """Run a command on a terminal of its own and answer what it asks; everything it wrote."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [str(PROGRAM), *arguments],
        cwd=stage.shell.folder,
        env={**stage.shell.environment, "TERM": "dumb", "COLUMNS": "200"},
        stdin=its,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    heard, seen = "", 0
    try:
        while True:
            ready, _, _ = select.select([ours], [], [], 120)
            assert ready, heard
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            heard += piece.decode()
            while talk and talk[0][0] in heard[seen:]:
                words, reply = talk.pop(0)
                seen = heard.index(words, seen) + len(words)
                os.write(ours, reply.encode())
    finally:
        process.kill() if process.poll() is None and talk else None
        process.wait(timeout=120)
        os.close(ours)
    assert not talk, heard
    assert process.returncode == 0, heard
    return heard


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--account", "501", "--all"], "give one of the two"),
        (["--no-verify"], "needs --account"),
        (["--json"], "nobody can be asked"),
    ],
)
def test_contradictions_are_named(stage: Stage, arguments: list[str], words: str) -> None:
    """Each is one line, and nothing is asked of the platform."""
    add = ("accounts", "add", "--platform", "facebook", "--token-env", "META")
    assert words in stage.adsync(*add, *arguments).complaint(ExitCode.USAGE)
    assert not stage.simulator.requests
