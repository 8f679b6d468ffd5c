"""Stored numbers by platform id and day, for exports and comparisons."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from adsync_dagster.records import Account, DateRange, Level
from adsync_dagster.warehouse.database import Connection
from adsync_dagster.warehouse.queries import queries


class MetricRow(NamedTuple):
    """One entity's stored numbers on one account-local day; money in major units."""

    platform_id: str
    date: date
    impressions: int
    clicks: int
    spend: Decimal
    conversions: Decimal
    conversion_value: Decimal


def metric_rows(
    connection: Connection, account: Account, level: Level, days: DateRange
) -> Iterator[MetricRow]:
    """Stored rows of one level, ordered by day, then platform id."""
    cursor = connection.execute(
        queries["metric_rows"],
        {
            "ad_account_id": account.id,
            "entity_type": level.value,
            "since": days.since,
            "until": days.until,
        },
    )
    return (MetricRow(*row) for row in cursor)
