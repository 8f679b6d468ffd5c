"""The batch endpoint: up to 50 calls in one POST, each answered with its own code and body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson

from adsync_dagster.simulator.facebook_errors import GraphError, invalid
from adsync_dagster.simulator.http import Answer, Call

ITEMS_MAX = 50


def run_batch(call: Call, version: str, one: Callable[[Call], Answer | None]) -> Answer:
    """Answer a batch in order. An item that `one` answers with None timed out: it is null."""
    items = _items(call.params)
    headers_wanted = call.params.get("include_headers", "true").lower() not in {"false", "0"}
    results = []
    for item in items:
        answer = one(_item_call(call, version, item))
        results.append(None if answer is None else _result(answer, headers_wanted=headers_wanted))
    return Answer(200, results)


def _items(params: Mapping[str, str]) -> list[dict[str, Any]]:
    try:
        items = orjson.loads(params.get("batch", ""))
    except orjson.JSONDecodeError:
        raise invalid("Param batch must be a JSON array") from None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise invalid("Param batch must be a JSON array of objects")
    if len(items) > ITEMS_MAX:
        raise GraphError(
            f"Too many requests in batch message. Maximum batch size is {ITEMS_MAX}",
            100,
            kind="GraphBatchException",
        )
    return items


def _item_call(call: Call, version: str, item: dict[str, Any]) -> Call:
    relative = str(item.get("relative_url", ""))
    path, _, query = relative.partition("?")
    params = dict(parse_qsl(query, keep_blank_values=True))
    params.update(parse_qsl(str(item.get("body", "")), keep_blank_values=True))
    if "access_token" not in params and (token := item.get("access_token")):
        params["access_token"] = str(token)
    if "access_token" not in params:
        # What authenticates the batch authenticates its items, the proof included.
        for name in ("access_token", "appsecret_proof"):
            if call.params.get(name):
                params.setdefault(name, call.params[name])
    path = "/" + path.lstrip("/")
    first = path.split("/")[1]
    if not (first.startswith("v") and "." in first):
        path = f"/{version}{path}"
    return Call(
        method=str(item.get("method", "GET")).upper(),
        path=path,
        params=params,
        headers=call.headers,
    )


def _result(answer: Answer, *, headers_wanted: bool) -> dict[str, Any]:
    status, headers, body = answer.encode()
    result: dict[str, Any] = {"code": status}
    if headers_wanted:
        headers = {**headers, "Content-Type": "text/javascript; charset=UTF-8"}
        result["headers"] = [{"name": name, "value": value} for name, value in headers.items()]
    result["body"] = body.decode("utf-8", "replace")
    return result
