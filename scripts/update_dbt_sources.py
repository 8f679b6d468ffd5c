"""Writes dbt/models/sources.yml from the database's own comments. `make docs` runs it.

What the database cannot say stands here: what dbt should test, and how fresh it should be. Only
generic tests without arguments are used, which every dbt spells alike; the others
are in dbt/tests as SQL.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import psycopg
import yaml
from update_sql_docs import columns, documented_database

DOCUMENT = Path(__file__).resolve().parents[1] / "dbt" / "models" / "sources.yml"
HEAD = """\
# Written by `make docs` from the database's comments; edit those (sql/migrations), or what dbt
# should test and how fresh it should be (scripts/update_dbt_sources.py).
"""
#: Tables that no model has any business with: credentials, and the migrations' own.
LEFT_OUT = {"platform_tokens"}
RECENT = "date >= current_date - 35"
UNIQUE = {
    ("ad_accounts", "id"),
    ("ad_campaigns", "id"),
    ("ad_sets", "id"),
    ("ads", "id"),
    ("ad_status_change_log", "id"),
    ("ad_status_change_log", "change_seq"),
    ("v_pending_final_syncs", "log_id"),
    ("v_status_changes", "log_id"),
}
NOT_NULL = {
    "v_account_completeness": ("ad_account_id", "account", "date", "state"),
    "v_metrics_daily": ("level", "date", "day_state", "entity_id", "spend"),
    "v_metrics_daily_campaign": ("level", "date", "account", "day_state", "entity_id", "spend"),
    "v_metrics_daily_adset": ("level", "date", "account", "day_state", "entity_id", "spend"),
    "v_metrics_daily_ad": ("level", "date", "account", "day_state", "entity_id", "spend"),
    "v_blocked": ("account", "reason", "who_must_act"),
}
#: Column, hours until a warning and until an error, and a filter that spares old partitions.
FRESHNESS = {
    "ad_accounts": ("last_synced_at", 26, 72, None),
    "ad_metrics": ("read_started_at", 26, 72, "date >= current_date - 3"),
    "v_account_completeness": ("last_read_at", 26, 72, "date >= current_date - 3"),
}


def sources(connection: psycopg.Connection) -> str:
    """The file as it should be."""
    found = [*columns(connection, "tables"), *columns(connection, "views")]
    tables = [
        _table(name, list(group))
        for name, group in groupby(found, key=lambda column: column.relation)
        if name not in LEFT_OUT
    ]
    source = {
        "name": "adsync",
        "description": "Campaigns, ad sets and ads of Meta, TikTok, Google Ads and other platforms"
        " with their daily numbers, and what is known of their completeness. Read the views.",
        "schema": "{{ var('adsync_schema', 'public') }}",
        "tables": tables,
    }
    document = {"version": 2, "sources": [source]}
    return HEAD + yaml.safe_dump(document, sort_keys=False, width=100, allow_unicode=True)


def _table(name: str, found: list[Any]) -> dict[str, Any]:
    table: dict[str, Any] = {"name": name, "description": found[0].relation_comment}
    if name in FRESHNESS:
        field, warn, error, only = FRESHNESS[name]
        freshness: dict[str, Any] = {
            "warn_after": {"count": warn, "period": "hour"},
            "error_after": {"count": error, "period": "hour"},
        }
        if only is not None:
            freshness["filter"] = only
        table["config"] = {"loaded_at_field": field, "freshness": freshness}
    table["columns"] = [_column(column) for column in found]
    return table


def _column(column: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": column.name,
        "description": column.comment,
        "data_type": column.type,
    }
    tests: list[Any] = []
    if (column.relation, column.name) in UNIQUE:
        tests.append("unique")
    if (column.relation, column.name) in UNIQUE or column.name in NOT_NULL.get(column.relation, ()):
        facts = column.relation.startswith("v_metrics")
        tests.append({"not_null": {"config": {"where": RECENT}}} if facts else "not_null")
    if tests:
        entry["data_tests"] = tests
    return entry


def main() -> None:
    """Write the file anew from an empty database that was just migrated."""
    with documented_database() as connection:
        DOCUMENT.write_text(sources(connection), encoding="utf-8")


if __name__ == "__main__":
    main()
