"""The seventeen ways in which the seed's implementation loses metrics: none of them is ours.

Every test is named after one of them and runs whole syncs on each platform: a simulated platform
over real HTTP, a real Postgres, and a comparison of the warehouse with the simulator's ledger.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from acceptance.scenes import SCENES, Scene, arm, live
from harness import TOKEN, Harness

from adsync_dagster.errors import AdsyncError
from adsync_dagster.records import Platform
from adsync_dagster.sync.reports import Step


@pytest.fixture(params=SCENES)
def scene(request: pytest.FixtureRequest) -> Scene:
    """Each platform in turn."""
    return SCENES[request.param]


@pytest.fixture
def harness(scene: Scene, database_url: str, tmp_path: Path) -> Iterator[Harness]:
    with scene.harness(database_url, tmp_path) as harness:
        yield harness


@pytest.fixture
def synced(harness: Harness) -> Harness:
    """A harness after its first complete sync, some hours later."""
    assert harness.sync().error is None
    harness.advance(hours=4)
    return harness


def test_01_an_api_error_never_completes_a_final_sync(scene: Scene, synced: Harness) -> None:
    """Whatever error answers a final sync, the change stays pending with that error."""
    ad = live(synced)[0]
    synced.world.pause("ad", ad)
    synced.poll_entities()
    arm(synced, scene.report_fails, count=None)

    report = synced.final_syncs()

    assert report.done == 0
    assert report.error is not None
    row = synced.log(ad)[-1]
    assert row["final_sync_completed"] is False
    assert row["final_sync_error"]
    assert row["attempts"] == 1


def test_02_an_unreadable_log_is_an_error_not_nothing_pending(synced: Harness) -> None:
    """When the log cannot be read, the final sync raises instead of reporting success."""
    synced.query("ALTER TABLE ad_status_change_log RENAME TO hidden")

    with pytest.raises((AdsyncError, psycopg.Error)):
        synced.final_syncs()


def test_03_final_metrics_belong_to_the_entity_row(synced: Harness) -> None:
    """Rows of a final sync carry the entity's own id and level, so they join and add up."""
    ad = live(synced)[0]
    synced.world.delete("ad", ad)

    synced.sync()

    orphans = synced.query(
        "SELECT m.* FROM ad_metrics m"
        " LEFT JOIN ads a ON m.entity_type = 'ad' AND a.id = m.entity_id"
        " LEFT JOIN ad_sets s ON m.entity_type = 'adset' AND s.id = m.entity_id"
        " LEFT JOIN ad_campaigns c ON m.entity_type = 'campaign' AND c.id = m.entity_id"
        " WHERE coalesce(a.id, s.id, c.id) IS NULL"
    )
    assert orphans == []
    assert synced.differences(ids={ad}) == []


def test_04_metrics_and_mark_commit_together_or_not_at_all(synced: Harness) -> None:
    """When the mark cannot be written, the metrics read for it are not kept either."""
    ad = live(synced)[0]
    synced.world.delete("ad", ad)
    synced.poll_entities()
    before = synced.stored("ad")
    synced.query(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001', MESSAGE = 'refused'; END $$;"
        " CREATE TRIGGER refuse BEFORE UPDATE ON ad_status_change_log FOR EACH ROW"
        " WHEN (NEW.final_sync_completed) EXECUTE FUNCTION refuse()"
    )

    report = synced.final_syncs()

    assert report.done == 0
    assert synced.stored("ad") == before
    assert synced.log(ad)[-1]["final_sync_completed"] is False
    synced.query("DROP TRIGGER refuse ON ad_status_change_log")
    synced.advance(hours=1)
    assert synced.final_syncs().done >= 1
    assert synced.differences(ids={ad}) == []


STOPS = ["archive", "pause_campaign", "pause_adset", "delete_campaign"]


@pytest.mark.parametrize(
    ("scene", "how"),
    # Google Ads has no archive.
    [(name, how) for name in SCENES for how in STOPS if (name, how) != ("google_ads", "archive")],
    indirect=["scene"],
)
def test_05_every_kind_of_stop_is_selected(synced: Harness, how: str) -> None:
    """Archiving, and the pause or deletion of a parent, lead to a final sync of the ad."""
    world = synced.world
    ad = live(synced)[0]
    campaign, adset = world.ancestors(world.entity("ad", ad))
    if how == "archive":
        world.archive("ad", ad)
    elif how == "pause_campaign":
        world.pause("campaign", campaign.id)
    elif how == "pause_adset":
        world.pause("adset", adset.id)
    else:
        world.delete("campaign", campaign.id)

    synced.sync()

    row = synced.log(ad)[-1]
    assert row["final_sync_completed"] is True
    assert synced.pending() == 0
    assert synced.differences(ids={ad}) == []


def test_06_two_hops_to_a_stop_are_selected(synced: Harness) -> None:
    """ACTIVE to PENDING_REVIEW to PAUSED owes, and gets, a final sync."""
    ad = live(synced)[0]
    synced.world.set_hold("ad", ad, "PENDING_REVIEW")
    synced.poll_entities()
    synced.advance(hours=1)
    synced.world.pause("ad", ad)
    synced.poll_entities()

    statuses = [(row["old_status"], row["new_status"]) for row in synced.log(ad)]
    assert statuses[0] == ("ACTIVE", "PENDING_REVIEW")
    assert synced.pending() >= 1
    assert synced.final_syncs().pending_after == 0
    assert synced.differences(ids={ad}) == []


def test_07_an_entity_first_seen_paused_is_logged_and_synced(synced: Harness) -> None:
    """An ad that was born and stopped between two syncs has a log row and all its numbers."""
    adset = live(synced, "adset")[0]
    ad = synced.world.create_ad(adset, "Flash sale")
    synced.advance(hours=5)
    synced.world.pause("ad", ad)

    synced.sync()

    row = synced.log(ad)[0]
    assert row["old_status"] is None
    assert row["new_status"] == "PAUSED"
    assert row["final_sync_completed"] is True
    assert synced.stored("ad")[(ad, synced.today())]["spend"] > 0
    assert synced.differences(ids={ad}) == []


def test_08_a_strange_status_or_name_does_not_roll_back_the_batch(
    scene: Scene, synced: Harness
) -> None:
    """A status nobody knows and an absurd name are stored; the other entities are too."""
    strange, other = live(synced)[:2]
    synced.world.pause("ad", other)
    synced.world.rename(
        "ad", strange, "\u0000'); DROP TABLE ads; -- \N{PILE OF POO}" + "x" * 70_000
    )
    arm(synced, scene.strange_status, count=1)

    report = synced.poll_entities()

    assert report.error is None
    assert synced.log(other)[-1]["new_status"] == "PAUSED"
    stored = synced.query(
        f"SELECT count(*) AS n FROM ads WHERE {scene.strange_column} LIKE '%TELEPORTED'"
    )
    assert stored[0]["n"] == 1


def test_09_flapping_and_racing_workers_do_everything_once(synced: Harness) -> None:
    """Pause, resume, pause leaves two owed rows; two workers at once settle each exactly once."""
    ad = live(synced)[0]
    for action in (synced.world.pause, synced.world.resume, synced.world.pause):
        action("ad", ad)
        synced.poll_entities()
        synced.advance(minutes=5)
    owed = [row for row in synced.log(ad) if row["final_sync_completed"] is False]
    assert len(owed) == 2
    reports = []
    workers = [
        threading.Thread(target=lambda: reports.append(synced.final_syncs())) for _ in range(2)
    ]

    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert sum(report.done for report in reports) == 2
    assert synced.pending() == 0
    assert synced.differences(ids={ad}) == []


def test_10_deleted_and_archived_entities_are_noticed(scene: Scene, synced: Harness) -> None:
    """What the platform's default list hides still changes its status here."""
    deleted, archived = live(synced)[:2]
    synced.world.delete("ad", deleted)
    # Google Ads has no archive: what is removed stays listed.
    if scene.platform is not Platform.GOOGLE_ADS:
        synced.world.archive("ad", archived)

    synced.poll_entities()

    assert synced.log(deleted)[-1]["new_status"] == "DELETED"
    if scene.platform is not Platform.GOOGLE_ADS:
        assert synced.log(archived)[-1]["new_status"] == "ARCHIVED"


def test_11_a_parents_pause_is_a_stop_of_its_children(synced: Harness) -> None:
    """The children of a paused campaign are logged though their own switch did not move."""
    world = synced.world
    ad = live(synced)[0]
    campaign = world.ancestors(world.entity("ad", ad))[0]
    world.pause("campaign", campaign.id)

    synced.poll_entities()

    row = synced.log(ad)[-1]
    assert (row["old_status"], row["new_status"]) == ("ACTIVE", "CAMPAIGN_PAUSED")
    assert row["final_sync_completed"] is False


def test_12_a_stop_seen_in_a_sync_is_finished_in_that_sync(synced: Harness) -> None:
    """Final syncs run again after the entity steps, not only before them."""
    ad = live(synced)[0]
    synced.world.delete("ad", ad)

    report = synced.sync()

    assert report.pending == 0
    assert synced.log(ad)[-1]["final_sync_completed"] is True


def test_13_an_outage_longer_than_the_window_loses_nothing(synced: Harness) -> None:
    """Forty days without a sync: the next ones read from the first open day, and end exact."""
    ad = live(synced)[0]
    today = synced.today()
    synced.world.delete("ad", ad)
    synced.advance(days=1)
    synced.world.late_conversions(ad, today, 4, Decimal("99.80"))
    synced.advance(days=40)

    assert synced.sync().error is None
    assert synced.settle().error is None

    until = synced.today()
    assert synced.differences(ids={ad}, since=today - timedelta(days=15), until=until) == []


def test_14_a_failed_call_does_not_move_the_accounts_mark(scene: Scene, synced: Harness) -> None:
    """A list that fails leaves last_synced_at where it was, and the error on the account."""
    before = synced.query("SELECT last_synced_at FROM ad_accounts")[0]["last_synced_at"]
    arm(synced, scene.list_fails, count=None)

    report = synced.sync()

    account = synced.query("SELECT last_synced_at, last_sync_error FROM ad_accounts")[0]
    assert report.error is not None
    assert account["last_synced_at"] == before
    assert account["last_sync_error"]


def test_15_metrics_of_an_unknown_entity_make_a_stub(synced: Harness) -> None:
    """Numbers of an ad that no list has shown are stored under a stub row."""
    adset = live(synced, "adset")[0]
    ad = synced.world.create_ad(adset, "Unlisted")
    synced.advance(hours=5)

    synced.sync(frozenset({Step.METRICS}))

    assert synced.query("SELECT status FROM ads WHERE platform_ad_id = %s", ad)[0] == {
        "status": "UNKNOWN"
    }
    assert synced.differences(ids={ad}) == []


def test_16_an_expired_token_is_red_blocked_and_recovers_by_itself(
    scene: Scene, synced: Harness
) -> None:
    """Weeks with a dead token: pending with the reason, no attempt used up, exact afterwards."""
    ad = live(synced)[0]
    synced.world.delete("ad", ad)
    synced.poll_entities()
    rule = arm(synced, scene.token_expired, count=None)
    # By now an access token that Google gave out has ended, too.
    synced.advance(hours=2)
    for _ in range(3):
        report = synced.sync()
        assert report.error_family == "blocked"
        synced.advance(days=7)
    row = synced.log(ad)[-1]
    assert (row["blocked_reason"], row["attempts"]) == ("credential", 0)
    account = synced.query("SELECT blocked_reason FROM ad_accounts")[0]
    assert account["blocked_reason"] == "credential"

    synced.simulator.simulator.faults.disarm(rule)
    report = synced.sync()

    assert (report.error, report.pending) == (None, 0)
    assert synced.query("SELECT blocked_reason FROM ad_accounts")[0]["blocked_reason"] is None
    since = synced.today() - timedelta(days=25)
    assert synced.differences(ids={ad}, since=since) == []


def test_17_many_pages_are_all_read_and_no_url_holds_a_token(
    scene: Scene, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a hundred pages are read to the end; the token travels in a header only.

    Google answers a question by one stream: there the pages are its chunks.
    """
    size = {"campaigns": 2, "adsets": 2, "ads": 1_100, "history_days": 1}
    with scene.harness(database_url, tmp_path, **size) as many:
        scene.shrink_pages(many, monkeypatch)
        urls = urls_of(many, monkeypatch)

        assert many.sync().error is None

        answers = [url for url in urls if re.search(scene.ad_list, url.partition("?")[0])]
        assert len(answers) > 100 or scene.platform is Platform.GOOGLE_ADS
        assert many.query("SELECT count(*) AS n FROM ads")[0]["n"] >= 1_000
        assert not any(TOKEN in url for url in urls)


def urls_of(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every URL from now on, path and query."""
    simulator, urls = harness.simulator.simulator, []
    answer = simulator.handle

    def handle(method: str, path: str, params: Any = None, *rest: Any) -> Any:
        urls.append(f"{path}?{params}")
        return answer(method, path, params, *rest)

    monkeypatch.setattr(simulator, "handle", handle)
    return urls
