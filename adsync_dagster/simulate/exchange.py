"""HTTP without sockets: the transport's exchange, answered by a Simulator in this process.

It sends what the real exchange sends (path, parameters, authenticating headers) and reads
bodies with the same bounded reader. A transport that breaks raises the error that the real
one makes of the same break.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

import orjson

from adsync_dagster.clock import VirtualClock
from adsync_dagster.errors import Defect, IncompleteRead, PlatformBusy
from adsync_dagster.platforms.protocol import Credential, PlatformAdapter, Request, Response
from adsync_dagster.simulate.io import IoFaultKind, IoKind, IoTap
from adsync_dagster.simulator.http import BrokenTransport
from adsync_dagster.simulator.simulator import Simulator
from adsync_dagster.transport.elements import elements_of
from adsync_dagster.transport.exchange import read_body
from adsync_dagster.transport.limits import TransportLimits

#: A wait moves the virtual clock by what was waited, at most this much at once.
SLEEP_SECONDS_MAX = 3600.0


class SimulatedClock(VirtualClock):
    """A clock on which waiting is instant and takes its time all the same."""

    def sleep(self, seconds: float) -> None:
        self.instant += timedelta(seconds=min(max(seconds, 0.0), SLEEP_SECONDS_MAX))


class _Raw(BytesIO):
    """A body as the bounded reader wants to read it."""

    def read1(self, size: int | None = -1, /, **_: Any) -> bytes:
        return super().read1(-1 if size is None else size)


class InProcessExchange:
    """Sends requests to a simulator in this process."""

    def __init__(
        self,
        simulator: Simulator,
        adapter: PlatformAdapter,
        credential: Credential,
        limits: TransportLimits,
        *,
        tap: IoTap,
        answered: Callable[[datetime], None],
    ) -> None:
        self._simulator = simulator
        self._adapter = adapter
        self._credential = credential
        self._limits = limits
        self._tap = tap
        self._answered = answered

    def send(self, request: Request) -> Response:
        """The simulator's answer; raises as the transport does when it breaks off."""
        return self._tap.passing(IoKind.HTTP, lambda: self._send(request), _error)

    def elements(self, request: Request) -> Iterator[Response]:
        """The elements of the answer, which has arrived as a whole."""
        answer = self.send(request)
        bodies: Iterator[bytes] = iter([answer.body])
        if answer.status == 200:
            bodies = elements_of([answer.body], self._limits.response_bytes_max)
        for body in bodies:
            yield Response(status=answer.status, headers=answer.headers, body=body)

    def close(self) -> None:
        """Nothing is open."""

    def _send(self, request: Request) -> Response:
        if request.method == "POST" and not self._adapter.may_post(request.path):
            raise Defect(f"POST {request.path[:80]} is not a request that only reads")
        extra = self._adapter.parameters(self._credential)
        params, body = dict(request.params), b""
        headers = dict(self._adapter.headers(self._credential))
        if request.json is not None:
            body, headers["Content-Type"] = orjson.dumps(request.json), "application/json"
        elif request.form is not None:
            body = urlencode({**request.form, **extra}).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        else:
            params.update(extra)
        broken: BrokenTransport | None = None
        try:
            status, received, content = self._simulator.handle(
                request.method, request.path, params, headers, body
            )
        except BrokenTransport as error:
            broken = error
        finally:
            self._answered(self._simulator.world.clock.now())
        if broken is not None:
            raise _broken(broken)
        if 300 <= status < 400:
            raise Defect(f"the platform answered HTTP {status}, a redirect; it is not followed")
        lower = {name.lower(): value for name, value in received.items()}
        deadline = time.monotonic() + self._limits.request_seconds
        return Response(
            status=status,
            headers=lower,
            body=read_body(_Raw(content), lower, self._limits, deadline),
        )


def _broken(error: BrokenTransport) -> IncompleteRead | PlatformBusy:
    if error.kind in {"reset_mid_body", "long_content_length"}:
        return IncompleteRead("the answer broke off")
    if error.kind == "reset":
        return PlatformBusy("the platform could not be reached (ConnectionResetError)")
    return PlatformBusy("the platform did not answer in time")


def _error(kind: IoFaultKind) -> Exception:
    if kind in {IoFaultKind.ERROR, IoFaultKind.DOWN}:
        return PlatformBusy("the platform could not be reached (ConnectionRefusedError)")
    return IncompleteRead("the answer broke off")
