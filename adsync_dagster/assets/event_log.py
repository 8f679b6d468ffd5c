"""The lines of the sync services in a run's event log, whatever the instance's configuration.

The services log with Python's logging and know no Dagster. Our dagster.yaml names their logger
as a managed one, so Dagster itself brings the lines in. Where somebody else's instance does
not, a run forwards them for as long as it lasts; they must not be missing just there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from adsync_dagster.sync.environment import logger


class _Forward(logging.Handler):
    """Passes lines on to a run's own log, from whichever thread they come."""

    def __init__(self, log: logging.Logger) -> None:
        super().__init__(level=logging.INFO)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.log(record.levelno, record.getMessage())


@contextmanager
def services_lines(log: logging.Logger, instance: dg.DagsterInstance) -> Iterator[None]:
    """Bring the services' lines into the run's log for the length of the block."""
    if _is_managed(instance):
        yield
        return
    handler, level = _Forward(log), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _is_managed(instance: dg.DagsterInstance) -> bool:
    """Whether Dagster captures the services' logger, or one above it, by itself."""
    managed = instance.managed_python_loggers
    return any(name == "root" or f"{logger.name}.".startswith(f"{name}.") for name in managed)
