"""Nobody runs final syncs for weeks: the next sync does them all, even if it dies on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from crash_scene import Scene, live
from harness import Harness

DAYS = 21


@pytest.mark.slow
def test_three_weeks_without_the_sensor_lose_nothing(synced: Harness, tmp_path: Path) -> None:
    """Lists were read daily and changes logged; then one sync is killed and the next is exact."""
    world = synced.world
    for day in range(DAYS):
        synced.advance(hours=24)
        ads = live(synced, "ad")
        world.late_conversions(ads[-1], synced.today(), 2)
        if day % 3 == 0:
            world.pause("ad", ads[0])
        if day % 7 == 3:
            world.delete("ad", ads[1])
        if day == 10:
            world.pause("campaign", live(synced, "campaign")[0])
        assert synced.poll_entities().error is None

    with Scene(synced, tmp_path) as scene:
        owing = synced.pending()
        assert owing >= DAYS // 3 + DAYS // 7
        assert scene.crash("account_sync", "changes_completed:SIGKILL")
        scene.assert_nothing_early()
        assert synced.pending() == owing
        scene.recover("account_sync")
        scene.assert_whole()
