"""Pictures for Dagster's pages: small SVG images inside markdown, drawn from plain numbers.

Dagster shows a markdown value in its place only while it is shorter than 1,000 characters
(longer ones hide behind a button), and an image only as `data:` in its address, so a picture
is drawn tersely and with fewer days until it fits. An image cannot see whether Dagster is light
or dark: colours are of middle brightness, readable on both, and nothing is painted behind them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Dagster's own limit for a markdown value that is shown in place.
SHOWN_IN_PLACE_MAX = 1_000

WIDTH = 480
CHART_HEIGHT = 56
#: About 4.5 to 1 against white as well as against Dagster's dark background.
TEXT = "#767676"
GREEN, BLUE, AMBER, RED, GREY = "#22865c", "#5b7be0", "#b3701a", "#d1495b", "#7a7f87"


@dataclass(frozen=True, slots=True)
class Bar:
    """A day of a chart: how high, and which colour by its name."""

    value: float
    kind: str


def bar_chart(bars: Sequence[Bar], colours: Mapping[str, str], *, alt: str, top: str) -> str:
    """Markdown of a chart of bars, the latest that fit, with a legend of the kinds it shows.

    Values below zero are drawn as nothing. `top` says what the highest bar is.
    """
    for count in range(len(bars), 0, -5):
        markdown = _markdown(_chart(bars[-count:], colours, top), alt)
        if len(markdown) < SHOWN_IN_PLACE_MAX:
            return markdown
    return alt


def share_bar(shares: Mapping[str, int], colours: Mapping[str, str], *, alt: str) -> str:
    """Markdown of one bar cut into shares, with the number of each behind its name."""
    total = sum(shares.values())
    if total == 0:
        return alt
    shapes, offset = [], 0.0
    for kind, count in shares.items():
        width = WIDTH * count / total
        shapes.append(
            f"<rect x='{offset:.0f}' y='18' width='{max(width, 1):.0f}' height='12'"
            f" fill='{colours.get(kind, GREY)}'/>"
        )
        offset += width
    names = [(f"{count:,} {kind}", colours.get(kind, GREY)) for kind, count in shares.items()]
    return _markdown(_svg(34, _legend(names) + "".join(shapes)), alt)


def _chart(bars: Sequence[Bar], colours: Mapping[str, str], top: str) -> str:
    highest = max((bar.value for bar in bars), default=0)
    step = max(2, min(24, WIDTH // len(bars)))
    heights = [
        round(CHART_HEIGHT * max(bar.value, 0) / highest) if highest > 0 else 0 for bar in bars
    ]
    base = 18 + CHART_HEIGHT
    present = [kind for kind in colours if any(bar.kind == kind for bar in bars)]
    paths = "".join(
        f"<path d='{_outline(bars, heights, kind, step, base)}' fill='{colours[kind]}'/>"
        for kind in present
    )
    legend = _legend([(top, TEXT), *((kind, colours[kind]) for kind in present)])
    # One comb cuts all bars apart: far fewer characters than an edge for each of them.
    comb = (
        f"<mask id='m'><path d='M0,{base - CHART_HEIGHT // 2}h{WIDTH}' stroke='#fff'"
        f" stroke-width='{CHART_HEIGHT}' stroke-dasharray='{step - 1} 1'/></mask>"
    )
    return _svg(base, f"{legend}{comb}<g mask='url(#m)'>{paths}</g>")


def _outline(bars: Sequence[Bar], heights: Sequence[int], kind: str, step: int, base: int) -> str:
    """The outline of all bars of one kind; neighbours share it, which is what makes it short."""
    parts: list[str] = []
    level = 0
    for index, (bar, height) in enumerate(zip(bars, heights, strict=True)):
        if bar.kind != kind:
            if level:
                parts.append(f"v{level}")
            level = 0
            continue
        # A bar of nothing still shows that the day is there.
        height = max(height, 1)  # noqa: PLW2901
        if not level:
            parts.append(f"M{index * step},{base}")
        if height != level:
            parts.append(f"v{level - height}")
        parts.append(f"h{step}")
        level = height
    return "".join(parts) + (f"v{level}" if level else "")


def _legend(names: Sequence[tuple[str, str]]) -> str:
    spans = "".join(f"<tspan fill='{colour}'>{name}  </tspan>" for name, colour in names)
    return f"<text y='11' xml:space='preserve'>{spans}</text>"


def _svg(height: int, content: str) -> str:
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}'"
        f" font-family='sans-serif' font-size='11'>{content}</svg>"
    )


def _markdown(svg: str, alt: str) -> str:
    """The picture as a markdown image; only what its address cannot hold is escaped."""
    address = svg
    for character, escaped in (("%", "%25"), ("<", "%3C"), (">", "%3E"), ("#", "%23")):
        address = address.replace(character, escaped)
    return f"![{alt}](<data:image/svg+xml,{address}>)"
