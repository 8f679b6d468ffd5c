"""Turns measured rounds into ratios, and those into a table and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from benchmarks.bench import SYNCS, Round
from benchmarks.shapes import Figures, Shape
from benchmarks.stages import STAGES

WORDS = {"load": "first load", "reload": "nothing changed"}
_MEGABYTE = 1024 * 1024


def summary(shape: Shape, rounds: Sequence[Round]) -> dict[str, Any]:
    """Medians over the rounds; a ratio is the floor's time over the sync's next to it."""
    return {
        "ads": shape.ads,
        "days": shape.days,
        "ad_day_rows": shape.ad_rows,
        "rows": shape.rows,
        "repeats": len(rounds),
        "syncs": {kind: _sync(shape, [turn.pair(kind) for turn in rounds]) for kind in SYNCS},
        "rounds": [asdict(turn) for turn in rounds],
    }


def _sync(shape: Shape, pairs: Sequence[tuple[Figures, Figures]]) -> dict[str, Any]:
    floors, syncs = [floor for floor, _ in pairs], [sync for _, sync in pairs]
    ratios = [floor.seconds / sync.seconds for floor, sync in pairs]
    seconds = _median(sync.seconds for sync in syncs)
    return {
        "of_floor": median(ratios),
        "of_floor_lowest": min(ratios),
        "of_floor_highest": max(ratios),
        "floor_seconds": _median(floor.seconds for floor in floors),
        "seconds": seconds,
        "entity_seconds": _median(sync.entity_seconds for sync in syncs),
        "metrics_seconds": _median(sync.metrics_seconds for sync in syncs),
        "ad_day_rows_per_second": shape.ad_rows / seconds,
        "cpu_seconds": _median(sync.cpu_seconds for sync in syncs),
        "floor_cpu_seconds": _median(floor.cpu_seconds for floor in floors),
        "database_cpu_seconds": _median(sync.database_cpu_seconds for sync in syncs),
        "floor_database_cpu_seconds": _median(floor.database_cpu_seconds for floor in floors),
        "start_megabytes": _median(sync.start_bytes for sync in syncs) / _MEGABYTE,
        "peak_megabytes": max(sync.peak_bytes for sync in syncs) / _MEGABYTE,
        "megabytes_read": _median(sync.bytes for sync in syncs) / _MEGABYTE,
        "floor_megabytes_read": _median(floor.bytes for floor in floors) / _MEGABYTE,
        "requests": syncs[-1].requests,
        "shares": {
            name: _median(sync.stages[name] / sync.seconds for sync in syncs) for name in STAGES
        },
        "counts": syncs[-1].counts,
    }


def table(result: dict[str, Any]) -> str:
    """The result for people, as Markdown."""
    lines = [
        (
            f"{result['ad_day_rows']:,} ad-day rows ({result['ads']:,} ads, {result['days']} days;"
            f" {result['rows']:,} rows with ad sets and campaigns), median of {result['repeats']}"
        ),
        "",
        "| | of the floor | (range) | floor | sync | ad-day rows/s | peak memory |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kind, sync in result["syncs"].items():
        lines.append(
            f"| {WORDS[kind]} | {sync['of_floor']:.2f} |"
            f" {sync['of_floor_lowest']:.2f}-{sync['of_floor_highest']:.2f} |"
            f" {sync['floor_seconds']:.2f} s | {sync['seconds']:.2f} s |"
            f" {sync['ad_day_rows_per_second']:,.0f} | {sync['peak_megabytes']:.0f} MiB |"
        )
    lines += ["", _header("share of time", STAGES), _rule(len(STAGES))]
    for kind, sync in result["syncs"].items():
        cells = " | ".join(f"{sync['shares'][name]:.0%}" for name in STAGES)
        lines.append(f"| {WORDS[kind]} | {cells} |")
    parts = ("steps 1-3", "step 4", "processor: sync", "floor", "database: sync", "floor")
    lines += ["", _header("seconds", parts), _rule(len(parts))]
    for kind, sync in result["syncs"].items():
        values = (
            sync["entity_seconds"],
            sync["metrics_seconds"],
            sync["cpu_seconds"],
            sync["floor_cpu_seconds"],
            sync["database_cpu_seconds"],
            sync["floor_database_cpu_seconds"],
        )
        lines.append(f"| {WORDS[kind]} | " + " | ".join(f"{v:.2f}" for v in values) + " |")
    return "\n".join(lines)


def _header(first: str, names: Sequence[str]) -> str:
    return f"| {first} | " + " | ".join(name.replace("_", " ") for name in names) + " |"


def _rule(columns: int) -> str:
    return "|" + " --- |" * (columns + 1)


def _median(values: Iterable[float]) -> float:
    return float(median(values))
