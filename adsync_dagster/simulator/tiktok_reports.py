"""`report/integrated/get`: which entities and days a report covers, and the rows it gets.

Rows of deleted entities are hidden unless the level's own status field is filtered for them;
the advertiser's totals hold everything. A report that covers very many ads considers only the
newest of them: the code stays 0, and a header is the only sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from adsync_dagster.simulator.entities import SimAccount, SimEntity
from adsync_dagster.simulator.faults import Faults
from adsync_dagster.simulator.metrics import CLICKS, CONVERSIONS, IMPRESSIONS, SPEND, Totals, add_up
from adsync_dagster.simulator.tiktok_request import ApiRequest, TikTokError, bad_parameter
from adsync_dagster.simulator.tiktok_rows import Row, amount, known_metrics, render
from adsync_dagster.simulator.tiktok_settings import TikTokSettings
from adsync_dagster.simulator.tiktok_statuses import GROUPS, matches, shown_statuses
from adsync_dagster.simulator.world import World

LEVELS = {
    "AUCTION_ADVERTISER": ("account", "advertiser_id"),
    "AUCTION_CAMPAIGN": ("campaign", "campaign_id"),
    "AUCTION_ADGROUP": ("adset", "adgroup_id"),
    "AUCTION_AD": ("ad", "ad_id"),
}
_STATUS_FIELDS = {"campaign": "campaign_status", "adset": "adgroup_status", "ad": "ad_status"}
_ID_FILTERS = {"campaign_ids": "campaign", "adgroup_ids": "adset", "ad_ids": "ad"}
_TYPES = frozenset({"BASIC", "AUDIENCE", "PLAYABLE_MATERIAL", "CATALOG", "BC", "TT_SHOP"})
_UNDATED_DAYS_MAX = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportQuery:
    """A report call, read and found valid. Tasks keep it and answer from it later."""

    account: SimAccount
    level: str
    id_dimension: str
    days: range
    by_day: bool
    metrics: tuple[str, ...]
    #: Ids by level of the entities it is narrowed to.
    ids: tuple[tuple[str, frozenset[str]], ...]
    #: The level's status filter.
    statuses: tuple[str, ...]
    at: int


class Reports:
    """Answers synchronous reports from the ledger."""

    def __init__(self, world: World, settings: TikTokSettings, faults: Faults) -> None:
        self._world = world
        self._faults = faults
        self._settings = settings
        self._latest: tuple[Any, list[Row], bool] | None = None

    def read(self, request: ApiRequest, *, by_task: bool = False) -> ReportQuery:
        """Take a call apart; TikTokError when a parameter is wrong."""
        if request.text("report_type") not in _TYPES:
            raise bad_parameter("report_type: Not a valid choice.")
        if request.params["report_type"] != "BASIC":
            raise bad_parameter("report_type: only BASIC is offered by this simulator.")
        if request.text("data_level") not in LEVELS:
            raise bad_parameter("data_level: Not a valid choice.")
        level, id_dimension = LEVELS[request.params["data_level"]]
        by_day = _dimensions(request, id_dimension)
        ids, statuses = self._filters(request, level, by_task=by_task)
        account, at = (
            request.advertiser,
            request.at - self._settings.reporting_delay_seconds * 10**6,
        )
        return ReportQuery(
            account=account,
            level=level,
            id_dimension=id_dimension,
            days=self._days(request, account, at, by_day=by_day, by_task=by_task),
            by_day=by_day,
            metrics=tuple(
                known_metrics(request.words("metrics"), level, strict=self._settings.strict)
            ),
            ids=ids,
            statuses=statuses,
            at=at,
        )

    def answer(self, request: ApiRequest) -> tuple[dict[str, Any], dict[str, str]]:
        """One page of rows, and the header that tells of a truncation."""
        query = self.read(request)
        rows, truncated = self.rows(query)
        page = request.page(rows)
        page["list"] = [
            render(row, query.id_dimension, list(query.metrics)) for row in page["list"]
        ]
        if request.flag("enable_total_metrics"):
            page["total_metrics"] = _total_metrics(rows)
        return page, {"X-Tt-Ads-Throttle": "1"} if truncated else {}

    def rows(self, query: ReportQuery, *, by_task: bool = False) -> tuple[list[Row], bool]:
        """Every row of the query, and whether ads were left out of consideration."""
        key = (query, by_task, self._world.revision, repr(self._settings))
        if self._latest is None or self._latest[0] != key or self._faults.hides_objects:
            self._latest = (key, *self._evaluate(query, by_task=by_task))
        return self._latest[1], self._latest[2]

    def _evaluate(self, query: ReportQuery, *, by_task: bool) -> tuple[list[Row], bool]:
        if query.level == "account":
            return self._rows_of(query, None, None), False
        found = self._candidates(query)
        cells_max = self._settings.report_cells_max
        if cells_max is not None and not by_task and len(found) * len(query.days) > cells_max:
            raise TikTokError(50002, "Service timed out, please try again later.")
        considered = None if by_task else self._considered(query)
        rows: list[Row] = []
        for entity in found:
            rows += self._rows_of(query, entity, considered)
        return rows, considered is not None

    def _candidates(self, query: ReportQuery) -> list[SimEntity]:
        """The entities whose rows may be shown, newest first."""
        found = []
        for entity in reversed(query.account.entities[query.level].values()):
            if entity.created_at > query.at or entity.id in self._settings.purged:
                continue
            if not self._is_under(entity, query.ids):
                continue
            if query.level in dict(query.ids) and self._faults.hides(
                "report/integrated/get", entity.sequence
            ):
                continue
            shown = shown_statuses(self._world, entity, query.at)
            if any(matches(status, shown) for status in query.statuses):
                found.append(entity)
        return found

    def _is_under(self, entity: SimEntity, ids: tuple[tuple[str, frozenset[str]], ...]) -> bool:
        if not ids:
            return True
        chain = {one.level: one.id for one in [*self._world.ancestors(entity), entity]}
        return all(chain.get(level) in wanted for level, wanted in ids)

    def _considered(self, query: ReportQuery) -> frozenset[str] | None:
        """The newest ads, when the report covers too many; None when it covers few."""
        ads = [
            ad.id
            for ad in query.account.entities["ad"].values()
            if ad.created_at <= query.at and self._is_under(ad, query.ids)
        ]
        most = self._settings.ads_considered_max
        return frozenset(ads[-most:]) if len(ads) >= most else None

    def _rows_of(
        self, query: ReportQuery, entity: SimEntity | None, considered: frozenset[str] | None
    ) -> list[Row]:
        rows = []
        spans = [[day] for day in query.days] if query.by_day else [list(query.days)]
        for span in spans:
            totals = add_up([self._total(query, entity, day, considered) for day in span])
            if totals.is_nothing:
                continue
            campaign, adset = self._lineage(entity, span[0])
            day = span[0] if query.by_day else None
            rows.append(Row(query.account, entity, campaign, adset, day, totals))
        return rows

    def _total(
        self,
        query: ReportQuery,
        entity: SimEntity | None,
        day: int,
        considered: frozenset[str] | None,
    ) -> Totals:
        book = self._world.ledger.book(query.account.id)
        if entity is None:
            return book.total("account", query.account.id, day, query.at)
        if considered is None or entity.level == "ad":
            hidden = considered is not None and entity.id not in considered
            return add_up([]) if hidden else book.total(entity.level, entity.id, day, query.at)
        place = 0 if entity.level == "adset" else 1
        return add_up(
            [
                track.cell(day, query.at).totals
                for ad_id, track in book.tracks.items()
                if ad_id in considered and track.parents_on(day)[place] == entity.id
            ]
        )

    def _lineage(
        self, entity: SimEntity | None, day: int
    ) -> tuple[SimEntity | None, SimEntity | None]:
        """Campaign and ad group that the day counts for."""
        if entity is None:
            return None, None
        if entity.level == "campaign":
            return entity, None
        if entity.level == "adset":
            return self._world.ancestors(entity)[0], entity
        track = self._world.ledger.book(entity.account_id).tracks[entity.id]
        adset_id, campaign_id = track.parents_on(day)
        return self._world.entity("campaign", campaign_id), self._world.entity("adset", adset_id)

    def _days(
        self, request: ApiRequest, account: SimAccount, at: int, *, by_day: bool, by_task: bool
    ) -> range:
        if request.flag("query_lifetime"):
            if by_day:
                raise bad_parameter("query_lifetime: cannot be used with a time dimension.")
            return range(account.zone.day(account.created_at), account.zone.day(at) + 1)
        since, until = request.day("start_date"), request.day("end_date")
        if since > until:
            raise bad_parameter("start_date: Must not be after end_date.")
        most = self._settings.report_days_max if by_day else _UNDATED_DAYS_MAX
        if until - since + 1 > most and not by_task:
            raise bad_parameter(f"The time span must not be more than {most} days.")
        return range(since, until + 1)

    def _filters(
        self, request: ApiRequest, level: str, *, by_task: bool
    ) -> tuple[tuple[tuple[str, frozenset[str]], ...], tuple[str, ...]]:
        filters = request.json("filtering") or []
        if not isinstance(filters, list):
            raise bad_parameter("filtering: Not a list.")
        ids: list[tuple[str, frozenset[str]]] = []
        statuses: tuple[str, ...] = ("STATUS_NOT_DELETE",)
        if by_task and self._settings.task_shows_deleted:
            statuses = ("STATUS_ALL",)
        for item in filters:
            name, values = _filter(item)
            if name in _ID_FILTERS:
                if len(values) > self._settings.ids_max:
                    raise TikTokError(40011, f"filtering.{name}: Too many ids.")
                ids.append((_ID_FILTERS[name], frozenset(values)))
            elif name == _STATUS_FIELDS.get(level) and not by_task:
                if not set(values) <= GROUPS | {"STATUS_ALL", "STATUS_NOT_DELETE"}:
                    raise bad_parameter(f"filtering.{name}: Not a valid choice.")
                statuses = tuple(values)
            elif self._settings.strict:
                raise bad_parameter(f"filtering.field_name: {name} is not supported here.")
        return tuple(ids), statuses


def _dimensions(request: ApiRequest, id_dimension: str) -> bool:
    """Check the dimensions; whether there is a row for every day."""
    dimensions = request.words("dimensions")
    if id_dimension not in dimensions:
        raise bad_parameter("dimensions: do not fit data_level.")
    rest = [name for name in dimensions if name != id_dimension]
    if rest not in ([], ["stat_time_day"]):
        raise bad_parameter("dimensions: invalid or in conflict with each other.")
    return bool(rest)


def _filter(item: Any) -> tuple[str, list[str]]:
    """Field and values of one filter. The value has to be text that holds JSON."""
    if not isinstance(item, dict) or item.get("filter_type") != "IN":
        raise bad_parameter("filtering: only IN is offered by this simulator.")
    text = item.get("filter_value")
    if not isinstance(text, str):
        raise bad_parameter("filtering.filter_value: Not a valid string.")
    try:
        values = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise bad_parameter("filtering.filter_value: Not valid JSON.") from None
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise bad_parameter("filtering.filter_value: Not a list of strings.")
    return str(item.get("field_name")), values


def _total_metrics(rows: list[Row]) -> dict[str, str]:
    whole = add_up([row.totals for row in rows]).vector
    return {
        "spend": amount(whole[SPEND]),
        "impressions": str(whole[IMPRESSIONS]),
        "clicks": str(whole[CLICKS]),
        "conversion": str(whole[CONVERSIONS]),
    }
