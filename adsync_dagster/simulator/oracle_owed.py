"""The rule of what is owed: whatever is seen to stop needs a last look at its numbers."""

from __future__ import annotations

from adsync_dagster.simulator.oracle_online import Scene
from adsync_dagster.simulator.oracle_records import ChangeRow, Violation
from adsync_dagster.simulator.oracle_truth import can_spend, delivers


def check_owed(scene: Scene) -> list[Violation]:
    """O5: a change logged in this tick owes a final sync when something stopped by it."""
    fresh = [scene.now.changes[id_] for id_, old in scene.now.changes_before.items() if old is None]
    return [
        scene.wrong("O5", f"a stop that owes nothing: {change}")
        for change in fresh
        if change.completed is None and _is_stop(scene, change)
    ]


def was_synced_before(scene: Scene, account: str) -> bool:
    """Whether a whole sync of the account succeeded before this tick.

    Either of the two may say so: the mark in the warehouse, or that the sync itself did.
    """
    row = scene.now.accounts_before.get(account)
    return account in scene.memory.synced or (row is not None and row.first_synced)


def _is_stop(scene: Scene, change: ChangeRow) -> bool:
    """Whether the own or the effective status went from spending to anything else.

    What a first complete sync finds stopped has stopped before anybody watched.
    """
    if change.source == "first_sight":
        return was_synced_before(scene, change.key[0]) and not delivers(change.new)
    if change.source == "change_history":
        return _stops(change.old_status, change.new_status)
    return any(map(_stops, change.old, change.new))


def _stops(old: str | None, new: str | None) -> bool:
    return new is not None and can_spend(old) and not can_spend(new)
