"""Reports: which rows are asked for, in which pieces, synchronously or as a report run.

A range is read in pieces. A short piece is paged directly; a long one is computed by an
asynchronous report run, which is created, polled and then paged. A piece that is too heavy is
asked for in smaller pages, then in halves of its days down to one day, and one day is left to
a report run before TooMuchData is raised.

Whatever is begun again (a stale cursor, a lost run, a halved range) yields rows a second
time. That is harmless: the stage keeps the last row of an (entity, day), and a read that
raises is merged not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adsync_dagster.calendar import split_range
from adsync_dagster.errors import (
    AdsyncError,
    Defect,
    IncompleteRead,
    PlatformBusy,
    Retryable,
    TooMuchData,
)
from adsync_dagster.platforms.facebook_batch import Item
from adsync_dagster.platforms.facebook_entities import EFFECTIVE_STATUSES
from adsync_dagster.platforms.facebook_errors import InvalidRequest, ObjectMissing, classify
from adsync_dagster.platforms.facebook_metrics import (
    Question,
    days_of,
    parse_metrics,
    parse_totals,
)
from adsync_dagster.platforms.facebook_wire import (
    Edge,
    Page,
    ReadLimits,
    page_of,
    read_pages,
    read_with_restarts,
    time_range,
)
from adsync_dagster.platforms.protocol import Pause, Record, Request, Response, Step
from adsync_dagster.platforms.reading import (
    Part,
    Tally,
    ask,
    compact,
    halves,
    shortened,
)
from adsync_dagster.records import DateRange, Level

_NUMBERS = "impressions,clicks,spend,actions,action_values,account_currency"
_ENTITY_NUMBERS = f"{_NUMBERS},inline_link_clicks,reach,frequency"
_FIELDS: dict[Level | None, str] = {
    None: f"account_id,{_NUMBERS}",
    Level.CAMPAIGN: f"account_id,campaign_id,{_ENTITY_NUMBERS}",
    Level.ADSET: f"account_id,campaign_id,adset_id,{_ENTITY_NUMBERS}",
    Level.AD: f"account_id,campaign_id,adset_id,ad_id,{_ENTITY_NUMBERS}",
}
#: The windows Meta's default means, asked for by name so that a changed default is no surprise.
_ATTRIBUTION_WINDOWS = '["7d_click","1d_view"]'

COMPLETED, FAILED, SKIPPED = "Job Completed", "Job Failed", "Job Skipped"


class RunLost(IncompleteRead):
    """A report run failed, expired or stands still: it is created anew, a few times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One report question. `level` None asks for the account's own totals."""

    #: `act_123`; rows carry the id without the prefix.
    account: str
    level: Level | None
    version: str
    conversion_action: str
    purpose: str

    def params(self, days: DateRange, *, by_id: bool = False) -> dict[str, str]:
        """The parameters of an insights call for these days, page size and cursor aside.

        Rows of a whole account are filtered by every status the level knows, because the
        default leaves archived and deleted objects out, and how much a filter brings back
        is undependable too. Totals and reads by id stay unfiltered: those include everything.
        """
        params = {
            "level": self.level.value if self.level is not None else "account",
            "fields": _FIELDS[self.level],
            "time_range": time_range(days),
            "time_increment": "1",
            "action_attribution_windows": _ATTRIBUTION_WINDOWS,
            "use_unified_attribution_setting": "true",
        }
        if self.level is not None and not by_id:
            params["filtering"] = compact(
                [
                    {
                        "field": f"{self.level.value}.effective_status",
                        "operator": "IN",
                        "value": list(EFFECTIVE_STATUSES[self.level]),
                    }
                ]
            )
        return params

    def question(self, days: DateRange, entity_id: str | None = None) -> Question:
        """What the rows of such a call have to be about."""
        return Question(
            account=self.account.removeprefix("act_"),
            days=days_of(days),
            conversion_action=self.conversion_action,
            purpose=self.purpose,
            entity_id=entity_id,
        )

    def parser(self, days: DateRange) -> Callable[[Page], Sequence[Record]]:
        """Turns a page of rows about these days into records."""
        question, level = self.question(days), self.level
        if level is None:
            return lambda page: parse_totals(page.data, question)
        return lambda page: parse_metrics(page.data, level, question)


def read_report(report: Report, days: DateRange, limits: ReadLimits, tally: Tally) -> Part:
    """Every row of the report, oldest piece first. Raises TooMuchData when one day is too much."""
    pieces = split_range(days, limits.run_days_max)[::-1]
    while pieces:
        piece = pieces.pop()
        try:
            yield from _read_piece(report, piece, limits, tally)
        except TooMuchData:
            if piece.days == 1:
                raise
            pieces = shortened(piece, reversed(pieces))[::-1]


def _read_piece(report: Report, piece: DateRange, limits: ReadLimits, tally: Tally) -> Part:
    # Account totals are one row a day: never worth a run.
    if report.level is None or piece.days <= limits.sync_days_max:
        try:
            yield from _read_direct(report, piece, limits, tally)
        except TooMuchData:
            if piece.days > 1:
                raise
        else:
            return
    yield from _read_by_run(report, piece, limits, tally)


def _read_direct(report: Report, piece: DateRange, limits: ReadLimits, tally: Tally) -> Part:
    edge = Edge(
        path=f"/{report.version}/{report.account}/insights",
        params=report.params(piece),
        purpose=report.purpose,
    )
    yield from _pages(edge, report, piece, limits, tally)


def _pages(edge: Edge, report: Report, piece: DateRange, limits: ReadLimits, tally: Tally) -> Part:
    yield from read_with_restarts(
        lambda: read_pages(
            edge,
            page_rows=limits.insights_page_rows,
            limits=limits,
            tally=tally,
            parse=report.parser(piece),
        ),
        limits,
    )


def _read_by_run(report: Report, piece: DateRange, limits: ReadLimits, tally: Tally) -> Part:
    """Create a run, wait for it, page its rows; a run that gets lost is created anew."""
    for attempt in range(limits.run_attempts_max):
        run_id = yield from _create_run(report, piece, tally)
        try:
            yield from _await_run(run_id, report, limits, tally)
            yield from _read_run(run_id, report, piece, limits, tally)
        except TooMuchData:
            raise
        except IncompleteRead:
            if attempt + 1 == limits.run_attempts_max:
                raise
        else:
            return


def _create_run(
    report: Report, piece: DateRange, tally: Tally
) -> Generator[Step, Response | None, str]:
    request = Request(
        method="POST",
        path=f"/{report.version}/{report.account}/insights",
        form=report.params(piece),
        purpose=report.purpose,
        orders=True,
    )
    payload = (yield from ask(request, tally)).json()
    run_id = payload.get("report_run_id") if isinstance(payload, dict) else None
    # Meta documents a number here and sends text.
    if isinstance(run_id, int) and not isinstance(run_id, bool):
        run_id = str(run_id)
    if not (isinstance(run_id, str) and run_id.isascii() and run_id.isdigit()):
        raise IncompleteRead(f"{report.purpose}: the answer lacks report_run_id")
    return run_id


def _await_run(run_id: str, report: Report, limits: ReadLimits, tally: Tally) -> Part:
    """Return once the run is complete. RunLost when it failed, expired or stands still."""
    request = Request(method="GET", path=f"/{report.version}/{run_id}", purpose=report.purpose)
    wait, progress, idle, unseen = limits.poll_seconds_first, -1, 0, 0
    for _ in range(limits.run_polls_max):
        yield Pause(wait, f"{report.purpose}: the report run is not ready")
        wait = min(wait * 2, limits.poll_seconds_max)
        try:
            run = (yield from ask(request, tally)).json()
        except ObjectMissing:
            unseen += 1
            if unseen > limits.run_unseen_polls_max:
                break
            continue
        percent = _progress(run, run_id, report)
        if percent is None:
            return
        idle = 0 if percent > progress else idle + 1
        progress = max(progress, percent)
        if idle >= limits.run_idle_polls_max:
            break
    raise RunLost(f"{report.purpose}: the report run does not get past {max(progress, 0)} percent")


def _progress(run: Any, run_id: str, report: Report) -> int | None:
    """None when the run is complete, else how far it is; raises when it will never be.

    Only "Job Completed" together with 100 percent is complete.
    """
    if not isinstance(run, dict) or str(run.get("id", run_id)) != run_id:
        raise IncompleteRead(f"{report.purpose}: the answer is about another report run")
    status, percent = run.get("async_status"), run.get("async_percent_completion")
    if not isinstance(status, str) or not isinstance(percent, int):
        raise IncompleteRead(f"{report.purpose}: the report run does not say how far it is")
    if status == FAILED:
        raise _run_failure(run, report)
    if status == SKIPPED:
        raise RunLost(f"{report.purpose}: the report run expired before it was done")
    return None if status == COMPLETED and percent == 100 else percent


def _run_failure(run: Mapping[str, Any], report: Report) -> AdsyncError:
    """What a failed run's own error codes (v25.0 and later) ask for; often just a new run."""
    error = {
        "code": run.get("error_code"),
        "error_subcode": run.get("error_subcode"),
        "message": run.get("error_message"),
    }
    failure = classify(error, 200, {})
    if isinstance(failure, TooMuchData) or not isinstance(failure, Retryable):
        return failure
    if failure.retry_after_seconds is not None:
        return failure
    return RunLost(f"{report.purpose}: the report run failed")


def _read_run(
    run_id: str, report: Report, piece: DateRange, limits: ReadLimits, tally: Tally
) -> Part:
    # A run remembers its fields, level and range: the pages take nothing but limit and after.
    edge = Edge(path=f"/{report.version}/{run_id}/insights", params={}, purpose=report.purpose)
    try:
        yield from _pages(edge, report, piece, limits, tally)
    except (InvalidRequest, ObjectMissing) as error:
        # At random, a finished run claims that fields "weren't there while creating the report
        # run" (code 100): the same question to a new run is answered.
        raise RunLost(f"{report.purpose}: {error}") from None
    except PlatformBusy as error:
        if error.retry_after_seconds is not None:
            raise
        # A page of a finished run may fail for good although the ones before it came.
        raise RunLost(f"{report.purpose}: {error}") from None


@dataclass(frozen=True, slots=True)
class EntityReports:
    """Reports of single objects, as items of a batch: these show deleted objects too."""

    report: Report
    level: Level
    limits: ReadLimits

    @property
    def purpose(self) -> str:
        return self.report.purpose

    def items(self, ids: Sequence[str], days: DateRange) -> list[Item]:
        """One item per object for the whole range."""
        rows = self.limits.insights_page_rows
        return [Item(entity_id=entity_id, days=days, limit=rows) for entity_id in ids]

    def url(self, item: Item) -> tuple[str, Mapping[str, str]]:
        params = self.report.params(_days(item), by_id=True) | {"limit": str(item.limit)}
        if item.cursors:
            params["after"] = item.cursors[-1]
        return f"{item.entity_id}/insights", params

    def parse(self, item: Item, payload: Any) -> tuple[Sequence[Record], Item | None]:
        page = page_of(payload, self.purpose)
        question = self.report.question(_days(item), item.entity_id)
        records = parse_metrics(page.data, self.level, question)
        if page.after is None:
            return records, None
        if page.after in item.cursors or len(item.cursors) >= self.limits.pages_max:
            raise IncompleteRead(f"{self.purpose}: the paging runs in a circle")
        return records, replace(item, cursors=(*item.cursors, page.after), attempts=0)

    def smaller(self, item: Item, error: TooMuchData) -> Sequence[Item]:
        """Half the page, at its floor half the days, in the end the error itself."""
        floor = self.limits.page_rows_floor
        if item.limit > floor:
            return [replace(item, limit=max(item.limit // 2, floor))]
        days = _days(item)
        if days.days == 1:
            raise error
        return [
            Item(entity_id=item.entity_id, days=half, limit=self.limits.insights_page_rows)
            for half in halves(days)
        ]


def _days(item: Item) -> DateRange:
    if item.days is None:
        raise Defect("an item of a report needs its days")
    return item.days
