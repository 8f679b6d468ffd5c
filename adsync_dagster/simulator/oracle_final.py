"""The verdict at quiescence: every entity-day, every rest, everything owed."""

from __future__ import annotations

from adsync_dagster.simulator.instants import micros
from adsync_dagster.simulator.oracle_days import rest_of
from adsync_dagster.simulator.oracle_online import Scene, check_completeness
from adsync_dagster.simulator.oracle_records import (
    NO_NUMBERS,
    DayKey,
    EntityKey,
    Judgement,
    Numbers,
    Snapshot,
    Tick,
)
from adsync_dagster.simulator.oracle_truth import LEVELS, Truth, add_totals, total_of


def judge(truth: Truth, now: Snapshot, tick: Tick) -> Judgement:
    """Compare everything with everything, in both directions."""
    scene = Scene(truth, now, tick)
    result = Judgement(observed=any(not _is_quiet(row.completed) for row in now.changes.values()))
    for account in sorted(now.accounts):
        start = now.accounts[account].history_start
        if start is None:
            result.violations.append(scene.wrong("O9", f"{account} was never read"))
            continue
        today = truth.zone(account).day(micros(truth.world.clock.now()))
        for level in LEVELS:
            for day in range(start, today + 1):
                _judge_day(scene, account, level, day, result)
    _judge_owed(scene, result)
    result.violations += check_completeness(scene)
    for key, row in now.entities.items():
        if row.is_stub:
            result.violations.append(scene.wrong("O12", f"{key} is known from numbers only"))
    return result


def _is_quiet(completed: bool | None) -> bool:
    return completed is None


def _judge_day(scene: Scene, account: str, level: str, day: int, result: Judgement) -> None:
    unknown: list[Numbers] = []
    for key in scene.truth.keys(account, level):
        truth = scene.truth.numbers(key, day, scene.tick.ended)
        if key not in scene.now.entities:
            unknown.append(total_of(truth))
            result.counts["never_observable"] += truth != NO_NUMBERS
            continue
        verdict = _verdict(scene, key, day, truth)
        if verdict is None:
            continue
        result.counts[verdict] += 1
        if verdict != "stable":
            stored = scene.stored(key, day)
            result.violations.append(
                scene.wrong("O9", f"{verdict}: {key} day {day}: {stored}, truth {truth}")
            )
    _judge_rest(scene, (account, day, level), unknown, result)


def _verdict(scene: Scene, key: EntityKey, day: int, truth: Numbers) -> str | None:
    """Jepsen's words for one entity-day; None when there was nothing to keep."""
    stored = scene.stored(key, day)
    if stored == truth:
        return None if truth == NO_NUMBERS else "stable"
    if not _is_settled(scene, key[0], day) and scene.told(key, day, stored):
        return "stable"
    if stored == NO_NUMBERS:
        return "lost"
    return "stale" if _was_ever_true(scene, key, day, stored) else "invented"


def _was_ever_true(scene: Scene, key: EntityKey, day: int, stored: Numbers) -> bool:
    account = scene.truth.book(key[0])
    moments = {
        event.at
        for event in scene.truth.world.ledger.metric_events(key[0], day)
        if event.day == day
    }
    del account
    return any(scene.truth.numbers(key, day, at) == stored for at in moments)


def _is_settled(scene: Scene, account: str, day: int) -> bool:
    return scene.tick.ended >= scene.truth.settled_at(account, day)


def _judge_rest(scene: Scene, key: DayKey, unknown: list[Numbers], result: Judgement) -> None:
    account, day, level = key
    row = scene.now.days.get(key)
    if row is None or row.total is None or row.stored is None:
        result.violations.append(scene.wrong("O10", f"{account} {day} {level} was never compared"))
        return
    if not _is_settled(scene, account, day):
        return
    if row.state != "sealed" and scene.tick.started >= scene.truth.settled_at(account, day) + GRACE:
        result.violations.append(
            scene.wrong("O9", f"day {day} of {account} at {level} is {row.state}, never sealed")
        )
    rest = rest_of(row)
    expected = add_totals(unknown)
    if rest != expected:
        result.violations.append(
            scene.wrong("O10", f"day {day} {level}: rest {rest}, unseen entities had {expected}")
        )


#: After the platform's window a day may wait for the engine's margin before it is sealed.
GRACE = 5 * 24 * 3_600 * 1_000_000


def _judge_owed(scene: Scene, result: Judgement) -> None:
    for change in scene.now.changes.values():
        if change.completed is False:
            if change.blocked_reason == "unreachable" and scene.truth.is_beyond_reports(change.key):
                continue
            why = change.blocked_reason or change.error or "no reason"
            result.violations.append(
                scene.wrong("O11", f"still owed: {change.key} {change.new_status} ({why})")
            )
