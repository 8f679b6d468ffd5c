"""Faults in Business API terms: codes, spoilt pages, failing report tasks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from adsync_dagster.simulator.facebook_faults import answer_instead as plain_http
from adsync_dagster.simulator.faults import Faults, Rule, register
from adsync_dagster.simulator.http import Answer

#: The faults only this wire has, and their stages.
FAULTS = {
    "tiktok_error": "answer",
    "page_info_missing": "payload",
    "page_info_wrong": "payload",
    "total_shrinks": "payload",
    "task_failed": "task",
    "task_stuck": "task",
    "task_cut": "task",
}
register(FAULTS)

Body = dict[str, Any]


def answer_instead(rule: Rule, request_id: str) -> Answer:
    """What an `answer` fault says in place of the wire.

    `tiktok_error` takes `code` (50000 when left out) and `status`; the plain HTTP ones work as
    on every wire.
    """
    if rule.name != "tiktok_error":
        return plain_http(rule, request_id)
    code = int(rule.options.get("code", 50000))
    body = {"code": code, "message": "Simulated.", "request_id": request_id, "data": {}}
    return Answer(int(rule.options.get("status", 200)), body)


class Spoiler:
    """Applies payload, time and task faults, and remembers answers to serve them swapped."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._earlier: dict[str, Any] = {}

    def stale_seconds(self, method: str, where: str) -> float:
        """How far back an answer is taken from."""
        rules = self._faults.fire("time", method, where)
        return max((float(rule.options.get("seconds", 3600)) for rule in rules), default=0.0)

    def task(self, where: str) -> Rule | None:
        """The fault that a report task created now will suffer."""
        rules = self._faults.fire("task", "POST", where)
        return rules[0] if rules else None

    def data(self, method: str, where: str, data: Body, page: int) -> Any:
        """The data after its faults. The original is never changed."""
        for rule in self._faults.fire("payload", method, where):
            if rule.name == "swapped":
                data = self._earlier.get(where, data)
            elif rule.name == "data_is_null":
                return None
            elif rule.name in _SPOIL:
                data = _SPOIL[rule.name](copy.deepcopy(data), page, rule.options)
        self._earlier[where] = data
        return data


def _empty_page(data: Body, _page: int, _options: Body) -> Body:
    data["list"] = []
    return data


def _empty_first_page(data: Body, page: int, _options: Body) -> Body:
    """A list that claims to be empty."""
    if page == 1 and "page_info" in data:
        data["list"] = []
        data["page_info"].update(total_number=0, total_page=0)
    return data


def _cut_rows(data: Body, _page: int, _options: Body) -> Body:
    """Half of the rows, silently."""
    rows = data.get("list", [])
    data["list"] = rows[: len(rows) // 2]
    return data


def _shift_rows(data: Body, page: int, _options: Body) -> Body:
    """Something before this page vanished: its first row was skipped over."""
    if page > 1:
        data["list"] = data.get("list", [])[1:]
    return data


def _repeat_rows(data: Body, _page: int, _options: Body) -> Body:
    """A row comes twice, in the place of another."""
    rows = data.get("list", [])
    data["list"] = [*rows[:1], *rows[:-1]]
    return data


def _page_info_missing(data: Body, _page: int, _options: Body) -> Body:
    data.pop("page_info", None)
    return data


def _page_info_wrong(data: Body, _page: int, options: Body) -> Body:
    """Another page, size or total than the rows have; `info` says what."""
    data.get("page_info", {}).update(options.get("info", {"page": 99}))
    return data


def _total_shrinks(data: Body, page: int, _options: Body) -> Body:
    """A row vanished between two pages."""
    info = data.get("page_info", {})
    if page > 1 and info.get("total_number"):
        info["total_number"] -= 1
        info["total_page"] = -(-info["total_number"] // info["page_size"])
    return data


def _endless_pages(data: Body, page: int, _options: Body) -> Body:
    """There is always one more page."""
    info = data.get("page_info", {})
    if info:
        info.update(total_number=(page + 1) * info["page_size"], total_page=page + 1)
    return data


def _drop_field(data: Body, _page: int, options: Body) -> Body:
    for row in _places(data, options):
        row.pop(str(options.get("field")), None)
    return data


def _set_field(data: Body, _page: int, options: Body) -> Body:
    for row in _places(data, options):
        row[str(options.get("field"))] = options.get("value")
    return data


def _places(data: Body, options: Body) -> list[Body]:
    """Where a field stands: in the row itself, or in a report row's dimensions or metrics."""
    places = []
    for row in list(data.get("list", []))[: options.get("rows")]:
        parts = [row, row.get("dimensions", {}), row.get("metrics", {})]
        places += [part for part in parts if str(options.get("field")) in part]
    return places


_SPOIL: dict[str, Callable[[Body, int, Body], Body]] = {
    "empty_page": _empty_page,
    "empty_first_page": _empty_first_page,
    "cut_rows": _cut_rows,
    "shift_rows": _shift_rows,
    "repeat_rows": _repeat_rows,
    "page_info_missing": _page_info_missing,
    "page_info_wrong": _page_info_wrong,
    "total_shrinks": _total_shrinks,
    "endless_pages": _endless_pages,
    "drop_field": _drop_field,
    "set_field": _set_field,
}
