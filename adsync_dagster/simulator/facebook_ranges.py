"""Date parameters of insights: ranges, presets and increments, in account-local days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, NamedTuple

from adsync_dagster.simulator.entities import SimAccount
from adsync_dagster.simulator.facebook_errors import GraphError, invalid, too_old
from adsync_dagster.simulator.facebook_request import GraphRequest
from adsync_dagster.simulator.facebook_settings import FacebookSettings


class Bucket(NamedTuple):
    """The days that one row covers, both ends included, as ordinals."""

    since: int
    until: int

    @property
    def days(self) -> range:
        return range(self.since, self.until + 1)


#: (first, last) day of a preset, counted back from today.
_PRESETS = {
    "today": (0, 0),
    "yesterday": (1, 1),
    "last_3d": (3, 1),
    "last_7d": (7, 1),
    "last_14d": (14, 1),
    "last_28d": (28, 1),
    "last_30d": (30, 1),
    "last_90d": (90, 1),
}


def buckets(request: GraphRequest, account: SimAccount, settings: FacebookSettings) -> list[Bucket]:
    """The row spans that a call asks for, oldest first."""
    today = account.zone.day(request.at)
    floor = _months_back(today, settings.retention_months)
    ranges = request.json("time_ranges")
    if ranges is not None:
        if not isinstance(ranges, list) or not ranges:
            raise invalid("Param time_ranges must be a non-empty array")
        return [_checked(_range(item), floor) for item in ranges]
    single = request.json("time_range")
    span = _range(single) if single is not None else _preset(request, today, floor)
    return list(_split(_checked(span, floor), request.params.get("time_increment", "all_days")))


def _range(value: Any) -> Bucket:
    if not isinstance(value, dict) or not {"since", "until"} <= value.keys():
        raise invalid("Param time_range must have since and until")
    try:
        since = date.fromisoformat(str(value["since"])).toordinal()
        until = date.fromisoformat(str(value["until"])).toordinal()
    except ValueError:
        raise invalid("Must be a date representation in the format YYYY-MM-DD") from None
    if since > until:
        raise GraphError("(#100) Start date must be before or the same as end date", 100)
    return Bucket(since, until)


def _checked(span: Bucket, floor: int) -> Bucket:
    if span.since < floor:
        raise too_old()
    return span


def _preset(request: GraphRequest, today: int, floor: int) -> Bucket:
    name = request.params.get("date_preset") or "last_30d"
    if name in _PRESETS:
        first, last = _PRESETS[name]
        return Bucket(today - first, today - last)
    day = date.fromordinal(today)
    if name == "this_month":
        return Bucket(day.replace(day=1).toordinal(), today)
    if name == "last_month":
        last_day = day.replace(day=1) - timedelta(days=1)
        return Bucket(last_day.replace(day=1).toordinal(), last_day.toordinal())
    if name == "this_year":
        return Bucket(day.replace(month=1, day=1).toordinal(), today)
    if name == "this_week_mon_today":
        return Bucket(today - day.weekday(), today)
    if name == "maximum":
        return Bucket(floor, today)
    raise invalid("Param date_preset must be one of {today, yesterday, last_7d, ..., maximum}")


def _split(span: Bucket, increment: str) -> Iterator[Bucket]:
    if increment == "all_days":
        yield span
    elif increment == "monthly":
        yield from _months(span)
    elif increment.isdigit() and 1 <= int(increment) <= 90:
        step = int(increment)
        for since in range(span.since, span.until + 1, step):
            yield Bucket(since, min(since + step - 1, span.until))
    else:
        raise invalid("Param time_increment must be 1 to 90, monthly or all_days")


def _months(span: Bucket) -> Iterator[Bucket]:
    since = span.since
    while since <= span.until:
        day = date.fromordinal(since)
        following = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        until = min(span.until, following.toordinal() - 1)
        yield Bucket(since, until)
        since = until + 1


def _months_back(today: int, months: int) -> int:
    """The same day so many months ago, or the first of the following month if there is none."""
    day = date.fromordinal(today)
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    first = date(year, month + 1, 1)
    back = first + timedelta(days=day.day - 1)
    if back.month != first.month:
        back = (first + timedelta(days=32)).replace(day=1)
    return back.toordinal()
