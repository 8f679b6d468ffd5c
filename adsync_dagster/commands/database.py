"""`adsync migrate` and `adsync stop`: the schema, and the embedded Postgres."""

from __future__ import annotations

from typing import Annotated

import typer

from adsync_dagster.commands.output import say, write_json
from adsync_dagster.commands.surroundings import warehouse_url
from adsync_dagster.errors import UsageError
from adsync_dagster.settings import Settings
from adsync_dagster.wording import counted


def migrate(
    *,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Rehearse, tell what would happen, and change nothing."),
    ] = False,
    rehearse: Annotated[
        bool,
        typer.Option(
            "--rehearse", help="With --dry-run: rehearse on tables of over a million rows, too."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the steps as JSON.")] = False,
) -> int:
    """Bring the database to this version's schema.

    Applies the numbered steps that are missing, also to tables of these names that were there
    before. Safe to run again, and from several hosts at once: they wait for each other.

    --dry-run runs the steps in one transaction, rolls it back, and tells per table what would be
    added, changed, locked and rewritten. It ends with 0 when all steps would pass, with 2 when
    one would refuse, and with 1 when another session is in the way.

    \b
    Example: adsync migrate --dry-run
    """
    if rehearse and not dry_run:
        raise UsageError("--rehearse belongs to --dry-run; without both, adsync migrate migrates")
    url = warehouse_url(Settings.from_environment())
    if dry_run:
        from adsync_dagster.commands.migration_plan import tell
        from adsync_dagster.warehouse.rehearsal import plan_migration

        return tell(plan_migration(url, rehearse_large=rehearse), as_json=as_json)
    from adsync_dagster.warehouse import migrations

    steps = migrations.migrate(url)
    if as_json:
        write_json({"applied": steps})
        return 0
    for step in steps:
        say(step)
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
