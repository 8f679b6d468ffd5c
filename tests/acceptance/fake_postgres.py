"""A server that speaks just enough of Postgres's protocol to be too old, or to refuse."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def _fields(*pairs: bytes) -> bytes:
    return b"".join(part + b"\0" for part in pairs)


def old_server(version: str) -> bytes:
    """Lets everybody in and says that it is this version."""
    return (
        _message(b"R", struct.pack("!I", 0))
        + _message(b"S", _fields(b"server_version", version.encode()))
        + _message(b"S", _fields(b"client_encoding", b"UTF8"))
        + _message(b"K", struct.pack("!II", 1, 2))
        + _message(b"Z", b"I")
    )


def refusal(code: str, text: str) -> bytes:
    """Ends the connection with an error, as a server does that refuses a password."""
    body = _fields(b"SFATAL", b"VFATAL", b"C" + code.encode(), b"M" + text.encode()) + b"\0"
    return _message(b"E", body)


@contextmanager
def postgres_that_answers(answer: bytes) -> Iterator[int]:
    """Serve this answer to every connection's first message; the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, answer), daemon=True)
        thread.start()
        yield listener.getsockname()[1]


def _serve(listener: socket.socket, answer: bytes) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_talk, args=(connection, answer), daemon=True).start()


def _talk(connection: socket.socket, answer: bytes) -> None:
    """Decline encryption until the start-up message comes, answer it, and wait for the end."""
    with connection, suppress(OSError):
        while True:
            head = connection.recv(8)
            if len(head) < 8:
                return
            length, code = struct.unpack("!II", head)
            if code in {80877103, 80877104}:  # may we encrypt, by TLS or by GSS?
                connection.sendall(b"N")
                continue
            connection.recv(length - 8)
            connection.sendall(answer)
            while connection.recv(1024):
                pass
            return
