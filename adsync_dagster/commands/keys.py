"""`adsync accounts rotate-keys`: the last step of changing the key that wraps credentials."""

from __future__ import annotations

from typing import Annotated

import typer

from adsync_dagster.commands.exits import ExitCode
from adsync_dagster.commands.output import note, say, write_json
from adsync_dagster.commands.surroundings import open_environment
from adsync_dagster.settings import Settings
from adsync_dagster.wording import counted


def rotate_keys(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write the result as JSON to stdout.")
    ] = False,
) -> int:
    """Encrypt every stored credential under the present key.

    First give every host the new key as ADSYNC_TOKEN_KEY and the old one as
    ADSYNC_TOKEN_KEY_PREVIOUS. Afterwards nothing in the database needs the old key. All
    credentials are moved in one transaction, or none; syncs go on meanwhile. Exit code 3, and
    nothing is changed, when one of them opens with no key that is set.

    \b
    Example: adsync accounts rotate-keys
    """
    settings = Settings.from_environment()
    with (
        open_environment(settings) as environment,
        environment.database.connection() as connection,
    ):
        moved = environment.vault.rotate(connection)
    old = _old_keys(settings)
    if as_json:
        write_json({"moved": moved, "not_needed_any_more": old})
        return ExitCode.OK
    say(
        f"{counted(moved, 'credential')} moved to the present key"
        if moved
        else "every credential is under the present key already"
    )
    if old:
        note(
            f"no credential needs {' or '.join(old)} any more: once every host has the present"
            " key, remove it, and keep it with the backups made before"
        )
    return ExitCode.OK


def _old_keys(settings: Settings) -> list[str]:
    """Where keys other than the present one are, as a person would name the place."""
    from adsync_dagster.warehouse.tokens import KEY_FILE

    path = settings.home / KEY_FILE
    old = ["ADSYNC_TOKEN_KEY_PREVIOUS"] if settings.token_key_previous else []
    return [*old, *([str(path)] if settings.token_key and path.exists() else [])]
