"""Report rows to DailyMetrics and DayTotals.

Every value is text. `-` stands for "not applicable": None for reach and frequency, nothing
counted for clicks and conversions, and no answer at all for what makes a row a row (spend and
impressions). A row is taken only when it answers the question (entity, day); rates are left to
the database.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from adsync_dagster.errors import IncompleteRead
from adsync_dagster.platforms.numbers import counter, decimal_text
from adsync_dagster.platforms.tiktok_wire import Parsed, id_text
from adsync_dagster.records import DailyMetrics, DateRange, DayTotals, Level

NOT_APPLICABLE = "-"
#: The column that shows where a report task's text ends.
END_COLUMN = "currency"
_CURRENCY_LETTERS = 3
#: The dimension that names a row's entity.
ID_DIMENSIONS: dict[Level | None, str] = {
    None: "advertiser_id",
    Level.CAMPAIGN: "campaign_id",
    Level.ADSET: "adgroup_id",
    Level.AD: "ad_id",
}
DAY_DIMENSION = "stat_time_day"
#: Attributes that come among the metrics: the ids of a row's parents.
PARENTS: dict[Level | None, tuple[str, ...]] = {
    None: (),
    Level.CAMPAIGN: (),
    Level.ADSET: ("campaign_id",),
    Level.AD: ("campaign_id", "adgroup_id"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the rows of a report have to be about."""

    account: str
    level: Level | None
    #: Days of the range in ISO form, by the spellings of the wire.
    days: Mapping[str, str]
    conversion_metric: str
    value_metric: str
    purpose: str
    #: The only entities the rows may belong to, when the read is by id.
    ids: Collection[str] | None = None


def days_of(days: DateRange) -> dict[str, str]:
    """Every day of a range by its spellings; a report task's text may leave the time away."""
    first = days.since.toordinal()
    names = [date.fromordinal(first + n).isoformat() for n in range(days.days)]
    return {name: name for name in names} | {f"{name} 00:00:00": name for name in names}


def parse_rows(rows: Sequence[Any], question: Question) -> Parsed:
    """A page of rows; IncompleteRead when one of them is no answer to the question."""
    try:
        if question.level is None:
            totals = [_total(row, question) for row in rows]
            return Parsed([total.date for total in totals], totals)
        metrics = [_metrics(row, question.level, question) for row in rows]
        return Parsed([(one.platform_id, one.date) for one in metrics], metrics)
    except KeyError as error:
        problem = f"a row lacks {error.args[0]}"
    except (TypeError, AttributeError):
        problem = "a row holds a value of the wrong type"
    except IncompleteRead as error:
        problem = str(error)
    raise IncompleteRead(f"{question.purpose}: {problem}")


def _key(row: Any, question: Question) -> tuple[str, str]:
    """The entity and day of a row, which have to be among those asked for."""
    dimensions = row["dimensions"]
    platform_id = id_text(dimensions[ID_DIMENSIONS[question.level]])
    day = question.days.get(dimensions[DAY_DIMENSION])
    if day is None:
        raise IncompleteRead("the answer holds a row of a day that was not asked for")
    if question.ids is not None and platform_id not in question.ids:
        raise IncompleteRead("the answer holds a row of another object")
    return platform_id, day


def _metrics(row: Any, level: Level, question: Question) -> DailyMetrics:
    platform_id, day = _key(row, question)
    metrics = row["metrics"]
    parents = [_parent(metrics[name]) for name in PARENTS[level]]
    reach, frequency = metrics["reach"], metrics["frequency"]
    return DailyMetrics(
        level=level,
        platform_id=platform_id,
        date=day,
        campaign_id=parents[0] if parents else None,
        adset_id=parents[1] if len(parents) > 1 else None,
        impressions=counter(metrics["impressions"], "impressions"),
        clicks=counter(_counted(metrics["clicks"]), "clicks"),
        link_clicks=None,
        spend=decimal_text(metrics["spend"], "spend"),
        reach=None if reach == NOT_APPLICABLE else counter(reach, "reach"),
        frequency=None if frequency == NOT_APPLICABLE else decimal_text(frequency, "frequency"),
        conversions=_amount(metrics, question.conversion_metric),
        conversion_value=_amount(metrics, question.value_metric),
        extra=None,
    )


def _total(row: Any, question: Question) -> DayTotals:
    account, day = _key(row, question)
    if account != question.account:
        raise IncompleteRead("the answer holds a row of another advertiser")
    metrics = row["metrics"]
    return DayTotals(
        date=date.fromisoformat(day),
        impressions=int(counter(metrics["impressions"], "impressions")),
        clicks=int(counter(_counted(metrics["clicks"]), "clicks")),
        spend=Decimal(decimal_text(metrics["spend"], "spend")),
        conversions=Decimal(_amount(metrics, question.conversion_metric)),
        conversion_value=Decimal(_amount(metrics, question.value_metric)),
    )


def _parent(value: Any) -> str | None:
    """A parent's id; None when TikTok has none for this row, which the entity itself then tells."""
    return None if value in (NOT_APPLICABLE, "0") else id_text(value)


def _counted(value: Any) -> Any:
    return "0" if value == NOT_APPLICABLE else value


def _amount(metrics: Mapping[str, Any], name: str) -> str:
    return decimal_text(_counted(metrics[name]), name)


def rows_of_csv(body: bytes, question: Question, columns: Sequence[str]) -> Iterator[Any]:
    """The rows of a task's result in the shape of a page's; IncompleteRead when it is cut.

    Column titles are the API's own names (`enable_report_title_translation` is false). A text
    that is cut within its last value looks whole, so that value has to be one whose length is
    known: the currency, which is asked for last.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise IncompleteRead(f"{question.purpose}: the report is not UTF-8") from None
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        titles = next(lines, [])
        missing = sorted(set(columns) - set(titles))
        if missing or len(set(titles)) != len(titles):
            raise IncompleteRead(f"{question.purpose}: the report lacks the columns {missing}")
        identity = (ID_DIMENSIONS[question.level], DAY_DIMENSION)
        if titles[-1] != END_COLUMN and not text.endswith("\n"):
            raise IncompleteRead(f"{question.purpose}: the report does not end with a whole line")
        for cells in lines:
            if len(cells) != len(titles):
                raise IncompleteRead(f"{question.purpose}: the report breaks off within a row")
            if titles[-1] == END_COLUMN and len(cells[-1]) != _CURRENCY_LETTERS:
                raise IncompleteRead(f"{question.purpose}: the report breaks off within a value")
            named = dict(zip(titles, cells, strict=True))
            yield {"dimensions": {name: named[name] for name in identity}, "metrics": named}
    except csv.Error:
        raise IncompleteRead(f"{question.purpose}: the report is not CSV") from None
