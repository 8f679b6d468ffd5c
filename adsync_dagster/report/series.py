"""What goes by day: the platforms' totals, status changes, and how long these waited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

from markupsafe import Markup

from adsync_dagster.report import charts
from adsync_dagster.report.charts import Bar
from adsync_dagster.report.facts import WAITING_BOUNDS, Facts
from adsync_dagster.report.formats import duration, money
from adsync_dagster.wording import counted


@dataclass(slots=True, kw_only=True)
class SpendDay:
    """The platforms' totals of one day in one currency, by how settled the account's day is."""

    date: date
    sealed: Decimal = Decimal(0)
    reconciled: Decimal = Decimal(0)
    open: Decimal = Decimal(0)
    #: Accounts whose total of the day was never read although the day is over.
    unknown: int = 0

    @property
    def total(self) -> Decimal:
        return self.sealed + self.reconciled + self.open


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendView:
    """Spend by day in one currency."""

    currency: str | None
    days: tuple[SpendDay, ...]
    top: Decimal
    total: Decimal
    unknown: int
    #: Accounts of which today was not read yet.
    today_unknown: int
    drawing: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesView:
    """Status changes by UTC day."""

    first_day: date
    rows: tuple[tuple[date, int, int, int], ...]
    top: Decimal
    done: int
    owed: int
    not_needed: int
    drawing: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingClass:
    """How many changes waited that long."""

    words: str
    count: int
    drawing: Markup


def spend_views(facts: Facts) -> Iterable[SpendView]:
    """One view per currency: amounts in different currencies do not add up."""
    by_currency: dict[str | None, dict[date, SpendDay]] = {}
    todays = {row.account: row.today for row in facts.accounts if row.is_active}
    unread: Counter[str | None] = Counter()
    for row in facts.days:
        if row.account not in todays and row.total_spend is None:
            continue  # A removed account's days are not expected any more
        days = by_currency.setdefault(row.currency, {})
        day = days.setdefault(row.date, SpendDay(date=row.date))
        if row.total_spend is None and row.date == todays[row.account]:
            unread[row.currency] += 1
        elif row.total_spend is None:
            day.unknown += 1
        else:
            setattr(day, row.state, getattr(day, row.state) + row.total_spend)
    for currency in sorted(by_currency, key=lambda name: name or ""):
        days = by_currency[currency]
        ordered = tuple(days.get(day, SpendDay(date=day)) for day in _every_day(days))
        top = charts.nice_top(max(day.total for day in ordered))
        total = sum((day.total for day in ordered), Decimal(0))
        unknown = sum(day.unknown for day in ordered)
        label = (
            f"Spend by day, {ordered[0].date} to {ordered[-1].date}:"
            f" {money(total, currency)} in total"
        )
        yield SpendView(
            currency=currency,
            days=ordered,
            top=top,
            total=total,
            unknown=unknown,
            today_unknown=unread[currency],
            drawing=charts.bars([_spend_bar(day, currency) for day in ordered], top, label),
        )


def _every_day(days: Iterable[date]) -> list[date]:
    first, last = min(days), max(days)
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


def _spend_bar(day: SpendDay, currency: str | None) -> Bar:
    words = [f"{day.date:%a} {day.date}: {money(day.total, currency)}"]
    words += [
        f"{money(amount, currency)} {state}"
        for state in ("sealed", "reconciled", "open")
        if (amount := getattr(day, state))
    ]
    if day.unknown:
        words.append(f"{counted(day.unknown, 'account')} unknown")
    return Bar(
        parts=(("sealed", day.sealed), ("reconciled", day.reconciled), ("open", day.open)),
        title=", ".join(words),
        unknown=bool(day.unknown),
    )


def changes_view(facts: Facts) -> ChangesView:
    """Status changes by UTC day over the days that were asked for."""
    found = {row.date: row for row in facts.change_days}
    today = facts.now.date()
    days = [today - timedelta(days=back) for back in reversed(range(facts.days_asked))]
    rows = tuple(
        (day, row.done, row.owed, row.not_needed) if (row := found.get(day)) else (day, 0, 0, 0)
        for day in days
    )
    top = charts.nice_top(Decimal(max((sum(counts[1:]) for counts in rows), default=0)))
    bars = tuple(
        Bar(
            parts=(("done", done), ("owed", owed), ("not-needed", rest)),
            title=f"{day:%a} {day}: {done} done, {owed} owed, {rest} that need no final sync",
        )
        for day, done, owed, rest in rows
    )
    done, owed = sum(row[1] for row in rows), sum(row[2] for row in rows)
    rest = sum(row[3] for row in rows)
    label = (
        f"Status changes by day: {done} with their final sync done, {owed} that owe it,"
        f" {rest} that need none"
    )
    return ChangesView(
        first_day=days[0],
        rows=tuple(row for row in rows if any(row[1:])),
        top=top,
        done=done,
        owed=owed,
        not_needed=rest,
        drawing=charts.bars(bars, top, label),
    )


def waiting_classes(facts: Facts) -> Iterable[WaitingClass]:
    """How many changes waited how long for their final sync, shortest class first."""
    counts = facts.waiting.buckets
    most = max(counts, default=0)
    words = [f"under {duration(WAITING_BOUNDS[0])}"]
    words += [f"{duration(low)} to {duration(high)}" for low, high in pairwise(WAITING_BOUNDS)]
    words.append(f"{duration(WAITING_BOUNDS[-1])} or more")
    for name, count in zip(words, counts, strict=True):
        parts = [("done", count), ("rest", most - count)] if most else [("rest", 1)]
        yield WaitingClass(
            words=name, count=count, drawing=charts.share(parts, counted(count, "change"))
        )
