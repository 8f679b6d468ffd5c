"""What two listings cannot see, the platform's own change history tells."""

from __future__ import annotations

import json
import logging
from collections.abc import Generator, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from harness import Harness

from adsync_dagster.assets.account_sync import ACCOUNT_ASSETS, WindowPlan, run_window
from adsync_dagster.errors import IncompleteRead
from adsync_dagster.platforms.facebook import FacebookAdapter
from adsync_dagster.records import Complete, Level
from adsync_dagster.sync import account_sync, change_history
from adsync_dagster.sync.reports import Step, StepReport

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


def sync_for_a_day(harness: Harness) -> None:
    """Four complete syncs, six hours apart."""
    for _ in range(4):
        harness.advance(hours=6)
        assert harness.sync().error is None


def stored_ads(harness: Harness) -> set[str]:
    return {row["platform_ad_id"] for row in harness.query("SELECT platform_ad_id FROM ads")}


def test_a_history_that_could_not_be_read_is_read_by_the_next_sync(synced: Harness) -> None:
    """A complete sync without the history does not move past what the history would have told."""
    ad = short_lived_ad(synced)
    synced.advance(hours=3)
    rule = synced.simulator.simulator.faults.arm(
        "error", path="activities$", count=None, error="service"
    )
    assert synced.sync().error is None
    assert ad not in stored_ads(synced)
    synced.simulator.simulator.faults.disarm(rule)

    sync_for_a_day(synced)

    assert ad in stored_ads(synced)
    assert synced.differences(ids={ad}) == []


def test_what_comes_and_goes_during_a_long_sync_is_found_by_the_next(
    synced: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The history is known up to its reading, not up to the end of the sync hours later."""
    made: list[str] = []
    read_metrics = account_sync.read_metrics

    def slow(*arguments: Any) -> StepReport:
        if not made:
            made.append(short_lived_ad(synced))
            synced.advance(hours=3)
        return read_metrics(*arguments)

    monkeypatch.setattr(account_sync, "read_metrics", slow)
    assert synced.sync().error is None
    assert made[0] not in stored_ads(synced)

    sync_for_a_day(synced)

    assert made[0] in stored_ads(synced)


@pytest.mark.parametrize("fails", [False, True], ids=["sync ends", "sync fails"])
def test_what_comes_and_goes_after_the_first_lists_is_found(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """The first lists show what there is; from their start on the history counts."""
    made: list[str] = []
    read_metrics = account_sync.read_metrics

    def slow(*arguments: Any) -> StepReport:
        if not made:
            made.append(short_lived_ad(arguments[0]))
            arguments[0].advance(hours=3)
            if fails:
                raise IncompleteRead("the first metrics fail")
        return read_metrics(*arguments[1:])

    with Harness(database_url, tmp_path) as harness:
        monkeypatch.setattr(account_sync, "read_metrics", lambda *rest: slow(harness, *rest))
        assert (harness.sync().error is not None) is fails
        sync_for_a_day(harness)

        assert made[0] in stored_ads(harness)


@pytest.mark.parametrize("apart", [0, 10], ids=["deleted at once", "deleted minutes apart"])
def test_more_than_the_lookups_of_one_sync_are_looked_up_by_the_next(
    synced: Harness, monkeypatch: pytest.MonkeyPatch, apart: int
) -> None:
    """What is left for the next sync is said, and found, however many syncs it takes."""
    monkeypatch.setattr(change_history, "LOOKUPS_MAX", 1)
    adset = next(
        entity.id
        for entity in synced.world.entities("act_501", "adset")
        if entity.effective == "ACTIVE"
    )
    ads = [synced.world.create_ad(adset, f"Flash sale {number}") for number in range(3)]
    synced.advance(hours=5)
    for ad in ads:
        synced.world.delete("ad", ad)
        synced.advance(minutes=apart)
    synced.advance(hours=3)

    report = synced.sync()

    assert report.steps[Step.ADS].counts["found"] == 1
    assert "names 2 more to look up" in report.steps[Step.ADS].note
    sync_for_a_day(synced)
    assert set(ads) <= stored_ads(synced)
    assert synced.sync().steps[Step.ADS].note == ""


def test_ids_nobody_can_read_do_not_stop_the_others(
    synced: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id that the platform does not know is asked for once; then others have their turn."""
    monkeypatch.setattr(change_history, "LOOKUPS_MAX", 1)
    gone, ad = short_lived_ad(synced), short_lived_ad(synced)
    synced.advance(hours=3)
    lookup = FacebookAdapter.lookup_entities

    def without(
        adapter: FacebookAdapter,
        account_id: str,
        level: Level,
        ids: Sequence[str],
        started_at: datetime,
    ) -> Generator[Any, Any, Complete]:
        if list(ids) != [gone]:
            return (yield from lookup(adapter, account_id, level, ids, started_at))
        missing = frozenset(ids)
        return Complete(
            read_started_at=started_at, row_count=0, request_count=0, missing_ids=missing
        )

    monkeypatch.setattr(FacebookAdapter, "lookup_entities", without)

    sync_for_a_day(synced)

    assert gone not in stored_ads(synced)
    assert ad in stored_ads(synced)


def test_an_account_synced_by_an_earlier_version_reads_on_from_its_last_sync(
    synced: Harness,
) -> None:
    """Without a mark of the history's own, the end of the last complete sync stands for it."""
    synced.query("UPDATE ad_accounts SET history_read_until = NULL")
    ad = short_lived_ad(synced)

    assert synced.sync().error is None

    assert ad in stored_ads(synced)


def test_switches_wait_for_a_list_that_is_whole(synced: Harness) -> None:
    """While a list fails the history is read again from where it was: no switch is passed over."""
    ad = next(
        entity.id
        for entity in synced.world.entities("act_501", "ad")
        if entity.effective == "ACTIVE"
    )
    synced.world.pause("ad", ad)
    synced.advance(hours=2)
    synced.world.resume("ad", ad)
    synced.advance(hours=3)
    rule = synced.simulator.simulator.faults.arm("body", path="/ads$", count=None, text="{}")
    report = synced.sync()
    assert report.steps[Step.ADS].failed
    assert report.steps[Step.ADS].counts["hints"] > 0
    synced.simulator.simulator.faults.disarm(rule)
    assert synced.log(ad) == []

    sync_for_a_day(synced)

    steps = [(row["old_status"], row["new_status"], row["source"]) for row in synced.log(ad)]
    assert steps == [
        ("ACTIVE", "PAUSED", "change_history"),
        ("PAUSED", "ACTIVE", "change_history"),
    ]
