"""A database that had ads of its own: rows that no platform could know stop nobody, and are told.

Whole syncs on each platform: drafts without an id, ids of another program, logged changes of
kinds that nobody here knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptance.scenes import SCENES, Scene, live
from harness import Harness

from adsync_dagster.commands.doctor import _left_out
from adsync_dagster.sync import verdict
from adsync_dagster.warehouse import changes, checks

#: Ids that an adopted row may have instead of the platform's.
STRANGE_IDS = [None, "draft-17", "", "12 34", "1~x"]


@pytest.fixture(params=SCENES)
def scene(request: pytest.FixtureRequest) -> Scene:
    """Each platform in turn."""
    return SCENES[request.param]


@pytest.fixture
def harness(scene: Scene, database_url: str, tmp_path: Path) -> Iterator[Harness]:
    with scene.harness(database_url, tmp_path) as harness:
        yield harness


def add_drafts(harness: Harness, *, campaign: str | None = None) -> None:
    """Ads of the user's own, one per strange id; under a campaign if one is named."""
    for at, platform_id in enumerate(STRANGE_IDS):
        harness.query(
            "INSERT INTO ads (ad_account_id, platform, platform_ad_id, platform_campaign_id,"
            " name, status) VALUES (%s, %s, %s, %s, 'my draft', %s)",
            harness.account.id,
            harness.platform,
            platform_id,
            campaign,
            "DELETED" if at % 2 else "PAUSED",
        )


def own_rows(harness: Harness) -> list[object]:
    """Statuses of the drafts."""
    return [
        row["status"]
        for row in harness.query("SELECT status FROM ads WHERE name = 'my draft' ORDER BY status")
    ]


def test_drafts_of_the_users_own_stop_nothing(harness: Harness) -> None:
    """Every step of the sync succeeds beside them, every number is exact, and they stay."""
    add_drafts(harness)

    assert harness.sync().error is None
    harness.advance(hours=4)
    assert harness.sync().error is None

    # Meta tells of what was deleted before the first sync to nobody.
    known = {entity_id for entity_id, _ in harness.stored("ad")}
    assert len(known) > 10
    assert harness.differences(ids=known) == []
    assert own_rows(harness) == ["DELETED", "DELETED", "PAUSED", "PAUSED", "PAUSED"]
    assert harness.safety_net().success
    with harness.environment.database.connection() as connection:
        left_out = verdict.rows_left_out(connection)
        [warned] = _left_out(connection)
    assert left_out.total == 5
    assert {row["platform_id"] for row in left_out.rows} == set(STRANGE_IDS)
    assert {row["account"] for row in left_out.rows} == {harness.account.key}
    assert warned.warning
    assert "5 rows without an id that the platform could have given" in warned.detail


def test_a_stopped_campaign_does_not_wait_for_a_draft_below_it(harness: Harness) -> None:
    """The campaign's final sync is done with what the platform has of it."""
    assert harness.sync().error is None
    harness.advance(hours=4)
    ad = live(harness)[0]
    [row] = harness.query("SELECT platform_campaign_id FROM ads WHERE platform_ad_id = %s", ad)
    campaign = row["platform_campaign_id"]
    add_drafts(harness, campaign=campaign)
    # What the trigger logged of the drafts themselves is another test's matter.
    harness.query(
        "SELECT mark_final_sync_completed(id) FROM ad_status_change_log"
        " WHERE NOT final_sync_completed"
    )
    harness.world.pause("campaign", campaign)

    assert harness.sync().error is None

    assert harness.log(campaign)[-1]["final_sync_completed"] is True
    assert harness.pending() == 0


LOGGED = """
INSERT INTO ad_status_change_log (entity_type, entity_id, platform_entity_id, ad_account_id,
  platform, old_status, new_status, final_sync_completed, next_attempt_at)
SELECT %s, id, %s, ad_account_id, platform, 'ACTIVE', 'PAUSED', false, '2026-01-01'
  FROM ads WHERE platform_ad_id = %s
"""


@pytest.mark.parametrize(
    ("kind", "platform_id", "said"),
    [
        ("creative", "1", "its entity_type is 'creative', not campaign, adset or ad"),
        ("ad_set", "1", "its entity_type is 'ad_set'"),
        (None, "1", "its entity_type is NULL"),
        ("ad", "draft-17", "the id of its ad, 'draft-17', is none that the platform"),
    ],
)
def test_a_pending_change_of_nothing_readable_waits_for_a_person(
    harness: Harness, kind: str | None, platform_id: str, said: str
) -> None:
    """It is set aside with the reason and what to do; the others are done; by hand it ends."""
    assert harness.sync().error is None
    harness.advance(hours=4)
    first, second, *_ = live(harness)
    harness.query(LOGGED, kind, platform_id, first)
    harness.world.pause("ad", second)

    for _ in range(2):
        assert harness.sync().error is None
        harness.advance(hours=4)

    assert harness.log(second)[-1]["final_sync_completed"] is True
    [row] = harness.query("SELECT * FROM ad_status_change_log WHERE NOT final_sync_completed")
    assert (row["blocked_reason"], row["attempts"]) == ("unreadable", 0)
    assert row["final_sync_error"].startswith(said)
    with harness.environment.database.connection() as connection:
        [found] = checks.blocked_accounts(connection).rows
        assert (found["what"], found["reason"]) == ("1 changes", "unreadable")
        [summary] = changes.pending_summary(connection)
        assert summary.due == 1  # every hour it is looked at again
    assert str(row["id"]) in row["final_sync_error"]
    harness.query("SELECT mark_final_sync_completed(%s)", row["id"])
    assert harness.pending() == 0


def test_a_pending_change_without_an_id_is_done_by_its_entity(harness: Harness) -> None:
    """The older log did not name the platform's id; the entity's row does."""
    assert harness.sync().error is None
    harness.advance(hours=4)
    ad = live(harness)[0]
    harness.query(LOGGED, "ad", None, ad)

    assert harness.final_syncs().error is None

    assert harness.pending() == 0
    stamp = harness.query("SELECT last_final_sync_at FROM ads WHERE platform_ad_id = %s", ad)
    assert stamp[0]["last_final_sync_at"] == harness.clock.now()


def test_an_entity_without_a_status_that_is_gone_is_found_out(harness: Harness) -> None:
    """Nothing was ever read of it, and the lists no longer show it: it is asked for by id."""
    assert harness.sync().error is None
    ad = live(harness)[0]
    harness.query(
        "UPDATE ads SET status = NULL, effective_status = NULL, read_started_at = NULL"
        " WHERE platform_ad_id = %s",
        ad,
    )
    harness.world.delete("ad", ad)
    harness.advance(hours=4)

    assert harness.sync().error is None

    stored = harness.query("SELECT status FROM ads WHERE platform_ad_id = %s", ad)
    assert stored == [{"status": "DELETED"}]
