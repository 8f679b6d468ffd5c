"""Which tests are the long proofs: `make test` leaves them to `make prove`; CI runs both."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
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
