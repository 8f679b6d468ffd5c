"""The whole way through the warehouse once: entity, status change, claim, metrics, done."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import uuid4

from warehouse_support import (
    AD,
    AD_SET,
    CAMPAIGN,
    log_rows,
    merge,
    numbers,
    one,
    paused,
)

from adsync_dagster.clock import VirtualClock
from adsync_dagster.records import Account, DateRange, DayTotals, Level
from adsync_dagster.warehouse import account_days, changes
from adsync_dagster.warehouse.database import AccountSession
from adsync_dagster.warehouse.entities import MergeCounts, descendants
from adsync_dagster.warehouse.metrics import merge_metrics
from adsync_dagster.warehouse.staging import MetricsStage


def test_a_pause_is_logged_claimed_and_done_with_its_metrics(
    session: AccountSession, account: Account, clock: VirtualClock
) -> None:
    """A paused ad owes a final sync until one transaction stores its metrics and marks it."""
    now = clock.now()
    for entity in (CAMPAIGN, AD_SET, AD):
        assert merge(session, account, [entity], now) == MergeCounts(1, 0, 0)
    assert merge(session, account, [paused(AD)], now) == MergeCounts(0, 1, 0)
    assert log_rows(session.connection) == [("ACTIVE", "PAUSED", False, "trigger")]

    token = uuid4()
    with session.transaction() as connection:
        claimed = changes.claim_pending(connection, account, token)
    assert [(c.level, c.platform_entity_id, c.attempts) for c in claimed] == [(Level.AD, "a1", 0)]
    refs = descendants(session.connection, account, claimed[0].level, claimed[0].entity_id)
    assert [ref.platform_id for ref in refs] == ["a1"]

    with MetricsStage(session.connection) as stage:
        stage.add([numbers()])
        with session.transaction() as connection:
            counts = merge_metrics(connection, account, Level.AD, now)
            done = changes.complete(connection, [c.log_id for c in claimed], token)
    assert (counts, done) == (MergeCounts(1, 0, 0), 1)
    assert log_rows(session.connection) == [("ACTIVE", "PAUSED", True, "trigger")]
    assert one(session.connection, "SELECT last_final_sync_at FROM ads") == now
    assert changes.pending_summary(session.connection) == []


def test_a_day_goes_from_open_to_sealed(
    session: AccountSession, account: Account, clock: VirtualClock
) -> None:
    """A day is sealed once every level is read and adds up to the platform's total."""
    day = date(2026, 3, 9)
    with session.transaction() as connection:
        account_days.record_totals(
            connection,
            account,
            [
                DayTotals(
                    date=day,
                    impressions=1000,
                    clicks=10,
                    spend=Decimal("12.34"),
                    conversions=Decimal(2),
                    conversion_value=Decimal(50),
                )
            ],
            [day],
        )
        for level in Level:
            account_days.record_read(
                connection, account, level, DateRange(since=day, until=day), clock.now()
            )
    residuals = account_days.reconcile(session.connection, account, Level.AD, [day])
    assert [(r.date, r.spend, r.impressions) for r in residuals] == [
        (day, Decimal("12.34"), Decimal(1000))
    ]
    with MetricsStage(session.connection) as stage:
        stage.add([numbers()])
        stage.add([numbers("s1", level=Level.ADSET, adset_id=None)])
        stage.add([numbers("c1", level=Level.CAMPAIGN, adset_id=None, campaign_id=None)])
        with session.transaction() as connection:
            merge_metrics(connection, account, None, clock.now())
    for level in Level:
        assert account_days.reconcile(session.connection, account, level, [day]) == []
    sealed = account_days.seal(
        session.connection, account, {level: [day] for level in Level}, clock.now()
    )
    assert sealed == 3
    assert account_days.day_states(session.connection, account, day)[day].sealed
