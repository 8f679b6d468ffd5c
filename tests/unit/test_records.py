"""Records: immutable, typed, and with the keys that tables and partitions use."""

from __future__ import annotations

import dataclasses
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from adsync_dagster.records import (
    LEVELS,
    Account,
    AccountInfo,
    ChangeHint,
    Complete,
    DailyMetrics,
    DateRange,
    DayTotals,
    Entity,
    Level,
    Platform,
)

ACCOUNT = Account(
    id=uuid.UUID(int=1),
    platform=Platform.GOOGLE_ADS,
    platform_account_id="1234567890",
    name="Shop",
    currency="EUR",
    timezone="Europe/Berlin",
)
RECORDS = [
    ACCOUNT,
    AccountInfo(platform_account_id="1", name="a", currency="EUR", timezone="UTC", status="1"),
    Entity(
        level=Level.AD,
        platform_id="3",
        name="ad",
        status="ACTIVE",
        platform_status="ACTIVE",
        effective_status="ACTIVE",
    ),
    DayTotals(
        date=date(2026, 3, 1),
        impressions=1,
        clicks=1,
        spend=Decimal(1),
        conversions=Decimal(0),
        conversion_value=Decimal(0),
    ),
    ChangeHint(
        level=Level.AD,
        platform_id="3",
        occurred_at=datetime(2026, 3, 1, tzinfo=UTC),
        old_status=None,
        new_status="PAUSED",
    ),
    DateRange(since=date(2026, 3, 1), until=date(2026, 3, 1)),
    Complete(read_started_at=datetime(2026, 3, 1, tzinfo=UTC), row_count=0, request_count=1),
]


def test_an_accounts_key_is_platform_and_id() -> None:
    """The partition key joins platform and platform id with a colon."""
    assert ACCOUNT.key == "google_ads:1234567890"


def test_levels_run_from_parent_to_child() -> None:
    """Parents come first, so that a merge finds them; the words are those of the tables."""
    assert [level.value for level in LEVELS] == ["campaign", "adset", "ad"]
    assert set(LEVELS) == set(Level)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_records_cannot_be_changed(record: object) -> None:
    """No field of a record can be set, and none can be added."""
    name = dataclasses.fields(record)[0].name  # type: ignore[arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(record, name, None)
    with pytest.raises((AttributeError, TypeError)):
        object.__setattr__(record, "extra_field", 1)


@pytest.mark.parametrize(
    "record_type", [type(record) for record in RECORDS], ids=lambda kind: kind.__name__
)
def test_records_take_no_positional_fields(record_type: type) -> None:
    """Fields are named where records are made, so that two ids cannot change places."""
    with pytest.raises(TypeError):
        record_type("1", "2")


def test_a_verdict_misses_nothing_unless_it_says_so() -> None:
    """The ids a platform does not know are named; by default there are none."""
    verdict = Complete(
        read_started_at=datetime(2026, 3, 1, tzinfo=UTC), row_count=2, request_count=1
    )
    assert verdict.missing_ids == frozenset()


def test_a_date_range_includes_both_ends() -> None:
    """One day is a range of one day, and membership asks for dates only."""
    single = DateRange(since=date(2026, 3, 1), until=date(2026, 3, 1))
    week = DateRange(since=date(2026, 3, 1), until=date(2026, 3, 7))
    assert (single.days, week.days) == (1, 7)
    assert date(2026, 3, 1) in week
    assert date(2026, 3, 7) in week
    assert date(2026, 2, 28) not in week
    assert date(2026, 3, 8) not in week
    assert "2026-03-02" not in week


def test_a_range_cannot_run_backwards() -> None:
    """Since after until is a mistake of the caller and raises at once."""
    with pytest.raises(ValueError, match="backwards: 2026-03-02 to 2026-03-01"):
        DateRange(since=date(2026, 3, 2), until=date(2026, 3, 1))


def test_a_metrics_row_is_a_plain_tuple() -> None:
    """Millions of rows go to COPY by position, so the order of the fields is a contract."""
    assert DailyMetrics._fields == (
        "level",
        "platform_id",
        "date",
        "campaign_id",
        "adset_id",
        "impressions",
        "clicks",
        "link_clicks",
        "spend",
        "reach",
        "frequency",
        "conversions",
        "conversion_value",
        "extra",
    )
