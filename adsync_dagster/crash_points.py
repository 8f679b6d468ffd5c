"""Named places where a test can end or hold this process. Unless armed they do nothing.

`ADSYNC_CRASH_POINT` holds NAME:SIGNAL or NAME:SIGNAL:NTH, such as `before_commit:SIGKILL:2`: the
process sends itself that signal when it gets to the place for the NTH time (the first, if left
out). `file:PATH` names a file that holds the same. Whoever fires removes the file first, so of
all the processes that share the variable one is hit, once; no file means not armed.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adsync_dagster.errors import UsageError

VARIABLE = "ADSYNC_CRASH_POINT"

#: The places, in the order in which a sync gets to them, and what has happened by then.
POINTS: dict[str, str] = {
    "claim_committed": "pending changes are claimed, nothing is read yet",
    "before_first_request": "a read of entities or metrics is about to begin",
    "page_copied": "a page of the read is in the stage",
    "between_pages": "a further page has come in and is not in the stage yet",
    "after_last_page": "the read is complete, nothing of it is merged",
    "entities_merged": "entities are merged in a transaction that is still open",
    "metrics_merged": "metrics are merged in a transaction that is still open",
    "changes_completed": "changes are marked done in a transaction that is still open",
    "before_commit": "any transaction of an account's session is about to commit",
    "after_commit": "any transaction of an account's session has committed",
    "sensor_tick_end": "the status change sensor has decided, Dagster does not know yet",
}
SIGNALS = ("SIGKILL", "SIGTERM", "SIGSTOP")


@dataclass(frozen=True, slots=True)
class Armed:
    """Where to send this process which signal, and at which visit."""

    name: str
    signal: signal.Signals
    nth: int


def crash_point(name: str) -> None:
    """Send this process the armed signal if it is armed for this place and visit."""
    text = os.environ.get(VARIABLE)
    if not text:
        return
    armed = _armed(text)
    if armed is None or armed.name != name:
        return
    with _guard:
        _visits[text, name] += 1
        if _visits[text, name] != armed.nth or not _disarmed(text):
            return
    # To this thread: a stop that reaches another one first would let this one run on.
    signal.pthread_kill(threading.get_ident(), armed.signal)


def check(environment: Mapping[str, str]) -> None:
    """Raise UsageError when the variable is set to something that would never fire."""
    text = environment.get(VARIABLE)
    if text and not text.startswith("file:"):
        parse(text)


def parse(text: str) -> Armed:
    """Read NAME:SIGNAL[:NTH]; UsageError with the accepted words for anything else."""
    name, _, rest = text.partition(":")
    signal_name, _, nth = rest.partition(":")
    number = nth if nth or rest.endswith(":") else "1"
    if (
        name not in POINTS
        or signal_name not in SIGNALS
        or not (number.isascii() and number.isdigit() and int(number[:9]) >= 1)
    ):
        raise UsageError(
            f"{VARIABLE} is {text[:60]!r}; write NAME:SIGNAL or NAME:SIGNAL:NTH with a NAME of"
            f" {', '.join(POINTS)} and a SIGNAL of {', '.join(SIGNALS)}"
        )
    return Armed(name, signal.Signals[signal_name], int(number[:9]))


_guard = threading.Lock()
_visits: Counter[tuple[str, str]] = Counter()


def _armed(text: str) -> Armed | None:
    if not text.startswith("file:"):
        return parse(text)
    try:
        return parse(_path(text).read_text(encoding="utf-8").strip())
    except FileNotFoundError:
        return None


def _disarmed(text: str) -> bool:
    """Whether this process is the one that fires: only one of several removes the file."""
    if not text.startswith("file:"):
        return True
    _visits.clear()
    try:
        _path(text).unlink()
    except FileNotFoundError:
        return False
    return True


def _path(text: str) -> Path:
    return Path(text.removeprefix("file:"))
