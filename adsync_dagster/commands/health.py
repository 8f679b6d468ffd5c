"""`adsync status` and `adsync verify`: how things stand, and whether anything is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adsync_dagster.commands.chosen import NO_ACCOUNTS, no_accounts
from adsync_dagster.commands.exits import ExitCode
from adsync_dagster.commands.output import note, say, shown, write_json, write_table
from adsync_dagster.commands.surroundings import open_environment
from adsync_dagster.errors import UsageError
from adsync_dagster.settings import Settings
from adsync_dagster.wording import counted

if TYPE_CHECKING:
    from adsync_dagster.sync.verdict import Question
    from adsync_dagster.warehouse.checks import Findings
    from adsync_dagster.warehouse.overview import AccountStatus

AsJson = Annotated[bool, typer.Option("--json", help="Write the result as JSON to stdout.")]


def status(*, as_json: AsJson = False) -> int:
    """Show how every account stands, and who must do what.

    Last sync, final syncs owed, days open and sealed, residuals. The exit code is 0 whatever
    it shows; `adsync verify` judges.

    \b
    Example: adsync status --json
    """
    from adsync_dagster.warehouse.overview import status_of_accounts

    with (
        open_environment(Settings.from_environment()) as environment,
        environment.database.connection() as connection,
    ):
        rows = status_of_accounts(connection)
    if as_json:
        write_json({"accounts": [{**asdict(row), "to_do": to_do(row)} for row in rows]})
    elif not rows:
        say(NO_ACCOUNTS)
    else:
        _show(rows)
    return ExitCode.OK


def to_do(row: AccountStatus) -> str | None:
    """What this account needs, and from whom; None when nothing does."""
    return _needed(row) if row.is_active else None


def _needed(row: AccountStatus) -> str | None:
    if row.blocked_reason:
        return (
            f"a person: {row.blocked_detail or row.blocked_reason}; then run"
            f" `adsync sync {row.account}`"
        )
    if row.blocked:
        return f"a person: {counted(row.blocked, 'final sync', 'final syncs')} blocked; see verify"
    if row.last_synced_at is None and row.last_sync_error is None:
        return f"run `adsync sync {row.account}`, or let the schedule do it"
    if row.last_sync_error:
        return f"nobody yet, the next sync tries again: {row.last_sync_error}"
    if row.pending:
        return f"nobody: the sensor, or `adsync final-sync {row.account}`"
    return None


def _show(rows: Sequence[AccountStatus]) -> None:
    write_table(
        [
            "account",
            "name",
            "last sync",
            "final syncs owed",
            "since",
            "days open/reconciled/sealed",
            "residual",
        ],
        [_cells(row) for row in rows],
    )
    tasks = [(row.account, task) for row in rows if (task := to_do(row))]
    say("")
    for account, task in tasks:
        say(f"{account}: {task}")
    if not tasks:
        say("nothing waits for anybody")


def _cells(row: AccountStatus) -> list[object]:
    residual = "-"
    if row.residual_days:
        amount = f"{row.residual_spend.normalize():f} {row.currency or ''}".strip()
        residual = f"{amount} on {counted(row.residual_days, 'day')}"
    return [
        row.account,
        row.name if row.is_active else f"{row.name or ''} (removed)",
        shown(row.last_synced_at),
        f"{row.pending} ({row.blocked} blocked)" if row.blocked else row.pending,
        shown(row.oldest_pending) if row.oldest_pending else "-",
        f"{row.days_open}/{row.days_reconciled}/{row.days_sealed}",
        residual,
    ]


def verify(*, as_json: AsJson = False) -> int:
    """Judge whether the warehouse is complete.

    The exit code is 0 only when nothing is missing; work that is in time (a final sync just
    owed) does not count, `adsync status` shows it. Asks for overdue final syncs, unexplained
    residuals, open days past due, accounts that were never synced whole or not for 26 hours,
    silent triggers and everything that is blocked. Removed accounts are left out. Exit code 3
    when only blocked things are left, 2 when there is no account to judge, 1 for the rest.
    Rows that no sync can ask for, such as drafts in an adopted database, are a warning.

    \b
    Example: adsync verify && echo complete
    """
    from adsync_dagster.sync.verdict import ask, rows_left_out
    from adsync_dagster.warehouse.accounts import list_accounts

    with open_environment(Settings.from_environment()) as environment:
        with environment.database.connection() as connection:
            known = list_accounts(connection, also_inactive=True)
        if not any(account.is_active for account in known):
            # An empty warehouse is not a complete one: it may be the wrong database.
            raise UsageError(f"nothing can be judged: {no_accounts(known)}")
        questions = ask(environment)
        with environment.database.connection() as connection:
            left_out = rows_left_out(connection)
    bad = [question for question in questions if question.findings.total]
    if as_json:
        write_json(
            {
                "complete": not bad,
                "checks": [_as_dict(question) for question in questions],
                "rows_left_out": {"found": left_out.total, "rows": list(left_out.rows)},
            }
        )
    else:
        _warn(left_out)
        _tell(questions)
    if not bad:
        return ExitCode.OK
    return ExitCode.BLOCKED if all(q.needs_person for q in bad) else ExitCode.WORK_LEFT


def _as_dict(question: Question) -> dict[str, Any]:
    from adsync_dagster.sync.verdict import COMMANDS

    return {
        "check": question.name,
        "found": question.findings.total,
        "rows": [dict(row) for row in question.findings.rows],
        "what_to_do": COMMANDS[question.name] if question.findings.total else None,
    }


def _warn(left_out: Findings) -> None:
    from adsync_dagster.sync.verdict import ROWS_LEFT_OUT

    if left_out.total:
        say(f"warn  rows that no sync can ask for: {left_out.total}")
        for row in left_out.rows[:5]:
            say("        " + ", ".join(f"{k}={v}" for k, v in row.items() if v is not None))
        note(f"        {ROWS_LEFT_OUT}")


def _tell(questions: Sequence[Question]) -> None:
    from adsync_dagster.sync.verdict import COMMANDS

    for question in questions:
        found = question.findings.total
        say(f"{'ok  ' if not found else 'FAIL'}  {question.asks}: {found}")
        for row in question.findings.rows[:5]:
            say("        " + ", ".join(f"{k}={v}" for k, v in row.items() if v is not None))
        if found:
            note(f"        {COMMANDS[question.name]}")
    bad = sum(1 for question in questions if question.findings.total)
    say("complete" if not bad else f"not complete: {counted(bad, 'check')} failed")
