"""Reports: which rows are asked for, in which parts, synchronously or as a report task.

Rows of deleted entities are hidden unless the level's own status field is filtered by
STATUS_ALL, by id too. A synchronous report considers only the newest 20,000 ads and says so in
nothing but a header (AdsTruncated): it is then asked for in groups of campaigns, which are
halved, then in groups of one campaign's ad groups. What is still too much becomes a report
task, which has no such limit, but may hide the deleted: the account's totals, which hold
everything, then show what is missing, and it is read by id. A report that times out is asked
for in halves of its days, then of its ids. Where even one id needs a task, and the task says
nothing of an entity that is deleted, that is no answer: the id counts as missing. So does one
without any row that the lists do not show by its id either.

Whatever is begun again yields rows a second time. That is harmless: the stage keeps the last
row of an (entity, day), and a read that raises is merged not at all.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from adsync_dagster.calendar import split_range
from adsync_dagster.errors import Defect, IncompleteRead, TooMuchData
from adsync_dagster.platforms.protocol import Pause, Request, Response, Rows, Step
from adsync_dagster.platforms.reading import Part, Tally, ask, compact
from adsync_dagster.platforms.tiktok_entities import (
    STATUS_ALL,
    WORDS,
    EntityQuestion,
    listing,
    parse_entities,
)
from adsync_dagster.platforms.tiktok_errors import AdsTruncated, ObjectMissing, TooManyIds
from adsync_dagster.platforms.tiktok_metrics import (
    DAY_DIMENSION,
    END_COLUMN,
    ID_DIMENSIONS,
    PARENTS,
    Question,
    days_of,
    parse_rows,
    rows_of_csv,
)
from adsync_dagster.platforms.tiktok_wire import (
    Parsed,
    Query,
    ReadLimits,
    chunks,
    entity_number,
    path_of,
    read_listing,
    read_whole,
)
from adsync_dagster.records import DailyMetrics, DateRange, Level

TASK_CREATE = path_of("report/task/create")
_DATA_LEVELS: dict[Level | None, str] = {
    None: "AUCTION_ADVERTISER",
    Level.CAMPAIGN: "AUCTION_CAMPAIGN",
    Level.ADSET: "AUCTION_ADGROUP",
    Level.AD: "AUCTION_AD",
}


class TaskLost(IncompleteRead):
    """A report task failed, was cancelled or does not end: it is created anew, a few times."""


class Scope(NamedTuple):
    """The entities a part of a report is narrowed to."""

    #: A filter such as `campaign_ids`; empty for the whole account.
    name: str = ""
    ids: tuple[str, ...] = ()


class _Piece(NamedTuple):
    days: DateRange
    scope: Scope
    by_task: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One report question. `level` None asks for the account's own totals."""

    account: str
    level: Level | None
    conversion_metric: str
    value_metric: str
    purpose: str

    @property
    def dimensions(self) -> list[str]:
        return [ID_DIMENSIONS[self.level], DAY_DIMENSION]

    @property
    def metrics(self) -> list[str]:
        """Unique people are asked for per entity only: they are no part of a checksum."""
        people = () if self.level is None else ("reach", "frequency")
        names = ("spend", "impressions", "clicks", *people)
        wanted = (*names, self.conversion_metric, self.value_metric, *PARENTS[self.level])
        return list(dict.fromkeys(wanted))

    def query(self, days: DateRange, scope: Scope) -> Query:
        """The synchronous report of these days and entities."""
        params = {
            "report_type": "BASIC",
            "advertiser_id": self.account,
            "data_level": _DATA_LEVELS[self.level],
            "dimensions": compact(self.dimensions),
            "metrics": compact(self.metrics),
            "start_date": days.since.isoformat(),
            "end_date": days.until.isoformat(),
        }
        filters = self._filters(scope)
        if self.level is not None:
            filters.append(_one_of(f"{WORDS[self.level]}_status", [STATUS_ALL]))
        if filters:
            params["filtering"] = compact(filters)
        return Query(path=path_of("report/integrated/get"), params=params, purpose=self.purpose)

    def task(self, days: DateRange, scope: Scope) -> Request:
        """The request that creates a report task. Its filters know ids, but no statuses."""
        body: dict[str, Any] = {
            "advertiser_id": self.account,
            "report_type": "BASIC",
            "data_level": _DATA_LEVELS[self.level],
            "dimensions": self.dimensions,
            "metrics": [*self.metrics, END_COLUMN],
            "start_date": days.since.isoformat(),
            "end_date": days.until.isoformat(),
            "output_format": "CSV_STRING",
            "enable_report_title_translation": False,
        }
        if filters := self._filters(scope):
            body["filtering"] = filters
        return Request(method="POST", path=TASK_CREATE, json=body, purpose=self.purpose)

    def question(self, days: DateRange, scope: Scope) -> Question:
        """What the rows have to be about."""
        named = self.level is not None and scope.name == f"{WORDS[self.level]}_ids"
        return Question(
            account=self.account,
            level=self.level,
            days=days_of(days),
            conversion_metric=self.conversion_metric,
            value_metric=self.value_metric,
            purpose=self.purpose,
            ids=frozenset(scope.ids) if named else None,
        )

    def _filters(self, scope: Scope) -> list[dict[str, str]]:
        return [_one_of(scope.name, scope.ids)] if scope.name else []


def _one_of(name: str, values: Sequence[str]) -> dict[str, str]:
    """A filter. Its value is itself JSON text, not a list."""
    return {"field_name": name, "filter_type": "IN", "filter_value": compact(list(values))}


def scopes_of(level: Level, ids: Sequence[str], limits: ReadLimits) -> list[Scope]:
    """Entities in groups small enough for one filter."""
    size = limits.report_campaign_ids_max if level is Level.CAMPAIGN else limits.ids_max
    name = f"{WORDS[level]}_ids"
    return [Scope(name, group) for group in chunks([entity_number(one) for one in ids], size)]


def read_report(
    report: Report, days: DateRange, scopes: Sequence[Scope], limits: ReadLimits, tally: Tally
) -> Part:
    """Every row of the report, scope by scope, oldest days first."""
    is_by_id = any(scope.name for scope in scopes)
    yield from _Reading(report, limits, tally, is_by_id).run(days, scopes)


@dataclass(slots=True)
class _Reading:
    """A report on its way: the parts still to be read, and the campaigns once they are needed."""

    report: Report
    limits: ReadLimits
    tally: Tally
    #: Whether entities were named: then each of them has to be heard of, or counts as missing.
    is_by_id: bool
    campaigns: list[str] | None = None
    #: The entities that rows told of.
    told: set[str] = field(default_factory=set)

    def run(self, days: DateRange, scopes: Sequence[Scope]) -> Part:
        yield from self._read_all(days, scopes)
        if self.is_by_id:
            yield from self._miss_unknown(scopes)

    def _read_all(self, days: DateRange, scopes: Sequence[Scope]) -> Part:
        spans = split_range(days, self.limits.report_days_max)
        pieces = [_Piece(span, scope) for scope in scopes for span in spans][::-1]
        while pieces:
            piece = pieces.pop()
            try:
                yield from self._read(piece)
            except (AdsTruncated, TooManyIds):
                narrower = yield from self._narrower(piece)
                pieces.extend(narrower[::-1])
            except TooMuchData:
                if piece.by_task:
                    raise
                pieces = _lighter(piece, pieces)

    def _read(self, piece: _Piece) -> Part:
        if piece.by_task:
            told = yield from self._read_by_task(piece)
            if self.is_by_id:
                yield from self._miss_hidden(piece, told)
            return
        question = self.report.question(piece.days, piece.scope)
        query = self.report.query(piece.days, piece.scope)
        yield from read_whole(
            query, self.limits, self.tally, lambda rows: self._noted(parse_rows(rows, question))
        )

    def _noted(self, parsed: Parsed) -> Parsed:
        """What a page holds, after noting whom it tells of."""
        self.told.update(one.platform_id for one in parsed.records if isinstance(one, DailyMetrics))
        return parsed

    def _miss_unknown(self, scopes: Sequence[Scope]) -> Part:
        """A report has no word for an entity that is not there, or not for us; the lists have.

        Without rows it either delivered nothing, or cannot be read: that is not the same.
        """
        level, name = self.report.level, scopes[0].name
        if level is None:
            return
        heard = self.told | self.tally.missing_ids
        silent = [one for scope in scopes for one in scope.ids if one not in heard]
        for group in chunks(silent, self.limits.ids_max):
            listed = yield from self._ids(level, {name: list(group)})
            self.tally.missing_ids |= set(group) - set(listed)

    def _narrower(self, piece: _Piece) -> Generator[Step, Response | None, list[_Piece]]:
        """Parts that cover fewer ads each; a report task when there are none."""
        name, ids = piece.scope
        level = self.report.level
        if len(ids) > 1:
            return _half_the_ids(piece)
        if not name and level is not None:
            if self.campaigns is None:
                self.campaigns = yield from self._ids(Level.CAMPAIGN, {})
            groups = chunks(self.campaigns, self.limits.report_campaign_ids_max)
            scopes = [Scope("campaign_ids", group) for group in groups]
        elif name == "campaign_ids" and level in {Level.ADSET, Level.AD}:
            below = yield from self._ids(Level.ADSET, {"campaign_ids": list(ids)})
            scopes = [Scope("adgroup_ids", group) for group in chunks(below, self.limits.ids_max)]
        else:
            return [_as_task(piece)]
        return [piece._replace(scope=scope) for scope in scopes]

    def _ids(
        self, level: Level, filtering: dict[str, Any]
    ) -> Generator[Step, Response | None, list[str]]:
        """The ids of a level, deleted ones included, without handing any rows on."""
        question = EntityQuestion(
            level=level, account=self.report.account, purpose=self.report.purpose
        )
        found: dict[str, None] = {}

        def keep(rows: list[Any]) -> Parsed:
            keys = parse_entities(rows, question).keys
            found.update(dict.fromkeys(str(key) for key in keys))
            return Parsed(keys, ())

        yield from read_listing(listing(question, filtering), self.limits, self.tally, keep)
        return list(found)

    def _miss_hidden(self, piece: _Piece, told: set[str]) -> Part:
        """Of the entities asked for, the task is silent about some because they are deleted."""
        level, (name, ids) = self.report.level, piece.scope
        silent = [one for one in ids if one not in told]
        if level is None or not silent:
            return
        living = {"primary_status": "STATUS_NOT_DELETE", name: silent}
        self.tally.missing_ids |= set(silent) - set((yield from self._ids(level, living)))

    def _read_by_task(self, piece: _Piece) -> Generator[Step, Response | None, set[str]]:
        """Create a task, wait for it, read its text; a task that gets lost is created anew.

        Returns the ids it told of.
        """
        for attempt in range(self.limits.task_attempts_max):
            try:
                task_id = yield from self._create(piece)
                yield from self._wait(task_id)
                return (yield from self._download(task_id, piece))
            except (TaskLost, ObjectMissing):
                if attempt + 1 == self.limits.task_attempts_max:
                    raise
        raise Defect("a report task needs at least one attempt")

    def _create(self, piece: _Piece) -> Generator[Step, Response | None, str]:
        request = self.report.task(piece.days, piece.scope)
        task_id = (yield from ask(request, self.tally)).json()["data"].get("task_id")
        if not (isinstance(task_id, str) and task_id.isascii() and task_id.isprintable()):
            raise IncompleteRead(f"{self.report.purpose}: the answer lacks task_id")
        return task_id

    def _wait(self, task_id: str) -> Part:
        """Return once the task's text is ready."""
        request = self._about(task_id, "report/task/check")
        wait = self.limits.poll_seconds_first
        for _ in range(self.limits.task_polls_max):
            yield Pause(wait, f"{self.report.purpose}: the report task is not ready")
            wait = min(wait * 2, self.limits.poll_seconds_max)
            status = (yield from ask(request, self.tally)).json()["data"].get("status")
            if status == "SUCCESS":
                return
            if status not in {"QUEUING", "PROCESSING"}:
                raise TaskLost(f"{self.report.purpose}: the report task did not succeed")
        raise TaskLost(f"{self.report.purpose}: the report task does not end")

    def _download(self, task_id: str, piece: _Piece) -> Generator[Step, Response | None, set[str]]:
        told: set[str] = set()
        response = yield from ask(self._about(task_id, "report/task/download"), self.tally)
        report, question = self.report, self.report.question(piece.days, piece.scope)
        columns = [*report.dimensions, *report.metrics, END_COLUMN]
        rows = list(rows_of_csv(response.body, question, columns))
        for start in range(0, len(rows), self.limits.task_rows):
            parsed = self._noted(parse_rows(rows[start : start + self.limits.task_rows], question))
            self.tally.rows += len(parsed.records)
            told.update(row["dimensions"].get(ID_DIMENSIONS[report.level], "") for row in rows)
            yield Rows(parsed.records)
        return told

    def _about(self, task_id: str, name: str) -> Request:
        params = {"advertiser_id": self.report.account, "task_id": task_id}
        return Request(method="GET", path=path_of(name), params=params, purpose=self.report.purpose)


def _lighter(piece: _Piece, later: Sequence[_Piece]) -> list[_Piece]:
    """What is left to read after a piece that was too much, the next one last.

    Half the days each, of these entities' later days too. One day is not cut, but its ids are.
    """
    if piece.days.days == 1:
        return [*later, *_fewer_ids(piece)[::-1]]
    days_max = (piece.days.days + 1) // 2
    parts: list[_Piece] = []
    for one in (*later, piece):
        heavy = one.scope == piece.scope and not one.by_task
        spans = split_range(one.days, days_max) if heavy else [one.days]
        parts.extend(one._replace(days=span) for span in spans[::-1])
    return parts


def _fewer_ids(piece: _Piece) -> list[_Piece]:
    """Half the ids each; what is still too heavy is left to a report task."""
    return _half_the_ids(piece) if len(piece.scope.ids) > 1 else [_as_task(piece)]


def _as_task(piece: _Piece) -> _Piece:
    return piece._replace(by_task=True)


def _half_the_ids(piece: _Piece) -> list[_Piece]:
    name, ids = piece.scope
    middle = len(ids) // 2
    return [piece._replace(scope=Scope(name, half)) for half in (ids[:middle], ids[middle:])]
