"""The small pictures on Dagster's pages: well-formed, self-contained, short enough to be shown."""

from __future__ import annotations

from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest

from adsync_dagster.assets.metrics import DAY_COLOURS
from adsync_dagster.assets.pictures import (
    BLUE,
    GREEN,
    SHOWN_IN_PLACE_MAX,
    TEXT,
    Bar,
    bar_chart,
    share_bar,
)

SVG = "{http://www.w3.org/2000/svg}"
WORST_TOP = "2026-01-01 to 2026-03-01, top 999,999,999.99 MXN"


def svg_of(markdown: str) -> ET.Element:
    """The image of a markdown text, as the browser reads it."""
    address = markdown[markdown.index("(<") + 2 : markdown.index(">)")]
    assert address.startswith("data:image/svg+xml,")
    return ET.fromstring(unquote(address.removeprefix("data:image/svg+xml,")))  # noqa: S314


def kinds(count: int) -> list[str]:
    """Four kinds in runs, and then in the order that needs most characters."""
    names = list(DAY_COLOURS)
    return [names[index % len(names)] for index in range(count)]


@pytest.mark.parametrize("count", [1, 7, 30, 60, 400])
def test_a_chart_fits_into_what_dagster_shows_in_place(count: int) -> None:
    """Whatever the numbers, the text stays under a thousand characters and shows the latest."""
    bars = [Bar(float((index * 7919) % 1000), kind) for index, kind in enumerate(kinds(count))]

    markdown = bar_chart(bars, DAY_COLOURS, alt="spend by day", top=WORST_TOP)

    assert len(markdown) < SHOWN_IN_PLACE_MAX
    assert len(svg_of(markdown).findall(f".//{SVG}path")) >= 1


def test_sixty_ordinary_days_are_all_in_the_picture() -> None:
    """Two months whose days are sealed in order need no cut."""
    bars = [
        Bar(100.0 + (index * 37) % 60, "sealed" if index < 30 else "adds up") for index in range(60)
    ]

    svg = svg_of(bar_chart(bars, DAY_COLOURS, alt="x", top=WORST_TOP))

    outlines = svg.findall(f".//{SVG}g/{SVG}path")
    assert [path.get("fill") for path in outlines] == [
        DAY_COLOURS["sealed"],
        DAY_COLOURS["adds up"],
    ]
    assert sum((path.get("d") or "").count("h8") for path in outlines) == 60


def test_bars_are_as_high_as_their_share_of_the_highest() -> None:
    """The highest bar fills the chart, half of it half, and zero or less is a line."""
    bars = [Bar(0, "a"), Bar(100, "a"), Bar(50, "a"), Bar(-5, "a")]

    [path] = svg_of(bar_chart(bars, {"a": GREEN}, alt="x", top="y")).findall(f".//{SVG}g/{SVG}path")

    assert path.get("d") == "M0,74v-1h24v-55h24v28h24v27h24v1"


def test_the_legend_names_only_what_is_there() -> None:
    """A colour that no bar has is not explained; the top is said in the colour of text."""
    svg = svg_of(bar_chart([Bar(1, "b")], {"a": GREEN, "b": BLUE}, alt="x", top="top 1.00"))

    spans = svg.findall(f".//{SVG}tspan")
    assert [(span.text or "").strip() for span in spans] == ["top 1.00", "b"]
    assert [span.get("fill") for span in spans] == [TEXT, BLUE]


def test_shares_fill_the_bar_and_nothing_leaves_it_to_words() -> None:
    """Widths add up to the bar; an empty account has a sentence and no picture."""
    svg = svg_of(share_bar({"a": 3, "b": 1}, {"a": GREEN, "b": BLUE}, alt="x"))

    assert [rect.get("width") for rect in svg.findall(f".//{SVG}rect")] == ["360", "120"]
    assert share_bar({}, {}, alt="nothing stored yet") == "nothing stored yet"


def test_pictures_load_nothing() -> None:
    """No script, no address but the namespace, no background that a theme could clash with."""
    for markdown in (
        bar_chart([Bar(1, "a")], {"a": GREEN}, alt="x", top="y"),
        share_bar({"a": 1}, {"a": GREEN}, alt="x"),
    ):
        svg = ET.tostring(svg_of(markdown), encoding="unicode")
        assert svg.count("http") == 1
        assert "script" not in svg
        assert "href" not in svg
