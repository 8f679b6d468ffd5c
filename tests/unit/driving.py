"""Drives an adapter's read by next(), send() and throw(), with answers written down beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import orjson

from adsync_dagster.errors import AdsyncError
from adsync_dagster.platforms.facebook import FacebookAdapter
from adsync_dagster.platforms.facebook_errors import check_response
from adsync_dagster.platforms.protocol import Pause, Read, Record, Request, Response, Rows
from adsync_dagster.records import Complete, DateRange

STARTED = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ADAPTER = FacebookAdapter()

Script = Response | AdsyncError | Callable[[Request], Response]


def answer(payload: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(status=status, headers=headers or {}, body=orjson.dumps(payload))


def failure(
    code: int, subcode: int | None = None, status: int = 400, message: str = "", **more: Any
) -> Response:
    """An answer with Meta's error envelope."""
    error = {"message": message, "type": "OAuthException", "code": code, **more}
    if subcode is not None:
        error["error_subcode"] = subcode
    return answer({"error": error}, status)


@dataclass
class Driven:
    """Everything a read did."""

    requests: list[Request] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    pages: list[Rows] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
    verdict: Complete | None = None
    error: AdsyncError | None = None

    @property
    def ids(self) -> list[str]:
        return [record.platform_id for record in self.records]  # type: ignore[union-attr]


def drive(
    read: Read,
    script: Iterable[Script],
    check: Callable[[Response], None] = check_response,
) -> Driven:
    """Run a read to its end; the error it ends with is kept in the outcome.

    Every request takes the next answer of the script; an answer that fails its check is
    raised in the read, as the transport does.
    """
    done = Driven()
    answers = iter(script)
    try:
        step = next(read)
        while True:
            if isinstance(step, Request):
                done.requests.append(step)
                step = _answer(read, step, answers, check)
            elif isinstance(step, Rows):
                done.pages.append(step)
                done.records.extend(step.records)
                step = read.send(None)
            else:
                done.pauses.append(step)
                step = read.send(None)
    except StopIteration as end:
        done.verdict = end.value
    except AdsyncError as error:
        done.error = error
    assert next(answers, None) is None, "the read did not ask for every answer"
    return done


def _answer(read: Read, request: Request, answers: Any, check: Callable[[Response], None]) -> Any:
    scripted = next(answers, None)
    assert scripted is not None, f"unexpected request {request}"
    if isinstance(scripted, AdsyncError):
        return read.throw(scripted)
    response = scripted if isinstance(scripted, Response) else scripted(request)
    try:
        check(response)
    except AdsyncError as error:
        caught = error
    else:
        return read.send(response)
    return read.throw(caught)


def page(
    data: list[Any], after: str | None = None, *, more: bool = False, total: int | None = None
) -> Response:
    """A page of an edge. `after` stands there on last pages too; `more` adds `next`."""
    paging: dict[str, Any] = {"cursors": {"before": "b", "after": after or "end"}}
    if more:
        paging["next"] = f"https://graph.facebook.com/v26.0/x?access_token=sim_leak&after={after}"
    payload: dict[str, Any] = {"data": data, "paging": paging}
    if total is not None:
        payload["summary"] = {"total_count": total}
    return answer(payload)


def ad(number: int, **more: Any) -> dict[str, Any]:
    """An ad as a listing shows it."""
    return {
        "id": str(6300000 + number),
        "account_id": "501",
        "campaign_id": "6100001",
        "adset_id": "6200001",
        "name": f"Ad {number}",
        "status": "ACTIVE",
        "effective_status": "ACTIVE",
        "created_time": "2026-03-02T09:15:00-0500",
        "updated_time": "2026-11-20T18:04:11-0500",
        **more,
    }


def row(day: str, ad_id: str = "6300001", **more: Any) -> dict[str, Any]:
    """A row of an ad level report."""
    return {
        "account_id": "501",
        "account_currency": "USD",
        "campaign_id": "6100001",
        "adset_id": "6200001",
        "ad_id": ad_id,
        "impressions": "10423",
        "clicks": "215",
        "inline_link_clicks": "180",
        "spend": "87.4",
        "reach": "9020",
        "frequency": "1.155543",
        "date_start": day,
        "date_stop": day,
        **more,
    }


def days(since: str, until: str) -> DateRange:
    """A range written as its ends."""
    return DateRange(since=date.fromisoformat(since), until=date.fromisoformat(until))
