"""The rules that hold after every tick, one function each. See oracle.py for their list."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import quote

from adsync_dagster.simulator.entities import SimEntity
from adsync_dagster.simulator.instants import HOUR
from adsync_dagster.simulator.oracle_records import (
    NO_NUMBERS,
    CellKey,
    ChangeRow,
    DayKey,
    EntityKey,
    EntityRow,
    Memory,
    Numbers,
    Snapshot,
    Status,
    Tick,
    Violation,
)
from adsync_dagster.simulator.oracle_truth import (
    LEVELS,
    Truth,
)

#: Work of one tick on the small accounts of simulated runs: whatever it does, and then for each
#: day and level that was not sealed before it. Drawn platforms give as little as two days a
#: report, and tell of a level only in a report for each campaign.
REQUESTS_MAX, REQUESTS_PER_OPEN_DAY_MAX = 500, 8
STATEMENTS_MAX, STATEMENTS_PER_OPEN_DAY_MAX = 1_500, 8
_STUB: Status = ("UNKNOWN", "UNKNOWN")


@dataclass(frozen=True, slots=True)
class Scene:
    """What a check looks at."""

    truth: Truth
    now: Snapshot
    tick: Tick
    memory: Memory = field(default_factory=Memory)
    secrets: tuple[str, ...] = ()

    def wrong(self, check: str, message: str) -> Violation:
        """A violation of this tick."""
        return Violation(check, message, self.tick.number)

    def told(self, key: EntityKey, day: int, numbers: Numbers, since: int = 0) -> bool:
        """Whether an answer given from `since` on within the tick told these numbers."""
        return any(
            answered >= since and self.truth.numbers(key, day, at) == numbers
            for answered, at in self.numbers_seen(key[0])
        )

    def numbers_seen(self, account: str) -> Iterator[tuple[int, int]]:
        """When the account's platform answered, and the instant it told of; the latest first."""
        return reversed(self.tick.numbers_seen[self.truth.platform(account)])

    def is_silent(self, account: str) -> bool:
        """Whether the account's platform left out rows in this tick without a trace."""
        return self.tick.was_silent(self.truth.platform(account))

    def is_silent_again(self, key: EntityKey, day: int) -> bool:
        """Whether rows were left out in this tick as in one an hour ago, which found the day apart.

        What two syncs an hour apart hear in three reports is believed: a declared limit. It is
        never final (see check_sealed), and never wrong in the end.
        """
        account, level, _ = key
        row = self.now.days.get((account, day, level))
        before = self.now.days_before.get((account, day, level), row)
        first = self.memory.silent.get(self.truth.platform(account))
        return (
            self.is_silent(account)
            and first is not None
            and self.tick.started - first >= HOUR
            and before is not None
            and before.total != before.stored
        )

    def stored(self, key: EntityKey, day: int) -> Numbers:
        """The stored numbers; no row is the same as zero."""
        row = self.now.cells.get((*key, day))
        return NO_NUMBERS if row is None else _plain(row.numbers)


def _plain(numbers: Numbers) -> Numbers:
    """Without reach when nothing else is there: a zeroed row."""
    return tuple(numbers) if any(numbers[index] for index in (0, 1, 3, 5, 6)) else NO_NUMBERS


def check_numbers(scene: Scene) -> list[Violation]:
    """O1: a written row is what the platform told at some instant of this tick."""
    wrong = []
    for cell in scene.now.cells_before:
        key, day = _entity(cell), cell[3]
        if cell[2] is None or scene.truth.find(key) is None:
            wrong.append(scene.wrong("O4", f"numbers of nobody: {cell}"))
            continue
        row = scene.now.cells[cell]
        numbers = _plain(row.numbers)
        if row.read_started is not None and row.read_started > scene.tick.ended:
            wrong.append(scene.wrong("O1", f"{cell} comes from a read in the future"))
        if numbers == NO_NUMBERS and scene.is_silent_again(key, day):
            continue
        if not scene.told(key, day, numbers):
            truth = scene.truth.numbers(key, day, scene.tick.ended)
            wrong.append(
                scene.wrong("O1", f"{cell} holds {words_of(numbers)}, truth {words_of(truth)}")
            )
    return wrong


def check_done(scene: Scene) -> list[Violation]:
    """O2: what became done in this tick has every open day of everything under it stored."""
    wrong = []
    for id_, before in scene.now.changes_before.items():
        change = scene.now.changes[id_]
        if change.completed is not True or (before is not None and before.completed):
            continue
        for key in sorted(_subjects(scene, change)):
            wrong += _missing_days(scene, key, change)
    return wrong


def _subjects(scene: Scene, change: ChangeRow) -> set[EntityKey]:
    """The entity and all under it, as far as anybody could have told the warehouse."""
    found = {change.key} if scene.truth.find(change.key) is not None else set()
    for key in scene.truth.below(change.key):
        row = scene.now.entities.get(key)
        if row is None or _was_seen_since(scene, key, row, change):
            continue
        if _is_agreed(scene, key, row) or _was_told(scene, key):
            found.add(key)
    return found


def _was_seen_since(scene: Scene, key: EntityKey, row: EntityRow, change: ChangeRow) -> bool:
    """Whether the entity was first seen after the change was done, later in this same tick."""
    is_new = key in scene.now.entities_before and scene.now.entities_before[key] is None
    return is_new and change.done is not None and row.created > change.done


def _is_agreed(scene: Scene, key: EntityKey, row: EntityRow) -> bool:
    """Whether the warehouse knew the parents of now, and not only since this tick."""
    before = scene.now.entities_before.get(key) or row
    stored = {(one.parent_id, one.campaign_id) for one in (before, row)}
    return stored == {scene.truth.parents(key, scene.tick.ended)}


def _was_told(scene: Scene, key: EntityKey) -> bool:
    """Whether a clean whole sync had to see the parent that the entity has now."""
    since = scene.memory.synced_clean.get(key[0])
    if since is None or not scene.truth.is_listed(key, since):
        return False
    return scene.truth.parents(key, since) == scene.truth.parents(key, scene.tick.ended)


def _missing_days(scene: Scene, key: EntityKey, change: ChangeRow) -> list[Violation]:
    account = scene.now.accounts[key[0]]
    if account.history_start is None:
        return [scene.wrong("O2", f"{change.key} done before any day was read")]
    today = scene.truth.zone(key[0]).day(scene.tick.ended)
    wrong = []
    for day in range(account.history_start, today + 1):
        if _is_sealed(scene, key[0], day):
            continue
        numbers = scene.stored(key, day)
        if numbers == NO_NUMBERS and scene.is_silent(key[0]):
            continue
        if not scene.told(key, day, numbers, since=change.created):
            truth = scene.truth.numbers(key, day, scene.tick.ended)
            wrong.append(
                scene.wrong(
                    "O2",
                    f"{change.key} is done, but day {day} of {key} holds {words_of(numbers)},"
                    f" truth {words_of(truth)}",
                )
            )
    return wrong


def _is_sealed(scene: Scene, account: str, day: int) -> bool:
    rows = [scene.now.days.get((account, day, level)) for level in LEVELS]
    return all(row is not None and row.state == "sealed" for row in rows)


def check_statuses(scene: Scene) -> list[Violation]:
    """O3: a status written in this tick was true when the platform was asked."""
    wrong = []
    for key, before in scene.now.entities_before.items():
        row = scene.now.entities[key]
        if scene.truth.find(key) is None:
            wrong.append(scene.wrong("O4", f"an entity that never was: {key}"))
        elif _is_old_news(before, row) or _was_planted(scene, key, row.status):
            continue
        elif not _was_true(scene, key, row.status):
            truth = scene.truth.status(key, scene.tick.ended)
            wrong.append(scene.wrong("O3", f"{key} is stored as {row.status}, truth {truth}"))
    return wrong


def _words(entity: SimEntity) -> Status:
    return (entity.now.own, entity.now.effective)


def _is_old_news(before: EntityRow | None, row: EntityRow) -> bool:
    unchanged = before is not None and before.status == row.status
    return unchanged or (row.is_stub and row.status == _STUB)


def _was_planted(scene: Scene, key: EntityKey, status: Status) -> bool:
    """Whether a fault that struck in this very tick put the word there."""
    planted = scene.tick.planted.get(scene.truth.platform(key[0]), frozenset())
    return not planted.isdisjoint({word for word in status if word})


def _was_true(scene: Scene, key: EntityKey, status: Status) -> bool:
    seen = scene.tick.entities_seen[scene.truth.platform(key[0])]
    return any(scene.truth.status(key, at) == status for _, at in seen)


def check_nothing_lost(scene: Scene) -> list[Violation]:
    """O4: tables only grow."""
    names = ("entities", "numbers", "changes", "account days")
    pairs = zip(names, scene.now.counts_before, scene.now.counts, strict=True)
    held = (
        len(scene.now.entities),
        len(scene.now.cells),
        len(scene.now.changes),
        len(scene.now.days),
    )
    wrong = [
        scene.wrong("O4", f"{before - after} rows of {name} vanished")
        for name, before, after in pairs
        if after < before
    ]
    if held != scene.now.counts:
        wrong.append(scene.wrong("O4", f"rows were replaced: {held} keys, {scene.now.counts} rows"))
    return wrong


def check_change_states(scene: Scene) -> list[Violation]:
    """O5: owed becomes done and nothing else; attempts never shrink; identity stays."""
    wrong = []
    for id_, before in scene.now.changes_before.items():
        after = scene.now.changes[id_]
        if before is None:
            continue
        if before.completed != after.completed and (before.completed, after.completed) != (
            False,
            True,
        ):
            wrong.append(scene.wrong("O5", f"{before.completed} became {after.completed}: {id_}"))
        if after.attempts < before.attempts:
            wrong.append(scene.wrong("O5", f"attempts of {id_} shrank"))
        same = ("key", "old_status", "new_status", "source", "created", "old", "new", "sequence")
        if any(getattr(before, name) != getattr(after, name) for name in same):
            wrong.append(scene.wrong("O5", f"the change {id_} was rewritten"))
    return wrong


def check_secrets(scene: Scene) -> list[Violation]:
    """O8: no token in a log line, an error or a stored text."""
    texts = [scene.tick.log_text]
    texts += [account.texts for account in scene.now.accounts.values()]
    texts += [scene.now.changes[id_].error for id_ in scene.now.changes_before]
    everything = "\n".join(texts)
    return [
        scene.wrong("O8", "a token was written")
        for secret in scene.secrets
        if any(form in everything for form in _forms_of(secret))
    ]


@cache
def _forms_of(secret: str) -> frozenset[str]:
    """A secret as it is, quoted for a URL, in hexadecimal, and inside of any base64 text."""
    plain = secret.encode()
    # Three bytes are four characters: what is before and behind shifts and colours the ends.
    inside = (b64encode(bytes(shift) + plain).decode() for shift in range(3))
    encoded = {text[4:].rstrip("=")[:-1] for text in inside}
    return frozenset({secret, quote(secret, safe=""), plain.hex(), *encoded})


def check_completeness(scene: Scene) -> list[Violation]:
    """O12: a whole sync that met no fault leaves every status and every parent as they are."""
    return [
        violation
        for account in sorted(scene.tick.synced)
        if not scene.tick.was_struck(scene.truth.platform(account))
        for violation in check_account(scene, account)
    ]


def check_account(scene: Scene, account: str) -> list[Violation]:
    """O12 for one account, whatever was reported of its sync."""
    return [
        violation
        for level in LEVELS
        for key in scene.truth.keys(account, level)
        for violation in _check_current(scene, key)
    ]


def _check_current(scene: Scene, key: EntityKey) -> list[Violation]:
    row, entity = scene.now.entities.get(key), scene.truth.find(key)
    if row is None:
        # Created meanwhile, or gone before anyone looked: declared as never observable.
        listed = scene.truth.is_listed(key, scene.tick.started)
        return [scene.wrong("O12", f"{key} exists and was not seen")] if listed else []
    gone = False
    if scene.truth.platform(key[0]) == "facebook":
        # Known from numbers only, and never listed: the next sync asks for it by id.
        # Meta lists nothing under a deleted parent: an own switch can be flipped unseen there.
        if row.is_stub and entity and "DELETED" in _words(entity):
            return []
        deleted = entity is not None and entity.now.effective == "DELETED"
        gone = deleted and row.status[1] == "DELETED"
    if not gone and not _was_true(scene, key, row.status):
        truth = scene.truth.status(key, scene.tick.ended)
        return [scene.wrong("O12", f"{key} is stored as {row.status}, truth {truth}")]
    return [] if gone else _check_parents(scene, key, row)


def _check_parents(scene: Scene, key: EntityKey, row: EntityRow) -> list[Violation]:
    stored = (row.parent_id, row.campaign_id)
    seen = scene.tick.entities_seen[scene.truth.platform(key[0])]
    if any(scene.truth.parents(key, at) == stored for _, at in seen):
        return []
    truth = scene.truth.parents(key, scene.tick.ended)
    return [scene.wrong("O12", f"{key} is stored under {stored}, truth {truth}")]


def check_work(scene: Scene) -> list[Violation]:
    """O14: a tick costs what its open days are worth, whatever fails."""
    days = sum(_was_open(scene.now, key) for key in scene.now.days)
    bounds = (
        ("requests", scene.tick.requests, REQUESTS_MAX + REQUESTS_PER_OPEN_DAY_MAX * days),
        ("statements", scene.tick.statements, STATEMENTS_MAX + STATEMENTS_PER_OPEN_DAY_MAX * days),
    )
    return [
        scene.wrong("O14", f"{count} {what} for {days} open days of a level, more than {bound}")
        for what, count, bound in bounds
        if count > bound
    ]


def _was_open(now: Snapshot, key: DayKey) -> bool:
    """Whether a day of a level was not sealed when the tick began."""
    before = now.days_before.get(key, now.days[key])
    return before is None or before.state != "sealed"


def _entity(cell: CellKey) -> EntityKey:
    return cell[:3]


def words_of(numbers: Iterable[object]) -> str:
    """Numbers as a message shows them."""
    return "/".join(str(number) for number in numbers)
