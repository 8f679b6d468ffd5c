"""The crash tests' own judge: it sees what it is there to see."""

from __future__ import annotations

import pytest
from crash_scene import Scene


def test_a_step_told_by_the_trigger_and_the_history_is_seen_as_doubled(scene: Scene) -> None:
    """The same step a second time, from another source and of another kind."""
    scene.recover("final_sync")
    scene.assert_whole(scene.logged())
    scene.harness.query(
        "INSERT INTO ad_status_change_log (entity_type, entity_id, platform_entity_id,"
        " ad_account_id, platform, old_status, new_status, final_sync_completed, source, metadata,"
        " created_at) SELECT entity_type, entity_id, platform_entity_id, ad_account_id, platform,"
        " old_status, new_status, NULL, 'change_history', '{\"kind\": \"hint\"}',"
        " created_at + interval '1 minute' FROM ad_status_change_log ORDER BY change_seq LIMIT 1"
    )

    with pytest.raises(AssertionError):
        scene.assert_whole(scene.logged())


def test_a_parent_done_before_its_descendants_is_seen(scene: Scene) -> None:
    """A campaign is marked, an ad below it, which itself owed nothing, is not as the ledger's."""
    scene.recover("final_sync")
    scene.assert_nothing_early()
    ad = "(SELECT a.id FROM ads a JOIN ad_status_change_log l ON l.entity_type = 'campaign'"
    ad += " AND l.entity_id = a.campaign_id WHERE l.final_sync_completed ORDER BY 1 LIMIT 1)"
    scene.harness.query(
        "UPDATE ad_status_change_log SET final_sync_completed_at = created_at - interval '1 day'"
        f" WHERE entity_id = {ad}"
    )
    scene.assert_nothing_early()
    scene.harness.query(f"UPDATE ad_metrics SET clicks = clicks + 1 WHERE entity_id = {ad}")

    with pytest.raises(AssertionError):
        scene.assert_nothing_early()
