"""What `adsync doctor` finds: one thing looked at, and how it is."""

from __future__ import annotations

from dataclasses import dataclass

from adsync_dagster.commands.exits import ExitCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at. `code` says what kind of trouble it is; OK when it is none."""

    subject: str
    detail: str
    code: ExitCode = ExitCode.OK
    #: True for what works but should be changed.
    warning: bool = False
