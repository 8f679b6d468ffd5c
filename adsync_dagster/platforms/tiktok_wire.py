"""TikTok's wire in general: paths, pages by number, and the limits every read obeys.

Every path ends with a slash (without it: HTTP 404). Lists and objects travel as JSON text in
the query. Pages are numbered and there is no snapshot: what vanishes between two pages moves
a row onto a page that was already read, so the distinct rows have to reach the total that the
first page announced, and no later page may announce less.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from adsync_dagster.errors import Defect, IncompleteRead, TooMuchData, UsageError
from adsync_dagster.platforms.protocol import Record, Request, Rows
from adsync_dagster.platforms.reading import Part, Tally, ask

_ROOT = "/open_api/v1.3/"
_ID_DIGITS_MAX = 30
#: What the id of a campaign, ad group or ad looks like.
ENTITY_ID = "[0-9]{1,30}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLimits:
    """Bounds and sizes of every read. Reaching a bound raises; nothing is cut silently."""

    #: TikTok's own default is 10 and its maximum 1,000.
    page_rows: int = 1_000
    #: A listing that times out is read again with pages a tenth as large, down to here.
    page_rows_floor: int = 10
    pages_max: int = 10_000
    #: A listing or report starts again when rows moved between its pages.
    restarts_max: int = 2
    #: Ids in one filter; for campaigns of a report TikTok recommends fewer.
    ids_max: int = 100
    report_campaign_ids_max: int = 30
    #: Days of one report, both ends included.
    report_days_max: int = 30
    task_attempts_max: int = 3
    task_polls_max: int = 400
    poll_seconds_first: float = 1.0
    poll_seconds_max: float = 30.0
    #: Rows of a task's result handed on at a time.
    task_rows: int = 1_000


DEFAULT_LIMITS = ReadLimits()


class RowsMoved(IncompleteRead):
    """Rows came or went between two pages, so one may have been skipped: read it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A paged GET: everything but the page's number and size."""

    path: str
    params: Mapping[str, str]
    purpose: str

    def request(self, page: int, page_rows: int) -> Request:
        params = {**self.params, "page": str(page), "page_size": str(page_rows)}
        return Request(method="GET", path=self.path, params=params, purpose=self.purpose)


class Parsed(NamedTuple):
    """A page's rows: what tells them apart, and the records they became."""

    keys: Sequence[Hashable]
    records: Sequence[Record]


class _Page(NamedTuple):
    rows: list[Any]
    total: int


@dataclass(slots=True)
class _Pass:
    """What one pass over all pages has seen so far."""

    purpose: str
    keys: set[Hashable] = field(default_factory=set)
    announced: int | None = None
    latest: int = 0

    def count(self, total: int) -> None:
        """Note a page's total; RowsMoved when rows vanished since the page before."""
        if self.announced is None:
            self.announced = total
        elif total < self.latest:
            raise RowsMoved(f"{self.purpose}: rows vanished while they were listed")
        self.latest = total

    def prove(self) -> None:
        """Everything that was there at the first page was seen."""
        if self.announced is not None and len(self.keys) < self.announced:
            raise RowsMoved(
                f"{self.purpose}: only {len(self.keys)} of {self.announced} announced rows came"
            )


def path_of(name: str) -> str:
    """The path of an endpoint such as `campaign/get`."""
    return f"{_ROOT}{name}/"


def read_whole(
    query: Query, limits: ReadLimits, tally: Tally, parse: Callable[[list[Any]], Parsed]
) -> Part:
    """Every page of a query, begun again when rows moved between its pages.

    Rows that come again are harmless: the stage keeps the last record of a key. Raises
    RowsMoved after the last pass.
    """
    before = tally.rows
    for attempt in range(limits.restarts_max + 1):
        tally.rows = before
        try:
            yield from _read_pages(query, limits.page_rows, limits, tally, parse)
        except RowsMoved:
            if attempt == limits.restarts_max:
                raise
        except TooMuchData:
            tally.rows = before
            raise
        else:
            return


def read_listing(
    query: Query, limits: ReadLimits, tally: Tally, parse: Callable[[list[Any]], Parsed]
) -> Part:
    """As `read_whole`; when TikTok times out on a page, again with pages a tenth as large."""
    page_rows = limits.page_rows
    while True:
        try:
            sized = replace(limits, page_rows=page_rows)
            yield from read_whole(query, sized, tally, parse)
        except TooMuchData:
            if page_rows <= limits.page_rows_floor:
                raise
            page_rows = max(page_rows // 10, limits.page_rows_floor)
        else:
            return


def _read_pages(
    query: Query,
    page_rows: int,
    limits: ReadLimits,
    tally: Tally,
    parse: Callable[[list[Any]], Parsed],
) -> Part:
    """One pass. Each page's Rows announce the request for the next one."""
    one = _Pass(query.purpose)
    request = query.request(1, page_rows)
    for number in range(1, limits.pages_max + 1):
        payload = (yield from ask(request, tally)).json()
        page = _page_of(payload["data"], number, page_rows, query.purpose)
        one.count(page.total)
        is_last = number * page_rows >= page.total
        request = query.request(number + 1, page_rows)
        parsed = parse(page.rows)
        one.keys.update(parsed.keys)
        tally.rows += len(parsed.records)
        if parsed.records:
            yield Rows(parsed.records, ahead=None if is_last else request)
        if is_last:
            one.prove()
            return
    raise IncompleteRead(f"{query.purpose}: still not at the end after {limits.pages_max} pages")


def _page_of(data: Mapping[str, Any], number: int, page_rows: int, purpose: str) -> _Page:
    """A page as far as it can be trusted; IncompleteRead when it is not the one asked for."""
    info = data.get("page_info")
    if not isinstance(info, dict):
        raise IncompleteRead(f"{purpose}: the answer does not say how many pages there are")
    total = _whole(info.get("total_number"))
    if total is None or _whole(info.get("page")) != number:
        raise IncompleteRead(f"{purpose}: the answer is not the page that was asked for")
    if _whole(info.get("page_size")) != page_rows:
        raise IncompleteRead(f"{purpose}: the answer's pages have another size than asked for")
    pages = _whole(info.get("total_page"))
    # Whether nothing counts as no page or as one empty page is not documented.
    if pages != -(-total // page_rows) and not (total == 0 and pages == 1):
        raise IncompleteRead(f"{purpose}: the number of pages contradicts the number of rows")
    rows = data.get("list")
    if rows is None and total == 0:
        rows = []
    if not isinstance(rows, list) or len(rows) > page_rows:
        raise IncompleteRead(f"{purpose}: the answer holds no list of rows")
    return _Page(rows, total)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def account_number(text: str) -> str:
    """The advertiser id itself; UsageError for anything else."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _ID_DIGITS_MAX):
        raise UsageError(
            f"{digits[:40]!r} is not a TikTok advertiser; write its id, like 7010000000000000001"
        )
    return digits


def entity_number(text: str) -> str:
    """The id itself when it is one: nothing else may become part of a filter."""
    if not (text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS_MAX):
        raise Defect(f"{text[:40]!r} is not the id of a TikTok object")
    return text


def id_text(value: Any) -> str:
    """An id in a row: text, or the bare number that older answers hold. TypeError otherwise."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and text.isascii() and text.isdigit():
        return text
    raise TypeError("an id is not an id")


def chunks(ids: Sequence[str], size: int) -> list[tuple[str, ...]]:
    """The ids in groups of at most that many."""
    return [tuple(ids[start : start + size]) for start in range(0, len(ids), size)]
