"""What `adsync doctor` looks at on this machine and server: room on disks, rights, connections."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from adsync_dagster.commands.exits import ExitCode
from adsync_dagster.commands.findings import Finding
from adsync_dagster.wording import counted

if TYPE_CHECKING:
    from adsync_dagster.settings import Settings
    from adsync_dagster.warehouse.database import Connection

#: Below the first there is soon trouble, below the second a sync may already fail.
FREE_BYTES_COMFORTABLE = 2_000_000_000
FREE_BYTES_MIN = 200_000_000


def look_at_disks(settings: Settings, dagster_home: Path) -> Iterator[Finding]:
    """Room in ADSYNC_HOME and Dagster's home; the embedded database lives in the first."""
    seen: set[int] = set()
    for name, folder in (("ADSYNC_HOME", settings.home), ("DAGSTER_HOME", dagster_home)):
        existing = next((path for path in (folder, *folder.parents) if path.exists()), Path("/"))
        device = existing.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        free = shutil.disk_usage(existing).free
        little = free < FREE_BYTES_COMFORTABLE
        yield Finding(
            subject="disk",
            detail=f"{free / 1e9:.1f} GB free under {name}"
            + ("; make room before a sync or the embedded database fails" if little else ""),
            code=ExitCode.BLOCKED if free < FREE_BYTES_MIN else ExitCode.OK,
            warning=little,
        )


def look_at_rights(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """Whether this user can write what a sync writes, and no more than it needs."""
    from adsync_dagster.warehouse.overview import user_rights

    rights = user_rights(connection)
    if rights.lacking:
        yield Finding(
            subject="rights",
            detail=f"user {rights.user} cannot write {', '.join(rights.lacking)};"
            " make it a member of adsync_writer (sql/roles.sql)",
            code=ExitCode.USAGE,
        )
        return
    everything = rights.is_superuser and settings.database_url is not None
    yield Finding(
        subject="rights",
        detail=f"user {rights.user} can write what a sync writes"
        + (
            "; it is a superuser, whom the guards of the tables do not stop: use a member of"
            " adsync_writer (sql/roles.sql)"
            if everything
            else ""
        ),
        warning=everything,
    )


def look_at_connections(
    connections_max: int, runs_max: int | None, settings: Settings
) -> Iterator[Finding]:
    """Whether the server takes as many connections as `runs_max` runs may open at once.

    None: nothing limits the runs, so nothing can be said.
    """
    if runs_max is None:
        return
    needed = runs_max * (settings.account_threads + 2) + _DAGSTER_CONNECTIONS
    if connections_max < needed:
        yield Finding(
            subject="connections",
            detail=f"max_connections is {connections_max}; {counted(runs_max, 'run')} of"
            f" {counted(settings.account_threads, 'account')} and Dagster may need {needed}",
            warning=True,
        )


#: What webserver and daemon keep open.
_DAGSTER_CONNECTIONS = 20
