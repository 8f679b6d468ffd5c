"""Faults in Graph API terms: errors by name, spoilt pages, stale truths, failing reports."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from adsync_dagster.errors import UsageError
from adsync_dagster.simulator.facebook_errors import NAMED, GraphError
from adsync_dagster.simulator.facebook_request import decode_cursor, encode_cursor
from adsync_dagster.simulator.faults import Faults, Rule, register
from adsync_dagster.simulator.http import Answer, Call


def named_error(name: str) -> GraphError:
    """The error of that name; UsageError when there is none."""
    try:
        return NAMED[name]()
    except KeyError:
        known = ", ".join(sorted(NAMED))
        raise UsageError(f"no Graph API error is called {name!r}; known: {known}") from None


def _check_error(options: Mapping[str, Any]) -> None:
    named_error(str(options.get("error", "service")))


register(
    {
        # answers instead of the wire's
        "error": "answer",
        "batch_item_null": "answer",
        # spoilt listing and insights pages
        "empty_page": "payload",
        "empty_first_page": "payload",
        "missing_paging": "payload",
        "missing_next": "payload",
        "repeated_cursor": "payload",
        "foreign_next": "payload",
        "cut_rows": "payload",
        "shift_rows": "payload",
        "repeat_rows": "payload",
        "double_row": "payload",
        "drop_field": "payload",
        "set_field": "payload",
        "data_is_null": "payload",
        "bad_data": "payload",
        "endless_pages": "payload",
        # whole batches
        "batch_cut": "batch",
        "batch_shuffled": "batch",
        # reports
        "report_failed": "report",
        "report_stuck": "report",
        "report_skipped": "report",
        "report_hidden": "report",
        "report_lost": "report",
        "report_early": "report",
        "report_page_two": "report",
        "report_bad_data": "report",
    },
    checks={"error": _check_error, "report_page_two": _check_error},
)

Body = dict[str, Any]


def answer_instead(rule: Rule, trace_id: str) -> Answer:
    """What an `answer` fault says in place of the wire.

    Options: `error` (a name in facebook_errors.NAMED) and `status`; `status`, `retry_after`,
    `location`, `text` for plain HTTP ones.
    """
    options = rule.options
    if rule.name == "error":
        error = named_error(str(options.get("error", "service")))
        status = int(options.get("status", error.http))
        return Answer(status, error.body(trace_id), _retry_after(options))
    if rule.name == "html_body":
        html = b"<!DOCTYPE html><html><body>Sorry, something went wrong.</body></html>"
        status = int(options.get("status", 502))
        return Answer(status, None, {"Content-Type": "text/html; charset=utf-8"}, raw=html)
    if rule.name == "redirect":
        location = str(options.get("location", "https://elsewhere.example/"))
        return Answer(int(options.get("status", 302)), None, {"Location": location}, raw=b"")
    if rule.name == "http_status":
        return Answer(int(options.get("status", 429)), {}, _retry_after(options))
    text = str(options.get("text", "")) if rule.name == "body" else ""
    return Answer(int(options.get("status", 200)), None, _retry_after(options), raw=text.encode())


def _retry_after(options: dict[str, Any]) -> dict[str, str]:
    return {"Retry-After": str(options["retry_after"])} if "retry_after" in options else {}


class Spoiler:
    """Applies payload, time and report faults, and remembers answers to serve them swapped."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._earlier: dict[str, Any] = {}

    def stale_seconds(self, method: str, where: str) -> float:
        """How far back an answer is taken from."""
        rules = self._faults.fire("time", method, where)
        return max((float(rule.options.get("seconds", 3600)) for rule in rules), default=0.0)

    def report(self, where: str) -> Rule | None:
        """The fault that a report run starting now will suffer."""
        rules = self._faults.fire("report", "POST", where)
        return rules[0] if rules else None

    def batch(self, results: list[Any]) -> list[Any]:
        """A batch's answers after their faults: too few, or in another order."""
        for rule in self._faults.fire("batch", "POST", ""):
            results = results[:-1] if rule.name == "batch_cut" else results[::-1]
        return results

    def payload(self, call: Call, where: str, payload: Any) -> Any:
        """The payload after its faults. The original is never changed."""
        kind = where.rsplit("/", 1)[-1]
        for rule in self._faults.fire("payload", call.method, where):
            if rule.name == "swapped":
                payload = self._earlier.get(kind, payload)
            elif isinstance(payload, dict) and isinstance(payload.get("data", []), list):
                # Where another fault took the rows away, nothing is left to spoil.
                payload = _SPOIL[rule.name](copy.deepcopy(payload), call, rule.options)
        self._earlier[kind] = payload
        return payload


def _empty_page(body: Body, _call: Call, _options: dict[str, Any]) -> Body:
    body["data"] = []
    return body


def _empty_first_page(body: Body, call: Call, options: dict[str, Any]) -> Body:
    """No rows and no next page: a list that claims to be empty."""
    if "after" in call.params:
        return body
    return {"data": [], **({"paging": {}} if options.get("paging") else {})}


def _missing_paging(body: Body, _call: Call, _options: dict[str, Any]) -> Body:
    body.pop("paging", None)
    return body


def _missing_next(body: Body, _call: Call, _options: dict[str, Any]) -> Body:
    body.get("paging", {}).pop("next", None)
    return body


def _repeated_cursor(body: Body, call: Call, _options: dict[str, Any]) -> Body:
    """The next page is this one again, for ever."""
    paging = body.get("paging", {})
    after = call.params.get("after") or paging.get("cursors", {}).get("before")
    if after is not None and "cursors" in paging:
        paging["cursors"]["after"] = after
        paging["next"] = f"{call.origin}/loop?after={after}"
    return body


def _endless_pages(body: Body, call: Call, _options: dict[str, Any]) -> Body:
    """The first page again and again, each time with a cursor never seen before."""
    insights = call.path.rstrip("/").endswith("insights")
    width, first = (2, 0) if insights else (1, 10**9)
    earlier = decode_cursor(call.params["after"], width)[-1] if "after" in call.params else first
    after = encode_cursor(0, earlier + 1) if insights else encode_cursor(earlier + 1)
    body["paging"] = {
        "cursors": {"before": after, "after": after},
        "next": f"{call.origin}/page?after={after}",
    }
    return body


def _foreign_next(body: Body, _call: Call, options: dict[str, Any]) -> Body:
    """`next` names another host; following it would send the token there."""
    paging = body.get("paging", {})
    if "next" in paging:
        query = str(paging["next"]).partition("?")[2]
        paging["next"] = f"{options.get('host', 'https://elsewhere.example')}/page?{query}"
    return body


def _cut_rows(body: Body, _call: Call, _options: dict[str, Any]) -> Body:
    """Half of the rows, silently."""
    rows = body.get("data", [])
    body["data"] = rows[: (len(rows) + 1) // 2] if len(rows) > 1 else []
    return body


def _shift_rows(body: Body, call: Call, _options: dict[str, Any]) -> Body:
    """Something before this page vanished: its first row was skipped over."""
    if "after" in call.params:
        body["data"] = body.get("data", [])[1:]
    return body


def _repeat_rows(body: Body, _call: Call, _options: dict[str, Any]) -> Body:
    """Something new came before this page: a row comes twice."""
    rows = body.get("data", [])
    body["data"] = [*rows[:1], *rows]
    return body


def _double_row(body: Body, _call: Call, options: dict[str, Any]) -> Body:
    """The same id twice on a page, the second one with other fields (`fields`)."""
    rows = body.get("data", [])
    if rows:
        body["data"] = [*rows, {**rows[0], **options.get("fields", {})}]
    return body


def _drop_field(body: Body, _call: Call, options: dict[str, Any]) -> Body:
    for row in _rows(body, options):
        row.pop(str(options.get("field", "id")), None)
    return body


def _set_field(body: Body, _call: Call, options: dict[str, Any]) -> Body:
    """Any value in any field: null, another type, a status nobody knows, a strange name."""
    for row in _rows(body, options):
        row[str(options.get("field", "id"))] = options.get("value")
    return body


def _rows(body: Body, options: dict[str, Any]) -> list[Body]:
    """The rows a field fault strikes: `rows` many from the start, or all; or the node itself."""
    rows = body.get("data", [body])
    return [row for row in rows or () if isinstance(row, dict)][: options.get("rows")]


def _data_is_null(body: Body, _call: Call, _options: dict[str, Any]) -> Body:
    body["data"] = None
    return body


def _bad_data(_body: Body, _call: Call, _options: dict[str, Any]) -> Body:
    """A page as Airbyte has seen it: 200, and an object where the rows should be."""
    return {"data": {"message": "Bad data to set object data"}}


_SPOIL: dict[str, Callable[[Body, Call, dict[str, Any]], Body]] = {
    "empty_page": _empty_page,
    "empty_first_page": _empty_first_page,
    "missing_paging": _missing_paging,
    "missing_next": _missing_next,
    "repeated_cursor": _repeated_cursor,
    "endless_pages": _endless_pages,
    "foreign_next": _foreign_next,
    "cut_rows": _cut_rows,
    "shift_rows": _shift_rows,
    "repeat_rows": _repeat_rows,
    "double_row": _double_row,
    "drop_field": _drop_field,
    "set_field": _set_field,
    "data_is_null": _data_is_null,
    "bad_data": _bad_data,
}
