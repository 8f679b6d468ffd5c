"""Reads the `fields` parameter: `id,name,creative{id},insights.date_preset(last_7d){spend}`."""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

from adsync_dagster.simulator.facebook_errors import unparsable


@dataclass(frozen=True, slots=True)
class Field:
    """One requested field, with what stands in its parentheses and braces."""

    name: str
    modifiers: dict[str, str] = field(default_factory=dict)
    fields: tuple[Field, ...] = ()


def parse_fields(text: str) -> tuple[Field, ...]:
    """The requested fields; a JSON array (as the SDK's POST sends it) is accepted as well."""
    text = text.strip()
    if text.startswith("["):
        try:
            text = ",".join(str(item) for item in orjson.loads(text))
        except orjson.JSONDecodeError:
            raise unparsable("Syntax error in the fields parameter") from None
    fields, rest = _parse_list(text)
    if rest:
        raise unparsable(f"Syntax error: unexpected {rest[:1]!r} in the fields parameter")
    return fields


def _parse_list(text: str) -> tuple[tuple[Field, ...], str]:
    found: list[Field] = []
    while text and not text.startswith("}"):
        item, text = _parse_one(text)
        if item.name:
            found.append(item)
        if text.startswith(","):
            text = text[1:]
        elif text and not text.startswith("}"):
            raise unparsable(f"Syntax error: unexpected {text[:1]!r} in the fields parameter")
    return tuple(found), text


def _parse_one(text: str) -> tuple[Field, str]:
    name, text = _take_word(text)
    modifiers: dict[str, str] = {}
    while text.startswith("."):
        modifier, text = _take_word(text[1:])
        if not text.startswith("("):
            raise unparsable("Syntax error: expected '(' in the fields parameter")
        modifiers[modifier], text = _take_parentheses(text)
    inner: tuple[Field, ...] = ()
    if text.startswith("{"):
        inner, text = _parse_list(text[1:])
        if not text.startswith("}"):
            raise unparsable("Syntax error: expected '}' in the fields parameter")
        text = text[1:]
    return Field(name, modifiers, inner), text


def _take_word(text: str) -> tuple[str, str]:
    end = 0
    while end < len(text) and text[end] not in ",.(){}":
        end += 1
    return text[:end].strip(), text[end:]


def _take_parentheses(text: str) -> tuple[str, str]:
    depth = 0
    for index, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text[1:index], text[index + 1 :]
    raise unparsable("Syntax error: expected ')' in the fields parameter")
