"""Cutting the ordered list of accounts into the windows that runs are made of. Pure rules.

Dagster names the partitions of a run by the first and the last key of a range in *insertion
order*, so a window is contiguous in that order and must not span an account that is not meant:
everything between its ends is synced. The list is cut at the same places every time, so a
burst of any size asks for at most one run per window and gap.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

#: Dagster's own tags for one partition and for a range of them.
PARTITION_TAG = "dagster/partition"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A contiguous piece of the partition list, and the wanted keys in it, in order."""

    wanted: tuple[str, ...]

    @property
    def first(self) -> str:
        return self.wanted[0]

    @property
    def last(self) -> str:
        return self.wanted[-1]

    @property
    def partition_key(self) -> str | None:
        """The key when the window is a single account, else None."""
        return self.first if self.first == self.last else None

    @property
    def range_tags(self) -> dict[str, str]:
        """The run tags that name the range; empty for a single account."""
        if self.first == self.last:
            return {}
        return {RANGE_START_TAG: self.first, RANGE_END_TAG: self.last}


def cut_windows(
    keys: Sequence[str],
    *,
    size: int,
    wanted: Collection[str],
    avoid: Collection[str] = frozenset(),
) -> list[Window]:
    """The windows of at most `size` accounts that hold every wanted key and no avoided one.

    `keys` is the whole partition list in insertion order. A window reaches from its first to
    its last wanted key; keys between them that are neither wanted nor avoided come along.
    """
    if size < 1:
        raise ValueError("a window needs at least one account")
    windows: list[Window] = []
    for start in range(0, len(keys), size):
        segment: list[str] = []
        for key in keys[start : start + size]:
            if key in avoid:
                windows += _window(segment)
                segment = []
            elif key in wanted:
                segment.append(key)
        windows += _window(segment)
    return windows


def _window(segment: Sequence[str]) -> list[Window]:
    return [Window(wanted=tuple(segment))] if segment else []


def keys_of_run(tags: Mapping[str, str], keys: Sequence[str]) -> list[str]:
    """The partition keys that a run with these tags covers; keys no longer known are dropped."""
    single = tags.get(PARTITION_TAG)
    if single is not None:
        return [single]
    first, last = tags.get(RANGE_START_TAG), tags.get(RANGE_END_TAG)
    if first is None or last is None or first not in keys or last not in keys:
        return []
    return list(keys[keys.index(first) : keys.index(last) + 1])


def oldest_first(windows: Iterable[Window], waiting_since: Mapping[str, datetime]) -> list[Window]:
    """The windows in the order of their longest waiting key, so that none can starve."""
    return sorted(windows, key=lambda window: min(waiting_since[key] for key in window.wanted))
