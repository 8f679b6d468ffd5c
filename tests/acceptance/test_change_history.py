"""What two listings cannot see, the platform's own change history tells."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Harness

from adsync_dagster.assets.account_sync import ACCOUNT_ASSETS, WindowPlan, run_window
from adsync_dagster.sync.reports import Step

#: What Meta answers to a question that it does not know, or knows no longer.
NO_SUCH_EDGE = {
    "error": {
        "message": "(#100) Tried accessing nonexisting edge (activities) on node type (AdAccount)",
        "type": "OAuthException",
        "code": 100,
    }
}


@pytest.fixture
def synced(database_url: str, tmp_path: Path) -> Iterator[Harness]:
    """A harness some hours after its first complete sync."""
    with Harness(database_url, tmp_path) as harness:
        assert harness.sync().error is None
        harness.advance(hours=4)
        yield harness


def short_lived_ad(harness: Harness) -> str:
    """An ad that is created, delivers and is deleted before anyone looks."""
    adset = next(
        entity.id
        for entity in harness.world.entities("act_501", "adset")
        if entity.effective == "ACTIVE"
    )
    ad = harness.world.create_ad(adset, "Flash sale")
    harness.advance(hours=5)
    harness.world.delete("ad", ad)
    harness.advance(hours=1)
    return ad


def test_an_ad_that_came_and_went_between_two_syncs_is_stored(synced: Harness) -> None:
    """Its id comes from the history, its status and numbers by id; its final sync is done."""
    ad = short_lived_ad(synced)

    report = synced.sync()

    assert report.error is None
    assert report.steps[Step.ADS].counts["found"] == 1
    assert [(row["old_status"], row["new_status"]) for row in synced.log(ad)] == [(None, "DELETED")]
    assert synced.log(ad)[0]["final_sync_completed"] is True
    assert synced.world.ledger.value("ad", ad, synced.today())["spend_micros"] > 0
    assert synced.differences(ids={ad}) == []
    synced.advance(hours=1)
    assert synced.sync().steps[Step.ADS].counts["logged"] == 0


def test_without_a_history_the_days_rest_holds_its_amounts(synced: Harness) -> None:
    """When the history no longer tells of it, the day's rest is exactly what it spent."""
    synced.simulator.simulator.facebook.settings.activities_retention_days = 0
    ad = short_lived_ad(synced)

    assert synced.sync().error is None

    spent = synced.world.ledger.value("ad", ad, synced.today())["spend_micros"]
    row = synced.query(
        "SELECT residual_spend * 1000000 AS rest, residual_class FROM ad_account_days"
        " WHERE date = %s AND level = 'ad'",
        synced.today(),
    )[0]
    assert (row["rest"], row["residual_class"]) == (spent, "never_seen_entity")


def test_off_and_on_again_between_two_syncs_is_logged(synced: Harness) -> None:
    """Both steps stand in the log with their source, and the stop's final sync is done."""
    ad = next(
        entity.id
        for entity in synced.world.entities("act_501", "ad")
        if entity.effective == "ACTIVE"
    )
    synced.world.pause("ad", ad)
    synced.advance(hours=2)
    synced.world.resume("ad", ad)
    synced.advance(hours=1)

    assert synced.sync().error is None
    synced.advance(hours=1)
    assert synced.sync().error is None

    steps = [(row["old_status"], row["new_status"], row["source"]) for row in synced.log(ad)]
    assert steps == [
        ("ACTIVE", "PAUSED", "change_history"),
        ("PAUSED", "ACTIVE", "change_history"),
    ]
    assert synced.pending() == 0


def test_a_history_that_cannot_be_read_costs_a_note_not_the_sync(synced: Harness) -> None:
    """Hints are optional: the sync succeeds and says what it could not read."""
    rule = synced.simulator.simulator.faults.arm(
        "error", path="activities$", count=None, error="permission"
    )

    report = synced.sync()

    assert rule.fired > 0
    assert report.error is None
    assert "change history could not be read" in report.steps[Step.ADS].note


def test_a_history_the_platform_does_not_know_takes_no_metrics_with_it(
    synced: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    """A refused question is a bug of ours, but only the hint's: it is told, the sync goes on."""
    synced.simulator.simulator.faults.arm(
        "body", path="activities$", count=None, status=400, text=json.dumps(NO_SUCH_EDGE)
    )
    caplog.set_level(logging.INFO)

    report = synced.sync()

    assert report.error is None
    assert "change history could not be read" in report.steps[Step.ADS].note
    assert report.steps[Step.METRICS].counts["days"] > 0
    told = [row for row in caplog.records if "change history" in row.getMessage()]
    assert [row.levelno for row in told] == [logging.WARNING]


def test_every_asset_of_a_green_run_says_something(synced: Harness) -> None:
    """A note is no failure: the ads were synced, so their asset says so, and says the note."""
    synced.simulator.simulator.faults.arm(
        "error", path="activities$", count=None, error="permission"
    )
    plan = WindowPlan(assets=ACCOUNT_ASSETS, threads=1, lock_wait_seconds=5)

    events = list(
        run_window(logging.getLogger(__name__), synced.environment, [synced.account.key], plan)
    )

    said = {event.asset_key: event.metadata for event in events}
    assert set(said) == {asset.key for asset in ACCOUNT_ASSETS}
    noted = {key.path[-1]: str(data["note"].value) for key, data in said.items() if "note" in data}
    assert list(noted) == ["ads"]
    assert "change history could not be read" in noted["ads"]
