"""Cron lines: what we accept, Dagster accepts."""

from __future__ import annotations

import pytest
from dagster._utils.schedules import is_valid_cron_string
from hypothesis import given
from hypothesis import strategies as st

from adsync_dagster.cron import is_cron_line

parts = st.from_regex(r"(\*|[0-9]{1,2}(-[0-9]{1,2})?)(/[0-9]{1,2})?", fullmatch=True)
fields = st.lists(parts, min_size=1, max_size=3).map(",".join)
lines = st.lists(fields, min_size=4, max_size=6).map(" ".join)


@pytest.mark.parametrize(
    "line",
    [
        "0 * * * *",
        "*/15 8-18 * * mon-fri",
        "0 2 * * 0",
        "0 2 * * 7",
        "30 4 1,15 jan-jun/2 *",
        "0   0 * * *",
    ],
)
def test_cron_lines(line: str) -> None:
    """Ordinary cron lines are accepted, by us and by Dagster."""
    assert is_cron_line(line)
    assert is_valid_cron_string(line)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "hourly",
        "0 * * *",
        "0 * * * * *",
        "0 24 * * *",
        "5-1 * * * *",
        "0 * * foo *",
        "0 0 31 2 *",
    ],
)
def test_what_is_no_cron_line(line: str) -> None:
    """Anything else is refused."""
    assert not is_cron_line(line)


@given(lines)
def test_dagster_accepts_what_we_accept(line: str) -> None:
    """No line passes here and fails when Dagster loads the schedule."""
    if is_cron_line(line):
        assert is_valid_cron_string(line)


@given(st.text(max_size=30))
def test_no_text_crashes(line: str) -> None:
    """Whatever stands in the variable, the answer is yes or no."""
    assert is_cron_line(line) in {True, False}
