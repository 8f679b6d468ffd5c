"""A worker that stands still holds its account; once it has lost it, it changes nothing more."""

from __future__ import annotations

import pytest
from crash_scene import Scene, wait_until

WAITS_FOR_THE_LOCK = "wait_event_type = 'Lock' AND wait_event = 'advisory'"


@pytest.mark.parametrize("place", ["page_copied", "before_commit:SIGSTOP:3"])
def test_a_stopped_worker_keeps_others_out_and_ends_its_work(scene: Scene, place: str) -> None:
    """While it stands, one worker reports busy and another waits; resumed, it completes first."""
    owed = scene.owed()
    first = scene.start("final_sync", armed=_stop_at(place))
    first.wait_until_stopped()

    assert scene.start("pending").report()["busy"]
    second = scene.start("final_sync")
    wait_until("the wait of the second", lambda: scene.backends(WAITS_FOR_THE_LOCK))
    assert scene.harness.pending() > 0
    first.resume()

    assert first.report()["error"] is None
    assert second.report() == {"busy": False, "error": None, "error_family": None}
    scene.assert_whole(owed)


@pytest.mark.parametrize("job", ["final_sync", "pending"])
@pytest.mark.parametrize(
    "place",
    ["claim_committed", "page_copied", "after_last_page", "metrics_merged", "changes_completed"],
)
def test_a_worker_that_lost_its_connection_changes_nothing(
    scene: Scene, place: str, job: str
) -> None:
    """Cut off while it stood still: the next worker completes, and the resumed one fails."""
    owed = scene.owed()
    first = scene.start(job, armed=_stop_at(place))
    first.wait_until_stopped()
    scene.cut_off_holder()

    scene.recover("final_sync")
    scene.assert_whole(owed)
    before = scene.state()
    first.resume()

    report = first.report()
    assert report["error_family"] == "retryable"
    assert "connection" in report["error"]
    assert scene.state() == before


def _stop_at(place: str) -> str:
    return place if ":" in place else f"{place}:SIGSTOP"
