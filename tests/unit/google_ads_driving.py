"""Drives the Google Ads adapter's reads with streams written down beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import orjson

from adsync_dagster.errors import AdsyncError
from adsync_dagster.platforms.google_ads import GoogleAdsAdapter
from adsync_dagster.platforms.google_ads_errors import check_response
from adsync_dagster.platforms.google_ads_wire import mask_of
from adsync_dagster.platforms.protocol import NextElement, Read, Record, Request, Response, Rows
from adsync_dagster.records import Complete, DateRange

STARTED = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ACCOUNT = "1234567890"
ADAPTER = GoogleAdsAdapter()


class Chunk(list[dict[str, Any]]):
    """The rows of a chunk, whose mask is that of the question."""


#: What one request meets: chunks (or ready payloads) one after the other, then perhaps an error.
Answer = Sequence[Chunk | dict[str, Any] | AdsyncError] | AdsyncError


@dataclass
class Driven:
    """Everything a read did."""

    requests: list[Request] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    verdict: Complete | None = None
    error: AdsyncError | None = None

    @property
    def queries(self) -> list[str]:
        """The questions as Google sees them."""
        return [request.json["query"] for request in self.requests if request.json]


def drive(read: Read, answers: Iterable[Answer]) -> Driven:
    """Run a read to its end; the error it ends with is kept in the outcome."""
    done, script = Driven(), iter(answers)
    parts: list[Any] = []
    try:
        step = next(read)
        while True:
            if isinstance(step, Request):
                done.requests.append(step)
                answer = next(script, None)
                assert answer is not None, f"unexpected question {step.json}"
                parts = [answer] if isinstance(answer, AdsyncError) else list(answer)
                step = _give(read, step, parts)
            elif isinstance(step, NextElement):
                step = _give(read, done.requests[-1], parts)
            else:
                assert isinstance(step, Rows)
                done.records.extend(step.records)
                step = read.send(None)
    except StopIteration as end:
        done.verdict = end.value
    except AdsyncError as error:
        done.error = error
    assert next(script, None) is None, "the read did not ask for every answer"
    return done


def _give(read: Read, request: Request, parts: list[Any]) -> Any:
    if not parts:
        return read.send(None)
    part = parts.pop(0)
    if isinstance(part, AdsyncError):
        return read.throw(part)
    payload = chunk_of(request, part) if isinstance(part, Chunk) else part
    response = Response(status=200, headers={}, body=orjson.dumps(payload))
    try:
        check_response(response)
    except AdsyncError as error:
        caught = error
    else:
        return read.send(response)
    return read.throw(caught)


def chunk_of(request: Request, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A chunk as the stream has it: one without rows has no `results`."""
    query: str = request.json["query"]
    fields = query.removeprefix("SELECT ").partition(" FROM ")[0].split(", ")
    chunk: dict[str, Any] = {"fieldMask": ",".join(mask_of(tuple(fields))), "requestId": "r"}
    return {"results": rows, **chunk} if rows else chunk


def days(since: str, until: str) -> DateRange:
    """A range written as its ends."""
    return DateRange(since=date.fromisoformat(since), until=date.fromisoformat(until))


def ad_row(number: int = 1, *, group: str = "200", **more: Any) -> dict[str, Any]:
    """An ad as a list shows it; `more` goes to adGroupAd."""
    return {
        "customer": {"id": ACCOUNT},
        "campaign": {"id": "100", "status": "ENABLED"},
        "adGroup": {"id": group, "status": "ENABLED"},
        "adGroupAd": {
            "ad": {"id": str(300 + number), "name": f"Ad {number}", "type": "RESPONSIVE_SEARCH_AD"},
            "status": "ENABLED",
            "primaryStatus": "ELIGIBLE",
            **more,
        },
    }


def metrics_row(day: str = "2026-11-01", number: int = 1, **more: Any) -> dict[str, Any]:
    """A row of an ad level report; `more` goes to metrics."""
    return {
        "customer": {"id": ACCOUNT},
        "campaign": {"id": "100"},
        "adGroup": {"id": "200"},
        "adGroupAd": {"ad": {"id": str(300 + number)}},
        "segments": {"date": day},
        "metrics": {
            "impressions": "10423",
            "clicks": "215",
            "costMicros": "87400001",
            "conversions": 2.333333,
            "conversionsValue": 120.5,
            "interactions": "215",
            "allConversions": 3.0,
            "allConversionsValue": 0.0,
            "viewThroughConversions": "0",
            **more,
        },
    }


def failure(code: str, status: int = 400, details: Any = None) -> dict[str, Any]:
    """An error body; `code` is written like quotaError.RESOURCE_EXHAUSTED."""
    family, _, name = code.partition(".")
    error: dict[str, Any] = {"errorCode": {family: name}, "message": "sim_canary"}
    if details is not None:
        error["details"] = details
    return {
        "error": {
            "code": status,
            "message": "sim_canary",
            "status": "X",
            "details": [
                {
                    "@type": "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure",
                    "errors": [error],
                    "requestId": "r",
                }
            ],
        }
    }
