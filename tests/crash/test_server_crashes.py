"""Postgres goes down without a word, in the middle of a sync: after its recovery all is exact."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from crash_scene import Scene, wait_until

from adsync_dagster.warehouse import embedded


def shut_down_at_once(home: Path) -> None:
    """`pg_ctl stop -m immediate`: no checkpoint, so the next start has to recover."""
    binaries, user = embedded._installation()
    data = str(home / "postgres")
    done = embedded._run(
        binaries / "pg_ctl", ["-D", data, "-m", "immediate", "-w", "-t", "60", "stop"], user
    )
    assert done.returncode == 0


def kill_the_postmaster(home: Path) -> None:
    """SIGKILL: it cannot even remove its pid file; its children notice and end."""
    pid = int((home / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    family = {pid, *(child for child, parent, _ in processes() if parent == pid)}
    os.kill(pid, signal.SIGKILL)
    wait_until(
        "the end of the server",
        lambda: not family & {pid for pid, _, state in processes() if not state.startswith("Z")},
    )


def processes() -> list[tuple[int, int, str]]:
    """Number, parent's number and state of every process."""
    listing = subprocess.run(
        ["ps", "-Ao", "pid=,ppid=,stat="], capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in listing.stdout.splitlines()]
    return [(int(pid), int(parent), state) for pid, parent, state in rows]


@pytest.fixture
def record_restart(record_property: Callable[[str, object], None]) -> Callable[[Path], None]:
    """Start the server again and keep how long its recovery took."""

    def start(home: Path) -> None:
        began = time.monotonic()
        embedded.ensure_started(home)
        record_property("crashed Postgres: restart seconds", round(time.monotonic() - began, 2))

    return start


@pytest.mark.parametrize("crash", [shut_down_at_once, kill_the_postmaster])
def test_a_server_crash_in_the_middle_of_a_merge(
    scene: Scene, durable_home: Path, record_restart: Callable[[Path], None], crash: Any
) -> None:
    """Rows are already written when the server dies: none of them is seen after its recovery."""
    owed = scene.owed()
    before = scene.state()
    with psycopg.connect(scene.harness.url) as other:
        # The merge writes in the order of its key and waits for this row, the last to change.
        changing = [d for d in scene.differences(owed) if d.level == "ad" and d.warehouse]
        last = max(d.day for d in changing)
        ads = sorted({d.platform_id for d in changing if d.day == last})
        assert len({(d.day, d.platform_id) for d in changing}) > 1
        assert other.execute(LAST_ROW, [ads, last]).fetchone()
        worker = scene.start("final_sync")
        wait_until("the merge's wait for a row", lambda: scene.backends(MERGE_WAITS))
        crash(durable_home)
        other.close()
    assert worker.report()["error_family"] == "retryable"

    record_restart(durable_home)

    [metrics, _, *rest] = scene.state()
    assert [metrics, *rest] == [before[0], *before[2:]]
    scene.recover("final_sync")
    scene.assert_whole(owed)


LAST_ROW = (
    "SELECT 1 FROM ad_metrics m JOIN ads e ON e.id = m.entity_id WHERE m.entity_type = 'ad'"
    " AND e.platform_ad_id = ANY (%s) AND m.date = %s ORDER BY m.entity_id DESC LIMIT 1 FOR UPDATE"
)
#: Nothing but a merge of metrics waits for the transaction that holds that row.
MERGE_WAITS = "wait_event_type = 'Lock' AND wait_event IN ('transactionid', 'tuple')"


@pytest.mark.parametrize("place", ["page_copied:1", "before_commit:3", "after_commit:3"])
def test_a_server_crash_around_a_commit(
    scene: Scene, durable_home: Path, record_restart: Callable[[Path], None], place: str
) -> None:
    """What was committed is there after the recovery, what was not is not, and is done again."""
    owed, owing = scene.owed(), scene.harness.pending()
    name, nth = place.split(":")
    worker = scene.start("final_sync", armed=f"{name}:SIGSTOP:{nth}")
    worker.wait_until_stopped()
    shut_down_at_once(durable_home)

    # The server is not back yet: even the failure cannot be noted, and is reported all the same.
    worker.resume()
    assert worker.report()["error_family"] == "retryable"
    record_restart(durable_home)

    assert (scene.harness.pending() < owing) == (name == "after_commit")
    scene.assert_nothing_early()
    scene.recover("final_sync")
    scene.assert_whole(owed)
