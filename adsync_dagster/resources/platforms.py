"""The platform resources (`facebook`, ...): clients for assets of your own.

The account sync takes its clients from `adsync`; these give another asset the same client,
with the same limits, budget and errors, without the credential passing through its hands.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import dagster as dg

from adsync_dagster.errors import UsageError
from adsync_dagster.platforms.registry import adapter_for, installed
from adsync_dagster.records import Platform
from adsync_dagster.resources.warehouse import warehouse_url
from adsync_dagster.settings import Settings
from adsync_dagster.sync.environment import Environment
from adsync_dagster.transport import PlatformClient
from adsync_dagster.warehouse import accounts


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformAccess:
    """Opens clients for the accounts of one platform."""

    platform: Platform
    environment: Environment

    @contextmanager
    def client(self, account_key: str) -> Iterator[PlatformClient]:
        """A client with the account's credential.

        UsageError when the account is unknown or belongs to another platform,
        CredentialBlocked when it has no credential.
        """
        with self.environment.database.connection() as connection:
            account = accounts.get_account(connection, account_key)
        if account.platform != self.platform:
            raise UsageError(f"{account_key} is not an account of {self.platform}")
        with closing(self.environment.client(account)) as client:
            yield client


class PlatformResource(dg.ConfigurableResource[PlatformAccess]):
    """Access to one platform, named in code and not in the launchpad."""

    platform: str

    @contextmanager
    def yield_for_execution(
        self,
        context: dg.InitResourceContext,  # noqa: ARG002
    ) -> Iterator[PlatformAccess]:
        settings = Settings.from_environment()
        warehouse_url(settings)
        environment = Environment.from_settings(settings)
        try:
            yield PlatformAccess(platform=Platform(self.platform), environment=environment)
        finally:
            environment.close()


def platform_resources(settings: Settings) -> dict[str, PlatformResource]:
    """A resource for every installed platform, as the settings want it."""
    for platform in installed():
        adapter_for(platform, settings)
    return {platform: PlatformResource(platform=platform) for platform in installed()}
