"""`adsync migrate --dry-run` tells what migrating would do, refusals included, and does nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg
import pytest
from command import Shell
from test_adoption import OBSTACLES, SEED_TABLES
from test_migrations import NAMES, schema_of

from adsync_dagster.commands.exits import ExitCode
from adsync_dagster.errors import Retryable
from adsync_dagster.warehouse import embedded, rehearsal
from adsync_dagster.warehouse.migrations import migrate, pending
from adsync_dagster.warehouse.rehearsal import MigrationPlan, TableChange, plan_migration


@pytest.fixture
def seed_url(empty_url: str) -> str:
    """A database with the seed's tables and rows."""
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute(SEED_TABLES)
    return empty_url


def everything(url: str) -> str:
    """Schema and rows, as pg_dump writes them."""
    dump = [str(embedded.program("pg_dump")), "--data-only", "--inserts", "--dbname", url]
    data = subprocess.run(dump, capture_output=True, text=True, check=True).stdout
    lines = [line for line in data.splitlines() if not line.startswith(("\\", "--"))]
    return schema_of(url) + "\n".join(lines)


def table(plan: MigrationPlan, name: str) -> TableChange:
    return next(change for change in plan.tables if change.table == name)


def test_a_dry_run_changes_nothing(seed_url: str) -> None:
    """Schema and rows are byte for byte what they were, and everything is still to be done."""
    before = everything(seed_url)

    plan = plan_migration(seed_url)

    assert everything(seed_url) == before
    assert pending(seed_url) == NAMES == [step.name for step in plan.steps]
    assert plan.refusal is None


def test_what_it_announces_is_what_happens(seed_url: str) -> None:
    """Columns, triggers and types after migrating are the ones that the plan named."""
    plan = plan_migration(seed_url)
    metrics, ads = table(plan, "ad_metrics"), table(plan, "ads")

    assert (metrics.is_new, metrics.rows, metrics.is_rewritten) == (False, 2, True)
    assert metrics.lock == "AccessExclusiveLock"
    assert "spend: numeric(10,2) -> numeric(18,6)" in metrics.changed["column"]
    assert not ads.is_rewritten
    assert "previous_status text" in ads.added["column"]
    assert "trigger_log_ad_status_change" in ads.added["trigger"]
    assert table(plan, "ad_status_change_log").is_new
    assert "daily_spend" in plan.views

    migrate(seed_url)

    with psycopg.connect(seed_url) as connection:
        columns = connection.execute(
            "SELECT a.attname FROM pg_attribute a WHERE attrelid = 'ads'::regclass AND attnum > 0"
            " AND NOT attisdropped AND attname NOT IN ('id', 'user_id', 'ad_account_id',"
            " 'ad_set_id', 'platform', 'platform_ad_id', 'name', 'status', 'creative',"
            " 'created_at', 'updated_at')"
        ).fetchall()
        triggers = connection.execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = 'ads'::regclass AND NOT tgisinternal"
        ).fetchall()
    assert {name for (name,) in columns} == {one.split()[0] for one in ads.added["column"]}
    assert {name for (name,) in triggers} == set(ads.added["trigger"])
    assert plan_migration(seed_url).steps == []


def test_tables_of_others_are_left_out(seed_url: str) -> None:
    """A table that adsync has nothing to do with is not in the plan."""
    with psycopg.connect(seed_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (id int PRIMARY KEY)")

    assert "orders" not in {change.table for change in plan_migration(seed_url).tables}


@pytest.mark.parametrize("words", OBSTACLES)
def test_what_would_refuse_is_named_beforehand(seed_url: str, words: str, tmp_path: Path) -> None:
    """The sentence that migrating would end with, exit code 2, and nothing changed."""
    with psycopg.connect(seed_url, autocommit=True) as connection:
        connection.execute(OBSTACLES[words])
    before = everything(seed_url)

    done = Shell(tmp_path, {"ADSYNC_DATABASE_URL": seed_url}).run("migrate", "--dry-run")

    assert done.code == ExitCode.USAGE, done.err
    assert words in done.out.splitlines()[-1]
    assert "would refuse" in done.out
    assert everything(seed_url) == before


@pytest.mark.slow
def test_it_does_not_wait_for_others_for_ever(seed_url: str) -> None:
    """A table that somebody uses ends the rehearsal after 15 s, with a word to try again."""
    with psycopg.connect(seed_url) as other:
        other.execute("SELECT count(*) FROM ads")
        with pytest.raises(Retryable, match="another session uses"):
            plan_migration(seed_url)


def test_large_tables_are_not_locked_unasked(
    seed_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the bound it says why it did not rehearse; --rehearse does it all the same."""
    monkeypatch.setattr(rehearsal, "REHEARSED_ROWS_MAX", 1)
    with psycopg.connect(seed_url, autocommit=True) as connection:
        connection.execute("ANALYZE ad_metrics")

    plan = plan_migration(seed_url)

    assert plan.not_rehearsed is not None
    assert "ad_metrics" in plan.not_rehearsed
    assert [step.name for step in plan.steps] == NAMES
    assert table(plan, "ad_metrics").lock is None
    assert plan_migration(seed_url, rehearse_large=True).not_rehearsed is None


def test_the_command_tells_people_and_scripts(seed_url: str, tmp_path: Path) -> None:
    """Text and JSON name the steps, the tables and their rows; then migrating does it."""
    shell = Shell(tmp_path, {"ADSYNC_DATABASE_URL": seed_url})

    told = shell.run("migrate", "--dry-run")
    facts = shell.run("migrate", "--dry-run", "--json").json

    assert told.code == 0, told.err
    assert f"{NAMES[0]}: Accounts, campaigns, ad sets and ads." in told.out
    assert "ad_metrics: there already, 2 rows, nobody else reads or writes it" in told.out
    assert "rolled back, nothing was changed" in told.out
    assert facts["pending"] == NAMES
    assert facts["refusal"] is None
    assert {one["table"]: one["rows"] for one in facts["tables"]}["ad_metrics"] == 2
    assert shell.run("migrate", "--rehearse").complaint(ExitCode.USAGE)
    assert shell.run("migrate").code == 0
    assert shell.run("migrate", "--dry-run").out == "the database is current\n"


def test_an_empty_database_is_told_in_short(empty_url: str, tmp_path: Path) -> None:
    """Where nothing was, every table is new, and a line each is enough."""
    done = Shell(tmp_path, {"ADSYNC_DATABASE_URL": empty_url}).run("migrate", "--dry-run")

    assert done.code == 0, done.err
    assert done.out.count(": new, ") == len(plan_migration(empty_url).tables) >= 10
    assert "there already" not in done.out
