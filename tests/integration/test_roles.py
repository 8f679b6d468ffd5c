"""Least privilege: a sync runs as a role that can neither delete nor alter anything."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, date, datetime
from uuid import uuid4

import psycopg
import pytest
from test_views import VIEWS
from warehouse_support import AD, AD_SET, CAMPAIGN, log_rows, merge, merge_numbers, numbers
from warehouse_support import paused as paused_

from adsync_dagster.clock import SystemClock
from adsync_dagster.platforms.protocol import Credential
from adsync_dagster.records import Account, Level, Platform
from adsync_dagster.warehouse import account_days, accounts, alerts, changes
from adsync_dagster.warehouse.database import Database
from adsync_dagster.warehouse.migrations import require_current
from adsync_dagster.warehouse.queries import sql_directory
from adsync_dagster.warehouse.tokens import TokenVault, WrappingKey

TABLES = [
    "ad_accounts",
    "ad_campaigns",
    "ad_sets",
    "ads",
    "ad_metrics",
    "ad_status_change_log",
    "ad_account_days",
    "ad_entity_parent_changes",
    "ad_account_changes",
    "ad_alerts",
    "platform_tokens",
]


@pytest.fixture
def login_url(database_url: str) -> Iterator[dict[str, str]]:
    """URLs of this test's database for a login of each role."""
    text = (sql_directory() / "roles.sql").read_text(encoding="utf-8")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(text)
        connection.execute(text)
        for role in ("reader", "writer"):
            connection.execute(f"CREATE ROLE test_{role} LOGIN IN ROLE adsync_{role}")
    yield {
        role: database_url.replace("postgres@", f"test_{role}@") for role in ("reader", "writer")
    }
    with psycopg.connect(database_url, autocommit=True) as connection:
        for name in ("test_reader", "test_writer", "adsync_reader", "adsync_writer"):
            connection.execute(f"DROP OWNED BY {name}")
            connection.execute(f"DROP ROLE {name}")


def test_a_writer_runs_a_whole_sync(login_url: dict[str, str], account: Account) -> None:
    """Every step of a sync works for a member of adsync_writer, new months included."""
    database = Database(login_url["writer"], SystemClock())
    vault = TokenVault(WrappingKey(b"k" * 32))
    now = datetime.now(tz=UTC)
    with database.connection() as connection:
        require_current(connection)
        vault.store(connection, Platform.FACEBOOK, "act_501", Credential({"access_token": "t"}))
        assert vault.load(connection, Platform.FACEBOOK, "act_501") is not None
    with database.account_session(account.id, wait_seconds=0) as session:
        for entity in (CAMPAIGN, AD_SET, AD, paused_(AD)):
            merge(session, account, [entity], now)
        token = uuid4()
        (change,) = changes.claim_pending(session.connection, account, token)
        merge_numbers(session, account, [numbers(day="2019-07-01"), numbers("new")], now)
        assert changes.complete(session.connection, [change.log_id], token) == 1
        for level in Level:
            account_days.record_read(session.connection, account, level, [date(2019, 7, 1)], now)
        account_days.record_totals(session.connection, account, [], [date(2019, 7, 1)])
        account_days.reconcile(session.connection, account, Level.AD, [date(2019, 7, 1)])
        accounts.mark_synced(session.connection, account)
        assert log_rows(session.connection, "a1")[-1][2] is True
        assert vault.delete(session.connection, Platform.FACEBOOK, "act_501")
        alerts.open_alerts(
            session.connection, ["email"], [{"problem": "p", "kind": "k", "facts": {}}]
        )
        [row] = alerts.list_alerts(session.connection)
        alerts.mark_told(session.connection, [row.id], [])
    database.dispose()


def test_nobody_but_the_owner_can_destroy_or_alter(
    login_url: dict[str, str], account: Account
) -> None:
    """Deleting, truncating, altering and disabling triggers are refused to both roles."""
    statements = [
        "DELETE FROM {}",
        "TRUNCATE {}",
        "ALTER TABLE {} ADD COLUMN x int",
        "ALTER TABLE {} DISABLE TRIGGER ALL",
        "DROP TABLE {}",
    ]
    for role, table, statement in itertools.product(login_url, TABLES, statements):
        if (role, table, statement[:6]) == ("writer", "platform_tokens", "DELETE"):
            continue
        with (
            psycopg.connect(login_url[role], autocommit=True) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement.format(table))


def test_a_reader_reads_all_but_credentials(login_url: dict[str, str], account: Account) -> None:
    """A reader sees every table except the credentials, and writes none."""
    with psycopg.connect(login_url["reader"], autocommit=True) as connection:
        for table in TABLES:
            if table == "platform_tokens":
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(f"SELECT * FROM {table}")
                continue
            connection.execute(f"SELECT * FROM {table}")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"INSERT INTO {table} DEFAULT VALUES")
        for view in VIEWS:
            connection.execute(f"SELECT * FROM {view}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT ensure_metric_partitions('2030-01-01', '2030-02-01')")
