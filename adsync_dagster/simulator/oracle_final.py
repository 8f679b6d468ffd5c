"""The verdict at quiescence: every entity-day, every rest, everything owed."""

from __future__ import annotations

from adsync_dagster.simulator.instants import micros
from adsync_dagster.simulator.oracle_days import rest_of
from adsync_dagster.simulator.oracle_online import Scene, check_account
from adsync_dagster.simulator.oracle_records import (
    NO_NUMBERS,
    ChangeRow,
    DayKey,
    EntityKey,
    Judgement,
    Numbers,
)
from adsync_dagster.simulator.oracle_truth import LEVELS, add_totals, total_of


def judge(scene: Scene) -> Judgement:
    """Compare everything with everything, in both directions."""
    truth, now = scene.truth, scene.now
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
        _judge_account(scene, account, result)
    _judge_owed(scene, result)
    for key, row in now.entities.items():
        if row.is_stub:
            result.violations.append(scene.wrong("O12", f"{key} is known from numbers only"))
    return result


def _judge_account(scene: Scene, account: str, result: Judgement) -> None:
    """The sync of an account at rest succeeds, nothing blocks it, and it left everything true."""
    row = scene.now.accounts[account]
    failed = scene.tick.name == "sync" and account not in scene.tick.synced
    if failed and not any(_is_limit(scene, change) for change in _owed(scene, account)):
        result.violations.append(
            scene.wrong("O11", f"the sync of {account} fails at rest: {row.texts or 'no reason'}")
        )
    if row.blocked_reason is not None:
        result.violations.append(
            scene.wrong("O11", f"{account} is still blocked: {row.blocked_reason}")
        )
    result.violations += check_account(scene, account)


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
    moments = {
        event.at
        for event in scene.truth.world.ledger.metric_events(key[0], day)
        if event.day == day
    }
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
    if row.state != "sealed" and scene.tick.started >= scene.truth.sealable_at(account, day):
        result.violations.append(
            scene.wrong("O9", f"day {day} of {account} at {level} is {row.state}, never sealed")
        )
    rest = rest_of(row)
    expected = add_totals(unknown)
    if rest != expected:
        result.violations.append(
            scene.wrong("O10", f"day {day} {level}: rest {rest}, unseen entities had {expected}")
        )


def _judge_owed(scene: Scene, result: Judgement) -> None:
    for change in (change for account in scene.now.accounts for change in _owed(scene, account)):
        if not _is_limit(scene, change):
            why = change.blocked_reason or change.error or "no reason"
            result.violations.append(
                scene.wrong("O11", f"still owed: {change.key} {change.new_status} ({why})")
            )


def _owed(scene: Scene, account: str) -> list[ChangeRow]:
    return [
        change
        for change in scene.now.changes.values()
        if change.completed is False and change.key[0] == account
    ]


def _is_limit(scene: Scene, change: ChangeRow) -> bool:
    """Whether the change is blocked as no report can show what it is about, which makes red."""
    return change.blocked_reason == "unreachable" and scene.truth.is_beyond_reports(change.key)
