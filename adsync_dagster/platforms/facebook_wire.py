"""Meta's wire in general: paths, paging by cursor, and the limits every read obeys.

Paging rules: `cursors.after` also stands on the last page, so only the absence of `next`
ends a listing; a page may be empty and still have a `next`; `next` itself is never opened,
because it repeats the token and could name any host. Whatever contradicts itself raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from adsync_dagster.errors import IncompleteRead, TooMuchData, UsageError
from adsync_dagster.platforms.facebook_errors import BadCursor
from adsync_dagster.platforms.protocol import Record, Request, Rows
from adsync_dagster.platforms.reading import Part, Tally, ask, compact
from adsync_dagster.records import DateRange

_ACCOUNT_DIGITS_MAX = 20
#: What the id of an object looks like; ids become parts of URLs, so nothing else may pass.
ENTITY_ID = "[0-9]{1,30}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLimits:
    """Bounds and sizes of every read. Reaching a bound raises; nothing is cut silently."""

    #: Rows asked for per page; halved down to the floor when Meta says it is too much.
    entity_page_rows: int = 200
    insights_page_rows: int = 500
    activity_page_rows: int = 200
    page_rows_floor: int = 10
    pages_max: int = 10_000
    #: A listing starts again when its cursor went stale or it lost rows meanwhile.
    restarts_max: int = 2
    #: Meta refuses batches of more than 50.
    batch_items_max: int = 50
    #: An item of a batch that came back empty or failed is sent again this often.
    item_attempts_max: int = 5
    #: Ranges of more days are computed by an asynchronous report run.
    sync_days_max: int = 7
    #: Days one report run is asked for at most.
    run_days_max: int = 30
    run_attempts_max: int = 3
    run_polls_max: int = 500
    #: A run whose percentage stands still for that many polls counts as lost.
    run_idle_polls_max: int = 30
    #: Meta may not know a run yet, right after creating it.
    run_unseen_polls_max: int = 5
    poll_seconds_first: float = 0.5
    poll_seconds_max: float = 30.0


DEFAULT_LIMITS = ReadLimits()


class Page(NamedTuple):
    """One page of an edge: its rows, the cursor of the next one, the edge's own count."""

    data: list[Any]
    after: str | None
    total_count: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A paged GET: everything but the cursor and the page size."""

    path: str
    params: Mapping[str, str]
    purpose: str

    def request(self, limit: int, after: str | None) -> Request:
        params = {**self.params, "limit": str(limit)}
        if after is not None:
            params["after"] = after
        return Request(method="GET", path=self.path, params=params, purpose=self.purpose)


def read_pages(
    edge: Edge,
    *,
    page_rows: int,
    limits: ReadLimits,
    tally: Tally,
    parse: Callable[[Page], Sequence[Record]],
) -> Part:
    """Every page of an edge. Each page's Rows announce the request for the next one.

    Raises TooMuchData when even the smallest page is refused, BadCursor when the cursor went
    stale, IncompleteRead when the paging contradicts itself. The rows of earlier pages have
    been handed on by then: whoever starts again yields them again, which is harmless because
    the stage keeps the last record of a key.
    """
    limit = page_rows
    request = edge.request(limit, None)
    after: str | None = None
    cursors: set[str] = set()
    for _ in range(limits.pages_max):
        try:
            response = yield from ask(request, tally)
        except TooMuchData:
            if limit <= limits.page_rows_floor:
                raise
            limit = max(limit // 2, limits.page_rows_floor)
            request = edge.request(limit, after)
            continue
        page = page_of(response.json(), edge.purpose)
        after = _next_cursor(page, cursors, edge.purpose)
        if after is not None:
            request = edge.request(limit, after)
        records = parse(page)
        tally.rows += len(records)
        if records:
            yield Rows(records, ahead=request if after is not None else None)
        if after is None:
            return
    raise IncompleteRead(f"{edge.purpose}: still not at the end after {limits.pages_max} pages")


def read_with_restarts(part: Callable[[], Part], limits: ReadLimits) -> Part:
    """Run a part of a read from its start again when its cursor went stale, a few times."""
    for attempt in range(limits.restarts_max + 1):
        try:
            yield from part()
        except BadCursor:
            if attempt == limits.restarts_max:
                raise
        else:
            return


def page_of(payload: Any, purpose: str) -> Page:
    """A page as far as it can be trusted; IncompleteRead when it does not say where it ends."""
    if not isinstance(payload, dict) or not isinstance(payload.get("data"), list):
        raise IncompleteRead(f"{purpose}: the answer holds no list of rows")
    data = payload["data"]
    paging = payload.get("paging")
    if not isinstance(paging, dict):
        if data:
            raise IncompleteRead(f"{purpose}: a page with rows does not say whether it is the last")
        return Page(data, None, _total_count(payload))
    cursors = paging.get("cursors")
    after = cursors.get("after") if isinstance(cursors, dict) else None
    if paging.get("next") is None:
        return Page(data, None, _total_count(payload))
    if not isinstance(after, str) or not after:
        raise IncompleteRead(f"{purpose}: there is a next page, but no cursor that leads to it")
    return Page(data, after, _total_count(payload))


def _total_count(payload: Mapping[str, Any]) -> int | None:
    summary = payload.get("summary")
    count = summary.get("total_count") if isinstance(summary, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) else None


def _next_cursor(page: Page, cursors: set[str], purpose: str) -> str | None:
    if page.after is None:
        return None
    if page.after in cursors:
        raise IncompleteRead(f"{purpose}: the paging runs in a circle")
    cursors.add(page.after)
    return page.after


def account_node(text: str) -> str:
    """`act_123` for `act_123` or `123`; UsageError for anything else."""
    digits = text.strip().removeprefix("act_")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _ACCOUNT_DIGITS_MAX):
        raise UsageError(
            f"{text.strip()[:40]!r} is not a Meta ad account; write it like act_1234567890"
        )
    return f"act_{digits}"


def time_range(days: DateRange) -> str:
    """Both days are included."""
    return compact({"since": days.since.isoformat(), "until": days.until.isoformat()})
