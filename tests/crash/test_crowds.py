"""Several syncs of one account at once, in threads and processes: the result of one."""

from __future__ import annotations

import os
from typing import Any

import psycopg
import pytest
from crash_scene import Scene, cloned, on_database
from harness import Harness


@pytest.fixture(scope="module")
def changes_of_one(
    behind: Harness, durable_url: str, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """What one sync alone logs of the same account: it must not depend on how many look at it."""
    template = str(psycopg.conninfo.conninfo_to_dict(behind.url)["dbname"])
    with (
        cloned(durable_url, template, f"alone_{os.getpid()}") as url,
        on_database(behind, url) as harness,
        Scene(harness, tmp_path_factory.mktemp("alone")) as scene,
    ):
        before = len(scene.changes())
        scene.recover("account_sync")
        scene.assert_whole()
        assert len(scene.changes()) > before + 5
        return scene.changes()


@pytest.mark.parametrize(
    "crowd",
    [
        ("account_sync", "account_sync"),
        ("account_sync*2",),
        ("account_sync*2", "final_sync*2", "pending*2"),
    ],
    ids=["two processes", "two threads", "three processes of two threads"],
)
def test_syncs_of_one_account_at_once_give_the_result_of_one(
    scene: Scene, behind: Harness, changes_of_one: list[dict[str, Any]], crowd: tuple[str, ...]
) -> None:
    """Each waits its turn or reports busy; no row and no change is there twice."""
    assert scene.differences()

    workers = [scene.start(job) for job in crowd]
    reports = [report for worker in workers for report in worker.reports()]

    assert all(report["error"] is None or report["busy"] for report in reports)
    assert any(report["error"] is None for report in reports)
    scene.assert_whole()
    assert scene.changes() == changes_of_one
