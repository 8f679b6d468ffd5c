"""adsync as a component, for projects that are put together from `defs.yaml` files."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from adsync_dagster.adoption import adsync_definitions


class AdSyncComponent(dg.Component, dg.Model, dg.Resolvable):
    """Syncs ad platforms into Postgres and loses no metrics when an ad stops.

    Configured by the ADSYNC_ environment variables; the attributes say how it fits in here.
    """

    #: Put before the key of every asset, one part or several.
    key_prefix: str | Sequence[str] = ()
    #: The group of all assets; unset: `ads`.
    group_name: str | None = None
    #: E-mail addresses and `team:NAME` that own everything; nobody unless named.
    owners: Sequence[str] = ()
    #: All sensors, none, or those named.
    sensors: bool | Sequence[str] = True
    #: All schedules, none, or those named.
    schedules: bool | Sequence[str] = True
    #: Whether people are told of trouble (they still need a channel: ADSYNC_ALERT_...).
    alerts: bool = True
    #: Also the resources warehouse, token_vault and one per platform.
    own_resources: bool = False

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002
        """The definitions of `adsync_definitions` with these attributes."""
        return adsync_definitions(
            key_prefix=self.key_prefix,
            group_name=self.group_name,
            owners=self.owners,
            sensors=self.sensors,
            schedules=self.schedules,
            alerts=self.alerts,
            own_resources=self.own_resources,
        )
