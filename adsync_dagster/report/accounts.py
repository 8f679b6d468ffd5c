"""Each account's row in the table, its calendar, and its days as a short table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby

from markupsafe import Markup

from adsync_dagster.report import charts
from adsync_dagster.report.charts import Cell
from adsync_dagster.report.facts import Facts
from adsync_dagster.report.formats import duration, instant, money
from adsync_dagster.warehouse.report import AccountRow, DayRow, PendingCount
from adsync_dagster.wording import counted

#: Classes of residuals that are no explanation.
NO_REASON = frozenset({"unexplained", "not_classified"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Consecutive days of an account in the same state."""

    since: date
    until: date
    days: int
    state: str
    residual_class: str | None
    #: None when the platform's total of any of these days is unknown.
    spend: Decimal | None
    currency: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """One account: its row in the table, and its calendar."""

    row: AccountRow
    owed: int
    blocked: int
    oldest_owed: str
    residual_days: int
    needs: str
    needs_person: bool
    #: Whether any day of it was ever read.
    known: bool
    drawing: Markup
    runs: tuple[Run, ...]


def account_views(facts: Facts) -> list[AccountView]:
    """All accounts that were asked for, in the order of the facts."""
    days = {key: list(rows) for key, rows in groupby(facts.days, key=lambda row: row.account)}
    owed = {
        key: list(rows) for key, rows in groupby(facts.pending_counts, key=lambda row: row.account)
    }
    return [
        _account(row, days.get(row.account, []), owed.get(row.account, []), facts)
        for row in facts.accounts
    ]


def _account(
    row: AccountRow, days: Sequence[DayRow], owed: Sequence[PendingCount], facts: Facts
) -> AccountView:
    total = sum(count.owed for count in owed)
    blocked = sum(count.owed for count in owed if count.waits_for == "person")
    oldest = min((count.oldest for count in owed), default=None)
    residual_days = sum(1 for day in days if day.adds_up is False)
    needs, needs_person = _needs(row, total, blocked, days)
    label = (
        f"Calendar of the last {counted(len(days), 'day')}:"
        f" {sum(1 for day in days if day.state == 'sealed')} sealed,"
        f" {sum(1 for day in days if day.state == 'reconciled')} reconciled,"
        f" {sum(1 for day in days if day.state == 'open')} open,"
        f" {residual_days} that do not add up"
    )
    return AccountView(
        row=row,
        owed=total,
        blocked=blocked,
        oldest_owed=""
        if oldest is None
        else f"oldest {duration((facts.now - oldest).total_seconds())}",
        residual_days=residual_days,
        needs=needs,
        needs_person=needs_person,
        known=row.first_synced_at is not None or any(day.last_read_at for day in days),
        drawing=charts.calendar([_cell(day, row.today) for day in days], label)
        if days
        else Markup(""),
        runs=tuple(_runs(days)),
    )


def _needs(row: AccountRow, owed: int, blocked: int, days: Sequence[DayRow]) -> tuple[str, bool]:
    """What the account needs most, in a few words, and whether from a person."""
    candidates = (
        (not row.is_active, "removed: not synced any more", False),
        (row.blocked_reason, f"a person: {row.blocked_reason}", True),
        (row.first_synced_at is None, "its first complete sync; nothing is known of it", False),
        (blocked, f"a person: {counted(blocked, 'final sync')} blocked", True),
        (
            any(day.residual_class in NO_REASON for day in days),
            "a look at days that do not add up",
            True,
        ),
        (row.days_overdue, f"{counted(row.days_overdue, 'day')} sealed that should be", False),
        (row.last_sync_error, f"a sync that works: {row.last_sync_error}", False),
        (owed or row.past_days_open, "the next sync", False),
    )
    return next(((words, person) for holds, words, person in candidates if holds), ("", False))


def worry(view: AccountView) -> tuple[bool, bool, bool, int, int, str]:
    """A sorting key: the account that needs a look most comes first."""
    row = view.row
    return (
        not row.is_active,
        not view.needs_person,
        row.first_synced_at is not None,
        -(row.past_days_open + row.days_overdue),
        -view.owed,
        row.account,
    )


def _cell(row: DayRow, today: date) -> Cell:
    unread = row.state == "open" and row.last_read_at is None
    mark = ""
    if row.adds_up is False:
        mark = "unknown" if row.residual_class in NO_REASON else "known"
    elif row.overdue:
        mark = "late"
    words = [f"{row.date:%a} {row.date.isoformat()}: {'never read' if unread else row.state}"]
    words.append(f"spend {money(row.total_spend, row.currency)}")
    if row.adds_up is False:
        words.append(f"does not add up: {(row.residual_class or '').replace('_', ' ')}")
    if row.overdue:
        words.append("should be sealed by now")
    if row.last_read_at is not None:
        words.append(f"last read {instant(row.last_read_at)}")
    if row.state != "sealed" and row.sealable_from is not None:
        words.append(f"may be sealed from {instant(row.sealable_from)}")
    return Cell(
        date=row.date,
        look=("today" if row.date == today else "unread") if unread else row.state,
        mark=mark,
        title=", ".join(words),
    )


def _runs(days: Sequence[DayRow]) -> Iterable[Run]:
    """The days as a short table: neighbours in the same state and with the same reason as one."""

    def kind(row: DayRow) -> tuple[str, str | None]:
        state = "never read" if row.state == "open" and row.last_read_at is None else row.state
        return state, row.residual_class

    for (state, reason), group in groupby(days, key=kind):
        rows = list(group)
        spend = [row.total_spend for row in rows]
        yield Run(
            since=rows[0].date,
            until=rows[-1].date,
            days=len(rows),
            state=state,
            residual_class=reason,
            spend=_exact_sum(spend),
            currency=rows[0].currency,
        )


def _exact_sum(values: Sequence[Decimal | None]) -> Decimal | None:
    """The sum, or None when a part of it is unknown."""
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) if len(known) == len(values) else None
