"""`adsync sync`, `final-sync`, `settle` and `safety-net`: the jobs, started by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adsync_dagster.calendar import begins_nowhere
from adsync_dagster.clock import clock_from_environment
from adsync_dagster.commands.chosen import choose, day_range
from adsync_dagster.commands.exits import ExitCode
from adsync_dagster.commands.output import note, say, write_json, write_table
from adsync_dagster.commands.surroundings import (
    open_environment,
    prepare_dagster,
    require_dagster_storage,
)
from adsync_dagster.errors import UsageError
from adsync_dagster.records import Level
from adsync_dagster.settings import Settings
from adsync_dagster.settlement import REPORTED_DAYS
from adsync_dagster.wording import counted

if TYPE_CHECKING:
    from adsync_dagster.commands.launch import Outcome
    from adsync_dagster.records import Account, DateRange
    from adsync_dagster.sync.environment import Environment

AccountNames = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ACCOUNT",
        help="Keys such as facebook:act_123, or the platform's ids; all accounts when left out.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write the result as JSON to stdout.")]


def sync(
    accounts: AccountNames = None,
    *,
    date_from: Annotated[
        str | None,
        typer.Option("--from", metavar="DATE", help="First account-local day of metrics to read."),
    ] = None,
    date_until: Annotated[
        str | None,
        typer.Option("--until", metavar="DATE", help="Last day of metrics to read, included."),
    ] = None,
    levels: Annotated[
        list[Level] | None,
        typer.Option(
            "--level",
            metavar="LEVEL",
            help="Read metrics of this level only (campaign, adset or ad); repeat for several.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Sync accounts whole, all of them or those named.

    In order: final syncs, campaigns, ad sets, ads, the final syncs that these brought to light
    ("Step 0/4, again" in the log), metrics of every day due. Runs account_sync_job here and
    records it in the Dagster instance that the UI shows. With --from and --until exactly those
    days are read again, sealed ones too. With --level what is read is stored, but no day is
    sealed and the days stay due, because a day is read when all of its levels are.

    \b
    Example: adsync sync facebook:act_123
    """
    days = None
    if date_from is not None or date_until is not None:
        days = day_range(date_from, date_until)
        _require_a_run_can_read(days)
    config: dict[str, Any] = {}
    if days is not None:
        config |= {"date_from": days.since.isoformat(), "date_until": days.until.isoformat()}
    if levels:
        config["levels"] = [level.value for level in dict.fromkeys(levels)]
    return _run_accounts(
        "account_sync_job", accounts or [], config=_for_sync(config), days=days, as_json=as_json
    )


def final_sync(accounts: AccountNames = None, *, as_json: AsJson = False) -> int:
    """Run the final syncs that are still owed.

    For stopped campaigns, ad sets and ads. Runs final_sync_job for the accounts that have
    pending changes and does nothing else.

    \b
    Example: adsync final-sync
    """
    return _run_accounts("final_sync_job", accounts or [], as_json=as_json, only_pending=True)


def settle(accounts: AccountNames = None, *, as_json: AsJson = False) -> int:
    """Read every open day again and seal what is final.

    Runs settle_job. A day is sealed by a complete read after the platform's revision window.

    \b
    Example: adsync settle facebook:act_123
    """
    config = _for_sync({"everything_open": True})
    return _run_accounts("settle_job", accounts or [], config=config, as_json=as_json)


def safety_net(*, as_json: AsJson = False) -> int:
    """Run the weekly safety net over all accounts.

    Logs missed changes and finishes what is pending. Runs safety_net_job and prints its
    report: success, accountsProcessed, totalEntities, totalMetrics.

    \b
    Example: adsync safety-net --json
    """
    from adsync_dagster.commands.launch import run_whole

    settings = Settings.from_environment()
    with open_environment(settings) as environment:
        choose(_accounts(environment), [])
    outcome = run_whole(settings, "safety_net_job")
    return _tell_net(outcome, as_json=as_json)


def _tell_net(outcome: Outcome, *, as_json: bool) -> int:
    report = _net_report(outcome)
    if as_json:
        write_json({**report, "runs": outcome.run_ids})
    else:
        say(
            f"success={str(report['success']).lower()}"
            f" accountsProcessed={report['accountsProcessed']}"
            f" totalEntities={report['totalEntities']} totalMetrics={report['totalMetrics']}"
        )
        for account, reason in report["failures"].items():
            note(f"{account}: {reason}")
    return outcome.code if outcome.code or report["success"] else ExitCode.WORK_LEFT


def _net_report(outcome: Outcome) -> dict[str, Any]:
    """The four names of the report, from the run's metadata."""
    values: dict[str, Any] = {}
    for facts in outcome.facts.values():
        values.update({name.split(".", 1)[1]: value for name, value in facts.items()})
    failures = {failure.account: failure.error for failure in outcome.failures}
    failures.update({f"run {index + 1}": text for index, text in enumerate(outcome.run_errors)})
    names = ("accountsProcessed", "totalEntities", "totalMetrics")
    return {
        "success": not failures,
        **{name: int(values.get(name, 0)) for name in names},
        "failures": failures,
    }


def _run_accounts(
    job_name: str,
    names: Sequence[str],
    *,
    as_json: bool,
    config: Mapping[str, Any] | None = None,
    days: DateRange | None = None,
    only_pending: bool = False,
) -> int:
    from adsync_dagster.commands.launch import run_windows

    settings = Settings.from_environment()
    with open_environment(settings) as environment:
        accounts = _accounts(environment)
        wanted = choose(accounts, names)
        if days is not None:
            _require_reported(environment, [one for one in accounts if one.key in wanted], days)
        if only_pending:
            wanted = [key for key in wanted if _pending(environment).get(key, (0, 0))[0]]
    if not wanted:
        return _tell_nothing_pending(as_json=as_json)
    prepare_dagster(settings)
    require_dagster_storage()
    note(f"{job_name}: {counted(len(wanted), 'account')}")
    outcome = run_windows(
        settings,
        job_name,
        active=[account.key for account in accounts if account.is_active],
        wanted=wanted,
        config=config,
    )
    with open_environment(settings) as environment:
        left = _pending(environment)
    return _tell(outcome, wanted, left, as_json=as_json)


def _tell_nothing_pending(*, as_json: bool) -> int:
    if as_json:
        write_json({"success": True, "runs": [], "accounts": []})
    else:
        say("no final sync is pending")
    return ExitCode.OK


def _tell(
    outcome: Outcome,
    wanted: Sequence[str],
    left: Mapping[str, tuple[int, int]],
    *,
    as_json: bool,
) -> int:
    """Say per account what happened; the exit code follows the worst of it."""
    failures = {failure.account: failure for failure in outcome.failures}
    rows = []
    for key in wanted:
        failure = failures.get(key)
        pending, blocked = left.get(key, (0, 0))
        rows.append(
            {
                "account": key,
                "ok": failure is None and not outcome.run_errors,
                "pending": pending,
                "blocked": blocked,
                "error": None if failure is None else failure.error,
                "what_helps": None if failure is None else failure.what_helps,
            }
        )
    if as_json:
        write_json({"success": outcome.code == 0, "runs": outcome.run_ids, "accounts": rows})
    else:
        _show(rows, outcome)
    return outcome.code


def _show(rows: Sequence[Mapping[str, Any]], outcome: Outcome) -> None:
    write_table(
        ["account", "result", "final syncs pending", "blocked"],
        [
            [row["account"], "done" if row["ok"] else "failed", row["pending"], row["blocked"]]
            for row in rows
        ],
    )
    for row in rows:
        if row["error"]:
            # Many errors begin with the account themselves.
            error = row["error"].removeprefix(f"{row['account']}: ")
            note(f"{row['account']}: {error} ({row['what_helps']})")
    for text in outcome.run_errors:
        note(text)


def _accounts(environment: Environment) -> list[Account]:
    """All accounts there are, removed ones too."""
    from adsync_dagster.warehouse import accounts

    with environment.database.connection() as connection:
        return accounts.list_accounts(connection, also_inactive=True)


def _pending(environment: Environment) -> dict[str, tuple[int, int]]:
    """Pending and blocked changes by account key; accounts that owe nothing are absent."""
    from adsync_dagster.warehouse import changes

    with environment.database.connection() as connection:
        return {
            row.account_key: (row.pending, row.blocked)
            for row in changes.pending_summary(connection)
        }


def _for_sync(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The launch configuration of the account sync; None for what the schedules run."""
    return {"ops": {"account_sync": {"config": dict(config)}}} if config else None


def _require_a_run_can_read(days: DateRange) -> None:
    """Refuse days that no account could be asked for, before anything is opened."""
    if days.days > REPORTED_DAYS:
        raise UsageError(
            f"--from {days.since} --until {days.until} are {days.days:,} days; read at most"
            f" {REPORTED_DAYS:,} (37 months) in one run"
        )
    if begins_nowhere(days.until, clock_from_environment().now()):
        raise UsageError(f"--until {days.until} lies in the future for every account")


def _require_reported(
    environment: Environment, accounts: Sequence[Account], days: DateRange
) -> None:
    """Refuse days that none of the accounts can be asked for, before a run is recorded.

    When some can, the run does what is possible and names the others.
    """
    from adsync_dagster.platforms.registry import installed
    from adsync_dagster.sync.metrics import require_reported

    now = environment.clock.now()
    refused = []
    for account in accounts:
        if account.platform not in installed():
            return
        try:
            require_reported(account, environment.adapter(account.platform).rules, now, days)
        except UsageError as error:
            refused.append(error)
        else:
            return
    if refused:
        raise refused[0]
