"""Renders report rows: every value is text, `-` where nothing applies, no row for nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, NamedTuple

from adsync_dagster.simulator.entities import SimAccount, SimEntity
from adsync_dagster.simulator.metrics import (
    CLICKS,
    CONVERSIONS,
    IMPRESSIONS,
    LINK_CLICKS,
    SPEND,
    VALUE,
    Totals,
)
from adsync_dagster.simulator.tiktok_request import bad_parameter

NOT_APPLICABLE = "-"


class Row(NamedTuple):
    """One row before it is rendered. `entity` is None for the account's own."""

    account: SimAccount
    entity: SimEntity | None
    campaign: SimEntity | None
    adset: SimEntity | None
    #: The ordinal of its day; None without a time dimension.
    day: int | None
    totals: Totals


def amount(micros: int) -> str:
    """Micros as decimal text with the two places TikTok writes, or more where they count."""
    if micros < 0:
        return "-" + amount(-micros)
    whole, rest = divmod(micros, 1_000_000)
    places = f"{rest:06d}".rstrip("0")
    return f"{whole}.{places:0<2}"


def _ratio(top: float, bottom: float) -> str:
    return f"{top / bottom:.2f}" if bottom else NOT_APPLICABLE


_Render = Callable[[Row], str]


def _column(index: int) -> _Render:
    return lambda row: str(row.totals.vector[index])


def _spend_per(index: int, scale: int = 1) -> _Render:
    return lambda row: _ratio(row.totals.vector[SPEND] / 1e6 * scale, row.totals.vector[index])


def _people(row: Row) -> str:
    return str(row.totals.reach) if row.totals.vector[IMPRESSIONS] else NOT_APPLICABLE


def _entity(part: Callable[[Row], SimEntity | None], name: str) -> _Render:
    def render(row: Row) -> str:
        entity = part(row)
        if entity is None:
            return NOT_APPLICABLE
        return entity.id if name == "id" else entity.now.name

    return render


def _own(level: str) -> Callable[[Row], SimEntity | None]:
    return lambda row: row.entity if row.entity is not None and row.entity.level == level else None


METRICS: dict[str, _Render] = {
    "spend": lambda row: amount(row.totals.vector[SPEND]),
    "impressions": _column(IMPRESSIONS),
    "clicks": _column(CLICKS),
    "reach": _people,
    "frequency": lambda row: _ratio(row.totals.vector[IMPRESSIONS], row.totals.reach),
    "ctr": lambda row: _ratio(100 * row.totals.vector[CLICKS], row.totals.vector[IMPRESSIONS]),
    "cpc": _spend_per(CLICKS),
    "cpm": _spend_per(IMPRESSIONS, 1000),
    "conversion": _column(CONVERSIONS),
    "real_time_conversion": _column(CONVERSIONS),
    "result": _column(CONVERSIONS),
    "complete_payment": _column(CONVERSIONS),
    "total_purchase_value": lambda row: amount(row.totals.vector[VALUE]),
    "total_complete_payment_rate": lambda row: amount(row.totals.vector[VALUE]),
    "cost_per_conversion": _spend_per(CONVERSIONS),
    "conversion_rate": lambda row: _ratio(
        100 * row.totals.vector[CONVERSIONS], row.totals.vector[CLICKS]
    ),
    "page_content_view_events": _column(LINK_CLICKS),
    "currency": lambda row: row.account.currency,
    "advertiser_id": lambda row: row.account.id,
    "advertiser_name": lambda row: row.account.name,
    "campaign_id": _entity(lambda row: row.campaign, "id"),
    "campaign_name": _entity(lambda row: row.campaign, "name"),
    "adgroup_id": _entity(lambda row: row.adset, "id"),
    "adgroup_name": _entity(lambda row: row.adset, "name"),
    "ad_name": _entity(_own("ad"), "name"),
}
#: Attributes a level does not have, among the metrics.
_ABSENT = {
    "account": {"campaign_id", "campaign_name", "adgroup_id", "adgroup_name", "ad_name"},
    "campaign": {"campaign_id", "adgroup_id", "adgroup_name", "ad_name"},
    "adset": {"adgroup_id", "ad_name"},
    "ad": set(),
}


def known_metrics(names: list[str], level: str, *, strict: bool) -> list[str]:
    """The metrics to render; 40002 for a strange one or one that the level has not."""
    wanted = names or ["spend", "impressions"]
    for name in wanted:
        if strict and (name not in METRICS or name in _ABSENT[level]):
            raise bad_parameter(f"metrics: invalid or in conflict with the dimensions: {name}")
    return [name for name in wanted if name in METRICS and name not in _ABSENT[level]]


def render(row: Row, id_dimension: str, metrics: list[str]) -> dict[str, Any]:
    """A row as a page shows it."""
    owner = row.account.id if row.entity is None else row.entity.id
    dimensions = {id_dimension: owner}
    if row.day is not None:
        dimensions["stat_time_day"] = f"{date.fromordinal(row.day).isoformat()} 00:00:00"
    return {"dimensions": dimensions, "metrics": {name: METRICS[name](row) for name in metrics}}
