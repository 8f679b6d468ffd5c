"""The composition root: everything Dagster loads is put together here, nothing is decided.

Loading needs no database and no credential; a wrong ADSYNC_ variable is refused here already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from adsync_dagster.alert_sensors import build_alert_sensors
from adsync_dagster.assets.account_sync import build_account_sync
from adsync_dagster.assets.checks import health_checks
from adsync_dagster.assets.completeness_report import completeness_report
from adsync_dagster.assets.safety_net import weekly_safety_net
from adsync_dagster.assets.status_change_log import AD_STATUS_CHANGE_LOG
from adsync_dagster.jobs import JOBS
from adsync_dagster.resources.environment import AdsyncResource
from adsync_dagster.resources.platforms import platform_resources
from adsync_dagster.resources.tokens import TokenVaultResource
from adsync_dagster.resources.warehouse import WarehouseResource
from adsync_dagster.schedules import build_schedules
from adsync_dagster.sensors import build_sensors
from adsync_dagster.settings import Settings


def build_definitions(
    settings: Settings, *, resources: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """All definitions of the code location; `resources` replaces some, for tests."""
    return dg.Definitions(
        assets=[
            build_account_sync(settings),
            AD_STATUS_CHANGE_LOG,
            weekly_safety_net,
            completeness_report,
        ],
        asset_checks=[health_checks],
        jobs=list(JOBS),
        sensors=[*build_sensors(settings), *build_alert_sensors(settings)],
        schedules=build_schedules(settings),
        resources={
            "adsync": AdsyncResource(),
            "warehouse": WarehouseResource(),
            "token_vault": TokenVaultResource(),
            **platform_resources(settings),
            **(resources or {}),
        },
        # A process per step costs three seconds of start-up; threads do the waiting here.
        executor=dg.in_process_executor,
    )


defs = build_definitions(Settings.from_environment())
