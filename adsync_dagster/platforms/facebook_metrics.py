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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import orjson

from adsync_dagster.errors import IncompleteRead
from adsync_dagster.platforms.facebook_errors import OtherObject
from adsync_dagster.platforms.numbers import (
    COUNTER_DIGITS_MAX,
    MONEY_DIGITS_MAX,
    counter,
    decimal_text,
)
from adsync_dagster.records import DailyMetrics, DateRange, DayTotals, Level

#: The default conversion action, and the only type that may stand in for it.
OMNI_PURCHASE = "omni_purchase"
PURCHASE = "purchase"

#: The ids a level's rows carry: its own, its campaign's, its ad set's.
_ID_KEYS: dict[Level, tuple[str, ...]] = {
    Level.CAMPAIGN: ("campaign_id",),
    Level.ADSET: ("adset_id", "campaign_id"),
    Level.AD: ("ad_id", "campaign_id", "adset_id"),
}

#: impressions, clicks, link clicks, spend, reach, frequency, as DailyMetrics has them.
Numbers = tuple[str, str, str | None, str, str | None, str | None]


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
        currency = rows[0].get("account_currency") if rows else None
        return [_metrics(row, level, question, currency) for row in rows]
    except KeyError as error:
        # The key is a field we asked for, by our own name for it.
        problem = f"a row lacks {error.args[0]}"
    except (TypeError, AttributeError):
        problem = "a row holds a value of the wrong type"
    except IncompleteRead as error:
        raise type(error)(f"{question.purpose}: {error}") from None
    raise IncompleteRead(f"{question.purpose}: {problem}")


def _metrics(row: Any, level: Level, question: Question, currency: str | None) -> DailyMetrics:
    """One row, in as few steps as prove it."""
    get = row.get
    ids = [row[key] for key in _ID_KEYS[level]]
    platform_id, day = ids[0], row["date_start"]
    if (
        row["account_id"] != question.account
        or day not in question.days
        or row["date_stop"] != day
        or get("account_currency") != currency
        or (question.entity_id is not None and platform_id != question.entity_id)
    ):
        raise _other_answer(row, question)
    numbers = (
        row["impressions"],
        row["clicks"],
        get("inline_link_clicks"),
        row["spend"],
        get("reach"),
        get("frequency"),
    )
    if not _are_plain(ids, numbers):
        numbers = _careful(row, level)
    actions, values = get("actions"), get("action_values")
    conversions = value = "0"
    extra = None
    if actions is not None or values is not None:
        conversions = action_value(actions, question.conversion_action)
        value = action_value(values, question.conversion_action)
        extra = orjson.dumps(_raw(actions, values)).decode()
    return tuple.__new__(
        DailyMetrics,
        (
            level,
            platform_id,
            day,
            ids[1] if len(ids) > 1 else None,
            ids[2] if len(ids) > 2 else None,
            *numbers,
            conversions,
            value,
            extra,
        ),
    )


def _are_plain(ids: list[str], numbers: Numbers) -> bool:
    """Whether everything is made of digits, with one test of all of them put together.

    False only sends the row the careful way. A value that is no text raises TypeError. What
    is empty would vanish among the others, so it is looked at by itself; the last character
    of a decimal stands there twice because a lone point would vanish too.
    """
    impressions, clicks, links, spend, reach, frequency = numbers
    digits = impressions + clicks + spend.replace(".", "", 1) + spend[-1:]
    if links is not None:
        digits += links
    if reach is not None:
        digits += reach
    for one in ids:
        if not one:
            return False
        digits += one
    if frequency is not None:
        digits += frequency.replace(".", "", 1) + frequency[-1:]
    return (
        digits.isdigit()
        and digits.isascii()
        and impressions != ""
        and clicks != ""
        and spend != ""
        and links != ""
        and reach != ""
        and frequency != ""
        and len(impressions) <= COUNTER_DIGITS_MAX
        and len(clicks) <= COUNTER_DIGITS_MAX
        and len(links or "") <= COUNTER_DIGITS_MAX
        and len(reach or "") <= COUNTER_DIGITS_MAX
        and len(spend) <= MONEY_DIGITS_MAX
    )


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
    kind = IncompleteRead if question.entity_id is None else OtherObject
    return kind(f"the answer holds {problem}")


def _careful(row: Mapping[str, Any], level: Level) -> Numbers:
    """The row's numbers one by one, normalised; IncompleteRead names the first wrong one."""
    for key in _ID_KEYS[level]:
        counter(row[key], key, digits_max=30)
    links, reach, frequency = row.get("inline_link_clicks"), row.get("reach"), row.get("frequency")
    return (
        counter(row["impressions"], "impressions"),
        counter(row["clicks"], "clicks"),
        None if links is None else counter(links, "inline_link_clicks"),
        decimal_text(row["spend"], "spend"),
        None if reach is None else counter(reach, "reach"),
        None if frequency is None else decimal_text(frequency, "frequency"),
    )


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
