"""Connections that keep a deadline while headers arrive, and refuse a wrong peer.

The timeout of a socket starts anew with every byte, so a server that drips its headers would
hold a worker for days. While the status line and headers are awaited, a timer shuts the
socket at the exchange's deadline. (The body is read in pieces, with the clock in view.)
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import HTTPResponse

from adsync_dagster.transport.origin import Origin


class Guard:
    """What the connections of one session have to keep to."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        #: On the monotonic clock; set anew for every exchange.
        self.deadline = 0.0

    def seconds_left(self) -> float:
        return max(self.deadline - time.monotonic(), 0.0)


class _GuardedHTTPConnection(HTTPConnection):
    guard: Guard

    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        try:
            self.guard.origin.refuse_peer(connected.getpeername()[0])
        except BaseException:
            connected.close()
            raise
        return connected

    def getresponse(self) -> HTTPResponse:  # type: ignore[override] # as urllib3's own
        timer = threading.Timer(self.guard.seconds_left(), _shut, args=(self.sock,))
        timer.daemon = True
        timer.start()
        try:
            response = super().getresponse()
        finally:
            timer.cancel()
        # A connection that ends within the headers passes for an answer without a body.
        if self.guard.seconds_left() <= 0:
            raise TimeoutError
        return response


class _GuardedHTTPSConnection(_GuardedHTTPConnection, HTTPSConnection):
    """The same over TLS; the peer is checked before the handshake."""


def guarded_pools(guard: Guard) -> dict[str, Any]:
    """Connection pools by scheme whose connections obey this guard."""
    members = {"guard": guard}
    plain = type("GuardedHTTPConnection", (_GuardedHTTPConnection,), members)
    secure = type("GuardedHTTPSConnection", (_GuardedHTTPSConnection,), members)
    return {
        "http": type("GuardedPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("GuardedPool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
    }


def _shut(connection: Any) -> None:
    """End a read that blocks in another thread."""
    if connection is not None:
        with contextlib.suppress(OSError):
            # Not SSLSocket's own, which would strip the TLS layer under the reading thread.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)
