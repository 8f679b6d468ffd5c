"""Plays a scenario: world and faults on one side, the engine on the other, the judge between.

First the safety phase: everything the scenario says, judged after every tick. Then the
liveness phase: faults off, rights restored, activity ended, the clock moved past every
window; now everything must come to rest, exact and complete.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from adsync_dagster.errors import AdsyncError, Defect
from adsync_dagster.settings import Settings
from adsync_dagster.simulate.actions import Stage
from adsync_dagster.simulate.building import SECRETS, TOKENS, build, credential_of
from adsync_dagster.simulate.capture import Capture, captured
from adsync_dagster.simulate.cluster import Arena
from adsync_dagster.simulate.engine import Answers, Engine
from adsync_dagster.simulate.exchange import SimulatedClock
from adsync_dagster.simulate.faulty_database import wait_until_unlocked
from adsync_dagster.simulate.hazards import PATHS, may_strike, platform_of
from adsync_dagster.simulate.io import Crash, IoFault, IoFaultKind, IoKind
from adsync_dagster.simulate.scenario import Event, Scenario
from adsync_dagster.simulator.faults import Hit
from adsync_dagster.simulator.instants import SECOND, micros
from adsync_dagster.simulator.oracle import Oracle
from adsync_dagster.simulator.oracle_queries import oracle_queries
from adsync_dagster.simulator.oracle_records import Judgement, Tick
from adsync_dagster.simulator.simulator import Simulator
from adsync_dagster.simulator.world import World
from adsync_dagster.sync.account_sync import sync_account
from adsync_dagster.sync.environment import Environment
from adsync_dagster.sync.final_sync import process_all_pending_final_syncs
from adsync_dagster.sync.reports import ENTITY_STEPS, Step
from adsync_dagster.sync.safety_net import run_safety_net
from adsync_dagster.sync.settling import settle_account

BEGINNING = datetime(2026, 3, 1, tzinfo=UTC)
#: Days after the end of activity at which the liveness phase syncs; the first three are
#: fractions of a day. Purchases are dated up to 26 days after the last click.
REST_DAYS: tuple[float, ...] = (0.05, 0.3, 1.5, 9.0, 25.0, 40.0, 62.0)
#: So long after the end of activity an object may be hidden, which is longer than days move on
#: most accounts.
HIDDEN_DAYS = 40.0
#: What a pause leaves out of all this begins here.
PAUSE_BEGINS_DAYS = 2.0
#: Where an account's days move longer than Meta's, syncs go on until this much after that.
REST_BEYOND_WINDOW_DAYS = 12.0
#: Another sync when the last one could not finish everything, at most so often, and late
#: enough for every open day to be due again.
LAST_SYNCS_MAX = 4
LAST_SYNC_HOURS = 21


@dataclass(slots=True)
class Outcome:
    """How one scenario ended."""

    seed: int
    judgement: Judgement
    ticks: int = 0
    requests: int = 0
    #: How often each fault struck, each action was played, each state was passed.
    sometimes: dict[str, int] = field(default_factory=dict)
    #: A defect or another exception of the engine, in words.
    crashed: str | None = None

    @property
    def word(self) -> str:
        """pass, fail, defect or unknown."""
        return "defect" if self.crashed else self.judgement.word

    @property
    def failed(self) -> bool:
        """Whether the engine broke its promise."""
        return self.word in {"fail", "defect"}


class Runner:
    """One scenario being played."""

    def __init__(self, scenario: Scenario, arena: Arena) -> None:
        self.scenario = scenario
        self.arena = arena
        config = scenario.config
        self.clock = SimulatedClock(BEGINNING + timedelta(minutes=config.start_minute))
        self.world = World(seed=scenario.seed, clock=self.clock)
        self.simulator = Simulator(self.world)
        self.stage = Stage(self.simulator, TOKENS)
        self.latency_seconds = config.latency_seconds
        self.answers = Answers()
        self.outcome = Outcome(scenario.seed, Judgement())
        self.capture = Capture()
        #: What passed the tap in the last tick, and whether a fault struck there.
        self.passages: list[IoKind] = []
        self.struck = False
        self.lives = 0
        arena.reset()
        self._build()
        self.engine = self._new_life()
        self.keys = [
            self.engine.add_account(account, credential_of(account.platform, managed=plan.managed))
            for account, plan in zip(self.world.accounts.values(), config.accounts, strict=True)
        ]
        self.oracle = self.new_oracle()

    def new_oracle(self) -> Oracle:
        """A judge that takes the warehouse as it is now for its beginning."""
        return Oracle(
            self.world,
            self.arena.connection,
            secrets=SECRETS,
            conversion_credit_micros=self.scenario.config.google_ads.conversion_credit_micros,
            tiktok_ads_max=self.scenario.config.tiktok.ads_considered_max,
            margin_days=self.scenario.config.margin_days,
            history_days=self.scenario.config.history_kept_days,
            history_lag_seconds=self.scenario.config.google_ads.change_lag_seconds,
        )

    # ── the two phases ────────────────────────────────────────────────────────────────────

    def play(self, until_tick: int | None = None) -> Outcome:
        """Run both phases; stops at the first violation."""
        try:
            with captured(self.capture):
                if self._safety(until_tick) and until_tick is None:
                    self._liveness()
        finally:
            self.engine.close()
        self._count_hits()
        return self.outcome

    def _safety(self, until_tick: int | None) -> bool:
        begin = self.clock.now()
        for event in self.scenario.events:
            if event.kind == "late":
                continue
            self.clock.instant = max(self.clock.now(), begin + timedelta(minutes=event.minute))
            if not self._happen(event):
                return False
            if until_tick is not None and self.outcome.ticks >= until_tick:
                return False
        return True

    def _happen(self, event: Event) -> bool:
        if event.kind == "run":
            return self.tick(event.name)
        if event.kind == "act":
            self._note(f"act:{event.name}", self.stage.play(event))
        elif event.kind == "fault":
            self.simulator.faults.arm(event.name, **event.options)
        elif event.kind == "calm":
            self._calm(lambda name: name == event.name)
        else:
            fault = IoFault(at=event.picks[0], kind=IoFaultKind(event.name))
            self.engine.tap.arm(fault)
        return True

    def _calm(self, is_over: Callable[[str], bool]) -> None:
        for rule in [one for one in self.simulator.faults.rules if is_over(one.name)]:
            self.simulator.faults.disarm(rule)

    def _liveness(self) -> None:
        self._heal()
        if not self._rest():
            return
        for _ in range(LAST_SYNCS_MAX):
            judgement = self.oracle.at_quiescence()
            if judgement.word != "fail":
                break
            self.clock.instant += timedelta(hours=LAST_SYNC_HOURS)
            if not self.tick("sync"):
                return
        self.outcome.judgement = judgement

    def _heal(self) -> None:
        """Faults off, rights restored, activity over. What is hidden may stay so for weeks."""
        self._calm(lambda name: name != "missing_by_id")
        self.engine.tap.arm(None)
        for token in self.stage.tokens.values():
            token.revoked = False
        for account in self.world.accounts.values():
            self.world.set_account_status(account.id, 1)
        if not self.scenario.config.keep_running:
            self._end_activity()

    def _rest(self) -> bool:
        """Sync until every account's days are final; False when something is wrong."""
        begin = self.clock.now()
        late = [event for event in self.scenario.events if event.kind == "late"]
        rest_days = self._rest_days()
        for days in rest_days:
            moment = begin + timedelta(days=days)
            while late and begin + timedelta(minutes=late[0].minute) <= moment:
                self._happen_late(begin, late.pop(0))
            self.clock.instant = max(self.clock.now(), moment)
            if days > HIDDEN_DAYS:
                self.simulator.faults.disarm()
            if days == rest_days[-1]:
                # The last look is at one instant: no day begins while accounts take turns.
                self.latency_seconds = 0.0
            name = "safety_net" if days == 9.0 else "sync"
            if not self.tick(name):
                return False
        return True

    def _rest_days(self) -> tuple[float, ...]:
        """When the liveness phase syncs: until after the last day of every account is final."""
        longest = max(account.window_days for account in self.world.accounts.values())
        days, end = REST_DAYS, longest + REST_BEYOND_WINDOW_DAYS
        if end > days[-1]:
            days = (*days, *((end + days[-1]) / 2,) * (longest > 60), end)
        pause = self.scenario.config.rest_pause_days
        return tuple(one for one in days if one < PAUSE_BEGINS_DAYS or one > pause)

    def _happen_late(self, begin: datetime, event: Event) -> None:
        """Something happens while everything else has come to rest."""
        self.clock.instant = max(self.clock.now(), begin + timedelta(minutes=event.minute))
        self._note(f"late:{event.name}", self.stage.play(event))

    def _end_activity(self) -> None:
        for account in self.world.accounts.values():
            for campaign in account.entities["campaign"].values():
                if campaign.now.own == "ACTIVE":
                    self.world.pause("campaign", campaign.id)

    # ── one tick ──────────────────────────────────────────────────────────────────────────

    def tick(self, name: str) -> bool:
        """Run a service once and judge; False when something is wrong."""
        self.outcome.ticks += 1
        wait_until_unlocked(self.arena.connection, oracle_queries["locks"])
        started, hits = micros(self.clock.now()), len(self.simulator.faults.hits)
        self.answers.instants.clear()
        self.answers.requests = 0
        self.capture.lines.clear()
        self.engine.tap.passed.clear()
        synced = self._run(name)
        statements = len(self.engine.tap.passed)
        fresh = self.simulator.faults.hits[hits:]
        tap = self.engine.tap
        self.passages, self.struck = list(tap.passed), tap.struck is not None
        faults = self._faults_of(fresh)
        if tap.dead:
            self._restart()
        else:
            tap.arm(tap.fault if tap.struck is None else None)
        tick = replace(
            self._tick_record(name, started, synced, statements),
            faults=faults,
            planted=self._planted(fresh),
        )
        self.outcome.requests += tick.requests
        violations = self.oracle.after_tick(tick)
        self.outcome.judgement.violations += violations
        return not violations and self.outcome.crashed is None

    def _run(self, name: str) -> frozenset[str]:
        """Run a service on every account; the accounts that a whole sync was good for."""
        environment, synced = self.engine.environment, set()
        try:
            if name == "safety_net":
                if defects := run_safety_net(environment).defects:
                    self.outcome.crashed = f"the safety net met a bug with {defects}"
                return frozenset()
            for key in self.keys:
                if name == "sync":
                    if sync_account(environment, key).ok:
                        synced.add(key.partition(":")[2])
                else:
                    _SERVICES[name](environment, key)
        except Crash:
            return frozenset()
        except Defect as error:
            self.outcome.crashed = f"{type(error).__name__}: {error}"
        except AdsyncError as error:
            self._note(f"raised:{error.family}")
        return frozenset(synced)

    def _restart(self) -> None:
        self.engine.close()
        self.engine = self._new_life()
        self._note("restart")

    def _tick_record(
        self,
        name: str,
        started: int,
        synced: frozenset[str],
        statements: int,
    ) -> Tick:
        answered = [micros(instant) for instant in self.answers.instants]
        delay = self.scenario.config.reporting_delay_seconds * SECOND
        late = {platform: sorted(self._late(platform)) for platform in PATHS}
        return Tick(
            number=self.outcome.ticks,
            name=name,
            started=started,
            ended=micros(self.clock.now()),
            numbers_seen={
                one: [(a, a - delay - lag) for a in answered for lag in lags]
                for one, lags in late.items()
            },
            entities_seen={
                one: [(a, a - lag) for a in answered for lag in lags] for one, lags in late.items()
            },
            requests=self.answers.requests,
            statements=statements,
            synced=synced,
            log_text="\n".join(self.capture.lines),
        )

    def _faults_of(self, hits: Sequence[Hit]) -> dict[str, frozenset[str]]:
        """Names of the faults that struck, by platform, and under "" what struck the process."""
        struck: dict[str, frozenset[str]] = {}
        for hit in hits:
            platform = platform_of(hit.path)
            struck[platform] = struck.get(platform, frozenset()) | {hit.name}
        machine = self.engine.tap.struck
        if machine is not None:
            struck[""] = frozenset({f"io:{machine[0]}:{machine[1]}"})
            self._note(f"io:{machine[0]}:{machine[1]}")
        return struck

    def _planted(self, hits: Sequence[Hit]) -> dict[str, frozenset[str]]:
        """By platform: what the faults that struck put in the place of statuses."""
        rules = {rule.id: rule.options for rule in self.simulator.faults.rules}
        planted: dict[str, frozenset[str]] = {}
        for hit in hits:
            options, platform = rules[hit.rule_id], platform_of(hit.path)
            if str(options.get("field")).lower().endswith("status"):
                before = planted.get(platform, frozenset())
                planted[platform] = before | {str(options.get("value"))}
        return planted

    def _late(self, platform: str) -> set[int]:
        """How far back the platform's answers may be taken from: not at all, or as a fault says."""
        seconds = {
            int(rule.options["seconds"])
            for rule in self.simulator.faults.rules
            if rule.name == "stale" and rule.fired and may_strike(rule.path.pattern, platform)
        }
        return {0, *(one * SECOND for one in seconds)}

    # ── building ──────────────────────────────────────────────────────────────────────────

    def _build(self) -> None:
        build(self.simulator, self.scenario.config)

    def _new_life(self) -> Engine:
        self.lives += 1
        config = self.scenario.config
        return Engine(
            self.arena.url,
            self.simulator,
            self.clock,
            seed=self.scenario.seed * 1_000 + self.lives,
            spare=self.arena.spare,
            answered=self._answered,
            settings=replace(
                Settings(),
                history_days=max(plan.history_days for plan in config.accounts) + 2,
                recent_days=config.recent_days,
                options={
                    f"ADSYNC_{platform.upper()}_MARGIN_DAYS": str(config.margin_days)
                    for platform in config.platforms
                },
            ),
            config=config,
        )

    def _answered(self, instant: datetime) -> None:
        self.answers.note(instant)
        self.clock.instant += timedelta(seconds=self.latency_seconds)

    def _note(self, what: str, happened: bool = True) -> None:
        self.outcome.sometimes[what] = self.outcome.sometimes.get(what, 0) + happened

    def _count_hits(self) -> None:
        for hit in self.simulator.faults.hits:
            self._note(f"fault:{hit.name}")
            self._note(f"struck:{platform_of(hit.path)}:{hit.name}")
        for change in self.oracle.watcher.snapshot.changes.values():
            self._note(f"change:{change.source}:{change.completed}")


_SERVICES: dict[str, Callable[[Environment, str], object]] = {
    "final_syncs": process_all_pending_final_syncs,
    "settle": settle_account,
    "step 0": lambda env, key: sync_account(env, key, frozenset({Step.FINAL_SYNCS})),
    "entities": lambda env, key: sync_account(env, key, ENTITY_STEPS),
    "metrics": lambda env, key: sync_account(env, key, frozenset({Step.METRICS})),
}


def play(scenario: Scenario, arena: Arena, *, until_tick: int | None = None) -> Outcome:
    """Play one scenario from beginning to end."""
    return Runner(scenario, arena).play(until_tick)
