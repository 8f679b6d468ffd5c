"""How the report writes numbers and names: exact, and without disguises."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from adsync_dagster.report import charts, formats
from adsync_dagster.report.charts import Bar, Cell


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("0", "0.00 USD"),
        ("1234.5", "1,234.50 USD"),
        ("1234.500000", "1,234.50 USD"),
        ("0.000001", "0.000001 USD"),
        ("-12.5", "-12.50 USD"),
        ("1000000.000000", "1,000,000.00 USD"),
        ("123456789012.123456", "123,456,789,012.123456 USD"),
    ],
)
def test_money_is_written_in_full(amount: str, words: str) -> None:
    """Nothing is rounded away, idle zeros are."""
    assert formats.money(Decimal(amount), "USD") == words


def test_unknown_money_is_unknown() -> None:
    """No amount is no zero, and no currency is said to be unknown."""
    assert formats.money(None, "USD") == "unknown"
    assert formats.money(Decimal(1), None) == "1.00 (currency unknown)"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "under 1 s"),
        (59, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3661, "1 h 1 min"),
        (90_000, "1 d 1 h"),
        (86_400, "1 d"),
        (86_460, "1 d"),
        (None, "\N{EN DASH}"),
    ],
)
def test_durations_in_two_units(seconds: float | None, words: str) -> None:
    """The two largest units say enough."""
    assert formats.duration(seconds) == words


def test_a_name_cannot_turn_the_text_around() -> None:
    """Direction overrides and control characters become visible; letters of all scripts stay."""
    assert formats.readable("a\u202eb\x1b[31m\u2066") == "a\ufffdb\ufffd[31m\ufffd"
    for name in ("Überraschung", "שלום", "春のセール", "👩‍👩‍👧"):
        assert formats.readable(name) == name


def test_drawings_escape_what_they_write() -> None:
    """Titles and labels come from data: they never become markup."""
    evil = "</title><script>alert(1)</script>\"'"
    cell = Cell(date=date(2026, 3, 9), look="open", mark="", title=evil)
    drawn = [
        charts.calendar([cell], evil),
        charts.bars([Bar(parts=(("sealed", 1),), title=evil)], Decimal(1), evil),
        charts.share([("sealed", 1)], evil),
        formats.with_code(f"`{evil}` {evil}"),
    ]
    for drawing in drawn:
        assert "<script" not in drawing
        assert "</title><" not in drawing.replace("</title><rect", "").replace("</title></g", "")


def test_a_calendar_puts_weekdays_in_rows() -> None:
    """Monday is the top row, Sunday the seventh, a new week the next column."""
    days = [date(2026, 3, 9) + timedelta(days=offset) for offset in range(8)]
    drawing = charts.calendar(
        [Cell(date=day, look="sealed", mark="", title=str(day)) for day in days], "x"
    )
    positions = [part.split(' width="')[0] for part in drawing.split("<rect ")[1:]]
    assert positions[0] == 'class="day sealed" x="32.5" y="18.5"'
    assert positions[6] == 'class="day sealed" x="32.5" y="114.5"'
    assert positions[7] == 'class="day sealed" x="48.5" y="18.5"'


@pytest.mark.parametrize(
    ("largest", "top"),
    [("0", "1"), ("1", "1"), ("1.1", "2"), ("2.2", "2.5"), ("260", "500"), ("501", "1000")],
)
def test_scales_end_at_round_numbers(largest: str, top: str) -> None:
    """A scale reaches the largest value and ends at a number people read at once."""
    assert charts.nice_top(Decimal(largest)) == Decimal(top)


def test_instants_are_utc_to_the_minute() -> None:
    """Never is never, not a dash."""
    assert formats.instant(datetime(2026, 3, 10, 15, 4, 59, tzinfo=UTC)) == "2026-03-10 15:04 UTC"
    assert formats.instant(None) == "never"
