"""The completeness report as a Dagster job and as a command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from command import Shell
from dagster_support import add_accounts, pause_a_campaign

from adsync_dagster.clock import VirtualClock
from adsync_dagster.definitions import build_definitions
from adsync_dagster.settings import Settings
from adsync_dagster.sync.environment import Environment
from adsync_dagster.warehouse import accounts
from adsync_dagster.warehouse.database import Database
from adsync_dagster.warehouse.tokens import TokenVault


@pytest.fixture
def environment(database: Database, clock: VirtualClock, tmp_path: Path) -> Environment:
    """The real surroundings, over the test's database."""
    settings = Settings(home=tmp_path)
    vault = TokenVault.from_settings(settings)
    return Environment(database=database, clock=clock, settings=settings, vault=vault)


@pytest.fixture
def shell(tmp_path: Path, database_url: str) -> Shell:
    """A shell whose warehouse is the test's database, at the test's moment."""
    return Shell(
        tmp_path,
        {"ADSYNC_DATABASE_URL": database_url, "ADSYNC_NOW": "2026-03-10T15:00:00+00:00"},
    )


def run_job(environment: Environment) -> dict[str, Any]:
    """Materialize the report; its metadata by name."""
    definitions = build_definitions(environment.settings, resources={"adsync": environment})
    with dg.instance_for_test() as instance:
        result = definitions.resolve_job_def("completeness_report_job").execute_in_process(
            instance=instance
        )
    (materialization,) = result.asset_materializations_for_node("completeness_report")
    return {name: value.value for name, value in materialization.metadata.items()}


def test_the_job_writes_the_page_and_shows_the_headline(
    environment: Environment, database: Database, tmp_path: Path
) -> None:
    """The run succeeds although nothing is complete, and its metadata says so."""
    synced, _ = add_accounts(database, 2)
    with database.connection() as connection:
        accounts.mark_synced(connection, synced)
    pause_a_campaign(database, synced)

    metadata = run_job(environment)

    page = tmp_path / "reports" / "completeness.html"
    assert metadata["report"] == str(page)
    assert "Not complete" in page.read_text(encoding="utf-8")
    assert metadata["verdict"] == "Not complete"
    assert (metadata["accounts"], metadata["final_syncs_owed"]) == (2, 1)
    assert metadata["why_not_complete"] == "- accounts never synced whole, or not lately: 1"


def test_a_warehouse_without_accounts_is_unknown(environment: Environment) -> None:
    """An empty warehouse is reported, and not as complete."""
    metadata = run_job(environment)
    assert metadata["verdict"] == "Unknown: no account is synced"
    assert "why_not_complete" not in metadata


def test_the_command_writes_where_it_is_told(shell: Shell, database: Database) -> None:
    """The answer names the file; JSON carries the headline; the exit code judges nothing."""
    first, _ = add_accounts(database, 2)

    done = shell.run("report", "--out", "here.html", "--account", first.platform_account_id)
    assert done.code == 0
    assert done.out.startswith(f"Not complete: {shell.folder / 'here.html'}\n")
    told = shell.run("report", "--json", "--days", "7").json

    assert told["path"] == str(shell.folder / "home" / "reports" / "completeness.html")
    assert (told["verdict"], told["accounts"]) == ("incomplete", 2)
    assert "the last 7 days" in Path(told["path"]).read_text(encoding="utf-8")


def test_the_command_refuses_in_one_line(shell: Shell, database: Database) -> None:
    """A wrong account, a place that is no file, a silly number of days."""
    add_accounts(database, 1)
    (shell.folder / "folder").mkdir()
    refusals = {
        ("--account", "act_404"): "no account 'act_404' here",
        ("--out", "folder"): "the report cannot be written to",
        ("--out", "/dev/null/x.html"): "choose another --out",
        ("--days", "401"): "less than or equal to 400",
    }
    for arguments, words in refusals.items():
        assert words in shell.run("report", *arguments).complaint(2)
    assert sorted(path.name for path in shell.folder.iterdir()) == ["folder", "home"]
