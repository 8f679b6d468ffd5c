"""`adsync doctor`: is everything in place that a sync needs? One line per thing looked at."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adsync_dagster import crash_points
from adsync_dagster.clock import CLOCKS_APART_SECONDS_MAX, SystemClock
from adsync_dagster.commands.doctor_accounts import examine_accounts
from adsync_dagster.commands.doctor_dagster import (
    look_at_dagster,
    look_at_monitoring,
    runs_at_once,
)
from adsync_dagster.commands.doctor_machine import (
    look_at_connections,
    look_at_disks,
    look_at_rights,
)
from adsync_dagster.commands.exits import ExitCode, code_of, one_line, worst
from adsync_dagster.commands.findings import Finding
from adsync_dagster.commands.output import say, write_json
from adsync_dagster.commands.surroundings import (
    DAGSTER_PG_URL,
    default_dagster_home,
    open_database,
    open_instance,
)
from adsync_dagster.errors import AdsyncError
from adsync_dagster.platforms.built_in import BUILT_IN
from adsync_dagster.platforms.registry import installed
from adsync_dagster.settings import Settings
from adsync_dagster.wording import counted

if TYPE_CHECKING:
    from adsync_dagster.warehouse.database import Connection, Database
    from adsync_dagster.warehouse.overview import ServerFacts


def doctor(
    *,
    offline: Annotated[bool, typer.Option("--offline", help="Leave the platforms alone.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the findings as JSON.")] = False,
) -> int:
    """Look at everything that a sync needs.

    Disks, database, rights, schema, triggers, credentials, platforms; Dagster's storage, daemons,
    sensors and schedules, and runs that nobody starts. Reads each account from its platform once,
    to see that its credential works. Changes no data.

    \b
    Example: adsync doctor --offline
    """
    findings: list[Finding] = []
    for finding in examine(Settings.from_environment(), offline=offline):
        findings.append(finding)
        if not as_json:
            say(f"{_mark(finding)}  {finding.subject}: {finding.detail}")
    code = worst([finding.code for finding in findings])
    if as_json:
        write_json({"healthy": code == 0, "findings": [_as_dict(f) for f in findings]})
    else:
        bad = sum(1 for finding in findings if finding.code)
        warnings = sum(1 for finding in findings if finding.warning and not finding.code)
        told = f"{counted(bad, 'problem')} found" if bad else "all is well"
        say(told + (f", {counted(warnings, 'warning')}" if warnings else ""))
    return code


def _mark(finding: Finding) -> str:
    return "FAIL" if finding.code else "warn" if finding.warning else "ok  "


def _as_dict(finding: Finding) -> dict[str, Any]:
    values = asdict(finding)
    values["code"] = int(finding.code)
    return {"ok": not finding.code, **values}


def examine(settings: Settings, *, offline: bool) -> Iterator[Finding]:
    """Everything, from the ground up; what rests on something broken is not looked at."""
    yield from _home(settings)
    yield from _platforms()
    try:
        with open_database(settings) as database:
            yield from _database(database, settings, offline=offline)
    except AdsyncError as error:
        yield _failed("database", error)
    yield from _guarded("alerts", lambda: _alerts(settings, offline=offline))
    yield from _guarded("Dagster", lambda: _dagster(settings))


def _guarded(subject: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings, or one that says why there are none."""
    try:
        yield from look()
    except AdsyncError as error:
        yield _failed(subject, error)


def _failed(subject: str, error: AdsyncError) -> Finding:
    return Finding(subject=subject, detail=one_line(str(error)), code=code_of(error))


def _platforms() -> Iterator[Finding]:
    added = [plugin for plugin in installed().values() if plugin not in BUILT_IN]
    yield Finding(
        subject="platforms",
        detail=", ".join(installed())
        + "".join(f"; {plugin.key} comes from {plugin.package}" for plugin in added),
    )


def _home(settings: Settings) -> Iterator[Finding]:
    for name in ("token.key",):
        path = settings.home / name
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Finding(
                subject="key file",
                detail=f"others can read {path}: chmod 600 it",
                code=ExitCode.USAGE,
            )
    yield Finding(subject="home", detail=str(settings.home))
    if os.environ.get(crash_points.VARIABLE):
        yield Finding(
            subject="crash point",
            detail=f"{crash_points.VARIABLE} is set: processes end in the middle of their work;"
            " unset it unless this is a test",
            warning=True,
        )
    yield from look_at_disks(settings, default_dagster_home(settings))


def _database(database: Database, settings: Settings, *, offline: bool) -> Iterator[Finding]:
    from adsync_dagster.warehouse.migrations import require_current
    from adsync_dagster.warehouse.overview import server_facts

    with database.connection() as connection:
        before = SystemClock().now()
        facts = server_facts(connection)
        skew = (facts.server_time - before).total_seconds()
        yield from _server(facts, skew)
        yield from look_at_connections(facts.connections_max, _runs_at_once(settings), settings)
        try:
            require_current(connection, embedded_in=settings.embedded_in)
        except AdsyncError as error:
            yield _failed("schema", error)
            return
        yield Finding(subject="schema", detail="current")
        yield from _triggers(connection)
        yield from _left_out(connection)
        yield from _undelivered(connection)
        yield from look_at_rights(connection, settings)
    yield from examine_accounts(settings, offline=offline)


def _runs_at_once(settings: Settings) -> int | None:
    """How many runs Dagster starts at most; None when it sets no limit, or cannot be opened."""
    try:
        with open_instance(settings) as instance:
            return runs_at_once(instance)
    except Exception:  # noqa: BLE001  looking at Dagster itself says why; the database comes first
        return None


def _server(facts: ServerFacts, skew_seconds: float) -> Iterator[Finding]:
    from adsync_dagster.warehouse.database import SERVER_VERSION_MIN

    too_old = facts.version_number < SERVER_VERSION_MIN
    yield Finding(
        subject="database",
        detail=f"PostgreSQL {facts.version}, database {facts.database}"
        + ("; adsync needs PostgreSQL 15 or later" if too_old else ""),
        code=ExitCode.USAGE if too_old else ExitCode.OK,
    )
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        value = getattr(facts, name)
        if value in {"off", "local"}:
            yield Finding(
                subject=name,
                detail=f"is {value}: a crash of the server can lose what was called done",
                code=ExitCode.USAGE,
            )
    if facts.read_only == "on":
        yield Finding(
            subject="database",
            detail="takes no writes (a standby, or default_transaction_read_only)",
            code=ExitCode.USAGE,
        )
    far = abs(skew_seconds) > CLOCKS_APART_SECONDS_MAX
    yield Finding(
        subject="clock",
        detail=f"the database is {skew_seconds:+.1f} s from this host"
        + ("; set both by NTP" if far else ""),
        warning=far,
    )


def _triggers(connection: Connection) -> Iterator[Finding]:
    from adsync_dagster.warehouse.checks import silent_triggers

    findings = silent_triggers(connection)
    for row in findings.rows:
        yield Finding(
            subject="trigger",
            detail=f"{row['trigger']} on {row['table']}: {row['problem']}",
            code=ExitCode.USAGE,
        )
    if not findings.total:
        yield Finding(subject="triggers", detail="present, ENABLE ALWAYS")


def _left_out(connection: Connection) -> Iterator[Finding]:
    """Rows of an adopted database that no sync can ask for."""
    from adsync_dagster.sync.verdict import ROWS_LEFT_OUT, rows_left_out

    findings = rows_left_out(connection)
    if findings.total:
        first = findings.rows[0]
        yield Finding(
            subject="rows left out",
            detail=f"{counted(findings.total, 'row')} without an id that the platform could have"
            f" given, the first in {first['table']} with the id {first['id']}"
            f" ({first['account']}). {ROWS_LEFT_OUT}",
            warning=True,
        )


def _alerts(settings: Settings, *, offline: bool) -> Iterator[Finding]:
    """Where alerts go. A mail server is spoken to; a webhook takes nothing but messages."""
    from adsync_dagster.transport.mail import try_login

    chosen = settings.alerts
    if not chosen.channels:
        yield Finding(
            subject="alerts",
            detail="nobody is told of failures; set ADSYNC_ALERT_WEBHOOK_URL or"
            " ADSYNC_ALERT_EMAIL_TO",
        )
    if chosen.webhook_url is not None:
        yield Finding(subject="webhook", detail="set; `adsync alert test` sends a message")
    if chosen.mail is not None:
        where = f"{chosen.mail.host}:{chosen.mail.port} ({chosen.mail.security})"
        if not offline:
            try_login(chosen.mail)
        yield Finding(
            subject="mail",
            detail=f"{where} {'is set' if offline else 'lets us in'};"
            " `adsync alert test` sends a message",
        )


def _undelivered(connection: Connection) -> Iterator[Finding]:
    """Alerts that a channel did not take so far."""
    from adsync_dagster.warehouse.alerts import list_alerts

    errors = {row.channel: row.error for row in list_alerts(connection) if row.error}
    for channel, error in sorted(errors.items()):
        yield Finding(
            subject="alerts",
            detail=f"the last message by {channel} was not taken: {error}",
            warning=True,
        )


def _dagster(settings: Settings) -> Iterator[Finding]:
    home = default_dagster_home(settings)
    if home.exists() and stat.S_IMODE(home.stat().st_mode) & 0o022:
        yield Finding(
            subject="Dagster home",
            detail=f"others can write to {home}: chmod go-w it",
            code=ExitCode.USAGE,
        )
    with open_instance(settings) as instance:
        runs = instance.get_runs_count()
        bases = {base.__name__ for base in type(instance.run_storage).__mro__}
        storage = "SQLite" if "SqliteRunStorage" in bases else "PostgreSQL"
        yield Finding(
            subject="Dagster",
            detail=f"home {home}, runs kept in {storage}, {counted(runs, 'run')} recorded",
        )
        yield from look_at_dagster(instance, SystemClock().now())
        yield from look_at_monitoring(instance)
    yield from _dagster_storage(settings)


def _dagster_storage(settings: Settings) -> Iterator[Finding]:
    if settings.database_url and not os.environ.get(DAGSTER_PG_URL):
        yield Finding(
            subject="Dagster storage",
            detail=f"SQLite files in {settings.home / 'dagster'}; set {DAGSTER_PG_URL} to a"
            " database of its own before more than one host runs Dagster",
            warning=True,
        )
