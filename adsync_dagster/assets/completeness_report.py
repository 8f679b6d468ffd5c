"""`completeness_report`: once a day, everything that is known of completeness as one HTML file."""

# No postponed annotations here: Dagster compares the one of `context` with its own types.

import dagster as dg

from adsync_dagster.assets.account_asset import GROUP, OWNERS
from adsync_dagster.assets.final_sync_completion import FINAL_SYNC_COMPLETION
from adsync_dagster.assets.metrics import METRICS
from adsync_dagster.report.service import ReportSummary, default_path, write_report
from adsync_dagster.sync.environment import Environment

COMPLETENESS_REPORT_KEY = dg.AssetKey("completeness_report")


@dg.asset(
    key=COMPLETENESS_REPORT_KEY,
    deps=[METRICS.key, FINAL_SYNC_COMPLETION.key],
    group_name=GROUP,
    owners=list(OWNERS),
    kinds={"html", "python"},
    description=(
        "One self-contained HTML page, reports/completeness.html in ADSYNC_HOME: per account and"
        " day open, reconciled or sealed; status changes and the time to their final syncs; what"
        " is blocked and who must act; residuals with their reasons; spend by day. A good run"
        " means that the report was written, not that all is complete: its history shows the"
        " verdict. `adsync report` writes the same page."
    ),
)
def completeness_report(adsync: dg.ResourceParam[Environment]) -> dg.MaterializeResult[None]:
    """Write the report on all accounts and show its headline."""
    summary = write_report(adsync, default_path(adsync).absolute())
    return dg.MaterializeResult(metadata=report_metadata(summary))


def report_metadata(summary: ReportSummary) -> dict[str, dg.MetadataValue]:
    """The headline, with numbers that Dagster plots from day to day."""
    metadata: dict[str, dg.MetadataValue] = {
        "verdict": dg.MetadataValue.text(summary.title),
        "report": dg.MetadataValue.path(summary.path),
        "accounts": dg.MetadataValue.int(summary.accounts),
        "days_sealed": dg.MetadataValue.int(summary.days_sealed),
        "days_reconciled": dg.MetadataValue.int(summary.days_reconciled),
        "days_open": dg.MetadataValue.int(summary.days_open),
        "final_syncs_owed": dg.MetadataValue.int(summary.final_syncs_owed),
        "final_syncs_blocked": dg.MetadataValue.int(summary.final_syncs_blocked),
        "waiting_for_a_person": dg.MetadataValue.int(summary.blocked),
    }
    if summary.oldest_open_day is not None:
        metadata["oldest_open_day"] = dg.MetadataValue.text(summary.oldest_open_day.isoformat())
    if summary.oldest_owed_seconds is not None:
        hours = round(summary.oldest_owed_seconds / 3600, 2)
        metadata["oldest_owed_hours"] = dg.MetadataValue.float(hours)
    if summary.unexplained:
        metadata["money_without_a_reason"] = dg.MetadataValue.text(", ".join(summary.unexplained))
    if summary.reasons:
        lines = "\n".join(f"- {reason}" for reason in summary.reasons)
        metadata["why_not_complete"] = dg.MetadataValue.md(lines)
    return metadata
