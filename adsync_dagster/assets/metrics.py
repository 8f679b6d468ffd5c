"""`metrics`: step 4, the table `ad_metrics` and the account days behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

import dagster as dg

from adsync_dagster.assets.account_asset import AccountAsset, AccountFacts, Metadata, table_spec
from adsync_dagster.sync.reports import AccountReport, Step, StepReport

#: Days shown in the table of a materialization; the sparkline shows all that were read.
DAYS_SHOWN = 14
_BARS = "▁▂▃▄▅▆▇█"

_COLUMNS = [
    dg.TableColumn("date", "date", "The account-local day"),
    dg.TableColumn("entity_type", "text", "campaign, adset or ad"),
    dg.TableColumn("entity_id", "uuid", "Our key of the entity's row"),
    dg.TableColumn("ad_account_id", "uuid", "The account's row in ad_accounts"),
    dg.TableColumn("platform", "text", "The platform's key, such as facebook"),
    dg.TableColumn("impressions", "bigint"),
    dg.TableColumn("clicks", "bigint"),
    dg.TableColumn("spend", "numeric", "Major units of the account's currency, exact"),
    dg.TableColumn("reach", "bigint", "Per level; never summed"),
    dg.TableColumn("conversions", "numeric"),
    dg.TableColumn("conversion_value", "numeric"),
    dg.TableColumn("read_started_at", "timestamptz", "Start of the complete read it comes from"),
]


def _describe(_: AccountReport, step: StepReport, facts: AccountFacts) -> Metadata:
    total = sum(step.spend_by_day.values(), Decimal(0))
    metadata: dict[str, object] = {
        "dagster/partition_row_count": facts.row_counts.get("ad_metrics", 0),
        **{f"rows_{name}": count for name, count in step.counts.items()},
        "currency": facts.currency,
        "spend_of_days_read": float(total),
    }
    if step.spend_by_day:
        metadata["spend_by_day"] = dg.MetadataValue.md(
            spend_markdown(step.spend_by_day, facts.currency)
        )
    return metadata


def spend_markdown(spend_by_day: Mapping[date, Decimal], currency: str) -> str:
    """The spend of the days read, as a sparkline and a table of the latest ones."""
    days = sorted(spend_by_day)
    shown = days[-DAYS_SHOWN:]
    lines = [
        f"`{sparkline([spend_by_day[day] for day in days])}` {days[0]} to {days[-1]}",
        "",
        f"| day | spend ({currency}) |",
        "| --- | ---: |",
        *(f"| {day} | {spend_by_day[day]:,.2f} |" for day in reversed(shown)),
    ]
    return "\n".join(lines)


def sparkline(values: Sequence[Decimal]) -> str:
    """The values as bars of eight heights; the lowest bar is zero or less."""
    top = max(values, default=Decimal(0))
    if top <= 0:
        return _BARS[0] * len(values)
    steps = len(_BARS) - 1
    return "".join(_BARS[int(max(value, Decimal(0)) / top * steps)] for value in values)


METRICS = AccountAsset(
    spec=table_spec(
        "metrics",
        table="ad_metrics",
        description=(
            "Daily numbers of every campaign, ad set and ad. A day stays open while the platform"
            " may revise it and is sealed by a complete read after that; a row is replaced only"
            " by a read that started later. The day's account totals and what they do not"
            " explain stand in ad_account_days."
        ),
        columns=_COLUMNS,
        deps=["ads"],
    ),
    step=Step.METRICS,
    describe=_describe,
)
