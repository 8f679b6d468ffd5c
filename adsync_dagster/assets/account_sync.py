"""The account sync: one step that syncs a window of ad accounts, a few at a time.

The graph draws how data flows; the order of the steps 0 to 4 is code in `sync.account_sync`,
because final syncs must run before the lists that would otherwise move the account on. One
bad account fails only its own partition: each account is synced on its own, and only those
whose step succeeded get a materialization.
"""

# No postponed annotations here: Dagster compares the one of `context` with its own types.

import logging
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from adsync_dagster.assets.account_asset import AccountAsset, selected_of
from adsync_dagster.assets.ad_sets import AD_SETS
from adsync_dagster.assets.ads import ADS
from adsync_dagster.assets.campaigns import CAMPAIGNS
from adsync_dagster.assets.event_log import services_lines
from adsync_dagster.assets.final_sync_completion import FINAL_SYNC_COMPLETION, waiting_table
from adsync_dagster.assets.launch_config import AccountSyncConfig
from adsync_dagster.assets.metrics import METRICS
from adsync_dagster.assets.run_summary import accounts_table, summary_lines
from adsync_dagster.errors import AdsyncError
from adsync_dagster.settings import Settings
from adsync_dagster.sync.account_sync import LOCK_WAIT_SECONDS, report_of_defect, sync_account
from adsync_dagster.sync.environment import Environment
from adsync_dagster.sync.metrics import EVERYTHING_DUE, MetricsScope
from adsync_dagster.sync.reports import AccountReport, Step
from adsync_dagster.warehouse import accounts
from adsync_dagster.warehouse.account_facts import account_facts

AssetEvent = dg.AssetMaterialization | dg.AssetObservation

#: In the order of the steps 0 to 4.
ACCOUNT_ASSETS: tuple[AccountAsset, ...] = (FINAL_SYNC_COMPLETION, CAMPAIGNS, AD_SETS, ADS, METRICS)

#: A run of final syncs only does not queue up behind a sync that will do them anyway.
FINAL_SYNC_LOCK_WAIT_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPlan:
    """What a run was asked to do with each account of its window."""

    assets: tuple[AccountAsset, ...]
    threads: int
    lock_wait_seconds: float
    scope: MetricsScope = EVERYTHING_DUE

    @classmethod
    def of(
        cls,
        assets: tuple[AccountAsset, ...],
        config: AccountSyncConfig,
        *,
        threads: int,
        now: datetime,
    ) -> "WindowPlan":
        """The plan for the selected assets; a Failure when the config contradicts itself."""
        only_final_syncs = {asset.step for asset in assets} == {Step.FINAL_SYNCS}
        return cls(
            assets=assets,
            scope=config.scope(now),
            threads=threads,
            lock_wait_seconds=(
                FINAL_SYNC_LOCK_WAIT_SECONDS if only_final_syncs else LOCK_WAIT_SECONDS
            ),
        )

    @property
    def steps(self) -> frozenset[Step]:
        return frozenset(asset.step for asset in self.assets)

    @property
    def only_final_syncs(self) -> bool:
        return self.steps == {Step.FINAL_SYNCS}


def build_account_sync(settings: Settings) -> dg.AssetsDefinition:
    """The multi-asset, with the window size of a backfill taken from the settings."""

    @dg.multi_asset(
        name="account_sync",
        specs=[asset.spec for asset in ACCOUNT_ASSETS],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.multi_run(settings.accounts_per_run),
        op_tags={"adsync/unit": "window of ad accounts"},
    )
    def account_sync(
        context: dg.AssetExecutionContext,
        config: AccountSyncConfig,
        adsync: dg.ResourceParam[Environment],
    ) -> Iterator[AssetEvent]:
        """Sync every account of the window: final syncs, campaigns, ad sets, ads, metrics."""
        selected = selected_of(ACCOUNT_ASSETS, context.selected_asset_keys)
        plan = WindowPlan.of(
            selected, config, threads=adsync.settings.account_threads, now=adsync.clock.now()
        )
        keys = config.chosen(context.partition_keys)
        with services_lines(context.log, context.instance):
            yield from run_window(context.log, adsync, keys, plan)

    return account_sync


def run_window(
    log: logging.Logger, environment: Environment, keys: Sequence[str], plan: WindowPlan
) -> Iterator[AssetEvent]:
    """Sync the accounts; an event per account and asset, finished or not; fail if any did."""
    with environment.database.connection() as connection:
        active = {account.key for account in accounts.list_accounts(connection)}
    chosen = [key for key in keys if key in active]
    if gone := len(keys) - len(chosen):
        log.warning("%d account(s) of this run are not active and were left alone", gone)
    ended: list[AccountReport] = []
    failed: list[AccountReport] = []
    # Closed at once when the run is interrupted here: no more accounts are started then.
    with closing(_reports(environment, chosen, plan)) as reports:
        for report in reports:
            ended.append(report)
            if _needs_attention(report, plan):
                log.error("%s failed: %s", report.account_key, report.error)
                failed.append(report)
                yield from _observations(environment, report, plan)
            yield from _materializations(environment, report, plan, _so_far(chosen, ended, plan))
    skipped = sum(1 for report in ended if report.busy and report not in failed)
    log.info(
        "%d of %d accounts done, %d failed, %d busy\n%s",
        len(chosen) - len(failed) - skipped,
        len(keys),
        len(failed),
        skipped,
        summary_lines(ended),
    )
    if failed:
        raise failure_of(failed, len(keys))


def _needs_attention(report: AccountReport, plan: WindowPlan) -> bool:
    """Whether the account failed. A busy one that only owes final syncs is in good hands: its
    holder does them, or the sensor asks again.
    """
    if report.busy and plan.only_final_syncs:
        return False
    return report.error is not None


def _so_far(
    chosen: Sequence[str], ended: Sequence[AccountReport], plan: WindowPlan
) -> dict[str, dg.MetadataValue]:
    """The table of the run's accounts, for the last few materializations of a run.

    An asset's page shows its latest materialization, so only the last ones need the table; on
    all of them it would grow with the square of the window.
    """
    if len(chosen) - len(ended) > plan.threads:
        return {}
    names = {report.account_key for report in ended}
    waiting = [key for key in chosen if key not in names]
    return {"accounts_of_this_run": accounts_table(ended, waiting)}


def _reports(
    environment: Environment, keys: Sequence[str], plan: WindowPlan
) -> Generator[AccountReport, None, None]:
    """The reports as accounts finish; an interrupt lets running accounts end and starts no more."""
    pool = ThreadPoolExecutor(max_workers=plan.threads, thread_name_prefix="account")
    try:
        futures: list[Future[AccountReport]] = [
            pool.submit(_sync_one, environment, key, plan) for key in keys
        ]
        for future in as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _sync_one(environment: Environment, key: str, plan: WindowPlan) -> AccountReport:
    """One account, in a worker thread; whatever goes wrong stays this account's failure."""
    try:
        return sync_account(
            environment,
            key,
            plan.steps,
            scope=plan.scope,
            lock_wait_seconds=plan.lock_wait_seconds,
        )
    except AdsyncError as error:
        report = AccountReport(account_key=key)
        report.fail(error)
        return report
    except Exception as error:  # noqa: BLE001  an account's bug must not take its window down
        return report_of_defect(key, error)


def _materializations(
    environment: Environment,
    report: AccountReport,
    plan: WindowPlan,
    so_far: dict[str, dg.MetadataValue],
) -> Iterator[dg.AssetMaterialization]:
    """A materialization for every asset whose step succeeded for this account."""
    finished = [asset for asset in plan.assets if asset.outcome(report) is not None]
    if not finished:
        return
    with environment.database.connection() as connection:
        # Read after the sync: it may just have learnt the account's name and currency.
        account = accounts.get_account(connection, report.account_key)
        facts = account_facts(connection, account)
    for asset in finished:
        yield dg.AssetMaterialization(
            asset.key,
            partition=account.key,
            metadata={**asset.metadata(report, facts), **so_far},
        )


def _observations(
    environment: Environment, report: AccountReport, plan: WindowPlan
) -> Iterator[dg.AssetObservation]:
    """What each unfinished asset's page shows of the account: the error, what helps, what waits."""
    unfinished = [asset for asset in plan.assets if asset.outcome(report) is None]
    waiting: dict[str, dg.MetadataValue] = {}
    if any(asset.step is Step.FINAL_SYNCS for asset in unfinished):
        with environment.database.connection() as connection:
            account = accounts.get_account(connection, report.account_key)
            waiting = waiting_table(account_facts(connection, account).waiting)
    for asset in unfinished:
        yield dg.AssetObservation(
            asset.key,
            partition=report.account_key,
            metadata={
                "error": report.error or "",
                "what_helps": _remedy(report),
                "pending": report.pending,
                "blocked": report.blocked,
                **(waiting if asset.step is Step.FINAL_SYNCS else {}),
            },
        )


def failure_of(failed: Sequence[AccountReport], total: int) -> dg.Failure:
    """The run's failure: which accounts, why, and whether waiting or a person helps."""
    ordered = sorted(failed, key=lambda report: report.account_key)
    names = ", ".join(report.account_key for report in ordered[:5])
    more = f" and {len(ordered) - 5} more" if len(ordered) > 5 else ""
    return dg.Failure(
        description=f"{len(ordered)} of {total} accounts failed: {names}{more}",
        metadata={
            "failed_accounts": dg.MetadataValue.table(
                [
                    dg.TableRecord(
                        {
                            "account": report.account_key,
                            "what helps": _remedy(report),
                            "error": report.error or "",
                            "pending": report.pending,
                            "blocked": report.blocked,
                        }
                    )
                    for report in ordered
                ]
            )
        },
        # The accounts that are done would be synced again; schedule and sensor retry by account.
        allow_retries=False,
    )


def _remedy(report: AccountReport) -> str:
    return _REMEDY.get(report.error_family or "", "fix the bug")


_REMEDY = {
    "retryable": "waiting; the next run tries again",
    "blocked": "a person; see the error",
    "usage": "a corrected input",
}
