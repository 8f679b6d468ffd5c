"""An account sync dies at every named place and at every commit: the next one makes it whole."""

from __future__ import annotations

import itertools

import pytest
from crash_scene import Scene
from harness import Harness

PLACES = (
    "claim_committed",
    "before_first_request:6",
    "page_copied:5",
    "between_pages:2",
    "after_last_page:3",
    "entities_merged:3",
    "metrics_merged:4",
    "changes_completed",
)


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM"])
@pytest.mark.parametrize("place", PLACES)
def test_an_account_sync_that_dies_is_done_again(
    scene: Scene, behind: Harness, place: str, how: str
) -> None:
    """Lists, changes and numbers of the whole account are exact after the next sync."""
    name, _, nth = place.partition(":")
    assert scene.differences(), "there is nothing that could be lost"

    assert scene.crash("account_sync", f"{name}:{how}:{nth or 1}")

    scene.assert_nothing_early()
    scene.recover("account_sync")
    scene.assert_whole()


@pytest.mark.slow
@pytest.mark.parametrize("place", ["before_commit", "after_commit"])
def test_an_account_sync_that_dies_at_any_commit_is_done_again(
    scene: Scene, behind: Harness, place: str
) -> None:
    """Killed at its first, second, third ... commit, until it gets through alive."""
    for nth in itertools.count(1):
        if not scene.crash("account_sync", f"{place}:SIGKILL:{nth}"):
            break
        scene.assert_nothing_early()
    assert nth > 10
    scene.assert_whole()
