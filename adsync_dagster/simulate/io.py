"""The tap that every request, statement and commit of a simulated process passes.

It counts them, and makes one of them fail the way a scenario says. A crash is an exception
that nothing in the product catches, and that every later use of the tap raises again: code
that runs while the stack unwinds reaches neither the platform nor the database, as if the
process were gone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


class IoKind(StrEnum):
    """What passes the tap."""

    HTTP = "http"
    STATEMENT = "statement"
    COMMIT = "commit"


class IoFaultKind(StrEnum):
    """How one passage fails."""

    #: It is refused; a statement's transaction is over, a request may be tried again.
    ERROR = "error"
    #: The connection is gone before anything was done.
    LOST_BEFORE = "lost_before"
    #: It was done, and the connection went before the answer came: an ambiguous outcome.
    LOST_AFTER = "lost_after"
    #: The process dies before it, or right after it.
    CRASH_BEFORE = "crash_before"
    CRASH_AFTER = "crash_after"
    #: From here on the platform (or, for a statement, the database) fails every time.
    DOWN = "down"


class Crash(BaseException):
    """The simulated process is dead."""


@dataclass(frozen=True, slots=True)
class IoFault:
    """Fail the passage with that number (the first is 1) in that way."""

    at: int
    kind: IoFaultKind


@dataclass(slots=True)
class IoTap:
    """One simulated process's way to the outside."""

    fault: IoFault | None = None
    #: Kept by the owner of the connections: called when the process dies.
    on_crash: Callable[[], None] | None = None
    count: int = 0
    dead: bool = False
    #: Kind of every passage, in order.
    passed: list[IoKind] = field(default_factory=list)
    #: The fault that struck, if one did.
    struck: tuple[IoKind, IoFaultKind] | None = None
    _down: IoKind | None = None

    def arm(self, fault: IoFault | None) -> None:
        """Count from zero again, and fail as `fault` says."""
        self.fault, self.count, self.struck, self._down = fault, 0, None, None
        self.passed.clear()

    def passing(
        self, kind: IoKind, act: Callable[[], T], error: Callable[[IoFaultKind], Exception]
    ) -> T:
        """Do `act`, unless this is the passage that fails. `error` makes what it raises."""
        if self.dead:
            raise Crash
        self.count += 1
        self.passed.append(kind)
        fault = self._fault_now(kind)
        if fault is None:
            return act()
        self.struck = self.struck or (kind, fault)
        if fault is IoFaultKind.CRASH_BEFORE:
            self.die()
        if fault in {IoFaultKind.CRASH_AFTER, IoFaultKind.LOST_AFTER}:
            act()
        if fault is IoFaultKind.CRASH_AFTER:
            self.die()
        raise error(fault)

    def _fault_now(self, kind: IoKind) -> IoFaultKind | None:
        if self._down is not None:
            return IoFaultKind.DOWN if kind is self._down else None
        if self.fault is None or self.fault.at != self.count:
            return None
        if self.fault.kind is IoFaultKind.DOWN:
            self._down = kind
        return self.fault.kind

    def die(self) -> None:
        """End the simulated process here."""
        self.dead = True
        if self.on_crash is not None:
            self.on_crash()
        raise Crash
