"""Metrics as Parquet files with exact types, one file per level, written in bounded memory.

A file holds one level, since amounts of different levels are the same money. Every row says in
`day_state` whether its day is final; the account days of the range are a file of their own,
because a day that was never read has no row that could say so. All files of an export are
of one moment, and appear only when all of them are whole.

Needs pyarrow, which the extra `parquet` brings.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from adsync_dagster import __version__
from adsync_dagster.errors import UsageError
from adsync_dagster.records import DateRange, Level
from adsync_dagster.sync.environment import Environment
from adsync_dagster.warehouse import export
from adsync_dagster.warehouse.export import Chunk, DayStates
from adsync_dagster.warehouse.report import snapshot

#: Rows of a row group: what is in memory at a time, and what a reader can skip.
ROWS_PER_GROUP = 50_000
SUFFIX = ".parquet"

#: Arrow's name of each column's type; every other column is text.
_DECIMALS = (
    "spend",
    "conversions",
    "conversion_value",
    "frequency",
    "total_spend",
    "total_conversions",
    "total_conversion_value",
)
#: Derived: up to a thousand times the amount, and sums of many amounts.
_WIDE_DECIMALS = (
    *("cpc", "cpm", "ctr", "roas", "cost_per_conversion"),
    *("stored_spend_campaign", "stored_spend_adset", "stored_spend_ad"),
    *("residual_spend_campaign", "residual_spend_adset", "residual_spend_ad"),
)
_COUNTS = ("impressions", "clicks", "link_clicks", "reach", "total_impressions", "total_clicks")
_INSTANTS = (
    "read_started_at",
    "updated_at",
    "last_read_at",
    "sealed_at",
    "sealable_from",
    "account_first_synced_at",
    "account_last_synced_at",
)
_TRUTHS = ("is_active", "overdue", "adds_up")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFile:
    """One file of an export. `level` is None for the file of account days."""

    path: Path
    level: Level | None
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export wrote, and how settled the days in it are."""

    files: tuple[ExportedFile, ...]
    days: DayStates


def export_metrics(
    environment: Environment,
    out: Path,
    days: DateRange,
    *,
    levels: Sequence[Level] = (),
    accounts: Sequence[UUID] | None = None,
    force: bool = False,
) -> Exported:
    """Write the metrics of a range of account-local days, both ends included.

    `out` is a file (`*.parquet`, for one level) or a folder, which gets a file per level and one
    of the account days. `levels` empty means all; `accounts` None means all. UsageError when a
    file is there already (unless `force`), cannot be written, or pyarrow is missing.
    """
    _require_pyarrow()
    targets = _targets(out, days, tuple(levels) or tuple(Level))
    if not force:
        for path in targets:
            _refuse_existing(path)
    with snapshot(environment.database) as (connection, now), _published(targets, force) as files:
        state = export.day_states(connection, days, accounts)
        about = {
            "adsync": __version__,
            "as_of": now.isoformat(),
            "from": days.since.isoformat(),
            "until": days.until.isoformat(),
            **{f"account_days_{name}": str(count) for name, count in state._asdict().items()},
        }
        written = []
        for path, level in targets.items():
            chunks = (
                export.days_in_chunks(connection, days, accounts, ROWS_PER_GROUP)
                if level is None
                else export.metrics_in_chunks(connection, level, days, accounts, ROWS_PER_GROUP)
            )
            rows = _write(files[path], chunks, about)
            written.append(ExportedFile(path=path, level=level, rows=rows))
    return Exported(files=tuple(written), days=state)


def _require_pyarrow() -> None:
    try:
        import pyarrow.parquet  # noqa: F401, PLC0415  an optional extra
    except ImportError:
        raise UsageError(
            "writing Parquet needs pyarrow; install it where adsync is: `pip install 'pyarrow>=17'`"
        ) from None


def _targets(out: Path, days: DateRange, levels: Sequence[Level]) -> dict[Path, Level | None]:
    """The files to write, and the level of each; None for the account days."""
    if out.suffix == SUFFIX and not out.is_dir():
        if len(levels) != 1:
            raise UsageError(
                f"{out.name} can hold one level only, since campaigns, ad sets and ads count the"
                " same money: choose it with --level, or name a folder"
            )
        return {out: levels[0]}
    looks_like_a_file = bool(out.suffix) and not out.suffix[1:].isdigit()
    if not out.is_dir() and (out.exists() or looks_like_a_file):
        raise UsageError(f"{out} is neither a folder nor a {SUFFIX} file; choose another --out")
    span = f"{days.since.isoformat()}_{days.until.isoformat()}{SUFFIX}"
    files: dict[Path, Level | None] = {
        out / f"metrics_{level.value}_{span}": level for level in levels
    }
    files[out / f"account_days_{span}"] = None
    return files


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise UsageError(f"{path} is there already; give --force to replace it")


@contextmanager
def _published(targets: Iterable[Path], force: bool) -> Iterator[dict[Path, Path]]:
    """Temporary files beside the wanted ones, which take their places once all are whole."""
    files = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in targets}
    try:
        for temporary in files.values():
            temporary.parent.mkdir(parents=True, exist_ok=True)
        yield files
        for path, temporary in files.items():
            _publish(temporary, path, force=force)
    except OSError as error:
        raise UsageError(
            f"the export cannot be written to {next(iter(files)).parent}"
            f" ({error.strerror or error}); choose another --out"
        ) from None
    finally:
        for temporary in files.values():
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def _publish(temporary: Path, path: Path, *, force: bool) -> None:
    """Give a whole file its name; without `force` never over a file that came meanwhile."""
    if not force:
        try:
            path.hardlink_to(temporary)
        except OSError:
            # It exists, or this file system has no links: then look, and rename.
            _refuse_existing(path)
        else:
            return
    temporary.replace(path)


def _write(path: Path, chunks: Iterator[Chunk], about: Mapping[str, str]) -> int:
    """One file, a row group per chunk; how many rows it has."""
    import pyarrow as pa  # noqa: PLC0415  an optional extra
    import pyarrow.parquet as pq  # noqa: PLC0415

    columns, rows = next(chunks)
    schema = pa.schema([pa.field(name, _type(name)) for name in columns], metadata=dict(about))
    total = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while True:
            if rows:
                arrays = [
                    _array(name, values)
                    for name, values in zip(columns, zip(*rows, strict=True), strict=True)
                ]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
                total += len(rows)
            following = next(chunks, None)
            if following is None:
                return total
            _, rows = following


def _array(name: str, values: Sequence[Any]) -> Any:
    import pyarrow as pa  # noqa: PLC0415  an optional extra

    try:
        return pa.array(values, type=_type(name))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise UsageError(
            f"a value of {name} does not fit {_type(name)} ({error}); correct it in the database"
        ) from None


def _type(name: str) -> Any:
    """The exact type of a column."""
    import pyarrow as pa  # noqa: PLC0415  an optional extra

    kinds = {
        ("date",): pa.date32(),
        _DECIMALS: pa.decimal128(18, 6),
        _WIDE_DECIMALS: pa.decimal128(24, 6),
        _COUNTS: pa.int64(),
        _INSTANTS: pa.timestamp("us", tz="UTC"),
        _TRUTHS: pa.bool_(),
    }
    return next((kind for names, kind in kinds.items() if name in names), pa.string())
