"""What a run says at its end: a table of its accounts, for the log and for the assets' pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import dagster as dg

from adsync_dagster.sync.reports import AccountReport, Step
from adsync_dagster.wording import counted

#: Accounts shown; those that failed come first.
ACCOUNTS_SHOWN_MAX = 50

_HEADINGS = (
    "account",
    "result",
    "entities",
    "days",
    "rows",
    "final syncs",
    "pending",
    "blocked",
    "time",
)


def result_of(report: AccountReport) -> str:
    """How an account fared, in a few words."""
    if report.busy:
        return "busy"
    if report.error is None:
        return "done"
    return {"blocked": "blocked", "retryable": "failed, will be tried again"}.get(
        report.error_family or "", "failed"
    )


def _cells(report: AccountReport) -> tuple[object, ...]:
    steps = report.steps
    entities = sum(
        steps[step].counts.get("seen", 0)
        for step in (Step.CAMPAIGNS, Step.AD_SETS, Step.ADS)
        if step in steps
    )
    metrics = steps[Step.METRICS].counts if Step.METRICS in steps else {}
    final = steps[Step.FINAL_SYNCS].counts if Step.FINAL_SYNCS in steps else {}
    return (
        report.account_key,
        result_of(report),
        entities,
        metrics.get("days", 0),
        metrics.get("rows", 0),
        final.get("done", 0),
        report.pending,
        report.blocked,
        f"{report.seconds:.1f} s",
    )


def _ordered(reports: Iterable[AccountReport]) -> list[AccountReport]:
    return sorted(reports, key=lambda report: (report.ok, report.account_key))


def summary_lines(reports: Sequence[AccountReport]) -> str:
    """The closing table of a run as text, columns aligned."""
    shown = _ordered(reports)[:ACCOUNTS_SHOWN_MAX]
    rows = [_HEADINGS, *([_plain(cell) for cell in _cells(report)] for report in shown)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    if len(reports) > len(shown):
        hidden = _ordered(reports)[ACCOUNTS_SHOWN_MAX:]
        undone = sum(not report.ok for report in hidden)
        how = f"{undone:,} of them not done" if undone else "all done"
        lines.append(f"and {counted(len(hidden), 'more account', 'more accounts')}, {how}")
    return "\n".join(lines)


def _plain(cell: object) -> str:
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def accounts_table(
    reports: Sequence[AccountReport], waiting: Iterable[str]
) -> dg.TableMetadataValue:
    """The run's accounts so far, and those that are not finished yet, for an asset's page."""
    rows = [
        dg.TableRecord(
            {
                heading: cell if isinstance(cell, int) else str(cell)
                for heading, cell in zip(_HEADINGS, _cells(report), strict=True)
            }
        )
        for report in _ordered(reports)
    ]
    rows += [
        dg.TableRecord({**dict.fromkeys(_HEADINGS, ""), "account": key, "result": "at work"})
        for key in waiting
    ]
    return dg.MetadataValue.table(rows[:ACCOUNTS_SHOWN_MAX])
