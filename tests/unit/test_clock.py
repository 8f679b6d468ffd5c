"""Clocks: the machine's, one set by hand, and one that all processes of a demo share."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adsync_dagster.clock import (
    VIRTUAL_SLEEP_SECONDS_MAX,
    FileClock,
    SystemClock,
    VirtualClock,
    clock_from_environment,
    parse_instant,
)
from adsync_dagster.errors import UsageError

MORNING = datetime(2026, 3, 1, 8, tzinfo=UTC)


def test_without_a_setting_the_clock_is_the_machines() -> None:
    """An unset or empty ADSYNC_NOW gives real time, aware and in UTC."""
    for environment in ({}, {"ADSYNC_NOW": ""}):
        clock = clock_from_environment(environment)
        assert isinstance(clock, SystemClock)
        assert not clock.is_virtual
        assert abs(clock.now() - datetime.now(tz=UTC)) < timedelta(seconds=5)
        assert clock.now().utcoffset() == timedelta(0)


def test_an_instant_gives_a_virtual_clock() -> None:
    """ADSYNC_NOW with an ISO instant stands still there, converted to UTC."""
    clock = clock_from_environment({"ADSYNC_NOW": "2026-03-01T03:00:00-05:00"})
    assert clock.is_virtual
    assert clock.now() == MORNING
    assert clock.now().tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("yesterday", "ISO instant"),
        ("2026-03-01T08:00:00", "without an offset"),
        ("2026-13-01T08:00:00+00:00", "ISO instant"),
        ("", "ISO instant"),
        ("1772352000", "ISO instant"),
    ],
)
def test_a_malformed_instant_says_what_to_write(text: str, word: str) -> None:
    """Anything but an ISO instant with an offset is refused with an example."""
    with pytest.raises(UsageError, match=word) as caught:
        parse_instant(text)
    assert "\n" not in str(caught.value)


def test_a_long_value_is_not_repeated_in_full() -> None:
    """A pasted file or secret in ADSYNC_NOW is cut in the message."""
    with pytest.raises(UsageError) as caught:
        parse_instant("x" * 4000)
    assert len(str(caught.value)) < 300


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)))  # noqa: DTZ001
def test_every_instant_survives_its_text(naive: datetime) -> None:
    """Writing an instant in any offset and reading it again gives the same instant."""
    instant = naive.replace(tzinfo=timezone(timedelta(hours=5, minutes=45)))
    assert parse_instant(f" {instant.isoformat()}\n") == instant


def test_processes_share_a_file_clock(tmp_path: Path) -> None:
    """Whoever sets the file moves time for every reader, and leaves no draft behind."""
    path = tmp_path / "deep" / "now"
    writer = FileClock(path)
    writer.set(MORNING)
    reader = clock_from_environment({"ADSYNC_NOW": f"file:{path}"})
    assert reader.is_virtual
    assert reader.now() == MORNING
    writer.set(MORNING + timedelta(days=40))
    assert reader.now() == MORNING + timedelta(days=40)
    assert [child.name for child in path.parent.iterdir()] == ["now"]


def test_a_missing_clock_file_is_named(tmp_path: Path) -> None:
    """A file that cannot be read is refused by name, with what to do."""
    clock = FileClock(tmp_path / "gone")
    with pytest.raises(UsageError, match=r"gone.*write an ISO instant into it"):
        clock.now()


@pytest.mark.parametrize("clock", [VirtualClock(MORNING), FileClock(Path("unused"))])
def test_virtual_sleep_does_not_wait(clock: VirtualClock | FileClock) -> None:
    """A back-off of an hour under a virtual clock takes a blink."""
    before = time.monotonic()
    clock.sleep(3600)
    assert time.monotonic() - before < VIRTUAL_SLEEP_SECONDS_MAX + 5
