"""Hands everything that is logged during a run to the judge, as a log file would hold it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

#: Every logger of the product.
log = logging.getLogger("adsync_dagster")


class Capture(logging.Handler):
    """Keeps every line, with the traceback and the arguments that a formatter would write."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@contextmanager
def captured(handler: logging.Handler) -> Iterator[None]:
    """Keep the engine's log and the pool's complaints off the screen, and hand over the former."""
    pool = logging.getLogger("sqlalchemy.pool")
    before = (log.level, log.propagate, pool.level)
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    log.propagate = False
    pool.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before[0])
        log.propagate = before[1]
        pool.setLevel(before[2])
