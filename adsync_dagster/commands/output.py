"""What the commands write: plain lines, tables, JSON, and progress on long work.

Answers go to stdout, everything else to stderr, so that a script can read the one and a
person sees the other. Colours, tables and moving bars appear on a terminal only.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

#: Without a terminal nothing is wrapped: a line in a log stays a line.
_PLAIN_WIDTH = 4096


def answer() -> Console:
    """The console for results."""
    return _console(stderr=False)


def remarks() -> Console:
    """The console for progress, hints and complaints."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    return console


def say(text: str) -> None:
    """One line of a result."""
    answer().print(escape(text), soft_wrap=True)


def note(text: str) -> None:
    """One line about what is happening."""
    remarks().print(escape(text), soft_wrap=True)


def complain(text: str) -> None:
    """The one line of an error."""
    remarks().print(f"[bold red]adsync:[/] {escape(text)}", soft_wrap=True)


def write_json(value: Any) -> None:
    """The result as JSON, for scripts; instants in UTC, days and amounts as text."""
    answer().out(json.dumps(value, default=_plain, indent=2), highlight=False)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def write_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table; without a terminal one line per row, columns separated by two blanks or more."""
    cells = [["-" if cell is None else str(cell) for cell in row] for row in rows]
    console = answer()
    if not console.is_terminal:
        widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
        for line in (headings, *cells):
            padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            console.out("  ".join(padded).rstrip(), highlight=False)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, heading in enumerate(headings):
        table.add_column(heading, no_wrap=index == 0 or heading.startswith("last"))
    for row in cells:
        table.add_row(*map(escape, row))
    console.print(table)


class StepProgress(logging.Handler):
    """Shows the lines of the sync services: the last one beside a bar, or each as a line."""

    def __init__(self, console: Console, progress: Progress | None) -> None:
        super().__init__(level=logging.INFO)
        self._console = console
        self._progress = progress
        self._task = None if progress is None else progress.add_task("", total=None)

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, description=escape(text[:100]))
        else:
            self._console.print(escape(text), soft_wrap=True)

    def total(self, count: int) -> None:
        """How many pieces the work has."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, total=count)

    def advance(self, count: int = 1) -> None:
        """That many pieces are done."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, count)


@contextmanager
def progress_of(logger_name: str) -> Iterator[StepProgress]:
    """Show what the named logger says for the length of the block: a bar, or plain lines."""
    console = remarks()
    bar = None
    if console.is_terminal:
        bar = Progress(
            MofNCompleteColumn(),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
        )
    handler = StepProgress(console, bar)
    logger = logging.getLogger(logger_name)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        if bar is None:
            yield handler
        else:
            with bar:
                yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def shown(instant: datetime | None) -> str:
    """An instant for a person, in UTC and to the minute."""
    return "never" if instant is None else instant.strftime("%Y-%m-%d %H:%MZ")
