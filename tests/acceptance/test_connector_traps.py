"""Traps that other connectors fell into, measured on their sources: each has its test here.

They are set on every platform that has them; where one has not, the test says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from acceptance.scenes import GOOGLE, META, SCENES, TIKTOK, Scene, arm, live
from harness import Harness

from adsync_dagster.records import LEVELS, DateRange, Level


@pytest.fixture(params=SCENES)
def scene(request: pytest.FixtureRequest) -> Scene:
    """Each platform in turn."""
    return SCENES[request.param]


@pytest.fixture
def harness(scene: Scene, database_url: str, tmp_path: Path) -> Iterator[Harness]:
    with scene.harness(database_url, tmp_path) as harness:
        yield harness


def scene_of(*scenes: Scene) -> pytest.MarkDecorator:
    """These platforms only."""
    names = [str(scene.platform) for scene in scenes]
    return pytest.mark.parametrize("scene", names, indirect=True)


def ads_with_rows(harness: Harness, day: date) -> list[str]:
    """Ads that the ledger says had numbers on the day, those that still deliver first."""
    found = [
        entity
        for entity in harness.world.entities(harness.account_id, "ad")
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


@scene_of(META, TIKTOK)
def test_a_failed_report_job_is_recognised_and_run_again(
    scene: Scene, database_url: str, tmp_path: Path
) -> None:
    """ "Job Failed" is not polled for half an hour: the report is requested anew.

    Google Ads has no report jobs: its answers come as streams.
    """
    with scene.harness(database_url, tmp_path, history_days=60) as harness:
        if scene is TIKTOK:
            # Only what is too heavy even for a single day becomes a task there.
            scene.settings(harness).report_cells_max = 12
            scene.settings(harness).task_shows_deleted = True
        job = "report_failed" if scene is META else "task_failed"
        rule = harness.simulator.simulator.faults.arm(job, count=1)

        report = harness.sync()

        assert rule.fired == 1
        assert report.error is None
        assert harness.differences(ids=set(live(harness))) == []


def test_a_403_is_never_an_empty_success(scene: Scene, harness: Harness) -> None:
    """A missing permission fails the account as blocked; nothing is called complete.

    TikTok says it with HTTP 200 and a code.
    """
    arm(harness, scene.forbidden, count=None)

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


@scene_of(META)
def test_a_failed_batch_item_is_noticed(harness: Harness) -> None:
    """One null item of a batch is asked again; it is not taken for an empty answer.

    Only Meta answers several questions in one batch.
    """
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


@scene_of(META, TIKTOK)
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


@scene_of(GOOGLE)
def test_campaigns_whose_ads_have_no_rows_are_not_missing(
    scene: Scene, database_url: str, tmp_path: Path
) -> None:
    """Sums of ads would lose a Performance Max campaign. Google Ads tells no reach by day."""
    with scene.harness(database_url, tmp_path, performance_max=1) as harness:
        harness.sync()

        sums = harness.query(
            "SELECT entity_type, sum(spend) AS spend FROM ad_metrics"
            " WHERE entity_type IN ('ad', 'campaign') GROUP BY 1"
        )
        spend = {row["entity_type"]: row["spend"] for row in sums}

        assert spend["ad"] < spend["campaign"]
        assert harness.differences("campaign") == []


def test_the_first_sync_lists_everything(harness: Harness) -> None:
    """No filter on the time of change: entities untouched for weeks arrive as well."""
    harness.sync()

    listed = {
        entity.id
        for entity in harness.world.entities(harness.account_id, "ad")
        if entity.effective != "DELETED"
    }
    stored = {row["platform_ad_id"] for row in harness.query("SELECT platform_ad_id FROM ads")}

    assert listed <= stored


def test_deleted_ads_survive_a_report_that_had_to_be_split(
    scene: Scene, database_url: str, tmp_path: Path
) -> None:
    """When a report is too large and is cut into smaller ones, deleted ads keep their numbers."""
    with scene.harness(database_url, tmp_path, history_days=30) as harness:
        harness.sync()
        harness.advance(hours=3)
        ad = ads_with_rows(harness, harness.today())[0]
        harness.world.delete("ad", ad)
        harness.advance(days=1)
        make_reports_too_large(scene, harness)

        assert harness.sync().error is None

        assert harness.differences(ids={ad}) == []


def make_reports_too_large(scene: Scene, harness: Harness) -> None:
    """From now on the platform refuses, cuts or breaks off a report as large as ours."""
    settings = scene.settings(harness)
    if scene is META:
        settings.sync_rows_max = settings.report_rows_max = 60
    elif scene is TIKTOK:
        settings.ads_considered_max = 8
    else:
        faults = harness.simulator.simulator.faults
        faults.arm("cut_json", path="ad_group_ad by day$", count=3)


def test_an_empty_answer_never_completes_a_final_sync(scene: Scene, harness: Harness) -> None:
    """A report by id that lacks days it had before leaves the change pending, and no zero."""
    harness.sync()
    harness.advance(hours=3)
    ad = ads_with_rows(harness, harness.today())[0]
    harness.world.delete("ad", ad)
    harness.poll_entities()
    before = harness.stored("ad")
    rule = arm(harness, scene.empty_report, count=None)

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
    # Conversions of other days may have come since those days were last read.
    assert harness.settle().error is None
    assert harness.differences(ids={ad}) == []


@scene_of(TIKTOK)
def test_an_ad_without_a_time_of_change_is_kept(harness: Harness) -> None:
    """Smart+ ads lack `modify_time`: a cursor over it would drop them. Others always have one."""
    ad = ads_with_rows(harness, harness.today())[0]
    harness.world.entity("ad", ad).traits["smart_plus"] = "1"

    harness.sync()
    harness.world.pause("ad", ad)
    harness.advance(hours=2)
    harness.sync()

    assert harness.query("SELECT status FROM ads WHERE platform_ad_id = %s", ad) == [
        {"status": "PAUSED"}
    ]
    assert harness.differences(ids={ad}) == []


@scene_of(TIKTOK)
def test_a_report_is_read_beyond_its_first_page(
    scene: Scene, database_url: str, tmp_path: Path
) -> None:
    """More than a thousand rows, and a filter by its right name: `filters` would be ignored."""
    with scene.harness(database_url, tmp_path, ads=60, history_days=28) as harness:
        deleted = ads_with_rows(harness, harness.today())[0]
        harness.world.delete("ad", deleted)

        assert harness.sync().error is None

        assert len(harness.stored("ad")) > 1_000
        assert harness.differences() == []
        assert (deleted, harness.today()) in harness.stored("ad")


def test_no_day_is_asked_for_twice(
    scene: Scene, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A range ends the day before the next one begins; together they are the whole history."""
    kind = type(harness.environment.adapter(scene.platform))
    report, asked = kind.report, []

    def spy(adapter: Any, account: str, level: Level, days: DateRange, at: Any) -> Any:
        asked.append((level, days))
        return report(adapter, account, level, days, at)

    monkeypatch.setattr(kind, "report", spy)
    assert harness.sync().error is None

    for level in LEVELS:
        days = [
            days.since + timedelta(days=n)
            for known, days in asked
            if known is level
            for n in range(days.days)
        ]
        assert len(days) == len(set(days)) == harness.settings.history_days
        assert max(days) == harness.today()


def test_a_list_that_leaves_out_the_living_is_refused_whole(scene: Scene, harness: Harness) -> None:
    """By id they are all still there: then nothing of that list is stored, and the sync is red."""
    harness.sync()
    stopped = live(harness)[0]
    harness.world.pause("ad", stopped)
    harness.advance(hours=1)
    rule = arm(harness, scene.list_lies, count=1)

    report = harness.poll_entities()

    assert rule.fired == 1
    assert report.error is not None
    assert "left out at least" in report.error
    assert "that are still there" in report.error
    own = "SELECT status FROM ads WHERE platform_ad_id = %s"
    assert harness.query(own, stopped) == [{"status": "ACTIVE"}]
    assert harness.poll_entities().error is None
    assert harness.query(own, stopped) == [{"status": "PAUSED"}]


def test_what_cannot_be_read_by_id_is_never_done(scene: Scene, harness: Harness) -> None:
    """While the platform denies that there is such an ad, its final sync waits, and says why."""
    harness.sync()
    stopped = live(harness)[0]
    harness.world.pause("ad", stopped)
    harness.advance(hours=1)
    hidden = harness.simulator.simulator.faults.arm("missing_by_id", count=None)

    report = harness.poll_entities()

    harness.final_syncs()
    assert hidden.fired
    (row,) = harness.log(stopped)
    assert row["final_sync_completed"] is False
    assert row["final_sync_error"]
    assert report.pending == 1
    harness.simulator.simulator.faults.disarm(hidden)
    harness.advance(hours=24)
    assert harness.sync().error is None
    assert harness.pending() == 0
    assert harness.differences(ids={stopped}) == []
