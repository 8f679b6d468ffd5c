"""What the account-partitioned assets have in common: a spec, a step, a way to report it.

`account_sync.py` runs the steps of one account in order and logs, per asset, what the step's
report says. The modules beside this one say what each asset is and what is worth showing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg

from adsync_dagster.assets.columns import TABLE_COLUMNS
from adsync_dagster.assets.partitions import AD_ACCOUNTS
from adsync_dagster.assets.pictures import AMBER, BLUE, GREEN, GREY, RED, share_bar
from adsync_dagster.sync.reports import AccountReport, Step, StepReport
from adsync_dagster.warehouse.account_facts import AccountFacts

OWNERS = ("team:ads-data",)
# Owners of jobs, sensors and schedules are a beta of Dagster's; every command that loads the
# definitions would say so eleven times over.
warnings.filterwarnings("ignore", message="Parameter `owners` of", category=dg.BetaWarning)
GROUP = "ads"
LOG_KEY = dg.AssetKey("ad_status_change_log")

STATUS_COLOURS = {
    "ACTIVE": GREEN,
    "PAUSED": AMBER,
    "ARCHIVED": BLUE,
    "DELETED": RED,
    "UNKNOWN": GREY,
}

Metadata = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAsset:
    """An asset of the account sync: its spec, the step behind it, and its metadata."""

    spec: dg.AssetSpec
    step: Step
    describe: Callable[[AccountReport, StepReport, AccountFacts], Metadata]

    @property
    def key(self) -> dg.AssetKey:
        return self.spec.key

    def under(self, key: dg.AssetKey) -> AccountAsset:
        """The asset under the key it has in a project that prefixes keys."""
        return replace(self, spec=self.spec.replace_attributes(key=key))

    def outcome(self, report: AccountReport) -> StepReport | None:
        """The step's report when the step succeeded, else None. A note alone is no failure."""
        outcome = report.steps.get(self.step)
        return None if outcome is None or outcome.failed else outcome

    def metadata(self, report: AccountReport, facts: AccountFacts) -> Metadata:
        """The metadata of this account's materialization: the picture first, then numbers."""
        outcome = self.outcome(report)
        if outcome is None:
            raise ValueError(f"{self.step} of {report.account_key} has nothing to report")
        return {
            **self.describe(report, outcome, facts),
            **({"note": outcome.note} if outcome.note else {}),
            "account": facts.name,
            "seconds": round(outcome.seconds, 2),
        }


def selected_of(
    assets: Sequence[AccountAsset], selected: Collection[dg.AssetKey]
) -> tuple[AccountAsset, ...]:
    """Those of the assets that a run selected, under the keys it knows them by."""
    keys = {key.path[-1]: key for key in selected}
    return tuple(a.under(keys[name]) for a in assets if (name := a.key.path[-1]) in keys)


def table_spec(
    name: str,
    *,
    table: str,
    description: str,
    deps: Sequence[str | dg.AssetKey] = (),
) -> dg.AssetSpec:
    """The spec of an asset that is one table of the warehouse, a partition per account."""
    return dg.AssetSpec(
        name,
        deps=list(deps),
        description=description,
        group_name=GROUP,
        owners=list(OWNERS),
        kinds={"postgres", "table"},
        partitions_def=AD_ACCOUNTS,
        # A failed account emits nothing and must not hold back the accounts beside it.
        skippable=True,
        metadata=table_metadata(table),
    )


def table_metadata(table: str) -> dict[str, Any]:
    """What the catalog shows of a table: its name, every column, what is true of all its rows."""
    return {
        "dagster/table_name": table,
        "dagster/column_schema": dg.TableSchema(
            columns=TABLE_COLUMNS[table],
            constraints=dg.TableConstraints(other=["nothing ever deletes a row"]),
        ),
    }


def describe_entities(table: str) -> Callable[[AccountReport, StepReport, AccountFacts], Metadata]:
    """How an entity table reports a sync: every count is a number, so Dagster plots it."""

    def describe(_: AccountReport, step: StepReport, facts: AccountFacts) -> Metadata:
        statuses = facts.entities.get(table, {})
        ordered = {status: statuses[status] for status in STATUS_COLOURS if statuses.get(status)}
        return {
            "statuses": dg.MetadataValue.md(
                share_bar(ordered, STATUS_COLOURS, alt=_in_words(ordered))
            ),
            "dagster/partition_row_count": facts.rows(table),
            **{f"rows_{name}": count for name, count in step.counts.items()},
        }

    return describe


def _in_words(statuses: Mapping[str, int]) -> str:
    words = ", ".join(f"{count:,} {status}" for status, count in statuses.items())
    return words or "nothing stored yet"
