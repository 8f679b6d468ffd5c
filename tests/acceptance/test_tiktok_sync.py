"""Whole syncs of a TikTok account: real HTTP, real Postgres, and the ledger as the judge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from harness import Harness

from adsync_dagster.records import Platform

LEVELS = ("campaign", "adset", "ad")


@pytest.fixture
def harness(database_url: str, tmp_path: Path) -> Iterator[Harness]:
    """A small account in the zone that is easily read 16 hours wrong."""
    with Harness(database_url, tmp_path, platform=Platform.TIKTOK, timezone="Etc/GMT+8") as harness:
        yield harness


@pytest.fixture
def synced(harness: Harness) -> Harness:
    """A harness after its first complete sync, some hours later."""
    assert harness.sync().error is None
    harness.advance(hours=4)
    return harness


def live(harness: Harness, level: str = "ad") -> list[str]:
    """Entities that deliver."""
    return [
        entity.id
        for entity in harness.world.entities(harness.account_id, level)
        if entity.effective == "ACTIVE"
    ]


def assert_true(harness: Harness, **options: object) -> None:
    """Every level holds what the ledger holds."""
    for level in LEVELS:
        assert harness.differences(level, **options) == []  # type: ignore[arg-type]


def test_a_first_sync_stores_the_deleted_too(harness: Harness) -> None:
    """Everything that ever was is stored with its statuses and all its days."""
    ad, other = live(harness)[:2]
    harness.world.delete("ad", ad)
    harness.world.delete("adset", str(harness.world.entity("ad", other).now.parent_id))

    report = harness.sync()

    assert (report.error, report.pending) == (None, 0)
    assert_true(harness)
    stored = harness.query("SELECT platform_ad_id, status, effective_status FROM ads")
    truth = {
        entity.id: (entity.own, entity.effective)
        for entity in harness.world.entities(harness.account_id, "ad")
    }
    shown = {row["platform_ad_id"]: (row["status"], row["effective_status"]) for row in stored}
    assert shown == truth
    assert {state["state"] for state in harness.query("SELECT state FROM ad_account_days")} == {
        "reconciled"
    }


STOPS: dict[str, Callable[[Harness, str], None]] = {
    "pause": lambda harness, ad: harness.world.pause("ad", ad),
    "freeze": lambda harness, ad: harness.world.archive("ad", ad),
    "delete": lambda harness, ad: harness.world.delete("ad", ad),
    "disapprove": lambda harness, ad: harness.world.set_hold("ad", ad, "DISAPPROVED"),
    "delete_adset": lambda harness, ad: harness.world.delete("adset", parents(harness, ad)[1]),
    "pause_campaign": lambda harness, ad: harness.world.pause("campaign", parents(harness, ad)[0]),
}


def parents(harness: Harness, ad: str) -> list[str]:
    """The ids of the ad's campaign and ad group."""
    return [one.id for one in harness.world.ancestors(harness.world.entity("ad", ad))]


@pytest.mark.parametrize("how", STOPS)
def test_every_kind_of_stop_gets_its_final_sync(synced: Harness, how: str) -> None:
    """Whatever ends an ad, its last hours are stored and the change is marked done."""
    ad = live(synced)[0]
    STOPS[how](synced, ad)

    report = synced.sync()

    assert report.error is None
    row = synced.log(ad)[-1]
    assert row["final_sync_completed"] is True
    assert synced.pending() == 0
    assert synced.differences(ids={ad}) == []
    assert_true(synced, since=synced.today() - timedelta(days=2))


def test_an_error_that_is_http_200_never_completes_a_final_sync(synced: Harness) -> None:
    """The change stays pending with the error; the next attempt completes it."""
    ad = live(synced)[0]
    synced.world.delete("ad", ad)
    synced.poll_entities()
    faults = synced.simulator.simulator.faults
    faults.arm("tiktok_error", path="report/", count=None, code=51000)

    assert synced.final_syncs().done == 0

    assert synced.log(ad)[-1]["final_sync_completed"] is False
    faults.disarm()
    synced.advance(hours=1)
    assert synced.final_syncs().done >= 1
    assert synced.differences(ids={ad}) == []


def test_a_revoked_token_blocks_and_nothing_is_lost(synced: Harness) -> None:
    """40105 comes as HTTP 200; the changes wait for a person and are caught up after."""
    ad = live(synced)[0]
    synced.world.delete("ad", ad)
    synced.poll_entities()
    faults = synced.simulator.simulator.faults
    faults.arm("tiktok_error", count=None, code=40105)

    report = synced.sync()

    assert (report.error_family, report.blocked) == ("blocked", report.pending)
    faults.disarm()
    synced.advance(days=1)
    assert synced.sync().error is None
    assert synced.pending() == 0
    assert_true(synced)


def test_an_account_too_large_for_one_report_is_stored_whole(harness: Harness) -> None:
    """The truncation is noticed by its header, and the account is read in parts."""
    harness.simulator.simulator.tiktok.settings.ads_considered_max = 8
    ad = live(harness)[0]
    harness.world.delete("ad", ad)

    assert harness.sync().error is None

    assert_true(harness)


def test_a_purged_ad_keeps_its_numbers(synced: Harness) -> None:
    """An ad that TikTok shows no more stays, and the account's total agrees with it."""
    ad = live(synced)[0]
    synced.world.delete("ad", ad)
    assert synced.sync().error is None
    before = {key: row for key, row in synced.stored("ad").items() if key[0] == ad}
    synced.advance(days=2)
    synced.simulator.simulator.tiktok.settings.purged = frozenset({ad})

    synced.sync()

    assert before
    assert {key: row for key, row in synced.stored("ad").items() if key[0] == ad} == before
    (row,) = synced.query("SELECT status FROM ads WHERE platform_ad_id = %s", ad)
    assert row["status"] == "DELETED"


def test_what_was_purged_before_anyone_looked_is_a_named_residual(harness: Harness) -> None:
    """The account's total tells of it; it is neither silently zero nor spread over others."""
    ad = live(harness)[0]
    harness.simulator.simulator.tiktok.settings.purged = frozenset({ad})

    assert harness.sync().error is None

    classes = harness.query(
        "SELECT DISTINCT residual_class FROM ad_account_days"
        " WHERE level = 'ad' AND residual_spend <> 0"
    )
    assert classes == [{"residual_class": "never_seen_entity"}]
    others = {one.id for one in harness.world.entities(harness.account_id, "ad")} - {ad}
    assert harness.differences(ids=others) == []


def test_days_are_sealed_once_tiktok_revises_them_no_more(synced: Harness) -> None:
    """After window and margin the late conversions are in, and the days are closed; not before."""
    first = synced.today()
    synced.advance(days=31)

    assert synced.settle().error is None

    states = synced.query("SELECT DISTINCT state FROM ad_account_days WHERE date = %s", first)
    assert states == [{"state": "sealed"}]
    assert_true(synced, since=first, until=first)
    rules = synced.environment.adapter(synced.platform).rules
    last = synced.query("SELECT max(date) AS day FROM ad_account_days WHERE state = 'sealed'")
    ago = (synced.today() - last[0]["day"]).days
    assert ago == 1 + rules.window_days + rules.margin_days
