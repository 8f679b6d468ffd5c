"""Bugs to be planted that lose no number at once: stuck syncs, wrong logs, leaks, storms.

A pipeline with one of them looks well for a long time, which is why the judge asks for more than
right numbers.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from unittest.mock import patch

from simulation.mutants import SEEDS, Mutant, Patches, queries, query

from adsync_dagster import settlement
from adsync_dagster.errors import AdsyncError, IncompleteRead, PlatformBusy
from adsync_dagster.platforms import facebook, google_ads_changes
from adsync_dagster.records import ChangeHint, DateRange, Level
from adsync_dagster.sync import account_sync, change_history, reconciliation
from adsync_dagster.sync import metrics as metrics_sync
from adsync_dagster.sync.reports import AccountReport, Step, StepReport
from adsync_dagster.warehouse import account_days, accounts, changes

#: Seeds in whose first sync reports are empty, and old days are there to be sealed.
EMPTY_SEEDS = (23, 46, 103)
#: Seeds in which Google's list of conversion windows is not whole, once.
WINDOW_SEEDS = (19, 21, 32, 36, 37, 46, 58, 61)


def _syncs_never_succeed() -> list[Any]:
    return [patch.object(AccountReport, "ok", property(lambda _: False))]


def _ads_after_the_first_sync(outcome: Callable[[], StepReport]) -> Patches:
    """What an account's list of ads is worth once the account was synced."""
    real = account_sync.sync_entities

    def once(context: Any, level: Level) -> StepReport:
        if level is Level.AD and context.account.first_synced_at is not None:
            return outcome()
        return real(context, level)

    return lambda: [patch.object(account_sync, "sync_entities", once)]


def _cannot_be_read() -> StepReport:
    raise IncompleteRead("the list of ads cannot be read")


def _nothing_new() -> StepReport:
    return StepReport(counts={"seen": 0})


def _failed_steps_are_a_success() -> list[Any]:
    """The step says that it failed, and the sync says that all is well."""

    def noted(self: Any, step: Step, error: AdsyncError) -> None:
        self.report.steps[step] = StepReport(note=f"failed: {error}", failed=True)

    return [patch.object(account_sync._AccountSync, "_step_failed", noted)]


def _block_never_lifted() -> list[Any]:
    return [
        patch.object(account_sync.accounts, "clear_blocked", lambda *_: None),
        query(
            "mark_synced",
            "blocked_reason = NULL, blocked_detail = NULL, blocked_at = NULL",
            "is_active = is_active",
        ),
    ]


def _margin(days: int) -> Patches:
    """Days are sealed so much sooner or later than the settings say."""
    real = settlement.may_seal

    def other(day: date, timezone: str, started: datetime, rules: Any) -> bool:
        margin = max(rules.margin_days + days, 0)
        return real(day, timezone, started, replace(rules, margin_days=margin))

    return lambda: [patch.object(metrics_sync, "may_seal", other)]


def _unknown_status_stays() -> list[Any]:
    old = "AND (t.read_started_at IS NULL OR t.read_started_at <= excluded.read_started_at)"
    new = f"AND t.effective_status IS DISTINCT FROM 'TELEPORTED' {old}"
    return [queries({f"merge_{name}": (old, new) for name in ("campaigns", "ad_sets", "ads")})]


def _history_never_read() -> list[Any]:
    return [patch.object(account_sync, "read_change_history", lambda *_: StepReport())]


def _unlisted_never_looked_up() -> list[Any]:
    """Histories are read for switches alone: who came and went between two syncs stays unknown."""
    return [patch.object(change_history, "_find_unlisted", lambda *_: change_history._Found())]


def _histories_without_an_overlap() -> list[Any]:
    """A reading begins where the last one ended, so what was shown late is never read.

    Google's local times make its adapter ask for an hour more: that would hide the bug.
    """
    return [
        patch.object(change_history, "OVERLAP", timedelta(0)),
        patch.object(google_ads_changes, "timedelta", lambda **_: timedelta(0)),
    ]


def _hints_the_wrong_way_round() -> list[Any]:
    real = changes.log_hints

    def turned(connection: Any, account: Any, hints: Sequence[ChangeHint], gap: Any) -> int:
        swapped = [
            replace(hint, old_status=hint.new_status, new_status=hint.old_status) for hint in hints
        ]
        return real(connection, account, swapped, gap)

    return [patch.object(change_history.changes, "log_hints", turned)]


def _hints_beside_what_reads_saw() -> list[Any]:
    return [query("log_hint", "OR (l.source <> 'change_history' AND", "OR (false AND")]


def _hints_logged_by_every_sync() -> list[Any]:
    """What tells the history's own rows apart is gone, and all of it is read each time."""
    return [
        query("log_hint", "((l.source = 'change_history' AND", "((false AND"),
        patch.object(change_history, "OVERLAP", timedelta(days=30)),
    ]


def _moves_are_not_stored() -> list[Any]:
    old = (
        "platform_ad_set_id = excluded.platform_ad_set_id, ad_set_id = excluded.ad_set_id,\n"
        "         platform_campaign_id = excluded.platform_campaign_id,"
        " campaign_id = excluded.campaign_id,"
    )
    return [query("merge_ads", old, "")]


def _moves_of_ad_sets_are_not_stored() -> list[Any]:
    old = (
        "platform_campaign_id = excluded.platform_campaign_id, campaign_id = excluded.campaign_id,"
    )
    return [query("merge_ad_sets", old, "")]


def _strangers_are_called_hidden() -> list[Any]:
    real = account_days.classify

    def other(connection: Any, account: Any, level: Any, days: Any, name: Any) -> Any:
        given = "deleted_hidden" if name == "never_seen_entity" else name
        return real(connection, account, level, days, given)

    return [patch.object(reconciliation.account_days, "classify", other)]


def _storm_of_requests() -> list[Any]:
    real = metrics_sync.read_totals

    def again(context: Any, days: DateRange) -> Any:
        for _ in range(300):
            real(context, days)
        return real(context, days)

    return [patch.object(metrics_sync, "read_totals", again)]


def _token_in_a_traceback() -> list[Any]:
    """Another logger of the package tells of an error with all that led to it."""
    real = facebook.check_response

    def leak(response: Any) -> None:
        try:
            real(response)
        except PlatformBusy:
            secret = ValueError("GET /?access_token=sim_campaign_token_canary_51c0")
            logging.getLogger("adsync_dagster.transport").info("again", exc_info=secret)
            raise

    return [patch.object(facebook, "check_response", leak)]


def _token_in_base64() -> list[Any]:
    real = facebook.check_response

    def leak(response: Any) -> None:
        try:
            real(response)
        except PlatformBusy as error:
            header = b64encode(b"Bearer sim_campaign_token_canary_51c0").decode()
            error.args = (f"{error} (sent {header})",)
            raise

    return [patch.object(facebook, "check_response", leak)]


def _empty_days_are_final_at_once() -> list[Any]:
    """One sync that is told nothing of a day is enough."""
    real = account_days.seal

    def at_once(*arguments: Any) -> int:
        with patch.object(account_days, "BELIEVED_AFTER", timedelta(0)):
            return real(*arguments)

    return [patch.object(metrics_sync.account_days, "seal", at_once)]


def _shorter_windows_hold_at_once() -> list[Any]:
    def at_once(_connection: Any, _account: Any, days: int, _longest: int) -> int:
        return days

    return [patch.object(accounts, "set_settling", at_once)]


QUIET_MUTANTS = (
    Mutant("empty_days_are_final_at_once", _empty_days_are_final_at_once, EMPTY_SEEDS, rules="O6"),
    Mutant("shorter_windows_hold_at_once", _shorter_windows_hold_at_once, WINDOW_SEEDS, rules="O6"),
    Mutant("token_in_a_traceback", _token_in_a_traceback, rules="O8"),
    Mutant("token_in_base64", _token_in_base64, rules="O8"),
    Mutant("syncs_never_succeed", _syncs_never_succeed, rules="O11"),
    Mutant(
        "ads_never_listed_again",
        _ads_after_the_first_sync(_cannot_be_read),
        rules="O11",
    ),
    Mutant("ads_listed_once", _ads_after_the_first_sync(_nothing_new), rules="O12"),
    Mutant("failed_steps_are_a_success", _failed_steps_are_a_success, rules="O11"),
    Mutant("block_never_lifted", _block_never_lifted, rules="O11"),
    Mutant("sealed_without_the_margin", _margin(-2), (4, *SEEDS), rules="O6"),
    Mutant("sealed_days_too_late", _margin(20), rules="O9"),
    Mutant("unknown_status_stays", _unknown_status_stays, (7, *SEEDS), rules="O12"),
    Mutant("history_never_read", _history_never_read, (26, *SEEDS), rules="O12"),
    Mutant("unlisted_never_looked_up", _unlisted_never_looked_up, (427, 460), rules="O12"),
    Mutant(
        "histories_without_an_overlap",
        _histories_without_an_overlap,
        (),
        ("switched_on_again_right_before_a_sync",),
        rules="O12",
    ),
    Mutant(
        "hints_the_wrong_way_round",
        _hints_the_wrong_way_round,
        (26, *SEEDS),
        rules="O3",
    ),
    Mutant(
        "hints_beside_what_reads_saw",
        _hints_beside_what_reads_saw,
        (26, *SEEDS),
        rules="O13",
    ),
    Mutant(
        "hints_logged_by_every_sync",
        _hints_logged_by_every_sync,
        (59, *SEEDS),
        rules="O13",
    ),
    Mutant("moves_are_not_stored", _moves_are_not_stored, (7, *SEEDS), rules="O12"),
    Mutant(
        "moves_of_ad_sets_are_not_stored",
        _moves_of_ad_sets_are_not_stored,
        (7, *SEEDS),
        rules="O12",
    ),
    Mutant(
        "strangers_are_called_hidden", _strangers_are_called_hidden, (81, *SEEDS), rules="O7 O9"
    ),
    Mutant("storm_of_requests", _storm_of_requests, rules="O14"),
)
