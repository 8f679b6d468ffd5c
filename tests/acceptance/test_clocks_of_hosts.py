"""Hosts whose clocks differ take turns at an account: done means stored, on any of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from harness import Harness, SkewedClock

from adsync_dagster.clock import Clock, VirtualClock
from adsync_dagster.sync.account_sync import sync_account

SMALL = {"campaigns": 1, "adsets": 1, "ads": 3, "stopped": False}


@pytest.fixture
def today(database_url: str, tmp_path: Path) -> Iterator[Harness]:
    """A small account whose world stands at the present moment, for hosts with real clocks."""
    start = datetime.now(tz=UTC)
    with Harness(database_url, tmp_path, start=start, timezone="UTC", **SMALL) as harness:
        yield harness


@pytest.fixture
def synced(database_url: str, tmp_path: Path) -> Iterator[Harness]:
    """A small account some hours after its first sync, in virtual time."""
    with Harness(database_url, tmp_path, **SMALL) as harness:
        assert harness.sync().error is None
        harness.advance(hours=4)
        yield harness


def sync_on(harness: Harness, clock: Clock) -> str | None:
    """One sync on a host of its own; its error."""
    host = harness.host(clock)
    try:
        return sync_account(host, harness.account.key).error
    finally:
        host.close()


def stopping_ad(harness: Harness) -> str:
    """An ad that spends more and is paused, after what has been read so far."""
    ad = next(e.id for e in harness.world.entities("act_501", "ad") if e.effective == "ACTIVE")
    harness.world.add_spend(ad, harness.today(), Decimal("25.00"))
    harness.world.pause("ad", ad)
    return ad


@pytest.mark.parametrize("hours", [6, -6], ids=["fast", "slow"])
def test_after_a_host_whose_clock_is_wrong_the_next_stores_the_last_numbers(
    today: Harness, caplog: pytest.LogCaptureFixture, hours: int
) -> None:
    """Reads are dated by the database, so the wrong host dates none of them later or earlier."""
    caplog.set_level(logging.WARNING)
    wrong, right = SkewedClock(timedelta(hours=hours)), SkewedClock(timedelta(0))
    assert sync_on(today, wrong) is None
    assert f"this host's clock is {hours * 3600:+d} s from the database's" in caplog.text
    ad = stopping_ad(today)

    assert sync_on(today, right) is None

    assert [row["final_sync_completed"] for row in today.log(ad)] == [True]
    assert today.differences(ids={ad}) == []
    starts = today.query(
        "SELECT max(read_started_at) <= clock_timestamp() AS begun,"
        " min(read_started_at) > clock_timestamp() - interval '1 hour' AS fresh"
        " FROM ad_account_days WHERE read_started_at IS NOT NULL"
    )
    assert starts == [{"begun": True, "fresh": True}]


def test_a_final_sync_is_not_done_while_its_numbers_are_refused(synced: Harness) -> None:
    """When the database's own clock went back two minutes, done waits for those two minutes."""
    assert sync_on(synced, VirtualClock(synced.clock.instant + timedelta(minutes=2))) is None
    synced.advance(seconds=60)
    ad = stopping_ad(synced)

    report = synced.sync()

    row = synced.log(ad)[-1]
    assert (report.error_family, row["final_sync_completed"]) == ("retryable", False)
    assert "a clock went back" in str(report.error)
    assert "a clock went back" in row["final_sync_error"]
    synced.advance(minutes=5)
    assert synced.sync().error is None
    assert synced.log(ad)[-1]["final_sync_completed"] is True
    assert synced.differences(ids={ad}) == []


def test_no_sync_is_green_while_it_stores_less_than_it_read(synced: Harness) -> None:
    """Hours of a clock that went back are hours of red runs, of which nothing is left after."""
    assert sync_on(synced, VirtualClock(synced.clock.instant + timedelta(hours=6))) is None
    ad = next(e.id for e in synced.world.entities("act_501", "ad") if e.effective == "ACTIVE")
    synced.world.add_spend(ad, synced.today(), Decimal("25.00"))

    for _ in range(5):
        synced.advance(hours=1)
        report = synced.sync()
        assert report.error_family == "retryable"
        assert "a clock went back" in str(report.error)
    sealed = synced.query("SELECT 1 FROM ad_account_days WHERE sealed_at > '2026-03-10 19:30Z'")
    synced.advance(hours=2)

    assert synced.sync().error is None
    assert sealed == []
    assert synced.differences(ids={ad}) == []
    assert synced.query("SELECT last_sync_error FROM ad_accounts") == [{"last_sync_error": None}]
