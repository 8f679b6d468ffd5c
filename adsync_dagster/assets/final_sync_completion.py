"""`final_sync_completion`: step 0 (and again after step 3), the changes that owe a final sync."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

import dagster as dg

from adsync_dagster.assets.account_asset import GROUP, LOG_KEY, OWNERS, AccountAsset, Metadata
from adsync_dagster.assets.partitions import AD_ACCOUNTS
from adsync_dagster.assets.pictures import AMBER, GREEN, RED, share_bar
from adsync_dagster.sync.reports import AccountReport, Step, StepReport
from adsync_dagster.warehouse.account_facts import AccountFacts, WaitingChange

_COLOURS = {"done": GREEN, "pending": AMBER, "blocked": RED}


def _describe(report: AccountReport, step: StepReport, facts: AccountFacts) -> Metadata:
    shares = {
        "done": step.counts.get("done", 0),
        "pending": report.pending - report.blocked,
        "blocked": report.blocked,
    }
    shown = {name: count for name, count in shares.items() if count}
    metadata: dict[str, object] = {}
    if shown:
        words = ", ".join(f"{count:,} {name}" for name, count in shown.items())
        metadata["changes"] = dg.MetadataValue.md(share_bar(shown, _COLOURS, alt=words))
    return {
        **metadata,
        **step.counts,
        "pending": report.pending,
        "blocked": report.blocked,
        **waiting_table(facts.waiting),
    }


def waiting_table(waiting: Sequence[WaitingChange]) -> dict[str, dg.MetadataValue]:
    """The oldest pending changes as metadata; none when nothing is owed."""
    if not waiting:
        return {}
    return {"waiting": dg.MetadataValue.table([_row(change) for change in waiting])}


def _row(change: WaitingChange) -> dg.TableRecord:
    """A pending change in the words of a person who asks why it is not done."""
    why = change.error or "not tried yet"
    return dg.TableRecord(
        {
            "since": f"{change.created_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            "what": f"{change.entity_type} {change.platform_entity_id}",
            "change": f"{change.old_status or 'first seen'} to {change.new_status}",
            "attempts": change.attempts,
            "why": f"blocked ({change.blocked_reason}): {why}" if change.blocked_reason else why,
        }
    )


FINAL_SYNC_COMPLETION = AccountAsset(
    spec=dg.AssetSpec(
        "final_sync_completion",
        deps=[LOG_KEY],
        description=(
            "The final syncs of the account: every open day of a stopped entity and its"
            " descendants is read by id, and its changes are marked done in the transaction that"
            " stores the rows. Runs first in every account sync, when the sensor sees a change,"
            " and in the weekly safety net. A partition is fresh when nothing was left undone."
        ),
        group_name=GROUP,
        owners=list(OWNERS),
        kinds={"postgres", "python"},
        partitions_def=AD_ACCOUNTS,
        skippable=True,
        metadata={"dagster/table_name": "ad_status_change_log"},
    ),
    step=Step.FINAL_SYNCS,
    describe=_describe,
)
