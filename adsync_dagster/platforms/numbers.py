"""Numbers in a platform's text, proven to be numbers the warehouse can hold. Never a float."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from adsync_dagster.errors import IncompleteRead

#: numeric(18,6) holds twelve digits before the point; eighteen digits always fit a bigint.
MONEY_DIGITS_MAX = 12
COUNTER_DIGITS_MAX = 18
_DECIMAL = re.compile(r"-?\d{1,40}(\.\d{0,40})?([eE][+-]?\d{1,2})?", re.ASCII)


def counter(value: Any, name: str, *, digits_max: int = COUNTER_DIGITS_MAX) -> str:
    """A non-negative integer as text; IncompleteRead names the field otherwise."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= digits_max:
        return value
    raise IncompleteRead(f"{name} is not a whole number")


def decimal_text(value: Any, name: str) -> str:
    """A finite decimal that fits the warehouse, without exponent; never by way of a float.

    Digits beyond the warehouse's six decimals are passed on; it rounds them.
    """
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        number = Decimal(value)
        if number.adjusted() < MONEY_DIGITS_MAX:
            return format(number, "f")
    raise IncompleteRead(f"{name} is not a decimal number the warehouse can hold")
