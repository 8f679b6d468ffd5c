"""The time zone of an account: one that nobody knows, and one that moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptance.scenes import SCENES, Scene, arm
from harness import Harness


@pytest.fixture(params=SCENES)
def scene(request: pytest.FixtureRequest) -> Scene:
    """Each platform in turn."""
    return SCENES[request.param]


@pytest.fixture
def harness(scene: Scene, database_url: str, tmp_path: Path) -> Iterator[Harness]:
    with scene.harness(database_url, tmp_path) as harness:
        yield harness


def test_a_zone_nobody_knows_blocks_the_account_until_it_is_known(
    scene: Scene, harness: Harness
) -> None:
    """No day can be dated: a person has to act, and nothing was dated by a guess."""
    rules = [arm(harness, fault, count=None) for fault in scene.unknown_zone]

    report = harness.sync()

    assert report.error_family == "blocked"
    assert "Mars/Olympus" in str(report.error)
    assert "tzdata" in str(report.error)
    assert harness.query("SELECT blocked_reason FROM ad_accounts") == [
        {"blocked_reason": "account"}
    ]
    assert harness.stored("ad") == {}
    for rule in rules:
        harness.simulator.simulator.faults.disarm(rule)
    assert harness.sync().error is None
    assert harness.query("SELECT blocked_reason FROM ad_accounts") == [{"blocked_reason": None}]
