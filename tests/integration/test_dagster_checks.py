"""The asset checks against a real warehouse: each finds its own trouble, and only that."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
from dagster_support import add_accounts, pause_a_campaign

from adsync_dagster.assets.account_sync import ACCOUNT_ASSETS
from adsync_dagster.assets.checks import CHECKS, WHAT_TO_DO, cell
from adsync_dagster.assets.status_change_log import AD_STATUS_CHANGE_LOG
from adsync_dagster.clock import VirtualClock
from adsync_dagster.definitions import build_definitions
from adsync_dagster.records import Account
from adsync_dagster.report.service import write_report
from adsync_dagster.settings import Settings
from adsync_dagster.settlement import first_reported_day
from adsync_dagster.sync.environment import Environment
from adsync_dagster.sync.verdict import ask
from adsync_dagster.warehouse import accounts
from adsync_dagster.warehouse.checks import ROWS_MAX
from adsync_dagster.warehouse.database import Database
from adsync_dagster.warehouse.tokens import TokenVault


@pytest.fixture
def environment(database: Database, clock: VirtualClock, tmp_path: Path) -> Environment:
    """The real surroundings, over the test's database."""
    settings = Settings(home=tmp_path)
    return Environment(
        database=database,
        clock=clock,
        settings=settings,
        vault=TokenVault.from_settings(settings),
    )


@pytest.fixture
def synced(database: Database) -> Account:
    """An account in good order: just synced, its history beginning today."""
    account = add_accounts(database, 1)[0]
    with database.connection() as connection:
        accounts.mark_synced(connection, account)
        accounts.set_history_start(connection, account, date(2026, 3, 10))
    return account


def run_checks(environment: Environment) -> dict[str, dg.AssetCheckEvaluation]:
    """Run the job of all checks; its evaluations by name."""
    definitions = build_definitions(environment.settings, resources={"adsync": environment})
    with dg.instance_for_test() as instance:
        result = definitions.resolve_job_def("health_checks_job").execute_in_process(
            instance=instance
        )
    return {e.check_name: e for e in result.get_asset_check_evaluations()}


def failing(environment: Environment) -> set[str]:
    """The names of the checks that fail now."""
    return {name for name, check in run_checks(environment).items() if not check.passed}


def rows(check: dg.AssetCheckEvaluation) -> list[dict[str, Any]]:
    """The offending rows that a failed check shows."""
    table = check.metadata["rows"]
    assert isinstance(table, dg.TableMetadataValue)
    return [dict(record.data) for record in table.records]


def execute(database: Database, statement: str, *parameters: object) -> None:
    """A statement in the test's database, under its clock."""
    with database.connection() as connection:
        connection.execute(statement, parameters or None)  # type: ignore[arg-type]


def seal_days(database: Database, account: Account, first: date, last: date) -> None:
    """Say that these days are final at every level."""
    execute(
        database,
        "INSERT INTO ad_account_days (ad_account_id, date, level, state, read_started_at,"
        " sealed_at) SELECT %s, day, level, 'sealed', now(), now()"
        " FROM generate_series(%s::date, %s::date, '1 day') AS day,"
        " unnest(ARRAY['campaign', 'adset', 'ad']) AS level",
        account.id,
        first,
        last,
    )


def test_a_healthy_warehouse_passes_every_check(environment: Environment, synced: Account) -> None:
    """All seven run in one job, and none complains about an account in good order."""
    checks = run_checks(environment)

    assert set(checks) == {check.name for check in CHECKS}
    assert {name for name, check in checks.items() if not check.passed} == set()


def test_an_overdue_final_sync_is_listed_with_its_age(
    environment: Environment, database: Database, synced: Account
) -> None:
    """A change of seven hours ago that nothing blocks fails both checks of pending work."""
    pause_a_campaign(database, synced, since="7 hours")

    checks = run_checks(environment)

    assert {n for n, c in checks.items() if not c.passed} == {
        "no_final_sync_overdue",
        "oldest_pending_age",
    }
    [row] = rows(checks["no_final_sync_overdue"])
    assert (row["account"], row["platform_entity_id"]) == (synced.key, "c1")
    assert checks["no_final_sync_overdue"].severity is dg.AssetCheckSeverity.ERROR
    assert checks["oldest_pending_age"].severity is dg.AssetCheckSeverity.WARN
    assert checks["oldest_pending_age"].metadata["oldest_pending_minutes"].value == 420.0
    for name in ("no_final_sync_overdue", "oldest_pending_age"):
        assert checks[name].metadata["what_to_do"].value == WHAT_TO_DO[name]


def test_a_young_change_worries_nobody(
    environment: Environment, database: Database, synced: Account
) -> None:
    """Work that is merely pending is the ordinary state of affairs."""
    pause_a_campaign(database, synced, since="50 minutes")

    assert failing(environment) == set()


def test_a_long_list_is_cut_and_its_number_is_exact(
    environment: Environment, database: Database, synced: Account
) -> None:
    """A check shows the first rows and says how many there are in all."""
    for number in range(ROWS_MAX + 3):
        pause_a_campaign(database, synced, f"c{number}", since="7 hours")

    check = run_checks(environment)["no_final_sync_overdue"]

    assert check.metadata["found"].value == ROWS_MAX + 3
    assert len(rows(check)) == ROWS_MAX


def test_a_blocked_change_is_reported_as_blocked_and_not_as_overdue(
    environment: Environment, database: Database, synced: Account
) -> None:
    """What waits for a person is listed with its reason, in one place."""
    pause_a_campaign(database, synced, since="7 hours")
    execute(
        database,
        "UPDATE ad_status_change_log SET blocked_reason = 'permission',"
        " final_sync_error = 'the token may not read c1'",
    )

    checks = run_checks(environment)

    assert {n for n, c in checks.items() if not c.passed} == {"no_account_blocked"}
    [row] = rows(checks["no_account_blocked"])
    assert row["account"] == synced.key
    assert row["what"] == "1 changes"
    assert row["reason"] == "permission"
    assert row["detail"] == "the token may not read c1"


def test_a_blocked_account_lists_its_reason_and_is_not_called_stale(
    environment: Environment, database: Database, synced: Account
) -> None:
    """An expired token is one finding, not three."""
    pause_a_campaign(database, synced, since="7 hours")
    with database.connection() as connection:
        accounts.set_blocked(connection, synced, "credential", "the token has expired")
    execute(database, "UPDATE ad_accounts SET last_synced_at = adsync_now() - interval '9 days'")

    checks = run_checks(environment)

    assert {n for n, c in checks.items() if not c.passed} == {"no_account_blocked"}
    [row] = rows(checks["no_account_blocked"])
    assert (row["what"], row["reason"]) == ("the account", "credential")


@pytest.mark.parametrize(
    ("residual", "found"),
    [
        ((None, "open"), 1),
        (("unexplained", "open"), 1),
        (("moving", "open"), 0),
        (("moving", "sealed"), 1),
        (("never_seen_entity", "sealed"), 0),
        (("deleted_hidden", "sealed"), 1),
    ],
)
def test_a_residual_needs_a_reason(
    environment: Environment,
    database: Database,
    synced: Account,
    residual: tuple[str | None, str],
    found: int,
) -> None:
    """Money that the rows do not explain is shown until something explains it."""
    residual_class, state = residual
    execute(
        database,
        "INSERT INTO ad_account_days (ad_account_id, date, level, state, read_started_at,"
        " sealed_at, total_spend, stored_spend, residual_class)"
        " VALUES (%s, '2026-03-01', 'ad', %s, now(), now(), 10, 7.5, %s)",
        synced.id,
        state,
        residual_class,
    )

    checks = run_checks(environment)

    assert checks["residuals_explained"].metadata["found"].value == found
    assert checks["residuals_explained"].passed == (found == 0)
    if found:
        [row] = rows(checks["residuals_explained"])
        assert (row["account"], row["date"], row["spend"]) == (synced.key, "2026-03-01", "2.5")


def test_days_past_their_window_must_be_sealed_also_those_never_read(
    environment: Environment, database: Database, synced: Account, clock: VirtualClock
) -> None:
    """Thirty-two days after its end a Meta day is overdue, whether it has a row or not."""
    clock.instant += timedelta(days=32)  # 2026-04-11: the tenth of March ended 31 days ago
    execute(database, "UPDATE ad_accounts SET last_synced_at = adsync_now()")
    assert failing(environment) == set()

    clock.instant += timedelta(days=1)
    execute(database, "UPDATE ad_accounts SET last_synced_at = adsync_now()")
    checks = run_checks(environment)
    assert {n for n, c in checks.items() if not c.passed} == {"open_days_past_due"}
    [row] = rows(checks["open_days_past_due"])
    assert (row["account"], row["day_levels_not_sealed"]) == (synced.key, 3)

    seal_days(database, synced, date(2026, 3, 10), date(2026, 3, 10))
    assert failing(environment) == set()


def test_days_that_the_platform_no_longer_reports_stay_missing_until_a_person_accepts_it(
    environment: Environment, database: Database, synced: Account, clock: VirtualClock
) -> None:
    """An account out of reach for years is not complete again only because its days are too old."""
    rules = environment.adapter(synced.platform).rules
    clock.instant += timedelta(days=rules.retention_days + 1)
    reported_from = first_reported_day(clock.now().date(), rules)
    assert reported_from == date(2026, 3, 12)
    seal_days(database, synced, reported_from, clock.now().date())
    execute(database, "UPDATE ad_accounts SET last_synced_at = adsync_now()")

    checks = run_checks(environment)

    assert {n for n, c in checks.items() if not c.passed} == {"open_days_past_due"}
    [row] = rows(checks["open_days_past_due"])
    assert row["beyond_reports"] == row["day_levels_not_sealed"] == 3 * 2
    assert row["reported_from"] == reported_from.isoformat()
    assert "ad_accounts.history_start" in str(checks["open_days_past_due"].description)

    execute(database, "UPDATE ad_accounts SET history_start = %s", reported_from)
    assert failing(environment) == set()


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("ALTER TABLE ads DISABLE TRIGGER trigger_log_ad_status_change", "disabled"),
        ("ALTER TABLE ads ENABLE TRIGGER trigger_log_ad_status_change", "needs ENABLE ALWAYS"),
        ("DROP TRIGGER trigger_log_ad_status_change ON ads", "missing"),
        ("ALTER TABLE ad_sets DISABLE TRIGGER zzz_track_adset_status_change", "disabled"),
        ("DROP TRIGGER trigger_log_campaign_first_sight ON ad_campaigns", "missing"),
    ],
)
def test_a_silenced_trigger_fails_at_once(
    environment: Environment, database: Database, synced: Account, statement: str, problem: str
) -> None:
    """Without its triggers the log is blind, and nothing else would show it."""
    execute(database, statement)

    checks = run_checks(environment)

    assert {n for n, c in checks.items() if not c.passed} == {"triggers_present_and_enabled"}
    [row] = rows(checks["triggers_present_and_enabled"])
    assert problem in str(row["problem"])
    assert row["trigger"] in statement


def test_an_account_without_a_sync_for_a_day_is_listed_with_its_error(
    environment: Environment, database: Database, synced: Account
) -> None:
    """A schedule that is off or an account that keeps failing shows, with the last error."""
    execute(database, "UPDATE ad_accounts SET last_synced_at = adsync_now() - interval '27 hours'")
    with database.connection() as connection:
        accounts.mark_sync_failed(connection, synced, "half a page")

    checks = run_checks(environment)

    assert {n for n, c in checks.items() if not c.passed} == {"every_account_synced"}
    [row] = rows(checks["every_account_synced"])
    assert (row["account"], row["error"]) == (synced.key, "half a page")


def test_an_account_that_was_never_synced_is_not_complete(
    environment: Environment, database: Database, clock: VirtualClock, tmp_path: Path
) -> None:
    """However new it is, nothing is known of it: verify, checks and report say the same.

    The check only warns while its first sync is not late, so that nobody is called out of bed.
    """
    account = add_accounts(database, 1)[0]

    found = {one.name for one in ask(environment) if one.findings.total}
    assert failing(environment) == found == {"every_account_synced"}
    check = run_checks(environment)["every_account_synced"]
    assert check.severity is dg.AssetCheckSeverity.WARN
    summary = write_report(environment, tmp_path / "report.html")
    assert (summary.verdict, len(summary.reasons)) == ("incomplete", 1)

    clock.instant += timedelta(hours=27)
    check = run_checks(environment)["every_account_synced"]
    assert check.severity is dg.AssetCheckSeverity.ERROR

    with database.connection() as connection:
        accounts.set_blocked(connection, account, "credential", "expired")
    assert failing(environment) == {"no_account_blocked"}


def test_one_late_account_among_new_ones_is_an_error(
    environment: Environment, database: Database, synced: Account
) -> None:
    """The warning for new accounts never covers an old one, wherever it stands in the list."""
    execute(database, "UPDATE ad_accounts SET last_synced_at = adsync_now() - interval '27 hours'")
    add_accounts(database, 3)
    execute(
        database,
        "UPDATE ad_accounts SET first_synced_at = NULL, last_synced_at = NULL WHERE id <> %s",
        synced.id,
    )

    check = run_checks(environment)["every_account_synced"]

    assert check.metadata["found"].value == 3
    assert check.severity is dg.AssetCheckSeverity.ERROR


def test_days_are_due_by_the_accounts_own_window(
    environment: Environment,
    database: Database,
    synced: Account,
    clock: VirtualClock,
    tmp_path: Path,
) -> None:
    """An account that settles after four days is late after six, not after the platform's 30."""
    execute(database, "UPDATE ad_accounts SET settles_after_days = 4")
    for days, late in ((6, set()), (1, {"open_days_past_due"})):
        clock.instant += timedelta(days=days)
        execute(database, "UPDATE ad_accounts SET last_synced_at = adsync_now()")
        found = {one.name for one in ask(environment) if one.findings.total}
        assert failing(environment) == found == late
        with psycopg.connect(database.url) as connection:
            connection.execute(
                "SELECT set_config('adsync.now', %s, false)", [clock.instant.isoformat()]
            )
            row = connection.execute(
                "SELECT bool_or(overdue) FROM v_account_completeness"
            ).fetchone()
        assert row == (bool(late),)


def test_a_removed_account_is_nobodys_worry(
    environment: Environment, database: Database, synced: Account
) -> None:
    """Deactivating an account ends every complaint about it."""
    pause_a_campaign(database, synced, since="7 hours")
    with database.connection() as connection:
        accounts.set_blocked(connection, synced, "credential", "expired")
        accounts.deactivate(connection, synced)

    assert failing(environment) == set()


def test_the_columns_that_assets_show_are_the_ones_in_the_database(database_url: str) -> None:
    """The column schemas in the UI name existing columns, with their types."""
    specs = [asset.spec for asset in ACCOUNT_ASSETS] + [AD_STATUS_CHANGE_LOG]
    shown = {
        (str(spec.metadata["dagster/table_name"]), column.name, column.type)
        for spec in specs
        if "dagster/column_schema" in spec.metadata
        for column in spec.metadata["dagster/column_schema"].columns
    }
    with psycopg.connect(database_url) as connection:
        stored = connection.execute(
            "SELECT c.relname, a.attname, replace(format_type(a.atttypid, a.atttypmod),"
            " 'timestamp with time zone', 'timestamptz')"
            " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0"
        ).fetchall()

    assert len(shown) > 50
    assert shown <= set(stored)


def test_values_fit_dagsters_tables_and_decimals_stay_exact() -> None:
    """Tables hold text and numbers; an exact amount never passes through float."""
    assert cell(date(2026, 3, 1)) == "2026-03-01"
    assert cell(None) is None
    assert cell(Decimal("1200.500000")) == "1200.5"
