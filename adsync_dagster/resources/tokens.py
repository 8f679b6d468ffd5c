"""The resource `token_vault`: platform credentials, encrypted at rest in `platform_tokens`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from adsync_dagster.settings import Settings
from adsync_dagster.warehouse.tokens import TokenVault


class TokenVaultResource(dg.ConfigurableResource[TokenVault]):
    """Gives the vault; the key that opens it comes from the environment, never from config."""

    @contextmanager
    def yield_for_execution(
        self,
        context: dg.InitResourceContext,  # noqa: ARG002
    ) -> Iterator[TokenVault]:
        yield TokenVault.from_settings(Settings.from_environment())
