"""Accounts: added once, never deleted, with the story of their syncs."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from adsync_dagster.clock import VirtualClock
from adsync_dagster.errors import UsageError
from adsync_dagster.records import Account, AccountInfo, Platform
from adsync_dagster.settings import Settings
from adsync_dagster.sync.account_sync import sync_account
from adsync_dagster.sync.environment import Environment
from adsync_dagster.warehouse import accounts
from adsync_dagster.warehouse.database import Connection, Database
from adsync_dagster.warehouse.tokens import TokenVault

INFO = AccountInfo(
    platform_account_id="act_1",
    name="Shop\x00",
    currency="EUR",
    timezone="Europe/Berlin",
    status="1",
)


def state(connection: Connection) -> dict[str, Any]:
    """The only account's row."""
    cursor = connection.execute("SELECT * FROM ad_accounts")
    names = [column.name for column in cursor.description or ()]
    return dict(zip(names, cursor.fetchone() or (), strict=True))


def test_adding_twice_is_one_account(connection: Connection) -> None:
    """Adding a known account updates it and keeps its id; the key finds it."""
    first = accounts.add_account(connection, Platform.FACEBOOK, INFO)
    second = accounts.add_account(
        connection, Platform.FACEBOOK, replace(INFO, name="Renamed"), history_start=date(2026, 1, 1)
    )

    assert (second.id, second.name, second.history_start) == (
        first.id,
        "Renamed",
        date(2026, 1, 1),
    )
    assert accounts.get_account(connection, "facebook:act_1") == second
    assert first.name == "Shop"


def test_a_removed_account_is_kept_and_can_come_back(connection: Connection) -> None:
    """A deactivated account is not listed for syncing, is still found, and is taken up again."""
    account = accounts.add_account(connection, Platform.FACEBOOK, INFO)
    accounts.deactivate(connection, account)

    removed = replace(account, is_active=False)
    assert accounts.list_accounts(connection) == []
    assert accounts.list_accounts(connection, also_inactive=True) == [removed]
    assert accounts.get_account(connection, account.key) == removed

    accounts.add_account(connection, Platform.FACEBOOK, INFO)
    assert accounts.list_accounts(connection) == [account]


@pytest.mark.parametrize("key", ["act_1", "facebook:", "myspace:1", "", "facebook:act_404"])
def test_a_wrong_key_says_what_a_key_is(connection: Connection, key: str) -> None:
    """A malformed or unknown key is one sentence of advice."""
    with pytest.raises(UsageError, match=r"account key|no account"):
        accounts.get_account(connection, key)


def test_an_account_whose_platform_is_gone_is_blocked_and_not_forgotten(
    database: Database, connection: Connection, tmp_path: Path
) -> None:
    """Without the package that serves it, it stays in the lists, with what to do about it."""
    gone = accounts.add_account(connection, Platform("gone_ads"), INFO)
    environment = Environment(
        database=database,
        clock=database._clock,
        settings=Settings(home=tmp_path),
        vault=TokenVault.from_settings(Settings(home=tmp_path)),
    )

    report = sync_account(environment, gone.key)

    assert accounts.list_accounts(connection) == [gone]
    assert report.error_family == "blocked"
    assert f"adsync accounts remove {gone.key}" in str(report.error)
    reason = connection.execute("SELECT blocked_reason FROM ad_accounts").fetchone()
    assert reason == ("account",)


def test_an_unknown_time_zone_is_refused(connection: Connection) -> None:
    """An account whose zone is unknown would cut its days wrongly; it is not stored."""
    with pytest.raises(UsageError, match="time zone"):
        accounts.add_account(connection, Platform.FACEBOOK, replace(INFO, timezone="Mars/Olympus"))
    assert accounts.list_accounts(connection) == []


def test_info_is_written_only_when_it_differs(connection: Connection, account: Account) -> None:
    """What the platform says is stored; saying the same again writes nothing."""
    info = replace(INFO, platform_account_id=account.platform_account_id)
    updated = accounts.update_account_info(connection, account, info)
    assert (updated.timezone, updated.currency) == ("Europe/Berlin", "EUR")
    version = connection.execute("SELECT xmin, ctid FROM ad_accounts").fetchone()

    accounts.update_account_info(connection, account, info)

    assert connection.execute("SELECT xmin, ctid FROM ad_accounts").fetchone() == version


def test_a_change_of_currency_or_zone_is_kept(connection: Connection, account: Account) -> None:
    """What currency and zone an account had before is kept; a change of name alone is not."""
    renamed = replace(INFO, currency="USD", timezone="America/New_York", name="Renamed")
    accounts.update_account_info(connection, account, renamed)
    accounts.update_account_info(connection, account, INFO)

    kept = connection.execute(
        "SELECT old_currency, new_currency, old_timezone, new_timezone FROM ad_account_changes"
    ).fetchall()
    assert kept == [("USD", "EUR", "America/New_York", "Europe/Berlin")]


def test_history_only_moves_back(connection: Connection, account: Account) -> None:
    """The first day of history is set once and moves back, never forward."""
    for asked, kept in (
        (date(2026, 1, 1), date(2026, 1, 1)),
        (date(2026, 2, 1), date(2026, 1, 1)),
        (date(2025, 12, 1), date(2025, 12, 1)),
    ):
        found = accounts.set_history_start(connection, account, asked)
        assert found.history_start == kept


def test_the_first_sync_is_remembered_and_failures_do_not_move_the_mark(
    database: Database, new_account: Account, clock: VirtualClock
) -> None:
    """first_synced_at is set once; a failed sync leaves last_synced_at and says why."""
    first = clock.now()
    with database.connection() as connection:
        accounts.mark_sync_failed(connection, new_account, "busy\x00" + "x" * 10_000)
        failed = state(connection)
        assert (failed["first_synced_at"], failed["last_synced_at"]) == (None, None)
        assert len(failed["last_sync_error"]) == 2000
        accounts.mark_synced(connection, new_account)
    clock.instant += timedelta(hours=1)
    with database.connection() as connection:
        accounts.mark_synced(connection, new_account)
        accounts.mark_sync_failed(connection, new_account, "later")
        found = state(connection)

    assert found["first_synced_at"] == first
    assert (found["last_synced_at"], found["last_sync_error"]) == (clock.now(), "later")


def test_a_block_keeps_its_start_and_ends_with_a_good_sync(
    database: Database, account: Account, clock: VirtualClock
) -> None:
    """A blocked account keeps the time it began; clearing or a complete sync ends it."""
    began = clock.now()
    with database.connection() as connection:
        accounts.set_blocked(connection, account, "credential", "token expired")
    clock.instant += timedelta(days=1)
    with database.connection() as connection:
        accounts.set_blocked(connection, account, "credential", "token still expired")
        blocked = state(connection)
        assert blocked["blocked_reason"] == "credential"
        assert blocked["blocked_detail"] == "token still expired"
        assert blocked["blocked_at"] == began
        accounts.mark_synced(connection, account)
        free = state(connection)
        assert (free["blocked_reason"], free["last_sync_error"]) == (None, None)
        accounts.set_blocked(connection, account, "permission", "x")
        accounts.clear_blocked(connection, account)
        assert state(connection)["blocked_at"] is None
