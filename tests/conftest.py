"""Which tests are the long proofs (make prove and not make test), and what they measured."""

from __future__ import annotations

import signal
import statistics
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent

# A shell without job control starts background jobs with SIGINT ignored, children inherit
# that, and Dagster copies it to SIGTERM: tests that end processes by signal would wait for ever.
for number, usual in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGTERM, signal.SIG_DFL),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)
PROOFS = (
    "crash",
    "simulation/test_exhaustive.py",
    "simulation/test_mutants.py",
    "simulation/test_seeds.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the proofs by where they stand, so that none is forgotten."""
    for item in items:
        place = item.path.relative_to(TESTS).as_posix()
        if place.startswith(PROOFS):
            item.add_marker(pytest.mark.proof)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print how long recoveries took: from a new worker's start, or a death, to all stored.

    Here and not beside the crash tests, whose conftest the first process of several never loads.
    """
    times: dict[str, list[float]] = {}
    for report in terminalreporter.getreports(""):
        if report.when == "teardown":
            for name, value in report.user_properties:
                times.setdefault(name, []).append(value)
    for name, values in sorted(times.items()):
        terminalreporter.write_line(
            f"{name}: median {statistics.median(values):.2f}, slowest {max(values):.2f}"
            f" ({len(values)} times)"
        )
