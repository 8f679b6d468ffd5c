"""Listing edges: /me/adaccounts, and campaigns, ad sets and ads of an account or a parent.

Lists never show deleted objects and show archived ones only on request. `cursors.after` stands
on the last page too; only the absence of `next` ends paging.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from adsync_dagster.simulator.entities import SimAccount, SimEntity, Version
from adsync_dagster.simulator.facebook_errors import missing_object, reduce_data
from adsync_dagster.simulator.facebook_fields import Field, parse_fields
from adsync_dagster.simulator.facebook_filters import (
    GONE,
    METRIC_FIELDS,
    Filter,
    asked_statuses,
    parse_filters,
    refuse_deleted,
    status_wish,
)
from adsync_dagster.simulator.facebook_nodes import NodeRenderer
from adsync_dagster.simulator.facebook_request import GraphRequest, decode_cursor, encode_cursor
from adsync_dagster.simulator.facebook_settings import FacebookSettings
from adsync_dagster.simulator.instants import SECOND
from adsync_dagster.simulator.metrics import CLICKS, IMPRESSIONS, SPEND
from adsync_dagster.simulator.world import World

_Check = Callable[[SimEntity, Version], bool]


class EdgeLister:
    """Answers listing edges."""

    def __init__(self, world: World, settings: FacebookSettings, nodes: NodeRenderer) -> None:
        self._world = world
        self._settings = settings
        self._nodes = nodes

    def accounts(self, request: GraphRequest) -> dict[str, Any]:
        """The accounts that the token sees."""
        visible = [
            account
            for account in self._world.accounts.values()
            if account.platform == "facebook" and request.token.sees(account.id)
        ]
        fields = parse_fields(request.params.get("fields", ""))
        start = self._start(request)
        size = self._page_size(request)
        shown = visible[start : start + size]
        data = [self._nodes.account(request, account, fields) for account in shown]
        cursors = [start + 1, start + len(shown)]
        more = start + size < len(visible)
        total = len(visible) if _wants_total(request) else None
        return self._page(request, data, cursors, total, more=more)

    def entities(
        self, request: GraphRequest, account: SimAccount, parent: SimEntity | None, level: str
    ) -> dict[str, Any]:
        """One page of a level under an account, campaign or ad set, newest first."""
        checks = self._checks(request, account, level)
        fields = parse_fields(request.params.get("fields", ""))
        size = self._page_size(request)
        matching = self._matching(request, account, parent, level, checks)
        page, more = self._cut(request, matching, size)
        data = [self._nodes.entity(request, account, entity, fields) for entity in page]
        total = None
        if _wants_total(request):
            whole = self._matching(request, account, parent, level, checks)
            total = sum(1 for _ in whole)
        sequences = [entity.sequence for entity in page]
        if self._settings.offset_cursors:
            start = self._start(request)
            sequences = [start + 1 + index for index in range(len(page))]
        return self._page(request, data, sequences, total, more=more)

    def nested(
        self,
        request: GraphRequest,
        account: SimAccount,
        parent: SimEntity | None,
        field: Field,
        level: str,
    ) -> dict[str, Any]:
        """An edge asked for inside `fields`; its modifiers are its parameters."""
        return self.entities(
            nested_request(request, account, parent, field), account, parent, level
        )

    def _cut(
        self, request: GraphRequest, matching: Iterator[SimEntity], size: int
    ) -> tuple[list[SimEntity], bool]:
        page: list[SimEntity] = []
        skip = self._start(request) if self._settings.offset_cursors else 0
        before = None
        if not self._settings.offset_cursors and request.params.get("after"):
            (before,) = decode_cursor(request.params["after"], 1)
        for entity in matching:
            if before is not None and entity.sequence >= before:
                continue
            if skip:
                skip -= 1
                continue
            if len(page) == size:
                return page, True
            page.append(entity)
        return page, False

    def _matching(
        self,
        request: GraphRequest,
        account: SimAccount,
        parent: SimEntity | None,
        level: str,
        checks: Sequence[_Check],
    ) -> Iterator[SimEntity]:
        for entity in reversed(entities_under(account, parent, level)):
            version = entity.at(request.at)
            if version is not None and all(check(entity, version) for check in checks):
                yield entity

    def _checks(self, request: GraphRequest, account: SimAccount, level: str) -> list[_Check]:
        filters = parse_filters(request, level)
        refuse_deleted(filters, self._settings)
        asked = asked_statuses(request, level, self._settings)
        wish = status_wish(filters, level)
        shows_archived = "ARCHIVED" in (asked or ()) or "ARCHIVED" in (wish or ())
        hidden = {"DELETED"} if shows_archived else GONE
        checks: list[_Check] = [lambda _, version: version.effective not in hidden]
        if asked is not None:
            checks.append(lambda _, version: version.effective in asked)
        if request.params.get("updated_since", "").isdigit():
            since = int(request.params["updated_since"]) * SECOND
            checks.append(lambda _, version: version.updated_at >= since)
        checks.extend(self._check(request, account, item) for item in filters)
        return checks

    def _check(self, request: GraphRequest, account: SimAccount, item: Filter) -> _Check:
        if item.field in METRIC_FIELDS:
            return lambda entity, _: item.accepts(self._lifetime(request, account, entity, item))
        return lambda entity, version: item.accepts(
            entity_value(self._world, entity, version, item, request.at)
        )

    def _lifetime(
        self, request: GraphRequest, account: SimAccount, entity: SimEntity, item: Filter
    ) -> float:
        column = {"impressions": IMPRESSIONS, "clicks": CLICKS, "spend": SPEND}[item.field]
        book = self._world.ledger.book(account.id)
        days = range(account.zone.day(entity.created_at), account.zone.day(request.at) + 1)
        whole = sum(
            book.total(entity.level, entity.id, day, request.at).vector[column] for day in days
        )
        return whole / 1_000_000 if column == SPEND else whole

    def _page_size(self, request: GraphRequest) -> int:
        size = request.limit(self._settings.page_size)
        if size > self._settings.page_size_max:
            raise reduce_data()
        return size

    def _start(self, request: GraphRequest) -> int:
        after = request.params.get("after")
        return decode_cursor(after, 1)[0] if after else 0

    def _page(
        self,
        request: GraphRequest,
        data: list[dict[str, Any]],
        positions: list[int],
        total: int | None,
        *,
        more: bool,
    ) -> dict[str, Any]:
        body: dict[str, Any] = {"data": data}
        if data:
            before, after = encode_cursor(positions[0]), encode_cursor(positions[-1])
            paging: dict[str, Any] = {"cursors": {"before": before, "after": after}}
            if more:
                paging["next"] = request.next_url(after)
            body["paging"] = paging
        if total is not None:
            body["summary"] = {"total_count": total}
        return body


def _wants_total(request: GraphRequest) -> bool:
    return request.params.get("summary") in {"true", "1", "total_count", '["total_count"]'}


def nested_request(
    request: GraphRequest, account: SimAccount, parent: SimEntity | None, field: Field
) -> GraphRequest:
    """The request that a nested edge amounts to."""
    params = {name: value.strip() for name, value in field.modifiers.items()}
    if field.fields:
        params["fields"] = ",".join(_spell(inner) for inner in field.fields)
    node = account.id if parent is None else parent.id
    return GraphRequest(
        method="GET",
        version=request.version,
        path=(node, field.name),
        params=params,
        token=request.token,
        at=request.at,
        origin=request.origin,
    )


def _spell(field: Field) -> str:
    modifiers = "".join(f".{name}({value})" for name, value in field.modifiers.items())
    inner = ",".join(_spell(one) for one in field.fields)
    return field.name + modifiers + (f"{{{inner}}}" if inner else "")


def entities_under(account: SimAccount, parent: SimEntity | None, level: str) -> list[SimEntity]:
    """Every entity of a level under an account or parent, in order of creation."""
    if parent is None:
        return list(account.entities[level].values())
    found = [parent]
    while found and found[0].level != level:
        found = [child for entity in found for child in entity.children]
    return sorted(found, key=lambda entity: entity.sequence)


def entity_value(world: World, entity: SimEntity, version: Version, item: Filter, at: int) -> Any:
    """What a filter compares: the field of the entity itself or of its ancestor."""
    while entity.level != item.level:
        if version.parent_id is None:
            raise missing_object(entity.id)
        entity = world.entity({"ad": "adset", "adset": "campaign"}[entity.level], version.parent_id)
        version = entity.at(at) or entity.versions[0]
    if item.field in {"effective_status", "delivery_info"}:
        return version.effective
    if item.field in {"status", "configured_status"}:
        return version.own
    if item.field == "updated_time":
        return version.updated_at
    if item.field == "created_time":
        return entity.created_at
    return version.name if item.field == "name" else entity.id
