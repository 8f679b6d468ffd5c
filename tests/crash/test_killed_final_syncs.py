"""A final sync dies at every named place: the next worker takes over at once, and is exact."""

from __future__ import annotations

import itertools

import pytest
from crash_scene import Scene

#: The places of a final sync, and at which visits to die: the transactions before the third
#: one are the account's own facts and the claim.
PLACES = (
    "claim_committed",
    "before_first_request",
    "page_copied",
    "between_pages",
    "after_last_page",
    "metrics_merged",
    "changes_completed",
    "before_commit:3",
    "after_commit:3",
)


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM"])
@pytest.mark.parametrize("place", PLACES)
def test_a_final_sync_that_dies_is_taken_over(scene: Scene, place: str, how: str) -> None:
    """What it had not committed stays pending under its dead claim, until the next one is done."""
    name, _, nth = place.partition(":")
    owed, owing = scene.owed(), scene.harness.pending()
    assert scene.differences(owed), "there is nothing that could be lost"

    assert scene.crash("final_sync", f"{name}:{how}:{nth or 1}")

    scene.assert_nothing_early()
    assert scene.claims() == {(True, scene.harness.pending())}
    if name == "after_commit":
        assert scene.harness.pending() < owing
    else:
        assert scene.harness.pending() == owing
    scene.recover("final_sync")
    scene.assert_whole(owed)


@pytest.mark.parametrize("place", ["before_commit", "after_commit", "page_copied"])
def test_a_final_sync_that_dies_at_any_moment_is_taken_over(scene: Scene, place: str) -> None:
    """Killed at its first, second, third ... commit or page, until it gets through alive."""
    owed = scene.owed()
    for nth in itertools.count(1):
        if not scene.crash("final_sync", f"{place}:SIGKILL:{nth}"):
            break
        scene.assert_nothing_early()
    assert nth > 2
    scene.assert_whole(owed)


def test_a_claim_supersedes_the_one_before(scene: Scene) -> None:
    """Every worker that dies leaves its own token; the next claims the same changes again."""
    tokens = set()
    for _ in range(3):
        assert scene.crash("final_sync", "claim_committed:SIGKILL")
        [row] = scene.harness.query(
            "SELECT DISTINCT claim_token FROM ad_status_change_log WHERE NOT final_sync_completed"
        )
        tokens.add(row["claim_token"])
    assert len(tokens) == 3
    assert None not in tokens
