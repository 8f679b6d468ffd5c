"""A proxy before Postgres that cuts a connection at a COMMIT: before the server hears it, or after.

Clients connect to its Unix socket as to the server's own. Only one COMMIT is cut; whatever else
comes is passed on as it is.
"""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from adsync_dagster.warehouse.database import parse_url

#: A simple query message: type, length, text. Drivers send it alone, after the last answer.
COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
SOCKET_NAME = ".s.PGSQL.5432"
CHUNK = 65_536


class CommitCutter:
    """Cuts the connection that sends the COMMIT number `nth`, `when` "before" or "after"."""

    def __init__(self, folder: Path, server_url: str, when: str, nth: int) -> None:
        self.url = f"postgresql://postgres@/{parse_url(server_url).database}?host={folder}"
        self.has_cut = False
        directory = parse_url(server_url).query["host"]
        assert isinstance(directory, str), "the server is not reached by its Unix socket"
        self._server = str(Path(directory) / SOCKET_NAME)
        self._when = when
        self._left = nth
        self._guard = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / SOCKET_NAME))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Close the socket and every connection through it."""
        for one in [self._listener, *self._open]:
            _shut(one)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            self._open += [client, server]
            # Set when the answer to what was forwarded last must not reach the client.
            swallow = threading.Event()
            for pump in (self._requests, self._answers):
                threading.Thread(target=pump, args=(client, server, swallow), daemon=True).start()

    def _requests(
        self, client: socket.socket, server: socket.socket, swallow: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := client.recv(CHUNK):
                if data.endswith(COMMIT) and self._is_the_one():
                    if self._when == "before":
                        break
                    swallow.set()
                server.sendall(data)
        self._end(client, server)

    def _answers(
        self, client: socket.socket, server: socket.socket, swallow: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := server.recv(CHUNK):
                if swallow.is_set():
                    break
                client.sendall(data)
        self._end(client, server)

    def _is_the_one(self) -> bool:
        with self._guard:
            self._left -= 1
            self.has_cut = self.has_cut or self._left == 0
            return self._left == 0

    def _end(self, *sockets: socket.socket) -> None:
        for one in sockets:
            _shut(one)


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@contextmanager
def cutting(server_url: str, when: str, nth: int) -> Iterator[CommitCutter]:
    """A proxy for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="adsync-cut-") as folder:
        cutter = CommitCutter(Path(folder), server_url, when, nth)
        try:
            yield cutter
        finally:
            cutter.close()
