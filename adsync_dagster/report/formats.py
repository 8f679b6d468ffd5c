"""Numbers, days and names as a person reads them. Nothing is rounded that a table shows."""

from __future__ import annotations

import unicodedata
from datetime import date, datetime
from decimal import Decimal

from markupsafe import Markup

NOTHING = "\N{EN DASH}"
#: Characters that reorder or hide text around them have no place in a name.
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_JOINERS = {"\u200c", "\u200d"}


def plain(value: object) -> object:
    """What a template may show: None as a dash, text without control and direction characters."""
    if value is None:
        return NOTHING
    if isinstance(value, str) and not isinstance(value, Markup):
        return readable(value)
    return value


def readable(text: str) -> str:
    """The text with unseen characters replaced, so that a name cannot disguise itself."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character
        if character in _JOINERS or unicodedata.category(character) not in _UNSEEN
        else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )


def number(value: Decimal | int | None) -> str:
    """A count or fraction in full, with thousands separated."""
    if value is None:
        return NOTHING
    exact = Decimal(value)
    if exact == exact.to_integral_value():
        return f"{int(exact):,}"
    return f"{exact.normalize():,f}"


def money(value: Decimal | None, currency: str | None) -> str:
    """An amount in full, at least two decimals, with its currency."""
    if value is None:
        return "unknown"
    text = f"{value.normalize():,f}"
    decimals = len(text.partition(".")[2])
    if decimals < 2:
        text = f"{value:,.2f}"
    return f"{text} {currency or '(currency unknown)'}"


def day(value: date | None) -> str:
    """A day as everybody sorts it."""
    return NOTHING if value is None else value.isoformat()


def instant(value: datetime | None) -> str:
    """An instant in UTC, to the minute."""
    return "never" if value is None else value.strftime("%Y-%m-%d %H:%M UTC")


def duration(seconds: Decimal | float | None) -> str:
    """A length of time in its two largest units."""
    if seconds is None:
        return NOTHING
    rest = round(seconds)
    if rest < 1:
        return "under 1 s"
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part)


def shown(value: object) -> object:
    """Any database value: instants to the minute, amounts without idle zeros."""
    if isinstance(value, datetime):
        return instant(value)
    return number(value) if isinstance(value, Decimal) else value


def sentence(text: str) -> str:
    """The text with its first letter large, the others as they are."""
    return text[:1].upper() + text[1:]


def with_code(text: str) -> Markup:
    """The text with what stands between backticks as code."""
    parts = [
        Markup("<code>{}</code>").format(part) if index % 2 else Markup("{}").format(part)
        for index, part in enumerate(text.split("`"))
    ]
    return Markup("").join(parts)
