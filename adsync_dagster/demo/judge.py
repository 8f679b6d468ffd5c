"""The demo's judge: every stored entity-day against the simulator's ledger, to the last cent."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from adsync_dagster.records import Account, DateRange, Level
from adsync_dagster.simulator.world import World
from adsync_dagster.warehouse import account_days, export
from adsync_dagster.warehouse.account_days import ResidualClass
from adsync_dagster.warehouse.database import Database

MICROS = Decimal(1_000_000)
#: What explains a residual. A moving or unexplained one is no explanation.
EXPLANATIONS = frozenset(
    {ResidualClass.NEVER_SEEN_ENTITY, ResidualClass.DELETED_HIDDEN, ResidualClass.NO_AD_ROWS}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Warehouse against ledger for some entities over some days."""

    entities: int
    entity_days: int
    #: Entity-days (days, for a residual) on which any metric differs, stored or not.
    different: int
    spend: tuple[Decimal, Decimal]
    conversions: tuple[Decimal, Decimal]
    #: Days whose residual the warehouse does not explain.
    unexplained: int = 0
    #: The explanations of the days that have a residual.
    explanations: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        return (
            self.different == 0
            and self.unexplained == 0
            and self.spend[0] == self.spend[1]
            and self.conversions[0] == self.conversions[1]
        )


@dataclass(frozen=True, slots=True)
class Judge:
    """Knows the warehouse and the world, and compares them as of the clock's instant."""

    database: Database
    world: World

    def entities(
        self, account: Account, level: Level, days: DateRange, ids: Collection[str]
    ) -> Verdict:
        """Compare the entities' stored rows with the ledger."""
        with self.database.connection() as connection:
            stored = {
                (row.platform_id, row.date): row
                for row in export.metric_rows(connection, account, level, days)
            }
        pairs = [
            (_stored(stored.get((platform_id, day))), self._truth(level, platform_id, day))
            for platform_id in ids
            for day in _each(days)
        ]
        return _verdict(len(ids), pairs)

    def residual(
        self, account: Account, level: Level, days: DateRange, ids: Collection[str]
    ) -> Verdict:
        """Compare each day's residual with the ledger's sum of what the platform never showed."""
        with self.database.connection() as connection:
            known = account_days.account_days(connection, account, days.since, days.until)
        rows = {row.date: row for row in known if row.level == level}
        residuals = {day: _residual(row) for day, row in rows.items()}
        pairs = [
            (residuals.get(day, NOTHING), _add(self._truth(level, one, day) for one in ids))
            for day in _each(days)
        ]
        classes = [rows[day].residual_class for day, rest in residuals.items() if rest != NOTHING]
        return _verdict(len(ids), pairs, classes)

    def _truth(self, level: Level, platform_id: str, day: date) -> Amounts:
        value = self.world.ledger.value(level.value, platform_id, day)
        return (
            Decimal(value["impressions"]),
            Decimal(value["clicks"]),
            Decimal(value["spend_micros"]) / MICROS,
            Decimal(value["conversions"]),
            Decimal(value["conversion_value_micros"]) / MICROS,
        )


Amounts = tuple[Decimal, Decimal, Decimal, Decimal, Decimal]
NOTHING: Amounts = (Decimal(0),) * 5


def _verdict(
    entities: int,
    pairs: Sequence[tuple[Amounts, Amounts]],
    classes: Sequence[ResidualClass | None] = (),
) -> Verdict:
    ours, truth = _add(pair[0] for pair in pairs), _add(pair[1] for pair in pairs)
    return Verdict(
        entities=entities,
        entity_days=len(pairs),
        different=sum(1 for stored, true in pairs if stored != true),
        spend=(ours[2], truth[2]),
        conversions=(ours[3], truth[3]),
        unexplained=sum(1 for name in classes if name not in EXPLANATIONS),
        explanations=tuple(sorted({name.value for name in classes if name is not None})),
    )


def _add(rows: Iterable[Amounts]) -> Amounts:
    total = [Decimal(0)] * 5
    for row in rows:
        total = [first + second for first, second in zip(total, row, strict=True)]
    return (total[0], total[1], total[2], total[3], total[4])


def _each(days: DateRange) -> list[date]:
    return [days.since + timedelta(days=offset) for offset in range(days.days)]


def _residual(row: account_days.AccountDay) -> Amounts:
    return (
        row.residual_impressions or Decimal(0),
        row.residual_clicks or Decimal(0),
        row.residual_spend or Decimal(0),
        row.residual_conversions or Decimal(0),
        row.residual_conversion_value or Decimal(0),
    )


def _stored(row: export.MetricRow | None) -> Amounts:
    if row is None:
        return NOTHING
    return (
        Decimal(row.impressions),
        Decimal(row.clicks),
        row.spend,
        row.conversions,
        row.conversion_value,
    )
