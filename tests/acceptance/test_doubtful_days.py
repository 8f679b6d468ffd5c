"""Days that do not add up: nothing is called explained, or final, that was not asked after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from harness import Harness

from adsync_dagster.platforms.facebook import RULES, FacebookAdapter
from adsync_dagster.records import Level, Platform
from adsync_dagster.sync import final_sync, reconciliation
from adsync_dagster.sync.environment import account_context
from adsync_dagster.warehouse import metrics

Rows = set[tuple[str, str]]


@pytest.fixture
def grown(database_url: str, tmp_path: Path) -> Iterator[Harness]:
    """An account with a history that is long settled, never synced so far."""
    with Harness(database_url, tmp_path, history_days=60) as harness:
        yield harness


@pytest.fixture
def small(database_url: str, tmp_path: Path) -> Iterator[Harness]:
    """Three ads in one ad set, all of them running, and a first sync some hours ago."""
    with Harness(
        database_url, tmp_path, campaigns=1, adsets=1, ads=3, stopped=False, history_days=5
    ) as harness:
        assert harness.sync().error is None
        harness.advance(hours=4)
        yield harness


def lose(harness: Harness, lost: Rows) -> int:
    """Let account-wide reports leave out these rows (ad, day), with HTTP 200."""

    def change(body: Any) -> Any:
        if isinstance(body, dict) and isinstance(body.get("data"), list):
            rows = [r for r in body["data"] if (r.get("ad_id"), r.get("date_start")) not in lost]
            return body | {"data": rows}
        return body

    return arm(harness, "rewrite", path="insights$", method="GET", change=change)


def arm(harness: Harness, name: str, **options: Any) -> int:
    """A fault that stays until it is disarmed."""
    return harness.simulator.simulator.faults.arm(name, count=None, **options)


def disarm(harness: Harness, rule: int) -> None:
    """The platform is well again."""
    harness.simulator.simulator.faults.disarm(rule)


def settled_days(harness: Harness) -> tuple[date, date, list[str]]:
    """Two neighbouring days that can be sealed, and ads with spend on both."""
    for back in range(50, 33, -1):
        days = [harness.today() - timedelta(days=back - n) for n in (0, 1)]
        ads = [
            one.id
            for one in harness.world.entities(harness.account_id, "ad")
            if one.effective != "DELETED"
            and all(harness.world.ledger.value("ad", one.id, day)["spend_micros"] for day in days)
        ]
        if len(ads) > 1:
            return days[0], days[1], ads
    raise AssertionError("no such world")


def running(harness: Harness) -> str:
    """An ad that delivers."""
    return next(
        one.id
        for one in harness.world.entities(harness.account_id, "ad")
        if one.effective == "ACTIVE"
    )


def day_states(harness: Harness, day: date) -> list[tuple[str, str | None]]:
    """State and class of a day, level by level."""
    rows = harness.query(
        "SELECT state, residual_class FROM ad_account_days WHERE date = %s ORDER BY level", day
    )
    return [(row["state"], row["residual_class"]) for row in rows]


def sync_for_days(harness: Harness, days: int) -> None:
    """A sync a day."""
    for _ in range(days):
        harness.advance(hours=25)
        assert harness.sync().error is None


def test_rows_missing_on_different_days_are_asked_for(grown: Harness) -> None:
    """An ad that has a row on one day of a range is silent on the other: it is asked, too."""
    first, second, ads = settled_days(grown)
    lose(grown, {(ads[0], first.isoformat()), (ads[1], second.isoformat())})
    assert grown.sync().error is None
    assert grown.differences(since=first, until=second) == []


def test_a_page_that_says_it_is_the_last_loses_nothing(grown: Harness) -> None:
    """One report without `paging.next` in its middle: what came after it is asked for by id."""
    grown.simulator.simulator.facebook.settings.insights_page_size_max = 12
    cut: list[str] = []

    def change(body: Any) -> Any:
        rows = body.get("data") if isinstance(body, dict) else None
        if rows and not cut and "ad_id" in rows[0] and "next" in body.get("paging", {}):
            cut.append(rows[0]["date_start"])
            return body | {"paging": {"cursors": body["paging"]["cursors"]}}
        return body

    arm(grown, "rewrite", path="insights$", method="GET", change=change)
    assert grown.sync().error is None
    assert cut
    sealed = grown.query("SELECT max(date) AS last FROM ad_account_days WHERE state = 'sealed'")
    first, last = date.fromisoformat(cut[0]), sealed[0]["last"]
    assert first < last
    assert grown.differences("ad", since=first, until=last) == []


def test_a_day_nobody_could_be_asked_about_stays_open(
    grown: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More silent ads than may be asked: no explanation, no seal; the next report brings it."""
    monkeypatch.setattr(reconciliation, "SILENT_IDS_MAX", 1)
    first, _, ads = settled_days(grown)
    rule = lose(grown, {(ads[0], first.isoformat())})
    assert grown.sync().error is None
    assert ("open", "unexplained") in day_states(grown, first)
    disarm(grown, rule)
    sync_for_days(grown, 1)
    assert grown.differences(since=first, until=first) == []
    assert set(day_states(grown, first)) == {("sealed", None)}


def test_too_many_silent_ads_are_narrowed_down_by_their_campaigns(
    grown: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the campaigns' own rows add up, only ads of a campaign that is apart are asked."""
    first, _, ads = settled_days(grown)
    monkeypatch.setattr(reconciliation, "SILENT_IDS_MAX", 0)
    lose(grown, {(ads[0], first.isoformat())})
    assert grown.sync().error is None
    assert ("open", "unexplained") in day_states(grown, first)
    per_campaign = grown.query("SELECT count(*) AS ads FROM ads GROUP BY campaign_id ORDER BY 1")
    largest = per_campaign[-1]["ads"]
    assert largest < sum(row["ads"] for row in per_campaign)
    monkeypatch.setattr(reconciliation, "SILENT_IDS_MAX", largest)
    sync_for_days(grown, 1)
    assert grown.differences(since=first, until=first) == []


def test_an_unseen_entity_is_believed_in_only_when_it_lasts(small: Harness) -> None:
    """An ad that came and went explains a rest; the day is sealed by a later sync, not at once."""
    small.simulator.simulator.facebook.settings.activities_retention_days = 0
    adset = next(iter(small.world.entities(small.account_id, "adset"))).id
    gone = small.world.create_ad(adset, "Flash")
    small.advance(hours=5)
    small.world.delete("ad", gone)
    day = small.today()
    small.advance(days=40)
    assert small.sync().error is None
    assert set(day_states(small, day)) == {("reconciled", "never_seen_entity")} | {
        state for state in day_states(small, day) if state[1] is None
    }
    sync_for_days(small, 1)
    assert ("sealed", "never_seen_entity") in day_states(small, day)


def test_an_unreachable_child_blocks_the_final_sync(small: Harness) -> None:
    """It has stored days, which the platform does not deny: it does not answer for the ad."""
    ad = running(small)
    small.world.pause("campaign", small.world.ancestors(small.world.entity("ad", ad))[0].id)
    arm(small, "error", path=f"^{ad}/insights", error="missing_object")
    small.sync()
    assert small.log(ad)[-1]["blocked_reason"] == "unreachable"


def test_a_known_ad_that_cannot_be_read_keeps_its_day_open(small: Harness) -> None:
    """Late money of a deleted ad that the token sees no more: hidden until it is seen again."""
    ad, day = running(small), small.today() - timedelta(days=1)
    small.world.delete("ad", ad)
    assert small.sync().error is None
    assert small.pending() == 0
    rule = arm(small, "error", path=f"^{ad}/insights", error="missing_object")
    small.advance(days=3)
    small.world.add_spend(ad, day, "25.00")
    small.advance(days=29)
    sync_for_days(small, 2)
    assert ("open", "deleted_hidden") in day_states(small, day)
    disarm(small, rule)
    sync_for_days(small, 2)
    assert small.differences(ids={ad}, since=day, until=day) == []
    assert set(day_states(small, day)) == {("sealed", None)}


def test_half_a_minute_of_emptiness_seals_nothing(small: Harness) -> None:
    """Two syncs within one hiccup of empty answers are one word, not two."""
    day = small.today() - timedelta(days=1)
    small.advance(days=29)
    assert small.sync().error is None
    small.advance(hours=20)
    rule = arm(small, "empty_first_page", path="insights$", method="GET", paging=True)
    small.sync()
    small.advance(seconds=30)
    small.sync()
    disarm(small, rule)
    sync_for_days(small, 1)
    assert small.differences(since=day, until=day) == []


def test_final_syncs_of_an_outage_beyond_retention_come_to_an_end(small: Harness) -> None:
    """Days that the platform reports no more are not asked for, so the rest can be done."""
    settings = small.simulator.simulator.facebook.settings
    settings.retention_months = 3
    short = FacebookAdapter(rules=replace(RULES, retention_days=80))
    small.environment._adapters[Platform.FACEBOOK] = short
    small.advance(days=130)
    assert small.sync().error is None
    small.advance(hours=2)
    small.world.pause("ad", running(small))
    assert small.sync().error is None
    assert small.pending() == 0


def test_a_first_seen_ad_leaves_the_sealed_days_of_others_alone(small: Harness) -> None:
    """Only what was never seen is read for the days that it may explain."""
    small.simulator.simulator.facebook.settings.activities_retention_days = 0
    adset = next(iter(small.world.entities(small.account_id, "adset"))).id
    flash = small.world.create_ad(adset, "Flash")
    small.advance(hours=5)
    small.world.delete("ad", flash)
    day = small.today() + timedelta(days=2)
    for days in (1, 40):
        small.advance(days=days)
        assert small.sync().error is None
    sync_for_days(small, 2)
    assert {state for state, _ in day_states(small, day)} == {"sealed"}
    ad = running(small)
    before = small.stored("ad")[(ad, day)]
    small.world.add_spend(ad, day, "25.00", restate=True)
    small.world.pause("ad", ad)
    small.world.pause("ad", small.world.create_ad(adset, "first seen paused"))
    small.advance(hours=1)
    assert small.sync().error is None
    assert small.pending() == 0
    assert small.stored("ad")[(ad, day)] == before


def test_a_final_sync_looks_at_the_stored_rows_of_its_own_entities(
    small: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it needs of the account's rows does not grow with the account."""
    ad = running(small)
    small.world.pause("ad", ad)
    small.poll_entities()
    asked: list[set[str]] = []
    real = metrics.absent_rows

    def watched(*arguments: Any) -> list[tuple[str, date]]:
        rows = real(*arguments)
        asked.append({platform_id for platform_id, _ in rows})
        return rows

    monkeypatch.setattr(metrics, "absent_rows", watched)
    assert small.final_syncs().done == 1
    assert asked
    assert set().union(*asked) <= {ad}


def test_one_entity_is_synced_however_much_is_pending(
    small: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A named entity does not wait behind the changes of others, and claims none of them."""
    monkeypatch.setattr(final_sync, "CHANGES_PER_ROUND", 1)
    for one in small.world.entities(small.account_id, "ad"):
        small.world.pause("ad", one.id)
    small.poll_entities()
    last = small.query(
        "SELECT platform_entity_id AS id FROM ad_status_change_log"
        " WHERE NOT final_sync_completed ORDER BY change_seq DESC LIMIT 1"
    )[0]["id"]
    with account_context(small.environment, small.account.key, lock_wait_seconds=0) as context:
        report = final_sync.process_final_sync_for_entity(context, Level.AD, last)
    assert report.done == 1
    claimed = small.query(
        "SELECT count(*) AS rows FROM ad_status_change_log WHERE claimed_at IS NOT NULL"
    )
    assert claimed == [{"rows": 0}]
