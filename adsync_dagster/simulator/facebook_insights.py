"""Insights: which entities and days a call asks for, and the rows it gets.

Parents' totals hold every child, deleted ones too; row lists may hide children that are gone
(`FacebookSettings.deleted_rows`). An entity without delivery in a range has no row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from adsync_dagster.simulator.entities import SimAccount, SimEntity
from adsync_dagster.simulator.facebook_edges import entities_under, entity_value, nested_request
from adsync_dagster.simulator.facebook_errors import invalid, too_much_data
from adsync_dagster.simulator.facebook_fields import Field, parse_fields
from adsync_dagster.simulator.facebook_filters import (
    GONE,
    METRIC_FIELDS,
    STATUS_FIELDS,
    Filter,
    parse_filters,
    status_wish,
)
from adsync_dagster.simulator.facebook_ranges import Bucket, buckets
from adsync_dagster.simulator.facebook_request import GraphRequest, decode_cursor, encode_cursor
from adsync_dagster.simulator.facebook_rows import Row, RowRenderer, window_names
from adsync_dagster.simulator.facebook_settings import FacebookSettings
from adsync_dagster.simulator.metrics import CLICKS, IMPRESSIONS, SPEND, Totals, add_up
from adsync_dagster.simulator.world import World

_DEPTH = {"account": 0, "campaign": 1, "adset": 2, "ad": 3}
#: Actions vanish from the docs' sort list; this is the one everybody uses.
_SORTS = {"impressions_descending", "impressions_ascending"}


@dataclass(frozen=True, slots=True, kw_only=True)
class InsightsQuery:
    """An insights call, read and found valid. Reports keep it and answer from it later."""

    account: SimAccount
    node: SimEntity | None
    level: str
    buckets: list[Bucket]
    filters: list[Filter]
    windows: list[str]
    fields: tuple[str, ...]
    sort: str | None
    at: int


class Insights:
    """Answers insights calls from the ledger."""

    def __init__(self, world: World, settings: FacebookSettings) -> None:
        self._world = world
        self._settings = settings
        self._rows = RowRenderer(world, settings)

    def read(
        self, request: GraphRequest, account: SimAccount, node: SimEntity | None
    ) -> InsightsQuery:
        """Take a call apart; GraphError when a parameter is wrong."""
        own_level = "account" if node is None else node.level
        level = request.params.get("level") or own_level
        if level not in _DEPTH:
            raise invalid("Param level must be one of {ad, adset, campaign, account}")
        if _DEPTH[level] < _DEPTH[own_level]:
            raise invalid(f"Param level {level} is above the queried object")
        if request.words("breakdowns"):
            raise invalid("breakdowns are not offered by this simulator")
        sort = next(iter(request.words("sort")), None)
        if sort is not None and sort not in _SORTS:
            raise invalid(f"Param sort does not know {sort}")
        at = request.at - self._settings.reporting_delay_seconds * 1_000_000
        names = tuple(field.name for field in parse_fields(request.params.get("fields", "")))
        return InsightsQuery(
            account=account,
            node=node,
            level=level,
            buckets=buckets(request, account, self._settings),
            filters=parse_filters(request, level),
            windows=window_names(request.words("action_attribution_windows")),
            fields=self._rows.known(names, level),
            sort=sort,
            at=at,
        )

    def answer(
        self, request: GraphRequest, account: SimAccount, node: SimEntity | None
    ) -> dict[str, Any]:
        """A synchronous call: one page of rows."""
        query = self.read(request, account, node)
        self.check_size(query, self._settings.sync_rows_max)
        return self.page(request, query)

    def nested(
        self, request: GraphRequest, account: SimAccount, node: SimEntity | None, field: Field
    ) -> dict[str, Any] | None:
        """Insights asked for inside a node's `fields`; absent when there are no rows."""
        inner = nested_request(request, account, node, field)
        body = self.answer(inner, account, node)
        return body if body["data"] else None

    def check_size(self, query: InsightsQuery, rows_max: int | None) -> None:
        """100/1487534 when the call covers more entity-days than the threshold."""
        if rows_max is None:
            return
        days = sum(bucket.until - bucket.since + 1 for bucket in query.buckets)
        entities = 1 if query.level == "account" else len(self._candidates(query))
        if days * entities > rows_max:
            raise too_much_data()

    def page(self, request: GraphRequest, query: InsightsQuery) -> dict[str, Any]:
        """One page of the query's rows."""
        size = request.limit(self._settings.page_size)
        if size > self._settings.insights_page_size_max:
            raise too_much_data()
        page, positions, more = self._cut(request, query, size)
        body: dict[str, Any] = {"data": self._rows.render(page, query.fields, query.windows)}
        if page:
            before, after = encode_cursor(*positions[0]), encode_cursor(*positions[-1])
            paging: dict[str, Any] = {"cursors": {"before": before, "after": after}}
            if more:
                paging["next"] = request.next_url(after)
            body["paging"] = paging
        if request.params.get("summary") or request.flag("default_summary"):
            body["summary"] = self._summary(query)
        return body

    def _cut(
        self, request: GraphRequest, query: InsightsQuery, size: int
    ) -> tuple[list[Row], list[tuple[int, int]], bool]:
        after = request.params.get("after")
        start = decode_cursor(after, 2) if after else None
        by_offset = self._settings.offset_cursors or query.sort is not None
        rows = self._sorted(query) if by_offset else self.rows(query, start)
        skip = start[0] if by_offset and start is not None else 0
        page: list[Row] = []
        positions: list[tuple[int, int]] = []
        for index, row in enumerate(rows):
            if index < skip:
                continue
            if len(page) == size:
                return page, positions, True
            page.append(row)
            positions.append((index + 1, 0) if by_offset else row.position)
        return page, positions, False

    def _sorted(self, query: InsightsQuery) -> list[Row]:
        rows = list(self.rows(query, None))
        if query.sort is not None:
            rows.sort(
                key=lambda row: row.totals.vector[IMPRESSIONS],
                reverse=query.sort == "impressions_descending",
            )
        return rows

    def rows(self, query: InsightsQuery, after: tuple[int, ...] | None) -> Iterator[Row]:
        """The query's rows behind a position (entity sequence, bucket), in a stable order."""
        if query.level == "account":
            yield from self._account_rows(query, after)
            return
        book = self._world.ledger.book(query.account.id)
        total, level, at = book.total, query.level, query.at
        metric_filters = [item for item in query.filters if item.field in METRIC_FIELDS]
        for entity in self._candidates(query):
            sequence, first = entity.sequence, 0
            if after is not None:
                if sequence < after[0]:
                    continue
                first = after[1] + 1 if sequence == after[0] else 0
            for index in range(first, len(query.buckets)):
                bucket = query.buckets[index]
                if bucket.since == bucket.until:
                    totals = total(level, entity.id, bucket.since, at)
                else:
                    totals = add_up(total(level, entity.id, day, at) for day in bucket.days)
                if totals.is_nothing or not _passes(totals, metric_filters):
                    continue
                yield Row(query.account, entity, totals, bucket, (sequence, index))

    def _account_rows(self, query: InsightsQuery, after: tuple[int, ...] | None) -> Iterator[Row]:
        first = 0 if after is None else after[1] + 1
        for index in range(first, len(query.buckets)):
            bucket = query.buckets[index]
            totals = self._account_totals(query, bucket)
            if not totals.is_nothing:
                yield Row(query.account, None, totals, bucket, (0, index))

    def _account_totals(self, query: InsightsQuery, bucket: Bucket) -> Totals:
        """Everything, unless filters narrow it: then only the ads that pass and are live."""
        book = self._world.ledger.book(query.account.id)
        if not query.filters:
            return add_up(
                book.total("account", query.account.id, day, query.at) for day in bucket.days
            )
        ads = self._filtered(query, "ad")
        return add_up(book.total("ad", ad.id, day, query.at) for ad in ads for day in bucket.days)

    def _candidates(self, query: InsightsQuery) -> list[SimEntity]:
        """The entities whose rows this call may show, in order of creation."""
        if query.node is not None and query.level == query.node.level:
            return [query.node]
        return self._filtered(query, query.level)

    def _filtered(self, query: InsightsQuery, level: str) -> list[SimEntity]:
        hidden = self._hidden_statuses(query)
        conditions = [item for item in query.filters if item.field not in METRIC_FIELDS]
        found = []
        for entity in entities_under(query.account, query.node, level):
            version = entity.at(query.at)
            if version is None or (hidden is not None and version.effective in hidden):
                continue
            if all(
                item.accepts(entity_value(self._world, entity, version, item, query.at))
                for item in conditions
            ):
                found.append(entity)
        return found

    def _hidden_statuses(self, query: InsightsQuery) -> frozenset[str] | None:
        """The statuses to hide from a row list, by the mode and what the filters ask for."""
        mode = self._settings.deleted_rows
        if mode == "lenient":
            return None
        asked: set[str] = set()
        for item in query.filters:
            if item.field in STATUS_FIELDS:
                asked |= status_wish([item], item.level) or set()
        hidden = set(GONE)
        if "ARCHIVED" in asked:
            hidden.discard("ARCHIVED")
        if "DELETED" in asked and mode == "filter_deleted_works":
            hidden.discard("DELETED")
        return frozenset(hidden)

    def _summary(self, query: InsightsQuery) -> dict[str, Any]:
        rows = list(self.rows(query, None))
        totals = add_up(row.totals for row in rows)
        span = Bucket(query.buckets[0].since, query.buckets[-1].until)
        row = Row(query.account, None, totals, span, (0, 0))
        return self._rows.summary(row)


def _passes(totals: Totals, filters: list[Filter]) -> bool:
    columns = {"impressions": IMPRESSIONS, "clicks": CLICKS, "spend": SPEND}
    for item in filters:
        amount: float = totals.vector[columns[item.field]]
        if item.field == "spend":
            amount /= 1_000_000
        if not item.accepts(amount):
            return False
    return True
