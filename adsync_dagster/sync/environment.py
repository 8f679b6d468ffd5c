"""What a sync needs from outside: database, platform clients, clock, credentials.

One `Environment` serves a process: Dagster's resource and the CLI build it from settings,
tests build it with a virtual clock and the simulator's address. It opens nothing until asked.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

from adsync_dagster.calendar import account_day
from adsync_dagster.clock import CLOCKS_APART_SECONDS_MAX, Clock, clock_from_environment
from adsync_dagster.errors import AccountBlocked, CredentialBlocked
from adsync_dagster.platforms.protocol import Credential, PlatformAdapter
from adsync_dagster.platforms.registry import adapter_for, grant_for, installed
from adsync_dagster.records import Account, Platform
from adsync_dagster.settings import Settings
from adsync_dagster.settlement import SettlementRules, first_reported_day, history_start
from adsync_dagster.transport import PlatformClient, RateBudget, TransportLimits
from adsync_dagster.transport.access import AccessTokens, GrantedCredential
from adsync_dagster.warehouse import accounts
from adsync_dagster.warehouse.database import AccountSession, Database
from adsync_dagster.warehouse.embedded import ensure_started
from adsync_dagster.warehouse.migrations import require_current
from adsync_dagster.warehouse.tokens import TokenVault

logger = logging.getLogger("adsync_dagster.sync")


class Environment:
    """The shared, thread-safe surroundings of all syncs of one process."""

    def __init__(
        self, *, database: Database, clock: Clock, settings: Settings, vault: TokenVault
    ) -> None:
        self.database = database
        self.clock = clock
        self.settings = settings
        self.vault = vault
        self._budgets: dict[str, RateBudget] = {}
        self._tokens: dict[tuple[str, ...], AccessTokens] = {}
        self._adapters: dict[Platform, PlatformAdapter] = {}
        self._guard = threading.Lock()

    @classmethod
    def from_settings(cls, settings: Settings | None = None) -> Environment:
        """Build from the process environment; starts the embedded Postgres when it is used.

        Raises UsageError when a setting, the database or its schema version is wrong.
        """
        settings = settings or Settings.from_environment()
        clock = clock_from_environment()
        url = settings.database_url or ensure_started(settings.home)
        database = Database(url, clock)
        try:
            with database.connection() as connection:
                require_current(connection, embedded_in=settings.embedded_in)
        except BaseException:
            database.dispose()
            raise
        return cls(
            database=database,
            clock=clock,
            settings=settings,
            vault=TokenVault.from_settings(settings),
        )

    def adapter(self, platform: Platform) -> PlatformAdapter:
        """The adapter of a platform; adapters hold no state and are shared by threads."""
        with self._guard:
            if platform not in self._adapters:
                self._adapters[platform] = adapter_for(platform, self.settings)
            return self._adapters[platform]

    def client(self, account: Account, *, limits: TransportLimits | None = None) -> PlatformClient:
        """A client with the account's credential.

        CredentialBlocked when it has none, AccountBlocked when nothing here serves its platform.
        """
        if account.platform not in installed():
            raise AccountBlocked(
                f"{account.key} is of a platform that is not installed here; install the package"
                f" that brings {account.platform}, or give the account up with"
                f" `adsync accounts remove {account.key}`"
            )
        with self.database.connection() as connection:
            credential = self.vault.load(connection, account.platform, account.platform_account_id)
        if credential is None:
            raise CredentialBlocked(
                f"{account.key} has no credential; store one with"
                f" `adsync accounts add --platform {account.platform}"
                f" --account {account.platform_account_id} --token-env NAME`"
            )
        return self.client_with(account.platform, credential, budget_key=account.key, limits=limits)

    def client_with(
        self,
        platform: Platform,
        credential: Credential,
        *,
        budget_key: str,
        limits: TransportLimits | None = None,
    ) -> PlatformClient:
        """A client for a credential in hand; threads with the same key share a rate budget."""
        with self._guard:
            budget = self._budgets.setdefault(budget_key, RateBudget())
        return PlatformClient(
            self.adapter(platform),
            self.settings.base_urls[platform],
            self._access(platform, credential),
            self.clock,
            limits=limits or TransportLimits(),
            budget=budget,
        )

    def _access(self, platform: Platform, credential: Credential) -> Credential | GrantedCredential:
        """The credential itself, or with the access token that all threads share."""
        grant = grant_for(platform, self.settings)
        key = None if grant is None else grant.words.key(credential)
        if grant is None or key is None:
            return credential
        with self._guard:
            if key not in self._tokens:
                self._tokens[key] = AccessTokens(grant.words, grant.url, credential, self.clock)
            return GrantedCredential(grant.words, credential, self._tokens[key])

    def close(self) -> None:
        """Close the database connections."""
        self.database.dispose()


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncContext:
    """One account's sync: the session that holds its lock, its client, the clock."""

    account: Account
    session: AccountSession
    client: PlatformClient
    #: The session's: reads are dated by the database's time, not by that of this host.
    clock: Clock
    log: logging.Logger = logger
    #: The account's own rules of settlement, once it was asked for them.
    settlement: SettlementRules | None = None

    @property
    def rules(self) -> SettlementRules:
        """When the account's days are final: its own rules, or the platform's."""
        return self.settlement or self.client.adapter.rules

    @property
    def reported_from(self) -> date:
        """The oldest account-local day that the platform still reports."""
        return first_reported_day(account_day(self.clock.now(), self.account.timezone), self.rules)

    @property
    def first_day(self) -> date:
        """The first account-local day of its history that the platform still reports."""
        account, rules, now = self.account, self.rules, self.clock.now()
        start = account.history_start or history_start(now, account.timezone, rules)
        return max(start, self.reported_from)


@contextmanager
def account_context(
    environment: Environment,
    account_key: str,
    *,
    lock_wait_seconds: float,
    log: logging.Logger = logger,
) -> Iterator[SyncContext]:
    """Hold the account's lock and its client for the length of the block.

    Raises UsageError for an unknown account, AccountBusy when another worker keeps the lock,
    CredentialBlocked when the credential is missing or cannot be decrypted.
    """
    with environment.database.connection() as connection:
        account = accounts.get_account(connection, account_key)
    with environment.database.account_session(
        account.id, wait_seconds=lock_wait_seconds
    ) as session:
        client = environment.client(account)
        _compare_clocks(environment.clock, session.clock, account, log)
        try:
            yield SyncContext(
                account=account, session=session, client=client, clock=session.clock, log=log
            )
        finally:
            client.close()


def _compare_clocks(ours: Clock, servers: Clock, account: Account, log: logging.Logger) -> None:
    """Say when this host's clock is wrong: schedules and access tokens go by it, reads do not."""
    if ours is servers:
        return
    apart = (ours.now() - servers.now()).total_seconds()
    if abs(apart) > CLOCKS_APART_SECONDS_MAX:
        log.warning(
            "[sync] %s: this host's clock is %+.0f s from the database's; reads are dated by the"
            " database's. Set both by NTP",
            account.key,
            apart,
        )
