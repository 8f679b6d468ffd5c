"""The simulator on a loopback port: a Starlette app on uvicorn in a thread of its own.

Faults that break the connection are acted out on the socket itself. It refuses any address
that is not loopback, because it hands out made-up numbers under a platform's name.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from adsync_dagster.errors import UsageError
from adsync_dagster.simulator.http import BrokenTransport
from adsync_dagster.simulator.simulator import Simulator
from adsync_dagster.simulator.world import World

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
_START_SECONDS_MAX = 20.0


def build_app(simulator: Simulator, transports: dict[Any, asyncio.Transport]) -> Starlette:
    """The ASGI app. `transports` maps a client's address to its connection."""

    async def answer(request: Request) -> Response:
        body = await request.body()
        try:
            status, headers, content = simulator.handle(
                request.method,
                request.scope["path"],
                request.scope["query_string"].decode(),
                dict(request.headers),
                body,
            )
        except BrokenTransport as broken:
            return await _act_out(broken, transports.get(request.scope["client"]))
        return Response(content, status, headers)

    return Starlette(routes=[Route("/{path:path}", answer, methods=_METHODS)])


async def _act_out(broken: BrokenTransport, transport: asyncio.Transport | None) -> Response:
    status, headers, body = broken.answer.encode()
    if broken.kind == "reset":
        _reset(transport)
        return Response(b"")
    if broken.kind == "hang":
        await asyncio.sleep(float(broken.options.get("seconds", 3600)))
        return Response(body, status, headers)
    if broken.kind == "slow_drip":
        pause = float(broken.options.get("seconds", 1.0))
        step = int(broken.options.get("bytes", 1))
        headers["Content-Length"] = str(len(body))
        return StreamingResponse(_drip(body, step, pause), status, headers)
    # Half a body, then either a reset or an orderly close before Content-Length is reached.
    headers["Content-Length"] = str(len(body) + int(broken.options.get("extra", 0)))
    resets = broken.kind == "reset_mid_body"
    return StreamingResponse(_half(body, transport, resets=resets), status, headers)


async def _drip(body: bytes, step: int, pause: float) -> AsyncIterator[bytes]:
    for start in range(0, len(body), step):
        yield body[start : start + step]
        await asyncio.sleep(pause)


async def _half(
    body: bytes, transport: asyncio.Transport | None, *, resets: bool
) -> AsyncIterator[bytes]:
    yield body[: max(1, len(body) // 2)]
    await asyncio.sleep(0.01)
    if transport is None:
        return
    if resets:
        _reset(transport)
    else:
        transport.close()


def _reset(transport: asyncio.Transport | None) -> None:
    """Close with RST, so that the client sees a reset instead of an end."""
    if transport is None:
        return
    handle = transport.get_extra_info("socket")
    if handle is not None:
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _protocol(transports: dict[Any, asyncio.Transport]) -> type[H11Protocol]:
    """uvicorn's HTTP/1.1 protocol, remembering each client's transport for socket faults."""

    class Protocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            transports[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            transports.pop(self.client, None)
            super().connection_lost(exc)

    return Protocol


def loopback(host: str) -> str:
    """The host if it is a loopback address, else UsageError."""
    name = "127.0.0.1" if host == "localhost" else host
    try:
        if ipaddress.ip_address(name).is_loopback:
            return name
    except ValueError:
        pass
    raise UsageError(f"the simulator listens on loopback only, not on {host!r}; use 127.0.0.1")


@dataclass(slots=True, eq=False)
class RunningSimulator:
    """A simulator that is being served. Use `stop()`, or as a context manager."""

    simulator: Simulator
    host: str
    port: int
    _server: uvicorn.Server
    _thread: threading.Thread

    @property
    def base_url(self) -> str:
        """Without a version segment, as the settings want it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "https" if self._server.config.is_ssl else "http"
        return f"{scheme}://{host}:{self.port}"

    @property
    def world(self) -> World:
        return self.simulator.world

    def stop(self) -> None:
        """End serving; the port then refuses connections. Serve again on it with `port=`."""
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(_START_SECONDS_MAX)

    def wait(self) -> None:
        """Block until the server ends, for a process that does nothing else."""
        self._thread.join()

    def __enter__(self) -> RunningSimulator:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve(
    world: World | Simulator,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    certificate: tuple[Path, Path] | None = None,
) -> RunningSimulator:
    """Serve a world (or a prepared simulator) on a loopback port; port 0 picks a free one.

    With `certificate` (files of the certificate and its key) it speaks TLS, badly when the
    certificate is bad.
    Returns once it answers. UsageError when the address is not loopback or the port is taken.
    """
    simulator = world if isinstance(world, Simulator) else Simulator(world)
    address = loopback(host)
    listener = _listen(address, port)
    transports: dict[Any, asyncio.Transport] = {}
    config = uvicorn.Config(
        build_app(simulator, transports),
        http=_protocol(transports),
        lifespan="off",
        access_log=False,
        log_level="critical",
        timeout_graceful_shutdown=1,
        server_header=False,
        ssl_certfile=certificate[0] if certificate else None,
        ssl_keyfile=certificate[1] if certificate else None,
    )
    config.load()
    server = uvicorn.Server(config)
    ready = threading.Event()
    thread = threading.Thread(
        target=_run, args=(server, listener, ready), name="adsync-simulator", daemon=True
    )
    thread.start()
    if not ready.wait(_START_SECONDS_MAX):
        raise UsageError("the simulator did not start in time")
    return RunningSimulator(simulator, address, listener.getsockname()[1], server, thread)


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # Named as TCP, so that asyncio sends small answers at once instead of waiting for ACKs.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
    except OSError as error:
        listener.close()
        raise UsageError(f"port {port} cannot be used ({error.strerror}); choose another") from None
    listener.listen(128)
    return listener


def _run(server: uvicorn.Server, listener: socket.socket, ready: threading.Event) -> None:
    async def main() -> None:
        ready.set()
        await server.serve(sockets=[listener])

    with listener:
        asyncio.run(main())
