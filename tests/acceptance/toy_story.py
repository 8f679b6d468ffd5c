"""A ToyAds account's life with adsync, run as a program of its own by test_fourth_platform.py.

It serves a world, uses the command line as a person would (`adsync sync` runs Dagster's job in
this process), and prints what the warehouse and the ledger say. Arguments: a folder.
"""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from adsync_toyads.wire import ToyAdsWire

from adsync_dagster.clock import FileClock
from adsync_dagster.simulator.server import serve
from adsync_dagster.simulator.simulator import Simulator
from adsync_dagster.simulator.world import World

START = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
KEY = "toyads:1001"
TABLES = {
    "campaign": ("ad_campaigns", "platform_campaign_id"),
    "adset": ("ad_sets", "platform_ad_set_id"),
    "ad": ("ads", "platform_ad_id"),
}
NAMES = ("impressions", "clicks", "spend", "conversions", "conversion_value")


def adsync(*arguments: str) -> tuple[int, str]:
    """A command's exit code and what it wrote."""
    from adsync_dagster.cli import main  # noqa: PLC0415 - its settings are not set before

    written = io.StringIO()
    with redirect_stdout(written), redirect_stderr(written):
        try:
            main(list(arguments))
        except SystemExit as end:
            return int(end.code or 0), written.getvalue()
    return 0, written.getvalue()


def differences(
    world: World, since: date, until: date, ids: frozenset[str] = frozenset()
) -> list[str]:
    """Entity-days on which warehouse and ledger disagree, either way; of all, or of these ids."""
    found = []
    with psycopg.connect(os.environ["ADSYNC_DATABASE_URL"]) as connection:
        for level, (table, column) in TABLES.items():
            rows = connection.execute(
                f"SELECT e.{column}, m.date, {', '.join(f'm.{name}' for name in NAMES)}"  # type: ignore[arg-type]
                f" FROM ad_metrics m JOIN {table} e ON e.id = m.entity_id"
                " WHERE m.entity_type = %s AND m.date BETWEEN %s AND %s",
                (level, since, until),
            ).fetchall()
            stored = {(row[0], row[1]): tuple(row[2:]) for row in rows if any(row[2:])}
            truth = {
                (entity, day): amounts(totals.as_dict())
                for entity, day, totals in world.ledger.rows("1001", level, since, until)
            }
            found += [
                f"{level} {key}: {stored.get(key)} is not {truth.get(key)}"
                for key in stored.keys() | truth.keys()
                if stored.get(key) != truth.get(key) and (not ids or key[0] in ids)
            ]
    return found


def amounts(columns: dict[str, int]) -> tuple[Any, ...]:
    """The ledger's integers as the warehouse's columns."""
    million = Decimal(1_000_000)
    return (
        columns["impressions"],
        columns["clicks"],
        columns["spend_micros"] / million,
        columns["conversions"],
        columns["conversion_value_micros"] / million,
    )


def query(statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Rows of a SQL statement."""
    with psycopg.connect(os.environ["ADSYNC_DATABASE_URL"]) as connection:
        return connection.execute(statement, parameters or None).fetchall()  # type: ignore[arg-type]


def live(world: World) -> list[str]:
    """The ads that deliver."""
    return [ad.id for ad in world.entities("1001", "ad") if ad.effective == "ACTIVE"]


def play(folder: Path) -> dict[str, Any]:
    """Install, connect, sync, stop ads, sync again, settle; what was found at each point."""
    clock = FileClock(folder / "now")
    clock.set(START)
    world = World(seed=5, clock=clock)
    world.add_account("toyads", "1001", campaigns=2, adsets=4, ads=12, history_days=10)
    with serve(Simulator(world, wires=[ToyAdsWire(world)])) as running:
        os.environ |= {
            "ADSYNC_NOW": f"file:{clock.path}",
            "ADSYNC_HOME": str(folder / "home"),
            "ADSYNC_HISTORY_DAYS": "10",
            "ADSYNC_TOYADS_BASE_URL": running.base_url,
            "ADSYNC_TOYADS_PAGE_ROWS": "7",
            "TOY_KEY": "sim_toyads_story_canary",
        }
        return _acts(world, clock)


def _acts(world: World, clock: FileClock) -> dict[str, Any]:
    today = START.date()
    told: dict[str, Any] = {"platforms": adsync("platforms")}
    told["unknown"] = adsync("accounts", "add", "--platform", "toads", "--account", "1")
    told["discover"] = adsync(
        "accounts", "discover", "--platform", "toyads", "--token-env", "TOY_KEY"
    )
    told["add"] = adsync(
        "accounts", "add", "--platform", "toyads", "--account", "1001", "--token-env", "TOY_KEY"
    )
    told["first"] = adsync("sync", KEY)
    told["after first"] = differences(world, today - timedelta(days=9), today)

    clock.set(START + timedelta(hours=3))
    paused, deleted, disapproved = live(world)[:3]
    world.pause("ad", paused)
    world.delete("ad", deleted)
    world.set_hold("ad", disapproved, "DISAPPROVED")
    clock.set(START + timedelta(hours=5))
    for ad in (paused, deleted):
        world.late_conversions(ad, today, 3, "12.34")
    told["second"] = adsync("sync", KEY)
    # Older days of what goes on are read again a day later; what stopped is read whole at once.
    told["after second"] = [
        *differences(world, today - timedelta(days=2), today),
        *differences(
            world,
            today - timedelta(days=9),
            today,
            frozenset({paused, deleted, disapproved}),
        ),
    ]
    told["statuses"] = dict(query("SELECT platform_ad_id, status FROM ads"))
    told["truth"] = {ad.id: ad.own for ad in world.entities("1001", "ad")}
    told["done"] = query(
        "SELECT DISTINCT platform, final_sync_completed FROM ad_status_change_log"
        " WHERE platform_entity_id = ANY (%s)",
        [paused, deleted, disapproved],
    )

    clock.set(START + timedelta(days=10))
    told["settle"] = adsync("settle", KEY)
    told["after settling"] = differences(world, today - timedelta(days=9), today)
    told["sealed"] = query(
        "SELECT DISTINCT state FROM ad_account_days WHERE date BETWEEN %s AND %s",
        today - timedelta(days=9),
        today,
    )
    told["doctor"] = adsync("doctor")
    return told


if __name__ == "__main__":
    print(json.dumps(play(Path(sys.argv[1])), default=str))  # noqa: T201
