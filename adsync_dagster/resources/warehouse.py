"""The resource `warehouse`: the database that sensors, schedules and your own assets read.

Resources here have no configuration on purpose. Everything comes from the environment at run
time (settings.py), so a run launched from the UI cannot be pointed at another database, or a
credential at another host.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from adsync_dagster.clock import clock_from_environment
from adsync_dagster.settings import Settings
from adsync_dagster.warehouse.database import Database
from adsync_dagster.warehouse.embedded import ensure_started
from adsync_dagster.warehouse.migrations import migrate, pending, require_current


class WarehouseResource(dg.ConfigurableResource[Database]):
    """Opens the warehouse for a run or a tick and closes it afterwards.

    UsageError, in one line that says what to do, when it cannot be reached or is not migrated.
    """

    @contextmanager
    def yield_for_execution(
        self,
        context: dg.InitResourceContext,  # noqa: ARG002
    ) -> Iterator[Database]:
        with open_warehouse(Settings.from_environment()) as database:
            yield database


@contextmanager
def open_warehouse(settings: Settings) -> Iterator[Database]:
    """The warehouse for the length of the block; UsageError as the resource."""
    database = Database(warehouse_url(settings), clock_from_environment())
    try:
        with database.connection() as connection:
            require_current(connection, embedded_in=settings.embedded_in)
        yield database
    finally:
        database.dispose()


def warehouse_url(settings: Settings) -> str:
    """The warehouse's URL.

    Without one in the settings the embedded Postgres is started and brought up to date: it is
    ours alone, and `dagster dev` works without another command before it. A database that was
    given is migrated by `adsync migrate` only.
    """
    if settings.database_url is not None:
        return settings.database_url
    url = ensure_started(settings.home)
    if pending(url):
        migrate(url)
    return url
