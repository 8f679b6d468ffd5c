"""Much at once: lists without the living, and campaigns that stop with hundreds of ads.

Whole syncs against a simulated platform. What a transaction wrote is read from the rows
themselves: `xmin` is the number of the transaction that wrote a row last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from acceptance.scenes import SCENES, Scene, live
from harness import Harness

from adsync_dagster.errors import IncompleteRead
from adsync_dagster.records import Platform
from adsync_dagster.sync import account_sync, entities, final_sync
from adsync_dagster.sync.reports import Step

ADS = 24
#: The list of ads, as faults match its path.
LISTS = {"facebook": r"/ads$", "tiktok": r"^ad/get$", "google_ads": r" ad_group_ad$"}


@pytest.fixture(params=SCENES)
def scene(request: pytest.FixtureRequest) -> Scene:
    """Each platform in turn."""
    return SCENES[request.param]


@pytest.fixture
def many(scene: Scene, database_url: str, tmp_path: Path) -> Iterator[Harness]:
    """An account whose 24 ads all live, some hours after its first sync."""
    options = {"ads": ADS, "stopped": False, "history_days": 2}
    with scene.harness(database_url, tmp_path, **options) as harness:
        assert harness.sync().error is None
        harness.advance(hours=4)
        yield harness


def leave_out(harness: Harness, hidden: set[str]) -> Callable[[Any], Any]:
    """A whole-looking list without these ads; a read by id, which asks for few, is left alone."""

    def change(body: Any) -> Any:
        if harness.platform is Platform.FACEBOOK:
            kept = [row for row in body["data"] if row["id"] not in hidden]
            body["summary"] = {"total_count": len(kept)}
            return body | {"data": kept}
        if harness.platform is Platform.TIKTOK:
            data = body["data"]
            kept = [row for row in data["list"] if row["ad_id"] not in hidden]
            if len(data["list"]) > len(hidden):
                data["list"], data["page_info"]["total_number"] = kept, len(kept)
            return body
        if sum(len(chunk.get("results", ())) for chunk in body) > len(hidden):
            for chunk in body:
                chunk["results"] = [
                    row
                    for row in chunk.get("results", ())
                    if f"{row['adGroup']['id']}~{row['adGroupAd']['ad']['id']}" not in hidden
                ]
        return body

    return change


def written(harness: Harness) -> list[dict[str, Any]]:
    """Every ad and every logged change, with the transaction that wrote it last."""
    return harness.query(
        "SELECT xmin::text, platform_ad_id AS id FROM ads UNION ALL"
        " SELECT xmin::text, id::text FROM ad_status_change_log ORDER BY 2"
    )


def test_a_list_without_many_that_live_is_refused_whole(
    many: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten of 24 living ads are missing: nothing is logged or merged, not even a true pause."""
    raised: list[Exception] = []
    step = entities.sync_entities

    def keeping(*arguments: Any) -> Any:
        try:
            return step(*arguments)
        except Exception as error:
            raised.append(error)
            raise

    monkeypatch.setattr(account_sync, "sync_entities", keeping)
    ads = live(many)
    assert len(ads) == ADS
    many.world.pause("ad", ads[-1])
    rule = many.simulator.simulator.faults.arm(
        "rewrite", path=LISTS[many.platform], count=None, change=leave_out(many, set(ads[:10]))
    )
    before = written(many)

    report = many.poll_entities()

    assert rule.fired > 0
    assert [type(error) for error in raised] == [IncompleteRead]
    assert report.error_family == "retryable"
    assert f"the list of ads of {many.account.key} left out at least" in str(report.error)
    assert written(many) == before

    many.simulator.simulator.faults.disarm(rule)
    assert many.sync().error is None
    # Logged once, although the platform's change history had told of it all the while.
    assert [row["final_sync_completed"] for row in many.log(ads[-1])] == [True]
    assert [many.log(ad) for ad in ads[:10]] == [[]] * 10
    assert many.differences(ids=set(ads)) == []


def test_a_list_without_a_few_that_live_is_a_race(many: Harness) -> None:
    """Three missing ones are looked up by id, found alive, and nothing of them is logged."""
    ads = live(many)
    many.world.pause("ad", ads[-1])
    rule = many.simulator.simulator.faults.arm(
        "rewrite", path=LISTS[many.platform], count=None, change=leave_out(many, set(ads[:3]))
    )

    report = many.poll_entities()

    assert rule.fired > 0
    assert report.error is None
    assert report.steps[Step.ADS].counts["vanished"] == 3
    assert many.log(ads[-1])[-1]["new_status"] == "PAUSED"
    assert [many.log(ad) for ad in ads[:3]] == [[]] * 3


# Many stops at once


@pytest.fixture
def large(database_url: str, tmp_path: Path) -> Iterator[Callable[[int], Harness]]:
    """One campaign with so many ads, paused and logged, its final syncs not begun."""
    opened: list[Harness] = []

    def open_(ads: int) -> Harness:
        size = {"campaigns": 1, "adsets": 2, "ads": ads, "history_days": 1, "stopped": False}
        harness = Harness(database_url, tmp_path, **size).__enter__()
        opened.append(harness)
        assert harness.sync().error is None
        # Long enough for every ad to have numbers that nobody has read.
        harness.advance(hours=30)
        harness.world.pause("campaign", live(harness, "campaign")[0])
        assert harness.poll_entities().error is None
        assert harness.pending() == ads + 3
        return harness

    yield open_
    for harness in opened:
        harness.__exit__(None, None, None)


def test_final_syncs_store_fifty_entities_a_transaction_and_the_parent_last(
    large: Callable[[int], Harness],
) -> None:
    """A paused campaign of 120 ads: short transactions, children before parents."""
    harness = large(120)
    before = {row["xmin"] for row in harness.query("SELECT xmin::text FROM ad_metrics")}

    report = harness.final_syncs()

    assert (report.error, report.pending_after) == (None, 0)
    stored = harness.query(
        "SELECT xmin::text, count(DISTINCT entity_id) AS entities FROM ad_metrics GROUP BY 1"
    )
    sizes = [row["entities"] for row in stored if row["xmin"] not in before]
    assert max(sizes) <= 50
    assert sum(sizes) >= 120
    marks = harness.query(
        "SELECT entity_type, min(xmin::text::bigint) AS first, max(xmin::text::bigint) AS last,"
        " array_agg(DISTINCT xmin::text) AS all FROM ad_status_change_log GROUP BY 1"
    )
    first = {row["entity_type"]: row["first"] for row in marks}
    last = {row["entity_type"]: row["last"] for row in marks}
    assert last["ad"] < first["adset"] <= last["adset"] < first["campaign"]
    # Whatever a transaction marks, it has stored: no transaction marks without storing.
    assert {xmin for row in marks for xmin in row["all"]} <= {row["xmin"] for row in stored}
    assert harness.differences(ids=set(ads_of(harness))) == []


def ads_of(harness: Harness) -> list[str]:
    return [entity.id for entity in harness.world.entities(harness.account_id, "ad")]


def test_a_mass_pause_ends_in_several_rounds(
    large: Callable[[int], Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More changes than one round claims: the oldest first, then the others, none twice."""
    harness = large(600)
    claims: list[list[Any]] = []
    claim = final_sync.changes.claim_pending

    def noting(*arguments: Any, **options: Any) -> list[Any]:
        claims.append(claim(*arguments, **options))
        return claims[-1]

    monkeypatch.setattr(final_sync.changes, "claim_pending", noting)

    report = harness.final_syncs()

    assert (report.error, report.pending_after, report.done) == (None, 0, 603)
    assert [len(claimed) for claimed in claims] == [500, 103, 0]
    order = [
        row["id"]
        for row in harness.query("SELECT id FROM ad_status_change_log ORDER BY change_seq")
    ]
    assert [change.log_id for claimed in claims for change in claimed] == order
    assert harness.differences(ids=set(ads_of(harness))) == []


@pytest.mark.parametrize(("bad", "done"), [(4, 8), (5, 0)])
def test_a_few_unusable_answers_stay_alone_and_many_end_the_round(
    database_url: str, tmp_path: Path, bad: int, done: int
) -> None:
    """Four ads without a usable report keep nobody waiting; at the fifth the platform is doubted.

    Nothing of the doubted round is lost: each change is pending with the reason, and is done
    when the answers are good again.
    """
    with Harness(database_url, tmp_path, ads=12, stopped=False, history_days=2) as harness:
        assert harness.sync().error is None
        harness.advance(hours=4)
        ads = sorted(live(harness))
        for ad in ads:
            harness.world.pause("ad", ad)
        assert harness.poll_entities().error is None
        path = f"^({'|'.join(ads[:bad])})/insights$"
        rule = harness.simulator.simulator.faults.arm(
            "drop_field", path=path, count=None, field="date_start"
        )

        report = harness.final_syncs()

        assert rule.fired > 0
        assert (report.done, report.pending_after) == (done, 12 - done)
        assert report.error_family == "retryable"
        waiting = [harness.log(ad)[-1]["final_sync_error"] for ad in ads[:bad]]
        assert all(waiting)
        harness.simulator.simulator.faults.disarm(rule)
        harness.advance(hours=1)
        assert harness.final_syncs().pending_after == 0
        assert harness.differences(ids=set(ads)) == []
