"""The judge's own SQL, read from sql/oracle. It shares no loader with the product's queries."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from adsync_dagster.errors import Defect

_NAME_LINE = re.compile(r"^-- ([a-z0-9_]+) --$", re.MULTILINE)


@cache
def _load() -> dict[str, str]:
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_sql" / "oracle", package.parent / "sql" / "oracle"):
        if folder.is_dir():
            texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.sql"))]
            parts = [part for text in texts for part in _NAME_LINE.split(text)[1:]]
            return {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}
    raise Defect("the folder sql/oracle is missing from this installation of adsync")


class _Queries:
    def __getitem__(self, name: str) -> str:
        return _load()[name]


oracle_queries = _Queries()
