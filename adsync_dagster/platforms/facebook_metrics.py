"""Insights rows to DailyMetrics and DayTotals: the innermost loop of every sync.

A row is taken only when it answers the question (account, day, level) and its numbers are
numbers; else IncompleteRead names the field. The loop proves that with a few string tests;
a row it cannot prove goes to `_careful`, which normalises it (a sign, an exponent) or raises.

`conversions` is the value of one configured action type. The same purchase appears under
several types (omni_purchase, purchase, offsite_conversion.fb_pixel_purchase), so types are
never added up. `purchase` stands in for an absent `omni_purchase`, which contains it; no
other type stands in for another. The raw arrays are kept in `extra`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import orjson

from adsync_dagster.errors import IncompleteRead
from adsync_dagster.records import DailyMetrics, DateRange, DayTotals, Level

#: numeric(18,6) holds twelve digits before the point; eighteen digits always fit a bigint.
MONEY_DIGITS_MAX = 12
COUNTER_DIGITS_MAX = 18
_DECIMAL = re.compile(r"-?\d{1,40}(\.\d{0,40})?([eE][+-]?\d{1,2})?", re.ASCII)

#: The default conversion action, and the only type that may stand in for it.
OMNI_PURCHASE = "omni_purchase"
PURCHASE = "purchase"

#: Where a level's rows carry their own id, their campaign's and their ad set's.
_ID_KEYS: dict[Level, tuple[str, str | None, str | None]] = {
    Level.CAMPAIGN: ("campaign_id", None, None),
    Level.ADSET: ("adset_id", "campaign_id", None),
    Level.AD: ("ad_id", "campaign_id", "adset_id"),
}

#: impressions, clicks, link clicks, reach, spend, frequency.
Numbers = tuple[str, str, str | None, str | None, str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the rows of a report have to be about."""

    #: The account id without `act_`, as rows carry it.
    account: str
    #: The days of the range, in the spelling of the wire.
    days: frozenset[str]
    conversion_action: str
    #: In words, for messages.
    purpose: str
    #: The only entity the rows may belong to, when the read is by id.
    entity_id: str | None = None


def days_of(days: DateRange) -> frozenset[str]:
    """Every day of a range in the spelling of the wire."""
    first = days.since.toordinal()
    return frozenset(date.fromordinal(first + n).isoformat() for n in range(days.days))


def parse_metrics(rows: Sequence[Any], level: Level, question: Question) -> list[DailyMetrics]:
    """One page of rows; IncompleteRead when one of them is no answer to the question."""
    try:
        return _parse_rows(rows, level, question)
    except KeyError as error:
        # The key is a field we asked for, by our own name for it.
        problem = f"a row lacks {error.args[0]}"
    except (TypeError, AttributeError):
        problem = "a row holds a value of the wrong type"
    except IncompleteRead as error:
        problem = str(error)
    raise IncompleteRead(f"{question.purpose}: {problem}")


def _parse_rows(rows: Sequence[Any], level: Level, question: Question) -> list[DailyMetrics]:
    """The loop itself. Locals only, and no test per field that one test can do for all."""
    account, days, only_id = question.account, question.days, question.entity_id
    action = question.conversion_action
    id_key, campaign_key, adset_key = _ID_KEYS[level]
    currency = rows[0].get("account_currency") if rows else None
    records: list[DailyMetrics] = []
    append, new, dumps = records.append, tuple.__new__, orjson.dumps
    for row in rows:
        get = row.get
        platform_id, day = row[id_key], row["date_start"]
        campaign_id = row[campaign_key] if campaign_key else None
        adset_id = row[adset_key] if adset_key else None
        if (
            row["account_id"] != account
            or day not in days
            or row["date_stop"] != day
            or get("account_currency") != currency
            or (only_id is not None and platform_id != only_id)
        ):
            raise _other_answer(row, question)
        impressions, clicks, spend = row["impressions"], row["clicks"], row["spend"]
        links, reach, frequency = get("inline_link_clicks"), get("reach"), get("frequency")
        digits = (
            impressions
            + clicks
            + platform_id
            + (campaign_id or "")
            + (adset_id or "")
            + (links or "")
            + (reach or "")
            + spend.replace(".", "", 1)
        )
        if frequency is not None:
            digits += frequency.replace(".", "", 1)
        if not (
            digits.isdigit()
            and digits.isascii()
            and impressions
            and clicks
            and platform_id
            and links != ""
            and reach != ""
            and frequency != ""
            and len(links or "") <= COUNTER_DIGITS_MAX
            and len(reach or "") <= COUNTER_DIGITS_MAX
            and len(spend) <= MONEY_DIGITS_MAX
            and len(impressions) <= COUNTER_DIGITS_MAX
            and len(clicks) <= COUNTER_DIGITS_MAX
        ):
            impressions, clicks, links, reach, spend, frequency = _careful(row, level)
        actions, values = get("actions"), get("action_values")
        if actions is None and values is None:
            conversions = value = "0"
            extra = None
        else:
            conversions = action_value(actions, action)
            value = action_value(values, action)
            extra = dumps(_raw(actions, values)).decode()
        append(
            new(
                DailyMetrics,
                (
                    level,
                    platform_id,
                    day,
                    campaign_id,
                    adset_id,
                    impressions,
                    clicks,
                    links,
                    spend,
                    reach,
                    frequency,
                    conversions,
                    value,
                    extra,
                ),
            )
        )
    return records


def action_value(entries: Any, wanted: str) -> str:
    """The value of one action type as decimal text; "0" when the day has none of it."""
    if entries is None:
        return "0"
    stand_in = None
    for entry in entries:
        kind = entry["action_type"]
        if kind == wanted:
            stand_in = entry
            break
        if kind == PURCHASE and wanted == OMNI_PURCHASE:
            stand_in = entry
    if stand_in is None:
        return "0"
    value = stand_in["value"]
    if value.replace(".", "", 1).isdigit() and value.isascii() and len(value) <= MONEY_DIGITS_MAX:
        return str(value)
    return decimal_text(value, "value of an action")


def _raw(actions: Any, values: Any) -> dict[str, Any]:
    """What the platform counted, as it said it."""
    if values is None:
        return {"actions": actions}
    if actions is None:
        return {"action_values": values}
    return {"actions": actions, "action_values": values}


def _other_answer(row: Mapping[str, Any], question: Question) -> IncompleteRead:
    """A row that answers something else: a mixed-up or stale response."""
    if row["account_id"] != question.account:
        problem = "a row of another account"
    elif row["date_start"] not in question.days:
        problem = "a row of a day that was not asked for"
    elif row["date_stop"] != row["date_start"]:
        problem = "a row of more than one day"
    elif question.entity_id is not None:
        problem = "a row of another object, or a second currency"
    else:
        problem = "a second currency"
    return IncompleteRead(f"the answer holds {problem}")


def _careful(row: Mapping[str, Any], level: Level) -> Numbers:
    """The row's numbers one by one, normalised; IncompleteRead names the first wrong one."""
    for key in _ID_KEYS[level]:
        if key is not None:
            counter(row[key], key, digits_max=30)
    links, reach, frequency = row.get("inline_link_clicks"), row.get("reach"), row.get("frequency")
    return (
        counter(row["impressions"], "impressions"),
        counter(row["clicks"], "clicks"),
        None if links is None else counter(links, "inline_link_clicks"),
        None if reach is None else counter(reach, "reach"),
        decimal_text(row["spend"], "spend"),
        None if frequency is None else decimal_text(frequency, "frequency"),
    )


def counter(value: Any, name: str, *, digits_max: int = COUNTER_DIGITS_MAX) -> str:
    """A non-negative integer as text; IncompleteRead names the field otherwise."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= digits_max:
        return value
    raise IncompleteRead(f"{name} is not a whole number")


def decimal_text(value: Any, name: str) -> str:
    """A finite decimal that fits the warehouse, without exponent; never by way of a float."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        number = Decimal(value)
        if number.adjusted() < MONEY_DIGITS_MAX:
            return format(number, "f")
    raise IncompleteRead(f"{name} is not a decimal number the warehouse can hold")


def parse_totals(rows: Sequence[Any], question: Question) -> list[DayTotals]:
    """The account's own totals per day; the same tests as for the rows of entities."""
    try:
        return [_total(row, question) for row in rows]
    except KeyError as error:
        problem = f"a row lacks {error.args[0]}"
    except (TypeError, AttributeError):
        problem = "a row holds a value of the wrong type"
    except IncompleteRead as error:
        problem = str(error)
    raise IncompleteRead(f"{question.purpose}: {problem}")


def _total(row: Any, question: Question) -> DayTotals:
    day = row["date_start"]
    if row["account_id"] != question.account or day not in question.days or row["date_stop"] != day:
        raise _other_answer(row, question)
    action = question.conversion_action
    return DayTotals(
        date=date.fromisoformat(day),
        impressions=int(counter(row["impressions"], "impressions")),
        clicks=int(counter(row["clicks"], "clicks")),
        spend=Decimal(decimal_text(row["spend"], "spend")),
        conversions=Decimal(action_value(row.get("actions"), action)),
        conversion_value=Decimal(action_value(row.get("action_values"), action)),
    )
