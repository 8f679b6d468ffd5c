"""Text as Postgres can store it: without NUL characters and lone surrogates."""

from __future__ import annotations

from typing import Any

import orjson

from adsync_dagster.errors import Defect

ERROR_CHARACTERS_MAX = 2000


def storable_text(text: str) -> str:
    """The text without NUL characters; lone surrogates become question marks."""
    if "\x00" in text:
        text = text.replace("\x00", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def short_text(text: str) -> str:
    """An error message or reason, storable and cut to a length that a table can show."""
    return storable_text(text)[:ERROR_CHARACTERS_MAX]


def storable_json_text(text: str) -> str:
    r"""JSON text as jsonb takes it: `\u0000` and lone surrogates inside strings removed."""
    if "\\u0000" not in text and "\\ud" not in text and "\\uD" not in text and "\x00" not in text:
        return text
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Defect("an adapter handed over extra fields that are not JSON") from None
    return orjson.dumps(_storable(value)).decode()


def json_text(value: Any) -> str:
    """A JSON-ready value as text that jsonb takes."""
    try:
        return storable_json_text(orjson.dumps(value).decode())
    except TypeError:
        return orjson.dumps(_storable(value), default=str).decode()


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, dict):
        return {storable_text(str(key)): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value
