"""Many objects by id: up to 50 GETs in one POST, each with its own fate.

The removed `?ids=` parameter answers HTTP 500 for ever, so a batch is the way. An item comes
back with its own status and body, or as null when Meta ran out of time for it; then only
that item is sent again. What an item says is judged by the same table as a whole answer. When
one item answers for another object, none of its batch is believed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import urlencode

import orjson

from adsync_dagster.errors import (
    Defect,
    IncompleteRead,
    PermissionBlocked,
    PlatformBusy,
    Retryable,
    TooMuchData,
)
from adsync_dagster.platforms.facebook_errors import BadCursor, ObjectMissing, OtherObject, classify
from adsync_dagster.platforms.facebook_wire import (
    ReadLimits,
)
from adsync_dagster.platforms.protocol import Pause, Record, Request, Rows
from adsync_dagster.platforms.reading import (
    Part,
    Tally,
    ask,
    compact,
)
from adsync_dagster.records import DateRange

#: A throttled item that may go on after this long is waited for; a longer wait ends the read.
ITEM_WAIT_SECONDS_MAX = 60.0
ITEM_BACKOFF_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One GET of a batch: what is asked of which object, and how often it was tried."""

    entity_id: str
    attempts: int = 0
    #: The part of an object's report that is asked for; None for the object itself.
    days: DateRange | None = None
    limit: int = 0
    #: The cursors followed so far; the last one leads to the page that is asked for.
    cursors: tuple[str, ...] = ()


_Found = tuple[Sequence[Record], Item | None]
_Outcome = _Found | ObjectMissing | PermissionBlocked | IncompleteRead | PlatformBusy


class Work(Protocol):
    """What a batch is for."""

    @property
    def purpose(self) -> str: ...

    def url(self, item: Item) -> tuple[str, Mapping[str, str]]:
        """The item's path without version, and its parameters."""

    def parse(self, item: Item, payload: Any) -> _Found:
        """The item's records, and the item that continues it when there is more."""

    def smaller(self, item: Item, error: TooMuchData) -> Sequence[Item]:
        """Items that ask for less at a time; raises the error when there is no less."""


def read_batches(
    items: Iterable[Item], work: Work, version: str, limits: ReadLimits, tally: Tally
) -> Part:
    """Read every item to its end. Ids that Meta does not know or show go to the tally.

    A missing right on a single object counts as not shown: the account itself was readable
    with the same token. Raises what an item still says after its last attempt.
    """
    read = _BatchRead(deque(items), work, limits, tally)
    request, batch = None, read.next_batch()
    while batch:
        request = request or _request(batch, work, version)
        answers = (yield from ask(request, tally)).json()
        if not isinstance(answers, list) or len(answers) != len(batch):
            raise IncompleteRead(f"{work.purpose}: the batch does not answer every item")
        records, pause = read.sort_out(batch, answers)
        batch = read.next_batch()
        request = _request(batch, work, version) if batch and not pause else None
        tally.rows += len(records)
        if records:
            yield Rows(records, ahead=request)
        if pause:
            yield Pause(pause, f"{work.purpose}: some objects have to be asked again")


@dataclass(slots=True)
class _BatchRead:
    """The items still to be asked, and what becomes of the answered ones."""

    queue: deque[Item]
    work: Work
    limits: ReadLimits
    tally: Tally

    def next_batch(self) -> list[Item]:
        size = min(len(self.queue), self.limits.batch_items_max)
        return [self.queue.popleft() for _ in range(size)]

    def sort_out(self, batch: Sequence[Item], answers: Sequence[Any]) -> tuple[list[Record], float]:
        """The records of the answered items, and how long to wait before going on.

        Items to be continued, made smaller or asked again go back to the queue.
        """
        outcomes = [self._outcome(*one) for one in zip(batch, answers, strict=True)]
        mixed_up = next((one for one in outcomes if isinstance(one, OtherObject)), None)
        if mixed_up is not None:
            # An empty answer names nobody, so it may be anybody's: all of them are doubted.
            outcomes = [mixed_up] * len(batch)
        records: list[Record] = []
        pause = 0.0
        for item, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, ObjectMissing | PermissionBlocked):
                self.tally.missing_ids.add(item.entity_id)
            elif isinstance(outcome, TooMuchData):
                self.queue.extend(self.work.smaller(item, outcome))
            elif isinstance(outcome, IncompleteRead | PlatformBusy):
                self.queue.append(again(item, outcome, self.limits))
                pause = max(pause, _wait(item, outcome))
            else:
                found, rest = outcome
                records.extend(found)
                if rest is not None:
                    self.queue.append(rest)
        return records, pause

    def _outcome(self, item: Item, answer: Any) -> _Outcome:
        """What the answer amounts to: records and what is left to ask, or why there are none."""
        try:
            return self.work.parse(item, _body(answer, self.work, item))
        except (ObjectMissing, PermissionBlocked, IncompleteRead, PlatformBusy) as error:
            return error


def _body(answer: Any, work: Work, item: Item) -> Any:
    """The item's parsed body; raises what its status and error object mean."""
    subject = f"{work.purpose}: object {item.entity_id}"
    if answer is None:
        raise IncompleteRead(f"{subject} was not answered")
    status, text = (
        (answer.get("code"), answer.get("body")) if isinstance(answer, dict) else (None, None)
    )
    if not isinstance(status, int) or not isinstance(text, str):
        raise IncompleteRead(f"{subject} was answered without a body")
    payload = _parsed(text)
    error = payload.get("error") if isinstance(payload, dict) else None
    if isinstance(error, dict):
        failure = classify(error, status, item_headers(answer))
        if isinstance(failure, Defect):
            # One odd object must not bring the run down; the batch itself was accepted.
            raise IncompleteRead(f"{subject}: {failure}")
        failure.args = (f"{subject}: {failure}",)
        raise failure
    if status >= 500:
        raise PlatformBusy(f"{subject}: Meta failed on its own side (HTTP {status})")
    if not 200 <= status < 300 or not isinstance(payload, dict):
        raise IncompleteRead(f"{subject} was answered with HTTP {status} and no usable body")
    return payload


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def item_headers(answer: Mapping[str, Any]) -> dict[str, str]:
    """An item's own headers, with lower-case names: its usage headers stand here."""
    headers = answer.get("headers")
    return {
        str(header["name"]).lower(): header["value"]
        for header in (headers if isinstance(headers, list) else [])
        if isinstance(header, dict) and "name" in header and isinstance(header.get("value"), str)
    }


def again(item: Item, error: Retryable, limits: ReadLimits) -> Item:
    """The item with one more attempt counted; raises the error after the last one."""
    if item.attempts + 1 >= limits.item_attempts_max:
        raise error
    if error.retry_after_seconds is not None and error.retry_after_seconds > ITEM_WAIT_SECONDS_MAX:
        raise error
    cursors = () if isinstance(error, BadCursor) else item.cursors
    return replace(item, attempts=item.attempts + 1, cursors=cursors)


def _wait(item: Item, error: Retryable) -> float:
    return max(error.retry_after_seconds or 0.0, ITEM_BACKOFF_SECONDS * 2.0**item.attempts)


def _request(batch: Sequence[Item], work: Work, version: str) -> Request:
    """The POST of a batch. Every item is a GET: nothing here can change an account."""
    calls = []
    for item in batch:
        path, params = work.url(item)
        calls.append({"method": "GET", "relative_url": f"{path}?{urlencode(params)}"})
    return Request(
        method="POST", path=f"/{version}/", form={"batch": compact(calls)}, purpose=work.purpose
    )
