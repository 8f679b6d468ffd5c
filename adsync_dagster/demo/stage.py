"""The demo's stage: a fresh home with Postgres, the platform simulator, Dagster as users run it.

Everything lives under one folder and on loopback ports, and everything started here is ended
here. Time is virtual: one file holds it, and simulator, daemon, webserver and runs all read it.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError

from adsync_dagster.clock import FileClock
from adsync_dagster.demo.cast import Actor
from adsync_dagster.errors import UsageError
from adsync_dagster.packaged import packaged_file
from adsync_dagster.platforms.protocol import Credential
from adsync_dagster.records import Account
from adsync_dagster.settings import Settings
from adsync_dagster.simulator.server import RunningSimulator, serve
from adsync_dagster.simulator.world import World
from adsync_dagster.sync.connecting import connect_account, describe_account
from adsync_dagster.sync.environment import Environment
from adsync_dagster.warehouse.embedded import dagster_url, ensure_started, stop
from adsync_dagster.warehouse.migrations import migrate

START_SECONDS_MAX = 240
STOP_SECONDS_MAX = 20


@dataclass(slots=True)
class Stage:
    """What the story plays on."""

    home: Path
    port: int
    clock: FileClock
    world: World
    simulator: RunningSimulator
    environment: Environment
    dagster: DagsterGraphQLClient

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect_account(self, actor: Actor, credential: Credential | None = None) -> Account:
        """Connect an account of the simulator, or renew its credential, as `accounts add` does."""
        credential = credential or actor.credential()
        client = self.environment.client_with(
            actor.platform, credential, budget_key=f"{actor.platform}:{actor.account_id}"
        )
        try:
            info = describe_account(client, actor.account_id, self.clock)
        finally:
            client.close()
        return connect_account(self.environment, actor.platform, info, credential)


@contextmanager
def raise_stage(home: Path, port: int | None, start: datetime) -> Iterator[Stage]:
    """Build the stage in an emptied home, and take it down again at the end.

    Raises UsageError when the home holds something that is not a demo's, or a port is taken.
    """
    _empty(home)
    clock = FileClock(home / "now")
    clock.set(start)
    world = World(seed=1, clock=clock)
    simulator = serve(world)
    port = port or _free_port()
    try:
        surroundings = _surroundings(home, clock, simulator.base_url)
        settings = Settings.from_environment(surroundings)
        os.environ.update(surroundings)
        environment = Environment.from_settings(settings)
        try:
            with _dagster(home, port, surroundings) as client:
                yield Stage(home, port, clock, world, simulator, environment, client)
        finally:
            environment.close()
    finally:
        simulator.stop()
        stop(home)


def _empty(home: Path) -> None:
    marker = home / "this-is-a-demo"
    if home.exists():
        if not marker.exists() and any(home.iterdir()):
            raise UsageError(
                f"{home} exists and is not a demo's folder; choose another with --home"
            )
        stop(home)
        shutil.rmtree(home)
    home.mkdir(parents=True)
    marker.write_text("adsync demo writes here and empties it at every start\n", encoding="utf-8")


def _surroundings(home: Path, clock: FileClock, base_url: str) -> dict[str, str]:
    """The environment of every process of the demo; nothing of the user's settings leaks in."""
    database = ensure_started(home)
    migrate(database)
    dagster_home = home / "dagster"
    dagster_home.mkdir(exist_ok=True)
    (dagster_home / "dagster.yaml").write_bytes(packaged_file("dagster.yaml").read_bytes())
    return {
        "ADSYNC_HOME": str(home),
        "ADSYNC_NOW": f"file:{clock.path}",
        "ADSYNC_FACEBOOK_BASE_URL": base_url,
        "ADSYNC_TIKTOK_BASE_URL": base_url,
        "ADSYNC_GOOGLE_ADS_BASE_URL": base_url,
        "ADSYNC_GOOGLE_OAUTH_URL": f"{base_url}/token",
        "ADSYNC_SENSOR_INTERVAL_SECONDS": "1",
        # The story starts its runs itself: the hourly schedule must not fall into it.
        "ADSYNC_SYNC_CRON": "0 0 1 1 *",
        "DAGSTER_HOME": str(dagster_home),
        "DAGSTER_PG_URL": dagster_url(database),
    }


@contextmanager
def _dagster(
    home: Path, port: int, surroundings: Mapping[str, str]
) -> Iterator[DagsterGraphQLClient]:
    """`dagster dev` in a process group of its own: webserver, daemon, code server."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ADSYNC_")}
    environment |= surroundings
    command = [sys.executable, "-W", "ignore", "-m", "dagster", "dev"]
    command += ["--workspace", str(packaged_file("workspace.yaml"))]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with (home / "dagster.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            command, cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield _wait_for_webserver(process, port, home / "dagster.log")
        finally:
            _end(process)


def _wait_for_webserver(
    process: subprocess.Popen[bytes], port: int, log: Path
) -> DagsterGraphQLClient:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline and process.poll() is None:
        client = DagsterGraphQLClient("127.0.0.1", port_number=port)
        if _answers(client):
            return client
        time.sleep(0.5)
    raise UsageError(f"Dagster did not start within {START_SECONDS_MAX} s; its log is {log}")


def _answers(client: DagsterGraphQLClient) -> bool:
    """Whether the webserver answers. It listens only once the project's code is loaded."""
    try:
        client.get_run_status("00000000-0000-0000-0000-000000000000")
    except DagsterGraphQLClientError as error:
        # An answer about a run that cannot exist; anything else is no answer yet.
        return str(error.args[0]).endswith("RunNotFoundError")
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt the group's leader, then end whatever is left of the group."""
    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=STOP_SECONDS_MAX)
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait(timeout=STOP_SECONDS_MAX)


def _free_port() -> int:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
