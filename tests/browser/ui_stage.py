"""A week in the life of five accounts of three platforms, for the pages that people look at.

Everything is real but the platforms and the time: Postgres, Dagster's storage, the jobs that
the schedules run. In the end one account's token has expired, one account is throttled and owes
final syncs, a day of a third does not add up, and the other two are well.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg

from adsync_dagster.assets.partitions import ensure_partitions
from adsync_dagster.assets.windows import RANGE_END_TAG, RANGE_START_TAG
from adsync_dagster.clock import FileClock
from adsync_dagster.definitions import build_definitions
from adsync_dagster.platforms.protocol import Credential
from adsync_dagster.records import Platform
from adsync_dagster.settings import Settings
from adsync_dagster.simulator.facebook_auth import Token
from adsync_dagster.simulator.server import RunningSimulator, serve
from adsync_dagster.simulator.world import World
from adsync_dagster.sync.connecting import connect_account, describe_account
from adsync_dagster.sync.environment import Environment
from adsync_dagster.warehouse import embedded
from adsync_dagster.warehouse.migrations import migrate

ROOT = Path(__file__).parents[2]
START = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
HISTORY_DAYS = 45
START_SECONDS_MAX = 120
#: GNU env; elsewhere a test runner in the foreground does as well.
DEFAULT_SIGNALS = ["env", "--default-signal=INT,TERM"] if sys.platform == "linux" else []

#: A profile of nothing: no account, no update, no request of the browser's own.
BROWSER_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

WELL, BLOCKED, APART = "facebook:act_501", "facebook:act_502", "facebook:act_503"
TIKTOK, GOOGLE = "tiktok:7010000000000000501", "google_ads:5015015011"
KEYS = (WELL, BLOCKED, APART, GOOGLE, TIKTOK)


@dataclass
class Stage:
    """The world, the warehouse and the Dagster instance, after the week."""

    home: Path
    world: World
    simulator: RunningSimulator
    environment: Environment
    instance: dg.DagsterInstance
    clock: FileClock
    url: str

    def run(self, job: str, *keys: str, **options: Any) -> bool:
        """Run a job here and now, recorded as the daemon would record it."""
        definitions = build_definitions(self.environment.settings)
        tags: dict[str, str] = {}
        if len(keys) > 1:
            tags |= {RANGE_START_TAG: keys[0], RANGE_END_TAG: keys[-1]}
        result = definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=keys[0] if len(keys) == 1 else None,
            tags=tags,
            raise_on_error=False,
            **options,
        )
        return result.success

    def latest_run(self, job: str) -> str:
        """The id of the job's latest run."""
        [run] = self.instance.get_runs(dg.RunsFilter(job_name=job), limit=1)
        return run.run_id

    def sql(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type]

    def live(self, key: str, level: str = "ad") -> list[str]:
        """Entities of an account that deliver now."""
        account_id = key.partition(":")[2]
        entities = self.world.entities(account_id, level)
        return [entity.id for entity in entities if entity.effective == "ACTIVE"]


@contextmanager
def raise_stage(home: Path) -> Iterator[Stage]:
    """The stage in an empty folder, before anything happened; environment variables are set."""
    before = dict(os.environ)
    clock = FileClock(home / "now")
    clock.set(START)
    world = World(seed=5, clock=clock)
    url = embedded.ensure_started(home)
    try:
        with serve(world) as simulator:
            migrate(url)
            _set_variables(home, simulator.base_url, url, clock)
            environment = Environment.from_settings(Settings.from_environment())
            with dg.DagsterInstance.get() as instance:
                stage = Stage(home, world, simulator, environment, instance, clock, url)
                ensure_partitions(instance, [_connect(stage, key) for key in KEYS])
                yield stage
            environment.close()
    finally:
        os.environ.clear()
        os.environ.update(before)
        embedded.stop(home)


def _set_variables(home: Path, base_url: str, url: str, clock: FileClock) -> None:
    for name in [name for name in os.environ if name.startswith(("ADSYNC_", "DAGSTER_"))]:
        del os.environ[name]
    dagster_home = home / "dagster_home"
    dagster_home.mkdir()
    shutil.copy(ROOT / "dagster.yaml", dagster_home)
    os.environ.update(
        {
            "ADSYNC_HOME": str(home),
            "ADSYNC_NOW": f"file:{clock.path}",
            "ADSYNC_FACEBOOK_BASE_URL": base_url,
            "ADSYNC_TIKTOK_BASE_URL": base_url,
            "ADSYNC_GOOGLE_ADS_BASE_URL": base_url,
            "ADSYNC_GOOGLE_OAUTH_URL": f"{base_url}/token",
            "ADSYNC_HISTORY_DAYS": str(HISTORY_DAYS),
            "ADSYNC_SYNC_CRON": "0 * * * *",
            "DAGSTER_HOME": str(dagster_home),
            "DAGSTER_PG_URL": embedded.dagster_url(url),
        }
    )


NAMES = {
    WELL: "Shop US",
    BLOCKED: "Shop Outlet",
    APART: "Shop Mexico",
    TIKTOK: "Shop TikTok",
    GOOGLE: "Shop Search",
}


def _connect(stage: Stage, key: str) -> str:
    """Put an account into the world and connect it, as `adsync accounts add` does."""
    platform, account_id = Platform(key.partition(":")[0]), key.partition(":")[2]
    getattr(stage.world, f"add_{platform}_account")(
        account_id,
        NAMES[key],
        "MXN" if key == APART else "USD",
        "America/Mexico_City" if key == APART else "America/New_York",
        campaigns=6,
        adsets=12,
        ads=36,
        history_days=HISTORY_DAYS,
    )
    token = _token(key)
    credential = (
        Credential({"client_id": "c", "client_secret": "s", "refresh_token": token})
        if platform is Platform.GOOGLE_ADS
        else Credential({"access_token": token})
    )
    client = stage.environment.client_with(platform, credential, budget_key=account_id)
    with closing(client):
        info = describe_account(client, account_id, stage.clock)
    return connect_account(stage.environment, platform, info, credential).key


def _token(key: str) -> str:
    return f"sim_ui_canary_{key.replace(':', '_')}"


def live_a_week(stage: Stage) -> None:
    """Syncs, stops, an outage and a correction; ends with the health checks."""
    stage.run("account_sync_job", *KEYS)
    stage.world.advance(days=33)  # the first days are final after this
    stage.run("settle_job", *KEYS)
    for key in (WELL, TIKTOK, GOOGLE):
        for ad in stage.live(key)[:3]:
            stage.world.pause("ad", ad)
    stage.world.advance(hours=20)
    stage.run("account_sync_job", *KEYS)
    _expire(stage, BLOCKED)
    for ad in stage.live(APART)[:4]:
        stage.world.pause("ad", ad)
    stage.world.advance(hours=2)
    stage.run("entity_sync_job", APART)
    # What a hand in the database does: rows that are no longer the platform's total.
    stage.sql(SPOIL_A_DAY)
    stage.world.advance(hours=7)
    stage.run("account_sync_job", WELL, BLOCKED)
    stage.run("account_sync_job", GOOGLE, TIKTOK)
    # The clock stands still from here on, so what is tried again later stays pending.
    stage.simulator.simulator.faults.arm(
        "error", path=r"^$", method="POST", count=None, error="buc_insights"
    )
    stage.run("final_sync_job", APART)
    stage.simulator.simulator.faults.disarm()
    stage.run("health_checks_job")


#: A sealed day of one account does not add up any more, and nobody knows why.
SPOIL_A_DAY = """
UPDATE ad_account_days
   SET stored_spend = stored_spend + 12.34, residual_class = 'unexplained'
 WHERE level = 'ad'
   AND ad_account_id = (SELECT id FROM ad_accounts WHERE platform_account_id = 'act_503')
   AND date = (SELECT min(date) + 3 FROM ad_account_days)
"""


def _expire(stage: Stage, key: str) -> None:
    stage.simulator.simulator.facebook.tokens.add(Token(value=_token(key), expires_at=0))


@contextmanager
def dagster_ui(stage: Stage, *, daemon: bool = True) -> Iterator[str]:
    """Webserver and daemon over the stage; gives the UI's address."""
    workspace = str(ROOT / "workspace.yaml")
    port = free_port()
    started = [_start(stage, "dagster_webserver", "-w", workspace, "-p", str(port))]
    if daemon:
        started.append(_start(stage, "dagster._daemon", "run", "-w", workspace))
    try:
        _wait(f"http://127.0.0.1:{port}/server_info", started[0])
        yield f"http://127.0.0.1:{port}"
    finally:
        for process in started:
            _stop(process)


def _start(stage: Stage, *arguments: str) -> subprocess.Popen[bytes]:
    with (stage.home / f"{arguments[0]}.log").open("wb") as log:
        return subprocess.Popen(
            [*DEFAULT_SIGNALS, sys.executable, "-W", "ignore", "-m", *arguments],
            cwd=stage.home,
            env=dict(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    pause = threading.Event()
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):  # noqa: S310
            return
        pause.wait(0.2)
    raise AssertionError(f"the webserver did not answer within {START_SECONDS_MAX} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=5)


def free_port() -> int:
    """A port that nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
