"""The judge of simulated runs: compares the warehouse with the ledger after every tick.

It knows the promise, not the engine: it reads tables with its own SQL and truth from the
world, and shares no code with what reads platforms or writes warehouses. A pipeline that
heals itself hides wrong states in between, so most rules are checked online. Every account is
judged by what its own platform tells (oracle_platforms.py), for as long as its own window.

O1 written numbers are a truth the platform told within the tick
O2 done means: every open day of the entity and all under it is stored, from a read after the change
O3 a logged step and a stored status were true; steps chain without a gap, none is missing
O4 nothing is deleted, orphaned or invented
O5 a stop owes a final sync; a change's state moves only from owed to done; attempts only grow;
    identity never changes
O6 sealed means: read after the platform's window, and equal to the final truth
O7 account days: totals were told by the platform, sums are the sums, rests have a true reason
O8 no token in any log line or stored text
O9 in the end every known entity-day is exact, in both directions
O10 in the end a rest is exactly what never-seen entities had
O11 in the end nothing is owed, but for what is blocked because no report can show it; no account
    is blocked, and the sync of each succeeds; a sync that says so, ever, has read today
O12 in the end, and after each clean whole sync, every status and every parent is the true one, and
    every entity is known and every switch logged that a read or the platform's own history shows
O13 no change is logged twice, whoever told of it
O14 work per tick stays under a bound
"""

from __future__ import annotations

from collections.abc import Callable

from adsync_dagster.simulator import (
    oracle_days,
    oracle_final,
    oracle_log,
    oracle_online,
    oracle_owed,
)
from adsync_dagster.simulator.instants import SECOND
from adsync_dagster.simulator.oracle_records import Judgement, Memory, Reader, Tick, Violation
from adsync_dagster.simulator.oracle_snapshot import Watcher
from adsync_dagster.simulator.oracle_truth import TIKTOK_ADS_MAX, Truth
from adsync_dagster.simulator.world import World

Check = Callable[[oracle_online.Scene], list[Violation]]

ONLINE: tuple[Check, ...] = (
    oracle_online.check_numbers,
    oracle_online.check_done,
    oracle_online.check_statuses,
    oracle_log.check_steps,
    oracle_online.check_nothing_lost,
    oracle_owed.check_owed,
    oracle_online.check_change_states,
    oracle_days.check_sealed,
    oracle_days.check_days,
    oracle_days.check_success,
    oracle_online.check_secrets,
    oracle_online.check_completeness,
    oracle_log.check_history,
    oracle_log.check_duplicates,
    oracle_online.check_work,
)


class Oracle:
    """Judges one run over one world and one warehouse."""

    def __init__(
        self,
        world: World,
        reader: Reader,
        *,
        secrets: tuple[str, ...] = (),
        conversion_credit_micros: int = 1_000_000,
        tiktok_ads_max: int = TIKTOK_ADS_MAX,
        margin_days: int = 0,
        history_days: int = 0,
        history_lag_seconds: int = 0,
    ) -> None:
        self.truth = Truth(
            world,
            conversion_credit_micros,
            tiktok_ads_max,
            margin_days=margin_days,
            history_days=history_days,
            history_lag=history_lag_seconds * SECOND,
        )
        self.memory = Memory()
        self.watcher = Watcher(reader)
        self.secrets = secrets
        self.last_tick: Tick | None = None
        self.watcher.look()

    def after_tick(self, tick: Tick) -> list[Violation]:
        """Everything wrong that this tick brought about."""
        self.last_tick = tick
        scene = oracle_online.Scene(
            self.truth, self.watcher.look(), tick, self.memory, self.secrets
        )
        wrong = [violation for check in ONLINE for violation in check(scene)]
        platforms = {one: account.platform for one, account in self.truth.world.accounts.items()}
        self.memory.keep(tick, platforms)
        return wrong

    def at_quiescence(self) -> Judgement:
        """The end: faults off, every window closed, a last whole sync done."""
        if self.last_tick is None:
            return Judgement()
        self.watcher.look()
        scene = oracle_online.Scene(self.truth, self.watcher.snapshot, self.last_tick, self.memory)
        return oracle_final.judge(scene)
