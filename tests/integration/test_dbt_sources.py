"""The dbt package: what it says of tables, views and columns is what the database has."""

from __future__ import annotations

import importlib.util
import re
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from warehouse_support import AD, AD_SET, CAMPAIGN, merge, merge_numbers, numbers

from adsync_dagster.records import Account, Level
from adsync_dagster.warehouse.database import AccountSession, Connection

ROOT = Path(__file__).resolve().parents[2]
DBT = ROOT / "dbt"
SOURCES = yaml.safe_load((DBT / "models" / "sources.yml").read_text(encoding="utf-8"))
EXPOSURES = yaml.safe_load((DBT / "models" / "exposures.yml").read_text(encoding="utf-8"))
TABLES: dict[str, dict[str, Any]] = {
    table["name"]: table for table in SOURCES["sources"][0]["tables"]
}
TESTS = sorted((DBT / "tests").glob("*.sql"))
REFERENCE = re.compile(r"source\('adsync', '(\w+)'\)")


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """One of the scripts behind `make docs`."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def plain_sql(text: str) -> str:
    """A dbt test's SQL with the sources' names in place, as Postgres takes it."""
    text = re.sub(r"\{\{ config\(.*?\) \}\}", "", text)
    return re.sub(r"\{\{ source\('adsync', '(\w+)'\) \}\}", r"\1", text).replace("%", "%%")


def test_the_sources_are_the_databases_own_words(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every table, column, type and description is there as the database has it."""
    script = load("update_dbt_sources", monkeypatch)
    text = (DBT / "models" / "sources.yml").read_text(encoding="utf-8")
    assert script.sources(connection) == text, "run `make docs`"


def test_every_column_exists_with_its_type(connection: Connection) -> None:
    """Asked of the database apart from the script: names and types of all columns match."""
    rows = connection.execute(
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a"
        " JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = 'public'::regnamespace"
        " AND c.relkind IN ('r', 'p', 'v') AND a.attnum > 0 AND NOT a.attisdropped"
        " AND NOT c.relispartition AND c.relname NOT LIKE '%%yoyo%%'"
    ).fetchall()
    have = {(table, column): kind for table, column, kind in rows if table != "platform_tokens"}
    said = {
        (table["name"], column["name"]): column["data_type"]
        for table in TABLES.values()
        for column in table["columns"]
    }
    assert said == have
    assert all(
        entry["description"] for table in TABLES.values() for entry in [table, *table["columns"]]
    )


def test_credentials_are_no_source() -> None:
    """No model has any business with the tokens' table."""
    assert "platform_tokens" not in TABLES


def test_freshness_looks_at_instants_that_exist(connection: Connection) -> None:
    """Each freshness column is a timestamp, and its query with the filter runs."""
    asked = 0
    for name, table in TABLES.items():
        if "config" not in table:
            continue
        config = table["config"]
        only = config["freshness"].get("filter", "true")
        (kind,) = connection.execute(
            f"SELECT pg_typeof(max({config['loaded_at_field']}))::text FROM {name} WHERE {only}"
        ).fetchone() or ("",)
        assert kind == "timestamp with time zone"
        asked += 1
    assert asked == 3


def test_everything_referred_to_is_a_source() -> None:
    """Exposures and tests name only sources that are there."""
    named = {
        name
        for exposure in EXPOSURES["exposures"]
        for words in exposure["depends_on"]
        for name in REFERENCE.findall(words)
    }
    named |= {name for path in TESTS for name in REFERENCE.findall(path.read_text("utf-8"))}
    assert {"v_account_completeness", "v_metrics_daily_campaign"} <= named <= set(TABLES)


@pytest.fixture
def recent(session: AccountSession, account: Account) -> Connection:
    """Yesterday's numbers at all levels, by the database's own clock: dbt asks current_date."""
    connection = session.connection
    (today,) = connection.execute("SELECT current_date").fetchone() or (None,)
    (now,) = connection.execute("SELECT now()").fetchone() or (None,)
    day = today - timedelta(days=1)
    for entity in (CAMPAIGN, AD_SET, AD):
        merge(session, account, [entity], now)
    rows = [
        numbers("a1", day),
        numbers("s1", day, level=Level.ADSET, adset_id=None),
        numbers("c1", day, level=Level.CAMPAIGN, campaign_id=None, adset_id=None),
    ]
    merge_numbers(session, account, rows, now)
    # On this connection from now on the real clock; the session would set the test's again.
    connection.execute("SELECT set_config('adsync.now', '', false)")
    connection.execute("UPDATE ad_accounts SET history_start = %s", (day,))
    connection.execute(
        "INSERT INTO ad_account_days (ad_account_id, date, level, state, read_started_at,"
        " total_spend, stored_spend) SELECT %s, %s, level, 'reconciled', now(), 12.34, 12.34"
        " FROM unnest(ARRAY['campaign', 'adset', 'ad']) level",
        (account.id, day),
    )
    return connection


#: A change by hand that each test must notice.
SPOILT = {
    "adsync_campaigns_sum_once": "UPDATE ad_metrics SET spend = spend + 1"
    " WHERE entity_type = 'campaign'",
    "adsync_known_words": "ALTER TABLE ad_account_days DROP CONSTRAINT ad_account_days_state_check;"
    " UPDATE ad_account_days SET state = 'done'",
    "adsync_money_adds_up": "UPDATE ad_account_days SET stored_spend = 11,"
    " residual_class = 'unexplained' WHERE level = 'campaign'",
    # Nothing can make a second row in ad_metrics; a join could, if account days lost their key.
    "adsync_one_row_per_entity_and_day": "ALTER TABLE ad_account_days DROP CONSTRAINT"
    " ad_account_days_pkey; INSERT INTO ad_account_days (ad_account_id, date, level)"
    " SELECT ad_account_id, date, level FROM ad_account_days",
}


def test_each_test_of_the_package_can_fail() -> None:
    """The list below names every test in dbt/tests."""
    assert sorted(SPOILT) == [path.stem for path in TESTS]


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_a_test_passes_and_notices(recent: Connection, path: Path) -> None:
    """On a warehouse in order it answers no row; after the change it watches for, some."""
    query = plain_sql(path.read_text(encoding="utf-8"))
    assert recent.execute(query).fetchall() == []

    recent.execute(SPOILT[path.stem])

    assert recent.execute(query).fetchall() != []
