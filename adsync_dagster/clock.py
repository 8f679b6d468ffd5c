"""Time as an argument: the system's clock, or a virtual one that tests and the demo set.

`ADSYNC_NOW` is unset in production. It may hold an ISO instant with an offset
(`2026-03-01T08:00:00+00:00`), or `file:PATH` naming a file that holds one, which every
process of a demo or test reads afresh, so that one writer moves time for all of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from adsync_dagster.errors import UsageError

#: A virtual clock never makes a process wait longer than this for a back-off or a poll.
VIRTUAL_SLEEP_SECONDS_MAX = 0.02
#: A host and its database further apart than this are told to a person.
CLOCKS_APART_SECONDS_MAX = 5.0


class Clock(Protocol):
    """Where the time comes from. `now` is aware and in UTC."""

    @property
    def is_virtual(self) -> bool: ...

    def now(self) -> datetime: ...

    def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's clock."""

    is_virtual: bool = False

    def now(self) -> datetime:
        return datetime.now(tz=UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class CarriedClock:
    """Another machine's time: what it said at one moment, carried on by our own stopwatch.

    Whatever this machine's clock says or is set to, it does not run ahead of that machine: the
    time that the answer was under way is left out. What remains is the drift of a stopwatch.
    """

    instant: datetime
    #: On the monotonic clock, when the answer was here.
    taken: float
    is_virtual: bool = False

    def now(self) -> datetime:
        return self.instant + timedelta(seconds=time.monotonic() - self.taken)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass(slots=True)
class VirtualClock:
    """A clock that a test moves by hand; sleeping moves it too."""

    instant: datetime
    is_virtual: bool = True

    def now(self) -> datetime:
        return self.instant

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, VIRTUAL_SLEEP_SECONDS_MAX))


@dataclass(frozen=True, slots=True)
class FileClock:
    """A clock whose instant stands in a file that another process moves."""

    path: Path
    is_virtual: bool = True

    def now(self) -> datetime:
        try:
            text = self.path.read_text(encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"ADSYNC_NOW names the file {self.path}, which cannot be read"
                f" ({error.strerror}); write an ISO instant into it or unset ADSYNC_NOW"
            ) from None
        return parse_instant(text)

    def set(self, instant: datetime) -> None:
        """Move time for every process that reads this file; a reader never sees half a write."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        draft.write_text(instant.astimezone(UTC).isoformat(), encoding="utf-8")
        draft.replace(self.path)

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, VIRTUAL_SLEEP_SECONDS_MAX))


def parse_instant(text: str) -> datetime:
    """Read an ISO instant that carries its offset; raises UsageError for anything else."""
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(
            f"ADSYNC_NOW holds {text.strip()[:40]!r}; write an ISO instant with an offset,"
            " such as 2026-03-01T08:00:00+00:00, or file:PATH"
        ) from None
    if instant.tzinfo is None:
        raise UsageError(
            f"ADSYNC_NOW holds {text.strip()[:40]!r} without an offset; add one, such as +00:00"
        )
    return instant.astimezone(UTC)


def clock_from_environment(environment: Mapping[str, str] | None = None) -> Clock:
    """The clock that `ADSYNC_NOW` asks for; the system's when it is unset or empty."""
    value = (os.environ if environment is None else environment).get("ADSYNC_NOW", "")
    if not value:
        return SystemClock()
    if value.startswith("file:"):
        return FileClock(Path(value.removeprefix("file:")))
    return VirtualClock(parse_instant(value))
