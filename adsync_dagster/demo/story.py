"""The demo: one Meta account's life, act by act, through Dagster's own machinery.

Nothing here calls a sync directly. Runs are launched through the webserver and executed by
the daemon, final syncs are started by the sensor, and every act ends with a comparison of the
warehouse with the simulator's ledger, to the cent.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from adsync_dagster.calendar import account_day
from adsync_dagster.demo.judge import Verdict, judge, judge_residual
from adsync_dagster.demo.runs import launch
from adsync_dagster.demo.stage import Stage, raise_stage
from adsync_dagster.errors import Retryable
from adsync_dagster.records import Account, DateRange, Level
from adsync_dagster.settings import Settings
from adsync_dagster.warehouse import account_state, changes, entities

START = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
ACCOUNT_ID = "act_501"
HISTORY_DAYS = 90
WAIT_SECONDS_MAX = 90


@dataclass(slots=True)
class Story:
    """The stage, the account, and what has been proved so far."""

    stage: Stage
    console: Console
    account: Account
    verdicts: list[tuple[str, Verdict]] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.console.print(f"  {text}", highlight=False)

    def ids(self, level: str, effective: str | None = None) -> list[str]:
        """Entities of a level on the platform, in this effective status or in any."""
        return [
            entity.id
            for entity in self.stage.world.entities(ACCOUNT_ID, level)
            if effective in (None, entity.effective)
        ]

    def advance(self, **delta: float) -> None:
        self.stage.world.advance(**delta)

    def run(self, job: str, *, partition: bool = True) -> bool:
        """Launch a job and say how it went."""
        run = launch(self.stage, job, self.account.key if partition else None)
        word = "succeeded" if run.succeeded else "failed"
        self.say(f"[dim]run {run.id[:8]}[/dim] {job} {word} in {run.seconds:.1f} s")
        return run.succeeded

    def pending(self) -> int:
        with self.stage.environment.database.connection() as connection:
            return account_state.count_pending(connection, self.account.id).pending

    def wait_for(self, what: str, reached: Callable[[], bool]) -> float:
        """Wait for something that Dagster does by itself; returns the seconds it took."""
        began = time.monotonic()
        while not reached():
            if time.monotonic() - began > WAIT_SECONDS_MAX:
                raise Retryable(f"{what} did not happen within {WAIT_SECONDS_MAX} s; see the UI")
            time.sleep(0.2)
        return time.monotonic() - began

    def known(self, level: Level) -> list[str]:
        """Platform ids that the warehouse knows."""
        with self.stage.environment.database.connection() as connection:
            return entities.known_ids(connection, self.account, level)

    def days(self) -> DateRange:
        """The whole history, up to today."""
        today = account_day(self.stage.clock.now(), self.account.timezone)
        first = account_day(START, self.account.timezone) - timedelta(days=HISTORY_DAYS - 1)
        return DateRange(since=first, until=today)

    def prove(self, act: str, ids: Collection[str], level: Level = Level.AD) -> None:
        """Compare these entities with the ledger, over the whole history, and remember it."""
        self._remember(act, f"{level}s", judge(self.stage, self.account, level, self.days(), ids))

    def prove_all(self, act: str, level: Level) -> None:
        """Compare every entity of a level; those never listed must be the residual, exactly."""
        known = self.known(level)
        unseen = sorted({e.id for e in self.stage.world.entities(ACCOUNT_ID, level)} - set(known))
        self.prove(f"{act}, {level}s", known, level)
        verdict = judge_residual(self.stage, self.account, level, self.days(), unseen)
        self._remember(f"{act}, {level}s: residual", f"{level}s never shown", verdict)

    def _remember(self, act: str, what: str, verdict: Verdict) -> None:
        self.verdicts.append((act, verdict))
        mark = "[green]equal[/green]" if verdict.equal else "[red]DIFFERENT[/red]"
        self.say(
            f"{verdict.entities} {what}: spend {verdict.spend[0]:,.2f},"
            f" ledger {verdict.spend[1]:,.2f}: {mark}"
        )


def run(*, home: Path | None = None, port: int | None = None, ui: bool = False) -> bool:
    """Play the story; True when the warehouse equalled the ledger after every act.

    Raises UsageError when the stage cannot be built, Retryable when Dagster does not answer.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=124)
    began = time.monotonic()
    console.print("[bold]adsync demo[/bold]: one Meta account, no metric lost", highlight=False)
    folder = (home or Settings.from_environment().home / "demo").absolute()
    with raise_stage(folder, port, START) as stage:
        story = _open(stage, console)
        for number, (title, act) in enumerate(ACTS, start=1):
            console.rule(f"Act {number}: {title}", align="left", style="dim")
            act(story)
        proved = _close(story, time.monotonic() - began)
        _invite(story, ui=ui)
    return proved


def _open(stage: Stage, console: Console) -> Story:
    stage.world.add_facebook_account(
        ACCOUNT_ID, campaigns=40, adsets=150, ads=600, history_days=HISTORY_DAYS
    )
    account = stage.connect_account(ACCOUNT_ID)
    console.print(
        f"  Postgres, simulator and Dagster are up; the UI is {stage.url}", highlight=False
    )
    story = Story(stage, console, account)
    story.wait_for("the new account's partition", lambda: _has_partition(story))
    return story


def _has_partition(story: Story) -> bool:
    from dagster import DagsterInstance  # noqa: PLC0415 - the instance of this demo's home

    with DagsterInstance.get() as instance:
        return instance.has_dynamic_partition("ad_account", story.account.key)


def first_sync(story: Story) -> None:
    """40 campaigns, 150 ad sets, 600 ads and 90 days arrive."""
    story.run("account_sync_job")
    story.prove_all("1 first sync", Level.AD)


def things_stop(story: Story) -> None:
    """Ads and a whole campaign stop; the sensor fetches their last days."""
    world = story.stage.world
    story.advance(hours=3)
    ads = story.ids("ad", "ACTIVE")
    campaign = story.ids("campaign", "ACTIVE")[0]
    children = [a for a in ads if world.ancestors(world.entity("ad", a))[0].id == campaign]
    loose = [a for a in ads if a not in set(children)]
    paused, deleted, archived = loose[:6], loose[6:9], loose[9:11]
    for ad in paused:
        world.pause("ad", ad)
    for ad in deleted:
        world.delete("ad", ad)
    for ad in archived:
        world.archive("ad", ad)
    world.pause("campaign", campaign)
    story.advance(hours=2)
    day = account_day(story.stage.clock.now(), story.account.timezone)
    for ad in loose[:8]:
        world.late_conversions(ad, day, 3, Decimal("74.85"))
    story.say(
        f"on the platform: 6 ads paused, 3 deleted, 2 archived, 1 campaign paused with"
        f" {len(children)} ads; 24 conversions arrive after the stop"
    )
    story.run("entity_sync_job")
    story.say(f"the triggers logged the stops: {story.pending()} final syncs pending")
    seconds = story.wait_for("the sensor's final syncs", lambda: story.pending() == 0)
    story.say(f"the sensor started the final syncs; none pending after {seconds:.1f} s")
    story.prove("2 ads and a campaign stop", [*paused, *deleted, *archived, *children])


def born_and_stopped(story: Story) -> None:
    """An ad is created, spends and is paused, all between two syncs."""
    world = story.stage.world
    adset = story.ids("adset", "ACTIVE")[0]
    ads = [world.create_ad(adset, f"Flash sale {number}") for number in (1, 2)]
    story.advance(hours=7)
    for ad in ads:
        world.pause("ad", ad)
    story.advance(hours=1)
    story.say("on the platform: 2 ads created, run for 7 hours and paused; no sync in between")
    story.run("account_sync_job")
    story.prove("3 born and stopped", ads)


def an_outage(story: Story) -> None:
    """Reports are throttled while ads stop; the weekly net finishes what was left."""
    world = story.stage.world
    story.advance(hours=12)
    ads = story.ids("ad", "ACTIVE")[:5]
    for ad in ads:
        world.pause("ad", ad)
    with _throttled_reports(story.stage):
        story.run("entity_sync_job")
        story.wait_for("a refused final sync", lambda: _refused(story) > 0)
        story.say(f"reports are throttled: {story.pending()} changes stay pending, with the reason")
    story.advance(days=1)
    story.run("safety_net_job", partition=False)
    story.say(f"the platform is back, the safety net ran: {story.pending()} pending")
    story.prove("4 throttled, safety net", ads)


def weeks_pass(story: Story) -> None:
    """Late conversions and corrections arrive for weeks; days are sealed as they become final."""
    for week, days in ((1, 7), (3, 14), (5, 14)):
        story.advance(days=days)
        story.run("settle_job" if week < 5 else "account_sync_job")
        with story.stage.environment.database.connection() as connection:
            sealed = account_state.count_sealed_days(connection, story.account)
        story.say(f"week {week}: {sealed} days sealed")
    for level in (Level.AD, Level.ADSET, Level.CAMPAIGN):
        story.prove_all("5 weeks later", level)
    story.run("health_checks_job", partition=False)


ACTS: tuple[tuple[str, Callable[[Story], None]], ...] = (
    ("first sync", first_sync),
    ("ads, and a campaign, stop", things_stop),
    ("born and stopped between two syncs", born_and_stopped),
    ("the platform throttles, the safety net catches", an_outage),
    ("five weeks of late conversions", weeks_pass),
)


@contextmanager
def _throttled_reports(stage: Stage) -> Iterator[None]:
    """Every batched report is answered with the account's rate limit."""
    rule = stage.simulator.simulator.faults.arm(
        "error", path="^$", method="POST", count=None, error="buc_insights"
    )
    try:
        yield
    finally:
        stage.simulator.simulator.faults.disarm(rule)


def _refused(story: Story) -> int:
    """Changes of the account whose final sync was tried and refused."""
    with story.stage.environment.database.connection() as connection:
        waiting = changes.get_entities_needing_final_sync(connection, story.account.id)
    return sum(1 for change in waiting if change.attempts > 0 or change.blocked_reason)


def _close(story: Story, seconds: float) -> bool:
    """The last table; True when every act was equal and nothing is pending."""
    table = Table(title="warehouse = ledger?", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("act", no_wrap=True)
    for heading in ("entities", "spend", "ledger", "conversions", "ledger"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("changes*", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for act, verdict in story.verdicts:
        table.add_row(
            act,
            str(verdict.entities),
            *(f"{amount:,.2f}" for amount in verdict.spend),
            *(f"{amount:,.0f}" for amount in verdict.conversions),
            f"{verdict.logged}/{verdict.done}/{verdict.pending}",
            "[green]equal[/green]" if verdict.equal else f"[red]{verdict.different} differ[/red]",
        )
    story.console.print(table)
    story.console.print("  * status changes logged / done / pending so far", style="dim")
    last = story.verdicts[-1][1]
    proved = all(verdict.equal for _, verdict in story.verdicts) and last.pending == 0
    story.console.print(
        f"Proved in {seconds:.0f} s: every stored number is the ledger's, to the cent."
        if proved
        else f"NOT proved after {seconds:.0f} s: see the table above.",
        highlight=False,
    )
    return proved


def _invite(story: Story, *, ui: bool) -> None:
    """Say how to look at it; with `ui`, keep everything up until interrupted."""
    if not ui:
        story.console.print(
            "Run `make demo UI=1` to keep the Dagster UI open at the end.", highlight=False
        )
        return
    story.console.print(
        f"The Dagster UI is open: {story.stage.url}   (Ctrl-C ends the demo)", highlight=False
    )
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()
