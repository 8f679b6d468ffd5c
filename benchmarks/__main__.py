"""`python -m benchmarks`: see docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from benchmarks.bench import measure
from benchmarks.shapes import DAYS, SCALES, shape_of
from benchmarks.tables import summary, table


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the scales asked for and print a table for each, or JSON for all."""
    options = _parser().parse_args(arguments)
    scales = [SCALES[name] for name in options.scale] or [options.rows]
    results = []
    for rows in scales:
        shape = shape_of(rows, options.days)
        results.append(summary(shape, measure(shape, options.repeats, _say)))
        if not options.json:
            print(table(results[-1]), end="\n\n")
    if options.json:
        print(json.dumps({"processors": os.cpu_count(), "results": results}, indent=2))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure a sync from simulator to Postgres as ratios of its own floor.",
    )
    parser.add_argument(
        "--rows", type=_count, default=SCALES["84k"], help="ad-day rows (default: %(default)s)"
    )
    parser.add_argument(
        "--scale",
        choices=SCALES,
        nargs="+",
        default=[],
        help="named sizes instead of --rows; 1M needs 2.5 GB for the simulator's answers",
    )
    parser.add_argument(
        "--days", type=_count, default=DAYS, help="days of history (default: %(default)s)"
    )
    parser.add_argument(
        "--repeats", type=_count, default=5, help="turns of floor and sync (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print every figure as JSON")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
