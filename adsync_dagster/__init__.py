"""Sync ad platforms into Postgres without losing the last metrics of an ad that stops."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adsync_dagster.adoption import adsync_definitions
    from adsync_dagster.components import AdSyncComponent

__version__ = "0.1.0"

__all__ = ["AdSyncComponent", "adsync_definitions"]

#: Where the public names stand. They are imported when asked for: they load Dagster, and
#: `adsync --help` must not.
_HOMES = {
    "AdSyncComponent": "adsync_dagster.components",
    "adsync_definitions": "adsync_dagster.adoption",
}


def __getattr__(name: str) -> Any:
    """A public name, from the module it stands in."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The module's own names and the public ones."""
    return sorted({*globals(), *__all__})
