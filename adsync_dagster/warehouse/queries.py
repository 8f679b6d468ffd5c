"""The named SQL of sql/queries, read once.

A query file is a sequence of blocks: a line `-- name --`, comment lines that say what the
query is for, then the statement. Values are bound (`%(name)s`); `{braces}` stand for names of
tables and columns only, and are filled from the constants below, never from data.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from psycopg import sql

from adsync_dagster.errors import Defect
from adsync_dagster.records import Level

_NAME_LINE = re.compile(r"^-- ([a-z0-9_]+) --$", re.MULTILINE)

#: Table, its column for the platform's id, the temporary staging table and the view of the
#: facts of each level.
LEVEL_NAMES = {
    Level.CAMPAIGN: {
        "entities": "ad_campaigns",
        "platform_id": "platform_campaign_id",
        "stage": "stage_campaigns",
        "facts": "v_metrics_daily_campaign",
    },
    Level.ADSET: {
        "entities": "ad_sets",
        "platform_id": "platform_ad_set_id",
        "stage": "stage_ad_sets",
        "facts": "v_metrics_daily_adset",
    },
    Level.AD: {
        "entities": "ads",
        "platform_id": "platform_ad_id",
        "stage": "stage_ads",
        "facts": "v_metrics_daily_ad",
    },
}


def sql_directory() -> Path:
    """The folder `sql`: inside the installed package, or at the top of the source tree."""
    package = Path(__file__).resolve().parents[1]
    for candidate in (package / "_sql", package.parent / "sql"):
        if candidate.is_dir():
            return candidate
    raise Defect("the folder sql is missing from this installation of adsync: reinstall it")


@cache
def _load() -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted((sql_directory() / "queries").glob("*.sql")):
        parts = _NAME_LINE.split(path.read_text(encoding="utf-8"))
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            if name in found:
                raise Defect(f"two queries are named {name}")
            found[name] = text.strip()
    return found


class _Queries:
    """Looks a query up by its name: `queries["claim_pending"]`."""

    def __getitem__(self, name: str) -> str:
        return _load()[name]

    def names(self) -> list[str]:
        return sorted(_load())


queries = _Queries()


@cache
def level_query(name: str, level: Level) -> str:
    """The query with the table and column names of one level filled in."""
    names = {key: sql.Identifier(value) for key, value in LEVEL_NAMES[level].items()}
    return sql.SQL(queries[name]).format(**names).as_string()
