"""The scene of a crash: a warehouse that survives power cuts, a world, and workers that die.

Nothing here sleeps to let something happen: a wait ends with what it waits for (a process that
ended or stopped, a row of pg_stat_activity), looked at again and again up to a bound.
"""

from __future__ import annotations

import copy
import json
import multiprocessing
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import crash_worker
import psycopg
import pytest
from harness import KEY, Difference, Harness
from psycopg import sql

from adsync_dagster.platforms.built_in import BUILT_IN
from adsync_dagster.sync.environment import Environment
from adsync_dagster.warehouse.database import Database, with_driver
from adsync_dagster.warehouse.tokens import TokenVault

SECONDS_MAX = 60.0
POLL_SECONDS = 0.01
LEVELS = ("campaign", "adset", "ad")

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["adsync_dagster.sync.account_sync", "adsync_dagster.platforms.registry"]
)


def wait_until(
    what: str,
    condition: Callable[[], Any],
    seconds: float = SECONDS_MAX,
    every_seconds: float = POLL_SECONDS,
) -> Any:
    """The first true answer of a condition; fails with words when none comes in time."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        pause.wait(every_seconds)
    pytest.fail(f"{what} did not happen within {seconds:.0f} seconds")


def base_urls(harness: Harness) -> dict[str, str]:
    """Every platform is the simulated one: crash points are refused beside a real one."""
    names = [f"ADSYNC_{plugin.key.upper()}_BASE_URL" for plugin in BUILT_IN]
    return dict.fromkeys(names, harness.simulator.base_url)


class Worker:
    """One worker process."""

    def __init__(self, variables: dict[str, str], job: str, answer: Path) -> None:
        self._answer = answer
        self._process = _FORKS.Process(
            target=crash_worker.run, args=(variables, job, KEY, str(answer)), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def exit_code(self, seconds: float = SECONDS_MAX) -> int:
        """Wait for the end; a signal's number comes back negative."""
        self._process.join(seconds)
        code = self._process.exitcode
        assert code is not None, "the worker did not end"
        return code

    def reports(self) -> list[dict[str, Any]]:
        """What the threads of a worker that lived to its end had to say."""
        assert self.exit_code() == 0
        found: list[dict[str, Any]] = json.loads(self._answer.read_text(encoding="utf-8"))
        return found

    def report(self) -> dict[str, Any]:
        [report] = self.reports()
        return report

    def wait_until_stopped(self) -> None:
        """Wait until SIGSTOP has taken effect."""
        wait_until("the stop of the worker", self._is_stopped)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def end(self) -> None:
        """Make sure that nothing of it is left, stopped or not."""
        with suppress(ValueError):
            self._process.kill()
            self._process.join(SECONDS_MAX)

    def _is_stopped(self) -> bool:
        assert self._process.is_alive(), "the worker ended instead of stopping"
        listing = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(self.pid)], capture_output=True, text=True, check=False
        )
        return listing.stdout.strip().startswith("T")


def live(harness: Harness, level: str) -> list[str]:
    """Entities of a level that deliver."""
    entities = harness.world.entities("act_501", level)
    return [entity.id for entity in entities if entity.effective == "ACTIVE"]


def stop_some(harness: Harness) -> None:
    """Four hours later a campaign is paused and an ad of another one deleted; a poll logs it."""
    harness.advance(hours=4)
    harness.world.pause("campaign", live(harness, "campaign")[0])
    harness.world.delete("ad", live(harness, "ad")[-1])
    assert harness.poll_entities().error is None
    assert harness.pending() > 2


def let_a_day_pass(harness: Harness) -> None:
    """New numbers, revisions of old ones, two stops and a new ad; nobody has looked yet."""
    harness.advance(hours=25)
    world, ads = harness.world, live(harness, "ad")
    old = harness.today() - timedelta(days=5)
    world.late_conversions(ads[1], old, 3)
    world.add_spend(ads[1], old, "1.25")
    world.create_ad(world.ancestors(world.entity("ad", ads[1]))[-1].id, "Fresh")
    world.pause("adset", live(harness, "adset")[0])
    world.delete("ad", ads[-1])


@dataclass
class Scene:
    """A world with its warehouse, and the workers started on it."""

    harness: Harness
    folder: Path
    workers: list[Worker] = field(default_factory=list)
    #: Seconds from a worker's death to the end of the one that took over.
    recoveries: list[float] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.end()

    # ── workers ───────────────────────────────────────────────────────────────────────────

    def start(self, job: str, *, armed: str = "", url: str = "") -> Worker:
        """Start a worker: final_sync, pending, account_sync ("*2": two threads), sensor_tick."""
        variables = {
            "ADSYNC_HOME": str(self.harness.settings.home),
            "ADSYNC_DATABASE_URL": url or self.harness.url,
            **base_urls(self.harness),
            "ADSYNC_HISTORY_DAYS": str(self.harness.settings.history_days),
            "ADSYNC_NOW": self.harness.clock.now().isoformat(),
            "DAGSTER_HOME": str(self.folder),
        }
        if armed:
            variables["ADSYNC_CRASH_POINT"] = armed
        worker = Worker(variables, job, self.folder / f"report-{len(self.workers)}.json")
        self.workers.append(worker)
        return worker

    def crash(self, job: str, armed: str) -> bool:
        """Run an armed worker to its end; False when it never got to the place and finished."""
        worker = self.start(job, armed=armed)
        code = worker.exit_code()
        if code == 0:
            return False
        assert code == -signal.Signals[armed.split(":")[1]]
        return True

    def recover(self, job: str) -> None:
        """Let a new worker take over at once; it has to end without an error."""
        began = time.monotonic()
        report = self.start(job).report()
        self.recoveries.append(time.monotonic() - began)
        assert report["error"] is None

    # ── the oracle ────────────────────────────────────────────────────────────────────────

    def owed(self) -> set[str]:
        """The entities that owe a final sync, and all below them."""
        world = self.harness.world
        roots = {
            row["platform_entity_id"]
            for row in self.harness.query(
                "SELECT platform_entity_id FROM ad_status_change_log WHERE NOT final_sync_completed"
            )
        }
        below = {
            entity.id
            for level in LEVELS
            for entity in world.entities("act_501", level)
            if roots & {above.id for above in world.ancestors(world.entity(level, entity.id))}
        }
        return roots | below

    def logged(self) -> set[str]:
        """The entities of which a change was logged."""
        rows = self.harness.query("SELECT DISTINCT platform_entity_id FROM ad_status_change_log")
        return {row["platform_entity_id"] for row in rows}

    def log_of(self, platform_id: str) -> dict[str, Any]:
        """The latest change of an entity."""
        return self.harness.log(platform_id)[-1]

    def differences(self, ids: Collection[str] | None = None) -> list[Difference]:
        """Entity-days on which warehouse and ledger differ, of all levels."""
        found = []
        [first] = self.harness.query("SELECT history_start FROM ad_accounts")
        for level in LEVELS:
            known = {e.id for e in self.harness.world.entities("act_501", level)}
            chosen = known if ids is None else known & set(ids)
            if chosen:
                found += self.harness.differences(level, since=first["history_start"], ids=chosen)
        return found

    def assert_nothing_early(self) -> None:
        """Whatever is marked done is stored, and all below it that is known, as they were read."""
        done = {
            row["platform_entity_id"]
            for row in self.harness.query(
                "SELECT platform_entity_id FROM ad_status_change_log WHERE final_sync_completed"
                " AND final_sync_completed_at >= %s",
                self.harness.clock.now(),
            )
        }
        below = {row["id"] for row in self.harness.query(KNOWN_BELOW, list(done))}
        assert not done or self.differences(done | below) == []

    def claims(self) -> set[tuple[bool, int]]:
        """Of the pending changes: whether they are claimed, and how many by one token."""
        rows = self.harness.query(
            "SELECT claim_token IS NOT NULL AS claimed, count(*) FROM ad_status_change_log"
            " WHERE NOT final_sync_completed GROUP BY claim_token"
        )
        return {(row["claimed"], row["count"]) for row in rows}

    def changes(self) -> list[dict[str, Any]]:
        """What was logged, without when and in which order."""
        return self.harness.query(
            "SELECT entity_type, platform_entity_id, old_status, new_status, final_sync_completed,"
            " metadata->>'kind' AS kind FROM ad_status_change_log ORDER BY 1, 2, 3, 4, 5, 6"
        )

    def assert_whole(self, ids: Collection[str] | None = None) -> None:
        """Nothing lost, nothing doubled, nothing owed, no claim left behind."""
        query = self.harness.query
        assert self.differences(ids) == []
        assert self.harness.pending() == 0
        assert query("SELECT 1 FROM ad_status_change_log WHERE claim_token IS NOT NULL") == []
        for doubled in DOUBLED:
            assert query(doubled) == []

    def state(self) -> list[list[dict[str, Any]]]:
        """Every row that a sync writes, with the transaction that wrote it, and its marks."""
        rows = [self.harness.query(f"SELECT xmin, t.* FROM {t} t ORDER BY t") for t in TABLES]
        return [*rows, self.harness.query(MARKS)]

    # ── the server ────────────────────────────────────────────────────────────────────────

    def backends(self, condition: str = "true") -> list[int]:
        """Server processes of this warehouse that adsync's sessions talk to."""
        return [
            row["pid"]
            for row in self.harness.query(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'adsync'"
                f" AND datname = current_database() AND {condition}"
            )
        ]

    def cut_off_holder(self) -> None:
        """End the connection that holds the account's lock, as a failing network does."""
        [backend] = self.backends(HOLDERS)
        self.harness.query("SELECT pg_terminate_backend(%s, 5000)", backend)


TABLES = ("ad_metrics", "ad_status_change_log", "ad_campaigns", "ad_sets", "ads", "ad_account_days")
MARKS = "SELECT first_synced_at, last_synced_at, history_start FROM ad_accounts"
HOLDERS = "pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)"
#: What the warehouse knows below campaigns and ad sets; ids are unique over all levels here.
KNOWN_BELOW = (
    "WITH given AS (SELECT %s::text[] AS ids)"
    " SELECT platform_ad_id AS id FROM ads, given"
    " WHERE platform_campaign_id = ANY (ids) OR platform_ad_set_id = ANY (ids)"
    " UNION SELECT platform_ad_set_id FROM ad_sets, given WHERE platform_campaign_id = ANY (ids)"
)
#: Rows that exist twice, entities as well as changes; keys make most of this impossible.
DOUBLED = (
    "SELECT entity_id, date FROM ad_metrics GROUP BY entity_id, date HAVING count(*) > 1",
    "SELECT platform_ad_id FROM ads GROUP BY 1 HAVING count(*) > 1",
    (
        "SELECT entity_id, old_status, new_status, created_at FROM ad_status_change_log"
        " GROUP BY 1, 2, 3, 4 HAVING count(*) > 1"
    ),
    # Two changes of an entity in a row cannot say the same, whoever tells them.
    (
        "SELECT 1 FROM (SELECT new_status, lead(new_status) OVER w AS next, old_status,"
        " lead(old_status) OVER w AS next_old FROM ad_status_change_log"
        " WINDOW w AS (PARTITION BY entity_id ORDER BY change_seq)) pairs"
        " WHERE new_status = next AND old_status = next_old"
    ),
)


@contextmanager
def cloned(server_url: str, template: str, name: str) -> Iterator[str]:
    """A database copied from another one; its URL. Dropped at the end, whoever uses it."""
    target, source = sql.Identifier(name), sql.Identifier(template)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(target, source))
    try:
        yield with_driver(server_url, "", name)
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(target))


@contextmanager
def on_database(harness: Harness, url: str) -> Iterator[Harness]:
    """The same world and clock over another warehouse."""
    moved = copy.copy(harness)
    moved.url = url
    moved.environment = Environment(
        database=Database(url, harness.clock),
        clock=harness.clock,
        settings=harness.settings,
        vault=TokenVault.from_settings(harness.settings),
    )
    try:
        yield moved
    finally:
        moved.environment.close()
