"""Whether the warehouse is complete: the questions that the promise depends on, in one place.

`adsync verify`, the completeness report and the asset checks ask these six with the same
bounds. The asset checks have a seventh, `oldest_pending_age`, which only warns that work is
slow. The report also says "not complete yet" while work that is not late is left.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from adsync_dagster.platforms.registry import installed
from adsync_dagster.records import Platform
from adsync_dagster.settlement import SettlementRules
from adsync_dagster.sync.environment import Environment
from adsync_dagster.warehouse import checks
from adsync_dagster.warehouse.checks import Findings
from adsync_dagster.warehouse.database import Connection

#: The sensor needs seconds and a back-off reaches an hour; after this a person should look.
FINAL_SYNC_OVERDUE = timedelta(hours=6)
PENDING_OLD = timedelta(hours=1)
#: A day and a bit: a daily ADSYNC_SYNC_CRON is not late yet.
SYNC_STALE = timedelta(hours=26)
_ALL_ROWS = 10_000_000

#: Of days that nobody can read any more.
_BEYOND_REPORTS = (
    " Days counted as beyond_reports are lost, for the platform reports only from reported_from on:"
    " to accept that, set ad_accounts.history_start to that day."
)

#: What to do in Dagster's UI when a check fails, by check name.
WHAT_TO_DO: Mapping[str, str] = {
    "no_final_sync_overdue": (
        "Read the error column. Is the daemon running and status_change_sensor on? Run"
        " `adsync final-sync` for the accounts listed."
    ),
    "oldest_pending_age": (
        "Look at the ticks of status_change_sensor and the queue of runs; `adsync status` shows"
        " the same numbers."
    ),
    "residuals_explained": (
        "Sync the account again for that day (launchpad: date_from and date_until). A residual"
        " that stays is money the platform reports and shows under no entity."
    ),
    "open_days_past_due": (
        "Run settle_job for the accounts listed; if a day stays open, its account's last error"
        " says why." + _BEYOND_REPORTS
    ),
    "triggers_present_and_enabled": (
        "Run `adsync migrate`, or ALTER TABLE ... ENABLE ALWAYS TRIGGER ... for the trigger"
        " listed; then run safety_net_job, which logs what was missed."
    ),
    "every_account_synced": (
        "Read the error column; is account_sync_schedule on? Materialize the account's partition."
    ),
    "no_account_blocked": (
        "Correct what the reason names (renew the token with `adsync accounts add`, restore the"
        " permission); the next sync clears the block by itself."
    ),
}

#: The same as commands, for `adsync verify` and the report; by question.
COMMANDS: Mapping[str, str] = {
    "no_final_sync_overdue": (
        "Run `adsync final-sync ACCOUNT`. If changes stay, their error says why; `adsync doctor`"
        " tells whether daemon and sensor are on."
    ),
    "residuals_explained": (
        "Run `adsync sync ACCOUNT --from DAY --until DAY` with the day listed. A residual that"
        " stays is money the platform reports and shows under no entity."
    ),
    "open_days_past_due": (
        "Run `adsync settle ACCOUNT`; if a day stays open, the account's last error says why."
        + _BEYOND_REPORTS
    ),
    "triggers_present_and_enabled": (
        "Run `adsync migrate`, or ALTER TABLE ... ENABLE ALWAYS TRIGGER ... for the trigger"
        " listed; then `adsync safety-net`, which logs what was missed."
    ),
    "every_account_synced": (
        "Run `adsync sync ACCOUNT`, or wait for the schedule; `adsync doctor` tells whether it"
        " is on. Of an account that was never synced whole nothing is known."
    ),
    "no_account_blocked": (
        "Correct what the reason names (renew the token with `adsync accounts add`, restore the"
        " permission), then run `adsync sync ACCOUNT`."
    ),
}

Rules = Mapping[Platform, SettlementRules]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question of the completeness verdict and its answer."""

    name: str
    asks: str
    findings: Findings
    #: True: a person must act. False: running again helps, or a bug must be found.
    needs_person: bool = False


#: By name, in the order they are told: what a finding is called, and how it is found (on a
#: connection, by the platforms' rules, with at most so many rows).
_ASKED: Mapping[str, tuple[str, Callable[[Connection, Rules, int], Findings]]] = {
    "no_final_sync_overdue": (
        "final syncs overdue",
        lambda connection, _rules, rows_max: checks.overdue_final_syncs(
            connection, FINAL_SYNC_OVERDUE, rows_max=rows_max
        ),
    ),
    "residuals_explained": (
        "residuals without a reason",
        lambda connection, _rules, rows_max: checks.unexplained_residuals(
            connection, rows_max=rows_max
        ),
    ),
    "open_days_past_due": (
        "accounts with open days past due",
        lambda connection, rules, rows_max: checks.overdue_open_days(
            connection, rules, rows_max=rows_max
        ),
    ),
    "triggers_present_and_enabled": (
        "triggers that would not fire",
        lambda connection, _rules, _rows_max: checks.silent_triggers(connection),
    ),
    "every_account_synced": (
        "accounts never synced whole, or not lately",
        lambda connection, _rules, rows_max: checks.stale_accounts(
            connection, SYNC_STALE, rows_max=rows_max
        ),
    ),
    "no_account_blocked": (
        "things that wait for a person",
        lambda connection, _rules, rows_max: checks.blocked_accounts(connection, rows_max=rows_max),
    ),
}
_NEEDS_PERSON = frozenset({"no_account_blocked"})


def findings_of(
    name: str, connection: Connection, rules: Rules, *, rows_max: int = checks.ROWS_MAX
) -> Findings:
    """The answer to one question over all active accounts."""
    _, find = _ASKED[name]
    return find(connection, rules, rows_max)


def ask(environment: Environment) -> list[Question]:
    """Ask the warehouse everything that the promise depends on."""
    with environment.database.connection() as connection:
        return questions(environment, connection)


def questions(
    environment: Environment, connection: Connection, accounts: Collection[str] | None = None
) -> list[Question]:
    """The same, on a connection whose snapshot other questions share; for some accounts only."""
    rows_max = checks.ROWS_MAX if accounts is None else _ALL_ROWS
    rules = rules_in_use(environment)
    asked = [
        Question(
            name=name,
            asks=words,
            findings=findings_of(name, connection, rules, rows_max=rows_max),
            needs_person=name in _NEEDS_PERSON,
        )
        for name, (words, _) in _ASKED.items()
    ]
    return asked if accounts is None else [_of(question, set(accounts)) for question in asked]


def _of(question: Question, accounts: set[str]) -> Question:
    """The question's findings about these accounts; one about the database stays whole."""
    rows = [row for row in question.findings.rows if row.get("account") in {None, *accounts}]
    findings = Findings(total=len(rows), rows=tuple(rows[: checks.ROWS_MAX]))
    return replace(question, findings=findings)


def rows_left_out(connection: Connection) -> Findings:
    """Entities of an adopted database that nothing can be read for: to be told, no failure."""
    forms = {key: plugin.id_forms for key, plugin in installed().items()}
    return checks.rows_left_out(connection, forms)


#: What to do about them.
ROWS_LEFT_OUT = (
    "Rows of your own, such as drafts, may stay: they are left out. Where the platform knows the"
    " object, correct its id."
)


def rules_in_use(environment: Environment) -> dict[Platform, SettlementRules]:
    """The settlement rules of every installed platform."""
    return {platform: environment.adapter(platform).rules for platform in installed()}
