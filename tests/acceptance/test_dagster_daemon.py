"""Real processes: daemon, webserver, run process, Postgres storage, and the simulator's port."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest

from adsync_dagster.assets.windows import RANGE_END_TAG, RANGE_START_TAG
from adsync_dagster.clock import SystemClock
from adsync_dagster.platforms.protocol import Credential
from adsync_dagster.records import AccountInfo, Platform
from adsync_dagster.settings import Settings
from adsync_dagster.simulator.server import serve
from adsync_dagster.simulator.world import World
from adsync_dagster.sync.account_sync import sync_account
from adsync_dagster.sync.environment import Environment
from adsync_dagster.warehouse import accounts, embedded
from adsync_dagster.warehouse.migrations import migrate

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ACCOUNTS = ("act_501", "act_502")
KEYS = [f"facebook:{account}" for account in ACCOUNTS]
TOKEN = "sim_daemon_canary_91c4"
SECONDS_MAX = 90.0
POLL_SECONDS = 0.1
#: GNU env; elsewhere a test runner in the foreground does as well.
DEFAULT_SIGNALS = ["env", "--default-signal=INT,TERM"] if sys.platform == "linux" else []


@dataclass
class Deployment:
    """One host's worth of adsync: where things are, and the variables its processes get."""

    home: Path
    url: str
    dagster_home: Path
    variables: dict[str, str]
    port: int

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a process of the deployment in a group of its own; its output goes to a file.

        A test runner in the background ignores SIGINT. Dagster's processes would inherit that,
        and then ignore SIGTERM as well, so they are given the default signals.
        """
        log = (self.home / f"{arguments[0]}.log").open("wb")
        with log:
            return subprocess.Popen(
                [*DEFAULT_SIGNALS, sys.executable, "-m", *arguments],
                cwd=self.home,
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of a statement in the warehouse, from a plain connection like any other user's."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def graphql(self, query: str) -> dict[str, Any]:
        """The webserver's answer to a query; empty while it does not answer yet."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            data=json.dumps({"query": query}).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                found: dict[str, Any] = json.load(answer)
                return found
        except OSError:
            return {}


def wait_for(what: str, condition: Callable[[], Any], deadline: float) -> Any:
    """The first true answer of a condition; fails with words when none comes in time."""
    pause = threading.Event()
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        pause.wait(POLL_SECONDS)
    pytest.fail(f"{what} did not happen within the test's {SECONDS_MAX:.0f} seconds")


@pytest.fixture
def short_lived_home() -> Iterator[Path]:
    """A home outside of pytest's folders, which a server that runs as another user cannot enter."""
    with tempfile.TemporaryDirectory(prefix="adsync-tests-") as folder:
        yield Path(folder)


@pytest.fixture
def deployment(
    short_lived_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Deployment]:
    """An embedded Postgres, two simulated accounts that were synced once, and Dagster's home."""
    home = short_lived_home
    world = World(seed=3, clock=SystemClock())
    for account in ACCOUNTS:
        world.add_facebook_account(
            account, timezone="UTC", campaigns=2, adsets=2, ads=4, history_days=3, stopped=False
        )
    url = embedded.ensure_started(home)
    with serve(world) as simulator:
        try:
            migrate(url)
            for name in [name for name in os.environ if name.startswith(("ADSYNC_", "DAGSTER_"))]:
                monkeypatch.delenv(name)
            dagster_home = tmp_path / "dagster_home"
            dagster_home.mkdir()
            shutil.copy(ROOT / "dagster.yaml", dagster_home)
            variables = {
                "ADSYNC_HOME": str(home),
                "ADSYNC_FACEBOOK_BASE_URL": simulator.base_url,
                "ADSYNC_HISTORY_DAYS": "3",
                "ADSYNC_SENSOR_INTERVAL_SECONDS": "1",
                "DAGSTER_HOME": str(dagster_home),
                "DAGSTER_PG_URL": embedded.dagster_url(url),
            }
            for name, value in variables.items():
                monkeypatch.setenv(name, value)
            sync_once(url)
            yield Deployment(home, url, dagster_home, dict(os.environ), free_port())
        finally:
            embedded.stop(home)


def sync_once(url: str) -> None:
    """Add the accounts with their token and let them have their first complete sync."""
    environment = Environment.from_settings(Settings.from_environment())
    for account in ACCOUNTS:
        info = AccountInfo(
            platform_account_id=account, name="Shop", currency="USD", timezone="UTC", status="1"
        )
        with environment.database.connection() as connection:
            accounts.add_account(connection, Platform.FACEBOOK, info)
            environment.vault.store(
                connection, Platform.FACEBOOK, account, Credential({"access_token": TOKEN})
            )
        assert sync_account(environment, f"facebook:{account}").ok
    environment.close()


def free_port() -> int:
    """A port that nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def processes(deployment: Deployment) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Daemon and webserver; whatever happens, nothing of their groups stays behind."""
    workspace = str(ROOT / "workspace.yaml")
    started: list[subprocess.Popen[bytes]] = []
    try:
        started.append(deployment.start("dagster._daemon", "run", "-w", workspace))
        started.append(
            deployment.start(
                "dagster_webserver", "-w", workspace, "-p", str(deployment.port), "--read-only"
            )
        )
        yield started
    finally:
        for process in started:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask once, then end the whole group."""
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=5)


def test_an_update_of_statuses_becomes_finished_final_syncs(
    deployment: Deployment, processes: list[subprocess.Popen[bytes]]
) -> None:
    """Two statuses set by hand: log, sensor, one run for both, done, seen by the webserver."""
    deadline = time.monotonic() + SECONDS_MAX
    with dg.DagsterInstance.get() as instance:
        wait_for(
            "the accounts' partitions (the sensors' first ticks)",
            lambda: instance.get_dynamic_partitions("ad_account") == KEYS,
            deadline,
        )
        deployment.query(
            "UPDATE ad_campaigns SET status = 'PAUSED' WHERE id IN (SELECT DISTINCT ON"
            " (ad_account_id) id FROM ad_campaigns WHERE status = 'ACTIVE' ORDER BY ad_account_id)"
        )
        began = time.monotonic()
        assert deployment.query(OWED) == [(len(ACCOUNTS),)]

        wait_for("the final sync", lambda: deployment.query(OWED) == [(0,)], deadline)
        seconds = time.monotonic() - began
        [run] = wait_for(
            "the end of the run",
            lambda: instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS])),
            deadline,
        )

        assert run.job_name == "final_sync_job"
        assert [run.tags[RANGE_START_TAG], run.tags[RANGE_END_TAG]] == KEYS
        assert run.tags["dagster/sensor_name"] == "status_change_sensor"
        completion = dg.AssetKey("final_sync_completion")
        assert instance.get_materialized_partitions(completion) == set(KEYS)
        log = dg.AssetKey("ad_status_change_log")
        assert instance.fetch_observations(log, limit=1).records
        lines = "\n".join(entry.user_message for entry in instance.all_logs(run.run_id))
        assert "[sync] Step 0/4: Checking for entities needing final sync" in lines
        assert TOKEN not in lines

    answer = wait_for(
        "the webserver's answer", lambda: deployment.graphql(RUNS).get("data"), deadline
    )
    assert answer["runsOrError"]["results"] == [{"runId": run.run_id, "status": "SUCCESS"}]
    assert all(process.poll() is None for process in processes)
    assert seconds < 45


OWED = "SELECT count(*)::int FROM ad_status_change_log WHERE NOT final_sync_completed"
RUNS = "{ runsOrError { ... on Runs { results { runId status } } } }"
