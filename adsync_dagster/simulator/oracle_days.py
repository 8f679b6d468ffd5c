"""The rules about account days: what may be sealed, and what totals, sums and rests must be."""

from __future__ import annotations

from adsync_dagster.simulator.oracle_online import Scene, words_of
from adsync_dagster.simulator.oracle_records import (
    DayKey,
    DayRow,
    Numbers,
    Violation,
)
from adsync_dagster.simulator.oracle_truth import LEVELS, add_totals, total_of


def check_sealed(scene: Scene) -> list[Violation]:
    """O6: a day sealed in this tick was read after window and margin, and holds the final truth."""
    wrong = []
    for key, before in scene.now.days_before.items():
        row = scene.now.days[key]
        if before is not None and before.state == "sealed" and row.state != "sealed":
            wrong.append(scene.wrong("O6", f"{key} was sealed and is {row.state}"))
        if row.state != "sealed" or (before is not None and before.state == "sealed"):
            continue
        account, day, level = key
        final_from = scene.truth.sealable_at(account, day)
        if row.read_started is None or row.read_started < final_from:
            wrong.append(scene.wrong("O6", f"{key} was sealed by a read that came too early"))
        wrong += _check_final(scene, account, day, level)
    return wrong


def _check_final(scene: Scene, account: str, day: int, level: str) -> list[Violation]:
    """Every known entity exact, and the rest exactly what the unknown ones had."""
    wrong, unknown = [], []
    for key in scene.truth.keys(account, level):
        truth = scene.truth.numbers(key, day, scene.tick.ended)
        if key not in scene.now.entities:
            unknown.append(total_of(truth))
        elif scene.stored(key, day) != truth:
            stored = words_of(scene.stored(key, day))
            wrong.append(
                scene.wrong("O6", f"sealed day {day} of {key}: {stored}, truth {words_of(truth)}")
            )
    row = scene.now.days[(account, day, level)]
    if not wrong and row.total is not None and row.stored is not None:
        rest = rest_of(row)
        if rest != add_totals(unknown):
            wrong.append(scene.wrong("O10", f"sealed day {day} {level}: rest {rest}"))
    return wrong


def check_days(scene: Scene) -> list[Violation]:
    """O7: totals were told, sums are the sums, a rest on a reconciled day has a reason."""
    wrong = []
    for key in scene.now.days_before:
        row = scene.now.days[key]
        if row.total is not None and not _total_was_told(scene, key[0], key[1], row.total):
            before = scene.now.days_before[key]
            is_new = before is None or before.total != row.total
            if is_new and (row.state == "sealed" or not scene.is_silent(key[0])):
                wrong.append(scene.wrong("O7", f"{key}: nobody told the total {row.total}"))
        if row.state == "open" or row.total is None or row.stored is None:
            continue
        # A final sync may have stored newer rows since; the next read compares again.
        if row.stored != _sum_of_rows(scene, *key) and not _is_newer(scene, key, row):
            wrong.append(scene.wrong("O7", f"{key}: the stored sum is not the sum"))
        if row.total != row.stored and row.residual_class in {None, "moving", "unexplained"}:
            wrong.append(scene.wrong("O7", f"{key}: a rest without a reason: {row}"))
        wrong += _check_reason(scene, key, row)
    return wrong


def check_success(scene: Scene) -> list[Violation]:
    """O11: a sync that reports success has read every level's today, whatever struck it."""
    return [
        scene.wrong("O11", f"the sync of {account} is a success, but read no {level} of today")
        for account in sorted(scene.tick.synced)
        for level in LEVELS
        if not _was_read(scene, account, level)
    ]


def _was_read(scene: Scene, account: str, level: str) -> bool:
    """Whether the tick read the account's day at its beginning or the one at its end."""
    zone = scene.truth.zone(account)
    days = {zone.day(scene.tick.started), zone.day(scene.tick.ended)}
    rows = (scene.now.days.get((account, day, level)) for day in days)
    return any(row is not None and (row.read_started or 0) >= scene.tick.started for row in rows)


def _check_reason(scene: Scene, key: DayKey, row: DayRow) -> list[Violation]:
    """What a platform tells of campaigns alone is called that, and nothing else is.

    What only entities had that nobody knows is theirs, and of what a known one had nobody says so.
    """
    account, day, level = key
    rest, before = rest_of(row), scene.now.days_before[key]
    if not any(rest) or _same_rest(before, row) or scene.is_silent(account):
        return []
    if scene.tick.was_stale(scene.truth.platform(account)):
        # Rows and totals of two instants differ by what nobody has.
        return []
    moments = [at for _, at in scene.numbers_seen(account)]
    if level != "campaign" and any(
        scene.truth.campaigns_only(account, day, at) == rest for at in moments
    ):
        true = "no_ad_rows"
    elif any(_of_strangers(scene, key, at) == rest for at in moments):
        true = "never_seen_entity"
    else:
        true = "deleted_hidden"
    if row.residual_class != true:
        return [scene.wrong("O7", f"{key}: the rest {rest} is {true}: {row}")]
    return []


def _of_strangers(scene: Scene, key: DayKey, at: int) -> Numbers:
    """What entities of that level had of the day that the warehouse does not know."""
    account, day, level = key
    return add_totals(
        total_of(scene.truth.numbers(one, day, at))
        for one in scene.truth.keys(account, level)
        if one not in scene.now.entities
    )


def _same_rest(before: DayRow | None, row: DayRow) -> bool:
    names = ("total", "stored", "residual_class")
    return before is not None and all(getattr(before, one) == getattr(row, one) for one in names)


def rest_of(row: DayRow) -> Numbers:
    """Total minus stored; nothing when the day was never compared."""
    pairs = zip(row.total or (), row.stored or (), strict=True)
    return tuple(whole - part for whole, part in pairs)


def _total_was_told(scene: Scene, account: str, day: int, total: Numbers) -> bool:
    return any(
        scene.truth.account_total(account, day, at) == total
        for _, at in scene.numbers_seen(account)
    )


def _is_newer(scene: Scene, key: DayKey, row: DayRow) -> bool:
    """Whether rows of an open day come from reads that started after the day's own."""
    account, day, level = key
    cells = (
        scene.now.cells.get((*k, day)) for k in scene.now.entities if k[:2] == (account, level)
    )
    return row.state != "sealed" and any(
        cell is not None and (cell.read_started or 0) > (row.read_started or 0) for cell in cells
    )


def _sum_of_rows(scene: Scene, account: str, day: int, level: str) -> Numbers:
    keys = (key for key in scene.now.entities if key[0] == account and key[1] == level)
    rows = (scene.now.cells.get((*key, day)) for key in keys)
    return add_totals(total_of(row.numbers) for row in rows if row is not None)
