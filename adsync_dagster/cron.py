"""Checking a cron line before Dagster does, so that a wrong one is a sentence and no traceback."""

from __future__ import annotations

import re

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

#: Lowest and highest value of the five fields, and the names that stand for values.
_FIELDS: tuple[tuple[int, int, tuple[str, ...]], ...] = (
    (0, 59, ()),
    (0, 23, ()),
    (1, 31, ()),
    (1, 12, _MONTHS),
    (0, 7, _WEEKDAYS),
)
_PART = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d{1,3}))?", re.ASCII)


def is_cron_line(text: str) -> bool:
    """Whether the text is a cron line of five fields: minute, hour, day, month, weekday.

    A day that no chosen month has, such as 31 February, makes it none.
    """
    fields = text.split()
    if len(fields) != len(_FIELDS):
        return False
    values = [_values(field, *limits) for field, limits in zip(fields, _FIELDS, strict=True)]
    return all(values) and min(values[2]) <= max(_MONTH_DAYS[month - 1] for month in values[3])


def _values(field: str, low: int, high: int, names: tuple[str, ...]) -> set[int]:
    """The values a field stands for; none at all when any part of it is malformed."""
    found: set[int] = set()
    for part in field.split(","):
        values = _part(part, low, high, names)
        if not values:
            return set()
        found.update(values)
    return found


def _part(part: str, low: int, high: int, names: tuple[str, ...]) -> range:
    match = _PART.fullmatch(part)
    if match is None:
        return range(0)
    first = _value(match["first"], low, names) if match["first"] else low
    last = high
    if match["last"]:
        last = _value(match["last"], low, names)
    elif match["first"] and not match["step"]:
        last = first
    step = int(match["step"] or 1)
    if not step or not low <= first <= last <= high:
        return range(0)
    return range(first, last + 1, step)


def _value(text: str, low: int, names: tuple[str, ...]) -> int:
    """The number a text stands for; one that fits no field when it stands for none."""
    if text.isascii() and text.isdigit() and len(text) <= 2:
        return int(text)
    return names.index(text.lower()) + low if text.lower() in names else -1
