"""From facts to what the page shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from markupsafe import Markup

from adsync_dagster.report import charts
from adsync_dagster.report.accounts import NO_REASON, AccountView, account_views, worry
from adsync_dagster.report.facts import Facts
from adsync_dagster.report.formats import money
from adsync_dagster.report.series import (
    ChangesView,
    SpendView,
    WaitingClass,
    changes_view,
    spend_views,
    waiting_classes,
)
from adsync_dagster.report.verdict import Verdict, judge
from adsync_dagster.warehouse.report import AccountRow, PendingCount

#: Calendars take room: the accounts that need a look most come first, the others in the table.
CALENDARS_MAX = 60
ACCOUNTS_MAX = 1000
CLASS_WORDS: Mapping[str, str] = {
    "never_seen_entity": "Spent by an entity that came and went between two reads.",
    "deleted_hidden": "Spent by a known entity that cannot be read any more; the day stays open.",
    "no_ad_rows": "The platform reports no rows at this level for some campaigns, such as"
    " Performance Max.",
    "moving": "The platform was still counting while it was read.",
    "unexplained": "No reason was found. A person should look.",
    "not_classified": "Nobody looked for a reason yet; the next sync does.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """All that the template needs."""

    facts: Facts
    verdict: Verdict
    accounts: tuple[AccountView, ...]
    calendars: tuple[AccountView, ...]
    spend: tuple[SpendView, ...]
    changes: ChangesView
    waiting: tuple[WaitingClass, ...]
    owed: int
    owed_blocked: int
    oldest_owed: PendingCount | None
    oldest_open: AccountRow | None
    states: Mapping[str, int]
    shares: Markup
    unexplained: tuple[str, ...]
    class_words: Mapping[str, str] = field(default_factory=lambda: CLASS_WORDS)


def build(facts: Facts) -> Page:
    """Everything the page shows, worked out."""
    views = account_views(facts)
    active = [view.row for view in views if view.row.is_active]
    keys = {row.account for row in active}
    owed = [row for row in facts.pending_counts if row.account in keys]
    states = {
        "sealed": sum(row.days_sealed for row in active),
        "reconciled": sum(row.days_reconciled for row in active),
        "open": sum(row.days_open for row in active),
    }
    worst_first = sorted(views, key=worry)
    return Page(
        facts=facts,
        verdict=judge(facts),
        accounts=tuple(worst_first[:ACCOUNTS_MAX]),
        calendars=tuple(worst_first[:CALENDARS_MAX]),
        spend=tuple(spend_views(facts)),
        changes=changes_view(facts),
        waiting=tuple(waiting_classes(facts)),
        owed=sum(row.owed for row in owed),
        owed_blocked=sum(row.owed for row in owed if row.waits_for == "person"),
        oldest_owed=min(owed, key=lambda row: row.oldest, default=None),
        oldest_open=min(
            (row for row in active if row.oldest_open is not None),
            key=lambda row: row.oldest_open or date.max,
            default=None,
        ),
        states=states,
        shares=charts.share(
            list(states.items()),
            ", ".join(f"{count:,} {state}" for state, count in states.items()),
        ),
        unexplained=tuple(_unexplained(facts)),
    )


def _unexplained(facts: Facts) -> Iterable[str]:
    """Money without a reason, per currency, at the level where most of it is."""
    worst: dict[str | None, Decimal] = {}
    for row in facts.residuals:
        if row.residual_class in NO_REASON:
            amount = (row.spend_missing or Decimal(0)) + (row.spend_too_much or Decimal(0))
            worst[row.currency] = max(worst.get(row.currency, Decimal(0)), amount)
    return [money(amount, currency) for currency, amount in worst.items()]
