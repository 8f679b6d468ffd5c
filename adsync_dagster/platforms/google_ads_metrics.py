"""Report rows to DailyMetrics and DayTotals, and the questions they answer.

Money is `cost_micros`, an integer in text; conversions are doubles, because the credit for one
is shared between clicks. A double's shortest decimal text is what Google wrote, so it goes to
the warehouse's six decimals without a loss that Google did not make itself.

A date in SELECT makes rows by day and leaves out the days whose selected metrics are all zero:
in a whole answer, an absent row is a zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

import orjson

from adsync_dagster.platforms.google_ads_entities import KEYS, RESOURCES, by_id, key_of
from adsync_dagster.platforms.google_ads_wire import Question, Row, WrongAnswer, between, own
from adsync_dagster.platforms.numbers import COUNTER_DIGITS_MAX, MONEY_DIGITS_MAX, counter
from adsync_dagster.records import DailyMetrics, DateRange, DayAmounts, DayTotals, Level

#: Channels whose ads Google reports no rows for: only their campaigns have numbers.
CAMPAIGNS_ONLY_CHANNELS = ("PERFORMANCE_MAX",)

_DAY = "segments.date"
_NUMBERS = (
    "metrics.impressions",
    "metrics.clicks",
    "metrics.cost_micros",
    "metrics.conversions",
    "metrics.conversions_value",
)
#: Kept beside the numbers, as they come.
_EXTRAS = {
    "interactions": "interactions",
    "allConversions": "all_conversions",
    "allConversionsValue": "all_conversions_value",
    "viewThroughConversions": "view_through_conversions",
}
_EXTRA_FIELDS = tuple(f"metrics.{name}" for name in _EXTRAS.values())
_MICRO = Decimal("0.000001")
_AMOUNT_MAX = 10**MONEY_DIGITS_MAX
_NOTHING = (None, 0, 0.0, "0")


class Numbers(NamedTuple):
    """The five numbers that rows and totals share, as text."""

    impressions: str
    clicks: str
    spend: str
    conversions: str
    conversion_value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the rows of a report have to be about."""

    account: str
    #: The days of the range, in the spelling of the wire.
    days: frozenset[str]
    #: The only entities whose rows are taken, when the read is by id.
    ids: frozenset[str] | None = None


def asked(account: str, days: DateRange, ids: frozenset[str] | None = None) -> Asked:
    """The question's days spelled out."""
    first = days.since.toordinal()
    spelled = frozenset(date.fromordinal(first + n).isoformat() for n in range(days.days))
    return Asked(account=account, days=spelled, ids=ids)


def report(
    level: Level, days: DateRange, purpose: str, ids: tuple[str, ...] | None = None
) -> Question:
    """Daily numbers of a level, whatever the entities' status, or of these entities."""
    return Question(
        fields=(_DAY, *KEYS[level], *_NUMBERS, *_EXTRA_FIELDS),
        resource=RESOURCES[level],
        conditions=(between(days), *(() if ids is None else by_id(level, ids))),
        purpose=purpose,
    )


def totals(days: DateRange, purpose: str) -> Question:
    """The account's own numbers by day."""
    return Question(
        fields=(_DAY, "customer.id", *_NUMBERS),
        resource="customer",
        conditions=(between(days),),
        purpose=purpose,
    )


def campaigns_only(days: DateRange, purpose: str) -> Question:
    """Daily numbers of the campaigns whose ads have no rows."""
    channels = ", ".join(f"'{channel}'" for channel in CAMPAIGNS_ONLY_CHANNELS)
    return Question(
        fields=(_DAY, *KEYS[Level.CAMPAIGN], *_NUMBERS),
        resource="campaign",
        conditions=(between(days), f"campaign.advertising_channel_type IN ({channels})"),
        purpose=purpose,
    )


def parse_metrics(rows: list[Row], level: Level, question: Asked) -> list[DailyMetrics]:
    """A chunk of rows; raises what `read_rows` takes for a wrong answer."""
    return [record for row in rows if (record := _metrics(row, level, question)) is not None]


def _metrics(row: Row, level: Level, question: Asked) -> DailyMetrics | None:
    """One row; None for an ad of another ad group that shares the id of one that was asked for."""
    day = _day_of(row, question)
    platform_id, campaign_id, adset_id = key_of(row, level)
    if question.ids is not None and platform_id not in question.ids:
        if level is Level.AD:
            return None
        raise WrongAnswer("the answer holds a row of another entity")
    metrics = row["metrics"]
    impressions, clicks, spend, conversions, value = numbers(metrics)
    return DailyMetrics(
        level,
        platform_id,
        day,
        campaign_id,
        adset_id,
        impressions,
        clicks,
        None,
        spend,
        None,
        None,
        conversions,
        value,
        _extra(metrics),
    )


def _day_of(row: Row, question: Asked) -> str:
    own(row, question.account)
    day: str = row["segments"]["date"]
    if day not in question.days:
        raise WrongAnswer("the answer holds a row of a day that was not asked for")
    return day


def numbers(metrics: Mapping[str, Any]) -> Numbers:
    """The numbers of a row. One that is absent was not returned: it is never taken for zero."""
    return Numbers(
        counter(metrics["impressions"], "impressions"),
        counter(metrics["clicks"], "clicks"),
        micros(metrics["costMicros"], "costMicros"),
        double(metrics["conversions"], "conversions"),
        double(metrics["conversionsValue"], "conversionsValue"),
    )


def micros(value: Any, name: str) -> str:
    """Micros in text as decimal text in major units, exactly."""
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= COUNTER_DIGITS_MAX):
        raise WrongAnswer(f"{name} is not a whole number of micros")
    whole, rest = divmod(int(digits), 1_000_000)
    sign = "-" if len(digits) < len(value) else ""
    return f"{sign}{whole}.{rest:06d}" if rest else f"{sign}{whole}"


def double(value: Any, name: str) -> str:
    """A JSON number as decimal text of at most six decimals."""
    if type(value) not in (float, int) or not -_AMOUNT_MAX < value < _AMOUNT_MAX:
        raise WrongAnswer(f"{name} is not a number the warehouse can hold")
    if value == int(value):
        return str(int(value))
    return format(Decimal(repr(value)).quantize(_MICRO, ROUND_HALF_UP), "f")


def _extra(metrics: Mapping[str, Any]) -> str | None:
    """What else was counted, without zeros; None when there is nothing."""
    found = {
        name: value for key, name in _EXTRAS.items() if (value := metrics.get(key)) not in _NOTHING
    }
    return orjson.dumps(found).decode() if found else None


def parse_totals(
    rows: list[Row], question: Asked, only: Mapping[str, DayAmounts]
) -> list[DayTotals]:
    """The account's own totals per day, with what of them only campaigns show."""
    records = []
    for row in rows:
        day = _day_of(row, question)
        amounts = amounts_of(numbers(row["metrics"]))
        records.append(
            DayTotals(
                date=date.fromisoformat(day), **amounts._asdict(), campaigns_only=only.get(day)
            )
        )
    return records


def sum_by_day(rows: list[Row], question: Asked) -> dict[str, DayAmounts]:
    """The sum of campaign rows per day, rounded as one number, as the account's total is.

    A row that comes twice counts once, the last time.
    """
    latest = {(_day_of(row, question), key_of(row, Level.CAMPAIGN)[0]): row for row in rows}
    sums: dict[str, DayAmounts] = {}
    for (day, _), row in latest.items():
        metrics = row["metrics"]
        amounts = amounts_of(numbers(metrics))._replace(
            conversions=Decimal(repr(metrics["conversions"])),
            conversion_value=Decimal(repr(metrics["conversionsValue"])),
        )
        known = sums.get(day)
        sums[day] = amounts if known is None else _added(known, amounts)
    return {
        day: amounts._replace(
            conversions=amounts.conversions.quantize(_MICRO, ROUND_HALF_UP),
            conversion_value=amounts.conversion_value.quantize(_MICRO, ROUND_HALF_UP),
        )
        for day, amounts in sums.items()
    }


def amounts_of(texts: Numbers) -> DayAmounts:
    """The numbers as numbers."""
    return DayAmounts(
        impressions=int(texts.impressions),
        clicks=int(texts.clicks),
        spend=Decimal(texts.spend),
        conversions=Decimal(texts.conversions),
        conversion_value=Decimal(texts.conversion_value),
    )


def _added(one: DayAmounts, other: DayAmounts) -> DayAmounts:
    return DayAmounts(
        impressions=one.impressions + other.impressions,
        clicks=one.clicks + other.clicks,
        spend=one.spend + other.spend,
        conversions=one.conversions + other.conversions,
        conversion_value=one.conversion_value + other.conversion_value,
    )
