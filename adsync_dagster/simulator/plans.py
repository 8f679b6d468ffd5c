"""What an ad would deliver on a day if nobody stopped it: the potential, not the truth.

A plan is a pure function of (world seed, ad, day), so it needs no order and no memory. The
ledger turns it into truth by letting only the parts happen that fall inside the ad's live
intervals. Money is whole minor units of the currency, held in micros of its major unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from adsync_dagster.simulator.instants import DAY, HOUR, Zone

#: Meta: values do not change after this many days.
SETTLED_AFTER_DAYS = 28
#: Conversions later than this after the click count in the 28-day window only.
ATTRIBUTION_DAYS = 7

_WEEKDAY_PERCENT = (100, 96, 94, 97, 104, 118, 112)


class Conversion(NamedTuple):
    """One purchase: when its click happened, when the platform reports it, on which day."""

    click_at: int
    arrives_at: int
    #: Ordinal of the day it is dated: the click's day or the purchase's day.
    day: int
    #: The window it falls in: 1d_click, 7d_click, 1d_view or 28d_click.
    window: str
    value_micros: int


class DayPlan(NamedTuple):
    """The potential of one ad on one day."""

    #: Stamps of the intraday pulses, ascending.
    pulses: tuple[int, ...]
    #: Running totals after each pulse: impressions, clicks, link clicks, spend in micros.
    totals: tuple[tuple[int, int, int, int], ...]
    reach_permille: int
    conversions: tuple[Conversion, ...]
    #: When invalid clicks are credited back, and how many percent; (0, 0) for never.
    correction_at: int
    correction_percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AdProfile:
    """How an ad behaves on an average day."""

    seed: int
    #: Micros of the smallest unit the currency is billed in (10_000 = a cent).
    unit_micros: int
    impressions: float
    click_rate: float
    #: Cost of a thousand impressions, in minor units.
    cpm_units: float
    conversion_rate: float
    order_units: float


def draw_profile(random: Random, *, seed: int, unit_micros: int) -> AdProfile:
    """An ad of realistic size: many small ones, few big ones."""
    return AdProfile(
        seed=seed,
        unit_micros=unit_micros,
        impressions=min(60_000.0, 400.0 * random.lognormvariate(0.9, 0.9)),
        click_rate=0.006 + 0.02 * random.random(),
        cpm_units=500 + 1_100 * random.random(),
        conversion_rate=0.01 + 0.03 * random.random(),
        order_units=1_900 + 7_000 * random.random(),
    )


def _draw_shapes() -> tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]:
    """Intraday shapes: moments and cumulative shares, both in permille of the day."""
    random = Random(7)
    shapes = []
    for _ in range(64):
        count = 4 + int(random.random() * 4)
        moments = sorted({20 + int(random.random() * 965) for _ in range(count)})
        weights = [0.3 + random.random() for _ in moments]
        whole = sum(weights)
        shares = [int(1000 * sum(weights[: i + 1]) / whole) for i in range(len(weights) - 1)]
        shapes.append((tuple(moments), (*shares, 1000)))
    return tuple(shapes)


_SHAPES = _draw_shapes()


def plan_day(profile: AdProfile, day: int, zone: Zone) -> DayPlan:
    """The potential of that ad on that account-local day."""
    random = Random(profile.seed * 1_000_003 + day)
    draw = random.random
    volume = profile.impressions * _WEEKDAY_PERCENT[day % 7] * (0.6 + 0.8 * draw()) / 100
    impressions = int(volume)
    clicks = int(impressions * profile.click_rate * (0.7 + 0.6 * draw()))
    link_clicks = int(clicks * (0.65 + 0.3 * draw()))
    units = int(impressions * profile.cpm_units * (0.8 + 0.4 * draw()) / 1000)
    moments, shares = _SHAPES[int(draw() * 64)]
    start, end = zone.start(day), zone.end(day)
    length = end - start
    pulses = tuple([start + length * moment // 1000 for moment in moments])
    unit = profile.unit_micros
    totals = tuple(
        [
            (
                impressions * share // 1000,
                clicks * share // 1000,
                link_clicks * share // 1000,
                units * share // 1000 * unit,
            )
            for share in shares
        ]
    )
    correction_at = correction_percent = 0
    reach_permille = 700 + int(260 * draw())
    if draw() < 0.03:
        correction_at = end + int((1 + 24 * draw()) * DAY)
        correction_percent = 1 + int(12 * draw())
    expected = link_clicks * profile.conversion_rate
    count = min(12, int(expected + draw()))
    conversions = tuple([_conversion(draw, profile, day, zone, pulses) for _ in range(count)])
    return DayPlan(pulses, totals, reach_permille, conversions, correction_at, correction_percent)


def _conversion(
    draw: Callable[[], float], profile: AdProfile, day: int, zone: Zone, pulses: tuple[int, ...]
) -> Conversion:
    """One purchase with its lag, following the usual curve: most soon, few very late."""
    click_at = pulses[int(draw() * len(pulses))]
    window, lag = _lag(draw(), draw())
    happens_at = click_at + lag
    dated = zone.day(happens_at) if draw() < 0.5 else day
    last = zone.start(dated) + (SETTLED_AFTER_DAYS - 1) * DAY
    delay = int((0.2 + 20 * draw()) * DAY) if draw() < 0.15 else int(3 * draw() * HOUR)
    arrives_at = max(happens_at, min(happens_at + delay, last))
    value = int(profile.order_units * (0.4 + 1.2 * draw())) * profile.unit_micros
    return Conversion(click_at, arrives_at, dated, window, value)


def _lag(pick: float, fraction: float) -> tuple[str, int]:
    """The window a conversion falls in, and the time from click to purchase."""
    if pick < 0.50:
        return "1d_click", int(fraction * 23 * HOUR)
    if pick < 0.62:
        return "1d_view", int(fraction * 23 * HOUR)
    if pick < 0.92:
        return "7d_click", int(DAY + fraction * 5.5 * DAY)
    return "28d_click", int((ATTRIBUTION_DAYS + fraction * 17) * DAY)
