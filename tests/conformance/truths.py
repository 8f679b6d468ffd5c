"""What the tests of the three clients compare: the world's truth, and the same of records."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Any

from adsync_dagster.conformance.truth import Facts, Key, Truth
from adsync_dagster.records import DailyMetrics, DateRange, DayAmounts, Entity, Level
from adsync_dagster.simulator.world import World


def entity_truth(
    world: World, account: str, level: Level, *, deleted: bool = True
) -> dict[str, Facts]:
    """Name, statuses and parents of everything that ever was, or of what is not deleted."""
    facts = Truth(world, account).entities(level)
    return {key: one for key, one in facts.items() if deleted or not one.deleted}


def entities(records: Iterable[Any]) -> dict[str, Facts]:
    """The same of what was read; the last of an id wins, as in the stage."""
    return {
        record.platform_id: Facts(
            record.name,
            record.status,
            record.effective_status,
            record.campaign_id,
            record.adset_id,
        )
        for record in records
        if isinstance(record, Entity)
    }


def metrics_truth(
    world: World,
    account: str,
    level: Level,
    days: DateRange,
    ids: Collection[str] | None = None,
) -> dict[Key, DayAmounts]:
    """What happened, per entity and day, as the ledger knows it; of all, or of these ids."""
    rows = Truth(world, account).metrics(level, days)
    return {key: amounts for key, amounts in rows.items() if ids is None or key[0] in ids}


def metrics(records: Iterable[Any]) -> dict[Key, DayAmounts]:
    """The same of what was read, rows without anything left out; the last of a key wins."""
    found = {
        (record.platform_id, str(record.date)): DayAmounts(
            int(record.impressions),
            int(record.clicks),
            Decimal(record.spend),
            Decimal(record.conversions),
            Decimal(record.conversion_value),
        )
        for record in records
        if isinstance(record, DailyMetrics)
    }
    return {key: amounts for key, amounts in found.items() if any(amounts)}
