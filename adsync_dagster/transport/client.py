"""Runs an adapter's read: sends its requests, hands its rows on, returns its verdict.

A request that fails for a passing reason is tried again, with a growing and random wait.
What the platform's usage headers or a throttle ask for is kept by all threads of the account;
a wait that is too long ends the read instead, so that the worker is free. An error that
remains is raised inside the read, where the adapter may know better (see protocol.py).
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

from adsync_dagster.clock import Clock
from adsync_dagster.errors import AdsyncError, Defect, IncompleteRead, PlatformBusy, Retryable
from adsync_dagster.platforms.protocol import (
    Credential,
    NextElement,
    Pause,
    PlatformAdapter,
    Read,
    Record,
    Request,
    Response,
    Rows,
    Step,
)
from adsync_dagster.records import Complete
from adsync_dagster.transport.budget import RateBudget
from adsync_dagster.transport.exchange import CredentialSource, Exchange
from adsync_dagster.transport.limits import DEFAULT_LIMITS, TransportLimits
from adsync_dagster.transport.origin import parse_origin

#: Stores the records of one page, in the thread that called `run`.
Sink = Callable[[Sequence[Record]], object]


class SendsRequests(Protocol):
    """What carries a request to the platform: `Exchange` over sockets, or a stand-in of it.

    `send` gives the answer whatever its status, and raises one of our errors when none came.
    """

    def send(self, request: Request) -> Response: ...

    def elements(self, request: Request) -> Iterator[Response]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Ordered:
    """A read on its way, which nobody runs yet."""

    read: Read
    #: What it does next.
    step: Step | Complete
    #: When it came there.
    at: datetime

    def close(self) -> None:
        """Give it up. What the platform computes for it is never fetched."""
        self.read.close()


class PlatformClient:
    """A platform as one account's credential sees it. Threads may share it.

    Raises UsageError when the base URL is neither https nor on this machine.
    """

    def __init__(
        self,
        adapter: PlatformAdapter,
        base_url: str,
        credential: Credential | CredentialSource,
        clock: Clock,
        *,
        limits: TransportLimits = DEFAULT_LIMITS,
        budget: RateBudget | None = None,
        random_share: Callable[[], float] = random.random,
        exchange: SendsRequests | None = None,
    ) -> None:
        self.adapter = adapter
        self._clock = clock
        self._limits = limits
        self._budget = budget or RateBudget()
        self._random_share = random_share
        self._exchange: SendsRequests = exchange or Exchange(
            adapter, parse_origin(base_url), credential, limits
        )

    def order(self, make: Callable[[], Read]) -> Ordered:
        """Begin a read that will be run later, when its platform has to compute first.

        Sends what orders the report, and nothing else. An order that is refused is no error: the
        read is then made anew, and asks again, when it is run. Close what is never run.
        """
        read = make()
        try:
            step = _advance(lambda: next(read))
            if isinstance(step, Request) and step.orders:
                step = self._ask(read, step, None, self._progress())
        except Defect:
            raise
        except AdsyncError:
            read = make()
            step = _advance(lambda: next(read))
        return Ordered(read, step, self._clock.now())

    def run(self, read: Read | Ordered, sink: Sink) -> Complete:
        """Run a read to its verdict, giving every page's records to the sink.

        Raises what the read raises: nothing the sink has taken by then may count. The sink
        runs in this thread; meanwhile the next page may already be under way.
        """
        progress = self._progress()
        ahead: _Ahead | None = None
        ordered = None
        if isinstance(read, Ordered):
            ordered, read = read, read.read
        try:
            step = _advance(lambda: next(read)) if ordered is None else self._step_of(ordered)
            while not isinstance(step, Complete):
                if isinstance(step, Rows):
                    if step.ahead is not None and self._limits.read_ahead:
                        ahead = _Ahead(self._answer, step.ahead, progress)
                    sink(step.records)
                    step = _advance(lambda: read.send(None))
                elif isinstance(step, Pause):
                    self._pause(step, progress)
                    step = _advance(lambda: read.send(None))
                elif isinstance(step, NextElement):
                    step = self._next_element(read, progress)
                else:
                    step = self._ask(read, step, ahead, progress)
                    ahead = None
            return step
        finally:
            progress.stopped.set()
            progress.close_elements()
            read.close()

    def _progress(self) -> _Progress:
        return _Progress(self._limits, time.monotonic() + self._limits.total_seconds)

    def _step_of(self, ordered: Ordered) -> Step | Complete:
        """Where an ordered read stands: what it has waited since then, it need not wait again."""
        if not isinstance(ordered.step, Pause):
            return ordered.step
        waited = (self._clock.now() - ordered.at).total_seconds()
        left = max(ordered.step.seconds - max(waited, 0.0), 0.0)
        return replace(ordered.step, seconds=left)

    def rows(self, read: Read) -> tuple[list[Record], Complete]:
        """A small read's records and its verdict, all in memory."""
        records: list[Record] = []
        verdict = self.run(read, records.extend)
        return records, verdict

    def close(self) -> None:
        """Close idle connections. The client cannot be used afterwards."""
        self._exchange.close()

    def _ask(
        self, read: Read, request: Request, ahead: _Ahead | None, progress: _Progress
    ) -> Step | Complete:
        """Send the answer into the read, or raise there what came instead."""
        try:
            if ahead is not None and ahead.request is request:
                response = ahead.response()
            else:
                response = self._answer(request, progress)
        except AdsyncError as error:
            failure = error
        else:
            return _advance(lambda: read.send(response))
        return _advance(lambda: read.throw(failure))

    def _next_element(self, read: Read, progress: _Progress) -> Step | Complete:
        """Send the next element into the read. Nothing is tried again: the read knows better."""
        response = None
        try:
            progress.check_time()
            response = next(progress.elements, None)
            if response is not None:
                self.adapter.check(response)
        except AdsyncError as error:
            self._apply_retry_after(error, response)
            if isinstance(error, Retryable) and error.retry_after_seconds is not None:
                self._budget.hold(self._clock, error.retry_after_seconds)
            error.args = (f"{progress.purpose}: {error}",)
            failure = _without_frames(error)
        else:
            return _advance(lambda: read.send(response))
        return _advance(lambda: read.throw(failure))

    def _answer(self, request: Request, progress: _Progress) -> Response | None:
        """The answer to one request, after as many tries as help; None for an empty array."""
        for attempt in range(self._limits.attempts_max):
            outcome = self._try(request, progress)
            if not isinstance(outcome, AdsyncError):
                return outcome
            if attempt + 1 == self._limits.attempts_max or not self._wait_for(outcome, attempt):
                raise outcome
        raise Defect("a request needs at least one attempt")

    def _try(self, request: Request, progress: _Progress) -> Response | AdsyncError | None:
        response = None
        try:
            self._budget.wait(self._clock, self._limits.wait_seconds_max)
            progress.count_request()
            response = self._send(request, progress)
            if response is not None:
                self.adapter.check(response)
                self._budget.hold(
                    self._clock, self._believed(self.adapter.usage_wait_seconds(response))
                )
        except AdsyncError as error:
            self._apply_retry_after(error, response)
            error.args = (f"{request.purpose}: {error}",)
            return _without_frames(error)
        return response

    def _send(self, request: Request, progress: _Progress) -> Response | None:
        """The answer, or the first element of one that is taken in elements."""
        if not request.in_elements:
            return self._exchange.send(request)
        progress.close_elements()
        progress.purpose = request.purpose
        progress.elements = self._exchange.elements(request)
        return next(progress.elements, None)

    def _apply_retry_after(self, error: AdsyncError, response: Response | None) -> None:
        """A standard Retry-After header counts as well, within reason."""
        if not isinstance(error, PlatformBusy):
            return
        asked = [error.retry_after_seconds]
        if response is not None and "retry-after" in response.headers:
            asked.append(self._retry_after(response.headers["retry-after"]))
        known = [self._believed(seconds) for seconds in asked if seconds is not None]
        error.retry_after_seconds = max(known) if known else None

    def _retry_after(self, text: str) -> float | None:
        """Seconds or an HTTP date; None when it is neither."""
        if text.strip().isdecimal():
            return float(text[:9])
        try:
            instant = parsedate_to_datetime(text)
        except (ValueError, TypeError):
            return None
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=UTC)
        return (instant - self._clock.now()).total_seconds()

    def _believed(self, seconds: float) -> float:
        return min(max(seconds, 0.0), self._limits.retry_after_seconds_max)

    def _wait_for(self, error: AdsyncError, attempt: int) -> bool:
        """Wait before the same request is tried again; False when that would not help.

        Subclasses of IncompleteRead say that the same question gets the same answer.
        """
        if not isinstance(error, PlatformBusy) and type(error) is not IncompleteRead:
            return False
        asked = error.retry_after_seconds if isinstance(error, Retryable) else None
        if asked is not None:
            self._budget.hold(self._clock, asked)
            return asked <= self._limits.wait_seconds_max
        longest = self._limits.backoff_seconds * 2.0**attempt
        self._clock.sleep(min(longest, self._limits.backoff_seconds_max) * self._random_share())
        return True

    def _pause(self, pause: Pause, progress: _Progress) -> None:
        progress.check_time()
        self._clock.sleep(pause.seconds)


@dataclass(slots=True)
class _Progress:
    """How much of its bounds a read has used."""

    limits: TransportLimits
    #: On the monotonic clock.
    deadline: float
    requests: int = 0
    #: Set when the read is over, so that a request ahead of it is not tried again.
    stopped: threading.Event = field(default_factory=threading.Event)
    #: What is still to come of an answer that is taken in elements, and what it is about.
    elements: Iterator[Response] = field(default_factory=lambda: iter(()))
    purpose: str = ""

    def close_elements(self) -> None:
        """Let go of an answer that nobody takes to its end, its connection included."""
        close = getattr(self.elements, "close", None)
        if close is not None:
            close()

    def count_request(self) -> None:
        self.check_time()
        self.requests += 1
        if self.requests > self.limits.requests_per_read_max:
            raise ReadTooLong(
                f"the read needs more than {self.limits.requests_per_read_max} requests"
            )

    def check_time(self) -> None:
        if self.stopped.is_set():
            raise ReadTooLong("the read is already over")
        if time.monotonic() > self.deadline:
            raise ReadTooLong(f"the read takes longer than {self.limits.total_seconds:.0f} s")


class ReadTooLong(IncompleteRead):
    """The read reached a bound of its own; trying the request again does not help."""


class _Ahead:
    """A request under way in a thread of its own while the caller stores rows."""

    def __init__(
        self,
        answer: Callable[[Request, _Progress], Response | None],
        request: Request,
        progress: _Progress,
    ) -> None:
        self.request = request
        self._answer = answer
        self._progress = progress
        self._outcome: Response | BaseException | None = None
        # A daemon: an abandoned request ends at its deadline and must not keep a process alive.
        self._thread = threading.Thread(target=self._run, name="adsync-read-ahead", daemon=True)
        self._thread.start()

    def response(self) -> Response | None:
        """Wait for the answer; raises what the request raised."""
        self._thread.join()
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome

    def _run(self) -> None:
        try:
            self._outcome = self._answer(self.request, self._progress)
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            self._outcome = error


def _advance(move: Callable[[], Step]) -> Step | Complete:
    """The read's next step, or its verdict."""
    try:
        return move()
    except StopIteration as end:
        verdict = end.value
    except Defect:
        raise
    except AdsyncError as error:
        verdict = _without_frames(error)
    if isinstance(verdict, AdsyncError):
        raise verdict
    if not isinstance(verdict, Complete):
        raise Defect("a read has to end with a Complete verdict")
    return verdict


def _without_frames(error: AdsyncError) -> AdsyncError:
    """The error without the frames it came through: their locals hold the platform's answer.

    Tools that print locals would show it, and Meta's answers repeat tokens.
    """
    error.__traceback__ = None
    return error
