"""Text on its way into Postgres."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adsync_dagster.errors import Defect
from adsync_dagster.warehouse.text import (
    ERROR_CHARACTERS_MAX,
    json_text,
    short_text,
    storable_json_text,
    storable_text,
)

ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(ANY_TEXT)
def test_any_text_becomes_storable(text: str) -> None:
    """Whatever the text, the result is UTF-8 without NUL, and clean text is left alone."""
    stored = storable_text(text)

    assert "\x00" not in stored
    assert stored.encode().decode() == stored
    assert storable_text(stored) == stored


@given(st.text(alphabet=st.characters(exclude_characters="\x00", exclude_categories=("Cs",))))
def test_clean_text_is_untouched(text: str) -> None:
    """Text that Postgres takes is not changed."""
    assert storable_text(text) == text


@given(JSON)
def test_any_json_value_becomes_storable(value: object) -> None:
    """Whatever the value, the text is JSON that jsonb takes: no NUL, no lone surrogate."""
    text = json_text(value)

    assert "\\u0000" not in json.dumps(json.loads(text)).replace("\\\\", "")
    text.encode()


def test_a_literal_backslash_u_is_kept() -> None:
    """The six characters backslash u0000 as text are not an escaped NUL."""
    text = json.dumps({"note": "\\u0000", "nul": "a\x00b"})

    assert json.loads(storable_json_text(text)) == {"note": "\\u0000", "nul": "ab"}


def test_values_json_does_not_know_are_written_as_text() -> None:
    """A value without a JSON form inside platform extras is kept as its text."""
    assert json_text({"s": "\ud800", "when": datetime(2026, 1, 1, tzinfo=UTC)}) == (
        '{"s":"?","when":"2026-01-01T00:00:00+00:00"}'
    )


def test_text_that_is_no_json_is_a_defect() -> None:
    """An adapter that hands over broken extras is a bug, named as one."""
    with pytest.raises(Defect):
        storable_json_text('{"a": \\u0000')


def test_errors_are_cut_to_a_length() -> None:
    """A message of any length fits the table."""
    assert len(short_text("x" * 100_000)) == ERROR_CHARACTERS_MAX
