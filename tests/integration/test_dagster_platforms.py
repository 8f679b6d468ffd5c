"""Accounts of Meta, TikTok and Google Ads in one warehouse and one Dagster run.

The judge of the simulations looks at every account after every run, by its own platform's
measure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest

from adsync_dagster.assets.partitions import ensure_partitions
from adsync_dagster.assets.windows import RANGE_END_TAG, RANGE_START_TAG
from adsync_dagster.clock import VirtualClock
from adsync_dagster.definitions import build_definitions
from adsync_dagster.platforms.protocol import Credential
from adsync_dagster.records import AccountInfo, Platform
from adsync_dagster.settings import Settings
from adsync_dagster.simulator.google_ads_auth import RefreshToken
from adsync_dagster.simulator.instants import micros
from adsync_dagster.simulator.oracle import Oracle
from adsync_dagster.simulator.oracle_records import Tick, Violation
from adsync_dagster.simulator.server import RunningSimulator, serve
from adsync_dagster.simulator.world import World
from adsync_dagster.sync.connecting import connect_account
from adsync_dagster.sync.environment import Environment
from adsync_dagster.warehouse.database import Database
from adsync_dagster.warehouse.tokens import TokenVault

START = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
TOKEN = "sim_platforms_canary_91d4"
IDS = {
    Platform.FACEBOOK: "act_501",
    Platform.TIKTOK: "7010000000000000501",
    Platform.GOOGLE_ADS: "5015015011",
}
#: Days begin at other moments, and the first Google campaign has no ad rows.
OPTIONS: dict[Platform, dict[str, Any]] = {
    Platform.FACEBOOK: {"timezone": "America/New_York"},
    Platform.TIKTOK: {"timezone": "Etc/GMT+8"},
    Platform.GOOGLE_ADS: {"timezone": "Pacific/Auckland", "performance_max": 1},
}


@dataclass
class Site:
    """A world of three platforms, a warehouse, a code location, and the judge."""

    environment: Environment
    simulator: RunningSimulator
    world: World
    clock: VirtualClock
    instance: dg.DagsterInstance
    keys: list[str]
    oracle: Oracle
    runs: int = 0

    def run(self, job: str = "account_sync_job") -> dg.ExecuteInProcessResult:
        """One run over all accounts."""
        self.runs += 1
        definitions = build_definitions(
            self.environment.settings, resources={"adsync": self.environment}
        )
        return definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            tags={RANGE_START_TAG: self.keys[0], RANGE_END_TAG: self.keys[-1]},
            raise_on_error=False,
        )

    def judge(self, *synced: Platform) -> list[Violation]:
        """What the run brought about that is not true, of any account."""
        now = micros(self.clock.now())
        return self.oracle.after_tick(
            Tick(
                number=self.runs,
                name="sync",
                started=now,
                ended=now,
                numbers_seen={one: [(now, now)] for one in IDS},
                entities_seen={one: [(now, now)] for one in IDS},
                synced=frozenset(IDS[platform] for platform in synced),
            )
        )

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.environment.database.url) as connection:
            return connection.execute(statement).fetchall()  # type: ignore[arg-type]


@pytest.fixture
def site(database: Database, tmp_path: Path) -> Iterator[Site]:
    """A small account of each platform, none of them synced yet."""
    clock = VirtualClock(START)
    world = World(seed=23, clock=clock)
    for platform, options in OPTIONS.items():
        size = {"campaigns": 2, "adsets": 3, "ads": 5, "history_days": 5, "stopped": False}
        getattr(world, f"add_{platform}_account")(IDS[platform], **size, **options)
    with serve(world) as simulator, dg.instance_for_test() as instance:
        environment = Environment(
            database=Database(database.url, clock),
            clock=clock,
            settings=replace(
                Settings(),
                home=tmp_path,
                history_days=6,
                base_urls=dict.fromkeys(IDS, simulator.base_url),
                options={"ADSYNC_GOOGLE_OAUTH_URL": f"{simulator.base_url}/token"},
            ),
            vault=TokenVault.from_settings(replace(Settings(), home=tmp_path)),
        )
        keys = sorted(add(environment, platform) for platform in IDS)
        ensure_partitions(instance, keys)
        with psycopg.connect(database.url, autocommit=True) as reader:
            oracle = Oracle(world, reader, secrets=(TOKEN,))
            yield Site(environment, simulator, world, clock, instance, keys, oracle)
        environment.close()


def add(environment: Environment, platform: Platform) -> str:
    """Register the platform's account; its key."""
    info = AccountInfo(
        platform_account_id=IDS[platform], name="?", currency="USD", timezone="UTC", status="1"
    )
    values = {"access_token": TOKEN}
    if platform is Platform.GOOGLE_ADS:
        values = {"client_id": "c", "client_secret": "s", "refresh_token": TOKEN}
    return connect_account(environment, platform, info, Credential(values)).key


def stop_something(site: Site) -> None:
    """On each platform an ad is deleted, another's campaign paused, and numbers arrive late."""
    for account_id in IDS.values():
        ads = [
            ad
            for ad in site.world.entities(account_id, "ad")
            if ad.effective == "ACTIVE" and not hidden(site, ad.campaign_id)
        ]
        site.world.late_conversions(ads[0].id, site.world.today(account_id), 2, 40)
        site.world.delete("ad", ads[0].id)
        site.world.pause("campaign", ads[-1].campaign_id)


def hidden(site: Site, campaign_id: str) -> bool:
    """Whether the campaign keeps its numbers to itself."""
    return "channel_type" in site.world.entity("campaign", campaign_id).traits


def test_one_run_syncs_every_platform_and_each_account_is_true(site: Site) -> None:
    """First everything, then the last hours of what stopped: all as the three ledgers say."""
    assert site.run().success
    assert site.judge(*IDS) == []
    site.clock.instant += timedelta(hours=4)
    stop_something(site)
    site.clock.instant += timedelta(hours=1)

    assert site.run().success

    assert site.judge(*IDS) == []
    done = site.query(
        "SELECT platform, count(*) FROM ad_status_change_log"
        " WHERE final_sync_completed GROUP BY platform ORDER BY platform"
    )
    assert [platform for platform, count in done if count >= 2] == sorted(IDS)
    assert site.query("SELECT 1 FROM ad_status_change_log WHERE NOT final_sync_completed") == []


def test_a_platform_without_access_leaves_the_others_alone(site: Site) -> None:
    """A revoked refresh token blocks Google's account; what it owes waits, and is caught up."""
    assert site.run().success
    assert site.judge(*IDS) == []
    stop_something(site)
    site.clock.instant += timedelta(hours=2)
    token = site.simulator.simulator.google_ads.tokens.add(RefreshToken(value=TOKEN))
    token.revoked = True

    assert not site.run().success

    assert site.judge(Platform.FACEBOOK, Platform.TIKTOK) == []
    blocked = "SELECT platform FROM ad_accounts WHERE blocked_reason IS NOT NULL"
    assert site.query(blocked) == [("google_ads",)]
    token.revoked = False
    site.clock.instant += timedelta(hours=7)
    assert site.run().success
    assert site.judge(*IDS) == []
    assert site.query(blocked) == []
