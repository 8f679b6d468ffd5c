"""The resource `adsync`: everything a sync needs, built from the settings at run time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from adsync_dagster.resources.warehouse import warehouse_url
from adsync_dagster.settings import Settings
from adsync_dagster.sync.environment import Environment


class AdsyncResource(dg.ConfigurableResource[Environment]):
    """Warehouse, clock, credentials and platform clients of one run. It has no configuration."""

    @contextmanager
    def yield_for_execution(
        self,
        context: dg.InitResourceContext,  # noqa: ARG002
    ) -> Iterator[Environment]:
        settings = Settings.from_environment()
        warehouse_url(settings)
        environment = Environment.from_settings(settings)
        try:
            yield environment
        finally:
            environment.close()
