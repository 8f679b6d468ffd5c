"""Several syncs of one account at once, in threads and processes: the result of one."""

from __future__ import annotations

import pytest
from crash_scene import Scene
from harness import Harness


@pytest.mark.parametrize(
    "crowd",
    [
        ("account_sync", "account_sync"),
        ("account_sync*2",),
        ("account_sync*2", "final_sync*2", "pending*2"),
    ],
    ids=["two processes", "two threads", "three processes of two threads"],
)
def test_syncs_of_one_account_at_once_give_the_result_of_one(
    scene: Scene, behind: Harness, crowd: tuple[str, ...]
) -> None:
    """Each waits its turn or reports busy; no row and no change is there twice."""
    assert scene.differences()

    workers = [scene.start(job) for job in crowd]
    reports = [report for worker in workers for report in worker.reports()]

    assert all(report["error"] is None or report["busy"] for report in reports)
    assert any(report["error"] is None for report in reports)
    scene.assert_whole()
    assert scene.changes() == CHANGES_OF_ONE.setdefault("all", scene.changes())


#: What was logged, which must not depend on how many looked at the same time.
CHANGES_OF_ONE: dict[str, object] = {}
