"""The ledger against itself: what it says of an instant, by two ways and at two times."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest

from adsync_dagster.clock import VirtualClock
from adsync_dagster.errors import UsageError
from adsync_dagster.simulator.instants import DAY, Zone, instant_of
from adsync_dagster.simulator.metrics import COLUMNS
from adsync_dagster.simulator.plans import SETTLED_AFTER_DAYS, draw_profile, plan_day
from adsync_dagster.simulator.world import World

START = datetime(2026, 3, 3, 15, 30, tzinfo=UTC)
ACCOUNT = "act_501"


def build(seed: int, timezone: str = "America/New_York", **size: int) -> World:
    world = World(seed=seed, clock=VirtualClock(START))
    options = {"campaigns": 2, "adsets": 3, "ads": 6, "history_days": 12, **size}
    world.add_facebook_account(ACCOUNT, timezone=timezone, **options)  # type: ignore[arg-type]
    return world


def stir(world: World, random: Random) -> None:
    """One random action that the platform allows at this moment."""
    level = random.choice(["campaign", "adset", "ad", "ad"])
    entity = random.choice(world.entities(ACCOUNT, level))
    today = world.today(ACCOUNT)
    ads = [ad.id for ad in world.entities(ACCOUNT, "ad")]
    verb = random.randrange(8)
    if verb < 3:
        status = random.choice(["PAUSED", "ACTIVE", "ARCHIVED", "DELETED"])
        try:
            world.set_status(level, entity.id, status)
        except UsageError:
            world.rename(level, entity.id, "cannot change any more")
    elif verb == 3:
        world.late_conversions(random.choice(ads), today - random.randrange(5), 2, "19.98")
    elif verb == 4:
        world.refund(random.choice(ads), today - random.randrange(5), "0.4")
    elif verb == 5:
        world.add_spend(random.choice(ads), today, "3.21", impressions=100, clicks=3)
    elif verb == 6:
        adsets = [item.id for item in world.entities(ACCOUNT, "adset")]
        world.reparent("ad", random.choice(ads), random.choice(adsets))
    else:
        adset = random.choice(world.entities(ACCOUNT, "adset"))
        world.create_ad(adset.id, "one more")


@pytest.mark.parametrize("seed", range(6))
def test_values_are_prefix_sums_of_the_events(seed: int) -> None:
    """For any instant, an ad's numbers are the sum of the single facts dated up to it."""
    random = Random(seed)  # noqa: S311 - seeded on purpose
    zones = ["America/New_York", "Europe/Berlin", "Asia/Tokyo", "Pacific/Auckland", "Etc/GMT+8"]
    world = build(seed, random.choice(zones))
    for _ in range(12):
        world.advance(hours=random.uniform(0.2, 30))
        stir(world, random)
    today = world.today(ACCOUNT)
    events = list(world.ledger.metric_events(ACCOUNT, today + 30))
    moments = [START + timedelta(hours=random.uniform(-200, 900)) for _ in range(8)]
    for moment in moments:
        stamp = world.ledger.stamp(moment)
        sums: Counter[tuple[str, int, str]] = Counter()
        for event in events:
            if event.at <= stamp:
                sums[(event.ad_id, event.day, event.metric)] += event.delta
        for ad in world.entities(ACCOUNT, "ad"):
            for day in range(today - 40, today + 30):
                value = world.ledger.value("ad", ad.id, day, moment)
                expected = {name: sums[(ad.id, day, name)] for name in COLUMNS}
                assert {name: value[name] for name in COLUMNS} == expected


@pytest.mark.parametrize("seed", range(6))
def test_the_past_never_changes(seed: int) -> None:
    """What was true at an instant stays what the ledger says of that instant."""
    random = Random(100 + seed)  # noqa: S311 - seeded on purpose
    world = build(seed)
    remembered = []
    for _ in range(15):
        world.advance(hours=random.uniform(0.2, 40))
        if random.random() < 0.7:
            stir(world, random)
            # An action and an observation never share an instant.
            world.advance(seconds=1)
        now, today = world.clock.now(), world.today(ACCOUNT)
        for level in ("campaign", "adset", "ad"):
            for entity in world.entities(ACCOUNT, level):
                for day in range(today - 4, today + 1):
                    value = world.ledger.value(level, entity.id, day)
                    remembered.append((level, entity.id, day, now, value))
        remembered.append(
            ("account", ACCOUNT, today, now, world.ledger.account_total(ACCOUNT, today))
        )
    for level, entity_id, day, now, value in remembered:
        assert world.ledger.value(level, entity_id, day, now) == value


def test_parents_are_the_sums_of_all_their_ads_even_deleted_ones() -> None:
    """Campaigns, ad sets and the account hold everything; reach is less than its parts' sum."""
    world = build(3, ads=12)
    ads = [ad.id for ad in world.entities(ACCOUNT, "ad")]
    for ad in ads[:4]:
        world.delete("ad", ad)
    world.advance(days=3)
    today = world.today(ACCOUNT)
    overlapping = 0
    for day in range(today - 20, today + 1):
        by_level = {
            level: [
                world.ledger.value(level, entity.id, day)
                for entity in world.entities(ACCOUNT, level)
            ]
            for level in ("campaign", "adset", "ad")
        }
        account = world.ledger.account_total(ACCOUNT, day)
        for name in COLUMNS:
            for values in by_level.values():
                assert sum(value[name] for value in values) == account[name]
        reach = sum(value["reach"] for value in by_level["ad"])
        assert account["reach"] <= reach
        overlapping += account["reach"] < reach
    assert overlapping > 5


def test_delivery_ends_with_the_stop_and_conversions_still_arrive() -> None:
    """A paused ad spends nothing more, and its purchases keep coming, dated after the pause."""
    world = build(5, ads=40, adsets=4)
    world.advance(hours=4)
    stopped_at, today = world.clock.now(), world.today(ACCOUNT)
    ads = [ad.id for ad in world.entities(ACCOUNT, "ad") if ad.effective == "ACTIVE"]
    before = {ad: world.ledger.value("ad", ad, today) for ad in ads}
    for ad in ads:
        world.pause("ad", ad)
    world.advance(days=35)
    later_days = range(today + 1, today + 30)
    after = {ad: world.ledger.value("ad", ad, today) for ad in ads}
    dated_later = [world.ledger.value("ad", ad, day) for ad in ads for day in later_days]
    credited = sum(before[ad]["spend_micros"] - after[ad]["spend_micros"] for ad in ads)
    assert credited >= 0
    assert all(after[ad]["spend_micros"] <= before[ad]["spend_micros"] for ad in ads)
    assert sum(value["spend_micros"] for value in dated_later) == 0
    assert sum(value["conversions"] for value in dated_later) > 0
    late = sum(after[ad]["conversions"] - before[ad]["conversions"] for ad in ads)
    assert late > 0
    assert world.ledger.value("ad", ads[0], today, stopped_at) == before[ads[0]]


def test_an_ad_stopped_before_its_first_pulse_never_shows_anything() -> None:
    """Clicks that a stop prevented bring no purchases later, on no day."""
    world = build(15)
    world.move_clock(datetime(2026, 3, 4, 5, 0, 1, tzinfo=UTC))
    adset = world.create_adset(world.create_campaign(ACCOUNT, "New"), "New")
    ads = [world.create_ad(adset, f"Stillborn {number}") for number in range(60)]
    today = world.today(ACCOUNT)
    world.advance(seconds=20)
    for ad in ads:
        world.pause("ad", ad)
    world.advance(days=60)
    days = range(today, today + 40)
    assert not any(sum(world.ledger.value("ad", ad, day).values()) for ad in ads for day in days)


def test_a_resumed_ad_delivers_again_the_same_day() -> None:
    """Asking while it is paused does not freeze the day for later."""
    world = build(17)
    world.move_clock(datetime(2026, 3, 4, 5, 0, 1, tzinfo=UTC))
    adset = world.create_adset(world.create_campaign(ACCOUNT, "New"), "New")
    ad = world.create_ad(adset, "Flapping")
    today = world.today(ACCOUNT)
    world.pause("ad", ad)
    assert world.ledger.value("ad", ad, today)["impressions"] == 0
    world.resume("ad", ad)
    world.advance(hours=23)
    assert world.ledger.value("ad", ad, today)["impressions"] > 0


def test_nothing_moves_once_a_day_has_settled() -> None:
    """28 days after its end a day is frozen, and an action that would move it is refused."""
    world = build(7, ads=200, adsets=4, history_days=20)
    today = world.today(ACCOUNT)
    zone = world.account(ACCOUNT).zone
    ids = [ad.id for ad in world.entities(ACCOUNT, "ad")]
    for day in range(today - 19, today + 1):
        settled = instant_of(zone.end(day)) + timedelta(days=28)
        much_later = settled + timedelta(days=400)
        for ad in ids:
            value = world.ledger.value("ad", ad, day, settled)
            assert value == world.ledger.value("ad", ad, day, much_later)
    world.advance(days=60)
    with pytest.raises(UsageError, match="settled"):
        world.refund(ids[0], today, 1)
    world.refund(ids[0], today, 1, restate=True)
    assert world.ledger.value("ad", ids[0], today)["spend_micros"] == 0


def test_every_plan_ends_before_its_days_settle() -> None:
    """No conversion or credit of any plan arrives once the day it is dated has settled."""
    zone = Zone("America/New_York")
    late = 0
    for seed in range(400):
        random = Random(seed)  # noqa: S311 - seeded on purpose
        profile = draw_profile(random, seed=seed, unit_micros=10_000)
        day = datetime(2026, 2, 20, tzinfo=UTC).toordinal() + seed % 20
        plan = plan_day(profile, day, zone)
        assert plan.correction_at < zone.end(day) + SETTLED_AFTER_DAYS * DAY
        for conversion in plan.conversions:
            settled = zone.end(conversion.day) + SETTLED_AFTER_DAYS * DAY
            assert conversion.click_at <= conversion.arrives_at < settled
            late += conversion.arrives_at > settled - 3 * DAY
    assert late > 0


def test_a_full_refund_leaves_nothing() -> None:
    """Taking everything back makes the day's row disappear."""
    world = build(9)
    ad = next(a.id for a in world.entities(ACCOUNT, "ad") if a.effective == "ACTIVE")
    day = world.today(ACCOUNT) - 3
    assert world.ledger.value("ad", ad, day)["impressions"] > 0
    world.refund(ad, day, 1)
    assert set(world.ledger.value("ad", ad, day).values()) == {0}


def test_amounts_are_whole_minor_units() -> None:
    """Spend and values are whole cents (whole yen), so that the wire can show them exactly."""
    for currency, unit in (("USD", 10_000), ("JPY", 1_000_000)):
        world = World(seed=2, clock=VirtualClock(START))
        world.add_facebook_account(ACCOUNT, currency=currency, campaigns=2, adsets=3, ads=9)
        today = world.today(ACCOUNT)
        rows = list(world.ledger.rows(ACCOUNT, "ad", today - 89, today))
        assert len(rows) > 300
        for _, _, totals in rows:
            value = totals.as_dict()
            assert value["spend_micros"] % unit == 0
            assert value["conversion_value_micros"] % unit == 0


def test_an_action_changes_exactly_its_amount() -> None:
    """Added spend and conversions appear to the cent on the ad, its parents and the account."""
    world = build(11)
    ad = world.entities(ACCOUNT, "ad")[0]
    day = world.today(ACCOUNT)
    chain = (
        ("ad", ad.id),
        ("adset", ad.adset_id),
        ("campaign", ad.campaign_id),
        ("account", ACCOUNT),
    )
    before = [world.ledger.value(level, str(key), day) for level, key in chain]
    world.add_spend(ad.id, day, Decimal("12.34"), impressions=10)
    world.late_conversions(ad.id, day, 3, "59.97", window="1d_view")
    for (level, key), old in zip(chain, before, strict=True):
        new = world.ledger.value(level, str(key), day)
        assert new["spend_micros"] - old["spend_micros"] == 12_340_000
        assert new["impressions"] - old["impressions"] == 10
        assert new["conversions"] - old["conversions"] == 3
        assert new["conversions_1d_view"] - old["conversions_1d_view"] == 3
        assert new["conversion_value_micros"] - old["conversion_value_micros"] == 59_970_000


def test_a_moved_ad_counts_for_its_new_parents_from_the_next_day() -> None:
    """Reparenting leaves every day that has begun with the old parents."""
    world = build(13, campaigns=2, adsets=2, ads=2)
    first, second = (adset.id for adset in world.entities(ACCOUNT, "adset"))
    ad = next(a.id for a in world.entities(ACCOUNT, "ad") if a.adset_id == first)
    today = world.today(ACCOUNT)
    world.reparent("ad", ad, second)
    world.advance(days=2)
    for day in (today - 1, today):
        assert world.ledger.value("adset", first, day)["impressions"] > 0
    moved = world.ledger.value("ad", ad, today + 1)["impressions"]
    assert moved > 0
    assert world.ledger.value("adset", first, today + 1)["impressions"] == 0
    assert world.ledger.value("adset", second, today + 1)["impressions"] >= moved
