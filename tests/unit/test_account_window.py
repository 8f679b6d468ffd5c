"""What a window of accounts reports: metadata, failures, and what a launchpad may ask for."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from adsync_dagster.assets.account_asset import AccountFacts
from adsync_dagster.assets.account_sync import (
    ACCOUNT_ASSETS,
    AccountSyncConfig,
    WindowPlan,
    failure_of,
)
from adsync_dagster.assets.campaigns import CAMPAIGNS
from adsync_dagster.assets.final_sync_completion import FINAL_SYNC_COMPLETION
from adsync_dagster.assets.metrics import METRICS, sparkline, spend_markdown
from adsync_dagster.assets.safety_net import report_metadata
from adsync_dagster.records import DateRange
from adsync_dagster.sync.reports import AccountReport, SafetyNetReport, Step, StepReport

FACTS = AccountFacts(
    name="Shop", currency="EUR", row_counts={"ad_campaigns": 7, "ad_metrics": 1234}
)


def test_an_entity_asset_reports_every_count_as_a_number() -> None:
    """Counts are numbers, so that Dagster plots them, and the rows stored are its row count."""
    report = AccountReport(
        account_key="facebook:act_1",
        steps={Step.CAMPAIGNS: StepReport(counts={"seen": 7, "inserted": 2, "unchanged": 5})},
    )

    assert CAMPAIGNS.metadata(report, FACTS) == {
        "account": "Shop",
        "dagster/partition_row_count": 7,
        "rows_seen": 7,
        "rows_inserted": 2,
        "rows_unchanged": 5,
    }


def test_metrics_report_the_spend_of_the_days_read() -> None:
    """The metrics of an account show their spend in total and by day, in its own currency."""
    step = StepReport(
        counts={"inserted": 3},
        spend_by_day={date(2026, 3, 1): Decimal("10.50"), date(2026, 3, 2): Decimal("1234.5")},
    )
    report = AccountReport(account_key="facebook:act_1", steps={Step.METRICS: step})

    metadata = METRICS.metadata(report, FACTS)

    assert metadata["spend_of_days_read"] == 1245.0
    assert metadata["currency"] == "EUR"
    assert metadata["dagster/partition_row_count"] == 1234
    assert "| 2026-03-02 | 1,234.50 |" in metadata["spend_by_day"].value


def test_final_syncs_report_what_is_left() -> None:
    """The completion asset shows what is still owed and what waits for a person."""
    report = AccountReport(
        account_key="facebook:act_1",
        steps={Step.FINAL_SYNCS: StepReport(counts={"entities": 3, "done": 2})},
        pending=4,
        blocked=1,
    )

    metadata = FINAL_SYNC_COMPLETION.metadata(report, FACTS)

    assert (metadata["done"], metadata["pending"], metadata["blocked"]) == (2, 4, 1)


@pytest.mark.parametrize(
    "steps",
    [{}, {Step.CAMPAIGNS: StepReport(note="failed: half a page")}],
    ids=["never ran", "failed"],
)
def test_a_step_that_did_not_succeed_makes_no_materialization(
    steps: dict[Step, StepReport],
) -> None:
    """A failed or skipped step leaves its partition as it was; it cannot even be described."""
    report = AccountReport(account_key="facebook:act_1", steps=steps)

    assert CAMPAIGNS.outcome(report) is None
    with pytest.raises(ValueError, match="nothing to report"):
        CAMPAIGNS.metadata(report, FACTS)


def test_the_sparkline_is_as_high_as_its_highest_day() -> None:
    """The top day is the full bar, an empty or negative one the lowest."""
    assert sparkline([Decimal(0), Decimal(70), Decimal(35), Decimal(-5)]) == "▁█▄▁"
    assert sparkline([Decimal(0), Decimal(0)]) == "▁▁"
    assert sparkline([]) == ""


def test_the_spend_table_shows_the_latest_days_and_the_line_all_of_them() -> None:
    """Ninety days make one line of bars and a table of the last fortnight, newest first."""
    days = {date.fromordinal(date(2026, 1, 1).toordinal() + n): Decimal(n) for n in range(90)}

    lines = spend_markdown(days, "USD").splitlines()

    assert lines[0].endswith("2026-01-01 to 2026-03-31")
    assert len(lines[0].split("`")[1]) == 90
    assert len(lines) == 4 + 14
    assert lines[4].startswith("| 2026-03-31 |")


@pytest.mark.parametrize(
    ("fields", "days"),
    [
        ({}, None),
        ({"date_from": "", "date_until": ""}, None),
        (
            {"date_from": "2026-03-01", "date_until": "2026-03-03"},
            DateRange(since=date(2026, 3, 1), until=date(2026, 3, 3)),
        ),
    ],
)
def test_the_launchpad_chooses_days_or_leaves_them_to_the_plan(
    fields: dict[str, Any], days: DateRange | None
) -> None:
    """Two dates are a range, none mean what is due."""
    assert AccountSyncConfig(**fields).days() == days


@pytest.mark.parametrize(
    "fields",
    [
        {"date_from": "2026-03-01"},
        {"date_until": "2026-03-01"},
        {"date_from": "2026-03-02", "date_until": "2026-03-01"},
        {"date_from": "1/3/2026", "date_until": "2/3/2026"},
        {"date_from": "2026-03-01", "date_until": "2026-03-02", "everything_open": True},
    ],
)
def test_a_malformed_choice_of_days_fails_at_once_and_is_not_retried(
    fields: dict[str, Any],
) -> None:
    """Half a range, a backward one or a contradiction is a mistake that retrying cannot mend."""
    with pytest.raises(dg.Failure) as caught:
        AccountSyncConfig(**fields).days()

    assert not caught.value.allow_retries


def test_the_failure_names_the_accounts_and_what_helps() -> None:
    """A run's failure tells waiting, blocked and buggy accounts apart, in order, for people."""
    failure = failure_of(
        [
            AccountReport(account_key="facebook:b", error="expired", error_family="blocked"),
            AccountReport(account_key="facebook:a", error="throttled", error_family="retryable"),
            AccountReport(account_key="facebook:c", error="KeyError at x", error_family="defect"),
        ],
        total=10,
    )

    assert failure.description == ("3 of 10 accounts failed: facebook:a, facebook:b, facebook:c")
    assert not failure.allow_retries
    rows = _rows(failure.metadata["failed_accounts"])
    assert [(row["account"], row["what helps"]) for row in rows] == [
        ("facebook:a", "waiting; the next run tries again"),
        ("facebook:b", "a person; see the error"),
        ("facebook:c", "fix the bug"),
    ]


def test_a_failure_of_a_thousand_accounts_has_a_short_headline() -> None:
    """The headline names five accounts; the table has them all."""
    failed = [AccountReport(account_key=f"facebook:{n:04}", error="x") for n in range(1000)]

    failure = failure_of(failed, total=1000)

    assert failure.description is not None
    assert failure.description.endswith("facebook:0004 and 995 more")
    assert len(_rows(failure.metadata["failed_accounts"])) == 1000


def test_a_selection_of_assets_is_a_selection_of_steps() -> None:
    """Only a run of nothing but final syncs counts as one."""
    config = AccountSyncConfig()
    plan = WindowPlan.of((FINAL_SYNC_COMPLETION,), config, threads=1)
    whole = WindowPlan.of(ACCOUNT_ASSETS, config, threads=1)

    assert plan.only_final_syncs
    assert not whole.only_final_syncs
    assert whole.steps == frozenset(Step)
    assert plan.lock_wait_seconds < whole.lock_wait_seconds


def test_the_safety_net_report_has_the_four_names_of_the_seed() -> None:
    """success, accountsProcessed, totalEntities and totalMetrics stand in the asset's history."""
    report = SafetyNetReport(
        accounts_processed=2, total_entities=5, total_metrics=40, failures={"facebook:a": "expired"}
    )

    metadata = report_metadata(report)

    assert metadata["success"].value is False
    assert metadata["accountsProcessed"].value == 2
    assert metadata["totalEntities"].value == 5
    assert metadata["totalMetrics"].value == 40
    assert _rows(metadata["failures"]) == [{"account": "facebook:a", "error": "expired"}]


def _rows(value: dg.MetadataValue[Any]) -> list[dict[str, Any]]:
    assert isinstance(value, dg.TableMetadataValue)
    return [dict(record.data) for record in value.records]
