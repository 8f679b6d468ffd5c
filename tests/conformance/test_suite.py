"""The conformance suite on our three platforms, against their simulated wires on a real port."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adsync_dagster.conformance import CHECKS, run
from adsync_dagster.conformance.stage import Check
from adsync_dagster.simulator.server import RunningSimulator

from subjects import SUBJECTS, open_port  # isort: skip


@pytest.fixture(scope="module")
def port() -> Iterator[RunningSimulator]:
    """A real port for all checks."""
    with open_port() as running:
        yield running


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("platform", SUBJECTS)
def test_conformance(port: RunningSimulator, platform: str, check: Check) -> None:
    """Every check that any adapter must pass; its docstring says what it shows."""
    run(check, SUBJECTS[platform](port))
