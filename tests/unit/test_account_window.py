"""What a window of accounts reports: metadata, failures, and what a launchpad may ask for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from adsync_dagster.assets.account_sync import (
    ACCOUNT_ASSETS,
    WindowPlan,
    failure_of,
)
from adsync_dagster.assets.campaigns import CAMPAIGNS
from adsync_dagster.assets.final_sync_completion import FINAL_SYNC_COMPLETION
from adsync_dagster.assets.launch_config import AccountSyncConfig, BackfillConfig, chosen_accounts
from adsync_dagster.assets.metrics import METRICS, days_table, standing
from adsync_dagster.assets.run_summary import accounts_table, summary_lines
from adsync_dagster.assets.safety_net import report_metadata
from adsync_dagster.records import DateRange, Level
from adsync_dagster.sync.reports import AccountReport, SafetyNetReport, Step, StepReport
from adsync_dagster.warehouse.account_facts import AccountFacts, DayFacts, WaitingChange

NOW = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)


def day(
    number: int,
    spend: str,
    state: str = "reconciled",
    *,
    residual: str = "0",
    residual_class: str | None = None,
) -> DayFacts:
    """A day of March."""
    rest = Decimal(residual)
    date_ = date(2026, 3, number)
    return DayFacts(date_, Decimal(spend), state, rest, residual_class, apart=rest != 0)


FACTS = AccountFacts(
    name="Shop",
    currency="EUR",
    entities={"ad_campaigns": {"ACTIVE": 5, "PAUSED": 2}},
    metrics_rows=1234,
    days=[day(1, "10.5", "sealed"), day(2, "1234.5")],
    days_by_state={"sealed": 40, "reconciled": 1},
)


def test_an_entity_asset_reports_every_count_as_a_number() -> None:
    """Counts are numbers, so that Dagster plots them, and the rows stored are its row count."""
    report = AccountReport(
        account_key="facebook:act_1",
        steps={Step.CAMPAIGNS: StepReport(counts={"seen": 7, "inserted": 2, "unchanged": 5})},
    )

    metadata = dict(CAMPAIGNS.metadata(report, FACTS))

    assert metadata.pop("statuses").value.startswith("![5 ACTIVE, 2 PAUSED](<data:image/svg+xml,")
    assert metadata == {
        "account": "Shop",
        "dagster/partition_row_count": 7,
        "rows_seen": 7,
        "rows_inserted": 2,
        "rows_unchanged": 5,
        "seconds": 0.0,
    }


def test_a_note_is_shown_and_is_no_failure() -> None:
    """A step that succeeded but for a hint is materialized, with the note among its metadata."""
    step = StepReport(counts={"seen": 7}, note="the change history could not be read")
    report = AccountReport(account_key="facebook:act_1", steps={Step.CAMPAIGNS: step})

    assert CAMPAIGNS.metadata(report, FACTS)["note"] == "the change history could not be read"


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
    assert "| 2026-03-02 | 1,234.50 | adds up |" in metadata["latest_days"].value
    assert metadata["spend_by_day"].value.startswith("![spend by day: 1 sealed, 1 adds up](<data:")
    assert (metadata["days_sealed"], metadata["days_open"]) == (40, 0)


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
    [{}, {Step.CAMPAIGNS: StepReport(note="failed: half a page", failed=True)}],
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


def test_a_day_stands_as_its_state_and_residual_say() -> None:
    """Only a difference without an explanation is red, whatever the day's state."""
    assert standing(day(1, "5", "sealed")) == "sealed"
    assert standing(day(1, "5", "open")) == "still open"
    assert standing(day(1, "5", "sealed", residual="1", residual_class="never_seen_entity")) == (
        "sealed"
    )
    assert standing(day(1, "5", "sealed", residual="1", residual_class="unexplained")) == (
        "does not add up"
    )
    assert standing(day(1, "5", "open", residual="1")) == "does not add up"


def test_the_table_of_days_shows_the_latest_week_and_what_is_not_explained() -> None:
    """Newest first, seven days, and it is short enough for Dagster to show it in place."""
    days = [day(number, "1234567.89", "sealed", residual="12.34") for number in range(1, 31)]

    table = days_table(days, "MXN")

    lines = table.splitlines()
    assert len(lines) == 2 + 7
    assert lines[2] == "| 2026-03-30 | 1,234,567.89 | does not add up | 12.34 |"
    assert len(table) < 1000


def test_what_waits_is_listed_with_the_reason() -> None:
    """A pending change says since when, what it is, and why it is not done."""
    change = WaitingChange(NOW, "ad", "1202", "ACTIVE", "PAUSED", 2, "credential", "token expired")
    report = AccountReport(
        account_key="facebook:act_1", steps={Step.FINAL_SYNCS: StepReport(counts={"done": 0})}
    )

    metadata = FINAL_SYNC_COMPLETION.metadata(report, replace(FACTS, waiting=[change]))

    assert _rows(metadata["waiting"]) == [
        {
            "since": "2026-03-10 15:00 UTC",
            "what": "ad 1202",
            "change": "ACTIVE to PAUSED",
            "attempts": 2,
            "why": "blocked (credential): token expired",
        }
    ]


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
    assert AccountSyncConfig(**fields).scope(NOW).days == days


@pytest.mark.parametrize(
    "fields",
    [
        {"date_from": "2026-03-01"},
        {"date_until": "2026-03-01"},
        {"date_from": "2026-03-02", "date_until": "2026-03-01"},
        {"date_from": "1/3/2026", "date_until": "2/3/2026"},
        {"date_from": "2026-03-01", "date_until": "2026-03-02", "everything_open": True},
        {"date_from": "2026-03-01", "date_until": "2026-03-12"},
        {"date_from": "2022-01-01", "date_until": "2026-03-01"},
        {"levels": []},
    ],
)
def test_a_choice_that_is_none_fails_at_once_and_is_not_retried(
    fields: dict[str, Any],
) -> None:
    """Half a range, a backward one or a contradiction is a mistake that retrying cannot mend."""
    with pytest.raises(dg.Failure) as caught:
        AccountSyncConfig(**fields).scope(NOW)

    assert not caught.value.allow_retries


def test_levels_are_read_in_their_order_whatever_order_they_are_named_in() -> None:
    """The launchpad's list of levels is a set."""
    config = AccountSyncConfig(levels=["ad", "campaign", "ad"])

    assert config.scope(NOW).levels == (Level.CAMPAIGN, Level.AD)
    assert not config.scope(NOW).whole
    assert AccountSyncConfig().scope(NOW).whole


def test_accounts_restrict_a_run_and_an_unknown_one_is_refused() -> None:
    """Named accounts keep the run's order; one that the run does not cover is a mistake."""
    keys = ["facebook:a", "facebook:b", "tiktok:c"]

    assert AccountSyncConfig().chosen(keys) == keys
    assert AccountSyncConfig(accounts=["tiktok:c", "facebook:a"]).chosen(keys) == [
        "facebook:a",
        "tiktok:c",
    ]
    for names in (["facebook:z"], []):
        with pytest.raises(dg.Failure) as caught:
            chosen_accounts(names, keys)
        assert not caught.value.allow_retries


def test_a_backfill_needs_its_days() -> None:
    """A backfill without dates would be an ordinary sync; it is refused."""
    config = BackfillConfig(accounts=["facebook:a"], date_from="", date_until="")
    with pytest.raises(dg.Failure):
        config.scope(NOW)

    config = BackfillConfig(
        accounts=["facebook:a"], date_from="2026-01-01", date_until="2026-01-31"
    )
    assert config.scope(NOW).days == DateRange(since=date(2026, 1, 1), until=date(2026, 1, 31))


def test_the_closing_table_puts_failed_accounts_first_and_stays_short() -> None:
    """A hundred accounts make fifty lines, and none of those left out had failed."""
    reports = [AccountReport(account_key=f"facebook:{n:03}", pending=n) for n in range(100)]
    reports[77].error, reports[77].error_family = "expired", "blocked"

    lines = summary_lines(reports).splitlines()

    assert len(lines) == 1 + 50 + 1
    assert lines[1].split()[:2] == ["facebook:077", "blocked"]
    assert lines[-1] == "and 50 more accounts, all done"
    table = _rows(accounts_table(reports[:2], ["facebook:b"]))
    assert [(row["account"], row["result"]) for row in table] == [
        ("facebook:000", "done"),
        ("facebook:001", "done"),
        ("facebook:b", "at work"),
    ]


def test_failed_accounts_that_are_not_shown_are_counted() -> None:
    """Where more failed than are shown, the last line does not call the rest done."""
    reports = [AccountReport(account_key=f"facebook:{n:03}", pending=n) for n in range(100)]
    for report in reports[:60]:
        report.error, report.error_family = "throttled", "retryable"

    lines = summary_lines(reports).splitlines()

    assert lines[1].split("  ")[:2] == ["facebook:000", "failed, will be tried again"]
    assert lines[-1] == "and 50 more accounts, 10 of them not done"


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
    plan = WindowPlan.of((FINAL_SYNC_COMPLETION,), config, threads=1, now=NOW)
    whole = WindowPlan.of(ACCOUNT_ASSETS, config, threads=1, now=NOW)

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
