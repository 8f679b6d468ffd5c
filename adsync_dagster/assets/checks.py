"""Asset checks: is anything overdue, unexplained, silenced or waiting for a person?

They look at all accounts at once and run in one step of `health_checks_job`, apart from the
runs of accounts. Each says what to do about what it found.
"""

# No postponed annotations here: Dagster compares the one of `context` with its own types.

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import dagster as dg

from adsync_dagster.assets.account_asset import LOG_KEY
from adsync_dagster.assets.campaigns import CAMPAIGNS
from adsync_dagster.assets.final_sync_completion import FINAL_SYNC_COMPLETION
from adsync_dagster.assets.metrics import METRICS
from adsync_dagster.records import Platform
from adsync_dagster.settlement import SettlementRules
from adsync_dagster.sync.environment import Environment
from adsync_dagster.sync.verdict import PENDING_OLD, WHAT_TO_DO, findings_of, rules_in_use
from adsync_dagster.warehouse import checks
from adsync_dagster.warehouse.checks import Findings
from adsync_dagster.warehouse.database import Connection

NO_FINAL_SYNC_OVERDUE = dg.AssetCheckSpec(
    "no_final_sync_overdue",
    asset=FINAL_SYNC_COMPLETION.key,
    description=(
        "No change that could be done has owed its final sync for more than 6 hours. An error:"
        " last numbers of stopped ads are missing, and nothing is fetching them."
    ),
)
OLDEST_PENDING_AGE = dg.AssetCheckSpec(
    "oldest_pending_age",
    asset=LOG_KEY,
    description=(
        "The oldest pending change that nothing blocks is younger than an hour. A warning: the"
        " sensor usually needs a minute, so the queue, the daemon or the platform is slow."
    ),
)
RESIDUALS_EXPLAINED = dg.AssetCheckSpec(
    "residuals_explained",
    asset=METRICS.key,
    description=(
        "Every difference between the platform's day total and our rows has a reason. A warning,"
        " with the days and amounts; by_class shows all residuals, the explained ones too."
    ),
)
OPEN_DAYS_PAST_DUE = dg.AssetCheckSpec(
    "open_days_past_due",
    asset=METRICS.key,
    description=(
        "Every day whose settlement window, as it is for its account, has passed is sealed. An"
        " error: those days were not read whole since they became final, or do not add up."
    ),
)
TRIGGERS_PRESENT_AND_ENABLED = dg.AssetCheckSpec(
    "triggers_present_and_enabled",
    asset=LOG_KEY,
    description=(
        "The triggers that write the change log exist and are ENABLE ALWAYS. An error: changes of"
        " status may go unseen until the weekly safety net."
    ),
)
EVERY_ACCOUNT_SYNCED = dg.AssetCheckSpec(
    "every_account_synced",
    asset=CAMPAIGNS.key,
    description=(
        "Every active account that nothing blocks had a whole sync, the last within 26 hours. An"
        " error: its numbers are old or not there. A warning while it only concerns accounts that"
        " were added within 26 hours and wait for their first sync."
    ),
)
NO_ACCOUNT_BLOCKED = dg.AssetCheckSpec(
    "no_account_blocked",
    asset=FINAL_SYNC_COMPLETION.key,
    description=(
        "No account and no change waits for a person. An error: an expired credential, a missing"
        " permission or a closed account stops the sync until somebody acts."
    ),
)

CHECKS = (
    NO_FINAL_SYNC_OVERDUE,
    OLDEST_PENDING_AGE,
    RESIDUALS_EXPLAINED,
    OPEN_DAYS_PAST_DUE,
    TRIGGERS_PRESENT_AND_ENABLED,
    EVERY_ACCOUNT_SYNCED,
    NO_ACCOUNT_BLOCKED,
)


@dg.multi_asset_check(specs=CHECKS, name="health_checks", can_subset=True)
def health_checks(
    context: dg.AssetCheckExecutionContext, adsync: dg.ResourceParam[Environment]
) -> Iterator[dg.AssetCheckResult]:
    """Run the selected checks over all accounts, on one connection."""
    with adsync.database.connection() as connection:
        rules = rules_in_use(adsync)
        selected = {key.name: key for key in context.selected_asset_check_keys}
        for spec in CHECKS:
            if spec.name in selected:
                # The asset's key as this project has it: it may prefix keys.
                asset_key = selected[spec.name].asset_key
                yield evaluate(spec, connection, rules)._replace(asset_key=asset_key)


def evaluate(
    spec: dg.AssetCheckSpec, connection: Connection, rules: Mapping[Platform, SettlementRules]
) -> dg.AssetCheckResult:
    """Ask the warehouse one check's question."""
    if spec is OLDEST_PENDING_AGE:
        return _pending_age(connection)
    findings = findings_of(spec.name, connection, rules)
    more = {}
    if spec is RESIDUALS_EXPLAINED and (classes := checks.residuals_by_class(connection)):
        more["by_class"] = _table(classes)
    return result(spec, findings, more)


def result(
    spec: dg.AssetCheckSpec, findings: Findings, more: Mapping[str, Any] | None = None
) -> dg.AssetCheckResult:
    """A passed check, or a failed one with the offending rows and what to do."""
    metadata: dict[str, Any] = {"found": findings.total, **(more or {})}
    description = None
    if findings.total:
        metadata["what_to_do"] = dg.MetadataValue.text(WHAT_TO_DO[spec.name])
        metadata["rows"] = _table(findings.rows)
        description = f"{findings.total:,} found. {WHAT_TO_DO[spec.name]}"
    return dg.AssetCheckResult(
        passed=findings.total == 0,
        asset_key=spec.asset_key,
        check_name=spec.name,
        severity=_severity(spec, findings),
        description=description,
        metadata=metadata,
    )


def _table(rows: Iterable[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Rows for Dagster's page; a column that is empty or zero in all of them is left out."""
    rows = list(rows)
    used = [name for name in rows[0] if any(row[name] for row in rows)]
    return dg.MetadataValue.table(
        [dg.TableRecord({name: cell(row[name]) for name in used}) for row in rows]
    )


#: These are for a person to look at; the others break the promise when they last.
_SEVERITY = {
    "oldest_pending_age": dg.AssetCheckSeverity.WARN,
    "residuals_explained": dg.AssetCheckSeverity.WARN,
}


def _severity(spec: dg.AssetCheckSpec, findings: Findings) -> dg.AssetCheckSeverity:
    """How bad a finding is. Accounts that are new come last, so the first row tells of all."""
    if spec is EVERY_ACCOUNT_SYNCED and findings.rows and findings.rows[0]["is_new"]:
        return dg.AssetCheckSeverity.WARN
    return _SEVERITY.get(spec.name, dg.AssetCheckSeverity.ERROR)


def _pending_age(connection: Connection) -> dg.AssetCheckResult:
    age = checks.pending_age(connection)
    passed = age.oldest_seconds <= PENDING_OLD.total_seconds()
    metadata: dict[str, Any] = {
        "pending": age.pending,
        "blocked": age.blocked,
        "oldest_pending_minutes": round(age.oldest_seconds / 60, 1),
    }
    if age.oldest is not None:
        metadata["oldest_pending_since"] = dg.MetadataValue.timestamp(age.oldest)
    if not passed:
        metadata["what_to_do"] = dg.MetadataValue.text(WHAT_TO_DO[OLDEST_PENDING_AGE.name])
    return dg.AssetCheckResult(
        passed=passed,
        asset_key=OLDEST_PENDING_AGE.asset_key,
        check_name=OLDEST_PENDING_AGE.name,
        severity=_SEVERITY[OLDEST_PENDING_AGE.name],
        metadata=metadata,
    )


def cell(value: object) -> str | int | float | bool | None:
    """A database value as Dagster's tables can hold it; decimals stay exact, as text."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return str(value)
