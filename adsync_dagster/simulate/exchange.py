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
from typing import Any, NamedTuple
from urllib.parse import urlencode

import orjson

from adsync_dagster.clock import VirtualClock
from adsync_dagster.errors import Defect, IncompleteRead, PlatformBusy
from adsync_dagster.platforms.protocol import Authenticator, Credential, Request, Response
from adsync_dagster.simulate.io import IoFaultKind, IoKind, IoTap
from adsync_dagster.simulator.http import BrokenTransport
from adsync_dagster.simulator.simulator import Simulator
from adsync_dagster.transport.elements import elements_of
from adsync_dagster.transport.exchange import (
    CredentialSource,
    FixedCredential,
    read_body,
    read_pieces,
)
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


class _Arrived(NamedTuple):
    """An answer as far as it arrived, and how it broke off."""

    status: int
    headers: dict[str, str]
    content: bytes
    broken: IncompleteRead | PlatformBusy | None = None


class InProcessExchange:
    """Sends requests to a simulator in this process."""

    def __init__(
        self,
        simulator: Simulator,
        adapter: Authenticator,
        credential: Credential | CredentialSource,
        limits: TransportLimits,
        *,
        tap: IoTap,
        answered: Callable[[datetime], None],
    ) -> None:
        self._simulator = simulator
        self._adapter = adapter
        self._credentials: CredentialSource = (
            FixedCredential(credential) if isinstance(credential, Credential) else credential
        )
        self._limits = limits
        self._tap = tap
        self._answered = answered

    def send(self, request: Request) -> Response:
        """The simulator's answer; raises as the transport does when it breaks off."""
        answer = self._ask(request)
        if answer.broken is not None:
            raise answer.broken
        body = read_body(
            _Raw(answer.content), answer.headers, self._limits, _deadline(self._limits)
        )
        return Response(status=answer.status, headers=answer.headers, body=body)

    def elements(self, request: Request) -> Iterator[Response]:
        """The elements of the answer; raises after those that arrived before it broke off."""
        answer, limits = self._ask(request), self._limits
        pieces = read_pieces(
            _Raw(answer.content), answer.headers, limits.stream_bytes_max, _deadline(limits)
        )
        bodies = elements_of(pieces, limits.response_bytes_max)
        if answer.status != 200:
            bodies = iter([b"".join(pieces)])
        if answer.broken is not None and not answer.content:
            raise answer.broken
        for body in bodies:
            yield Response(status=answer.status, headers=answer.headers, body=body)
        if answer.broken is not None:
            raise answer.broken

    def close(self) -> None:
        """Nothing is open."""

    def _ask(self, request: Request) -> _Arrived:
        """What arrives; a refused credential is renewed once, where it can be."""
        credential = self._credentials.current()
        answer = self._pass(request, credential)
        if answer.status == 401:
            other = self._credentials.renewed(credential)
            if other is not None:
                return self._pass(request, other)
        return answer

    def _pass(self, request: Request, credential: Credential) -> _Arrived:
        return self._tap.passing(IoKind.HTTP, lambda: self._handle(request, credential), _error)

    def _handle(self, request: Request, credential: Credential) -> _Arrived:
        if request.method == "POST" and not self._adapter.may_post(request.path):
            raise Defect(f"POST {request.path[:80]} is not a request that only reads")
        extra = self._adapter.parameters(credential)
        params, body = dict(request.params), b""
        headers = dict(self._adapter.headers(credential))
        if request.json is not None:
            body, headers["Content-Type"] = orjson.dumps(request.json), "application/json"
        elif request.form is not None:
            body = urlencode({**request.form, **extra}).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        else:
            params.update(extra)
        try:
            status, received, content = self._simulator.handle(
                request.method, request.path, params, headers, body
            )
        except BrokenTransport as error:
            return _cut(error)
        finally:
            self._answered(self._simulator.world.clock.now())
        if 300 <= status < 400:
            raise Defect(f"the platform answered HTTP {status}, a redirect; it is not followed")
        return _Arrived(status, {name.lower(): value for name, value in received.items()}, content)


def _deadline(limits: TransportLimits) -> float:
    return time.monotonic() + limits.request_seconds


def _cut(error: BrokenTransport) -> _Arrived:
    """What arrives of an answer that breaks off: nothing, its beginning, or all but the end."""
    status, received, content = error.answer.encode()
    headers = {name.lower(): value for name, value in received.items()}
    if error.kind == "reset_mid_body":
        content = content[: len(content) // 2]
    elif error.kind != "long_content_length":
        content = b""
    return _Arrived(status, headers, content, _broken(error))


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
