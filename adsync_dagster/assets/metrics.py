"""`metrics`: step 4, the table `ad_metrics` and the account days behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

import dagster as dg

from adsync_dagster.assets.account_asset import AccountAsset, Metadata, table_spec
from adsync_dagster.assets.pictures import AMBER, BLUE, GREEN, RED, Bar, bar_chart
from adsync_dagster.sync.reports import AccountReport, Step, StepReport
from adsync_dagster.warehouse.account_facts import AccountFacts, DayFacts

#: Days listed in the table of a materialization; the picture shows up to sixty.
DAYS_SHOWN = 7

#: How a day stands, in the order of the legend, and its colour.
DAY_COLOURS = {"sealed": GREEN, "adds up": BLUE, "still open": AMBER, "does not add up": RED}
_EXPLAINED = frozenset({"never_seen_entity", "deleted_hidden", "no_ad_rows"})


def _describe(_: AccountReport, step: StepReport, facts: AccountFacts) -> Metadata:
    total = sum(step.spend_by_day.values(), Decimal(0))
    states = facts.days_by_state
    apart = sum(1 for day in facts.days if standing(day) == "does not add up")
    picture, table = {}, {}
    if facts.days:
        picture["spend_by_day"] = dg.MetadataValue.md(spend_picture(facts.days, facts.currency))
        table["latest_days"] = dg.MetadataValue.md(days_table(facts.days, facts.currency))
    return {
        **picture,
        "days_sealed": states.get("sealed", 0),
        "days_reconciled": states.get("reconciled", 0),
        "days_open": states.get("open", 0),
        "days_not_adding_up": apart,
        **table,
        "dagster/partition_row_count": facts.metrics_rows,
        **{f"read_{name}": count for name, count in step.counts.items()},
        "currency": facts.currency,
        "spend_of_days_read": float(total),
        "timezone": facts.timezone,
    }


def standing(day: DayFacts) -> str:
    """How a day stands, in the words of the legend."""
    if day.apart and day.residual_class not in _EXPLAINED:
        return "does not add up"
    return {"sealed": "sealed", "reconciled": "adds up"}.get(day.state, "still open")


def spend_picture(days: Sequence[DayFacts], currency: str) -> str:
    """The latest days' spend as bars, coloured by how far each day is settled."""
    highest = max(days, key=lambda day: day.spend)
    counts = Counter(standing(day) for day in days)
    words = ", ".join(f"{counts[name]} {name}" for name in DAY_COLOURS if counts[name])
    return bar_chart(
        [Bar(float(day.spend), standing(day)) for day in days],
        DAY_COLOURS,
        alt=f"spend by day: {words}",
        top=f"{days[0].date} to {days[-1].date}, top {highest.spend:,.2f} {currency}",
    )


def days_table(days: Sequence[DayFacts], currency: str) -> str:
    """The latest days, newest first, with what their rows do not explain."""
    shown = days[-DAYS_SHOWN:]
    lines = [f"| day | spend ({currency}) | state |", "| --- | ---: | --- |"]
    if any(day.apart for day in shown):
        lines = [f"{lines[0]} not explained |", f"{lines[1]} ---: |"]
    for day in reversed(shown):
        rest = f" {day.residual:,.2f} |" if day.apart else ""
        lines.append(f"| {day.date} | {day.spend:,.2f} | {standing(day)} |{rest}")
    return "\n".join(lines)


METRICS = AccountAsset(
    spec=table_spec(
        "metrics",
        table="ad_metrics",
        description=(
            "Daily numbers of every campaign, ad set and ad. A day stays *open* while the platform"
            " may revise it, *adds up* when its rows are the platform's own total, and is *sealed*"
            " by a complete read after the revision window. A row is replaced only by a read that"
            " started later. Totals, and what rows do not explain, stand in `ad_account_days`."
        ),
        # Final syncs store their rows here too, before step 4 reads what is due.
        deps=["ads", "final_sync_completion"],
    ),
    step=Step.METRICS,
    describe=_describe,
)
