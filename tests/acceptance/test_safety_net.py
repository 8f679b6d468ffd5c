"""The weekly net: what other paths missed, whatever happens to one account, and in a fair order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from acceptance.scenes import live
from harness import Harness

from adsync_dagster.errors import Defect
from adsync_dagster.sync import safety_net
from adsync_dagster.sync.reports import AccountReport

TRIGGERS = ("trigger_log_ad_status_change", "zzz_track_ad_status_change")
OTHERS = ("act_601", "act_602", "act_603")


@pytest.fixture
def harness(database_url: str, tmp_path: Path) -> Iterator[Harness]:
    with Harness(database_url, tmp_path, campaigns=1, adsets=1, ads=3, stopped=False) as harness:
        yield harness


@pytest.fixture
def many(harness: Harness) -> Harness:
    """Four accounts."""
    for account in OTHERS:
        harness.world.add_facebook_account(
            account_id=account, campaigns=1, adsets=1, ads=2, history_days=20
        )
        harness.add_account(account, "USD", "America/New_York")
    return harness


def silence(harness: Harness, how: str) -> None:
    for trigger in TRIGGERS:
        harness.query(f"ALTER TABLE ads {how} TRIGGER {trigger}")


def statuses(harness: Harness, ad: str) -> list[tuple[str, str]]:
    return [(row["new_status"], row["source"]) for row in harness.log(ad)]


def paused_and_done(harness: Harness) -> str:
    """An ad whose stop was logged and finished; Meta's activity log tells of nothing from here."""
    assert harness.sync().error is None
    harness.advance(hours=4)
    harness.simulator.simulator.facebook.settings.activities_retention_days = 0
    ad = live(harness)[0]
    harness.world.pause("ad", ad)
    assert harness.sync().error is None
    harness.advance(hours=5)
    return ad


@pytest.mark.parametrize("end", ["delete", "pause"])
def test_a_stop_missed_after_an_earlier_one_that_was_logged(harness: Harness, end: str) -> None:
    """It ran for days while nothing was logged: its spend after the last logged stop tells."""
    ad = paused_and_done(harness)
    silence(harness, "DISABLE")
    harness.world.resume("ad", ad)
    harness.advance(hours=1)
    for _ in range(3):
        assert harness.sync().error is None
        harness.advance(days=1)
    getattr(harness.world, end)("ad", ad)
    harness.advance(hours=1)
    assert harness.sync().error is None
    silence(harness, "ENABLE ALWAYS")

    report = harness.safety_net()

    assert report.success
    assert report.missed_changes == 1
    last = harness.log(ad)[-1]
    assert (last["old_status"], last["new_status"], last["source"]) == (
        "ACTIVE",
        {"delete": "DELETED", "pause": "PAUSED"}[end],
        "safety_net",
    )
    assert last["final_sync_completed"] is True
    harness.advance(days=7)
    assert harness.safety_net().missed_changes == 0


def test_a_stop_that_was_logged_is_not_logged_again(harness: Harness) -> None:
    """It spent on the day it stopped, and on none after it: the log is right as it is."""
    ad = paused_and_done(harness)
    before = statuses(harness, ad)
    for _ in range(3):
        harness.advance(days=1)
        assert harness.sync().error is None

    assert harness.safety_net().missed_changes == 0
    assert statuses(harness, ad) == before


@pytest.mark.parametrize("error", [Defect("the database refused it"), ZeroDivisionError("oops")])
@pytest.mark.parametrize("threads", [1, 4])
def test_one_accounts_bug_does_not_keep_the_others_from_the_net(
    many: Harness, monkeypatch: pytest.MonkeyPatch, error: Exception, threads: int
) -> None:
    """Every other account is done, and the report is no success."""
    set_threads(many, threads)
    real = safety_net.sync_account

    def sync(environment: Any, key: str, *args: Any, **kwargs: Any) -> AccountReport:
        if key == many.account.key:
            raise error
        return real(environment, key, *args, **kwargs)

    monkeypatch.setattr(safety_net, "sync_account", sync)

    report = many.safety_net()

    assert report.accounts_processed == 3
    assert list(report.failures) == report.defects == [many.account.key]
    assert not report.success


def set_threads(harness: Harness, threads: int) -> None:
    environment = harness.environment
    environment.settings = replace(environment.settings, account_threads=threads)


def test_accounts_are_checked_several_at_a_time(
    many: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With four threads all four accounts are at work at once: each waits for the others."""
    set_threads(many, 4)
    together = threading.Barrier(4, timeout=30)

    def sync(_: Any, key: str, *args: Any, **kwargs: Any) -> AccountReport:
        together.wait()
        return AccountReport(account_key=key)

    monkeypatch.setattr(safety_net, "sync_account", sync)

    report = many.safety_net()

    assert report.success
    assert report.accounts_processed == 4


def test_a_net_that_is_cut_off_begins_with_the_others_next_time(
    many: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waited longest comes first, accounts that failed included."""
    set_threads(many, 1)
    seen: list[str] = []

    class Cut(BaseException):
        """The run's time is over."""

    def sync(_: Any, key: str, *args: Any, **kwargs: Any) -> AccountReport:
        if len(seen) == limit:
            raise Cut
        seen.append(key.partition(":")[2])
        if key == many.account.key:
            raise Defect("always")
        return AccountReport(account_key=key)

    monkeypatch.setattr(safety_net, "sync_account", sync)
    limit = 2
    with pytest.raises(Cut):
        many.safety_net()
    assert seen == ["act_501", "act_601"]

    many.advance(days=7)
    seen.clear()
    limit = 4
    many.safety_net()

    assert seen == ["act_602", "act_603", "act_501", "act_601"]
