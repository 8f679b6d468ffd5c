"""One scale, measured: a server, a simulator, and floor and sync in turn."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from adsync_dagster.platforms.protocol import Credential
from adsync_dagster.records import AccountInfo, Platform
from adsync_dagster.warehouse import accounts, embedded
from adsync_dagster.warehouse.database import with_driver
from adsync_dagster.warehouse.migrations import migrate
from benchmarks.measured import environment_of
from benchmarks.shapes import ACCOUNT, TOKEN, Figures, Shape, Task

TEMPLATE = "benchmark_template"
SYNCS = ("load", "reload")


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One turn: the floor before each of the two syncs, and the syncs."""

    load_floor: Figures
    load: Figures
    reload_floor: Figures
    reload: Figures

    def pair(self, kind: str) -> tuple[Figures, Figures]:
        """A sync's floor and the sync."""
        if kind == "load":
            return self.load_floor, self.load
        return self.reload_floor, self.reload


def measure(shape: Shape, repeats: int, say: Callable[[str], None]) -> list[Round]:
    """Measure an account: floor, first load, floor, reload; so many times.

    Every turn has a new database on the same server, whose settings are those of an embedded
    Postgres in production. A recorded sync first makes the simulator render every answer.
    """
    # Not a folder of the caller's: when we are root the server is another user.
    with tempfile.TemporaryDirectory(prefix="adsync-benchmark-") as folder, _server(folder) as url:
        say(f"simulating {shape.ads} ads over {shape.days} days ({shape.rows} rows)")
        with _platform(shape) as base_url:
            bench = _Bench(shape, Path(folder), url, base_url)
            say("rendering every answer once")
            bench.warm_up()
            rounds = []
            for number in range(1, repeats + 1):
                rounds.append(bench.round())
                say(f"turn {number} of {repeats}: {_in_words(rounds[-1])}")
            return rounds


@dataclass(frozen=True, slots=True)
class _Bench:
    shape: Shape
    home: Path
    server_url: str
    base_url: str

    def warm_up(self) -> None:
        """Two syncs that are not measured: the second one's requests are the floor's."""
        for kind in ("load", "record"):
            with self._database() as url:
                self._run(kind, url)

    def round(self) -> Round:
        """Floor and sync in turn, each in a process of its own."""
        with self._database() as url:
            return Round(
                load_floor=self._run("floor", url),
                load=self._run("load", url),
                reload_floor=self._run("floor", url),
                reload=self._run("reload", url),
            )

    def _run(self, kind: str, database_url: str) -> Figures:
        with psycopg.connect(database_url, autocommit=True) as connection:
            # What the last one wrote is not the next one's to flush.
            connection.execute("CHECKPOINT")
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.measured"],
            input=json.dumps(self._task(kind, database_url).as_dict()) + "\n",
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise SystemExit(f"the measured process ({kind}) failed")
        return Figures(**json.loads(done.stdout))

    def _task(self, kind: str, database_url: str) -> Task:
        return Task(
            kind=kind,
            shape=self.shape,
            base_url=self.base_url,
            database_url=database_url,
            home=str(self.home),
            requests_file=str(self.home / "requests.json"),
        )

    @contextmanager
    def _database(self) -> Iterator[str]:
        """A migrated database with the account and its token; dropped afterwards."""
        name = "benchmark"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        _execute(self.server_url, statement.format(*map(sql.Identifier, (name, TEMPLATE))))
        url = with_driver(self.server_url, "", name)
        try:
            self._add_account(url)
            yield url
        finally:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
            _execute(self.server_url, drop.format(sql.Identifier(name)))

    def _add_account(self, url: str) -> None:
        environment = environment_of(self._task("", url))
        info = AccountInfo(
            platform_account_id=ACCOUNT,
            name="Bulk",
            currency="USD",
            timezone=self.shape.timezone,
            status="1",
        )
        with environment.database.connection() as connection:
            accounts.add_account(connection, Platform.FACEBOOK, info)
            environment.vault.store(
                connection, Platform.FACEBOOK, ACCOUNT, Credential({"access_token": TOKEN})
            )
        environment.close()


@contextmanager
def _server(folder: str) -> Iterator[str]:
    """An embedded Postgres with a migrated template; the URL of its `postgres` database."""
    home = Path(folder)
    url = with_driver(embedded.ensure_started(home), "", "postgres")
    try:
        _execute(url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
        migrate(with_driver(url, "", TEMPLATE))
        yield url
    finally:
        embedded.stop(home)


@contextmanager
def _platform(shape: Shape) -> Iterator[str]:
    """The simulator in a process of its own; its base URL."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.simulated_platform"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise SystemExit("the simulator has no pipes")
        process.stdin.write(json.dumps(asdict(shape)) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise SystemExit("the simulator did not start")
        try:
            yield json.loads(line)["base_url"]
        finally:
            process.stdin.close()


def _execute(url: str, statement: sql.Composable) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def _in_words(turn: Round) -> str:
    return (
        f"floor {turn.load_floor.seconds:.2f} s, first load {turn.load.seconds:.2f} s,"
        f" floor {turn.reload_floor.seconds:.2f} s, nothing changed {turn.reload.seconds:.2f} s"
    )
