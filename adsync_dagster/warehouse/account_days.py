"""`ad_account_days`: which account-local days were read, whether they add up, which are final.

A day is open until it is reconciled (its rows add up to the platform's own total, or a residual
has been explained), and reconciled until it is sealed by a read taken late enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from adsync_dagster.records import Account, DayTotals, Level
from adsync_dagster.settlement import BELIEVED_AFTER, DayState
from adsync_dagster.warehouse.database import Connection
from adsync_dagster.warehouse.days import Days, day_list
from adsync_dagster.warehouse.queries import queries


class ResidualClass(StrEnum):
    """Why a day's rows do not add up to the platform's total."""

    #: An entity that was gone before anyone looked: every known one was asked.
    NEVER_SEEN_ENTITY = "never_seen_entity"
    #: A known entity cannot be read by id any more. The day stays open until it can.
    DELETED_HIDDEN = "deleted_hidden"
    #: The platform tells it of campaigns only.
    NO_AD_ROWS = "no_ad_rows"
    #: The total changed while it was read.
    MOVING = "moving"
    UNEXPLAINED = "unexplained"


class Residual(NamedTuple):
    """The platform's total minus the sum of stored rows, in the account's currency and counts."""

    date: date
    level: Level
    spend: Decimal
    impressions: Decimal
    clicks: Decimal
    conversions: Decimal
    conversion_value: Decimal
    #: The explanation it had before, while totals and rows are still those it explained.
    residual_class: ResidualClass | None = None
    #: Whether it has been apart by just these amounts for BELIEVED_AFTER or longer.
    lasting: bool = False
    #: How far the sum of rows that were rounded to millionths may be from what they are a part of.
    rounded: Decimal = Decimal(0)


class AccountDay(NamedTuple):
    """What is known of one day at one level. The residual is None while no total was read."""

    date: date
    level: Level
    state: str
    read_started_at: datetime | None
    sealed_at: datetime | None
    residual_spend: Decimal | None
    residual_impressions: Decimal | None
    residual_clicks: Decimal | None
    residual_conversions: Decimal | None
    residual_conversion_value: Decimal | None
    residual_class: ResidualClass | None


def day_states(connection: Connection, account: Account, since: date) -> dict[date, DayState]:
    """The state of every known day from `since` on, over all three levels."""
    rows = connection.execute(
        queries["day_states"], {"ad_account_id": account.id, "since": since}
    ).fetchall()
    return {row[0]: DayState(*row[1:]) for row in rows}


def account_days(
    connection: Connection, account: Account, since: date, until: date
) -> list[AccountDay]:
    """Every known day of the range, level by level."""
    rows = connection.execute(
        queries["read_days"], {"ad_account_id": account.id, "since": since, "until": until}
    ).fetchall()
    return [AccountDay._make((row[0], Level(row[1]), *row[2:10], _class(row[10]))) for row in rows]


def record_read(
    connection: Connection, account: Account, level: Level, days: Days, read_started_at: datetime
) -> None:
    """Note a complete read of those days at that level. Sealed days stay sealed."""
    connection.execute(
        queries["record_read"],
        {
            "ad_account_id": account.id,
            "level": level.value,
            "days": day_list(days),
            "read_started_at": read_started_at,
        },
    )


def record_totals(
    connection: Connection, account: Account, totals: Iterable[DayTotals], days: Days
) -> None:
    """Store the platform's account totals of those days; a day without one had no activity."""
    by_day = {total.date: total for total in totals}
    nothing = Decimal(0)
    rows = [
        by_day.get(day)
        or DayTotals(
            date=day,
            impressions=0,
            clicks=0,
            spend=nothing,
            conversions=nothing,
            conversion_value=nothing,
        )
        for day in day_list(days)
    ]
    connection.execute(
        queries["record_totals"],
        {
            "ad_account_id": account.id,
            "dates": [row.date for row in rows],
            "impressions": [row.impressions for row in rows],
            "clicks": [row.clicks for row in rows],
            "spend": [row.spend for row in rows],
            "conversions": [row.conversions for row in rows],
            "conversion_value": [row.conversion_value for row in rows],
        },
    )


def reconcile(connection: Connection, account: Account, level: Level, days: Days) -> list[Residual]:
    """Add up the stored rows of those days; the days that differ from the platform's total.

    Days that were read and add up become reconciled, the others open. Days without a recorded
    total stay open and have no residual.
    """
    wanted = day_list(days)
    if not wanted:
        return []
    rows = connection.execute(
        queries["reconcile_days"],
        {
            "ad_account_id": account.id,
            "level": level.value,
            "days": wanted,
            "since": wanted[0],
            "until": wanted[-1],
            "lasting": BELIEVED_AFTER,
        },
    ).fetchall()
    return [Residual._make((row[0], level, *row[1:6], _class(row[6]), *row[7:9])) for row in rows]


def classify(
    connection: Connection,
    account: Account,
    level: Level,
    days: Days,
    residual_class: ResidualClass | str,
) -> int:
    """Explain the residual of those days; explained, they count as reconciled. How many.

    A moving, unexplained or hidden day stays open: that is no explanation to rest on.
    """
    cursor = connection.execute(
        queries["classify_day"],
        {
            "ad_account_id": account.id,
            "level": level.value,
            "days": day_list(days),
            "residual_class": ResidualClass(residual_class).value,
        },
    )
    return cursor.rowcount


def seal(
    connection: Connection,
    account: Account,
    days_by_level: Mapping[Level, Iterable[date]],
    now: datetime,
) -> int:
    """Declare days final; how many level-days were.

    Days not read or not reconciled stay open, and those that are empty for less than an hour.
    """
    return sum(
        connection.execute(
            queries["seal_days"],
            {
                "ad_account_id": account.id,
                "level": level.value,
                "days": day_list(days),
                "now": now,
                "lasting": BELIEVED_AFTER,
            },
        ).rowcount
        for level, days in days_by_level.items()
    )


def _class(name: str | None) -> ResidualClass | None:
    return None if name is None else ResidualClass(name)
