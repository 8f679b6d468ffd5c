"""Checking a cron line before Dagster does, so that a wrong one is a sentence and no traceback."""

from __future__ import annotations

import re

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
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
    """Whether the text is a cron line of five fields: minute, hour, day, month, weekday."""
    fields = text.split()
    return len(fields) == len(_FIELDS) and all(
        all(_is_part(part, *limits) for part in field.split(","))
        for field, limits in zip(fields, _FIELDS, strict=True)
    )


def _is_part(part: str, low: int, high: int, names: tuple[str, ...]) -> bool:
    match = _PART.fullmatch(part)
    if match is None or match["step"] in {"0", "00", "000"}:
        return False
    values = [_value(text, low, names) for text in (match["first"], match["last"]) if text]
    return all(low <= value <= high for value in values) and values == sorted(values)


def _value(text: str, low: int, names: tuple[str, ...]) -> int:
    """The number a text stands for; one that fits no field when it stands for none."""
    if text.isascii() and text.isdigit() and len(text) <= 2:
        return int(text)
    return names.index(text.lower()) + low if text.lower() in names else -1
