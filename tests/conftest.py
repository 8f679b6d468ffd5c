"""Which tests are the long proofs: `make test` leaves them to `make prove`."""

from __future__ import annotations

import signal
from pathlib import Path

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
