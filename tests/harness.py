"""A whole sync in one process: a simulated world over real HTTP, real Postgres, a movable clock.

Tests move the world and the clock, run the services, and compare the warehouse with the ledger.
The comparison reads tables with plain SQL, so that it shares no code with what it judges.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from zoneinfo import ZoneInfo

import psycopg
from psycopg.rows import dict_row

from adsync_dagster.clock import Clock, VirtualClock
from adsync_dagster.platforms.protocol import Credential
from adsync_dagster.records import Account, AccountInfo, Platform
from adsync_dagster.settings import Settings
from adsync_dagster.simulator.server import serve
from adsync_dagster.simulator.world import World
from adsync_dagster.sync.account_sync import sync_account
from adsync_dagster.sync.connecting import connect_account
from adsync_dagster.sync.environment import Environment
from adsync_dagster.sync.final_sync import process_all_pending_final_syncs
from adsync_dagster.sync.reports import (
    ALL_STEPS,
    ENTITY_STEPS,
    AccountReport,
    FinalSyncReport,
    Step,
)
from adsync_dagster.sync.safety_net import run_safety_net
from adsync_dagster.sync.settling import settle_account
from adsync_dagster.warehouse.database import Database
from adsync_dagster.warehouse.tokens import TokenVault

START = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
TOKEN = "sim_harness_token_canary_7f3a"
KEY = "facebook:act_501"
MICROS = Decimal(1_000_000)
ACCOUNT_IDS = {
    Platform.FACEBOOK: "act_501",
    Platform.TIKTOK: "7010000000000000501",
    Platform.GOOGLE_ADS: "5015015011",
}
#: Google's stored credential is exchanged for access tokens; the others' is sent as it is.
GOOGLE_CREDENTIAL = {"client_id": "c", "client_secret": "s", "refresh_token": TOKEN}


@dataclass(frozen=True)
class Difference:
    """One entity-day on which warehouse and ledger disagree."""

    level: str
    platform_id: str
    day: date
    metric: str
    warehouse: Decimal | None
    ledger: Decimal


@dataclass(frozen=True)
class SkewedClock:
    """A host's real clock that is off by so much."""

    apart: timedelta
    is_virtual: bool = False

    def now(self) -> datetime:
        return datetime.now(tz=UTC) + self.apart

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Harness:
    """A world, a warehouse and the services between them."""

    def __init__(
        self,
        url: str,
        home: Path,
        *,
        platform: Platform = Platform.FACEBOOK,
        start: datetime = START,
        **world_options: Any,
    ) -> None:
        self.url = url
        self.platform = platform
        self.clock = VirtualClock(start)
        self.world = World(seed=7, clock=self.clock)
        options: dict[str, Any] = {
            "account_id": ACCOUNT_IDS[platform],
            "name": "Shop",
            "currency": "USD",
            "timezone": "America/New_York",
            "campaigns": 4,
            "adsets": 8,
            "ads": 24,
            "history_days": 20,
        }
        options.update(world_options)
        getattr(self.world, f"add_{platform}_account")(**options)
        self.simulator = serve(self.world)
        self.settings = replace(
            Settings(),
            home=home,
            history_days=options["history_days"],
            base_urls={**Settings().base_urls, platform: self.simulator.base_url},
            options={"ADSYNC_GOOGLE_OAUTH_URL": f"{self.simulator.base_url}/token"},
        )
        self.environment = self.host(self.clock)
        self.account = self.add_account(
            options["account_id"], options["currency"], options["timezone"]
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.environment.close()
        self.simulator.stop()

    def host(self, clock: Clock) -> Environment:
        """A host of its own on the same warehouse, with its own clock. The caller closes it."""
        return Environment(
            database=Database(self.url, clock),
            clock=clock,
            settings=self.settings,
            vault=TokenVault.from_settings(self.settings),
        )

    def add_account(self, account_id: str, currency: str, timezone: str) -> Account:
        info = AccountInfo(
            platform_account_id=account_id,
            name="Shop",
            currency=currency,
            timezone=timezone,
            status="1",
        )
        is_google = self.platform is Platform.GOOGLE_ADS
        values = GOOGLE_CREDENTIAL if is_google else {"access_token": TOKEN}
        return connect_account(self.environment, self.platform, info, Credential(values))

    @property
    def account_id(self) -> str:
        """The platform's id of the account."""
        return self.account.platform_account_id

    # Moving the world

    def advance(self, **delta: float) -> None:
        self.clock.instant += timedelta(**delta)

    # Running the services

    def sync(self, steps: frozenset[Step] = ALL_STEPS, **options: Any) -> AccountReport:
        return sync_account(self.environment, self.account.key, steps, **options)

    def poll_entities(self) -> AccountReport:
        return self.sync(ENTITY_STEPS)

    def final_syncs(self) -> FinalSyncReport:
        return process_all_pending_final_syncs(self.environment, self.account.key)

    def settle(self) -> AccountReport:
        return settle_account(self.environment, self.account.key)

    def safety_net(self) -> Any:
        return run_safety_net(self.environment)

    # Reading the warehouse

    def query(self, statement: str, *parameters: object) -> list[dict[str, Any]]:
        """Rows of a SQL statement as dictionaries; none for one that answers no rows."""
        with psycopg.connect(self.url, row_factory=dict_row, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters or None)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def log(self, platform_id: str) -> list[dict[str, Any]]:
        """The change rows of one entity, oldest first."""
        return self.query(
            "SELECT * FROM ad_status_change_log WHERE platform_entity_id = %s ORDER BY change_seq",
            platform_id,
        )

    def pending(self) -> int:
        row = self.query(
            "SELECT count(*) AS n FROM ad_status_change_log WHERE NOT final_sync_completed"
        )[0]
        return int(row["n"])

    def stored(self, level: str) -> dict[tuple[str, date], dict[str, Any]]:
        """Stored metric rows of a level by platform id and day."""
        table, column = {
            "campaign": ("ad_campaigns", "platform_campaign_id"),
            "adset": ("ad_sets", "platform_ad_set_id"),
            "ad": ("ads", "platform_ad_id"),
        }[level]
        rows = self.query(
            f"SELECT e.{column} AS platform_id, m.* FROM ad_metrics m"
            f" JOIN {table} e ON e.id = m.entity_id WHERE m.entity_type = %s",
            level,
        )
        return {(row["platform_id"], row["date"]): row for row in rows}

    def differences(
        self,
        level: str = "ad",
        *,
        since: date | None = None,
        until: date | None = None,
        ids: set[str] | None = None,
    ) -> list[Difference]:
        """Every entity-day of a level where warehouse and ledger differ, in both directions."""
        until = until or self.today()
        since = since or until - timedelta(days=self.settings.history_days - 1)
        stored = self.stored(level)
        found = []
        known = ids or {entity.id for entity in self.world.entities(self.account_id, level)}
        for platform_id in sorted(known):
            day = since
            while day <= until:
                truth = self.world.ledger.value(level, platform_id, day)
                found += _compare(level, platform_id, day, truth, stored.get((platform_id, day)))
                day += timedelta(days=1)
        return found

    def today(self) -> date:
        return self.clock.now().astimezone(ZoneInfo(self.account.timezone)).date()


def _compare(
    level: str, platform_id: str, day: date, truth: Any, row: dict[str, Any] | None
) -> list[Difference]:
    pairs = {
        "spend": Decimal(truth["spend_micros"]) / MICROS,
        "impressions": Decimal(truth["impressions"]),
        "clicks": Decimal(truth["clicks"]),
        "conversions": Decimal(truth["conversions"]),
        "conversion_value": Decimal(truth["conversion_value_micros"]) / MICROS,
    }
    return [
        Difference(level, platform_id, day, name, None if row is None else row[name], value)
        for name, value in pairs.items()
        if (Decimal(0) if row is None else row[name]) != value
    ]
