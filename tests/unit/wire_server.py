"""A small HTTP server on loopback whose answers a test writes, down to the raw bytes."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

from adsync_dagster.platforms.facebook import FacebookAdapter
from adsync_dagster.platforms.protocol import Credential, Read, Request, Response
from adsync_dagster.records import Complete
from adsync_dagster.transport import PlatformClient, TransportLimits

CANARY = "sim_canary_token_9f2c"
CREDENTIAL = Credential({"access_token": CANARY})
STARTED = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
#: Bounds short enough for a test, long enough for a busy machine.
QUICK = TransportLimits(
    connect_seconds=5.0, read_seconds=5.0, request_seconds=10.0, total_seconds=60.0
)


class MovingClock:
    """A clock that sleeping moves, and that remembers how long it slept."""

    is_virtual = True

    def __init__(self) -> None:
        self.instant = STARTED
        self.sleeps: list[float] = []

    def now(self) -> datetime:
        return self.instant

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.instant += timedelta(seconds=seconds)


class Wire(BaseHTTPRequestHandler):
    """One connection. The test's handler gets this object and writes whatever it likes."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        self.received = self.rfile.read(length)
        with self.server.guard:
            number = len(self.server.seen)
            self.server.seen.append(self)
        self.server.handler(self, number)

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def reply(self, payload: Any, status: int = 200, **headers: str) -> None:
        """A whole, correct JSON answer."""
        self.reply_bytes(orjson.dumps(payload), status, **headers)

    def reply_bytes(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.raw_head(status, **{"content-length": str(len(body)), **headers})
        self.wfile.write(body)

    def raw_head(self, status: int = 200, **headers: str) -> None:
        """A status line and headers, names with _ for -."""
        lines = [f"HTTP/1.1 {status} Whatever"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.wfile.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    def reset(self) -> None:
        """Drop the connection with RST."""
        linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Counts what arrives."""

    daemon_threads = True

    def __init__(self, handler: Callable[[Wire, int], None]) -> None:
        super().__init__(("127.0.0.1", 0), Wire)
        self.handler = handler
        self.guard = threading.Lock()
        self.seen: list[Wire] = []
        self.connections = 0

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gives up is what many tests want."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving(
    handler: Callable[[Wire, int], None], context: ssl.SSLContext | None = None
) -> Iterator[Server]:
    """A server for the length of the block; `handler` gets the request and its number."""
    server = Server(handler)
    if context is not None:
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def client(url: str, clock: MovingClock | None = None, **more: Any) -> PlatformClient:
    """A client of the Meta adapter with quick bounds and the longest jitter."""
    options: dict[str, Any] = {"limits": QUICK, "random_share": lambda: 1.0}
    options.update(more)
    adapter = options.pop("adapter", FacebookAdapter())
    credential = options.pop("credential", CREDENTIAL)
    return PlatformClient(adapter, url, credential, clock or MovingClock(), **options)


def asking(request: Request, answers: list[Response] | None = None) -> Read:
    """A read of one request, which keeps its answer."""
    response = yield request
    assert response is not None
    if answers is not None:
        answers.append(response)
    return Complete(read_started_at=STARTED, row_count=0, request_count=1)


def get(path: str = "/v26.0/act_501", **params: str) -> Request:
    """A GET with a purpose."""
    return Request(method="GET", path=path, params=params, purpose="account act_501")


def fetch(url: str, request: Request | None = None, **more: Any) -> Response:
    """The answer to one request."""
    answers: list[Response] = []
    one = client(url, **more)
    try:
        one.run(asking(request or get(), answers), lambda _: None)
    finally:
        one.close()
    return answers[0]
