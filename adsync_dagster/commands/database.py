"""`adsync migrate` and `adsync stop`: the schema, and the embedded Postgres."""

from __future__ import annotations

from typing import Annotated

import typer

from adsync_dagster.commands.output import counted, say, write_json
from adsync_dagster.commands.surroundings import warehouse_url
from adsync_dagster.settings import Settings


def migrate(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list the steps that would be applied.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the steps as JSON.")] = False,
) -> int:
    """Bring the database to this version's schema.

    Applies the numbered steps that are missing. Safe to run again, and from several hosts at
    once: they wait for each other.

    \b
    Example: adsync migrate --dry-run
    """
    from adsync_dagster.warehouse import migrations

    url = warehouse_url(Settings.from_environment())
    steps = migrations.pending(url) if dry_run else migrations.migrate(url)
    if as_json:
        write_json({"pending" if dry_run else "applied": steps})
        return 0
    for step in steps:
        say(step)
    if dry_run:
        say(f"{counted(len(steps), 'step')} to apply" if steps else "the database is current")
    else:
        say(f"{counted(len(steps), 'step')} applied" if steps else "the database was current")
    return 0


def stop() -> int:
    """Stop the embedded Postgres under ADSYNC_HOME.

    Whatever needs it starts it again.

    \b
    Example: adsync stop
    """
    from adsync_dagster.warehouse import embedded

    settings = Settings.from_environment()
    if embedded.stop(settings.home):
        say(f"the database under {settings.home} is stopped")
    else:
        say(f"no database runs under {settings.home}")
    return 0
