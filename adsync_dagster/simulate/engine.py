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
from adsync_dagster.platforms.protocol import Credential, PlatformAdapter
from adsync_dagster.records import AccountInfo, Platform
from adsync_dagster.settings import Settings
from adsync_dagster.simulate.exchange import InProcessExchange, SimulatedClock
from adsync_dagster.simulate.faulty_database import FaultyDatabase
from adsync_dagster.simulate.io import IoTap
from adsync_dagster.simulator.entities import SimAccount
from adsync_dagster.simulator.simulator import Simulator
from adsync_dagster.sync.environment import Environment
from adsync_dagster.transport import PlatformClient, RateBudget, TransportLimits
from adsync_dagster.warehouse import accounts
from adsync_dagster.warehouse.tokens import TokenVault

#: One thread: a request ahead would let chance decide the order of things. The bound on a body
#: is as far below a bomb as in production, and costs less to reach.
LIMITS = TransportLimits(read_ahead=False, attempts_max=3, response_bytes_max=4 * 1024 * 1024)
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
    #: Rows per page of lists and of reports, and the longest range without a report run.
    page_limits: tuple[int, int, int] | None = None

    def adapter(self, platform: Platform) -> PlatformAdapter:
        """As in production, with the scenario's page sizes."""
        adapter = super().adapter(platform)
        if self.page_limits is None or not isinstance(adapter, FacebookAdapter):
            return adapter
        lists, reports, days = self.page_limits
        return replace(
            adapter,
            limits=replace(
                adapter.limits,
                entity_page_rows=lists,
                insights_page_rows=reports,
                page_rows_floor=min(lists, reports, adapter.limits.page_rows_floor),
                sync_days_max=days,
            ),
        )

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
            self.simulator, adapter, credential, bounds, tap=self.tap, answered=self.answered
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
        limits: tuple[int, int, int] | None = None,
    ) -> None:
        self.tap = IoTap()
        self.database = FaultyDatabase(url, clock, self.tap, seed)
        settings = replace(settings or Settings(), token_key=KEY, home=Path("/nonexistent"))
        self.environment = SimulatedEnvironment(
            database=self.database,
            clock=clock,
            settings=settings,
            vault=TokenVault.from_settings(settings),
        )
        self.environment.simulator = simulator
        self.environment.page_limits = limits
        self.environment.tap = self.tap
        self.environment.answered = answered
        self.environment.random = Random(f"engine {seed}")

    def add_account(self, account: SimAccount, token: str) -> str:
        """Register an account and its credential; its key."""
        info = AccountInfo(
            platform_account_id=account.id,
            name=account.name,
            currency=account.currency,
            timezone=account.timezone,
            status=str(account.status),
        )
        with self.database.connection() as connection:
            added = accounts.add_account(connection, Platform.FACEBOOK, info)
            self.environment.vault.store(
                connection,
                Platform.FACEBOOK,
                account.id,
                Credential({"access_token": token}),
            )
        return added.key

    def close(self) -> None:
        """End this life in good order."""
        self.environment.close()
        self.database.cut()
