"""Where Dagster keeps runs and events: Postgres, or SQLite when nothing is configured.

`dagster.yaml` names this class, for three reasons. With `DAGSTER_PG_URL` unset, `dagster dev`
must come up anyway, and Dagster's own Postgres storage would refuse to. A bare `postgresql://`
URL makes SQLAlchemy 2.1 pick psycopg 3, with which every query of the webserver fails ("the
connection is closed", dagster issue 33958), so the driver is put in. And Dagster opens a new
connection for every statement, three for each log line; keeping a few open halves the time
that a run of many accounts spends on its own bookkeeping.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClass, ConfigurableClassData
from dagster_postgres import (
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)
from dagster_postgres.utils import create_pg_engine

from adsync_dagster.errors import UsageError
from adsync_dagster.settings import Settings

URL_VARIABLE = "DAGSTER_PG_URL"

#: Connections a process keeps, and how many more its threads may open for a moment.
KEPT_CONNECTIONS = 2
EXTRA_CONNECTIONS_MAX = 20


class InstanceStorage(DagsterStorage, ConfigurableClass):
    """Chooses the storage when the instance opens; it is never instantiated itself."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(  # type: ignore[override]  # Dagster's own storages narrow it too
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> DagsterStorage:
        """Postgres at `DAGSTER_PG_URL`; without it SQLite files under ADSYNC_HOME/dagster."""
        del config_value
        url = os.environ.get(URL_VARIABLE, "")
        if url:
            return PooledPostgresStorage(with_driver(url), inst_data)
        return DagsterSqliteStorage.from_local(str(sqlite_folder()), inst_data=inst_data)


class PooledPostgresStorage(DagsterStorage):
    """Dagster's Postgres storages, with connections kept for runs and events."""

    def __init__(self, url: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._inst_data = inst_data
        self._run_storage = PooledRunStorage(url)
        self._event_log_storage = PooledEventLogStorage(url)
        self._schedule_storage = PostgresScheduleStorage(url)

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @property
    def run_storage(self) -> PostgresRunStorage:
        return self._run_storage

    @property
    def event_log_storage(self) -> PostgresEventLogStorage:
        return self._event_log_storage

    @property
    def schedule_storage(self) -> PostgresScheduleStorage:
        return self._schedule_storage


class PooledRunStorage(PostgresRunStorage):
    """Dagster's run storage on a small pool."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._engine = _pool(url)

    def dispose(self) -> None:
        super().dispose()
        self._engine.dispose()


class PooledEventLogStorage(PostgresEventLogStorage):
    """Dagster's event log on a small pool; the threads of a run write to it side by side."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._engine = _pool(url)

    def dispose(self) -> None:
        super().dispose()
        self._engine.dispose()


def _pool(url: str) -> Any:
    return create_pg_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=KEPT_CONNECTIONS,
        max_overflow=EXTRA_CONNECTIONS_MAX,
        # A connection that a restart of Postgres cut is replaced before it is used.
        pool_pre_ping=True,
    )


def sqlite_folder() -> Path:
    """The folder of the SQLite files, the same for every process of one deployment."""
    return Settings.from_environment().home / "dagster"


def with_driver(url: str) -> str:
    """The URL with the driver that Dagster's storage is written for."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.split("+")[0] not in {"postgresql", "postgres"}:
        raise UsageError(f"{URL_VARIABLE} must look like postgresql+psycopg2://user@host/dagster")
    return f"postgresql+psycopg2://{rest}"
