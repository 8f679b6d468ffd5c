"""What Meta's usage headers ask for: how full the quota is and how long to stay away.

Four headers tell it, each JSON in a text: `X-App-Usage`, `X-Ad-Account-Usage` (seconds),
`X-Business-Use-Case-Usage` (minutes; a list per id, of which every entry counts) and
`X-FB-Ads-Insights-Throttle`. Percent of the fullest one decides. A header that cannot be
read asks for nothing: it is advice, and the throttle itself arrives as an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

_PERCENT_KEYS = frozenset(
    {
        "call_count",
        "total_time",
        "total_cputime",
        "acc_id_util_pct",
        "app_id_util_pct",
    }
)
_HEADERS = (
    "x-app-usage",
    "x-ad-account-usage",
    "x-business-use-case-usage",
    "x-fb-ads-insights-throttle",
)
#: From this percentage on, hold off this many seconds before the next request.
STEPS = ((100.0, 300.0), (95.0, 60.0), (90.0, 15.0), (85.0, 5.0))
#: The ad account's own reset time counts from this percentage on.
RESET_PERCENT = 95.0
_DEPTH_MAX = 4


def wait_seconds(headers: Mapping[str, str]) -> float:
    """How long to hold off before the next request; 0 when there is room."""
    regain = regain_seconds(headers)
    if regain > 0:
        return regain
    percent = 0.0
    reset = 0.0
    for entry in _entries(headers):
        full = max((_number(entry.get(key)) for key in _PERCENT_KEYS), default=0.0)
        percent = max(percent, full)
        if full >= RESET_PERCENT:
            reset = max(reset, _number(entry.get("reset_time_duration")))
    return max(reset, next((wait for step, wait in STEPS if percent >= step), 0.0))


def regain_seconds(headers: Mapping[str, str]) -> float:
    """How long Meta says access stays withheld; 0 when no header says so.

    The business use case header counts in minutes, the ad account's reset in seconds. The
    latter is always sent, so it only counts when the account is at its limit.
    """
    longest = 0.0
    for entry in _entries(headers):
        longest = max(longest, _number(entry.get("estimated_time_to_regain_access")) * 60.0)
        if _number(entry.get("acc_id_util_pct")) >= 100.0:
            longest = max(longest, _number(entry.get("reset_time_duration")))
    return longest


def _entries(headers: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    for name in _HEADERS:
        text = headers.get(name)
        if text:
            try:
                parsed = orjson.loads(text)
            except orjson.JSONDecodeError:
                continue
            yield from _objects(parsed, _DEPTH_MAX)


def _objects(value: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    """Every object in it: the header itself, or the entries under each business id."""
    if depth == 0:
        return
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _objects(inner, depth - 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _objects(inner, depth - 1)


def _number(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return max(0.0, min(float(value), 1e6))
    return 0.0
