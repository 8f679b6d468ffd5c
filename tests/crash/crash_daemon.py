"""Dagster as users run it, a daemon with its code server and run processes, beside a scene."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import dagster as dg
import psycopg
from crash_scene import Scene, base_urls, live, wait_until
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError
from psycopg import sql

from adsync_dagster.warehouse.database import with_driver

ROOT = Path(__file__).parents[2]
STOP_SECONDS_MAX = 15.0
WEBSERVER_SECONDS_MAX = 120.0
#: A test runner in the background ignores SIGINT; Dagster's processes would then ignore SIGTERM.
DEFAULT_SIGNALS = ["env", "--default-signal=INT,TERM"] if sys.platform == "linux" else []


@dataclass
class Deployment:
    """A scene's warehouse with a Dagster over it. Its processes share one crash point file."""

    scene: Scene
    home: Path
    server_url: str
    database: str

    @property
    def variables(self) -> dict[str, str]:
        harness = self.scene.harness
        return {
            "ADSYNC_HOME": str(harness.settings.home),
            "ADSYNC_DATABASE_URL": harness.url,
            **base_urls(harness),
            "ADSYNC_HISTORY_DAYS": str(harness.settings.history_days),
            "ADSYNC_NOW": harness.clock.now().isoformat(),
            "ADSYNC_SENSOR_INTERVAL_SECONDS": "1",
            "ADSYNC_SYNC_CRON": "0 0 1 1 *",
            "ADSYNC_CRASH_POINT": f"file:{self._crash_file}",
            "DAGSTER_HOME": str(self.home),
            "DAGSTER_PG_URL": with_driver(self.server_url, "psycopg2", self.database),
        }

    @property
    def _crash_file(self) -> Path:
        return self.home / "crash_point"

    def create_storage(self) -> None:
        """An empty database for Dagster, in place of the one that was."""
        name = sql.Identifier(self.database)
        with psycopg.connect(self.server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))

    def keep_storage(self) -> None:
        """Put a copy of Dagster's storage aside, as a backup does. Nobody may be connected."""
        self._copy(self.database, f"{self.database}_kept")

    def restore_storage(self) -> None:
        """Replace Dagster's storage by the copy that was kept."""
        self._copy(f"{self.database}_kept", self.database)

    def _copy(self, source: str, target: str) -> None:
        names = sql.Identifier(target), sql.Identifier(source)
        with psycopg.connect(self.server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(names[0]))
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))

    def drop_storage(self) -> None:
        with psycopg.connect(self.server_url, autocommit=True) as connection:
            for name in (self.database, f"{self.database}_kept"):
                drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
                connection.execute(drop.format(sql.Identifier(name)))

    def daemon(self) -> AbstractContextManager[None]:
        """A daemon for the length of the block."""
        return self._running("dagster._daemon", "run")

    @contextmanager
    def webserver(self) -> Iterator[DagsterGraphQLClient]:
        """A webserver, through which runs are launched as in the UI; the daemon starts them."""
        with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        with self._running("dagster_webserver", "-h", "127.0.0.1", "-p", str(port)):
            yield wait_until("the webserver's answer", lambda: _client(port), WEBSERVER_SECONDS_MAX)

    @contextmanager
    def _running(self, module: str, *arguments: str) -> Iterator[None]:
        """A process of Dagster's for the length of the block; none of its own stays behind."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ADSYNC_", "DAGSTER_"))
        }
        shutil.copy(ROOT / "dagster.yaml", self.home)
        command = [*DEFAULT_SIGNALS, sys.executable, "-W", "ignore", "-m", module, *arguments]
        with (self.home / f"{module}.log").open("ab") as log:
            process = subprocess.Popen(
                [*command, "-w", str(ROOT / "workspace.yaml")],
                cwd=self.home,
                env={**kept, **self.variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield
        finally:
            process.terminate()
            try:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=STOP_SECONDS_MAX)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait(timeout=STOP_SECONDS_MAX)

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Dagster's records, as the daemon sees them."""
        with mock.patch.dict(os.environ, self.variables), dg.DagsterInstance.get() as instance:
            yield instance

    def runs(self) -> list[dg.DagsterRun]:
        """The runs of final syncs, oldest first."""
        with self.instance() as instance:
            runs = instance.get_runs(dg.RunsFilter(job_name="final_sync_job"))
        return list(reversed(runs))

    def is_idle(self) -> bool:
        """Whether no run is waiting or going on."""
        with self.instance() as instance:
            return instance.get_runs_count(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES)) == 0

    def arm(self, text: str) -> None:
        """The next process that gets there is hit."""
        draft = self._crash_file.with_suffix(".draft")
        draft.write_text(text, encoding="utf-8")
        draft.rename(self._crash_file)

    def wait_until_hit(self, seconds: float) -> None:
        wait_until("the crash of the armed process", lambda: not self._crash_file.exists(), seconds)

    def stop_an_ad(self) -> str:
        """One more ad is paused and logged."""
        ad = live(self.scene.harness, "ad")[0]
        self.scene.harness.world.pause("ad", ad)
        assert self.scene.harness.poll_entities().error is None
        assert self.scene.harness.pending() > 0
        return ad

    def wait_until_nothing_is_owed(self, seconds: float) -> None:
        wait_until("the final syncs", lambda: self.scene.harness.pending() == 0, seconds)


def _client(port: int) -> DagsterGraphQLClient | None:
    """A client of the webserver, once it answers; it listens only when the code is loaded."""
    try:
        client = DagsterGraphQLClient("127.0.0.1", port_number=port)
        client.get_run_status("00000000-0000-0000-0000-000000000000")
    except DagsterGraphQLClientError as error:
        return client if str(error.args[0]).endswith("RunNotFoundError") else None
    raise AssertionError("there is a run that nobody launched")
