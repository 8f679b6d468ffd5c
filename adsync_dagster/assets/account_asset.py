"""What the account-partitioned assets have in common: a spec, a step, a way to report it.

`account_sync.py` runs the steps of one account in order and logs, per asset, what the step's
report says. The modules beside this one say what each asset is and what is worth showing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg

from adsync_dagster.assets.partitions import AD_ACCOUNTS
from adsync_dagster.sync.reports import AccountReport, Step, StepReport

OWNERS = ("team:ads-data",)
GROUP = "ads"
LOG_KEY = dg.AssetKey("ad_status_change_log")

Metadata = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFacts:
    """What the warehouse holds for one account after its sync."""

    name: str
    currency: str
    #: Stored rows by table name.
    row_counts: Mapping[str, int]


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
        """The step's report when the step succeeded, else None. A note names what failed."""
        outcome = report.steps.get(self.step)
        return None if outcome is None or outcome.note else outcome

    def metadata(self, report: AccountReport, facts: AccountFacts) -> Metadata:
        """The metadata of this account's materialization."""
        outcome = self.outcome(report)
        if outcome is None:
            raise ValueError(f"{self.step} of {report.account_key} has nothing to report")
        return {"account": facts.name, **self.describe(report, outcome, facts)}


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
    columns: Sequence[dg.TableColumn],
    deps: Sequence[str | dg.AssetKey] = (),
) -> dg.AssetSpec:
    """The spec of an asset that is one table of the warehouse, a partition per account."""
    return dg.AssetSpec(
        name,
        deps=list(deps),
        description=description,
        group_name=GROUP,
        owners=list(OWNERS),
        kinds={"postgres", "python"},
        partitions_def=AD_ACCOUNTS,
        # A failed account emits nothing and must not hold back the accounts beside it.
        skippable=True,
        metadata={
            "dagster/table_name": table,
            "dagster/column_schema": dg.TableSchema(
                columns=list(columns),
                constraints=dg.TableConstraints(other=["nothing ever deletes a row"]),
            ),
        },
    )


def describe_entities(table: str) -> Callable[[AccountReport, StepReport, AccountFacts], Metadata]:
    """How an entity table reports a sync: every count is a number, so Dagster plots it."""

    def describe(_: AccountReport, step: StepReport, facts: AccountFacts) -> Metadata:
        return {
            "dagster/partition_row_count": facts.row_counts.get(table, 0),
            **{f"rows_{name}": count for name, count in step.counts.items()},
        }

    return describe


def entity_columns(
    *, id_column: str, parents: Sequence[tuple[str, str, str]] = ()
) -> list[dg.TableColumn]:
    """The columns that a person looks for in an entity table."""
    column = dg.TableColumn
    return [
        column("id", "uuid", "Our key"),
        column("ad_account_id", "uuid", "The account's row in ad_accounts"),
        column("platform", "text", "The platform's key, such as facebook"),
        column(id_column, "text", "The platform's own id, unique within the account"),
        *(column(name, kind, meaning) for name, kind, meaning in parents),
        column("name", "text", "The platform's name for it"),
        column("status", "text", "Its own switch: ACTIVE, PAUSED, ARCHIVED, DELETED, UNKNOWN"),
        column("platform_status", "text", "The switch as the platform spells it"),
        column("effective_status", "text", "What really happens to it, parents included"),
        column("unreachable_since", "timestamptz", "Since when the platform does not show it"),
        column("previous_status", "text", "The status before the last change"),
        column("status_changed_at", "timestamptz", "When the last change was stored"),
        column("last_final_sync_at", "timestamptz", "When its last final sync was done"),
        column("extra", "jsonb", "Budgets, objective and other descriptive fields"),
    ]
