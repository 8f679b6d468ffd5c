"""The world's truth in the words of records, and what is wrong with records beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from adsync_dagster.platforms.protocol import Record
from adsync_dagster.records import DailyMetrics, DateRange, DayAmounts, DayTotals, Entity, Level
from adsync_dagster.simulator.world import World

_MILLION = Decimal(1_000_000)
Key = tuple[str, str]


class Facts(NamedTuple):
    """What is true of an entity."""

    name: str
    status: str
    effective_status: str
    campaign_id: str | None
    adset_id: str | None

    @property
    def deleted(self) -> bool:
        return "DELETED" in (self.status, self.effective_status)


class Truth:
    """One account of a world as a perfect read would tell it."""

    def __init__(self, world: World, account_id: str) -> None:
        self._world = world
        self._account = account_id

    def today(self) -> date:
        return date.fromordinal(self._world.today(self._account))

    def first_day(self) -> date:
        account = self._world.account(self._account)
        return date.fromordinal(account.zone.day(account.created_at))

    def entities(self, level: Level) -> dict[str, Facts]:
        """Everything that ever was."""
        return {
            entity.id: Facts(
                entity.name,
                entity.own,
                entity.effective,
                None if level is Level.CAMPAIGN else entity.campaign_id,
                entity.adset_id if level is Level.AD else None,
            )
            for entity in self._world.entities(self._account, level.value)
        }

    def ids(self, level: Level) -> list[str]:
        return list(self.entities(level))

    def metrics(self, level: Level, days: DateRange) -> dict[Key, DayAmounts]:
        """The rows of a perfect report."""
        rows = self._world.ledger.rows(self._account, level.value, days.since, days.until)
        return {
            (entity_id, day.isoformat()): amounts_of(totals.as_dict())
            for entity_id, day, totals in rows
        }

    def total(self, day: date) -> DayAmounts:
        return amounts_of(self._world.ledger.account_total(self._account, day))

    # Problems

    def problems_of_list(self, level: Level, records: Iterable[Record]) -> list[str]:
        """A list shows everything as it is; only what is deleted may be left out."""
        truth = self.entities(level)
        seen, problems = _seen(level, records)
        for key, facts in truth.items():
            if key not in seen and not facts.deleted:
                problems.append(f"{level} {key} ({facts.effective_status}) is left out")
        return problems + _differences(level, truth, seen)

    def problems_of_look_up(
        self, level: Level, records: Iterable[Record], ids: Iterable[str]
    ) -> list[str]:
        """A look-up shows everything it was asked for, the deleted as well."""
        truth = self.entities(level)
        seen, problems = _seen(level, records)
        problems += [f"{level} {key} is not found by id" for key in ids if key not in seen]
        return problems + _differences(level, truth, seen)

    def problems_of_report(
        self, level: Level, days: DateRange, records: Iterable[Record], *, whole: bool = False
    ) -> list[str]:
        """A report has the ledger's rows; only those of the deleted may be missing from one
        that was not asked for by id (`whole`)."""
        truth, known = self.metrics(level, days), self.entities(level)
        seen, problems = self._rows(level, known, records)
        for key, amounts in truth.items():
            missing_is_right = not whole and known[key[0]].deleted
            if key not in seen and not missing_is_right:
                problems.append(f"{level} {key[0]} has no row for {key[1]}")
            elif key in seen and seen[key] != amounts:
                problems.append(f"{level} {key[0]} on {key[1]}: {seen[key]} is not {amounts}")
        unknown = [key for key in seen if key not in truth]
        return problems + [f"{level} {key[0]} has a row for {key[1]}, untruly" for key in unknown]

    def problems_of_totals(self, days: DateRange, records: Iterable[Record]) -> list[str]:
        """Every day's total is everything that happened, deleted or not."""
        seen = {record.date: record for record in records if isinstance(record, DayTotals)}
        problems = [f"a total of {day} was not asked for" for day in seen if day not in days]
        for ordinal in range(days.since.toordinal(), days.until.toordinal() + 1):
            day = date.fromordinal(ordinal)
            told = amounts_told(seen.get(day))
            if told != self.total(day):
                problems.append(f"the total of {day} is {told}, not {self.total(day)}")
        return problems

    @staticmethod
    def _rows(
        level: Level, known: Mapping[str, Facts], records: Iterable[Record]
    ) -> tuple[dict[Key, DayAmounts], list[str]]:
        """Rows that count something, the last of a key; rows must name the right parents."""
        seen: dict[Key, DayAmounts] = {}
        problems = []
        for record in records:
            if not isinstance(record, DailyMetrics):
                problems.append(f"a report holds a {type(record).__name__}")
                continue
            facts = known.get(record.platform_id)
            parents = (record.campaign_id, record.adset_id)
            if record.level is not level or not isinstance(record.platform_id, str):
                problems.append(f"a row of {record.platform_id!r} is not one of a {level}")
            elif facts is not None and parents != (facts.campaign_id, facts.adset_id):
                problems.append(f"{level} {record.platform_id} has the parents {parents}")
            seen[record.platform_id, str(record.date)] = DayAmounts(
                int(record.impressions),
                int(record.clicks),
                Decimal(record.spend),
                Decimal(record.conversions),
                Decimal(record.conversion_value),
            )
        return {key: amounts for key, amounts in seen.items() if any(amounts)}, problems


def amounts_of(columns: Mapping[str, int]) -> DayAmounts:
    """The ledger's integers as the columns of the warehouse."""
    return DayAmounts(
        columns["impressions"],
        columns["clicks"],
        columns["spend_micros"] / _MILLION,
        Decimal(columns["conversions"]),
        columns["conversion_value_micros"] / _MILLION,
    )


def amounts_told(total: DayTotals | None) -> DayAmounts:
    """A day's total; a day without one had nothing."""
    if total is None:
        return DayAmounts(0, 0, Decimal(0), Decimal(0), Decimal(0))
    return DayAmounts(
        total.impressions, total.clicks, total.spend, total.conversions, total.conversion_value
    )


def _seen(level: Level, records: Iterable[Record]) -> tuple[dict[str, Facts], list[str]]:
    """What entities say of themselves; the last of an id wins, as in the warehouse."""
    seen: dict[str, Facts] = {}
    problems = []
    for record in records:
        if not isinstance(record, Entity) or record.level is not level:
            problems.append(f"a list of {level}s holds {type(record).__name__} {record!r:.80}")
            continue
        if not isinstance(record.platform_id, str):
            problems.append(f"the id {record.platform_id!r} is not text")
        if not record.platform_status:
            problems.append(f"{level} {record.platform_id} lost the platform's own status")
        seen[record.platform_id] = Facts(
            record.name,
            record.status,
            record.effective_status,
            record.campaign_id,
            record.adset_id,
        )
    return seen, problems


def _differences(level: Level, truth: Mapping[str, Any], seen: Mapping[str, Any]) -> list[str]:
    return [
        f"{level} {key} is {seen[key]}, and in truth {truth.get(key, 'nothing')}"
        for key in seen
        if truth.get(key) != seen[key]
    ]
