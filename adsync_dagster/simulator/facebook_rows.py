"""Renders insights rows: every metric a string, money in major units, nothing where nothing is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

from adsync_dagster.simulator.entities import SimAccount, SimEntity
from adsync_dagster.simulator.facebook_errors import unknown_field
from adsync_dagster.simulator.facebook_ranges import Bucket
from adsync_dagster.simulator.facebook_settings import FacebookSettings
from adsync_dagster.simulator.metrics import (
    C_1D_CLICK,
    C_1D_VIEW,
    C_28D,
    CLICKS,
    CONVERSIONS,
    IMPRESSIONS,
    LINK_CLICKS,
    SPEND,
    V_1D_CLICK,
    V_1D_VIEW,
    V_28D,
    VALUE,
    Totals,
    Vector,
)
from adsync_dagster.simulator.world import World

#: Windows that still come back; 7d_view and 28d_view are accepted and silently empty.
_WINDOWS = ("1d_click", "7d_click", "28d_click", "1d_view", "1d_ev")


_PURCHASES = ("omni_purchase", "purchase", "offsite_conversion.fb_pixel_purchase")


class Row(NamedTuple):
    """One row before it is rendered. `entity` is None for the account's own."""

    account: SimAccount
    entity: SimEntity | None
    totals: Totals
    bucket: Bucket
    position: tuple[int, int]


class _Context(NamedTuple):
    renderer: RowRenderer
    row: Row
    vector: Vector
    campaign: SimEntity | None
    adset: SimEntity | None
    windows: Sequence[str]


def window_names(words: Sequence[str]) -> list[str]:
    """The attribution windows that get keys of their own; `default` adds none."""
    return [window for window in _WINDOWS if window in words]


def money(micros: int) -> str:
    """Micros as decimal text without trailing zeros: 87400000 is `87.4`."""
    if micros < 0:
        return "-" + money(-micros)
    whole, rest = divmod(micros, 1_000_000)
    return f"{whole}.{rest:06d}".rstrip("0") if rest else str(whole)


@lru_cache(maxsize=4096)
def day_text(day: int) -> str:
    """An ordinal as YYYY-MM-DD."""
    return date.fromordinal(day).isoformat()


def _ratio(top: float, bottom: float) -> str | None:
    return f"{top / bottom:.6f}" if bottom else None


def _counts(vector: Vector) -> dict[str, int]:
    click = vector[CONVERSIONS] - vector[C_1D_VIEW]
    return {
        "1d_click": vector[C_1D_CLICK],
        "7d_click": click,
        "28d_click": click + vector[C_28D],
        "1d_view": vector[C_1D_VIEW],
        "1d_ev": 0,
    }


def _values(vector: Vector) -> dict[str, int]:
    click = vector[VALUE] - vector[V_1D_VIEW]
    return {
        "1d_click": vector[V_1D_CLICK],
        "7d_click": click,
        "28d_click": click + vector[V_28D],
        "1d_view": vector[V_1D_VIEW],
        "1d_ev": 0,
    }


def _amounts(value: int, windows: dict[str, int], text: Callable[[int], str]) -> dict[str, str]:
    """The value and the windows that hold anything."""
    amounts = {"value": text(value)}
    for name, amount in windows.items():
        if amount:
            amounts[name] = text(amount)
    return amounts


def _purchases(
    whole: int, windows: dict[str, int], context: _Context, text: Callable[[int], str]
) -> list[Any]:
    """The same purchases under the three names that overlap: summing them counts thrice."""
    asked = {name: windows[name] for name in context.windows}
    if not whole and not any(asked.values()):
        return []
    amounts = _amounts(whole, asked, text)
    return [{"action_type": kind, **amounts} for kind in _PURCHASES]


def _actions(context: _Context) -> Any:
    vector = context.vector
    items = []
    if links := vector[LINK_CLICKS]:
        windows = {name: links for name in context.windows if name.endswith("_click")}
        items.append({"action_type": "link_click", **_amounts(links, windows, str)})
        items.append({"action_type": "landing_page_view", "value": str(links * 4 // 5)})
    items += _purchases(vector[CONVERSIONS], _counts(vector), context, str)
    return items or None


def _action_values(context: _Context) -> Any:
    return _purchases(context.vector[VALUE], _values(context.vector), context, money) or None


def _roas(context: _Context) -> Any:
    spend, value = context.vector[SPEND], context.vector[VALUE]
    if not spend or not value:
        return None
    return [{"action_type": "omni_purchase", "value": f"{value / spend:.6f}"}]


def _cost_per_action(context: _Context) -> Any:
    spend, count = context.vector[SPEND], context.vector[CONVERSIONS]
    if not spend or not count:
        return None
    return [{"action_type": "omni_purchase", "value": f"{spend / count / 1e6:.6f}"}]


def _outbound(context: _Context) -> Any:
    links = context.vector[LINK_CLICKS]
    return [{"action_type": "outbound_click", "value": str(links)}] if links else None


def _own(level: str, part: Callable[[SimEntity], str]) -> Callable[[_Context], Any]:
    def render(context: _Context) -> Any:
        entity = {
            "campaign": context.campaign,
            "adset": context.adset,
            "ad": context.row.entity,
        }[level]
        return part(entity) if entity is not None and entity.level == level else None

    return render


def _cost(column: int, scale: float) -> Callable[[_Context], Any]:
    """Spend per `scale` of a column, in major units."""
    return lambda context: _ratio(context.vector[SPEND] / 1e6 * scale, context.vector[column])


_Renderer = Callable[[_Context], Any]
_ACCOUNT_FIELDS: dict[str, _Renderer] = {
    "account_id": lambda c: c.row.account.id.removeprefix("act_"),
    "account_name": lambda c: c.row.account.name,
    "account_currency": lambda c: c.row.account.currency,
    "impressions": lambda c: str(c.vector[IMPRESSIONS]),
    "clicks": lambda c: str(c.vector[CLICKS]),
    "inline_link_clicks": lambda c: str(c.vector[LINK_CLICKS]) if c.vector[LINK_CLICKS] else None,
    "spend": lambda c: money(c.vector[SPEND]),
    "reach": lambda c: str(c.row.totals.reach),
    "frequency": lambda c: _ratio(c.vector[IMPRESSIONS], c.row.totals.reach),
    "cpc": _cost(CLICKS, 1),
    "cpm": _cost(IMPRESSIONS, 1000),
    "cpp": lambda c: _ratio(c.vector[SPEND] / 1e3, c.row.totals.reach),
    "ctr": lambda c: _ratio(100 * c.vector[CLICKS], c.vector[IMPRESSIONS]),
    "inline_link_click_ctr": lambda c: _ratio(100 * c.vector[LINK_CLICKS], c.vector[IMPRESSIONS]),
    "cost_per_inline_link_click": _cost(LINK_CLICKS, 1),
    "outbound_clicks": _outbound,
    "actions": _actions,
    "action_values": _action_values,
    "conversions": lambda _: None,
    "conversion_values": lambda _: None,
    "purchase_roas": _roas,
    "website_purchase_roas": _roas,
    "cost_per_action_type": _cost_per_action,
    "attribution_setting": lambda _: "7d_click_1d_view",
    "date_start": lambda c: day_text(c.row.bucket.since),
    "date_stop": lambda c: day_text(c.row.bucket.until),
}
_CAMPAIGN_FIELDS: dict[str, _Renderer] = {
    **_ACCOUNT_FIELDS,
    "campaign_id": _own("campaign", lambda entity: entity.id),
    "campaign_name": _own("campaign", lambda entity: entity.now.name),
    "objective": _own("campaign", lambda entity: entity.traits.get("objective", "OUTCOME_SALES")),
    "buying_type": lambda _: "AUCTION",
}
_ADSET_FIELDS: dict[str, _Renderer] = {
    **_CAMPAIGN_FIELDS,
    "adset_id": _own("adset", lambda entity: entity.id),
    "adset_name": _own("adset", lambda entity: entity.now.name),
    "optimization_goal": lambda _: "OFFSITE_CONVERSIONS",
}
_AD_FIELDS: dict[str, _Renderer] = {
    **_ADSET_FIELDS,
    "ad_id": _own("ad", lambda entity: entity.id),
    "ad_name": _own("ad", lambda entity: entity.now.name),
}
_FIELDS = {
    "account": _ACCOUNT_FIELDS,
    "campaign": _CAMPAIGN_FIELDS,
    "adset": _ADSET_FIELDS,
    "ad": _AD_FIELDS,
}
_DEFAULT = {
    "account": ("account_id",),
    "campaign": ("account_id", "campaign_id"),
    "adset": ("account_id", "campaign_id", "adset_id"),
    "ad": ("account_id", "campaign_id", "adset_id", "ad_id"),
}


class RowRenderer:
    """Turns rows into what the wire shows."""

    def __init__(self, world: World, settings: FacebookSettings) -> None:
        self._world = world
        self._settings = settings

    def known(self, names: tuple[str, ...], level: str) -> tuple[str, ...]:
        """The fields to render: the level's default without any, GraphError for a strange one.

        A deeper level's field is simply absent from a shallower row.
        """
        if not names:
            return (*_DEFAULT[level], "impressions", "spend")
        for name in names:
            if name not in _AD_FIELDS and self._settings.strict:
                raise unknown_field(name, "AdsInsights")
        return tuple(name for name in names if name in _FIELDS[level])

    def render(
        self, rows: Sequence[Row], fields: Sequence[str], windows: Sequence[str]
    ) -> list[dict[str, Any]]:
        """The rows as JSON-ready objects, dates last."""
        if not rows:
            return []
        level = "account" if rows[0].entity is None else rows[0].entity.level
        table = _FIELDS[level]
        renderers = [(name, table[name]) for name in fields if not name.startswith("date_st")]
        return [self._render_one(row, renderers, windows) for row in rows]

    def summary(self, row: Row) -> dict[str, Any]:
        """The totals of a whole result."""
        fields = ("impressions", "clicks", "spend", "reach")
        return self.render([row], fields, ())[0]

    def _render_one(
        self,
        row: Row,
        renderers: Sequence[tuple[str, _Renderer]],
        windows: Sequence[str],
    ) -> dict[str, Any]:
        campaign, adset = self._lineage(row)
        context = _Context(self, row, row.totals.vector, campaign, adset, windows)
        body = {}
        for name, render in renderers:
            value = render(context)
            if value is not None:
                body[name] = value
        body["date_start"] = day_text(row.bucket.since)
        body["date_stop"] = day_text(row.bucket.until)
        return body

    def _lineage(self, row: Row) -> tuple[SimEntity | None, SimEntity | None]:
        """The campaign and ad set that the row's first day counts for."""
        entity = row.entity
        if entity is None:
            return None, None
        if entity.level == "campaign":
            return entity, None
        if entity.level == "adset":
            return self._world.ancestors(entity)[0], entity
        track = self._world.ledger.book(entity.account_id).tracks[entity.id]
        adset_id, campaign_id = track.parents_on(row.bucket.since)
        return self._world.entity("campaign", campaign_id), self._world.entity("adset", adset_id)
