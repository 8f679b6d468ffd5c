"""Whole syncs of a Google Ads account: real HTTP, real Postgres, and the ledger as the judge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from harness import GOOGLE_CREDENTIAL, TOKEN, Harness

from adsync_dagster.platforms.protocol import Credential
from adsync_dagster.records import AccountInfo, Platform
from adsync_dagster.simulator.google_ads_auth import RefreshToken
from adsync_dagster.sync.connecting import connect_account

LEVELS = ("campaign", "adset", "ad")


@pytest.fixture
def harness(database_url: str, tmp_path: Path) -> Iterator[Harness]:
    """A small account whose first campaign is a Performance Max one, far from UTC."""
    with Harness(
        database_url,
        tmp_path,
        platform=Platform.GOOGLE_ADS,
        timezone="Pacific/Auckland",
        performance_max=1,
    ) as harness:
        harness.simulator.simulator.google_ads.settings.stream_chunk_rows = 50
        yield harness


@pytest.fixture
def synced(harness: Harness) -> Harness:
    """A harness after its first complete sync, some hours later."""
    assert harness.sync().error is None
    harness.advance(hours=4)
    return harness


def performance_max(harness: Harness) -> str:
    """The campaign that has no ad rows."""
    campaigns = harness.world.account(harness.account_id).entities["campaign"].values()
    return next(one.id for one in campaigns if one.traits.get("channel_type"))


def shown(harness: Harness, level: str) -> set[str]:
    """The entities that Google shows."""
    hidden = performance_max(harness)
    return {
        entity.id
        for entity in harness.world.entities(harness.account_id, level)
        if level == "campaign" or entity.campaign_id != hidden
    }


def live(harness: Harness, level: str = "ad") -> list[str]:
    """Entities that deliver and are shown."""
    known = shown(harness, level)
    return [
        entity.id
        for entity in harness.world.entities(harness.account_id, level)
        if entity.effective == "ACTIVE" and entity.id in known
    ]


def assert_true(harness: Harness, **options: object) -> None:
    """Every level holds what the ledger holds of all that Google shows."""
    for level in LEVELS:
        ids = shown(harness, level)
        assert harness.differences(level, ids=ids, **options) == []  # type: ignore[arg-type]


def classes(harness: Harness) -> set[tuple[str, str, str | None]]:
    """Level, state and explanation of the account's days."""
    rows = harness.query("SELECT DISTINCT level, state, residual_class FROM ad_account_days")
    return {(row["level"], row["state"], row["residual_class"]) for row in rows}


def test_a_first_sync_stores_the_removed_too(harness: Harness) -> None:
    """Everything that ever was is stored with its statuses and all its days."""
    ad, other = live(harness)[:2]
    harness.world.delete("ad", ad)
    harness.world.delete("adset", str(harness.world.entity("ad", other).now.parent_id))

    report = harness.sync()

    assert (report.error, report.pending) == (None, 0)
    assert_true(harness)
    stored = harness.query("SELECT platform_ad_id, status, effective_status FROM ads")
    known = shown(harness, "ad")
    assert {row["platform_ad_id"]: (row["status"], row["effective_status"]) for row in stored} == {
        entity.id: (entity.own, entity.effective)
        for entity in harness.world.entities(harness.account_id, "ad")
        if entity.id in known
    }


def test_what_has_no_ad_rows_is_explained_and_costs_no_questions(harness: Harness) -> None:
    """Campaigns hold everything; ad groups and ads lack what Performance Max keeps to itself."""
    harness.sync()

    assert ("campaign", "reconciled", None) in classes(harness)
    days = {level for level, _, name in classes(harness) if name == "no_ad_rows"}
    assert days == {"adset", "ad"}
    assert {state for _, state, _ in classes(harness)} == {"reconciled"}
    campaign = performance_max(harness)
    (row,) = harness.query(
        "SELECT -sum(residual_spend) + (SELECT sum(spend) FROM ad_metrics m JOIN ad_campaigns c"
        " ON c.id = m.entity_id WHERE c.platform_campaign_id = %s) AS rest"
        " FROM ad_account_days WHERE level = 'ad'",
        campaign,
    )
    assert row["rest"] == Decimal(0)
    by_id = [hit for hit in harness.simulator.simulator.requests if "searchStream" in hit.path]
    assert len(by_id) <= 12


STOPS: dict[str, Callable[[Harness, str], None]] = {
    "pause": lambda harness, ad: harness.world.pause("ad", ad),
    "remove": lambda harness, ad: harness.world.delete("ad", ad),
    "disapprove": lambda harness, ad: harness.world.set_hold("ad", ad, "DISAPPROVED"),
    "low_activity": lambda harness, ad: (
        harness.simulator.simulator.google_ads.pause_for_low_activity(parents(harness, ad)[1])
    ),
    "remove_ad_group": lambda harness, ad: harness.world.delete("adset", parents(harness, ad)[1]),
    "pause_campaign": lambda harness, ad: harness.world.pause("campaign", parents(harness, ad)[0]),
    "remove_campaign": lambda harness, ad: harness.world.delete(
        "campaign", parents(harness, ad)[0]
    ),
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
    assert synced.log(ad)[-1]["final_sync_completed"] is True
    assert synced.pending() == 0
    assert_true(synced, since=synced.today() - timedelta(days=2))


def test_a_stopped_performance_max_campaign_is_read_to_its_end(synced: Harness) -> None:
    """It has numbers without ads, and they get their final sync like others."""
    campaign = performance_max(synced)
    synced.world.pause("campaign", campaign)

    assert synced.sync().error is None

    assert synced.log(campaign)[-1]["final_sync_completed"] is True
    assert synced.differences("campaign", ids={campaign}) == []


def test_broken_streams_never_complete_a_final_sync(synced: Harness) -> None:
    """The change stays pending with the error; the next attempt completes it."""
    ad = live(synced)[0]
    synced.world.delete("ad", ad)
    synced.poll_entities()
    faults = synced.simulator.simulator.faults
    faults.arm("cut_json", path="by day$", count=None)

    assert synced.final_syncs().done == 0

    assert synced.log(ad)[-1]["final_sync_completed"] is False
    faults.disarm()
    synced.advance(hours=1)
    assert synced.final_syncs().done >= 1
    assert synced.differences(ids={ad}) == []


def test_a_revoked_refresh_token_blocks_and_nothing_is_lost(synced: Harness) -> None:
    """The changes wait for a person, with the reason, and are caught up after."""
    ad = live(synced)[0]
    synced.world.delete("ad", ad)
    synced.poll_entities()
    token = synced.simulator.simulator.google_ads.tokens.add(RefreshToken(value=TOKEN))
    token.revoked = True
    synced.advance(hours=2)

    report = synced.sync()

    assert (report.error_family, report.blocked) == ("blocked", report.pending)
    assert TOKEN not in str(report.error)
    assert synced.log(ad)[-1]["blocked_reason"] == "credential"
    token.revoked = False
    synced.advance(days=1)
    assert synced.sync().error is None
    assert synced.pending() == 0
    assert_true(synced)


def test_a_switch_between_two_polls_is_known_from_the_history(synced: Harness) -> None:
    """An ad paused and resumed within the hour is in no list, but in change_event."""
    ad = live(synced)[0]
    synced.world.pause("ad", ad)
    synced.advance(minutes=20)
    synced.world.resume("ad", ad)
    synced.advance(minutes=20)

    assert synced.sync().error is None

    told = [(row["old_status"], row["new_status"], row["source"]) for row in synced.log(ad)]
    assert ("ACTIVE", "PAUSED", "change_history") in told


def test_days_are_sealed_when_the_longest_window_is_over(synced: Harness) -> None:
    """The account's own windows decide: 45 days and 3 more, not 90, and nothing moves after."""
    synced.simulator.simulator.google_ads.setup(synced.account_id).conversion_windows = (7, 45)
    first = synced.query("SELECT min(date) AS day FROM ad_account_days")[0]["day"]
    synced.advance(days=27)
    assert synced.settle().error is None
    assert "sealed" not in {state for _, state, _ in classes(synced)}
    ad = live(synced)[0]
    # After the platform-independent 28 days of the world, Google still counts a late purchase.
    synced.world.late_conversions(ad, synced.today() - timedelta(days=30), 1, 20, restate=True)
    synced.advance(days=30)

    assert synced.settle().error is None

    sealed = synced.query("SELECT DISTINCT date FROM ad_account_days WHERE state = 'sealed'")
    assert first in {row["date"] for row in sealed}
    newest = max(row["date"] for row in sealed)
    assert newest <= synced.today() - timedelta(days=48)
    # The view says the same in advance: by the account's window, not the platform's longest.
    (row,) = synced.query(
        "SELECT bool_and((state = 'sealed') = (sealable_from <= %s)) AS right,"
        " max(sealable_from - (date + 1)::timestamp AT TIME ZONE timezone) AS after"
        " FROM v_account_completeness",
        synced.clock.now(),
    )
    assert row == {"right": True, "after": timedelta(days=48)}
    assert_true(synced, since=first)


def test_shared_credit_adds_up_to_the_totals(harness: Harness) -> None:
    """Thirds of conversions reconcile to the millionth."""
    harness.simulator.simulator.google_ads.settings.conversion_credit_micros = 333_333

    assert harness.sync().error is None

    assert {name for _, _, name in classes(harness)} == {None, "no_ad_rows"}
    (row,) = harness.query(
        "SELECT sum(conversions) AS found FROM ad_metrics WHERE entity_type = 'campaign'"
    )
    whole = sum(
        harness.world.ledger.account_total(harness.account_id, day)["conversions"]
        for day in (harness.today() - timedelta(days=back) for back in range(20))
    )
    assert row["found"] == whole * Decimal("0.333333")


def test_credit_without_an_end_adds_up_although_every_row_is_rounded(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two thirds have no last decimal: rows and totals are rounded one by one."""
    settings = harness.simulator.simulator.google_ads.settings
    monkeypatch.setattr(settings, "conversion_credit_micros", 2_000_000 / 3)

    assert harness.sync().error is None

    assert {name for _, _, name in classes(harness)} == {None, "no_ad_rows"}
    parts = harness.query(
        "SELECT date, sum(conversions) AS found FROM ad_metrics WHERE entity_type = 'campaign'"
        " GROUP BY date"
    )
    totals = {
        row["date"]: row["total_conversions"]
        for row in harness.query("SELECT date, total_conversions FROM ad_account_days")
    }
    assert any(row["found"] != totals[row["date"]] for row in parts)


def test_a_client_is_synced_through_its_manager(synced: Harness) -> None:
    """What discovery found out about the way in is stored with the account's credential."""
    wire = synced.simulator.simulator.google_ads
    wire.add_manager("8000000001", (synced.account_id,))
    wire.tokens.add(RefreshToken(value=TOKEN, customers=frozenset({"8000000001"})))
    wire.tokens.given.clear()
    assert synced.sync().error_family == "blocked"

    client = synced.environment.client(synced.account)
    found = client.rows(client.adapter.read_accounts(synced.clock.now()))[0]
    client.close()
    (info,) = [record for record in found if isinstance(record, AccountInfo)]
    connect_account(
        synced.environment, Platform.GOOGLE_ADS, info, Credential(dict(GOOGLE_CREDENTIAL))
    )

    assert synced.sync().error is None
    assert_true(synced)
