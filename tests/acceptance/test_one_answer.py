"""One answer is no proof: what a single sync was told makes nothing final, zero or done."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from acceptance.scenes import live
from acceptance.test_doubtful_days import (
    arm,
    day_states,
    disarm,
    lose,
    running,
    small,
    sync_for_days,
)
from harness import Harness

from adsync_dagster.records import DateRange, Platform
from adsync_dagster.sync import verdict
from adsync_dagster.sync.metrics import MetricsScope

__all__ = ["small"]

WINDOW_OF_DEFAULT, WINDOW_OF_ACCOUNT, MARGIN = 30, 60, 3


@pytest.fixture
def long_window(database_url: str, tmp_path: Path) -> Iterator[Harness]:
    """A Google account whose longest conversion window is twice the default one."""
    with Harness(
        database_url, tmp_path, platform=Platform.GOOGLE_ADS, stopped=False, history_days=80
    ) as harness:
        setup = harness.simulator.simulator.google_ads.setup(harness.account_id)
        setup.conversion_windows = (7, WINDOW_OF_ACCOUNT)
        harness.world.account(harness.account_id).window_days = WINDOW_OF_ACCOUNT
        yield harness


@pytest.fixture
def late(database_url: str, tmp_path: Path) -> Iterator[Harness]:
    """An account whose kept history begins after some of its settled days."""
    with Harness(
        database_url, tmp_path, campaigns=2, adsets=4, ads=16, stopped=False, history_days=60
    ) as harness:
        harness.query(
            "UPDATE ad_accounts SET history_start = %s", harness.today() - timedelta(days=10)
        )
        assert harness.sync().error is None
        harness.advance(hours=4)
        yield harness


def red(harness: Harness) -> set[str]:
    """What `adsync verify` would find."""
    return {one.name for one in verdict.ask(harness.environment) if one.findings.total}


def sealed_days(harness: Harness) -> int:
    [row] = harness.query(
        "SELECT count(DISTINCT date) AS days FROM ad_account_days WHERE state = 'sealed'"
    )
    return int(row["days"])


def settling(harness: Harness) -> int:
    [row] = harness.query("SELECT settles_after_days AS days FROM ad_accounts")
    return int(row["days"])


def test_a_first_sync_told_nothing_seals_nothing(database_url: str, tmp_path: Path) -> None:
    """Totals and reports of old days that are all empty, once: another sync has to hear that."""
    with Harness(database_url, tmp_path, stopped=False, history_days=60) as harness:
        lies = arm(harness, "empty_first_page", path="insights$", method="GET")
        assert harness.sync().error is None
        assert sealed_days(harness) == 0

        disarm(harness, lies)
        harness.advance(hours=21)
        assert harness.sync().error is None
        assert harness.differences() == []
        assert sealed_days(harness) > 0


def test_days_without_anything_are_final_an_hour_later(database_url: str, tmp_path: Path) -> None:
    """An account younger than its history: its empty days are sealed by the next hourly sync."""
    with Harness(database_url, tmp_path, stopped=False, history_days=5) as harness:
        start = harness.today() - timedelta(days=60)
        harness.query("UPDATE ad_accounts SET history_start = %s", start)
        assert harness.sync().error is None
        assert sealed_days(harness) == 0
        assert red(harness) == set()

        harness.advance(hours=1)
        assert harness.sync().error is None
        assert sealed_days(harness) == 60 - 30


def test_a_total_that_vanishes_within_a_sync_makes_no_day_final(
    database_url: str, tmp_path: Path
) -> None:
    """Right totals at first, then nothing but empty answers: zero and zero add up, for now."""
    with Harness(database_url, tmp_path, stopped=False, history_days=60) as harness:
        harness.simulator.simulator.faults.arm(
            "empty_first_page", path="insights$", method="GET", skip=1, count=None
        )
        assert harness.sync().error is None
        assert sealed_days(harness) == 0


@pytest.mark.parametrize("fault", ["stream_nothing", "stream_rows_lost"])
def test_a_window_that_looks_shorter_once_seals_nothing(long_window: Harness, fault: str) -> None:
    """The conversion actions are not told, or not all of them: the longer window holds."""
    settles = WINDOW_OF_ACCOUNT + MARGIN
    faults = long_window.simulator.simulator.faults
    faults.arm(fault, path=" conversion_action$", count=1)
    assert long_window.sync().error is None
    assert len(faults.hits) == 1
    first_told = sealed_days(long_window)

    long_window.advance(hours=2)
    assert long_window.sync().error is None
    assert settling(long_window) >= settles
    oldest_open = long_window.query(
        "SELECT min(date) AS day FROM ad_account_days WHERE state <> 'sealed'"
    )[0]["day"]
    assert oldest_open <= long_window.today() - timedelta(days=settles)
    assert sealed_days(long_window) >= first_told


def test_a_window_that_stays_shorter_is_believed(long_window: Harness) -> None:
    """A removed conversion action: after an hour days settle as its account now says."""
    for _ in range(2):
        assert long_window.sync().error is None
        long_window.advance(hours=1)
    assert settling(long_window) == WINDOW_OF_ACCOUNT + MARGIN

    setup = long_window.simulator.simulator.google_ads.setup(long_window.account_id)
    setup.conversion_windows = (7,)
    for expected in (WINDOW_OF_ACCOUNT + MARGIN, 7 + MARGIN):
        assert long_window.sync().error is None
        assert settling(long_window) == expected
        long_window.advance(hours=1)

    setup.conversion_windows = (7, WINDOW_OF_DEFAULT)
    assert long_window.sync().error is None
    assert settling(long_window) == WINDOW_OF_DEFAULT + MARGIN


def test_an_empty_answer_about_what_could_not_be_read_seals_no_day(small: Harness) -> None:
    """A deleted ad cannot be read for days, and then tells nothing, once."""
    ad, day = running(small), small.today() + timedelta(days=2)
    small.world.delete("ad", ad)
    assert small.sync().error is None
    unreadable = arm(small, "error", path=f"^{ad}/insights", error="missing_object")
    small.advance(days=4)
    small.world.add_spend(ad, day, "25.00")
    small.advance(days=29)
    sync_for_days(small, 2)
    assert ("open", "deleted_hidden") in day_states(small, day)

    disarm(small, unreadable)
    empty = arm(small, "empty_first_page", path=f"^{ad}/insights", method="GET", paging=True)
    sync_for_days(small, 1)
    assert ("sealed", "never_seen_entity") not in day_states(small, day)

    disarm(small, empty)
    sync_for_days(small, 2)
    assert small.differences(ids={ad}, since=day, until=day) == []


def test_rows_that_the_total_still_has_are_never_zeroed(small: Harness) -> None:
    """A day lacks what a stranger had; then a known ad's row is gone, and the total is the same."""
    small.simulator.simulator.facebook.settings.activities_retention_days = 0
    adset = next(iter(small.world.entities(small.account_id, "adset"))).id
    stranger, day = small.world.create_ad(adset, "Flash"), small.today()
    small.advance(hours=5)
    small.world.delete("ad", stranger)
    small.advance(hours=20)
    for _ in range(3):
        assert small.sync().error is None
        small.advance(hours=2)
    explained = day_states(small, day)
    assert explained[0] == ("reconciled", "never_seen_entity")

    ad = running(small)
    before = small.stored("ad")[(ad, day)]
    lost = [
        lose(small, {(ad, day.isoformat())}),
        arm(small, "empty_first_page", path=f"^{ad}/insights", method="GET", paging=True),
    ]
    for _ in range(4):
        small.sync()
        assert small.stored("ad")[(ad, day)] == before
        small.advance(minutes=40)
    for rule in lost:
        disarm(small, rule)
    assert small.sync().error is None
    assert day_states(small, day) == explained


def test_a_chosen_day_before_the_history_is_read_until_it_is_final(late: Harness) -> None:
    """It could not be sealed when a person had it read: it is red, and tried again by itself."""
    ad, day = next(
        (one.id, late.today() - timedelta(days=back))
        for one in late.world.entities(late.account_id, "ad")
        for back in range(55, 32, -1)
        if late.world.ledger.value("ad", one.id, late.today() - timedelta(days=back))[
            "spend_micros"
        ]
    )
    late.world.delete("ad", ad)
    assert late.sync().error is None
    chosen = MetricsScope(days=DateRange(since=day, until=day))
    unreadable = arm(late, "error", path=f"^{ad}/insights", error="missing_object")
    assert late.sync(scope=chosen).error is None
    late.advance(days=3)
    assert late.sync().error is None
    assert red(late) == {"open_days_past_due"}

    disarm(late, unreadable)
    late.advance(hours=25)
    assert late.sync().error is None
    assert late.differences(ids={ad}, since=day, until=day) == []
    assert red(late) == set()
    [row] = late.query("SELECT count(*) AS days FROM ad_account_days WHERE date < %s", day)
    assert row["days"] == 0


def test_a_final_day_that_lacks_what_a_known_ad_has_is_red(small: Harness) -> None:
    """The platform revised it after its window, and the ad cannot be read: nobody asks again."""
    ad, day = running(small), small.today() - timedelta(days=1)
    small.advance(days=33)
    sync_for_days(small, 2)
    assert set(day_states(small, day)) == {("sealed", None)}
    small.world.delete("ad", ad)
    assert small.sync().error is None
    small.world.add_spend(ad, day, "25.00", restate=True)
    small.advance(hours=1)
    unreadable = arm(small, "error", path=f"^{ad}/insights", error="missing_object")
    chosen = MetricsScope(days=DateRange(since=day, until=day))
    assert small.sync(scope=chosen).error is None
    assert ("sealed", "deleted_hidden") in day_states(small, day)
    assert red(small) == {"residuals_explained"}

    disarm(small, unreadable)
    assert small.sync(scope=chosen).error is None
    assert small.differences(ids={ad}, since=day, until=day) == []
    assert red(small) == set()


def test_an_ad_that_ran_for_long_is_read_when_its_deletion_was_missed(small: Harness) -> None:
    """Its status changed only now, whatever its row says: the stop is not done without a read."""
    small.simulator.simulator.facebook.settings.activities_retention_days = 0
    ad = live(small)[0]
    small.advance(days=75)
    sync_for_days(small, 1)
    for how in ("DISABLE", "ENABLE ALWAYS"):
        for trigger in ("trigger_log_ad_status_change", "zzz_track_ad_status_change"):
            small.query(f"ALTER TABLE ads {how} TRIGGER {trigger}")
        if how == "DISABLE":
            small.world.delete("ad", ad)
            small.advance(hours=1)
            assert small.poll_entities().error is None
    arm(small, "error", path=f"^{ad}/insights", error="missing_object")
    small.safety_net()
    last = small.log(ad)[-1]
    assert (last["source"], last["final_sync_completed"]) == ("safety_net", False)
    assert last["blocked_reason"] == "unreachable"
