"""A Postgres that keeps its promises, a world, and a warehouse of its own for every crash."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from crash_scene import Scene, cloned, let_a_day_pass, on_database, stop_some
from harness import Harness

from adsync_dagster.warehouse import embedded
from adsync_dagster.warehouse.database import with_driver
from adsync_dagster.warehouse.migrations import migrate

_NUMBERS = itertools.count()
_RECOVERY = "killed or cut off worker: recovery seconds"


@pytest.fixture(scope="session")
def durable_home() -> Iterator[Path]:
    """The home of a server with fsync on, as users run it. Short, so its socket can stay in it."""
    home = Path(tempfile.mkdtemp(prefix="adsync-crash-"))
    try:
        home.chmod(0o755)
        embedded.ensure_started(home)
        yield home
    finally:
        embedded.stop(home)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def durable_url(durable_home: Path) -> str:
    """The server's `postgres` database, once the server has said that it is durable."""
    url = with_driver(embedded.ensure_started(durable_home), "", "postgres")
    with psycopg.connect(url, autocommit=True) as connection:
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            assert connection.execute(f"SHOW {name}").fetchone() == ("on",)  # type: ignore[arg-type]
    return url


@pytest.fixture(scope="module")
def synced(durable_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """A world whose account had its first complete sync. Its database is the others' template."""
    name = f"synced_{os.getpid()}_{next(_NUMBERS)}"
    with cloned(durable_url, "template0", name) as url:
        migrate(url)
        with Harness(url, tmp_path_factory.mktemp("home"), history_days=8) as harness:
            assert harness.sync().error is None
            harness.environment.database.dispose()
            yield harness


@pytest.fixture(scope="module")
def owing(synced: Harness) -> Harness:
    """The account with logged changes whose final syncs are pending; nothing moves any more."""
    stop_some(synced)
    synced.environment.database.dispose()
    return synced


@pytest.fixture(scope="module")
def behind(synced: Harness) -> Harness:
    """The account a day later, with much to find out; nothing moves any more."""
    let_a_day_pass(synced)
    return synced


@pytest.fixture
def scene(
    request: pytest.FixtureRequest, durable_url: str, tmp_path: Path, record_property: Any
) -> Iterator[Scene]:
    """A copy of a warehouse for this test alone: `owing`'s or, if asked for, `behind`'s."""
    name = "behind" if "behind" in request.fixturenames else "owing"
    original: Harness = request.getfixturevalue(name)
    template = str(psycopg.conninfo.conninfo_to_dict(original.url)["dbname"])
    copy = f"scene_{os.getpid()}_{next(_NUMBERS)}"
    with (
        cloned(durable_url, template, copy) as url,
        on_database(original, url) as harness,
        Scene(harness, tmp_path) as scene,
    ):
        yield scene
        for seconds in scene.recoveries:
            record_property(_RECOVERY, round(seconds, 2))
