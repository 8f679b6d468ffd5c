"""The completeness report as a service: read, judge, write one file, say the headline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from adsync_dagster.report.facts import read_facts
from adsync_dagster.report.model import Page, build
from adsync_dagster.report.page import render, write
from adsync_dagster.sync.environment import Environment

DAYS_DEFAULT = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSummary:
    """The headline of a written report, for command line, metadata and scripts."""

    path: Path
    now: datetime
    #: complete, not-yet, incomplete or unknown.
    verdict: str
    title: str
    accounts: int
    days_sealed: int
    days_reconciled: int
    days_open: int
    oldest_open_day: date | None
    final_syncs_owed: int
    final_syncs_blocked: int
    #: Age of the oldest final sync that is owed; None when none is.
    oldest_owed_seconds: float | None
    blocked: int
    unexplained: tuple[str, ...]
    reasons: tuple[str, ...]


def write_report(
    environment: Environment,
    path: Path,
    *,
    accounts: Sequence[str] | None = None,
    days: int = DAYS_DEFAULT,
) -> ReportSummary:
    """Write the report on accounts (None: all) over the last `days` days as one HTML file."""
    page = build(read_facts(environment, accounts=accounts, days=days))
    write(path, render(page))
    return _summary(path, page)


def default_path(environment: Environment) -> Path:
    """Where the report lies unless another place is named: in ADSYNC_HOME."""
    return environment.settings.home / "reports" / "completeness.html"


def _summary(path: Path, page: Page) -> ReportSummary:
    oldest = page.oldest_owed
    return ReportSummary(
        path=path,
        now=page.facts.now,
        verdict=page.verdict.level.value,
        title=page.verdict.title,
        accounts=len(page.facts.accounts),
        days_sealed=page.states["sealed"],
        days_reconciled=page.states["reconciled"],
        days_open=page.states["open"],
        oldest_open_day=None if page.oldest_open is None else page.oldest_open.oldest_open,
        final_syncs_owed=page.owed,
        final_syncs_blocked=page.owed_blocked,
        oldest_owed_seconds=None
        if oldest is None
        else (page.facts.now - oldest.oldest).total_seconds(),
        blocked=len(page.facts.blocked),
        unexplained=page.unexplained,
        reasons=tuple(reason.words for reason in page.verdict.reasons),
    )
