"""`weekly_safety_net`: the report of the net that catches what every other path missed."""

# No postponed annotations here: Dagster compares the one of `context` with its own types.

import dagster as dg

from adsync_dagster.assets.account_asset import GROUP, LOG_KEY, OWNERS
from adsync_dagster.sync.environment import Environment
from adsync_dagster.sync.reports import SafetyNetReport
from adsync_dagster.sync.safety_net import run_safety_net

SAFETY_NET_KEY = dg.AssetKey("weekly_safety_net")


@dg.asset(
    key=SAFETY_NET_KEY,
    deps=[LOG_KEY],
    group_name=GROUP,
    owners=list(OWNERS),
    kinds={"postgres", "python"},
    description=(
        "Once a week, for every active account: list the entities afresh, log changes that left"
        " no row (a trigger disabled, a restore), and run every final sync that is owed. Its"
        " history shows success, accountsProcessed, totalEntities and totalMetrics. An account"
        " that failed makes the run fail after all the others were done."
    ),
)
def weekly_safety_net(
    context: dg.AssetExecutionContext, adsync: dg.ResourceParam[Environment]
) -> dg.MaterializeResult[None]:
    """Run the net over all accounts and report it, also when it was not a success."""
    report = run_safety_net(adsync)
    if report.success:
        return dg.MaterializeResult(metadata=report_metadata(report))
    context.log_event(
        dg.AssetObservation(context.asset_key, metadata=dict(report_metadata(report)))
    )
    raise dg.Failure(
        description=f"{len(report.failures)} account(s) failed; the others are done",
        metadata=dict(report_metadata(report)),
        allow_retries=False,
    )


def report_metadata(report: SafetyNetReport) -> dict[str, dg.MetadataValue]:
    """The report under the names that users of the seed's script know."""
    metadata: dict[str, dg.MetadataValue] = {
        "success": dg.MetadataValue.bool(report.success),
        "accountsProcessed": dg.MetadataValue.int(report.accounts_processed),
        "totalEntities": dg.MetadataValue.int(report.total_entities),
        "totalMetrics": dg.MetadataValue.int(report.total_metrics),
        "missedChanges": dg.MetadataValue.int(report.missed_changes),
    }
    if report.failures:
        metadata["failures"] = dg.MetadataValue.table(
            [
                dg.TableRecord({"account": key, "error": error})
                for key, error in sorted(report.failures.items())
            ]
        )
    return metadata
