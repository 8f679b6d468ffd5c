"""The demo: the life of a Meta, a TikTok and a Google Ads account through Dagster's own machinery.

Nothing here calls a sync directly. Runs are launched through the webserver and executed by
the daemon, final syncs are started by the sensor, and every act ends with a comparison of the
warehouse with the simulator's ledger, to the cent. The acts stand in acts.py; show.py plays them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.padding import Padding

from adsync_dagster.calendar import account_day
from adsync_dagster.demo.cast import HISTORY_DAYS, Actor
from adsync_dagster.demo.judge import Judge, Verdict
from adsync_dagster.demo.runs import launch
from adsync_dagster.demo.stage import Stage
from adsync_dagster.demo.tables import Comparison, act_table, closing_table
from adsync_dagster.errors import Retryable
from adsync_dagster.records import Account, DateRange, Level
from adsync_dagster.simulator.world import EntityView
from adsync_dagster.warehouse import account_state, entities

START = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
WAIT_SECONDS_MAX = 300
#: Words of the tables that are not plain English.
LEGEND = (
    "hidden: what a platform never showed; it has to be each day's residual, exactly and explained",
    "changes: some need no final sync and are neither done nor pending",
)


@dataclass(slots=True)
class Story:
    """The stage, the accounts, and what has been compared so far."""

    stage: Stage
    console: Console
    accounts: Mapping[Actor, Account]
    #: The accounts' partition keys, in Dagster's order.
    keys: Sequence[str] = ()
    act: int = 0
    comparisons: list[Comparison] = field(default_factory=list)

    @property
    def judge(self) -> Judge:
        return Judge(self.stage.environment.database, self.stage.world)

    def say(self, text: str) -> None:
        self.console.print(Padding(text, (0, 0, 0, 2), expand=False), highlight=False)

    def live(self, actor: Actor, level: Level = Level.AD) -> list[EntityView]:
        """Entities that deliver and that the platform shows, those of the act before included."""
        world = self.stage.world
        campaigns = world.account(actor.account_id).entities["campaign"]
        return [
            entity
            for entity in world.entities(actor.account_id, level.value)
            if entity.effective == "ACTIVE"
            and "channel_type" not in campaigns[entity.campaign_id].traits
        ]

    def advance(self, **delta: float) -> None:
        self.stage.world.advance(**delta)

    def run(self, job: str, *, accounts: bool = True) -> bool:
        """Launch a job, over all accounts in one run, and say how it went."""
        run = launch(self.stage, job, self.keys if accounts else ())
        word = "succeeded" if run.succeeded else "[yellow]failed[/yellow]"
        self.say(f"[dim]run {run.id[:8]}[/dim] {job} {word} in {run.seconds:.1f} s")
        return run.succeeded

    def pending(self, actor: Actor | None = None) -> int:
        """Changes that owe a final sync, of one account or of all."""
        chosen = self.accounts.values() if actor is None else [self.accounts[actor]]
        with self.stage.environment.database.connection() as connection:
            return sum(account_state.count_pending(connection, one.id).pending for one in chosen)

    def wait_for(self, what: str, reached: Callable[[], bool]) -> float:
        """Wait for something that Dagster does by itself; returns the seconds it took."""
        began = time.monotonic()
        while not reached():
            if time.monotonic() - began > WAIT_SECONDS_MAX:
                raise Retryable(f"{what} did not happen within {WAIT_SECONDS_MAX} s; see the UI")
            time.sleep(0.2)
        return time.monotonic() - began

    def days(self, account: Account) -> DateRange:
        """The whole history, up to the account's today."""
        today = account_day(self.stage.clock.now(), account.timezone)
        first = account_day(START, account.timezone) - timedelta(days=HISTORY_DAYS - 1)
        return DateRange(since=first, until=today)

    def compare(self, actor: Actor, ids: Collection[str], level: Level = Level.AD) -> None:
        """Compare these entities with the ledger, over the whole history."""
        account = self.accounts[actor]
        verdict = self.judge.entities(account, level, self.days(account), ids)
        self._remember(actor, actor.counted(len(ids), level), verdict)

    def compare_all(self, actor: Actor, level: Level) -> None:
        """Compare every entity of a level; those never shown must be the residual, exactly."""
        account = self.accounts[actor]
        with self.stage.environment.database.connection() as connection:
            known = entities.known_ids(connection, account, level)
        truth = {entity.id for entity in self.stage.world.entities(actor.account_id, level.value)}
        unseen = sorted(truth - set(known))
        self.compare(actor, known, level)
        verdict = self.judge.residual(account, level, self.days(account), unseen)
        if unseen or not verdict.equal:
            why = ", ".join(verdict.explanations) or "residual"
            self._remember(actor, f"{len(unseen)} hidden: {why}", verdict)

    def show_act(self) -> None:
        """Print the table of the act that ends."""
        shown = [one for one in self.comparisons if one.act == self.act]
        self.console.print(act_table(shown, columns=self.console.width))

    def _remember(self, actor: Actor, what: str, verdict: Verdict) -> None:
        self.comparisons.append(Comparison(self.act, actor, what, verdict))


Act = tuple[str, Callable[[Story], None]]


def play(story: Story, acts: Sequence[Act]) -> None:
    """Play act by act; each ends with its table."""
    for number, (title, act) in enumerate(acts, start=1):
        story.act = number
        story.console.rule(f"Act {number}: {title}", align="left", style="dim")
        act(story)
        story.show_act()


def close(story: Story, titles: Sequence[str], seconds: float) -> bool:
    """The last table; True when every act was equal on every platform and nothing is pending."""
    counts, pending = [], 0
    with story.stage.environment.database.connection() as connection:
        for actor, account in story.accounts.items():
            count = account_state.count_changes(connection, account.id)
            counts.append((actor, f"{count.logged}/{count.done}/{count.pending}"))
            pending += count.pending
    story.console.print(closing_table(titles, story.comparisons, counts))
    for line in LEGEND:
        story.console.print(Padding(line, (0, 0, 0, 2), expand=False), style="dim")
    compared = {(one.act, one.actor) for one in story.comparisons}
    proved = (
        len(compared) == len(titles) * len(story.accounts)
        and all(one.verdict.equal for one in story.comparisons)
        and pending == 0
    )
    story.console.print(
        f"[bold green]Proved[/bold green] in {seconds:.0f} s: every stored number is the ledger's,"
        " to the cent."
        if proved
        else f"[bold red]NOT proved[/bold red] after {seconds:.0f} s: see the tables above.",
        highlight=False,
    )
    return proved
