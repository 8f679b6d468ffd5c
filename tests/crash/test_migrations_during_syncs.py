"""A database is migrated while a sync is under way: neither harms the other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from crash_scene import Scene, wait_until

from adsync_dagster.warehouse.migrations import migrate

#: Every migration with tables, triggers and functions that a sync uses is applied once more.
FORGET = "DELETE FROM _yoyo_migration WHERE migration_id > '0002'"
WAITING_MIGRATOR = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
    " AND wait_event_type = 'Lock' AND application_name <> 'adsync'"
)


def test_a_migration_between_two_transactions_of_a_sync(scene: Scene) -> None:
    """While a worker has a page in its stage everything is migrated; it ends its work exactly."""
    owed = scene.owed()
    worker = scene.start("final_sync", armed="page_copied:SIGSTOP")
    worker.wait_until_stopped()
    scene.harness.query(FORGET)

    applied = migrate(scene.harness.url)

    assert len(applied) > 5
    worker.resume()
    assert worker.report()["error"] is None
    scene.assert_whole(owed)


@pytest.mark.parametrize("place", ["metrics_merged", "changes_completed"])
def test_a_migration_waits_for_the_transaction_of_a_sync(scene: Scene, place: str) -> None:
    """A worker stands in the middle of its transaction: the migration comes after its commit."""
    owed = scene.owed()
    worker = scene.start("final_sync", armed=f"{place}:SIGSTOP")
    worker.wait_until_stopped()
    scene.harness.query(FORGET)

    with ThreadPoolExecutor(1) as pool:
        migrating = pool.submit(migrate, scene.harness.url)
        wait_until("the wait of the migrator", lambda: scene.harness.query(WAITING_MIGRATOR))
        assert not migrating.done()
        worker.resume()
        assert len(migrating.result()) > 5

    assert worker.report()["error"] is None
    scene.assert_whole(owed)
