"""Chosen days, levels and accounts: through Dagster's launchpad config, and what it leaves due."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from harness import Harness

from adsync_dagster.definitions import build_definitions
from adsync_dagster.errors import UsageError
from adsync_dagster.records import DateRange, Level
from adsync_dagster.sync.metrics import MetricsScope
from adsync_dagster.sync.reports import Step

LATE = datetime(2026, 6, 1, 15, 0, tzinfo=UTC)
STATES = """
SELECT date, level, state, read_started_at IS NOT NULL AS was_read
  FROM ad_account_days ORDER BY date, level
"""


@pytest.fixture
def harness(database_url: str, tmp_path: Any) -> Any:
    """A Meta account with twenty days of history, of which a first sync reads the last five."""
    with Harness(database_url, tmp_path, campaigns=2, adsets=3, ads=6, stopped=False) as harness:
        yield harness


@pytest.fixture
def instance() -> Any:
    """A Dagster instance that captures the services' lines, as dagster.yaml says."""
    with dg.instance_for_test() as instance:
        yield instance


def backfill(harness: Harness, instance: dg.DagsterInstance, **config: Any) -> Any:
    """Run backfill_job with that launchpad config."""
    definitions = build_definitions(harness.settings, resources={"adsync": harness.environment})
    return definitions.resolve_job_def("backfill_job").execute_in_process(
        instance=instance,
        run_config={"ops": {"backfill": {"config": config}}},
        raise_on_error=False,
    )


def failure(result: Any) -> str:
    """The words of the failed step."""
    event = next(event for event in result.all_events if event.is_step_failure)
    data = event.step_failure_data
    return str(data.user_failure_data.description if data.user_failure_data else data.error)


def test_a_backfill_reads_the_chosen_days_of_the_chosen_account(
    harness: Harness, instance: dg.DagsterInstance
) -> None:
    """Old days are read at every level, add up and are sealed; the page of the account shows it."""
    harness.clock.instant = LATE  # the account's twenty days are settled long since
    chosen = DateRange(since=date(2026, 2, 25), until=date(2026, 3, 2))

    result = backfill(
        harness,
        instance,
        accounts=[harness.account.key],
        date_from=str(chosen.since),
        date_until=str(chosen.until),
    )

    assert result.success
    states = harness.query(STATES)
    assert {row["date"] for row in states} == {
        chosen.since + timedelta(days=offset) for offset in range(chosen.days)
    }
    assert {row["state"] for row in states} == {"sealed"}
    for level in ("campaign", "adset", "ad"):
        assert harness.differences(level, since=chosen.since, until=chosen.until) == []
    event = instance.get_latest_materialization_event(dg.AssetKey("metrics"))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.partition == harness.account.key
    assert event.asset_materialization.metadata["read_days"].value == chosen.days
    assert instance.get_dynamic_partitions("ad_account") == [harness.account.key]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"accounts": ["facebook:act_999"]}, "not among the accounts"),
        ({"accounts": []}, "name at least one account"),
        ({"date_from": "2026-03-05"}, "the earlier one first"),
        ({"date_until": "2026-03-12"}, "lies in the future"),
        ({"date_from": "2022-01-01"}, "37 months"),
        ({"levels": []}, "name at least one level"),
    ],
)
def test_a_wrong_choice_fails_before_anything_is_read(
    harness: Harness, instance: dg.DagsterInstance, config: dict[str, Any], words: str
) -> None:
    """The run's failure says what to type instead, and the platform was not asked."""
    good = {
        "accounts": [harness.account.key],
        "date_from": "2026-03-01",
        "date_until": "2026-03-02",
    }
    asked = len(harness.simulator.simulator.requests)

    result = backfill(harness, instance, **{**good, **config})

    assert not result.success
    assert words in failure(result)
    assert len(harness.simulator.simulator.requests) == asked


def test_days_beyond_the_platforms_retention_are_refused_by_name(harness: Harness) -> None:
    """Asked for days that Meta no longer reports, the sync says which is the first it does."""
    scope = MetricsScope(days=DateRange(since=date(2023, 1, 1), until=date(2023, 1, 5)))

    with pytest.raises(UsageError, match=r"the first day that can be read is 2023-02-12"):
        harness.sync(frozenset({Step.METRICS}), scope=scope)


def test_a_read_of_one_level_completes_no_day(harness: Harness) -> None:
    """Campaign rows are stored and compared; the days stay due, unsealed, and unread elsewhere."""
    assert harness.sync().ok
    harness.advance(days=40)
    only = MetricsScope(everything_open=True, levels=(Level.CAMPAIGN,))

    report = harness.sync(scope=only)

    assert report.ok
    assert report.steps[Step.METRICS].counts["sealed"] == 0
    assert harness.differences("campaign", until=harness.today() - timedelta(days=1)) == []
    rows = harness.query(STATES)
    assert {row["state"] for row in rows if row["level"] != "campaign"} <= {"open", "reconciled"}
    never_read = {row["date"] for row in rows if row["level"] == "ad" and not row["was_read"]}
    assert len(never_read) == 40
    assert all(
        row["state"] == "open" for row in rows if row["level"] == "ad" and not row["was_read"]
    )
    synced = harness.query("SELECT last_synced_at FROM ad_accounts")[0]["last_synced_at"]
    assert synced < harness.clock.now() - timedelta(days=39)

    assert harness.sync().ok
    assert harness.query("SELECT count(*) AS n FROM ad_account_days WHERE state = 'sealed'")[0]["n"]
    assert {row["was_read"] for row in harness.query(STATES)} == {True}


def test_a_backfilled_day_that_is_still_open_is_followed_until_it_is_sealed(
    harness: Harness,
) -> None:
    """A day before the account's history that may still change is not forgotten after one read."""
    assert harness.sync().ok
    first = harness.query("SELECT history_start FROM ad_accounts")[0]["history_start"]
    before = first - timedelta(days=5)

    assert harness.sync(
        frozenset({Step.METRICS}), scope=MetricsScope(days=DateRange(since=before, until=before))
    ).ok

    assert harness.query("SELECT history_start FROM ad_accounts") == [{"history_start": before}]
    harness.advance(days=40)
    assert harness.sync().ok
    state = "SELECT DISTINCT state FROM ad_account_days WHERE date = %s"
    assert harness.query(state, before) == [{"state": "sealed"}]


def test_a_settled_day_before_the_history_does_not_stretch_it(harness: Harness) -> None:
    """An old day is final with one read; the days between are nobody's."""
    harness.clock.instant = LATE
    assert harness.sync().ok
    first = harness.query("SELECT history_start FROM ad_accounts")[0]["history_start"]
    old = date(2026, 3, 1)

    assert harness.sync(
        frozenset({Step.METRICS}), scope=MetricsScope(days=DateRange(since=old, until=old))
    ).ok

    assert harness.query("SELECT history_start FROM ad_accounts") == [{"history_start": first}]
    state = "SELECT DISTINCT state FROM ad_account_days WHERE date = %s"
    assert harness.query(state, old) == [{"state": "sealed"}]
