"""One HTTP exchange, bounded in time and size, whose failures say nothing secret.

Redirects are not followed, the environment (proxies, netrc, certificate bundles) is ignored,
certificates are verified. Everything `requests` raises becomes one of our errors, raised
outside the handler, so that no cause or context of it holds a URL or a header.
"""

from __future__ import annotations

import ssl
import threading
import time
import zlib
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any, Protocol

import orjson
import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from adsync_dagster import __version__
from adsync_dagster.errors import (
    AdsyncError,
    Blocked,
    Defect,
    IncompleteRead,
    PlatformBusy,
    TooMuchData,
)
from adsync_dagster.platforms.protocol import Authenticator, Credential, Request, Response
from adsync_dagster.transport.elements import elements_of
from adsync_dagster.transport.guard import Guard, guarded_pools
from adsync_dagster.transport.limits import TransportLimits
from adsync_dagster.transport.origin import Origin
from adsync_dagster.transport.secrets import log_no_queries, secret_params

_CHUNK_BYTES = 64 * 1024
FAILURES = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    HTTPException,
    OSError,
    zlib.error,
)
_CHAIN_LENGTH_MAX = 10
log_no_queries()


class CredentialSource(Protocol):
    """Gives the credential of the moment (see access.py)."""

    def current(self) -> Credential:
        """The credential to send with; raises CredentialBlocked when there is none to be had."""

    def renewed(self, refused: Credential) -> Credential | None:
        """Another one after the platform refused this one; None when there is no other."""


class FixedCredential:
    """A credential that is what it is."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    def current(self) -> Credential:
        """The credential."""
        return self._credential

    def renewed(self, refused: Credential) -> Credential | None:  # noqa: ARG002
        """There is no other."""
        return None


class Exchange:
    """Sends requests to one origin with one credential. Threads may share it.

    A session is used by one exchange at a time and kept for the next, connection included.
    """

    def __init__(
        self,
        adapter: Authenticator,
        origin: Origin,
        credential: Credential | CredentialSource,
        limits: TransportLimits,
    ) -> None:
        self._adapter = adapter
        self._origin = origin
        self._credentials: CredentialSource = (
            FixedCredential(credential) if isinstance(credential, Credential) else credential
        )
        self._limits = limits
        self._idle: list[Session] = []
        self._lock = threading.Lock()
        self._closed = False

    def send(self, request: Request) -> Response:
        """The answer, whatever its status; raises when none came, or it cannot be whole.

        A refused credential (HTTP 401) is renewed once, where it can be.
        """
        credential = self._credentials.current()
        response = self._send(request, credential)
        if response.status == 401:
            other = self._credentials.renewed(credential)
            if other is not None:
                return self._send(request, other)
        return response

    def elements(self, request: Request) -> Iterator[Response]:
        """The elements of an answer that is an array, each as soon as it has arrived.

        Any other answer comes whole, as the only one; HTTP 401 as in `send`. Raises at the
        element at which the answer breaks off. To be exhausted or closed.
        """
        credential = self._credentials.current()
        answers = self._elements(request, credential)
        first = next(answers, None)
        if first is not None and first.status == 401:
            other = self._credentials.renewed(credential)
            if other is not None:
                answers.close()
                answers = self._elements(request, other)
                first = next(answers, None)
        if first is not None:
            yield first
            yield from answers

    def _send(self, request: Request, credential: Credential) -> Response:
        prepared = self._prepare(request, credential)
        failure: AdsyncError
        with self._session() as session:
            try:
                return session.send(prepared, self._limits)
            except FAILURES as error:
                failure = translate(error)
            session.spoil()
        raise failure

    def _elements(
        self, request: Request, credential: Credential
    ) -> Generator[Response, None, None]:
        prepared = self._prepare(request, credential)
        failure: AdsyncError
        with self._session() as session:
            try:
                yield from session.elements(prepared, self._limits)
            except FAILURES as error:
                failure = translate(error)
            else:
                return
            session.spoil()
        raise failure

    def close(self) -> None:
        """Close the idle connections; one in use is closed when its exchange ends."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for session in idle:
            session.close()

    def _prepare(self, request: Request, credential: Credential) -> requests.PreparedRequest:
        if request.method == "POST":
            if not self._adapter.may_post(request.path):
                raise Defect(f"POST {request.path[:80]} is not a request that only reads")
        elif request.method != "GET":
            raise Defect(f"{request.method[:20]} is no method of a request that only reads")
        params, form = dict(request.params), request.form
        extra = {**self._adapter.parameters(credential), **secret_params(request, credential)}
        if form is None:
            params.update(extra)
        else:
            form = {**form, **extra}
        headers = {}
        body: Any = form
        if request.json is not None:
            body = orjson.dumps(request.json)
            headers["Content-Type"] = "application/json"
        return requests.Request(
            request.method,
            self._origin.url(request.path),
            params=params,
            data=body,
            headers=_STATIC_HEADERS | headers,
            auth=_HeaderAuth(self._adapter, credential),
        ).prepare()

    @contextmanager
    def _session(self) -> Iterator[Session]:
        """A session of one's own for the length of the block."""
        with self._lock:
            session = self._idle.pop() if self._idle else None
        if session is None:
            session = Session(self._origin)
        try:
            yield session
        except BaseException:
            session.spoil()
            raise
        finally:
            with self._lock:
                keep = not self._closed and not session.spoilt
                if keep:
                    self._idle.append(session)
            if not keep:
                session.close()


_STATIC_HEADERS = {
    "Accept": "application/json",
    # Nothing else is decoded here, and each decoder is one more way to be flooded.
    "Accept-Encoding": "gzip",
    "User-Agent": f"adsync-dagster/{__version__}",
}


class _HeaderAuth(AuthBase):
    """Adds the authenticating headers at the last moment, out of every frame's locals."""

    def __init__(self, adapter: Authenticator, credential: Credential) -> None:
        self._adapter = adapter
        self._credential = credential

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        prepared.headers.update(self._adapter.headers(self._credential))
        return prepared


class _GuardedAdapter(HTTPAdapter):
    """A pool of one connection that the guard watches; no retries of its own."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = guarded_pools(self._guard)


class Session:
    """A requests session that belongs to one exchange at a time."""

    def __init__(self, origin: Origin) -> None:
        self._guard = Guard(origin)
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = True
        for prefix in ("https://", "http://"):
            self._session.mount(prefix, _GuardedAdapter(self._guard))
        self.spoilt = False

    def send(self, prepared: requests.PreparedRequest, limits: TransportLimits) -> Response:
        """The whole answer."""
        deadline = time.monotonic() + limits.request_seconds
        with self._open(prepared, limits, deadline) as (answer, headers):
            body = read_body(answer.raw, headers, limits, deadline)
            return Response(status=answer.status_code, headers=headers, body=body)

    def elements(
        self, prepared: requests.PreparedRequest, limits: TransportLimits
    ) -> Iterator[Response]:
        """The elements of a successful answer, or the whole of any other."""
        deadline = time.monotonic() + limits.request_seconds
        with self._open(prepared, limits, deadline) as (answer, headers):
            if answer.status_code == 200:
                pieces = read_pieces(answer.raw, headers, limits.stream_bytes_max, deadline)
                bodies = elements_of(pieces, limits.response_bytes_max)
            else:
                bodies = iter([read_body(answer.raw, headers, limits, deadline)])
            for body in bodies:
                yield Response(status=answer.status_code, headers=headers, body=body)

    @contextmanager
    def _open(
        self, prepared: requests.PreparedRequest, limits: TransportLimits, deadline: float
    ) -> Iterator[tuple[requests.Response, dict[str, str]]]:
        """The answer and its headers, with lower-case names, its body still to be read.

        Its connection is kept for the next exchange, or closed when the block raises.
        """
        self._guard.deadline = deadline
        answer = self._session.send(
            prepared,
            stream=True,
            timeout=(limits.connect_seconds, limits.read_seconds),
            allow_redirects=False,
            verify=True,
            proxies={},
        )
        if 300 <= answer.status_code < 400:
            self.spoil()
            raise Defect(
                f"the platform answered HTTP {answer.status_code}, a redirect; it is not"
                " followed; check the base URL"
            )
        try:
            yield answer, {name.lower(): value for name, value in answer.headers.items()}
        except BaseException:
            answer.close()
            raise
        answer.raw.release_conn()

    def spoil(self) -> None:
        """Do not use the connection again."""
        self.spoilt = True

    def close(self) -> None:
        self._session.close()


def read_body(
    raw: Any, headers: Mapping[str, str], limits: TransportLimits, deadline: float
) -> bytes:
    """The decoded body, read to its end within time and size; raises as `read_pieces`."""
    return b"".join(read_pieces(raw, headers, limits.response_bytes_max, deadline))


def read_pieces(
    raw: Any, headers: Mapping[str, str], bytes_max: int, deadline: float
) -> Iterator[bytes]:
    """The decoded body, piece by piece as it arrives.

    Raises TooMuchData beyond the size (also for what a compressed body would become),
    IncompleteRead when it is shorter than announced, PlatformBusy past the deadline.
    """
    decoder = _decoder(headers.get("content-encoding", ""))
    received = size = 0
    while chunk := raw.read1(_CHUNK_BYTES, decode_content=False):
        received += len(chunk)
        data = chunk
        if decoder is not None:
            data = decoder.decompress(chunk, bytes_max - size + 1)
        size += len(data)
        if size > bytes_max:
            raise TooMuchData(f"the answer is larger than {bytes_max} bytes")
        yield data
        if time.monotonic() > deadline:
            raise PlatformBusy("the answer did not arrive in time")
    announced = headers.get("content-length", "")
    if announced.isdigit() and "transfer-encoding" not in headers and received != int(announced):
        raise IncompleteRead("the answer is shorter than it says")
    if decoder is not None and received and (not decoder.eof or decoder.unused_data):
        raise IncompleteRead("the compressed answer does not end where it should")


def _decoder(encoding: str) -> Any:
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return None
    if name == "gzip":
        return zlib.decompressobj(16 + zlib.MAX_WBITS)
    raise IncompleteRead("the answer came in an encoding that was not asked for")


def translate(error: BaseException) -> AdsyncError:
    """Our error for one of the HTTP stack's; only class names of it are repeated."""
    chain = list(chain_of(error))
    if any(isinstance(link, ssl.SSLCertVerificationError) for link in chain):
        return Blocked(
            "the platform's TLS certificate cannot be verified; nothing was sent. Check the base"
            " URL and what stands between this machine and the platform"
        )
    if any(isinstance(link, zlib.error) for link in chain):
        return IncompleteRead("the compressed answer cannot be decompressed")
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return IncompleteRead("the answer broke off")
    if any(isinstance(link, TimeoutError | requests.Timeout) for link in chain):
        return PlatformBusy("the platform did not answer in time")
    if isinstance(error, ValueError) and not isinstance(error, requests.ConnectionError):
        return Defect(f"the request cannot be sent ({type(error).__name__})")
    return PlatformBusy(f"the platform could not be reached ({type(chain[-1]).__name__})")


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """The error and what it wraps, outermost first."""
    link: Any = error
    for _ in range(_CHAIN_LENGTH_MAX):
        yield link
        wrapped = [arg for arg in getattr(link, "args", ()) if isinstance(arg, BaseException)]
        reason = getattr(link, "reason", None)
        if isinstance(reason, BaseException):
            wrapped.insert(0, reason)
        link = wrapped[0] if wrapped else link.__cause__ or link.__context__
        if link is None:
            return
