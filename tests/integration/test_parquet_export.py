"""The Parquet export: exact types, honest days, whole files or none, bounded memory."""

from __future__ import annotations

import builtins
import tracemalloc
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command import Shell
from dagster_support import add_accounts
from psycopg.rows import dict_row
from warehouse_support import merge_numbers, numbers

from adsync_dagster import parquet_export
from adsync_dagster.clock import VirtualClock
from adsync_dagster.errors import UsageError
from adsync_dagster.parquet_export import Exported, export_metrics
from adsync_dagster.records import Account, DateRange, Level
from adsync_dagster.settings import Settings
from adsync_dagster.sync.environment import Environment
from adsync_dagster.warehouse import account_days, accounts
from adsync_dagster.warehouse.database import AccountSession, Connection, Database
from adsync_dagster.warehouse.tokens import TokenVault

T0 = datetime(2026, 3, 10, tzinfo=UTC)
MARCH = DateRange(since=date(2026, 3, 1), until=date(2026, 3, 31))
#: What pandas, DuckDB or Spark will see.
TYPES = {
    "level": pa.string(),
    "date": pa.date32(),
    "day_state": pa.string(),
    "ad_account_id": pa.string(),
    "account": pa.string(),
    "platform": pa.string(),
    "account_name": pa.string(),
    "currency": pa.string(),
    "entity_id": pa.string(),
    "platform_campaign_id": pa.string(),
    "campaign_name": pa.string(),
    "platform_ad_set_id": pa.string(),
    "ad_set_name": pa.string(),
    "platform_ad_id": pa.string(),
    "ad_name": pa.string(),
    "impressions": pa.int64(),
    "clicks": pa.int64(),
    "link_clicks": pa.int64(),
    "spend": pa.decimal128(18, 6),
    "conversions": pa.decimal128(18, 6),
    "conversion_value": pa.decimal128(18, 6),
    "reach": pa.int64(),
    "frequency": pa.decimal128(18, 6),
    "cpc": pa.decimal128(24, 6),
    "cpm": pa.decimal128(24, 6),
    "ctr": pa.decimal128(24, 6),
    "roas": pa.decimal128(24, 6),
    "cost_per_conversion": pa.decimal128(24, 6),
    "read_started_at": pa.timestamp("us", tz="UTC"),
    "updated_at": pa.timestamp("us", tz="UTC"),
}


@pytest.fixture
def environment(database: Database, clock: VirtualClock, tmp_path: Path) -> Environment:
    """The real surroundings, over the test's database."""
    settings = Settings(home=tmp_path / "home")
    vault = TokenVault.from_settings(settings)
    return Environment(database=database, clock=clock, settings=settings, vault=vault)


@pytest.fixture
def stocked(session: AccountSession, account: Account) -> Connection:
    """Ten days of one entity per level; the first of them sealed for ads, the rest open."""
    accounts.set_history_start(session.connection, account, date(2026, 3, 1))
    days = [date(2026, 3, 1) + timedelta(days=offset) for offset in range(10)]
    rows = [
        row
        for day in days
        for row in (
            numbers("a1", day, spend="1234567.123456"),
            numbers("s1", day, level=Level.ADSET, adset_id=None),
            numbers("c1", day, level=Level.CAMPAIGN, campaign_id=None, adset_id=None, clicks="0"),
        )
    ]
    merge_numbers(session, account, rows, T0)
    connection = session.connection
    account_days.record_read(connection, account, Level.AD, days[:1], T0)
    connection.execute("UPDATE ad_account_days SET state = 'sealed', sealed_at = now()")
    return connection


def test_a_folder_gets_a_file_per_level_and_the_account_days(
    environment: Environment, stocked: Connection, tmp_path: Path
) -> None:
    """Levels are apart, so that nobody adds them up; the days stand beside them."""
    exported = export_metrics(environment, tmp_path / "out", MARCH)

    assert {(file.path.name, file.rows) for file in exported.files} == {
        ("metrics_campaign_2026-03-01_2026-03-31.parquet", 10),
        ("metrics_adset_2026-03-01_2026-03-31.parquet", 10),
        ("metrics_ad_2026-03-01_2026-03-31.parquet", 10),
        ("account_days_2026-03-01_2026-03-31.parquet", 10),
    }
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        file.path.name for file in exported.files
    )
    assert exported.days == (0, 0, 10)


def test_types_and_values_are_exact(
    environment: Environment, stocked: Connection, tmp_path: Path
) -> None:
    """Every column has its documented type, every value is the view's own."""
    path = tmp_path / "ads.parquet"
    export_metrics(environment, path, MARCH, levels=[Level.AD])

    schema = pq.read_schema(path)
    assert {field.name: field.type for field in schema} == TYPES
    cursor = stocked.cursor(row_factory=dict_row)
    expected = cursor.execute("SELECT * FROM v_metrics_daily_ad ORDER BY date").fetchall()
    found = pq.read_table(path).to_pylist()
    assert [row["spend"] for row in found] == [Decimal("1234567.123456")] * 10
    for have, want in zip(found, expected, strict=True):
        assert have == {
            name: str(value) if name in {"ad_account_id", "entity_id"} else value
            for name, value in want.items()
        }


def test_rates_without_a_denominator_stay_null(
    environment: Environment, stocked: Connection, tmp_path: Path
) -> None:
    """Null in the view is null in the file."""
    path = tmp_path / "campaigns.parquet"
    export_metrics(environment, path, MARCH, levels=[Level.CAMPAIGN])
    table = pq.read_table(path)
    assert table["cpc"].null_count == 10
    assert table["cpm"].null_count == 0


def test_unfinished_days_are_marked_also_those_without_rows(
    environment: Environment, stocked: Connection, tmp_path: Path, account: Account
) -> None:
    """Each row carries its day's state; the days' file and the file's own words tell the rest."""
    days = DateRange(since=date(2026, 2, 1), until=date(2026, 3, 31))
    accounts.set_history_start(stocked, account, date(2026, 2, 20))
    exported = export_metrics(environment, tmp_path, days, levels=[Level.AD])

    ads, known = (pq.read_table(file.path).to_pylist() for file in exported.files)
    assert [row["day_state"] for row in ads] == ["sealed"] + ["open"] * 9
    assert next(row["date"] for row in known) == date(2026, 2, 20)
    assert {row["state"] for row in known} == {"open"}
    assert exported.days == (0, 0, 19)
    words = pq.read_schema(exported.files[0].path).metadata
    assert words[b"account_days_open"] == b"19"
    assert (words[b"from"], words[b"as_of"][:16]) == (b"2026-02-01", b"2026-03-10T15:00")


def test_a_file_holds_one_level_only(environment: Environment, tmp_path: Path) -> None:
    """Several levels in one file would be the mixed sum again: refused, with what to do."""
    with pytest.raises(UsageError, match="choose it with --level"):
        export_metrics(environment, tmp_path / "all.parquet", MARCH)


def test_nothing_is_replaced_unless_told(
    environment: Environment, stocked: Connection, tmp_path: Path
) -> None:
    """A file that is there stays as it is; with force it is replaced as a whole."""
    path = tmp_path / "ads.parquet"
    path.write_text("precious")

    with pytest.raises(UsageError, match="give --force"):
        export_metrics(environment, path, MARCH, levels=[Level.AD])
    assert path.read_text() == "precious"

    export_metrics(environment, path, MARCH, levels=[Level.AD], force=True)
    assert pq.read_metadata(path).num_rows == 10
    assert [entry.name for entry in tmp_path.glob("*.parquet*")] == ["ads.parquet"]


def test_a_file_that_comes_meanwhile_is_not_replaced(
    environment: Environment,
    stocked: Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody else's file that appears while the export runs survives it."""
    path = tmp_path / "ads.parquet"
    real = parquet_export._write

    def write_late(*arguments: Any) -> int:
        rows = real(*arguments)
        path.write_text("precious")
        return rows

    monkeypatch.setattr(parquet_export, "_write", write_late)
    with pytest.raises(UsageError, match="give --force"):
        export_metrics(environment, path, MARCH, levels=[Level.AD])
    assert path.read_text() == "precious"
    assert list(tmp_path.glob(".*")) == []


def test_a_failed_export_leaves_nothing(
    environment: Environment,
    stocked: Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When the last file fails, none of them appears."""
    real, calls = parquet_export._write, iter(range(99))

    def fail_at_third(*arguments: Any) -> int:
        if next(calls) == 2:
            raise OSError(28, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(parquet_export, "_write", fail_at_third)
    with pytest.raises(UsageError, match="No space left on device"):
        export_metrics(environment, tmp_path / "out", MARCH)
    assert list((tmp_path / "out").iterdir()) == []


def test_without_pyarrow_the_error_says_what_to_install(
    environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The optional extra is named, in one line."""
    real = builtins.__import__

    def refuse(name: str, *arguments: Any, **more: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UsageError, match=r"pip install 'pyarrow>=17'"):
        export_metrics(environment, tmp_path, MARCH)


def test_only_the_chosen_accounts_and_days(
    environment: Environment,
    stocked: Connection,
    database: Database,
    new_account: Account,
    tmp_path: Path,
) -> None:
    """Another account's rows and other days stay out."""
    with database.account_session(new_account.id, wait_seconds=0) as session:
        merge_numbers(session, new_account, [numbers("z1", "2026-03-05")], T0)
    days = DateRange(since=date(2026, 3, 4), until=date(2026, 3, 6))

    def ads(name: str, **choice: Any) -> list[tuple[str, date]]:
        path = tmp_path / f"{name}.parquet"
        export_metrics(environment, path, days, levels=[Level.AD], **choice)
        return [(row["account"], row["date"]) for row in pq.read_table(path).to_pylist()]

    assert ads("one", accounts=[new_account.id]) == [("facebook:act_777", date(2026, 3, 5))]
    assert len(ads("all")) == 4
    assert ads("none", accounts=[]) == []


@pytest.fixture
def many(connection: Connection, account: Account) -> Connection:
    """A hundred and twenty thousand rows."""
    connection.execute("SELECT ensure_metric_partitions('2026-03-01', '2026-03-31')")
    connection.execute(
        "INSERT INTO ad_metrics (date, entity_type, entity_id, ad_account_id, platform, spend)"
        " SELECT date '2026-03-01' + n %% 30, 'ad', gen_random_uuid(), %s, 'facebook', n"
        " FROM generate_series(1, 120000) n",
        (account.id,),
    )
    return connection


def test_memory_does_not_grow_with_the_rows(
    environment: Environment,
    many: Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Six times the rows need no more memory: a row group at a time is all there is."""
    monkeypatch.setattr(parquet_export, "ROWS_PER_GROUP", 4000)

    def peak(days: DateRange) -> tuple[int, Exported]:
        tracemalloc.start()
        try:
            exported = export_metrics(
                environment, tmp_path / f"{days.days}.parquet", days, levels=[Level.AD]
            )
            return tracemalloc.get_traced_memory()[1], exported
        finally:
            tracemalloc.stop()

    small, first = peak(DateRange(since=date(2026, 3, 1), until=date(2026, 3, 5)))
    large, second = peak(MARCH)

    assert (first.files[0].rows, second.files[0].rows) == (20_000, 120_000)
    groups = pq.ParquetFile(second.files[0].path).metadata
    assert groups.num_row_groups == 30
    assert large < 1.3 * small
    # Readers skip what they do not need: each group covers few days.
    statistics = groups.row_group(0).column(1).statistics
    assert (statistics.max - statistics.min).days <= 1


def test_the_command_tells_what_is_not_final(
    database_url: str, stocked: Connection, tmp_path: Path
) -> None:
    """Rows on stdout, the warning on stderr, refusals in one line."""
    shell = Shell(
        tmp_path, {"ADSYNC_DATABASE_URL": database_url, "ADSYNC_NOW": "2026-03-10T15:00:00+00:00"}
    )
    march = ("--from", "2026-03-01", "--until", "2026-03-31")
    done = shell.run("export", *march, "--out", "ads.parquet", "--level", "ad")
    assert done.out == "ads.parquet: 10 rows\n"
    assert done.err.startswith("not final: 10 account days open")
    told = shell.run("export", *march, "--out", "march", "--account", "501", "--json").json
    assert {file["rows"] for file in told["files"]} == {10}
    assert told["account_days"] == {"sealed": 0, "reconciled": 0, "open": 10}
    again = shell.run("export", *march, "--out", "ads.parquet", "--level", "ad")
    assert "--force" in again.complaint(2)
    for name in ("out.csv", "ads.parq"):
        assert f"{name} is neither" in shell.run("export", *march, "--out", name).complaint(2)
        assert not (tmp_path / name).exists()
    assert shell.run("export", *march, "--out", "2026.03").code == 0
    wrong = shell.run("export", "--from", "2026-03-31", "--until", "2026-03-01", "--out", "x")
    assert "lies after" in wrong.complaint(2)
    assert "campaign" in shell.run("export", *march, "--out", "x", "--level", "keyword").complaint(
        2
    )


def test_an_account_that_is_not_there_is_refused(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    """A mistyped account is no empty file."""
    add_accounts(database, 1)
    shell = Shell(tmp_path, {"ADSYNC_DATABASE_URL": database_url})
    done = shell.run(
        *("export", "--from", "2026-03-01", "--until", "2026-03-02", "--out", "x"),
        *("--account", "act_404"),
    )
    assert "no account 'act_404' here" in done.complaint(2)
    assert not (tmp_path / "x").exists()
