"""Evaluates a query: which rows it has, in which order, and how they look.

A selected segment leaves out rows whose selected metrics are all zero; days that stand in WHERE
only give one row per entity, zeros included. Nothing is left out for being removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from adsync_dagster.simulator.entities import SimEntity
from adsync_dagster.simulator.google_ads_changes import change_lines
from adsync_dagster.simulator.google_ads_errors import GoogleAdsError, query_error
from adsync_dagster.simulator.google_ads_fields import (
    EVERY_FIELD,
    FIELDS,
    METRICS,
    Line,
    Renderer,
    channel_of,
    path_of,
)
from adsync_dagster.simulator.google_ads_query import Condition, Query
from adsync_dagster.simulator.instants import instant_of, ordinal_of
from adsync_dagster.simulator.metrics import add_up
from adsync_dagster.simulator.world import World

_LEVELS = {"campaign": "campaign", "ad_group": "adset", "ad_group_ad": "ad"}
_BARE = "omit_unselected_resource_names"


def check_fields(query: Query) -> None:
    """GoogleAdsError when the query names what its resource does not have."""
    known = FIELDS.get(query.resource)
    if known is None:
        raise query_error("BAD_RESOURCE_TYPE_IN_FROM_CLAUSE")
    for name in (*query.fields, *(condition.field for condition in query.conditions)):
        if name not in EVERY_FIELD:
            raise query_error("UNRECOGNIZED_FIELD", f"Unrecognized field in the query: '{name}'.")
        if name not in known:
            raise query_error("PROHIBITED_RESOURCE_TYPE_IN_SELECT_CLAUSE")
    for name, _ in query.order:
        if name not in query.fields:
            raise query_error("EXPECTED_REFERENCED_FIELD_IN_SELECT_CLAUSE")


def evaluate(world: World, query: Query, base: Line) -> list[Line]:
    """Every row of the query, in its order."""
    if query.resource.startswith("change_"):
        lines = list(change_lines(world, query, base))
    elif base.extra is not None:
        lines = [base]
    else:
        lines = list(_reported(world, query, base))
    lines = [line for line in lines if _passes(line, query)]
    for name, descending in reversed(query.order):
        render = FIELDS[query.resource][name]
        keyed = sorted(
            ((str(render(line)), place) for place, line in enumerate(lines)), reverse=descending
        )
        lines = [lines[place] for _, place in keyed]
    return lines[: query.limit]


def render_rows(query: Query, lines: list[Line]) -> list[dict[str, Any]]:
    """The rows as JSON-ready objects."""
    table = FIELDS[query.resource]
    names = list(query.fields)
    if query.parameters.get(_BARE) != "true":
        names += [name for name in _involved(query, table) if name not in names]
    parts: list[tuple[tuple[str, ...], Renderer]] = [(path_of(name), table[name]) for name in names]
    return [_render(line, parts) for line in lines]


def _render(line: Line, parts: list[tuple[tuple[str, ...], Renderer]]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for path, part in parts:
        value = part(line)
        if value is None:
            continue
        place = row
        for word in path[:-1]:
            place = place.setdefault(word, {})
        place[path[-1]] = value
    return row


def _involved(query: Query, table: dict[str, Renderer]) -> list[str]:
    """The names of resources that come along although nobody selected them."""
    prefixes = {name.rpartition(".")[0] for name in query.fields} | {query.resource}
    return [f"{prefix}.resource_name" for prefix in sorted(prefixes)
            if f"{prefix}.resource_name" in table]  # fmt: skip


def _reported(world: World, query: Query, base: Line) -> Iterator[Line]:
    """Rows of entities, with their numbers where those are asked for."""
    by_day, metrics = "segments.date" in query.fields, query.selects("metrics")
    span = _days(query, base) if by_day or metrics else None
    attributes = [one for one in query.conditions if not one.field.startswith(("segments", "met"))]
    for line in _entities(world, query, base):
        if not all(_holds(line, one, query) for one in attributes):
            continue
        if span is None or line.account is None:
            yield line
        elif by_day:
            yield from _daily(world, query, line, span)
        else:
            yield _summed(world, line, span)


def _entities(world: World, query: Query, base: Line) -> Iterator[Line]:
    level = _LEVELS.get(query.resource)
    if level is None:
        yield base
        return
    for entity in base.account.entities[level].values() if base.account else ():
        if entity.created_at > base.at:
            continue
        chain: list[SimEntity | None] = [*world.ancestors(entity), entity]
        campaign, adset, ad = (*chain, None, None)[:3]
        # What a Performance Max campaign delivers belongs to no ad group and no ad.
        if level != "campaign" and campaign and channel_of(campaign) == "PERFORMANCE_MAX":
            continue
        yield base._replace(campaign=campaign, adset=adset, ad=ad)


def _daily(world: World, query: Query, line: Line, span: range) -> Iterator[Line]:
    shown = [METRICS[name] for name in query.fields if name in METRICS]
    for day in span:
        full = line._replace(day=day, vector=_total(world, line, day))
        if any(part(full) not in ("0", 0.0) for part in shown):
            yield full


def _summed(world: World, line: Line, span: range) -> Line:
    vectors = [world.ledger.book(line.customer).total(*_key(line), day, line.at) for day in span]
    return line._replace(vector=add_up(vectors).vector)


def _total(world: World, line: Line, day: int) -> tuple[int, ...]:
    return world.ledger.book(line.customer).total(*_key(line), day, line.at).vector


def _key(line: Line) -> tuple[str, str]:
    """The level and id of the line in the ledger."""
    entity = line.ad or line.adset or line.campaign
    return ("account", line.customer) if entity is None else (entity.level, entity.id)


def _days(query: Query, base: Line) -> range:
    """The days a report is about; GoogleAdsError when they are open or too long ago."""
    if base.manager is not None:
        raise query_error("REQUESTED_METRICS_FOR_MANAGER")
    account, selected = base.account, "segments.date" in query.fields
    if account is None:
        return range(0)
    today = account.zone.day(base.at)
    bounds = _bounds(query)
    if bounds is None:
        if selected:
            raise query_error("EXPECTED_FILTERS_ON_DATE_RANGE")
        return range(account.zone.day(account.created_at), today + 1)
    since, until = bounds
    if since > until:
        raise GoogleAdsError("dateRangeError.START_DATE_AFTER_END_DATE")
    months = base.settings.report_retention_months
    oldest = (instant_of(base.at) - timedelta(days=months * 30.4375)).toordinal()
    if since < oldest and selected:
        raise GoogleAdsError("dateRangeError.REQUESTED_DATE_GRANULARITY_NOT_SUPPORTED")
    return range(since, min(until, today) + 1)


def _bounds(query: Query) -> tuple[int, int] | None:
    """The first and last day that WHERE names; None when a side is open."""
    since: list[int] = []
    until: list[int] = []
    for condition in query.on("segments.date"):
        try:
            days = [ordinal_of(value) for value in condition.values]
        except ValueError:
            raise query_error("INVALID_VALUE_WITH_BETWEEN_OPERATOR") from None
        if condition.operator in {"BETWEEN", ">=", "="}:
            since.append(days[0])
        if condition.operator in {"BETWEEN", "<=", "="}:
            until.append(days[-1])
    return (max(since), min(until)) if since and until else None


def _passes(line: Line, query: Query) -> bool:
    return all(_holds(line, one, query) for one in query.conditions if one.field != "segments.date")


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
}


def _holds(line: Line, condition: Condition, query: Query) -> bool:
    value = FIELDS[query.resource][condition.field](line)
    text = str(value).lower() if isinstance(value, bool) else value
    if condition.operator in {"=", "IN"}:
        return str(text) in condition.values
    if condition.operator in {"!=", "NOT IN"}:
        return str(text) not in condition.values
    if condition.operator in {"IS NULL", "IS NOT NULL"}:
        return (value is None) is (condition.operator == "IS NULL")
    if condition.operator == "BETWEEN":
        low, high = condition.values
        return low <= str(text) <= high
    if condition.operator not in _COMPARE:
        raise query_error("BAD_OPERATOR")
    compare, other = _COMPARE[condition.operator], condition.values[0]
    if condition.field.startswith("metrics."):
        return compare(float(text), float(other))
    return compare(str(text), other)
