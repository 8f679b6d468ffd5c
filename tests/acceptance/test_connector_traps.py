"""Traps that other connectors fell into, measured on their sources: each has its test here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from harness import Harness


@pytest.fixture
def harness(database_url: str, tmp_path: Path) -> Iterator[Harness]:
    with Harness(database_url, tmp_path) as harness:
        yield harness


def ads_with_rows(harness: Harness, day: date) -> list[str]:
    """Ads that the ledger says had numbers on the day, those that still deliver first."""
    found = [
        entity
        for entity in harness.world.entities("act_501", "ad")
        if harness.world.ledger.value("ad", entity.id, day)["impressions"] > 0
    ]
    return [entity.id for entity in sorted(found, key=lambda e: (e.effective != "ACTIVE", e.id))]


def test_the_first_day_of_the_window_is_kept(harness: Harness) -> None:
    """The oldest day of the history is stored, not compared away."""
    harness.sync()
    first = harness.today() - timedelta(days=harness.settings.history_days - 1)
    while not ads_with_rows(harness, first):
        first += timedelta(days=1)

    stored = {ad for ad, day in harness.stored("ad") if day == first}

    assert stored
    assert stored <= set(ads_with_rows(harness, first))


def test_a_failed_report_job_is_recognised_and_run_again(database_url: str, tmp_path: Path) -> None:
    """ "Job Failed" is not polled for half an hour: the report is requested anew."""
    with Harness(database_url, tmp_path, history_days=60) as harness:
        rule = harness.simulator.simulator.faults.arm("report_failed", count=1)

        report = harness.sync()

        assert rule.fired == 1
        assert report.error is None


def test_a_403_is_never_an_empty_success(harness: Harness) -> None:
    """A missing permission fails the account as blocked; nothing is called complete."""
    harness.simulator.simulator.faults.arm("error", count=None, error="permission")

    report = harness.sync()

    assert report.error_family == "blocked"
    assert harness.query("SELECT first_synced_at FROM ad_accounts")[0]["first_synced_at"] is None


def test_a_rename_and_a_pause_do_not_make_a_second_row(harness: Harness) -> None:
    """Status and name are no part of the key, so money is not counted twice."""
    harness.sync()
    rows = len(harness.stored("ad"))
    ad = ads_with_rows(harness, harness.today())[0]
    harness.world.rename("ad", ad, "Renamed")
    harness.world.pause("ad", ad)

    harness.sync()

    assert len(harness.stored("ad")) == rows
    assert harness.query("SELECT count(*) AS n FROM ads WHERE platform_ad_id = %s", ad) == [
        {"n": 1}
    ]


def test_a_failed_batch_item_is_noticed(harness: Harness) -> None:
    """One null item of a batch is asked again; it is not taken for an empty answer."""
    harness.sync()
    harness.advance(hours=3)
    ad = ads_with_rows(harness, harness.today())[0]
    harness.world.delete("ad", ad)
    harness.poll_entities()
    rule = harness.simulator.simulator.faults.arm("batch_item_null", count=1)

    report = harness.final_syncs()

    assert rule.fired == 1
    assert report.pending_after == 0
    assert harness.differences(ids={ad}) == []


def test_parents_are_read_not_summed(harness: Harness) -> None:
    """Campaign rows are the platform's own: reach is not the sum of the ads' reach."""
    harness.sync()

    sums = harness.query(
        "SELECT entity_type, sum(reach) AS reach, sum(spend) AS spend FROM ad_metrics"
        " WHERE entity_type IN ('ad', 'campaign') GROUP BY 1"
    )
    by_level = {row["entity_type"]: row for row in sums}

    assert by_level["campaign"]["reach"] < by_level["ad"]["reach"]
    assert harness.differences("campaign") == []


def test_the_first_sync_lists_everything(harness: Harness) -> None:
    """No filter on the time of change: entities untouched for weeks arrive as well."""
    harness.sync()

    listed = {
        entity.id
        for entity in harness.world.entities("act_501", "ad")
        if entity.effective != "DELETED"
    }
    stored = {row["platform_ad_id"] for row in harness.query("SELECT platform_ad_id FROM ads")}

    assert listed <= stored


def test_deleted_ads_survive_a_report_that_had_to_be_split(
    database_url: str, tmp_path: Path
) -> None:
    """When a report is too large and is cut into smaller ones, deleted ads keep their numbers."""
    with Harness(database_url, tmp_path, history_days=30) as harness:
        harness.sync()
        harness.advance(hours=3)
        ad = ads_with_rows(harness, harness.today())[0]
        harness.world.delete("ad", ad)
        settings = harness.simulator.simulator.facebook.settings
        settings.sync_rows_max = settings.report_rows_max = 60
        harness.advance(days=1)

        assert harness.sync().error is None

        assert harness.differences(ids={ad}) == []


def test_an_empty_answer_never_completes_a_final_sync(harness: Harness) -> None:
    """A report by id that lacks days it had before leaves the change pending, and no zero."""
    harness.sync()
    harness.advance(hours=3)
    ad = ads_with_rows(harness, harness.today())[0]
    harness.world.delete("ad", ad)
    harness.poll_entities()
    before = harness.stored("ad")
    rule = harness.simulator.simulator.faults.arm("empty_page", path="/insights$", count=None)

    report = harness.final_syncs()

    assert rule.fired > 0
    assert report.done == 0
    assert harness.stored("ad") == before
    assert "lacks days it had before" in harness.log(ad)[-1]["final_sync_error"]
    harness.simulator.simulator.faults.disarm(rule)
    harness.advance(hours=1)
    assert harness.final_syncs().pending_after == 0
    assert harness.differences(ids={ad}) == []


def test_a_day_refunded_to_nothing_becomes_zero_and_the_change_done(harness: Harness) -> None:
    """A row that is really gone is zeroed once proven, and then its final sync completes."""
    harness.sync()
    harness.advance(hours=3)
    day = harness.today()
    ad = ads_with_rows(harness, day)[0]
    harness.world.delete("ad", ad)
    harness.world.refund(ad, day, 1)
    harness.sync()
    # The day has to end first: while its total grows, no two syncs hear the same of it.
    for _ in range(5):
        harness.advance(hours=7)
        harness.sync()

    assert harness.stored("ad")[(ad, day)]["spend"] == 0
    assert harness.pending() == 0
    assert harness.differences(ids={ad}) == []
