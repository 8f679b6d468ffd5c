"""Faults in the words of the Google Ads API: errors by code, and streams that are not right.

They are matched against a path that says what is asked: without the version, and for a query
with its resource and, where days are selected, `by day` behind it, such as
`customers/5015015011/googleAds:searchStream ad_group_ad by day`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from adsync_dagster.simulator.facebook_faults import answer_instead as plain_answer
from adsync_dagster.simulator.faults import Faults, Rule, register
from adsync_dagster.simulator.google_ads_auth import oauth_error
from adsync_dagster.simulator.google_ads_errors import GoogleAdsError
from adsync_dagster.simulator.http import Answer

Chunks = list[dict[str, Any]]


def named_error(options: Mapping[str, Any]) -> GoogleAdsError:
    """The error that a fault's options describe; UsageError when there is none."""
    code = str(options.get("error", "internalError.INTERNAL_ERROR"))
    return GoogleAdsError(code, retry_delay=options.get("retry_delay"))


def _check(options: Mapping[str, Any]) -> None:
    named_error(options)


FAULTS = {
    # answers instead of the wire's
    "google_error": "answer",
    "oauth_error": "answer",
    # streams
    "stream_error": "payload",
    "stream_rows_lost": "payload",
    "stream_rows_doubled": "payload",
    "stream_nothing": "payload",
    "stream_other_mask": "payload",
    "stream_field_dropped": "payload",
    "stream_field_set": "payload",
}

register(
    FAULTS,
    checks={
        "google_error": _check,
        "stream_error": _check,
    },
)


def answer_instead(rule: Rule, wrap: Callable[[GoogleAdsError], Answer]) -> Answer:
    """What an `answer` fault says in place of the wire."""
    if rule.name == "google_error":
        answer = wrap(named_error(rule.options))
        answer.status = int(rule.options.get("status", answer.status))
        return answer
    if rule.name == "oauth_error":
        return oauth_error(str(rule.options.get("error", "invalid_grant")))
    return plain_answer(rule, "")


class StreamSpoiler:
    """Applies payload faults to streams, and remembers answers to serve them swapped."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._earlier: Chunks = []

    def spoil(
        self, method: str, where: str, chunks: Chunks, body: Callable[[GoogleAdsError], Any]
    ) -> Chunks:
        """The chunks as the client gets to see them."""
        for rule in self._faults.fire("payload", method, where):
            if rule.name == "swapped":
                chunks = self._earlier or chunks
            elif rule.name == "stream_error":
                chunks = [*chunks[:1], body(named_error(rule.options))]
            elif rule.name in _SPOIL:
                chunks = _SPOIL[rule.name](copy.deepcopy(chunks), rule.options)
        self._earlier = chunks
        return chunks


def _rows_lost(chunks: Chunks, _: Mapping[str, Any]) -> Chunks:
    """Half of the rows, silently."""
    for chunk in chunks:
        rows = chunk.pop("results", [])
        if kept := rows[: len(rows) // 2]:
            chunk["results"] = kept
    return chunks


def _rows_doubled(chunks: Chunks, _: Mapping[str, Any]) -> Chunks:
    """The first row of every chunk comes twice."""
    for chunk in chunks:
        if rows := chunk.get("results"):
            chunk["results"] = [rows[0], *rows]
    return chunks


def _nothing(chunks: Chunks, _: Mapping[str, Any]) -> Chunks:
    """A whole and wrong answer: no rows at all."""
    return [{key: value for key, value in chunks[0].items() if key != "results"}] if chunks else []


def _other_mask(chunks: Chunks, _: Mapping[str, Any]) -> Chunks:
    """The echo names other fields than those that were asked for."""
    return [{**chunk, "fieldMask": "customer.id"} for chunk in chunks]


def _field_dropped(chunks: Chunks, options: Mapping[str, Any]) -> Chunks:
    for place, name in _places(chunks, options):
        place.pop(name, None)
    return chunks


def _field_set(chunks: Chunks, options: Mapping[str, Any]) -> Chunks:
    for place, name in _places(chunks, options):
        place[name] = options.get("value")
    return chunks


def _places(chunks: Chunks, options: Mapping[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """Where the field (a path such as `metrics.costMicros`) stands, in the first `rows` rows."""
    *path, name = str(options.get("field", "customer.id")).split(".")
    rows = [row for chunk in chunks for row in chunk.get("results", [])]
    places = []
    for row in rows[: options.get("rows")]:
        place = row
        for word in path:
            place = place.get(word, {})
        places.append((place, name))
    return places


_SPOIL: dict[str, Callable[[Chunks, Mapping[str, Any]], Chunks]] = {
    "stream_rows_lost": _rows_lost,
    "stream_rows_doubled": _rows_doubled,
    "stream_nothing": _nothing,
    "stream_other_mask": _other_mask,
    "stream_field_dropped": _field_dropped,
    "stream_field_set": _field_set,
}
