"""A project made by Dagster's own tool takes adsync in with four lines of YAML."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from harness import Harness

PROGRAMS = Path(sys.executable).parent
YAML = """\
type: adsync_dagster.AdSyncComponent

attributes:
  key_prefix: marketing
  group_name: marketing
  schedules: [account_sync_schedule, settle_schedule, weekly_safety_net]
"""
OWN = """\
import dagster as dg


@dg.asset
def ads() -> int:
    return 1


@dg.asset(deps=[["marketing", "metrics"]])
def spend_report() -> None: ...
"""
SYNC = """\
import sys

import dagster as dg
from shop.definitions import defs

key = sys.argv[1]
with dg.DagsterInstance.get() as instance:
    instance.add_dynamic_partitions("ad_account", [key])
    job = defs().resolve_job_def("account_sync_job")
    assert job.execute_in_process(instance=instance, partition_key=key).success
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project as `create-dagster` makes it, with an asset of its own and ours."""
    folder = tmp_path_factory.mktemp("projects")
    run("create-dagster", "project", "shop", "--no-uv-sync", cwd=folder)
    project = folder / "shop"
    (project / "src/shop/defs/ads").mkdir()
    (project / "src/shop/defs/ads/defs.yaml").write_text(YAML, encoding="utf-8")
    (project / "src/shop/defs/own.py").write_text(OWN, encoding="utf-8")
    return project


@pytest.fixture
def harness(database_url: str, tmp_path: Path) -> Iterator[Harness]:
    """A simulated account on a real port."""
    with Harness(database_url, tmp_path / "home", campaigns=1, adsets=1, ads=2) as harness:
        yield harness


def run(
    program: str, *arguments: str, cwd: Path, environment: Mapping[str, str] | None = None
) -> str:
    """The output of a program that succeeds, in the project's own folder."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ADSYNC_", "DAGSTER_"))}
    done = subprocess.run(
        [str(PROGRAMS / program), *arguments],
        cwd=cwd,
        env={
            **kept,
            "PATH": f"{PROGRAMS}{os.pathsep}{kept['PATH']}",
            "VIRTUAL_ENV": str(PROGRAMS.parent),
            # The project is not installed: it would be by `uv sync`, which needs a network.
            "PYTHONPATH": str(cwd / "src"),
            "COLUMNS": "200",
            "DAGSTER_DISABLE_TELEMETRY": "1",
            **(environment or {}),
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_dagsters_own_tool_loads_the_project(project: Path) -> None:
    """`dg check defs` finds no fault, and `dg list defs` shows the project's assets and ours."""
    assert "All definitions loaded successfully" in run("dg", "check", "defs", cwd=project)

    listed = json.loads(run("dg", "list", "defs", "--json", cwd=project))
    assert {asset["asset_key"] for asset in listed["assets"]} >= {
        "ads",
        "spend_report",
        "marketing/ads",
        "marketing/campaigns",
        "marketing/metrics",
        "marketing/ad_status_change_log",
    }
    assert {schedule["name"] for schedule in listed["schedules"]} == {
        "account_sync_schedule",
        "settle_schedule",
        "weekly_safety_net",
    }
    assert {"status_change_sensor", "alert_sensor"} <= {s["name"] for s in listed["sensors"]}


@pytest.mark.slow
def test_dagsters_own_tool_lists_the_component(project: Path) -> None:
    """`dg list components` shows it: the entry point of the installed package is found."""
    assert "adsync_dagster.AdSyncComponent" in run("dg", "list", "components", cwd=project)


@pytest.mark.slow
def test_a_simulated_account_is_synced_in_the_project(
    project: Path, harness: Harness, tmp_path: Path
) -> None:
    """The project's own job syncs the account to the last number of the ledger."""
    home = tmp_path / "dagster"
    home.mkdir()
    (project / "sync.py").write_text(SYNC, encoding="utf-8")
    run(
        "python",
        "sync.py",
        harness.account.key,
        cwd=project,
        environment={
            "DAGSTER_HOME": str(home),
            "ADSYNC_HOME": str(harness.settings.home),
            "ADSYNC_DATABASE_URL": harness.url,
            "ADSYNC_FACEBOOK_BASE_URL": harness.simulator.base_url,
            "ADSYNC_HISTORY_DAYS": str(harness.settings.history_days),
            "ADSYNC_NOW": harness.clock.now().isoformat(),
        },
    )
    assert harness.differences() == []
    assert len(harness.stored("ad")) > 0
