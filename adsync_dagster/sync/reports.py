"""What a sync says it did. Plain data for Dagster metadata, the CLI and tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from adsync_dagster.errors import AdsyncError


class Step(StrEnum):
    """The steps of an account sync that can be chosen, in the order they run."""

    FINAL_SYNCS = "final_syncs"
    CAMPAIGNS = "campaigns"
    AD_SETS = "ad_sets"
    ADS = "ads"
    METRICS = "metrics"


ALL_STEPS = frozenset(Step)
ENTITY_STEPS = frozenset({Step.CAMPAIGNS, Step.AD_SETS, Step.ADS})


@dataclass(slots=True, kw_only=True)
class StepReport:
    """What one step counted.

    `counts` has these keys, also where they are zero; it is empty when the step failed:

    - `FINAL_SYNCS`: `entities` read by id, `metrics` rows new or changed, changes `done`, `failed`,
      `blocked` and still `pending`.
    - `CAMPAIGNS`, `AD_SETS`, `ADS`: `seen` in the list, rows `inserted`, `updated`, `unchanged`;
      `vanished` from the list, `unreachable` of these by id, too. With all three chosen, `ADS` also
      has the change history's `hints`, entities `found` by them, and switches `logged`.
    - `METRICS`: `days` and `rows` read at all levels, rows `inserted`, `updated`, `unchanged`; days
      that do not add up yet (`unreconciled`), days `sealed` at all levels.
    """

    counts: dict[str, int] = field(default_factory=dict)
    #: What a person should know: why the step failed, or what a step that succeeded left out.
    note: str = ""
    #: The step did not do its work; the note says why.
    failed: bool = False
    #: How long the step took, in real seconds.
    seconds: float = 0.0
    #: The platform's own spend of each account day that the metrics step read, in account currency.
    spend_by_day: dict[date, Decimal] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class FinalSyncReport:
    """What a round of final syncs did for one account."""

    account_key: str
    #: Entities read by id, descendants included.
    entities: int = 0
    #: Metric rows that were new or differed.
    metrics: int = 0
    done: int = 0
    failed: int = 0
    blocked: int = 0
    #: Changes still owed afterwards.
    pending_after: int = 0
    #: True when another worker held the account, so nothing was done here.
    busy: bool = False
    error: str | None = None
    error_family: str | None = None

    def fail(self, error: AdsyncError) -> None:
        """Keep the first error, with its family."""
        if self.error is None:
            self.error, self.error_family = str(error), error.family


@dataclass(slots=True, kw_only=True)
class AccountReport:
    """What a sync did for one account. `error` None means every chosen step succeeded."""

    account_key: str
    steps: dict[Step, StepReport] = field(default_factory=dict)
    error: str | None = None
    error_family: str | None = None
    #: Changes still owed, and how many of them wait for a person.
    pending: int = 0
    blocked: int = 0
    busy: bool = False
    #: How long the sync took, waiting for the account's lock included, in real seconds.
    seconds: float = 0.0

    def fail(self, error: AdsyncError) -> None:
        """Keep the first error, with its family."""
        if self.error is None:
            self.error, self.error_family = str(error), error.family

    @property
    def ok(self) -> bool:
        """Every chosen step succeeded."""
        return self.error is None and not self.busy


@dataclass(slots=True, kw_only=True)
class SafetyNetReport:
    """The weekly net's answer; `as_dict` has the four names users of the seed script know."""

    accounts_processed: int = 0
    total_entities: int = 0
    total_metrics: int = 0
    #: Changes that no other path had logged.
    missed_changes: int = 0
    #: Account key -> what went wrong.
    failures: dict[str, str] = field(default_factory=dict)
    #: Those of them that met a bug of ours.
    defects: list[str] = field(default_factory=list)

    @property
    def success(self) -> bool:
        """Every account was checked and finished."""
        return not self.failures

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON-ready values."""
        return {
            "success": self.success,
            "accountsProcessed": self.accounts_processed,
            "totalEntities": self.total_entities,
            "totalMetrics": self.total_metrics,
            "missedChanges": self.missed_changes,
            "failures": dict(self.failures),
        }
