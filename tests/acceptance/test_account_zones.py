"""The time zone of an account: one that nobody knows, and one that moves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from acceptance.scenes import SCENES, Scene, arm, live
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


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "Pacific/Honolulu"])
def test_days_around_a_change_of_zone_are_neither_lost_nor_doubled(
    scene: Scene, harness: Harness, zone: str
) -> None:
    """The account's today jumps by a day, ahead or back; each date holds what it is reported.

    The simulated platform dates its numbers as before: what moves is which days are asked for.
    """
    first = harness.today()
    assert harness.sync().error is None
    # Two in the morning in New York: another date in both zones than a moment before.
    harness.advance(hours=15)
    for name, options in scene.unknown_zone:
        arm(harness, (name, {**options, "value": zone}), count=None)
    for _ in range(4):
        report = harness.sync()
        assert report.error is None
        harness.advance(hours=13)
    harness.world.pause("ad", live(harness)[0])
    assert (harness.sync().error, harness.pending()) == (None, 0)

    kept = harness.query(
        "SELECT old_timezone, new_timezone FROM ad_account_changes"
        " WHERE old_timezone <> new_timezone"
    )
    assert kept == [{"old_timezone": "America/New_York", "new_timezone": zone}]
    for level in ("ad", "adset", "campaign"):
        assert harness.differences(level, since=first) == []
    twice = "SELECT entity_id, date FROM ad_metrics GROUP BY 1, 2 HAVING count(*) > 1"
    assert harness.query(twice) == []
    [sums] = harness.query(
        "SELECT sum(spend) * 1000000 AS micros FROM ad_metrics"
        " WHERE entity_type = 'ad' AND date >= %s",
        first,
    )
    days = [first + timedelta(days=n) for n in range((harness.today() - first).days + 1)]
    total = harness.world.ledger.account_total
    assert sums["micros"] == sum(total(harness.account_id, day)["spend_micros"] for day in days)
