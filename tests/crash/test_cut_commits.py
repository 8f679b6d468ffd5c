"""A connection is cut at COMMIT: whether it counted is read again, doing it twice is harmless."""

from __future__ import annotations

import itertools

import pytest
from commit_cutter import cutting
from crash_scene import Scene
from harness import Harness


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_final_sync_cut_at_any_commit_is_exact_in_the_end(scene: Scene, when: str) -> None:
    """Cut at its first, second, third ... COMMIT: an error in the report, never a wrong row."""
    owed = scene.owed()
    cuts = _cut_until_through(scene, "final_sync", when)
    assert cuts >= 4
    scene.assert_whole(owed)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_account_sync_cut_at_any_commit_is_exact_in_the_end(
    scene: Scene, behind: Harness, when: str
) -> None:
    """Lists, changes, numbers and days survive a cut at each of the account's commits."""
    cuts = _cut_until_through(scene, "account_sync", when)
    assert cuts >= 10
    scene.assert_whole()


def test_a_commit_whose_answer_was_lost_is_not_done_again(scene: Scene) -> None:
    """The marks that did reach the server stand: the next worker owes and reads less."""
    owing = scene.harness.pending()
    with cutting(scene.harness.url, "after", 3) as cutter:
        report = scene.start("final_sync", url=cutter.url).report()
    assert report["error_family"] == "retryable"

    done = scene.harness.query(FINISHED)
    assert 0 < len(done) == owing - scene.harness.pending()
    scene.recover("final_sync")

    assert scene.harness.pending() == 0
    assert scene.harness.query(FINISHED)[: len(done)] == done


FINISHED = (
    "SELECT xmin, l.* FROM ad_status_change_log l WHERE final_sync_completed"
    " ORDER BY final_sync_completed_at, xmin::text::bigint, change_seq"
)


def _cut_until_through(scene: Scene, job: str, when: str) -> int:
    """Cut the job at every one of its commits in turn, until it gets through; the cuts."""
    for nth in itertools.count(1):
        with cutting(scene.harness.url, when, nth) as cutter:
            report = scene.start(job, url=cutter.url).report()
            if not cutter.has_cut:
                assert report["error"] is None
                return nth - 1
        assert report["error_family"] == "retryable"
        assert "connection to the database was lost" in report["error"]
        scene.assert_nothing_early()
    raise AssertionError
