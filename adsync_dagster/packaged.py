"""Files that live beside the package in a checkout and inside it in a wheel."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from adsync_dagster.errors import Defect


def packaged_file(name: str) -> Path:
    """The path of workspace.yaml or dagster.yaml, wherever adsync was installed from."""
    package = Path(str(resources.files("adsync_dagster")))
    for candidate in (package / "_files" / name, package.parent / name):
        if candidate.is_file():
            return candidate
    raise Defect(f"the installation of adsync lacks {name}; install it again")
