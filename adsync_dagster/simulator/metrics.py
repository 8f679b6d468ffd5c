"""The columns of truth. One tuple of integers per ad and day; sums are exact.

Everything but reach is additive. `conversions` counts what the default attribution (7-day
click, 1-day view) counts; the 28-day window's extra ones stand beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

#: The additive columns, in tuple order.
COLUMNS = (
    "impressions",
    "clicks",
    "link_clicks",
    "spend_micros",
    "conversions",
    "conversion_value_micros",
    "conversions_1d_click",
    "conversions_1d_view",
    "conversions_28d_click_extra",
    "conversion_value_micros_1d_click",
    "conversion_value_micros_1d_view",
    "conversion_value_micros_28d_click_extra",
)
WIDTH = len(COLUMNS)
IMPRESSIONS, CLICKS, LINK_CLICKS, SPEND, CONVERSIONS, VALUE = range(6)
C_1D_CLICK, C_1D_VIEW, C_28D, V_1D_CLICK, V_1D_VIEW, V_28D = range(6, 12)

#: Which columns a conversion of a window adds to: (counts, values).
WINDOW_COLUMNS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "1d_click": ((CONVERSIONS, C_1D_CLICK), (VALUE, V_1D_CLICK)),
    "1d_view": ((CONVERSIONS, C_1D_VIEW), (VALUE, V_1D_VIEW)),
    "7d_click": ((CONVERSIONS,), (VALUE,)),
    "28d_click": ((C_28D,), (V_28D,)),
}

Vector = tuple[int, ...]
ZERO: Vector = (0,) * WIDTH


class Totals(NamedTuple):
    """A sum over ad-days: the additive columns, and reach estimated without double counting."""

    vector: Vector
    reach: int

    @property
    def is_nothing(self) -> bool:
        """Whether a report would have no row for it; the 28-day extras alone make none."""
        return not any(self.vector[:6])

    def as_dict(self) -> dict[str, int]:
        """The columns by name, and `reach`."""
        return {**dict(zip(COLUMNS, self.vector, strict=True)), "reach": self.reach}


NOTHING = Totals(ZERO, 0)


def add_up(cells: Iterable[Totals]) -> Totals:
    """The sum of cells. People seen twice count once, so reach is less than its parts' sum."""
    found = [cell for cell in cells if cell.vector is not ZERO]
    if len(found) < 2:
        return found[0] if found else NOTHING
    vectors, reaches = zip(*found, strict=True)
    reach, reach_max = sum(reaches), max(reaches)
    if reach > reach_max:
        reach = max(reach_max, reach * 85 // 100)
    return Totals(tuple(map(sum, zip(*vectors, strict=True))), reach)


def conversion_vector(window: str, count: int, value_micros: int) -> Vector:
    """The columns that `count` conversions of one window and their whole value add to."""
    cell = [0] * WIDTH
    counts, values = WINDOW_COLUMNS[window]
    for column in counts:
        cell[column] = count
    for column in values:
        cell[column] = value_micros
    return tuple(cell)


def fraction_of(vector: Vector, permille: int, unit_micros: int) -> Vector:
    """That share of every column, money in whole units, sub-windows never above their total."""
    scaled = [0] * WIDTH
    for column in (IMPRESSIONS, CLICKS, LINK_CLICKS):
        scaled[column] = vector[column] * permille // 1000
    money = unit_micros * 1000
    scaled[SPEND] = vector[SPEND] * permille // money * unit_micros
    for whole, parts, unit in (
        (CONVERSIONS, (C_1D_CLICK, C_1D_VIEW), 1),
        (VALUE, (V_1D_CLICK, V_1D_VIEW), unit_micros),
    ):
        rest = vector[whole] - sum(vector[part] for part in parts)
        scaled[whole] = rest * permille // (1000 * unit) * unit
        for part in parts:
            scaled[part] = vector[part] * permille // (1000 * unit) * unit
            scaled[whole] += scaled[part]
    scaled[C_28D] = vector[C_28D] * permille // 1000
    scaled[V_28D] = vector[V_28D] * permille // money * unit_micros
    return tuple(scaled)
