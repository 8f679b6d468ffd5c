"""Where Dagster keeps runs and events: Postgres, or SQLite when nothing is configured.

`dagster.yaml` names this class. It exists for two reasons. With `DAGSTER_PG_URL` unset,
`dagster dev` must come up anyway, and Dagster's own Postgres storage would refuse to. And a
bare `postgresql://` URL makes SQLAlchemy 2.1 pick psycopg 3, with which every query of the
webserver fails ("the connection is closed", dagster issue 33958), so the driver is put in.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClass, ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from adsync_dagster.errors import UsageError
from adsync_dagster.settings import Settings

URL_VARIABLE = "DAGSTER_PG_URL"


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
            return DagsterPostgresStorage(with_driver(url), inst_data=inst_data)
        return DagsterSqliteStorage.from_local(str(sqlite_folder()), inst_data=inst_data)


def sqlite_folder() -> Path:
    """The folder of the SQLite files, the same for every process of one deployment."""
    return Settings.from_environment().home / "dagster"


def with_driver(url: str) -> str:
    """The URL with the driver that Dagster's storage is written for."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.split("+")[0] not in {"postgresql", "postgres"}:
        raise UsageError(f"{URL_VARIABLE} must look like postgresql+psycopg2://user@host/dagster")
    return f"postgresql+psycopg2://{rest}"
