"""An account sync stands still, loses its connection and wakes up too late: it changes nothing."""

from __future__ import annotations

import pytest
from crash_scene import Scene
from harness import Harness


@pytest.mark.parametrize("place", ["entities_merged:3", "metrics_merged:4", "before_commit:12"])
def test_an_account_sync_that_lost_its_connection_changes_nothing(
    scene: Scene, behind: Harness, place: str
) -> None:
    """Its late commit meets a finished sync of the same account: lists and numbers stay."""
    name, nth = place.split(":")
    first = scene.start("account_sync", armed=f"{name}:SIGSTOP:{nth}")
    first.wait_until_stopped()
    scene.cut_off_holder()

    scene.recover("account_sync")
    scene.assert_whole()
    before = scene.state()
    first.resume()

    assert first.report()["error_family"] == "retryable"
    assert scene.state() == before
