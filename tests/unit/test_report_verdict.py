"""The report's headline: "complete" only when it is, and unknown is never complete."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from adsync_dagster.report.facts import WAITING_BOUNDS, Facts
from adsync_dagster.report.model import build
from adsync_dagster.report.verdict import Level, judge
from adsync_dagster.sync.verdict import COMMANDS, Question
from adsync_dagster.warehouse.checks import Findings
from adsync_dagster.warehouse.report import AccountRow, DayRow, PendingCount, WaitingTimes

NOW = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
TODAY = date(2026, 3, 10)

ACCOUNT = AccountRow(
    ad_account_id=uuid4(),
    account="facebook:act_1",
    account_name="Shop",
    platform="facebook",
    currency="USD",
    timezone="UTC",
    is_active=True,
    first_synced_at=NOW - timedelta(days=9),
    last_synced_at=NOW,
    last_sync_error=None,
    blocked_reason=None,
    days_sealed=4,
    days_reconciled=5,
    days_open=1,
    past_days_open=0,
    days_overdue=0,
    oldest_open=None,
    all_sealable_from=NOW + timedelta(days=30),
    first_day=TODAY - timedelta(days=9),
    today=TODAY,
)


def question(total: int, name: str = "residuals_explained") -> Question:
    rows = tuple({"account": f"facebook:act_{number}"} for number in range(min(total, 50)))
    return Question(name=name, asks="things", findings=Findings(total=total, rows=rows))


def facts(*accounts: AccountRow, **changes: Any) -> Facts:
    values: dict[str, Any] = {
        "now": NOW,
        "days_asked": 10,
        "chosen": None,
        "questions": [question(0)],
        "accounts": accounts,
        "days": [],
        "residuals": [],
        "pending_counts": [],
        "pending": [],
        "blocked": [],
        "change_days": [],
        "waiting": WaitingTimes(
            buckets=(0,) * (len(WAITING_BOUNDS) + 1),
            median=None,
            p95=None,
            longest=None,
            slowest=(),
        ),
    }
    return Facts(**{**values, **changes})


def owed(account: str = "facebook:act_1", waits_for: str = "due") -> PendingCount:
    return PendingCount(
        account=account, waits_for=waits_for, owed=2, oldest=NOW - timedelta(hours=1)
    )


def test_complete_says_until_when_and_what_may_still_move() -> None:
    """With nothing missing the headline names the last whole day, the sentence what is final."""
    verdict = judge(facts(ACCOUNT))

    assert verdict.level is Level.COMPLETE
    assert verdict.title == "Complete up to 2026-03-09"
    assert "Of 9 past account days 4 are final. 5 add up" in verdict.sentence
    assert "2026-04-09 15:00 UTC" in verdict.sentence


def test_the_account_that_is_furthest_behind_decides() -> None:
    """Where it is still yesterday, the day before is the last whole one."""
    west = replace(ACCOUNT, account="facebook:act_2", today=TODAY - timedelta(days=1))
    assert judge(facts(ACCOUNT, west)).title == "Complete up to 2026-03-08"


@pytest.mark.parametrize(
    "name", ["open_days_past_due", "every_account_synced", "residuals_explained"]
)
def test_anything_missing_is_not_complete(name: str) -> None:
    """Whatever `adsync verify` finds is a reason, with the command that helps."""
    verdict = judge(facts(ACCOUNT, questions=[question(0), question(3, name)]))

    assert verdict.level is Level.INCOMPLETE
    assert verdict.title == "Not complete"
    assert [reason.words for reason in verdict.reasons] == ["things: 3"]
    assert verdict.reasons[0].what_to_do == COMMANDS[name]


@pytest.mark.parametrize(
    "what",
    [
        {"pending_counts": [owed()]},
        {"accounts": [replace(ACCOUNT, past_days_open=1, oldest_open=TODAY - timedelta(days=1))]},
    ],
)
def test_work_in_time_is_not_complete_yet(what: dict[str, Any]) -> None:
    """An owed final sync or an open past day keeps the word away, though nothing is late."""
    verdict = judge(replace(facts(ACCOUNT), **what))

    assert verdict.level is Level.NOT_YET
    assert "Complete" not in verdict.title


def test_without_an_active_account_nothing_can_be_said() -> None:
    """No account, or only removed ones: unknown, never complete."""
    for accounts in ((), (replace(ACCOUNT, is_active=False),)):
        verdict = judge(facts(*accounts))
        assert verdict.level is Level.UNKNOWN
        assert "omplete" not in verdict.title


def test_a_removed_account_is_not_judged() -> None:
    """What a removed account owes keeps nobody from being complete, and no number counts it."""
    removed = replace(ACCOUNT, account="facebook:act_9", is_active=False, past_days_open=3)
    page = build(
        facts(ACCOUNT, removed, pending_counts=[owed("facebook:act_9", "account removed")])
    )

    assert page.verdict.level is Level.COMPLETE
    assert (page.owed, page.oldest_owed, page.oldest_open) == (0, None, None)
    assert page.states == {"sealed": 4, "reconciled": 5, "open": 1}


def day(number: int, **changes: Any) -> DayRow:
    values: dict[str, Any] = {
        "account": "facebook:act_1",
        "currency": "USD",
        "date": date(2026, 3, number),
        "state": "open",
        "last_read_at": None,
        "sealable_from": None,
        "overdue": None,
        "total_spend": None,
        "residual_spend_campaign": None,
        "residual_spend_adset": None,
        "residual_spend_ad": None,
        "adds_up": None,
        "residual_class": None,
    }
    return DayRow(**{**values, **changes})


def test_a_day_that_was_never_read_is_unknown_not_zero() -> None:
    """Its money is unknown in the run of days, in the chart, and in the sum's remark."""
    known = day(8, state="reconciled", last_read_at=NOW, total_spend=Decimal(5), adds_up=True)
    page = build(facts(ACCOUNT, days=[known, day(9), day(10)]))

    (spend,) = page.spend
    assert (spend.unknown, spend.today_unknown, spend.total) == (1, 1, 5)
    runs = [(run.since.day, run.state, run.spend) for run in page.calendars[0].runs]
    assert runs == [(8, "reconciled", 5), (9, "never read", None)]
    drawing = str(page.calendars[0].drawing)
    assert 'class="day unread"' in drawing
    assert "2026-03-09: never read, spend unknown" in drawing
