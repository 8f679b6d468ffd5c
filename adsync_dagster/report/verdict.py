"""The sentence at the top of the report. It says "complete" only when it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from adsync_dagster.report.facts import Facts
from adsync_dagster.report.formats import instant
from adsync_dagster.sync.verdict import COMMANDS
from adsync_dagster.warehouse.report import AccountRow
from adsync_dagster.wording import counted


class Level(StrEnum):
    """How things stand; the word is the class in the style sheet."""

    #: There is nothing to judge.
    UNKNOWN = "unknown"
    #: Something is missing, overdue or unexplained, or was never looked at.
    INCOMPLETE = "incomplete"
    #: Nothing is late, but work in time is not done.
    NOT_YET = "not-yet"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What stands between this and complete, and what to do about it."""

    words: str
    what_to_do: str
    found: int
    #: Offending rows, as column and value.
    rows: tuple[tuple[tuple[str, object], ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The headline, a sentence on what it means, and the reasons."""

    level: Level
    title: str
    sentence: str
    reasons: tuple[Reason, ...] = ()


#: Rows shown with a reason; the page has the rest further down, `adsync verify` all of them.
_ROWS_SHOWN = 5


def judge(facts: Facts) -> Verdict:
    """The verdict over all active accounts that were asked for."""
    active = [account for account in facts.accounts if account.is_active]
    if not active:
        return Verdict(
            level=Level.UNKNOWN,
            title="Unknown: no account is synced",
            sentence="Without an account there is nothing to judge. Add one with `adsync accounts"
            " add`, then sync it.",
        )
    reasons = tuple(_findings(facts))
    if reasons:
        return Verdict(
            level=Level.INCOMPLETE,
            title="Not complete",
            sentence=_settled(active),
            reasons=reasons,
        )
    waiting = _work_in_time(facts, active)
    if waiting:
        return Verdict(
            level=Level.NOT_YET,
            title="Not complete yet, nothing is late",
            sentence=f"{waiting} {_settled(active)}",
        )
    return Verdict(level=Level.COMPLETE, title=_complete_title(active), sentence=_settled(active))


def _findings(facts: Facts) -> list[Reason]:
    """The questions of `adsync verify` that found something."""
    return [
        Reason(
            words=f"{question.asks}: {question.findings.total:,}",
            what_to_do=COMMANDS[question.name],
            found=question.findings.total,
            rows=tuple(tuple(row.items()) for row in question.findings.rows[:_ROWS_SHOWN]),
        )
        for question in facts.questions
        if question.findings.total
    ]


def _work_in_time(facts: Facts, active: Sequence[AccountRow]) -> str:
    """What is not done, though nothing about it is late; empty when all is done."""
    keys = {account.account for account in active}
    owed = sum(row.owed for row in facts.pending_counts if row.account in keys)
    days = sum(account.past_days_open for account in active)
    parts = []
    if owed:
        parts.append(f"{counted(owed, 'final sync')} owed")
    if days:
        parts.append(f"{counted(days, 'past day')} not read or not adding up")
    return f"{' and '.join(parts)}." if parts else ""


def _complete_title(active: Sequence[AccountRow]) -> str:
    until = min(account.today for account in active) - timedelta(days=1)
    return f"Complete up to {until.isoformat()}"


def _settled(active: Sequence[AccountRow]) -> str:
    """How many past days are final, how many may still move and until when, how many are open."""
    past = sum((account.today - account.first_day).days for account in active)
    sealed = sum(account.days_sealed for account in active)
    unsettled = sum(account.past_days_open for account in active)
    sentence = f"Of {counted(past, 'past account day')} {sealed:,} are final."
    if moving := past - sealed - unsettled:
        sentence += f" {moving:,} add up or differ for a known reason, and may still be revised."
    if unsettled:
        sentence += f" {unsettled:,} were not read or do not add up."
    last = [a.all_sealable_from for a in active if a.all_sealable_from is not None]
    if last and sealed < past:
        sentence += f" The last day may become final from {instant(max(last))} on."
    return sentence
