"""The engine under test: a real Environment whose edges are simulated.

An Engine is one process's life. After a crash a new one is made over the same database and
the same world, as a supervisor would start a new worker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from random import Random

from adsync_dagster.platforms.facebook import FacebookAdapter
from adsync_dagster.platforms.google_ads import GoogleAdsAdapter
from adsync_dagster.platforms.protocol import Credential, PlatformAdapter
from adsync_dagster.platforms.registry import grant_for
from adsync_dagster.platforms.tiktok import TikTokAdapter
from adsync_dagster.records import AccountInfo, Platform
from adsync_dagster.settings import Settings
from adsync_dagster.simulate.exchange import InProcessExchange, SimulatedClock
from adsync_dagster.simulate.faulty_database import FaultyDatabase, Spare
from adsync_dagster.simulate.io import IoTap
from adsync_dagster.simulate.scenario import Config
from adsync_dagster.simulator.entities import SimAccount
from adsync_dagster.simulator.simulator import Simulator
from adsync_dagster.sync.environment import Environment
from adsync_dagster.transport import PlatformClient, RateBudget, TransportLimits
from adsync_dagster.transport.access import AccessTokens, GrantedCredential
from adsync_dagster.warehouse import accounts
from adsync_dagster.warehouse.tokens import TokenVault

#: One thread: a request ahead would let chance decide the order of things. The bound on a body
#: is as far below a bomb as in production, and costs less to reach.
LIMITS = TransportLimits(read_ahead=False, attempts_max=3, response_bytes_max=4 * 1024 * 1024)
#: A report task that stands still is given up after so many looks.
TASK_POLLS_MAX = 20
#: 32 zero bytes: a key of simulated credentials only.
KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


@dataclass(slots=True)
class Answers:
    """When the platform answered within the present tick."""

    instants: list[datetime] = field(default_factory=list)
    requests: int = 0

    def note(self, instant: datetime) -> None:
        """One exchange more."""
        self.requests += 1
        if not self.instants or self.instants[-1] != instant:
            self.instants.append(instant)


class SimulatedEnvironment(Environment):
    """An environment whose clients answer from a simulator."""

    simulator: Simulator
    tap: IoTap
    answered: Callable[[datetime], None]
    random: Random
    config: Config

    def adapter(self, platform: Platform) -> PlatformAdapter:
        """As in production, with the scenario's sizes of pages and questions."""
        adapter = super().adapter(platform)
        if isinstance(adapter, FacebookAdapter):
            return _facebook(adapter, self.config)
        if isinstance(adapter, TikTokAdapter):
            return _tiktok(adapter, self.config)
        return (
            _google_ads(adapter, self.config) if isinstance(adapter, GoogleAdsAdapter) else adapter
        )

    def _access(self, platform: Platform, credential: Credential) -> Credential | GrantedCredential:
        """As in production; the exchange for an access token goes to the simulator, too."""
        grant = grant_for(platform, self.settings)
        key = None if grant is None else grant.words.key(credential)
        if grant is None or key is None:
            return credential
        if key not in self._tokens:
            exchange = InProcessExchange(
                self.simulator,
                grant.words,
                credential,
                LIMITS,
                tap=self.tap,
                answered=self.answered,
            )
            self._tokens[key] = AccessTokens(
                grant.words, grant.url, credential, self.clock, exchange=exchange
            )
        return GrantedCredential(grant.words, credential, self._tokens[key])

    def client_with(
        self,
        platform: Platform,
        credential: Credential,
        *,
        budget_key: str,
        limits: TransportLimits | None = None,
    ) -> PlatformClient:
        """As in production, but for the exchange."""
        adapter, bounds = self.adapter(platform), limits or LIMITS
        exchange = InProcessExchange(
            self.simulator,
            adapter,
            self._access(platform, credential),
            bounds,
            tap=self.tap,
            answered=self.answered,
        )
        with self._guard:
            budget = self._budgets.setdefault(budget_key, RateBudget())
        return PlatformClient(
            adapter,
            self.settings.base_urls[platform],
            credential,
            self.clock,
            limits=bounds,
            budget=budget,
            random_share=self.random.random,
            exchange=exchange,
        )


def _facebook(adapter: FacebookAdapter, config: Config) -> FacebookAdapter:
    lists, reports = config.entity_page_rows, config.insights_page_rows
    limits = replace(
        adapter.limits,
        entity_page_rows=lists,
        insights_page_rows=reports,
        page_rows_floor=min(lists, reports, adapter.limits.page_rows_floor),
        sync_days_max=config.sync_days_max,
    )
    return replace(adapter, limits=limits)


def _tiktok(adapter: TikTokAdapter, config: Config) -> TikTokAdapter:
    rows, ids = config.entity_page_rows, config.tiktok.ids_max
    limits = replace(
        adapter.limits,
        page_rows=rows,
        page_rows_floor=min(rows, adapter.limits.page_rows_floor),
        ids_max=ids,
        report_campaign_ids_max=min(ids, adapter.limits.report_campaign_ids_max),
        report_days_max=min(config.sync_days_max, adapter.limits.report_days_max),
        task_polls_max=TASK_POLLS_MAX,
    )
    return replace(adapter, limits=limits)


def _google_ads(adapter: GoogleAdsAdapter, config: Config) -> GoogleAdsAdapter:
    knobs = config.google_ads
    limits = replace(
        adapter.limits,
        days_max=knobs.days_max,
        ids_max=knobs.ids_max,
        changes_max=knobs.changes_max,
    )
    return replace(adapter, limits=limits)


class Engine:
    """One life of the engine's process."""

    def __init__(
        self,
        url: str,
        simulator: Simulator,
        clock: SimulatedClock,
        *,
        seed: int,
        answered: Callable[[datetime], None],
        settings: Settings | None = None,
        config: Config | None = None,
        spare: Spare | None = None,
    ) -> None:
        self.tap = IoTap()
        self.database = FaultyDatabase(url, clock, self.tap, seed, spare)
        settings = replace(
            settings or Settings(),
            token_key=KEY,
            home=Path("/nonexistent"),
            # A fault strikes at a counted passage: threads would count in another order each time.
            account_threads=1,
        )
        self.environment = SimulatedEnvironment(
            database=self.database,
            clock=clock,
            settings=settings,
            vault=TokenVault.from_settings(settings),
        )
        self.environment.simulator = simulator
        self.environment.config = config or Config()
        self.environment.tap = self.tap
        self.environment.answered = answered
        self.environment.random = Random(f"engine {seed}")

    def add_account(self, account: SimAccount, credential: Credential) -> str:
        """Register an account and its credential; its key."""
        platform = Platform(account.platform)
        info = AccountInfo(
            platform_account_id=account.id,
            name=account.name,
            currency=account.currency,
            timezone=account.timezone,
            status=str(account.status),
        )
        with self.database.connection() as connection:
            added = accounts.add_account(connection, platform, info)
            self.environment.vault.store(connection, platform, account.id, credential)
        return added.key

    def close(self) -> None:
        """End this life in good order."""
        self.environment.close()
        self.database.cut()
