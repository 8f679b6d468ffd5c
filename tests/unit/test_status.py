"""The rule which transitions owe a final sync, for every pair of statuses."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adsync_dagster.status import DELIVERING, OwnStatus, is_delivering, requires_final_sync

STOPPED = [
    "PAUSED",
    "ARCHIVED",
    "DELETED",
    "UNKNOWN",
    "CAMPAIGN_PAUSED",
    "ADSET_PAUSED",
    "PENDING_REVIEW",
    "DISAPPROVED",
    "IN_PROCESS",
    "ACCOUNT_DISABLED",
    "A_WORD_OF_NEXT_YEAR",
    "",
]
words = st.none() | st.text(max_size=12) | st.sampled_from([*STOPPED, *DELIVERING, "active"])


@pytest.mark.parametrize("status", ["ACTIVE", "active", "With_Issues"])
def test_delivering_statuses(status: str) -> None:
    """ACTIVE and WITH_ISSUES can spend, in any spelling of case."""
    assert is_delivering(status)


@pytest.mark.parametrize("status", [None, *STOPPED])
def test_every_other_status_counts_as_stopped(status: str | None) -> None:
    """Unknown words count as stopped: that syncs more, never less."""
    assert not is_delivering(status)


@pytest.mark.parametrize(("old", "new"), list(itertools.product(sorted(DELIVERING), STOPPED)))
def test_stopping_owes_a_final_sync(old: str, new: str) -> None:
    """From delivering to anything stopped a final sync is owed."""
    assert requires_final_sync(old, new)
    assert requires_final_sync(old.lower(), new.lower())


@pytest.mark.parametrize("new", STOPPED)
def test_first_seen_stopped_owes_a_final_sync(new: str) -> None:
    """An entity that nobody saw alive may have spent before anyone looked."""
    assert requires_final_sync(None, new)


@pytest.mark.parametrize(
    ("old", "new"), list(itertools.product([None, *STOPPED], sorted(DELIVERING)))
)
def test_starting_owes_nothing(old: str | None, new: str) -> None:
    """An entity that starts, or is first seen running, will be read by every sync anyway."""
    assert not requires_final_sync(old, new)


@pytest.mark.parametrize(("old", "new"), list(itertools.product(STOPPED, STOPPED)))
def test_stopped_to_stopped_owes_nothing_new(old: str, new: str) -> None:
    """PAUSED to DELETED adds nothing: the step that stopped it owed the final sync already."""
    assert not requires_final_sync(old, new)


@given(words, words)
def test_no_stop_is_forgotten_on_any_path(start: str | None, end: str | None) -> None:
    """Whatever lies between, going from delivering to stopped owes at least one final sync."""
    for middle in (*STOPPED, *DELIVERING):
        steps = [requires_final_sync(start, middle), requires_final_sync(middle, end)]
        if (start is None or is_delivering(start)) and not is_delivering(end):
            assert any(steps)


def test_own_statuses_are_the_words_of_the_tables() -> None:
    """The normalised vocabulary is closed: these five words and no other."""
    assert {status.value for status in OwnStatus} == {
        "ACTIVE",
        "PAUSED",
        "ARCHIVED",
        "DELETED",
        "UNKNOWN",
    }
