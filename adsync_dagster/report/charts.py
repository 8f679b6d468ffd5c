"""Small inline SVG drawings. Colours, light and dark, stand in the page's style sheet.

Every drawing carries its meaning as text too: a label for screen readers, a title on each mark,
and a table beside it on the page. Floats are for positions only, never for what is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from markupsafe import Markup, escape

_CELL = 13
_STEP = 16
_LEFT = 32
_TOP = 18
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_BAR_WIDTH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A day in a calendar: its class in the style sheet, its mark, and what it says."""

    date: date
    look: str
    #: "", "known" (a difference with a reason), "unknown" (one without) or "late".
    mark: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bar of stacked parts, bottom first: (class in the style sheet, size)."""

    parts: tuple[tuple[str, Decimal | int], ...]
    title: str
    #: Something about this bar is not known.
    unknown: bool = False


def calendar(cells: Sequence[Cell], label: str) -> Markup:
    """Weeks as columns, Monday on top."""
    monday = cells[0].date - timedelta(days=cells[0].date.weekday())
    weeks = (cells[-1].date - monday).days // 7 + 1
    parts: list[Markup] = []
    for row, name in ((0, "Mon"), (2, "Wed"), (4, "Fri")):
        parts.append(_text(0, _TOP + row * _STEP + _CELL - 3, name))
    parts += _months(monday, weeks)
    parts += [_cell(cell, monday) for cell in cells]
    return _svg(Markup("").join(parts), _LEFT + weeks * _STEP, _TOP + 7 * _STEP, label, "calendar")


def _months(monday: date, weeks: int) -> Iterable[Markup]:
    """The month's name above the first week that begins in it, where there is room."""
    last = -3
    for week in range(weeks):
        begins = monday + timedelta(days=7 * week)
        is_new = week == 0 or begins.day <= 7
        if is_new and week - last >= 3 and week <= weeks - 2 + (weeks < 2):
            last = week
            yield _text(_LEFT + week * _STEP, 11, _MONTHS[begins.month - 1])


def _cell(cell: Cell, monday: date) -> Markup:
    offset = (cell.date - monday).days
    x, y = _LEFT + offset // 7 * _STEP, _TOP + offset % 7 * _STEP
    mark = Markup("")
    if cell.mark == "known":
        mark = Markup('<circle class="known" cx="{}" cy="{}" r="2.5"/>').format(
            x + _CELL / 2, y + _CELL / 2
        )
    elif cell.mark == "unknown":
        mark = Markup('<path class="cross" d="M{} {}l7 7m0 -7l-7 7"/>').format(x + 3, y + 3)
    elif cell.mark == "late":
        mark = Markup('<path class="cross" d="M{} {}v4m0 2v1.5"/>').format(x + _CELL / 2, y + 3)
    return Markup(
        '<g><title>{}</title><rect class="day {}" x="{}" y="{}" width="{}" height="{}" rx="2"/>{}'
        "</g>"
    ).format(cell.title, cell.look, x + 0.5, y + 0.5, _CELL - 1, _CELL - 1, mark)


def _text(x: float, y: float, words: str) -> Markup:
    return Markup('<text x="{}" y="{}">{}</text>').format(x, y, words)


def _svg(inner: Markup, width: int, height: int, label: str, look: str) -> Markup:
    return Markup(
        '<svg class="{}" role="img" aria-label="{}" width="{}" height="{}" viewBox="0 0 {} {}">{}'
        "</svg>"
    ).format(look, label, width, height, width, height, inner)


def legend(look: str, mark: str) -> Markup:
    """One calendar cell, for the legend; the words stand beside it."""
    cell = _cell(Cell(date=date(2001, 1, 1), look=look, mark=mark, title=""), date(2001, 1, 1))
    return Markup(
        '<svg class="calendar" aria-hidden="true" width="{0}" height="{0}"'
        ' viewBox="{1} {2} {0} {0}">{3}</svg>'
    ).format(_CELL, _LEFT, _TOP, cell)


def bars(bars: Sequence[Bar], top: Decimal, label: str) -> Markup:
    """Bars beside each other, stretched to the width they get; `top` is the scale's end."""
    inner: list[Markup] = [
        Markup('<line class="grid" x1="0" x2="{}" y1="{}" y2="{}"/>').format(
            len(bars) * _BAR_WIDTH, y, y
        )
        for y in (0.5, 50, 99.5)
    ]
    for index, bar in enumerate(bars):
        inner.append(_bar(bar, index * _BAR_WIDTH, top))
    return Markup(
        '<svg class="bars" role="img" aria-label="{}" viewBox="0 0 {} 100"'
        ' preserveAspectRatio="none">{}</svg>'
    ).format(label, max(1, len(bars)) * _BAR_WIDTH, Markup("").join(inner))


def _bar(bar: Bar, x: int, top: Decimal) -> Markup:
    drawn: list[Markup] = []
    if bar.unknown:
        drawn.append(
            Markup('<rect class="unknown" x="{}" y="0" width="{}" height="100"/>').format(
                x, _BAR_WIDTH
            )
        )
    base = 100.0
    for look, size in bar.parts:
        height = float(Decimal(size) / top * 100) if top else 0.0
        if height <= 0:
            continue
        base -= height
        drawn.append(
            Markup('<rect class="{}" x="{}" y="{:.2f}" width="{}" height="{:.2f}"/>').format(
                look, x + 1, base, _BAR_WIDTH - 2, height
            )
        )
    # The whole column answers to the pointer, however low its bar is.
    drawn.append(
        Markup('<rect class="hit" x="{}" y="0" width="{}" height="100"/>').format(x, _BAR_WIDTH)
    )
    return Markup("<g><title>{}</title>{}</g>").format(bar.title, Markup("").join(drawn))


def share(parts: Sequence[tuple[str, int]], label: str) -> Markup:
    """One horizontal bar of shares: (class in the style sheet, size)."""
    whole = sum(size for _, size in parts)
    x = 0.0
    inner: list[Markup] = []
    for look, size in parts:
        width = size / whole * 100 if whole else 0.0
        if width > 0:
            inner.append(
                Markup('<rect class="{}" x="{:.3f}" y="0" width="{:.3f}" height="10"/>').format(
                    look, x, width
                )
            )
        x += width
    return Markup(
        '<svg class="share" role="img" aria-label="{}" viewBox="0 0 100 10"'
        ' preserveAspectRatio="none">{}</svg>'
    ).format(escape(label), Markup("").join(inner))


def nice_top(largest: Decimal) -> Decimal:
    """The end of a scale: 1, 2, 2.5 or 5 times a power of ten, not below the largest value."""
    if largest <= 0:
        return Decimal(1)
    power = Decimal(10) ** largest.adjusted()
    for step in (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5)):
        if step * power >= largest:
            return step * power
    return 10 * power
