"""What the warehouse tests share: short ways to stage, merge and look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from adsync_dagster.records import Account, DailyMetrics, Entity, Level
from adsync_dagster.warehouse.database import AccountSession, Connection
from adsync_dagster.warehouse.entities import MergeCounts, merge_entities
from adsync_dagster.warehouse.metrics import merge_metrics
from adsync_dagster.warehouse.staging import EntityStage, MetricsStage

CAMPAIGN = Entity(
    level=Level.CAMPAIGN,
    platform_id="c1",
    name="Campaign",
    status="ACTIVE",
    platform_status="ACTIVE",
    effective_status="ACTIVE",
)
AD_SET = replace(CAMPAIGN, level=Level.ADSET, platform_id="s1", name="Ad set", campaign_id="c1")
AD = replace(AD_SET, level=Level.AD, platform_id="a1", name="Ad", adset_id="s1")


def paused(entity: Entity) -> Entity:
    """The entity with its own switch off."""
    return replace(entity, status="PAUSED", platform_status="PAUSED", effective_status="PAUSED")


def numbers(platform_id: str = "a1", day: date | str = "2026-03-09", **values: Any) -> DailyMetrics:
    """One ad's numbers on one day."""
    row = DailyMetrics(
        level=Level.AD,
        platform_id=platform_id,
        date=day,
        campaign_id="c1",
        adset_id="s1",
        impressions="1000",
        clicks="10",
        link_clicks="8",
        spend="12.34",
        reach="900",
        frequency="1.1",
        conversions="2",
        conversion_value="50.00",
        extra=None,
    )
    return row._replace(**values)


def merge(
    session: AccountSession, account: Account, entities: Sequence[Entity], started: datetime
) -> MergeCounts:
    """Stage entities of one level and merge them in one transaction."""
    level = entities[0].level
    with EntityStage(session.connection, level) as stage:
        stage.add(entities)
        with session.transaction() as connection:
            return merge_entities(connection, account, level, started)


def merge_numbers(
    session: AccountSession, account: Account, rows: Sequence[DailyMetrics], started: datetime
) -> MergeCounts:
    """Stage metrics and merge them in one transaction."""
    with MetricsStage(session.connection) as stage:
        stage.add(rows)
        with session.transaction() as connection:
            return merge_metrics(connection, account, None, started)


def log_rows(connection: Connection, platform_entity_id: str | None = None) -> list[Any]:
    """(old, new, final_sync_completed, source) of logged changes, in their order."""
    return connection.execute(
        "SELECT old_status, new_status, final_sync_completed, source FROM ad_status_change_log"
        " WHERE %s::text IS NULL OR platform_entity_id = %s ORDER BY change_seq",
        (platform_entity_id, platform_entity_id),
    ).fetchall()


def one(connection: Connection, query: str, *values: object) -> Any:
    """The single value of the first row."""
    row = connection.execute(query, values or None).fetchone()
    assert row is not None
    return row[0]
