"""A database that has the seed's tables keeps every row, view and right, and gains the rest."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from warehouse_support import AD, log_rows, merge, merge_numbers, numbers, one
from warehouse_support import paused as paused_

from adsync_dagster.clock import SystemClock
from adsync_dagster.errors import UsageError
from adsync_dagster.records import Account
from adsync_dagster.warehouse import accounts
from adsync_dagster.warehouse.database import Connection, Database
from adsync_dagster.warehouse.entities import MergeCounts
from adsync_dagster.warehouse.migrations import migrate

SEED_TABLES = (Path(__file__).parent / "seed_tables.sql").read_text(encoding="utf-8")
NOW = datetime(2026, 3, 10, tzinfo=UTC)


@pytest.fixture
def seed_url(empty_url: str) -> str:
    """A database with the seed's tables and rows."""
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute(SEED_TABLES)
    return empty_url


@pytest.fixture
def adopted(seed_url: str) -> Iterator[Database]:
    """That database after migrating it."""
    migrate(seed_url)
    database = Database(seed_url, SystemClock())
    yield database
    database.dispose()


@pytest.fixture
def connection(adopted: Database) -> Iterator[Connection]:
    """A connection to the adopted database."""
    with adopted.connection() as connection:
        yield connection


@pytest.fixture
def account(connection: Connection) -> Account:
    """The account that was there before."""
    return accounts.get_account(connection, "facebook:act_9")


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def test_every_row_is_kept(seed_url: str) -> None:
    """No row is lost or changed, and money that was exact stays exact."""
    queries = [
        "SELECT id, user_id, platform_account_id, account_name, created_at FROM ad_accounts",
        "SELECT id, name, status, daily_budget FROM ad_campaigns ORDER BY id",
        "SELECT id, campaign_id, name, status FROM ad_sets",
        "SELECT id, ad_set_id, name, status FROM ads",
        "SELECT id, entity_type, entity_id, date, impressions, spend FROM ad_metrics ORDER BY id",
        "SELECT id, clicks, conversions, conversion_value::numeric FROM ad_metrics ORDER BY id",
    ]
    before = [rows(seed_url, query) for query in queries]

    migrate(seed_url)

    assert [rows(seed_url, query) for query in queries] == before


def test_no_log_rows_are_made_up(connection: Connection) -> None:
    """Adopting entities, paused ones included, logs nothing and owes nothing."""
    assert log_rows(connection) == []


def test_money_no_longer_rounds(connection: Connection) -> None:
    """Amounts become exact decimals with six places, counters and ids stay what they are."""
    types = dict(
        connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = 'ad_metrics'::regclass AND attnum > 0"
        ).fetchall()
    )
    assert {types[name] for name in ("spend", "conversions", "conversion_value")} == {
        "numeric(18,6)"
    }
    assert {types[name] for name in ("impressions", "clicks", "reach")} == {"bigint"}
    assert types["frequency"] == "numeric"


def test_stored_rates_keep_their_numbers_beside_derived_ones(connection: Connection) -> None:
    """Rates are derived from now on; what was stored stays under another name."""
    row = connection.execute(
        "SELECT cpc, seed_cpc, ctr, seed_ctr, roas, seed_roas FROM ad_metrics LIMIT 1"
    ).fetchone()
    assert row == (Decimal("1.234"), 1.234, 1, 1.0, Decimal("4.059968"), 4.06)


def test_views_over_views_answer_as_before(connection: Connection) -> None:
    """Views over widened columns come back with their options, rights and comment."""
    assert connection.execute("SELECT spend, value, ctr FROM daily_spend").fetchall() == [
        (Decimal("24.68"), Decimal("100.2"), 1.0)
    ]
    assert connection.execute("SELECT spend FROM monthly_spend").fetchall() == [(Decimal("24.68"),)]
    described = connection.execute(
        "SELECT reloptions, obj_description(oid, 'pg_class'),"
        " has_table_privilege('public', oid, 'SELECT')"
        " FROM pg_class WHERE relname = 'daily_spend'"
    ).fetchone()
    assert described == (["security_invoker=true"], "Spend per day", True)


def test_the_metrics_table_stays_plain(connection: Connection) -> None:
    """An existing ad_metrics is not rewritten into partitions."""
    assert one(
        connection, "SELECT relkind::text FROM pg_class WHERE oid = 'ad_metrics'::regclass"
    ) == ("r")
    assert one(connection, "SELECT ensure_metric_partitions('2020-01-01', '2026-12-31')") == 0


def test_parents_and_accounts_are_filled_in(connection: Connection) -> None:
    """Platform ids of parents and the account of metrics follow from what was there."""
    ads = "SELECT platform_ad_set_id, platform_campaign_id, campaign_id IS NOT NULL FROM ads"
    assert connection.execute(ads).fetchone() == ("s1", "c1", True)
    metrics = "SELECT DISTINCT ad_account_id, platform FROM ad_metrics"
    account_id = one(connection, "SELECT id FROM ad_accounts")
    assert connection.execute(metrics).fetchall() == [(account_id, "facebook")]


def test_adopted_tables_take_a_whole_sync(
    adopted: Database, connection: Connection, account: Account
) -> None:
    """Merging entities and metrics, and a pause, work on adopted tables as on new ones."""
    with adopted.account_session(account.id, wait_seconds=0) as session:
        assert merge(session, account, [AD], NOW) == MergeCounts(0, 1, 0)
        assert merge(session, account, [AD], NOW) == MergeCounts(0, 0, 1)
        merge(session, account, [paused_(AD)], NOW)
        fresh = numbers("a1", "2026-02-01", spend="13.345678")
        assert merge_numbers(session, account, [fresh], NOW).updated == 1
    assert log_rows(connection) == [("ACTIVE", "PAUSED", False, "trigger")]
    stored = "SELECT spend FROM ad_metrics WHERE entity_type = 'ad'"
    assert one(connection, stored) == Decimal("13.345678")
    assert one(connection, "SELECT DISTINCT user_id IS NOT NULL FROM ads") is True


def test_the_seeds_upsert_still_works(connection: Connection) -> None:
    """ON CONFLICT (entity_type, entity_id, date) finds its key."""
    connection.execute(
        "INSERT INTO ad_metrics (entity_type, entity_id, date, spend)"
        " SELECT entity_type, entity_id, date, 1 FROM ad_metrics"
        " ON CONFLICT (entity_type, entity_id, date) DO UPDATE SET spend = excluded.spend"
    )
    assert one(connection, "SELECT sum(spend) FROM ad_metrics") == 2


def test_an_account_of_no_user_can_be_added(connection: Connection) -> None:
    """user_id may be empty: an account added from the command line has no user."""
    nullable = (
        "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public'"
        " AND column_name = 'user_id' AND is_nullable = 'NO'"
    )
    assert one(connection, nullable) == 0


OBSTACLES = {
    "ads has several rows with the same": """
        INSERT INTO ads SELECT gen_random_uuid(), user_id, ad_account_id, ad_set_id, platform,
        platform_ad_id, name, status FROM ads""",
    "several rows for one": """
        ALTER TABLE ad_metrics DROP CONSTRAINT ad_metrics_entity_type_entity_id_date_key;
        INSERT INTO ad_metrics (user_id, entity_type, entity_id, date)
        SELECT user_id, entity_type, entity_id, date FROM ad_metrics""",
    "restricts the status; drop it": """
        ALTER TABLE ads ADD CHECK (status IN ('ACTIVE', 'PAUSED'))""",
    "ad_sets.goal is NOT NULL without a default": """
        ALTER TABLE ad_sets ADD COLUMN goal text NOT NULL DEFAULT 'x';
        ALTER TABLE ad_sets ALTER COLUMN goal DROP DEFAULT""",
    "convert it to text": """
        CREATE TYPE ad_status AS ENUM ('ACTIVE', 'PAUSED');
        ALTER TABLE ads ALTER COLUMN status TYPE ad_status USING status::ad_status""",
    "frozen depends on ad_metrics": """
        CREATE MATERIALIZED VIEW frozen AS SELECT sum(spend) FROM ad_metrics""",
    "ad_metrics.entity_id is of type text": """
        ALTER TABLE ad_metrics ALTER COLUMN entity_id TYPE text""",
}


@pytest.mark.parametrize("words", OBSTACLES)
def test_what_cannot_be_adopted_says_what_to_change(seed_url: str, words: str) -> None:
    """Whatever stands in the way is named in one sentence, and the rows stay as they were."""
    with psycopg.connect(seed_url, autocommit=True) as connection:
        connection.execute(OBSTACLES[words])
    before = rows(seed_url, "SELECT id, spend FROM ad_metrics ORDER BY id")

    with pytest.raises(UsageError) as caught:
        migrate(seed_url)

    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert rows(seed_url, "SELECT id, spend FROM ad_metrics ORDER BY id") == before


EARLIER_TRACKING = """
CREATE TABLE ad_status_change_log (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), entity_type text NOT NULL, entity_id uuid NOT NULL,
  platform_entity_id text NOT NULL, ad_account_id uuid NOT NULL, user_id uuid, platform text,
  old_status text, new_status text, final_sync_completed boolean DEFAULT false,
  final_sync_attempted_at timestamptz, final_sync_error text, metadata jsonb,
  created_at timestamptz DEFAULT now());
INSERT INTO ad_status_change_log (entity_type, entity_id, platform_entity_id, ad_account_id,
  platform, old_status, new_status)
SELECT 'ad', id, platform_ad_id, ad_account_id, platform, 'ACTIVE', 'PAUSED' FROM ads;
CREATE FUNCTION get_entities_needing_final_sync(p_ad_account_id uuid,
  p_entity_type text DEFAULT NULL) RETURNS SETOF ad_status_change_log LANGUAGE sql
AS 'SELECT * FROM ad_status_change_log';
CREATE FUNCTION mark_final_sync_completed(p_log_id uuid, p_success boolean DEFAULT true,
  p_error text DEFAULT NULL) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.status IS DISTINCT FROM NEW.status THEN
    INSERT INTO ad_status_change_log (entity_type, entity_id, platform_entity_id, ad_account_id)
    VALUES ('ad', NEW.id, NEW.platform_ad_id, NEW.ad_account_id);
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER trigger_log_ad_status_change BEFORE UPDATE ON ads
FOR EACH ROW EXECUTE FUNCTION log_it();
"""


def test_an_older_tracking_migration_is_taken_over(seed_url: str) -> None:
    """A log, functions and triggers of an earlier tracking migration are taken over, rows kept."""
    with psycopg.connect(seed_url, autocommit=True) as connection:
        connection.execute(EARLIER_TRACKING)

    migrate(seed_url)

    with psycopg.connect(seed_url, autocommit=True) as connection:
        connection.execute("UPDATE ads SET status = 'DELETED'")
        assert log_rows(connection) == [
            ("ACTIVE", "PAUSED", False, "trigger"),
            ("ACTIVE", "DELETED", False, "trigger"),
        ]
        connection.execute(
            "SELECT mark_final_sync_completed(log_id)"
            " FROM ad_accounts a, get_entities_needing_final_sync(a.id)"
        )
        assert [row[2] for row in log_rows(connection)] == [True, True]
