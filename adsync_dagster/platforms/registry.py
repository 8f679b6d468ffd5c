"""Which platforms there are: ours, and those of installed packages.

A package offers one by an entry point of the group `adsync_dagster.platforms`, whose name is
the platform's key and whose object is its PlatformPlugin. One that cannot be loaded is refused
at once and by name: a platform that quietly is not there would quietly not be synced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from adsync_dagster.errors import UsageError
from adsync_dagster.platforms.built_in import BUILT_IN
from adsync_dagster.platforms.plugin import Grant, PlatformPlugin, PlatformSettings
from adsync_dagster.platforms.protocol import PlatformAdapter
from adsync_dagster.records import LEVELS, Level, Platform

ENTRY_POINT_GROUP = "adsync_dagster.platforms"
#: Each platform's key is the name of its Dagster resource; these are taken.
_TAKEN = frozenset({"adsync", "warehouse", "token_vault", "io_manager"})


class AdapterSettings(Protocol):
    """What the adapters take from the settings."""

    @property
    def options(self) -> Mapping[str, str]: ...

    @property
    def history_days(self) -> int: ...

    @property
    def recent_days(self) -> int: ...


@cache
def installed() -> Mapping[Platform, PlatformPlugin]:
    """Every platform there is, ours first; looked up once per process.

    Raises UsageError that names the package when one of them cannot be used.
    """
    found = {plugin.key: plugin for plugin in BUILT_IN}
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP)):
        plugin = _load(entry)
        if plugin.key in found or plugin.key in _TAKEN:
            raise _unusable(entry, f"the key {plugin.key} is taken")
        known = {name for other in found.values() for name in other.variables}
        if twice := sorted(known & set(plugin.variables)):
            raise _unusable(entry, f"the variable {twice[0]} is another platform's")
        found[plugin.key] = plugin
    return found


def plugin_for(key: str) -> PlatformPlugin:
    """The platform of that key; UsageError lists those that are installed."""
    plugins = installed()
    for plugin in plugins.values():
        if plugin.key == key:
            return plugin
    raise UsageError(
        f"{key[:40]!r} is no platform that is installed here; use one of {', '.join(plugins)}"
    )


def adapter_for(platform: Platform, settings: AdapterSettings) -> PlatformAdapter:
    """The platform's adapter as the settings want it."""
    plugin = plugin_for(platform)
    return plugin.adapter(_settings_of(plugin, settings))


def id_forms(platform: Platform) -> dict[Level, str]:
    """What an entity's id looks like, a regular expression per level; anything if not installed."""
    plugin = installed().get(platform)
    return dict.fromkeys(LEVELS, ".+") if plugin is None else plugin.id_forms


def may_be_id(platform: Platform, level: Level, text: str) -> bool:
    """Whether the platform could have given an entity this id, by what its ids look like."""
    return re.fullmatch(id_forms(platform)[level], text, re.ASCII) is not None


def grant_for(platform: Platform, settings: AdapterSettings) -> Grant | None:
    """The platform's token exchange; None where the stored token itself is sent."""
    plugin = plugin_for(platform)
    return None if plugin.grant is None else plugin.grant(_settings_of(plugin, settings))


def _settings_of(plugin: PlatformPlugin, settings: AdapterSettings) -> PlatformSettings:
    return plugin.settings(
        settings.options, history_days=settings.history_days, recent_days=settings.recent_days
    )


def _load(entry: EntryPoint) -> PlatformPlugin:
    try:
        plugin = entry.load()
    except Exception as error:
        raise _unusable(entry, f"{type(error).__name__} while {entry.value} was loaded") from error
    if not isinstance(plugin, PlatformPlugin):
        raise _unusable(entry, f"{entry.value} is not a PlatformPlugin")
    if plugin.key != entry.name:
        raise _unusable(entry, f"its entry point is named {entry.name}, its key is {plugin.key}")
    return replace(plugin, package=_package(entry))


def _unusable(entry: EntryPoint, why: str) -> UsageError:
    return UsageError(
        f"the platform {entry.name} of the package {_package(entry)} cannot be used: {why};"
        " repair the package, or uninstall it"
    )


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.module
