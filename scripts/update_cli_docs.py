"""Puts the help of every command into docs/cli.md, between its markers. `make docs` runs it.

A marker names the command: `<!-- help: adsync sync -->`, then a fenced block. A test compares.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

from typer.main import get_command

from adsync_dagster.cli import app

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
BLOCK = re.compile(
    r"(<!-- help: (?P<command>[a-z -]+) -->\n\n```\n)(?P<help>.*?)(\n```\n)", re.DOTALL
)


def commands() -> dict[str, Any]:
    """Every command of the command line by its full name, groups included."""
    return dict(_walk("adsync", get_command(app)))


def _walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield name, command
    for child, inner in sorted(getattr(command, "commands", {}).items()):
        yield from _walk(f"{name} {child}", inner)


def help_of(name: str) -> str:
    """What `NAME --help` prints, 80 columns wide."""
    os.environ["COLUMNS"] = "80"
    captured, sys.stdout = sys.stdout, StringIO()
    try:
        get_command(app).main(
            [*name.split()[1:], "--help"], prog_name="adsync", standalone_mode=False
        )
        text = sys.stdout.getvalue()
    finally:
        sys.stdout = captured
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def updated(document: str) -> str:
    """The document with every help block as it should be."""
    return BLOCK.sub(
        lambda match: match[1] + help_of(match["command"]) + match[4],
        document,
    )


if __name__ == "__main__":
    DOCUMENT.write_text(updated(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
