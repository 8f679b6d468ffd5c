"""The account sync as Dagster runs it: real instance, real Postgres, the simulator over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
from dagster._core.storage.partition_status_cache import (
    get_and_update_asset_status_cache_value,
)

from adsync_dagster.assets.account_asset import AccountAsset
from adsync_dagster.assets.account_sync import (
    ACCOUNT_ASSETS,
    AssetEvent,
    WindowPlan,
    run_window,
)
from adsync_dagster.assets.final_sync_completion import FINAL_SYNC_COMPLETION
from adsync_dagster.assets.partitions import AD_ACCOUNTS, ensure_partitions
from adsync_dagster.assets.windows import RANGE_END_TAG, RANGE_START_TAG
from adsync_dagster.clock import VirtualClock
from adsync_dagster.definitions import build_definitions
from adsync_dagster.platforms.protocol import Credential
from adsync_dagster.records import Account, AccountInfo, Platform
from adsync_dagster.resources.platforms import PlatformAccess
from adsync_dagster.settings import Settings
from adsync_dagster.simulator.facebook_auth import Token
from adsync_dagster.simulator.server import RunningSimulator, serve
from adsync_dagster.simulator.world import World
from adsync_dagster.sync.environment import Environment
from adsync_dagster.transport import PlatformClient
from adsync_dagster.warehouse import accounts
from adsync_dagster.warehouse.database import Database
from adsync_dagster.warehouse.tokens import TokenVault

START = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
ACCOUNTS = 10
BAD = "facebook:act_507"


@dataclass
class Site:
    """Ten accounts in a simulated world, a warehouse, and the Dagster code location over them."""

    environment: Environment
    simulator: RunningSimulator
    clock: VirtualClock
    instance: dg.DagsterInstance
    keys: list[str]

    def run(self, job: str, *keys: str, **options: Any) -> dg.ExecuteInProcessResult:
        """Run a job over the range of these accounts, or without partitions."""
        definitions = build_definitions(
            self.environment.settings, resources={"adsync": self.environment}
        )
        tags: dict[str, str] = {}
        if len(keys) > 1:
            tags = {RANGE_START_TAG: keys[0], RANGE_END_TAG: keys[-1]}
        return definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=keys[0] if len(keys) == 1 else None,
            tags=tags,
            raise_on_error=False,
            **options,
        )

    def partitions(self, asset: str) -> tuple[set[str], set[str]]:
        """The asset's green and its red partitions, as the UI counts them."""
        status = get_and_update_asset_status_cache_value(
            self.instance, dg.AssetKey(asset), AD_ACCOUNTS, self.instance
        )
        assert status is not None
        green = status.deserialize_materialized_partition_subsets(AD_ACCOUNTS)
        red = status.deserialize_failed_partition_subsets(AD_ACCOUNTS)
        return set(green.get_partition_keys()) - set(red.get_partition_keys()), set(
            red.get_partition_keys()
        )

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows of a SQL statement."""
        with psycopg.connect(self.environment.database.url, autocommit=True) as connection:
            return connection.execute(statement, parameters or None).fetchall()  # type: ignore[arg-type]


@pytest.fixture
def site(database: Database, tmp_path: Path) -> Iterator[Site]:
    """Ten small accounts; the eighth one's token has expired."""
    clock = VirtualClock(START)
    world = World(seed=11, clock=clock)
    with serve(world) as simulator, dg.instance_for_test(overrides=LOGGED) as instance:
        settings = replace(
            Settings(),
            home=tmp_path,
            history_days=5,
            accounts_per_run=ACCOUNTS,
            base_urls={**Settings().base_urls, Platform.FACEBOOK: simulator.base_url},
        )
        environment = Environment(
            database=Database(database.url, clock),
            clock=clock,
            settings=settings,
            vault=TokenVault.from_settings(settings),
        )
        keys = [add_account(environment, world, f"act_{500 + n}") for n in range(ACCOUNTS)]
        ensure_partitions(instance, keys)
        yield Site(environment, simulator, clock, instance, keys)
        environment.close()


LOGGED = {"python_logs": {"python_log_level": "INFO", "managed_python_loggers": ["adsync_dagster"]}}


def add_account(environment: Environment, world: World, account_id: str) -> str:
    """An account in the world and in the warehouse, with a token of its own."""
    world.add_facebook_account(
        account_id,
        name=f"Shop {account_id}",
        timezone="UTC",
        campaigns=1,
        adsets=2,
        ads=3,
        history_days=5,
        stopped=False,
    )
    info = AccountInfo(
        platform_account_id=account_id, name="?", currency="USD", timezone="UTC", status="1"
    )
    with environment.database.connection() as connection:
        account = accounts.add_account(connection, Platform.FACEBOOK, info)
        environment.vault.store(
            connection,
            Platform.FACEBOOK,
            account_id,
            Credential({"access_token": token(account_id)}),
        )
    return account.key


def token(account_id: str) -> str:
    """The token of an account; a canary that may show up nowhere."""
    return f"sim_canary_{account_id}_5b1f"


def expire(site: Site, key: str) -> Token:
    """Let the token of an account expire; returns it, to be mended."""
    account_id = key.removeprefix("facebook:")
    return site.simulator.simulator.facebook.tokens.add(
        Token(value=token(account_id), expires_at=0)
    )


def materialized(result: dg.ExecuteInProcessResult) -> set[tuple[str, str | None]]:
    """What a run reported: asset and partition."""
    made = [
        event.step_materialization_data.materialization
        for event in result.all_events
        if event.is_step_materialization
    ]
    return {(m.asset_key.to_user_string(), m.partition) for m in made}


def failed_accounts(result: dg.ExecuteInProcessResult) -> list[dict[str, Any]]:
    """The table of failed accounts that a failed run carries."""
    failure = next(e for e in result.all_events if e.is_step_failure)
    data = failure.step_failure_data.user_failure_data
    assert data is not None
    table = data.metadata["failed_accounts"]
    assert isinstance(table, dg.TableMetadataValue)
    return [dict(record.data) for record in table.records]


def test_one_bad_account_of_ten_fails_alone_and_its_retry_clears_it(site: Site) -> None:
    """An expired token makes one red partition beside nine green ones, and only until renewed."""
    expired = expire(site, BAD)

    result = site.run("account_sync_job", *site.keys)

    assert not result.success
    for asset in ACCOUNT_ASSETS:
        green, red = site.partitions(asset.key.to_user_string())
        assert green == set(site.keys) - {BAD}
        assert red == {BAD}
    assert [(row["account"], row["what helps"]) for row in failed_accounts(result)] == [
        (BAD, "a person; see the error")
    ]

    expired.expires_at = None
    assert site.run("account_sync_job", BAD).success
    for asset in ACCOUNT_ASSETS:
        assert site.partitions(asset.key.to_user_string()) == (set(site.keys), set())


def test_a_sync_says_in_metadata_what_it_did(site: Site) -> None:
    """Rows, spend by day and what is owed stand on each materialization of the account."""
    key = site.keys[0]
    assert site.run("account_sync_job", key).success

    def latest(asset: str) -> dict[str, Any]:
        event = site.instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert event is not None
        made = event.asset_materialization
        assert made is not None
        assert made.partition == key
        return {name: value.value for name, value in made.metadata.items()}

    assert latest("ads")["dagster/partition_row_count"] == 3
    assert latest("ads")["rows_inserted"] == 3
    metrics = latest("metrics")
    [(stored, spend)] = site.query(
        "SELECT count(*), sum(spend) FILTER (WHERE entity_type = 'campaign') FROM ad_metrics"
    )
    assert metrics["dagster/partition_row_count"] == stored
    assert metrics["spend_of_days_read"] == pytest.approx(float(spend))
    assert "spend (USD)" in metrics["latest_days"]
    assert metrics["spend_by_day"].startswith("![spend by day: ")
    assert (metrics["days_open"], metrics["days_reconciled"], metrics["days_sealed"]) == (0, 5, 0)
    assert latest("final_sync_completion")["pending"] == 0
    assert latest("campaigns")["account"] == "Shop act_500"


def test_a_run_shows_the_services_lines_a_handful_per_account(site: Site) -> None:
    """The lines that operators grep for are in the run's log, and not thousands of them."""
    result = site.run("account_sync_job", *site.keys[:2])
    lines = [
        entry.user_message
        for entry in site.instance.all_logs(result.run_id)
        if entry.dagster_event is None
    ]

    # Twice per account: before the lists, and for what the lists brought to light.
    for words in ("[sync] Step 0/4: Checking", "[sync] Step 0/4, again: Checking"):
        assert sum(f"{words} for entities needing final sync" in line for line in lines) == 2
    assert sum("[sync] Final sync complete: 0 entities" in x for x in lines) >= 2
    for step in ("1/4", "2/4", "3/4", "4/4"):
        assert any(f"[sync] Step {step}" in line for line in lines)
    [summary] = [line for line in lines if line.startswith("2 of 2 accounts done, 0 failed")]
    assert [row.split()[:2] for row in summary.splitlines()[2:]] == [
        [site.keys[0], "done"],
        [site.keys[1], "done"],
    ]
    assert len(lines) <= 20 * 2


def test_a_change_seen_by_the_cheap_poll_is_finished_by_the_final_sync_job(site: Site) -> None:
    """Entities only, then final syncs only: the log row goes from owed to done."""
    key = site.keys[0]
    assert site.run("account_sync_job", key).success
    campaign = site.simulator.world.entities("act_500", "campaign")[0].id
    site.clock.instant += timedelta(hours=1)
    site.simulator.world.pause("campaign", campaign)

    poll = site.run("entity_sync_job", key)
    assert materialized(poll) == {("campaigns", key), ("ad_sets", key), ("ads", key)}
    owed = "SELECT count(*) FROM ad_status_change_log WHERE NOT final_sync_completed"
    assert site.query(owed)[0][0] >= 1

    final = site.run("final_sync_job", key)
    assert materialized(final) == {("final_sync_completion", key)}
    assert site.query(owed) == [(0,)]
    assert site.query(
        "SELECT new_status, final_sync_completed FROM ad_status_change_log"
        " WHERE platform_entity_id = %s",
        campaign,
    ) == [("PAUSED", True)]


def test_the_settle_job_reads_every_open_day_and_a_plain_sync_only_the_recent_ones(
    site: Site,
) -> None:
    """The settle job's own config asks for all open days without anybody typing it."""
    key = site.keys[0]
    assert site.run("account_sync_job", key).success
    site.clock.instant += timedelta(minutes=10)

    assert _days_read(site.run("account_sync_job", key)) == 3
    assert _days_read(site.run("settle_job", key)) == 5


def test_the_launchpad_reads_exactly_the_days_it_was_given(site: Site) -> None:
    """Two dates in the config replace the plan; half of them fails before anything is read."""
    key = site.keys[0]
    config = {"ops": {"account_sync": {"config": {"date_from": "2026-03-08"}}}}
    asked = len(site.simulator.simulator.requests)

    assert not site.run("account_sync_job", key, run_config=config).success
    assert len(site.simulator.simulator.requests) == asked

    config["ops"]["account_sync"]["config"]["date_until"] = "2026-03-08"
    assert _days_read(site.run("account_sync_job", key, run_config=config)) == 1


def _days_read(result: dg.ExecuteInProcessResult) -> int:
    made = next(
        event.step_materialization_data.materialization
        for event in result.all_events
        if event.is_step_materialization
        and event.step_materialization_data.materialization.asset_key == dg.AssetKey("metrics")
    )
    days = made.metadata["read_days"].value
    assert isinstance(days, int)
    return days


def test_a_removed_account_in_the_range_is_left_alone(site: Site) -> None:
    """Its key stays a partition, but no run of a range reads it or fails because of it."""
    first, removed, third = site.keys[:3]
    with site.environment.database.connection() as connection:
        accounts.deactivate(connection, accounts.get_account(connection, removed))

    result = site.run("account_sync_job", first, third)

    assert result.success
    assert {partition for _, partition in materialized(result)} == {first, third}


def test_a_busy_account_is_left_to_its_holder_by_final_syncs_but_fails_a_whole_sync(
    site: Site,
) -> None:
    """Final syncs are asked for again anyway; an hour without a sync must show."""
    key = site.keys[0]
    with site.environment.database.connection() as connection:
        account = accounts.get_account(connection, key)

    def run(assets: tuple[AccountAsset, ...]) -> list[AssetEvent]:
        plan = WindowPlan(assets=assets, threads=1, lock_wait_seconds=0.05)
        return list(run_window(logging.getLogger("test"), site.environment, [key], plan))

    with site.environment.database.account_session(account.id, wait_seconds=0):
        assert run((FINAL_SYNC_COMPLETION,)) == []
        with pytest.raises(dg.Failure, match="1 of 1 accounts failed"):
            run(ACCOUNT_ASSETS)


class BuggyEnvironment(Environment):
    """An environment in which one account trips over a bug that quotes a secret."""

    def client(self, account: Account) -> PlatformClient:
        if account.key == BAD:
            raise KeyError(token(account.platform_account_id))
        return super().client(account)


def test_a_bug_in_one_account_fails_it_alone_and_is_not_quoted(site: Site) -> None:
    """An unforeseen exception fails its account; its text, which may hold a token, is not kept."""
    real = site.environment
    site.environment = BuggyEnvironment(
        database=real.database, clock=real.clock, settings=real.settings, vault=real.vault
    )

    result = site.run("account_sync_job", *site.keys)

    [row] = failed_accounts(result)
    assert (row["account"], row["what helps"]) == (BAD, "fix the bug")
    assert str(row["error"]).startswith("KeyError at ")
    assert len({partition for _, partition in materialized(result)}) == ACCOUNTS - 1
    assert "sim_canary" not in everything_stored(site)


def everything_stored(site: Site) -> str:
    """All that Dagster keeps of all runs: events, errors, metadata, tags, config."""
    logs = [
        dg.serialize_value(entry)
        for run in site.instance.get_runs()
        for entry in site.instance.all_logs(run.run_id)
    ]
    return "\n".join([*logs, *(dg.serialize_value(run) for run in site.instance.get_runs())])


def test_no_token_reaches_dagsters_storage(site: Site) -> None:
    """A good sync, an expired token and an unreachable platform leave no token behind."""
    expire(site, BAD)
    site.run("account_sync_job", *site.keys)
    site.simulator.stop()
    assert not site.run("entity_sync_job", site.keys[0]).success

    stored = everything_stored(site)

    assert "Step 4/4" in stored
    assert "sim_canary" not in stored


def test_the_safety_net_reports_success_with_the_seeds_four_numbers(site: Site) -> None:
    """Every account is processed once, and the asset's history shows the report."""
    assert site.run("account_sync_job", *site.keys).success

    assert site.run("safety_net_job").success

    event = site.instance.get_latest_materialization_event(dg.AssetKey("weekly_safety_net"))
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert metadata["success"].value is True
    assert metadata["accountsProcessed"].value == ACCOUNTS
    assert metadata["totalEntities"].value == 0
    assert metadata["totalMetrics"].value == 0


def test_a_safety_net_that_could_not_read_an_account_is_not_green(site: Site) -> None:
    """The others are processed, the report is kept as an observation, and the run fails."""
    expire(site, BAD)

    result = site.run("safety_net_job")

    assert not result.success
    key = dg.AssetKey("weekly_safety_net")
    assert site.instance.get_latest_materialization_event(key) is None
    [observed] = site.instance.fetch_observations(key, limit=5).records
    assert observed.asset_observation is not None
    metadata = observed.asset_observation.metadata
    assert metadata["success"].value is False
    assert [record.data["account"] for record in metadata["failures"].records] == [BAD]  # type: ignore[union-attr]


def test_an_interrupted_run_starts_no_more_accounts(site: Site) -> None:
    """Cancelling a run lets the account at work finish and leaves the others for the next one."""
    plan = WindowPlan(
        assets=ACCOUNT_ASSETS,
        threads=1,
        lock_wait_seconds=1.0,
    )
    running = run_window(logging.getLogger("test"), site.environment, site.keys, plan)
    assert next(running).partition == site.keys[0]

    running.close()  # what Dagster's interrupt does to the step's generator

    [(attempted, whole)] = site.query(
        "SELECT count(last_sync_attempted_at), count(last_synced_at) FROM ad_accounts"
    )
    assert attempted == whole
    assert whole < ACCOUNTS


def test_an_asset_of_ones_own_reads_with_the_same_client(site: Site) -> None:
    """A platform's resource gives a working client without handing out the credential."""
    facebook = PlatformAccess(platform=Platform.FACEBOOK, environment=site.environment)

    with facebook.client(site.keys[0]) as client:
        rows, _ = client.rows(client.adapter.read_account("act_500", site.clock.now()))

    assert [row.name for row in rows if isinstance(row, AccountInfo)] == ["Shop act_500"]
    assert "sim_canary" not in repr(client.__dict__)
