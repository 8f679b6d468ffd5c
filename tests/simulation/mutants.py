"""Bugs to be planted in the engine, one at a time: what the oracle must be able to see.

Each mutant patches product functions for the length of a block. Most are bugs that real
connectors have. One of `seeds` must catch it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

from adsync_dagster import settlement
from adsync_dagster.errors import IncompleteRead, PlatformBusy
from adsync_dagster.platforms import (
    facebook,
    facebook_batch,
    facebook_insights,
    facebook_wire,
)
from adsync_dagster.records import DateRange, Entity, Level
from adsync_dagster.simulate.cluster import Arena
from adsync_dagster.simulate.draw import draw_scenario
from adsync_dagster.simulate.scenario import Scenario
from adsync_dagster.sync import entities as entity_sync
from adsync_dagster.sync import final_sync, reconciliation
from adsync_dagster.sync import metrics as metrics_sync
from adsync_dagster.transport import PlatformClient
from adsync_dagster.warehouse import account_days, changes, entities, metrics
from adsync_dagster.warehouse import queries as warehouse_queries
from adsync_dagster.warehouse.entities import MergeCounts

Patches = Callable[[], list[Any]]
#: Scenarios that once showed a bug.
CORPUS = Path(__file__).parent / "corpus"


def seeds_of(*platforms: str, count: int) -> tuple[int, ...]:
    """The first seeds whose accounts are of just these platforms."""
    fitting = (seed for seed in range(1, 1000) if draw_scenario(seed).config.platforms == platforms)
    return tuple(islice(fitting, count))


#: The budget of every mutant: accounts of Meta alone.
SEEDS = seeds_of("facebook", count=30)


@dataclass(frozen=True)
class Mutant:
    """A planted bug, and the seeds of which one must catch it, the likeliest first.

    `replays` are scenarios of the corpus that are played before the seeds. `rules` are those of
    the oracle (see oracle.py), separated by blanks, of which one must see it first.
    """

    name: str
    patches: Patches
    seeds: tuple[int, ...] = SEEDS
    replays: tuple[str, ...] = ()
    #: A table, and the trigger of its that is off.
    trigger: tuple[str, str] | None = None
    #: A function of the database with its argument types, a text in it, and what stands for that.
    function: tuple[str, str, str] | None = None
    rules: str = ""

    def scenarios(self) -> Iterator[Scenario]:
        """What has to show the bug, one after the other."""
        for name in self.replays:
            yield Scenario.from_json((CORPUS / f"{name}.json").read_bytes())
        yield from map(draw_scenario, self.seeds)

    @contextmanager
    def planted(self, arena: Arena) -> Iterator[None]:
        """The engine has the bug inside the block, and so has the arena's database."""
        with ExitStack() as stack:
            # Last of all: a query that was made of a patched text must not outlive it.
            stack.callback(warehouse_queries.level_query.cache_clear)
            if self.trigger is not None:
                stack.enter_context(_without_trigger(arena, *self.trigger))
            if self.function is not None:
                stack.enter_context(_with_function(arena, *self.function))
            for change in self.patches():
                stack.enter_context(change)
            yield


def query(name: str, old: str, new: str) -> Any:
    """A patched named query; the text to be replaced must be there."""
    return queries({name: (old, new)})


def queries(changes: Mapping[str, tuple[str, str]]) -> Any:
    """Several patched queries: name -> the text to be replaced, and by what."""
    texts = dict(warehouse_queries._load())
    for name, (old, new) in changes.items():
        assert old in texts[name], f"the query {name} no longer holds {old!r}"
        texts[name] = texts[name].replace(old, new)
    warehouse_queries.level_query.cache_clear()
    return patch.object(warehouse_queries, "_load", lambda: texts)


def _done_without_metrics() -> list[Any]:
    return [patch.object(final_sync.metrics, "merge_metrics", _merges_nothing)]


def _merges_nothing(connection: Any, account: Any, level: Any, started: Any) -> MergeCounts:
    """Only for final syncs: step 4 calls with a stage of many entities through the same name."""
    if _called_from("final_sync"):
        return MergeCounts(0, 0, 0)
    return _MERGE(connection, account, level, started)


_MERGE = metrics.merge_metrics


def _called_from(module: str) -> bool:
    frame: Any = sys._getframe(2)
    while frame is not None:
        if frame.f_globals.get("__name__", "").endswith(f"sync.{module}"):
            return True
        if frame.f_globals.get("__name__", "").startswith("adsync_dagster.sync."):
            return False
        frame = frame.f_back
    return False


def _vanished_ignored() -> list[Any]:
    return [patch.object(entity_sync.entities, "absent_ids", lambda *_: [])]


def _no_settling() -> list[Any]:
    def plan(*, start: date, now: datetime, timezone: str, days: Any, rules: Any, **_: Any) -> Any:
        first = start if not days else now.astimezone(UTC).date() - timedelta(days=1)
        whole = settlement.plan(start=start, now=now, timezone=timezone, days=days, rules=rules)
        return [
            DateRange(since=max(part.since, first), until=part.until)
            for part in whole
            if part.until >= first
        ]

    return [patch.object(metrics_sync, "plan", plan)]


def _final_sync_of_two_days() -> list[Any]:
    real = final_sync.open_range

    def short(*arguments: Any) -> DateRange:
        days = real(*arguments)
        return DateRange(since=max(days.since, days.until - timedelta(days=1)), until=days.until)

    return [patch.object(final_sync, "open_range", short)]


def _totals_from_our_own_rows() -> list[Any]:
    real = account_days.reconcile

    def agree(connection: Any, account: Any, level: Any, days: Any) -> list[Any]:
        apart = real(connection, account, level, days)
        account_days.classify(
            connection, account, level, [rest.date for rest in apart], "never_seen_entity"
        )
        return []

    return [patch.object(reconciliation.account_days, "reconcile", agree)]


def _claimed_once() -> list[Any]:
    return [
        query(
            "claim_pending",
            "AND next_attempt_at <= adsync_now()",
            "AND next_attempt_at <= adsync_now() AND final_sync_attempted_at IS NULL"
            " AND claim_token IS NULL",
        )
    ]


def _final_sync_by_account_report() -> list[Any]:
    def by_account(self: Any, account_id: str, level: Level, *rest: Any) -> Any:
        _, days, started_at = rest
        verdict = yield from self.report(account_id, level, days, started_at)
        return verdict

    return [patch.object(facebook.FacebookAdapter, "report_entities", by_account)]


def _trust_truncated_page() -> list[Any]:
    real = facebook_wire.page_of

    def trusting(payload: Any, purpose: str) -> Any:
        try:
            return real(payload, purpose)
        except IncompleteRead:
            rows = payload.get("data") if isinstance(payload, dict) else None
            return facebook_wire.Page(rows if isinstance(rows, list) else [], None, None)

    return [
        patch.object(facebook_wire, "page_of", trusting),
        patch.object(facebook_insights, "page_of", trusting),
        patch.object(final_sync, "_vanished", lambda *_: set()),
    ]


def _trust_empty_page_in_final_sync() -> list[Any]:
    return [patch.object(final_sync, "_vanished", lambda *_: set())]


def _failed_items_are_empty() -> list[Any]:
    real = facebook_batch._body

    def lenient(answer: Any, work: Any, item: Any) -> Any:
        try:
            return real(answer, work, item)
        except (IncompleteRead, PlatformBusy):
            return {"data": []}

    return [
        patch.object(facebook_batch, "_body", lenient),
        patch.object(final_sync, "_vanished", lambda *_: set()),
    ]


def _empty_report_is_zero() -> list[Any]:
    real = metrics.absent_rows

    def absent(connection: Any, account: Any, level: Any, days: Any, ids: Any = None) -> Any:
        gone = real(connection, account, level, days, ids)
        if not _called_from("final_sync"):
            now = connection.execute("SELECT adsync_now()").fetchone()[0]
            metrics.zero_rows(connection, account, level, gone, now)
        return []

    return [patch.object(metrics_sync.metrics, "absent_rows", absent)]


def _vanished_is_deleted() -> list[Any]:
    def resolve(context: Any, level: Level, stage: Any, absent: Any) -> list[str]:
        stage.add(
            [
                Entity(
                    level=level,
                    platform_id=platform_id,
                    name="gone",
                    status="DELETED",
                    platform_status="DELETED",
                    effective_status="DELETED",
                )
                for platform_id in absent
            ]
        )
        return []

    return [patch.object(entity_sync, "_resolve_vanished", resolve)]


def _gives_up() -> list[Any]:
    real = changes.record_failure

    def give_up(connection: Any, log_ids: Any, token: Any, error: str, **more: Any) -> int:
        changes.complete(connection, log_ids, token)
        return real(connection, log_ids, token, error, **more)

    return [patch.object(final_sync.changes, "record_failure", give_up)]


def _fixed_look_back() -> list[Any]:
    real = settlement.plan

    def plan(*, start: date, now: datetime, days: Any, **more: Any) -> Any:
        first = max(start, now.astimezone(UTC).date() - timedelta(days=30))
        recent = {day: state for day, state in days.items() if day >= first}
        return real(start=first, now=now, days=recent, **more)

    return [patch.object(metrics_sync, "plan", plan)]


def _sealed_after_a_week() -> list[Any]:
    real = settlement.may_seal

    def early(day: date, timezone: str, started: datetime, rules: Any) -> bool:
        return real(day, timezone, started, replace(rules, window_days=7))

    return [patch.object(metrics_sync, "may_seal", early)]


def _no_descendants() -> list[Any]:
    real = entities.descendants

    def alone(connection: Any, account: Any, level: Any, entity_id: Any, **more: Any) -> Any:
        below = real(connection, account, level, entity_id, **more)
        return [ref for ref in below if ref.level == level]

    return [patch.object(entities, "descendants", alone)]


def _greatest_wins() -> list[Any]:
    return [
        query(
            "merge_metrics",
            "impressions = excluded.impressions, clicks = excluded.clicks,",
            "impressions = greatest(t.impressions, excluded.impressions),"
            " clicks = greatest(t.clicks, excluded.clicks),",
        )
    ]


def _days_of_utc() -> list[Any]:
    def utc_day(instant: datetime, timezone: str) -> date:
        return instant.astimezone(UTC).date()

    return [
        patch.object(final_sync, "account_day", utc_day),
        patch.object(settlement, "account_day", utc_day),
    ]


def _own_switch_only() -> list[Any]:
    real = facebook.parse_entity

    def own(row: Any, question: Any) -> Entity:
        entity = real(row, question)
        return replace(entity, effective_status=entity.status)

    return [
        patch.object(facebook, "parse_entity", own),
        patch.dict(facebook.read_listing.__globals__, {"parse_entity": own}),
    ]


def _moving_days_are_sealed() -> list[Any]:
    def content(context: Any, level: Any, classes: Any) -> set[date]:
        with context.session.transaction() as connection:
            account_days.classify(
                connection, context.account, level, list(classes), "never_seen_entity"
            )
        return set()

    return [
        patch.object(reconciliation, "_classify", content),
        patch.object(reconciliation, "_complete_hidden", _as_given),
        patch.object(reconciliation, "_ask_the_silent", _not_asked),
    ]


def _hidden_never_asked() -> list[Any]:
    return [
        patch.object(reconciliation, "_complete_hidden", _as_given),
        patch.object(reconciliation, "_ask_the_silent", _not_asked),
    ]


def _as_given(_context: Any, _totals: Any, residuals: Any, *_: Any) -> Any:
    """Instead of reading hidden entities by id: the residuals stay as they are."""
    return residuals


def _not_asked(*_: Any) -> None:
    """Instead of asking those that have no row."""


def _mixed_up_batch_is_believed() -> list[Any]:
    """Only the item that answers for another object is asked again."""
    return [patch.object(facebook_batch, "OtherObject", ZeroDivisionError)]


def _mark_before_metrics() -> list[Any]:
    real = final_sync._read_and_commit

    def early(context: Any, round_: Any, level: Any, ids: Any, report: Any) -> None:
        finished = round_.finished_by({(level, platform_id) for platform_id in ids})
        with context.session.transaction() as connection:
            changes.complete(connection, finished, round_.token)
        round_.drop(finished)
        real(context, round_, level, ids, report)

    return [patch.object(final_sync, "_read_and_commit", early)]


def _page_without_next_is_the_end() -> list[Any]:
    real = facebook_wire._next_cursor
    return [
        patch.object(
            facebook_wire,
            "_next_cursor",
            lambda page, cursors, purpose: None if cursors else real(page, cursors, purpose),
        ),
        patch.object(entity_sync, "LIVING_ABSENT_MAX", 1000),
    ]


def _one_empty_answer_is_proof() -> list[Any]:
    return [
        patch.object(reconciliation, "_SEEN_APART", frozenset({None, *_SEEN_APART})),
        patch.object(account_days, "BELIEVED_AFTER", timedelta(0)),
    ]


_SEEN_APART = reconciliation._SEEN_APART


def _totals_move_behind_the_rows() -> list[Any]:
    return [query("record_totals", "THEN 'open' ELSE d.state END", "THEN d.state ELSE d.state END")]


def _token_in_the_error() -> list[Any]:
    real = facebook.check_response

    def leak(response: Any) -> None:
        try:
            real(response)
        except PlatformBusy as error:
            error.args = (f"{error} (token sim_campaign_token_canary_51c0)",)
            raise

    return [patch.object(facebook, "check_response", leak)]


@contextmanager
def _without_trigger(arena: Arena, table: str, trigger: str) -> Iterator[None]:
    arena.connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}".encode())
    try:
        yield
    finally:
        arena.connection.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}".encode())


@contextmanager
def _with_function(arena: Arena, signature: str, old: str, new: str) -> Iterator[None]:
    found = arena.connection.execute("SELECT pg_get_functiondef(%s::regprocedure)", (signature,))
    (text,) = found.fetchone() or ("",)
    assert old in text, f"the function {signature} no longer holds {old!r}"
    arena.connection.execute(text.replace(old, new).encode())
    try:
        yield
    finally:
        arena.connection.execute(text.encode())


def _missing_is_done() -> list[Any]:
    """What cannot be read by id has no numbers, so there is nothing to wait for."""
    real, doubts = PlatformClient.run, final_sync._vanished
    hidden: set[str] = set()

    def run(self: Any, steps: Any, keep: Any) -> Any:
        verdict = real(self, steps, keep)
        if _called_from("final_sync"):
            hidden.update(verdict.missing_ids)
            return replace(verdict, missing_ids=frozenset())
        return verdict

    return [
        patch.object(PlatformClient, "run", run),
        patch.object(final_sync, "_vanished", lambda *given: doubts(*given) - hidden),
    ]


MUTANTS = (
    Mutant("done_without_metrics", _done_without_metrics, rules="O2"),
    Mutant("mark_before_metrics", _mark_before_metrics, rules="O2"),
    Mutant("vanished_ignored", _vanished_ignored, rules="O12"),
    Mutant("vanished_is_deleted", _vanished_is_deleted, (4, *SEEDS), rules="O3"),
    Mutant("no_settling", _no_settling, rules="O9 O10 O11"),
    Mutant("final_sync_of_two_days", _final_sync_of_two_days, rules="O2"),
    Mutant("no_residual_check", _totals_from_our_own_rows, rules="O7"),
    Mutant("claimed_once", _claimed_once, rules="O11"),
    Mutant("final_sync_by_account_report", _final_sync_by_account_report, (18, *SEEDS), rules="O7"),
    Mutant("trust_truncated_page", _trust_truncated_page, rules="O2"),
    Mutant("page_without_next_is_the_end", _page_without_next_is_the_end, rules="O11 O12"),
    Mutant("trust_empty_page_in_final_sync", _trust_empty_page_in_final_sync, rules="O2"),
    Mutant("failed_items_are_empty", _failed_items_are_empty, rules="O2"),
    Mutant(
        "mixed_up_batch_is_believed",
        _mixed_up_batch_is_believed,
        replays=("batch_answers_for_other_objects",),
        rules="O2",
    ),
    Mutant("empty_report_is_zero", _empty_report_is_zero, rules="O1"),
    Mutant("gives_up", _gives_up, rules="O2"),
    Mutant("fixed_look_back", _fixed_look_back, rules="O9 O10"),
    Mutant("sealed_after_a_week", _sealed_after_a_week, rules="O6"),
    Mutant("no_descendants", _no_descendants, rules="O2"),
    Mutant("greatest_wins", _greatest_wins, rules="O1"),
    Mutant("days_of_utc", _days_of_utc, (5, *SEEDS), rules="O2 O11"),
    Mutant("own_switch_only", _own_switch_only, rules="O12"),
    Mutant("moving_days_are_sealed", _moving_days_are_sealed, rules="O7"),
    Mutant("hidden_never_asked", _hidden_never_asked, rules="O9 O10 O11"),
    Mutant(
        "first_sight_not_logged", list, trigger=("ads", "trigger_log_ad_first_sight"), rules="O3"
    ),
    Mutant(
        "first_sight_owes_nothing",
        list,
        function=("log_first_sight()", "false, 'first_sight'", "NULL, 'first_sight'"),
        rules="O5",
    ),
    Mutant(
        "only_a_pause_owes_a_final_sync",
        list,
        function=(
            "requires_final_sync(text, text)",
            "NOT is_delivering(new_status)",
            "upper(new_status) = 'PAUSED'",
        ),
        rules="O5",
    ),
    Mutant("one_empty_answer_is_proof", _one_empty_answer_is_proof, (49, 76, *SEEDS), rules="O1"),
    Mutant("totals_move_behind_the_rows", _totals_move_behind_the_rows, (13, *SEEDS), rules="O7"),
    Mutant("missing_is_done", _missing_is_done, (76, *SEEDS), rules="O2"),
    Mutant("token_in_the_error", _token_in_the_error, rules="O8"),
)
