"""Checks of one environment variable's text: each gives the text to use, or refuses it in a line.

The message names the variable and what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from adsync_dagster.errors import UsageError

#: The hosts that plain http may be spoken with: this machine.
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

#: Takes a variable's name and its text, which is not empty; UsageError when the text will not do.
Check = Callable[[str, str], str]


def whole_number(low: int, high: int) -> Check:
    """Accepts plain digits within the limits, both included."""

    def check(name: str, text: str) -> str:
        if not text.isascii() or not text.isdigit() or not low <= int(text[:9]) <= high:
            raise UsageError(f"{name} is {text[:20]!r}; use a whole number from {low} to {high}")
        return text

    return check


def written_like(pattern: str, advice: str) -> Check:
    """Accepts text that is this (ASCII) expression as a whole; the advice says how to write it."""
    expression = re.compile(pattern, re.ASCII)

    def check(name: str, text: str) -> str:
        if not expression.fullmatch(text):
            raise UsageError(f"{name} is {text[:40]!r}; {advice}")
        return text

    return check


def web_address(name: str, text: str) -> str:
    """An https URL, or plain http for loopback only: a token must not cross a network in clear."""
    address = text.rstrip("/")
    parts = urlsplit(address)
    if parts.scheme == "https" and parts.hostname:
        return address
    if parts.scheme == "http" and parts.hostname in LOOPBACK:
        return address
    raise UsageError(f"{name} must be an https URL (plain http is accepted for loopback only)")


def any_text(name: str, text: str) -> str:  # noqa: ARG001
    """Accepts whatever it is."""
    return text
