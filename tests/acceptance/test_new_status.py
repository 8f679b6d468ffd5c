"""A platform adds a status after this version was made: its lists cannot be asked for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptance.scenes import SCENES, arm, live
from harness import Harness

NEW = "PENDING_IDENTITY_CHECK"


@pytest.fixture
def harness(database_url: str, tmp_path: Path) -> Iterator[Harness]:
    with Harness(database_url, tmp_path, campaigns=1, adsets=2, ads=12, stopped=False) as harness:
        yield harness


def test_a_new_effective_status_of_many_ads_does_not_freeze_their_level(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    """By id they say what they are, which explains their absence: they are merged, and told."""
    assert harness.sync().error is None
    harness.advance(hours=4)
    ads = live(harness)
    for ad in ads[:6]:
        harness.world.set_hold("ad", ad, NEW)
    harness.world.pause("ad", ads[6])

    report = harness.sync()

    assert report.error is None
    stored = {
        row["platform_ad_id"]: row["effective_status"]
        for row in harness.query("SELECT platform_ad_id, effective_status FROM ads")
    }
    assert [stored[ad] for ad in ads[:7]] == [NEW] * 6 + ["PAUSED"]
    assert f"6 ad(s) have a status that lists cannot ask for yet ({NEW})" in caplog.text
    # It may not deliver: what is unknown counts as stopped, and its last numbers are there.
    assert [harness.log(ad)[-1]["final_sync_completed"] for ad in ads[:7]] == [True] * 7
    assert harness.pending() == 0


def test_a_list_that_leaves_out_what_it_was_asked_for_is_still_refused(harness: Harness) -> None:
    """Living ads of a known status are no such excuse, however many have a new one."""
    assert harness.sync().error is None
    harness.advance(hours=4)
    ads = live(harness)
    for ad in ads[:3]:
        harness.world.set_hold("ad", ad, NEW)
    arm(harness, SCENES["facebook"].list_lies, count=1)

    assert "left out at least" in (harness.poll_entities().error or "")
