"""A backup, restored: the guards fire, the log goes on, and a sync reads what it missed."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from harness import Harness

from adsync_dagster.settings import Settings
from adsync_dagster.sync.account_sync import sync_account
from adsync_dagster.sync.environment import Environment
from adsync_dagster.sync.safety_net import run_safety_net
from adsync_dagster.warehouse import embedded
from adsync_dagster.warehouse.checks import silent_triggers
from adsync_dagster.warehouse.database import Database
from adsync_dagster.warehouse.migrations import migrate


def dump(url: str, file: Path) -> None:
    """What docs/operations.md says to run every night."""
    program = embedded.program("pg_dump")
    subprocess.run([str(program), "--format=custom", f"--file={file}", url], check=True)


def restore(file: Path, url: str) -> None:
    """What docs/operations.md says to run into an empty database."""
    program = embedded.program("pg_restore")
    command = [str(program), "--exit-on-error", "--no-owner", f"--dbname={url}", str(file)]
    subprocess.run(command, check=True)


def environment_on(harness: Harness, url: str) -> Environment:
    """The same program, key and platform on the restored database."""
    return Environment(
        database=Database(url, harness.clock),
        clock=harness.clock,
        settings=harness.settings,
        vault=harness.environment.vault,
    )


@pytest.mark.parametrize("weeks", [0, 6])
def test_a_restored_backup_catches_up(
    database_url: str, empty_url: str, tmp_path: Path, weeks: int
) -> None:
    """What stopped after the backup is found, logged once and finished, every number the ledger's.

    After six weeks some of the missed days are no longer revised; they are read all the same.
    """
    file = tmp_path / "warehouse.dump"
    with Harness(database_url, tmp_path) as harness:
        assert harness.sync().error is None
        dump(database_url, file)
        ads = [ad.id for ad in harness.world.entities(harness.account_id, "ad")]
        live = [one for one in ads if harness.world.entity("ad", one).now.effective == "ACTIVE"]
        harness.advance(hours=5)
        harness.world.pause("ad", live[0])
        harness.world.delete("ad", live[1])
        assert harness.sync().error is None
        harness.advance(days=weeks * 7, hours=3)

        restore(file, empty_url)
        assert migrate(empty_url) == []
        harness.url = empty_url
        environment = environment_on(harness, empty_url)
        try:
            assert harness.log(live[0]) == []
            assert run_safety_net(environment).success
            assert sync_account(environment, harness.account.key).error is None
            with environment.database.connection() as connection:
                assert silent_triggers(connection).total == 0
        finally:
            environment.close()

        stops = [harness.log(one)[-1] for one in live[:2]]
        assert [row["new_status"] for row in stops] == ["PAUSED", "DELETED"]
        assert {row["final_sync_completed"] for row in stops} == {True}
        assert harness.pending() == 0
        since = harness.today() - timedelta(days=weeks * 7 + 19)
        assert harness.differences(ids=set(live), since=since) == []


def test_guards_and_triggers_come_back_always_enabled(
    database_url: str, empty_url: str, tmp_path: Path
) -> None:
    """Every trigger of the original stands in the copy in the same state, ALWAYS included."""
    file = tmp_path / "warehouse.dump"
    query = (
        # Without parentheses: a dump writes ((a OR b) OR c) as (a OR b OR c).
        "SELECT tgrelid::regclass::text, tgname, tgenabled::text,"
        " translate(pg_get_triggerdef(oid), '()', '')"
        " FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2"
    )
    dump(database_url, file)
    restore(file, empty_url)

    with psycopg.connect(database_url) as original, psycopg.connect(empty_url) as copy:
        before, after = original.execute(query).fetchall(), copy.execute(query).fetchall()
    assert before == after
    always = {name for _, name, enabled, _ in after if enabled == "A"}
    assert {
        "trigger_log_campaign_status_change",
        "trigger_log_adset_status_change",
        "trigger_log_ad_status_change",
    } <= always


def test_without_the_key_accounts_are_blocked_not_lost(
    database_url: str, empty_url: str, tmp_path: Path
) -> None:
    """A dump holds no key: restored without it, the account waits for a new credential."""
    file = tmp_path / "warehouse.dump"
    with Harness(database_url, tmp_path / "one") as harness:
        harness.sync()
        dump(database_url, file)
        restore(file, empty_url)
        environment = environment_on(harness, empty_url)
        environment.vault = type(harness.environment.vault).from_settings(
            _with_home(harness, tmp_path / "another")
        )
        try:
            report = sync_account(environment, harness.account.key)
        finally:
            environment.close()
    assert report.error_family == "blocked"
    assert "encrypted under another key" in str(report.error)


def _with_home(harness: Harness, home: Path) -> Settings:
    home.mkdir()
    return replace(harness.settings, home=home)
