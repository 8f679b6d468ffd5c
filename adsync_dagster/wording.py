"""Words that the command line, Dagster and the report share."""

from __future__ import annotations

#: Nothing is synced, because nothing was added.
NO_ACCOUNT = "there is no account to sync; add one with `adsync accounts add`"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """`1 account`, `2 accounts`, `1,200 accounts`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def as_sentence(text: str) -> str:
    """The text as a sentence of its own."""
    return f"{text[:1].upper()}{text[1:]}."
