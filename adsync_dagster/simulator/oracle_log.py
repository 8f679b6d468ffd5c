"""The rules of the change log: true steps without a gap, each logged, and each logged once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adsync_dagster.simulator.entities import Activity
from adsync_dagster.simulator.oracle_online import Scene
from adsync_dagster.simulator.oracle_owed import was_synced_before
from adsync_dagster.simulator.oracle_records import (
    ChangeRow,
    EntityKey,
    EntityRow,
    Status,
    Violation,
)
from adsync_dagster.simulator.oracle_truth import delivers, is_on

_TOLD_BY_TRIGGER = frozenset({"trigger", "first_sight"})
#: From on to off, or from off to on.
Flip = tuple[bool, bool]


def check_steps(scene: Scene) -> list[Violation]:
    """O3: log rows lead without a gap from the status before the tick to the one after it."""
    steps: dict[EntityKey, list[ChangeRow]] = {}
    wrong = []
    for id_, before in scene.now.changes_before.items():
        change = scene.now.changes[id_]
        if before is not None:
            continue
        if change.source in _TOLD_BY_TRIGGER:
            steps.setdefault(change.key, []).append(change)
        else:
            wrong += _check_hint(scene, change)
    for key in {*steps, *scene.now.entities_before}:
        wrong += _check_chain(scene, key, steps.get(key, []))
    return wrong


def _check_chain(scene: Scene, key: EntityKey, steps: Sequence[ChangeRow]) -> list[Violation]:
    row = scene.now.entities.get(key)
    if row is None:
        return [scene.wrong("O3", f"a change of an unknown entity: {key}")]
    before = scene.now.entities_before.get(key, row)
    status: Status | None = None if before is None else before.status
    for step in sorted(steps, key=lambda change: change.sequence):
        # The log keeps steps of whatever was never stored before as a first sight.
        if status is not None and step.old != status:
            return [scene.wrong("O3", f"{key} steps from {step.old}, but it was {status}")]
        if status is None and step.source != "first_sight":
            return [scene.wrong("O3", f"{key} steps from {step.old} before it was ever seen")]
        status = step.new
    if status is None:
        return _check_first_sight(scene, key, row)
    if status != row.status:
        return [scene.wrong("O3", f"{key} became {row.status}; the log only leads to {status}")]
    return []


def _check_first_sight(scene: Scene, key: EntityKey, row: EntityRow) -> list[Violation]:
    """An entity first seen stopped is logged, once its account has had a complete sync."""
    if row.is_stub or delivers(row.status) or not was_synced_before(scene, key[0]):
        return []
    return [scene.wrong("O3", f"{key} was first seen {row.status} and nothing was logged")]


def _check_hint(scene: Scene, change: ChangeRow) -> list[Violation]:
    """What a change history or the safety net added must have happened."""
    if change.source == "change_history":
        if any(_tells_of(scene, change, one) for one in scene.truth.switches(change.key)):
            return []
    elif change.source == "safety_net":
        # What it found stopped may be running again by the end of the tick.
        row = scene.now.entities.get(change.key)
        before = scene.now.entities_before.get(change.key, row)
        if any(one is not None and not delivers(one.status) for one in (row, before)):
            return []
    return [scene.wrong("O3", f"{change.source} logged what never was: {change}")]


def _tells_of(scene: Scene, change: ChangeRow, switch: Activity) -> bool:
    """Whether a row of the history is about this very switch, from its old to its new end.

    Meta's labels tell on from off and no more; a last row's new word is what a read saw since.
    """
    same = (is_on(change.old_status), is_on(change.new_status)) == _ends(switch)
    if scene.truth.platform(change.key[0]) == "google_ads":
        same = same and change.old_status == switch.old
    return same and change.source == "change_history" and _same_second(scene, change, switch.at)


def _ends(switch: Activity) -> Flip:
    return is_on(switch.old), is_on(switch.new)


def _same_second(scene: Scene, change: ChangeRow, at: int) -> bool:
    """Whether a change is dated by this instant, as far as the platform's times tell."""
    occurred = change.occurred or 0
    if occurred // 1_000_000 == at // 1_000_000:
        return True
    # Google writes local times without an offset: an autumn night has an hour twice.
    zone = scene.truth.zone(change.key[0])
    walls = [zone.local(stamp).replace(tzinfo=None, microsecond=0) for stamp in (occurred, at)]
    return scene.truth.platform(change.key[0]) == "google_ads" and walls[0] == walls[1]


def _flip_of(change: ChangeRow) -> Flip | None:
    """How the entity's own switch was flipped; None where it stood still."""
    old, new = _words_of(change)
    if change.source == "first_sight":
        # Unless it was created stopped: see _check_flips.
        return None if is_on(new) else (True, False)
    if old is None or new is None or is_on(old) is is_on(new):
        return None
    return is_on(old), is_on(new)


def check_history(scene: Scene) -> list[Violation]:
    """O12: a clean whole sync knows whatever the platform's own history names, and logs each
    switch that it tells."""
    wrong = []
    for account in sorted(scene.tick.synced):
        since, platform = scene.memory.synced.get(account), scene.truth.platform(account)
        if since is None or scene.tick.was_struck(platform):
            continue
        # A history without its rows is read like any other, also by a sync that fails later.
        since = max(since, scene.memory.silent_last.get(platform, since))
        for told in scene.truth.told_between(account, since, scene.tick.started):
            wrong += _check_told(scene, (account, told.level, told.entity_id), told)
    return wrong


def _check_told(scene: Scene, key: EntityKey, told: Activity) -> list[Violation]:
    row = scene.now.entities.get(key)
    if (row is None or row.is_stub) and not scene.truth.is_without_rows(key):
        return [scene.wrong("O12", f"the history tells of {key}, which was never found")]
    if told.kind != "status" or is_on(told.old) is is_on(told.new):
        return []
    if not _was_known(scene, key, told.at) or _is_logged(scene, key, told):
        return []
    return [scene.wrong("O12", f"{key}: {told.old} to {told.new} was not logged")]


def _was_known(scene: Scene, key: EntityKey, at: int) -> bool:
    """Whether the entity was known before the tick, and had been seen at that instant.

    What befell it before anybody saw it is no change of anything stored. What was known from
    numbers only is seen later than its row was made.
    """
    row: EntityRow | None = scene.now.entities.get(key)
    row = scene.now.entities_before.get(key, row)
    if row is None or row.is_stub:
        return False
    sights = (one.created for one in _rows_of(scene, key) if one.source == "first_sight")
    return max(sights, default=row.created) <= at


def _is_logged(scene: Scene, key: EntityKey, switch: Activity) -> bool:
    return any(
        _tells_of(scene, change, switch)
        or (change.source != "change_history" and change.created >= switch.at)
        for change in _rows_of(scene, key)
        if _flip_of(change) == _ends(switch)
    )


def _rows_of(scene: Scene, key: EntityKey) -> Iterator[ChangeRow]:
    return (change for change in scene.now.changes.values() if change.key == key)


def check_duplicates(scene: Scene) -> list[Violation]:
    """O13: of the flips of a switch no more are logged than there were.

    A history may tell of one before a list does that failed or lied; what was read is logged all
    the same. So histories count against everything before them, and reads against each other.
    """
    fresh: dict[EntityKey, list[ChangeRow]] = {}
    for id_, before in scene.now.changes_before.items():
        if before is None:
            change = scene.now.changes[id_]
            fresh.setdefault(change.key, []).append(change)
    return [
        violation for key in sorted(fresh) for violation in _check_flips(scene, key, fresh[key])
    ]


def _check_flips(scene: Scene, key: EntityKey, fresh: Sequence[ChangeRow]) -> list[Violation]:
    platform, entity = scene.truth.platform(key[0]), scene.truth.find(key)
    if entity is None or platform in scene.memory.misled or scene.tick.was_misled(platform):
        # Whoever was shown an older status saw it come and go.
        return []
    was_on = is_on(entity.versions[0].own)
    rows = [
        change
        for change in _rows_of(scene, key)
        if change.source != "safety_net" and (was_on or change.source != "first_sight")
    ]
    switches = scene.truth.switches(key)
    return [
        scene.wrong("O13", f"{key}: logged once more than it happened: {change}")
        for change in fresh
        if change in rows and _is_once_more(platform, change, rows, switches)
    ]


def _is_once_more(
    platform: str, change: ChangeRow, rows: Sequence[ChangeRow], switches: Sequence[Activity]
) -> bool:
    """Whether the row tells again what rows before it have told."""
    flip, by_history = _flip_of(change), change.source == "change_history"
    if flip is None:
        return False
    before = [row for row in rows if row.sequence <= change.sequence and _flip_of(row) == flip]
    happened = [one for one in switches if _ends(one) == flip]
    if not by_history:
        before = [row for row in before if row.source != "change_history"]
    elif platform == "google_ads":
        # Its history has words: a read that saw two steps as one has told neither of them.
        words = (change.old_status, change.new_status)
        before = [row for row in before if _words_of(row) == words]
        happened = [one for one in happened if (one.old, one.new) == words]
    return len(before) > len(happened)


def _words_of(change: ChangeRow) -> Status:
    """Old and new word of the own switch."""
    if change.source == "change_history":
        return change.old_status, change.new_status
    return change.old[0], change.new[0]
