"""Windows of accounts: contiguous, bounded, complete, and never over an account to avoid."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adsync_dagster.assets.windows import (
    PARTITION_TAG,
    RANGE_END_TAG,
    RANGE_START_TAG,
    Window,
    cut_windows,
    keys_of_run,
    oldest_first,
)

KEYS = [f"facebook:act_{number}" for number in range(10)]


@given(
    count=st.integers(0, 60),
    size=st.integers(1, 12),
    wanted=st.sets(st.integers(0, 59)),
    avoid=st.sets(st.integers(0, 59)),
)
def test_every_wanted_account_is_covered_once_and_none_to_avoid(
    count: int, size: int, wanted: set[int], avoid: set[int]
) -> None:
    """The ranges of all windows hold each wanted key once and never one that is to be avoided."""
    keys = [str(number) for number in range(count)]
    wanted_keys = {str(number) for number in wanted}
    avoided = {str(number) for number in avoid}
    windows = cut_windows(keys, size=size, wanted=wanted_keys, avoid=avoided)

    covered = [
        key
        for window in windows
        for key in keys[keys.index(window.first) : keys.index(window.last) + 1]
    ]
    assert len(covered) == len(set(covered))
    assert avoided.isdisjoint(covered)
    assert {key for window in windows for key in window.wanted} == (
        wanted_keys & set(keys)
    ) - avoided
    assert all(keys.index(window.last) - keys.index(window.first) < size for window in windows)


def test_a_burst_over_all_accounts_asks_for_one_window_per_size() -> None:
    """However many accounts are pending, there are at most ceil(accounts / size) windows."""
    windows = cut_windows(KEYS, size=4, wanted=set(KEYS))

    assert [len(window.wanted) for window in windows] == [4, 4, 2]


def test_windows_are_cut_at_the_same_places_whatever_is_wanted() -> None:
    """A window never reaches over a fixed boundary, so neighbours of a burst stay apart."""
    windows = cut_windows(KEYS, size=5, wanted={KEYS[4], KEYS[5]})

    assert [window.wanted for window in windows] == [(KEYS[4],), (KEYS[5],)]


def test_a_single_account_is_a_partition_and_several_are_a_range() -> None:
    """One account travels as a partition key, several as the two range tags."""
    single, several = Window(wanted=(KEYS[3],)), Window(wanted=(KEYS[3], KEYS[6]))

    assert single.partition_key == KEYS[3]
    assert single.range_tags == {}
    assert several.partition_key is None
    assert several.range_tags == {RANGE_START_TAG: KEYS[3], RANGE_END_TAG: KEYS[6]}


def test_a_window_without_accounts_is_refused() -> None:
    """A window size below one is a mistake of the caller, not an endless list of windows."""
    with pytest.raises(ValueError, match="at least one account"):
        cut_windows(KEYS, size=0, wanted=set(KEYS))


def test_the_keys_of_a_run_follow_from_its_tags() -> None:
    """Single partitions, ranges and runs without partitions are told apart."""
    assert keys_of_run({PARTITION_TAG: KEYS[2]}, KEYS) == [KEYS[2]]
    assert keys_of_run({RANGE_START_TAG: KEYS[2], RANGE_END_TAG: KEYS[4]}, KEYS) == KEYS[2:5]
    assert keys_of_run({RANGE_START_TAG: "gone", RANGE_END_TAG: KEYS[4]}, KEYS) == []
    assert keys_of_run({}, KEYS) == []


def test_the_window_that_waited_longest_comes_first() -> None:
    """Order follows the oldest pending change in a window, so that no window can starve."""
    start = datetime(2026, 3, 1, tzinfo=UTC)
    since = {key: start + timedelta(minutes=number) for number, key in enumerate(KEYS)}
    late, early = Window(wanted=(KEYS[8], KEYS[9])), Window(wanted=(KEYS[7], KEYS[0]))

    assert oldest_first([late, early], since) == [early, late]
