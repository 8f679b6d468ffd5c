"""What a command needs before it can work: settings, the warehouse, Dagster's home.

Everything is imported late: `adsync --help` must not load Dagster or open anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from adsync_dagster.clock import clock_from_environment
from adsync_dagster.errors import UsageError
from adsync_dagster.packaged import packaged_file
from adsync_dagster.settings import Settings

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from adsync_dagster.sync.environment import Environment
    from adsync_dagster.warehouse.database import Database

DAGSTER_HOME = "DAGSTER_HOME"
DAGSTER_PG_URL = "DAGSTER_PG_URL"


def warehouse_url(settings: Settings) -> str:
    """The warehouse's URL; starts the embedded Postgres when no other database is set."""
    if settings.database_url:
        return settings.database_url
    from adsync_dagster.warehouse.embedded import ensure_started

    make_private_folder(settings.home, "ADSYNC_HOME")
    return ensure_started(settings.home)


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """The warehouse, whatever its schema version."""
    from adsync_dagster.warehouse.database import Database

    database = Database(warehouse_url(settings), clock_from_environment())
    try:
        yield database
    finally:
        database.dispose()


@contextmanager
def open_environment(settings: Settings) -> Iterator[Environment]:
    """Everything a sync needs; UsageError when the database is not migrated."""
    from adsync_dagster.sync.environment import Environment

    warehouse_url(settings)
    environment = Environment.from_settings(settings)
    try:
        yield environment
    finally:
        environment.close()


def default_dagster_home(settings: Settings) -> Path:
    """Dagster's home: $DAGSTER_HOME, or a folder of ADSYNC_HOME when that is not set."""
    chosen = os.environ.get(DAGSTER_HOME)
    return Path(chosen).expanduser() if chosen else settings.home / "dagster"


def prepare_dagster(settings: Settings) -> Path:
    """Make Dagster's home usable and point this process and its children to it.

    Writes dagster.yaml where there is none, and for the embedded Postgres chooses its
    `dagster` database unless DAGSTER_PG_URL names another.
    """
    home = default_dagster_home(settings)
    if not home.is_absolute():
        raise UsageError(f"{DAGSTER_HOME} is {str(home)!r}; it must be an absolute path")
    make_private_folder(home, DAGSTER_HOME)
    configuration = home / "dagster.yaml"
    if not configuration.exists():
        configuration.write_bytes(packaged_file("dagster.yaml").read_bytes())
    os.environ[DAGSTER_HOME] = str(home)
    if not settings.database_url and not os.environ.get(DAGSTER_PG_URL):
        from adsync_dagster.warehouse.embedded import dagster_url

        os.environ[DAGSTER_PG_URL] = dagster_url(warehouse_url(settings))
    return home


def require_dagster_storage() -> None:
    """Return when DAGSTER_PG_URL answers or is not set; else its error in one line.

    Dagster itself would try for a quarter of a minute, and log every attempt.
    """
    url = os.environ.get(DAGSTER_PG_URL)
    if not url:
        return
    from adsync_dagster.resources.instance_storage import with_driver
    from adsync_dagster.warehouse.database import Database

    database = Database(with_driver(url), clock_from_environment(), setting=DAGSTER_PG_URL)
    try:
        with database.connection():
            pass
    finally:
        database.dispose()


def dagster_is_configured(settings: Settings) -> bool:
    """Whether a Dagster instance exists already, so that a command may add to it."""
    home = default_dagster_home(settings)
    return (home / "dagster.yaml").exists()


@contextmanager
def open_instance(settings: Settings) -> Iterator[DagsterInstance]:
    """The Dagster instance that the UI shows."""
    prepare_dagster(settings)
    require_dagster_storage()
    from dagster import DagsterInstance

    with DagsterInstance.get() as instance:
        yield instance


def make_private_folder(path: Path, setting: str) -> None:
    """Make the folder, for its owner only when it is new; UsageError when it cannot be used."""
    try:
        if not path.exists():
            path.mkdir(parents=True, mode=0o700)
        probe = path / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"{setting} is {path}, where nothing can be written ({error.strerror});"
            f" set {setting} to a folder that you own"
        ) from None
