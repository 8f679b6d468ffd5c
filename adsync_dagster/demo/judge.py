"""The demo's judge: every stored entity-day against the simulator's ledger, to the last cent."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from adsync_dagster.demo.stage import Stage
from adsync_dagster.records import Account, DateRange, Level
from adsync_dagster.warehouse import account_state, export

MICROS = Decimal(1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Warehouse against ledger for some entities over some days."""

    entities: int
    entity_days: int
    #: Entity-days on which any metric differs, stored or not.
    different: int
    spend: tuple[Decimal, Decimal]
    conversions: tuple[Decimal, Decimal]
    logged: int
    done: int
    pending: int

    @property
    def equal(self) -> bool:
        return (
            self.different == 0
            and self.spend[0] == self.spend[1]
            and self.conversions[0] == self.conversions[1]
        )


def judge(
    stage: Stage, account: Account, level: Level, days: DateRange, ids: Collection[str]
) -> Verdict:
    """Compare the entities' stored rows with the ledger as of the clock's instant."""
    with stage.environment.database.connection() as connection:
        stored = {
            (row.platform_id, row.date): row
            for row in export.metric_rows(connection, account, level, days)
        }
        counts = account_state.count_changes(connection, account.id)
    different = 0
    sums = [Decimal(0)] * 4
    every_day = [days.since + timedelta(days=offset) for offset in range(days.days)]
    for platform_id in ids:
        for day in every_day:
            ours = _stored(stored.get((platform_id, day)))
            truth = _truth(stage, level, platform_id, day)
            different += ours != truth
            sums = [sums[0] + ours[2], sums[1] + truth[2], sums[2] + ours[3], sums[3] + truth[3]]
    return Verdict(
        entities=len(ids),
        entity_days=len(ids) * len(every_day),
        different=different,
        spend=(sums[0], sums[1]),
        conversions=(sums[2], sums[3]),
        logged=counts.logged,
        done=counts.done,
        pending=counts.pending,
    )


Amounts = tuple[Decimal, Decimal, Decimal, Decimal, Decimal]


def _stored(row: export.MetricRow | None) -> Amounts:
    if row is None:
        return (Decimal(0),) * 5
    return (
        Decimal(row.impressions),
        Decimal(row.clicks),
        row.spend,
        row.conversions,
        row.conversion_value,
    )


def _truth(stage: Stage, level: Level, platform_id: str, day: date) -> Amounts:
    value = stage.world.ledger.value(level.value, platform_id, day)
    return (
        Decimal(value["impressions"]),
        Decimal(value["clicks"]),
        Decimal(value["spend_micros"]) / MICROS,
        Decimal(value["conversions"]),
        Decimal(value["conversion_value_micros"]) / MICROS,
    )
