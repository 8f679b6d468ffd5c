"""`adsync platforms`: which platforms are installed, and what each of them needs."""

from __future__ import annotations

from typing import Annotated

import typer

from adsync_dagster.commands.exits import ExitCode
from adsync_dagster.commands.output import say, write_json, write_table
from adsync_dagster.platforms.registry import installed
from adsync_dagster.settings import Settings


def platforms(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> int:
    """List the platforms that are installed, with their credentials and settings.

    A package of yours can bring another one: see docs/adding-a-platform.md.

    \b
    Example: adsync platforms --json
    """
    settings = Settings.from_environment()
    found = [
        {
            "platform": plugin.key,
            "label": plugin.label,
            "package": plugin.package,
            "base_url": settings.base_urls[plugin.key],
            "credential": {field.name: field.help for field in plugin.credential.fields},
            "settings": {name: option.help for name, option in plugin.variables.items()},
        }
        for plugin in installed().values()
    ]
    if as_json:
        write_json({"platforms": found})
        return ExitCode.OK
    columns = ["platform", "label", "package", "base_url"]
    write_table(columns, [[str(row[name]) for name in columns] for row in found])
    for plugin in installed().values():
        say(f"\n{plugin.key}: its credential")
        for field in plugin.credential.fields:
            say(f"  {field.name}{'' if field.required else ' (optional)'}: {field.help}")
        say(f"{plugin.key}: its settings")
        for name, option in plugin.variables.items():
            say(f"  {name} (default {option.default}): {option.help}")
    return ExitCode.OK
