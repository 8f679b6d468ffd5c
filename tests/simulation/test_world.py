"""A world's statuses: switches, cascades, what the platform allows, and how worlds are built."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from adsync_dagster.clock import FileClock, SystemClock, VirtualClock
from adsync_dagster.errors import UsageError
from adsync_dagster.simulator.simulator import Simulator
from adsync_dagster.simulator.world import EntityView, World

START = datetime(2026, 3, 3, 15, 30, tzinfo=UTC)
ACCOUNT = "act_501"


@pytest.fixture
def world() -> World:
    world = World(seed=1, clock=VirtualClock(START))
    world.add_facebook_account(
        ACCOUNT, campaigns=2, adsets=4, ads=8, history_days=10, stopped=False
    )
    world.advance(hours=1)
    return world


def view(world: World, level: str, entity_id: str) -> EntityView:
    return next(entity for entity in world.entities(ACCOUNT, level) if entity.id == entity_id)


def effective(world: World, level: str, campaign_id: str) -> set[str]:
    return {
        entity.effective
        for entity in world.entities(ACCOUNT, level)
        if entity.campaign_id == campaign_id
    }


def test_a_paused_campaign_stops_its_children_and_leaves_their_switches(world: World) -> None:
    """Children keep their own ACTIVE and become CAMPAIGN_PAUSED; other campaigns do not move."""
    campaign, other = (entity.id for entity in world.entities(ACCOUNT, "campaign"))
    world.pause("campaign", campaign)
    for level in ("adset", "ad"):
        assert effective(world, level, campaign) == {"CAMPAIGN_PAUSED"}
        assert effective(world, level, other) == {"ACTIVE"}
    assert {entity.own for entity in world.entities(ACCOUNT, "ad")} == {"ACTIVE"}
    world.resume("campaign", campaign)
    assert effective(world, "ad", campaign) == {"ACTIVE"}


def test_every_effective_change_is_a_fact_of_the_ledger(world: World) -> None:
    """A campaign's pause records the campaign, its ad sets and its ads, at that instant."""
    campaign = world.entities(ACCOUNT, "campaign")[0].id
    before = len(world.transitions(ACCOUNT))
    world.pause("campaign", campaign)
    facts = world.transitions(ACCOUNT)[before:]
    children = sum(
        entity.campaign_id == campaign
        for level in ("adset", "ad")
        for entity in world.entities(ACCOUNT, level)
    )
    assert len(facts) == 1 + children
    assert {fact.time for fact in facts} == {world.clock.now()}
    assert Counter(fact.own for fact in facts) == {"PAUSED": 1, "ACTIVE": children}


def test_own_switch_counts_before_a_paused_parent(world: World) -> None:
    """A paused ad in a paused ad set in a paused campaign says PAUSED, then peels off."""
    ad = world.entities(ACCOUNT, "ad")[0]
    world.pause("ad", ad.id)
    world.pause("adset", str(ad.adset_id))
    world.pause("campaign", ad.campaign_id)
    assert view(world, "ad", ad.id).effective == "PAUSED"
    world.resume("ad", ad.id)
    assert view(world, "ad", ad.id).effective == "CAMPAIGN_PAUSED"
    world.resume("campaign", ad.campaign_id)
    assert view(world, "ad", ad.id).effective == "ADSET_PAUSED"
    world.resume("adset", str(ad.adset_id))
    assert view(world, "ad", ad.id).effective == "ACTIVE"


@pytest.mark.parametrize("status", ["ARCHIVED", "DELETED"])
def test_archiving_or_deleting_a_campaign_takes_everything_along(world: World, status: str) -> None:
    """Ad sets and ads become effectively archived or deleted, paused ones too."""
    ad = world.entities(ACCOUNT, "ad")[0]
    world.pause("ad", ad.id)
    world.set_status("campaign", ad.campaign_id, status)
    assert effective(world, "adset", ad.campaign_id) == {status}
    assert effective(world, "ad", ad.campaign_id) == {status}
    assert view(world, "ad", ad.id).own == "PAUSED"


def test_what_is_gone_cannot_come_back_except_by_a_platform_bug(world: World) -> None:
    """ARCHIVED may only be deleted, DELETED may only be renamed; resurrect breaks the rule."""
    ad = world.entities(ACCOUNT, "ad")[0].id
    world.archive("ad", ad)
    with pytest.raises(UsageError, match="ARCHIVED"):
        world.resume("ad", ad)
    world.delete("ad", ad)
    for status in ("ACTIVE", "PAUSED", "ARCHIVED"):
        with pytest.raises(UsageError, match="DELETED"):
            world.set_status("ad", ad, status)
    world.rename("ad", ad, "late name")
    assert view(world, "ad", ad).name == "late name"
    world.resurrect("ad", ad)
    assert view(world, "ad", ad).effective == "ACTIVE"


def test_reviews_and_account_states_stop_delivery_without_any_switch(world: World) -> None:
    """A disapproved ad and the ads of a disabled account deliver nothing, own ACTIVE or not."""
    first, second = (entity.id for entity in world.entities(ACCOUNT, "ad")[:2])
    world.set_hold("ad", first, "DISAPPROVED")
    assert view(world, "ad", first).effective == "DISAPPROVED"
    assert view(world, "ad", first).own == "ACTIVE"
    world.advance(days=1)
    tomorrow = world.today(ACCOUNT)
    world.advance(hours=20)
    assert world.ledger.value("ad", first, tomorrow)["impressions"] == 0
    assert world.ledger.value("ad", second, tomorrow)["impressions"] > 0
    world.set_account_status(ACCOUNT, 2)
    world.set_hold("ad", first, None)
    world.advance(days=2)
    yesterday = world.today(ACCOUNT) - 1
    assert world.ledger.account_total(ACCOUNT, yesterday)["impressions"] == 0
    world.set_account_status(ACCOUNT, 1)
    world.advance(days=2)
    assert world.ledger.value("ad", first, world.today(ACCOUNT) - 1)["impressions"] > 0


def test_a_budget_edit_does_not_move_a_campaigns_updated_time(world: World) -> None:
    """Meta documents it for campaigns; ad sets do move."""
    campaign = world.entities(ACCOUNT, "campaign")[0]
    adset = world.entities(ACCOUNT, "adset")[0]
    world.set_budget("campaign", campaign.id, 7_000)
    world.set_budget("adset", adset.id, 7_000)
    assert view(world, "campaign", campaign.id).updated_at == campaign.updated_at
    assert view(world, "adset", adset.id).updated_at == world.clock.now()
    with pytest.raises(UsageError, match="no budget"):
        world.set_budget("ad", world.entities(ACCOUNT, "ad")[0].id, 1)


def test_a_cascade_does_not_move_a_childs_updated_time(world: World) -> None:
    """A child that merely follows its parent looks untouched."""
    ad = world.entities(ACCOUNT, "ad")[0]
    world.pause("campaign", ad.campaign_id)
    assert view(world, "ad", ad.id).updated_at == ad.updated_at


def test_an_entity_is_remembered_as_it_was(world: World) -> None:
    """Earlier versions stay readable, which stale answers and judges need."""
    ad = world.entity("ad", world.entities(ACCOUNT, "ad")[0].id)
    before = world.now()
    world.advance(hours=1)
    world.pause("ad", ad.id)
    between = world.now()
    world.advance(hours=1)
    world.delete("ad", ad.id)
    versions = [ad.at(stamp) for stamp in (before, between, world.now())]
    assert [version.own for version in versions if version] == ["ACTIVE", "PAUSED", "DELETED"]
    assert ad.at(ad.created_at - 1) is None


def test_accounts_look_like_real_ones() -> None:
    """About a sixth of the objects is already stopped, in all ways, and delivered before."""
    world = World(seed=4, clock=VirtualClock(START))
    world.add_facebook_account(ACCOUNT)
    counts = {level: len(world.entities(ACCOUNT, level)) for level in ("campaign", "adset", "ad")}
    assert counts == {"campaign": 40, "adset": 150, "ad": 600}
    ads = world.entities(ACCOUNT, "ad")
    own = Counter(ad.own for ad in ads)
    assert set(own) == {"ACTIVE", "PAUSED", "ARCHIVED", "DELETED"}
    assert 0.7 < own["ACTIVE"] / 600 < 0.95
    today = world.today(ACCOUNT)
    days = range(today - 89, today + 1)
    stopped = [ad.id for ad in ads if ad.own != "ACTIVE"]
    delivered = [
        any(world.ledger.value("ad", ad, day)["impressions"] for day in days) for ad in stopped
    ]
    assert sum(delivered) > 0.8 * len(stopped) > 40


def test_the_same_seed_makes_the_same_world_and_another_a_different_one() -> None:
    """Worlds are reproducible to the micro, in every process."""

    def spend(seed: int) -> int:
        world = World(seed=seed, clock=VirtualClock(START))
        world.add_facebook_account(ACCOUNT, campaigns=2, adsets=4, ads=8, history_days=10)
        today = world.today(ACCOUNT)
        return world.ledger.sums(ACCOUNT, today - 9, today)["ad"]["spend_micros"]

    assert spend(21) == spend(21) == 539_750_000 != spend(22)


def test_the_order_of_questions_does_not_change_the_answers() -> None:
    """Asking for late days first, or twice, gives the same numbers as asking in order."""

    def build() -> World:
        world = World(seed=5, clock=VirtualClock(START))
        world.add_facebook_account(ACCOUNT, campaigns=2, adsets=4, ads=8, history_days=30)
        return world

    forward, backward = build(), build()
    today = forward.today(ACCOUNT)
    ids = [ad.id for ad in forward.entities(ACCOUNT, "ad")]
    pairs = [(ad, day) for ad in ids for day in range(today - 29, today + 1)]
    first = {pair: forward.ledger.value("ad", *pair) for pair in pairs}
    second = {pair: backward.ledger.value("ad", *pair) for pair in reversed(pairs)}
    assert first == second


def test_only_a_virtual_clock_moves(tmp_path: Path) -> None:
    """A file's clock moves for every process; the machine's own does not move at all."""
    clock = FileClock(tmp_path / "now")
    clock.set(START)
    World(clock=clock).advance(days=2)
    assert clock.now() == START + timedelta(days=2)
    with pytest.raises(UsageError, match="virtual"):
        World(clock=SystemClock()).advance(days=1)


def test_a_large_account_has_a_row_for_every_ad_and_day_and_takes_actions() -> None:
    """Bulk accounts hold ads x days rows, their sums agree, and explicit events still count."""
    world = World(seed=6, clock=VirtualClock(START))
    world.add_bulk_facebook_account("act_9", campaigns=3, adsets=5, ads=40, history_days=20)
    today = world.today("act_9")
    sums = world.ledger.sums("act_9", today - 20, today)
    assert sums["ad"]["rows"] == 800
    assert sums["ad"]["spend_micros"] == sums["adset"]["spend_micros"]
    assert sums["ad"]["spend_micros"] == sums["campaign"]["spend_micros"] > 0
    ad = world.entities("act_9", "ad")[0]
    world.advance(hours=1)
    world.add_spend(ad.id, today - 1, "5.00")
    world.delete("ad", ad.id)
    after = world.ledger.sums("act_9", today - 20, today)
    for level in ("campaign", "adset", "ad"):
        assert after[level]["spend_micros"] - sums[level]["spend_micros"] == 5_000_000
    events = world.ledger.metric_events("act_9", today)
    spent = sum(event.delta for event in events if event.metric == "spend_micros")
    assert spent == after["ad"]["spend_micros"]


def test_tiktok_and_google_keep_children_with_their_parents() -> None:
    """Only Meta moves entities, and what Google removed stays removed."""
    world = World(seed=2, clock=VirtualClock(START))
    for add in (world.add_tiktok_account, world.add_google_ads_account):
        account = add(campaigns=2, adsets=2, ads=2, history_days=3, stopped=False)
        ad, other = next(iter(account.entities["ad"])), list(account.entities["adset"])[1]
        with pytest.raises(UsageError, match="only Meta"):
            world.reparent("ad", ad, other)
    world.delete("ad", ad)
    with pytest.raises(UsageError, match="never comes back"):
        world.resurrect("ad", ad)


def test_days_move_as_long_as_the_accounts_conversion_windows() -> None:
    """The longest window decides; where a manager keeps it, Google's own longest one does."""
    world = World(seed=3, clock=VirtualClock(START))
    account = world.add_google_ads_account(campaigns=1, adsets=1, ads=1, history_days=3)
    ad, day = next(iter(account.entities["ad"])), world.today(account.id) - 1
    google_ads = Simulator(world).google_ads
    google_ads.track_conversions(account.id, 60, 30)
    world.advance(days=59)
    world.late_conversions(ad, day, 1, 5)
    world.advance(days=2)
    with pytest.raises(UsageError, match="settled"):
        world.late_conversions(ad, day, 1, 5)
    google_ads.track_conversions(account.id, 30, known=False)
    world.late_conversions(ad, day, 1, 5)
    with pytest.raises(UsageError, match="28 days"):
        google_ads.track_conversions(account.id, 7)


def test_reports_of_google_lag_and_lists_do_not() -> None:
    """An ad paused a minute ago is paused in every list, while its numbers are hours old."""
    world = World(seed=4, clock=VirtualClock(START))
    account = world.add_google_ads_account(campaigns=1, adsets=1, ads=1, history_days=3)
    simulator = Simulator(world)
    ad, today = next(iter(account.entities["ad"])), world.today(account.id)
    ask = "SELECT {} FROM ad_group_ad WHERE segments.date = '{}'"
    day = datetime.fromordinal(today).date().isoformat()

    def answer(query: str) -> list[dict[str, Any]]:
        headers = {"authorization": "Bearer sim_any", "content-type": "application/json"}
        path = f"/v26/customers/{account.id}/googleAds:search"
        body = orjson.dumps({"query": query})
        found = orjson.loads(simulator.handle("POST", path, {}, headers, body)[2])
        return list(found.get("results", []))

    simulator.google_ads.settings.report_lag_seconds = 8 * 3_600
    world.add_spend(ad, today, "5.00", impressions=9)
    shown = "segments.date, metrics.impressions"
    before = answer(ask.format(shown, day))
    world.pause("ad", ad)
    (listed,) = answer("SELECT ad_group_ad.status FROM ad_group_ad")
    assert listed["adGroupAd"]["status"] == "PAUSED"
    simulator.google_ads.settings.report_lag_seconds = 0
    assert answer(ask.format(shown, day)) != before
