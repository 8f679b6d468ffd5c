"""Hostile and broken servers: time, size, truncation, addresses, certificates."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import tracemalloc
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from certificates import certificate
from wire_server import QUICK, Wire, client, fetch, serving

from adsync_dagster.errors import (
    AdsyncError,
    Blocked,
    Defect,
    IncompleteRead,
    PlatformBusy,
    TooMuchData,
    UsageError,
)
from adsync_dagster.transport.origin import parse_origin

ONCE = replace(QUICK, attempts_max=1)
SMALL = replace(ONCE, response_bytes_max=1_000_000)


def error_of(url: str, limits: Any = ONCE) -> AdsyncError:
    """What a single try ends with."""
    with pytest.raises(AdsyncError) as caught:
        fetch(url, limits=limits)
    return caught.value


def drip(wire: Wire, data: bytes, stop: threading.Event) -> None:
    """One byte at a time, until the client has had enough."""
    try:
        for index in range(len(data)):
            wire.wfile.write(data[index : index + 1])
            wire.wfile.flush()
            if stop.wait(0.02):
                return
    except OSError:
        stop.set()


@pytest.mark.parametrize("where", ["body", "headers", "status line"])
def test_a_slow_drip_ends_at_the_total_deadline(where: str) -> None:
    """Every byte restarts the socket's own timeout; the deadline of the exchange does not."""
    stop = threading.Event()

    def handler(wire: Wire, _: int) -> None:
        if where == "body":
            wire.raw_head(content_length="100000")
            drip(wire, b" " * 100_000, stop)
        else:
            start = b"HTTP/1.1 200 OK\r\nX-Slow: " if where == "headers" else b"HTTP/1.1 200 "
            wire.wfile.write(start)
            drip(wire, b"a" * 60_000, stop)
        wire.close_connection = True

    limits = replace(ONCE, request_seconds=0.4, read_seconds=5.0)
    with serving(handler) as server:
        before = time.monotonic()
        error = error_of(server.url, limits)
        took = time.monotonic() - before
        stop.set()
    assert isinstance(error, PlatformBusy)
    assert took < 4.0


def test_a_server_that_says_nothing_is_given_up() -> None:
    """Silence ends at the read timeout."""
    release = threading.Event()

    def handler(wire: Wire, _: int) -> None:
        release.wait(20)
        wire.close_connection = True

    with serving(handler) as server:
        error = error_of(server.url, replace(ONCE, read_seconds=0.2))
        release.set()
    assert isinstance(error, PlatformBusy)
    assert "in time" in str(error)


@pytest.mark.parametrize("by", ["length", "chunks", "connection end"])
def test_a_large_answer_stops_at_its_bound(by: str) -> None:
    """However its length is told, no more than the bound is taken in."""

    def handler(wire: Wire, _: int) -> None:
        piece = b" " * 100_000
        try:
            if by == "chunks":
                wire.raw_head(transfer_encoding="chunked")
                for _ in range(100):
                    wire.wfile.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
            else:
                length = (
                    {"content_length": "10000000"} if by == "length" else {"connection": "close"}
                )
                wire.raw_head(**length)
                for _ in range(100):
                    wire.wfile.write(piece)
        except OSError:
            pass
        wire.close_connection = True

    with serving(handler) as server:
        assert type(error_of(server.url, SMALL)) is TooMuchData


@pytest.mark.parametrize("layers", [1, 2])
def test_a_compressed_bomb_stops_at_its_bound(layers: int) -> None:
    """A small answer that unfolds to a huge one costs no memory beyond the bound."""
    bomb = gzip.compress(b"\0" * 100_000_000, 9)
    assert len(bomb) < 120_000
    if layers == 2:
        bomb = gzip.compress(bomb)
    encoding = ", ".join(["gzip"] * layers)
    with serving(lambda wire, _: wire.reply_bytes(bomb, content_encoding=encoding)) as server:
        tracemalloc.start()
        error = error_of(server.url, SMALL)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert type(error) is (TooMuchData if layers == 1 else IncompleteRead)
    assert peak < 20_000_000


def test_an_answer_shorter_than_announced_is_incomplete() -> None:
    """Valid JSON in a body that ends early is still half an answer."""

    def handler(wire: Wire, _: int) -> None:
        wire.raw_head(content_length="100", connection="close")
        wire.wfile.write(b'{"data":[]}')
        wire.close_connection = True

    with serving(handler) as server:
        assert type(error_of(server.url)) is IncompleteRead


def test_chunks_that_stop_are_incomplete() -> None:
    """Without its last chunk a chunked body is not whole, whatever it parses to."""

    def handler(wire: Wire, _: int) -> None:
        wire.raw_head(transfer_encoding="chunked", connection="close")
        wire.wfile.write(b'b\r\n{"data":[]}\r\n')
        wire.close_connection = True

    with serving(handler) as server:
        assert type(error_of(server.url)) is IncompleteRead


PLAIN = b'{"data":[]}'
#: Without the time of day in it, which would give the cases of every process other names.
PACKED = gzip.compress(PLAIN, mtime=0)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", PACKED[:-4]),
        ("gzip", PACKED + b"more"),
        ("gzip", PLAIN),
        ("gzip", PACKED[:5] + b"\xff" * 20),
        ("deflate", zlib.compress(PLAIN)),
        ("br", PLAIN),
        ("gzip, gzip", gzip.compress(PACKED, mtime=0)),
        ("identity, x", PLAIN),
    ],
)
def test_damaged_or_foreign_encodings_are_incomplete(encoding: str, body: bytes) -> None:
    """Cut, extended or wrongly labelled compression is refused, also when a prefix parses."""
    with serving(lambda wire, _: wire.reply_bytes(body, content_encoding=encoding)) as server:
        assert type(error_of(server.url)) is IncompleteRead


@pytest.mark.parametrize(
    "head",
    [
        b"rubbish\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"",
    ],
)
def test_answers_that_are_no_http_are_a_busy_platform(head: bytes) -> None:
    """Rubbish instead of HTTP is a failure of the other side that may pass."""

    def handler(wire: Wire, _: int) -> None:
        wire.wfile.write(head)
        wire.close_connection = True

    with serving(handler) as server:
        assert isinstance(error_of(server.url), PlatformBusy | IncompleteRead)


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    """A redirect is an alarm: no request reaches where it points, and none is repeated."""
    with serving(lambda wire, _: wire.reply({})) as catcher:

        def handler(wire: Wire, _: int) -> None:
            wire.reply_bytes(b"", status, location=f"{catcher.url}/stolen")

        with serving(handler) as server:
            error = error_of(server.url, QUICK)
            assert len(server.seen) == 1
        assert isinstance(error, Defect)
        assert catcher.connections == 0


def test_the_environment_decides_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Proxies and netrc of the environment are ignored."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n", encoding="utf-8")
    netrc.chmod(0o600)
    with serving(lambda wire, _: wire.reply({})) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with serving(lambda wire, _: wire.reply({})) as server:
            fetch(server.url)
            assert server.seen[0].headers["authorization"].startswith("Bearer ")
        assert proxy.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "https://graph.facebook.com",
        "https://graph.facebook.com/",
        "https://graph.facebook.com:8443/base",
        "https://10.1.2.3:8443",
        "https://[2a03:2880::1]",
        "http://localhost:8000",
        "http://127.0.0.1:8000",
        "http://127.9.9.9",
        "http://[::1]:8000",
    ],
)
def test_https_and_loopback_are_fine(url: str) -> None:
    """https anywhere; plain http on this machine only."""
    origin = parse_origin(url)
    assert origin.url("/v26.0/me") == url.rstrip("/") + "/v26.0/me"


@pytest.mark.parametrize(
    "url",
    [
        "http://graph.facebook.com",
        "http://10.0.0.1",
        "http://169.254.169.254",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://[2a03:2880::1]",
        "https://user:pass@graph.facebook.com",
        "https://graph.facebook.com@evil.example",
        "https://graph.facebook.com?x=1",
        "https://graph.facebook.com#x",
        "https://graph.facebook.com\\@evil.example",
        "https://graph.facebook.com:99999",
        "https://graph.facebook.com:0",
        "https://",
        "https:///path",
        "//graph.facebook.com",
        "graph.facebook.com",
        "ftp://graph.facebook.com",
        "file:///etc/passwd",
        "https://graph.face book.com",
        "https://graph.facebook.com\n",
        "",
    ],
)
def test_other_base_urls_are_refused(url: str) -> None:
    """A token is sent there, so a base URL in clear, with tricks or with parts is refused."""
    with pytest.raises(UsageError):
        client(url)


@pytest.mark.parametrize(
    ("base", "peer", "meant"),
    [
        ("https://graph.facebook.com", "157.240.1.1", True),
        ("https://graph.facebook.com", "2a03:2880::1", True),
        ("https://graph.facebook.com", "127.0.0.1", False),
        ("https://graph.facebook.com", "10.0.0.1", False),
        ("https://graph.facebook.com", "169.254.169.254", False),
        ("https://graph.facebook.com", "::1", False),
        ("https://graph.facebook.com", "::ffff:10.0.0.1", False),
        ("https://graph.facebook.com", "fe80::1%eth0", False),
        ("https://10.0.0.1", "10.0.0.1", True),
        ("http://localhost:8000", "127.0.0.1", True),
        ("http://localhost:8000", "::1", True),
        ("http://localhost:8000", "157.240.1.1", False),
    ],
)
def test_a_name_may_not_lead_into_the_private_network(base: str, peer: str, meant: bool) -> None:
    """A platform's name resolves to a public address, this machine's to loopback."""
    origin = parse_origin(base)
    if meant:
        origin.refuse_peer(peer)
    else:
        with pytest.raises(Blocked, match="private address"):
            origin.refuse_peer(peer)


def test_nothing_is_sent_to_a_private_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A poisoned name server gets a connection and not one byte."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: answer)
    error = error_of("https://graph.facebook.com")
    assert type(error) is Blocked
    connection, _ = listener.accept()
    connection.settimeout(5)
    assert connection.recv(100) == b""
    listener.close()


@pytest.mark.parametrize("years", [1, -1])
def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path, years: int) -> None:
    """Self-signed, expired: no request is sent, no fallback tried, a person has to look."""
    context, _ = certificate(
        tmp_path, ["localhost"], datetime.now(UTC) + timedelta(days=365 * years)
    )
    with serving(lambda wire, _: wire.reply({}), context) as server:
        error = error_of(f"https://localhost:{server.server_port}", QUICK)
        assert server.seen == []
    assert type(error) is Blocked
    assert "certificate" in str(error)


def test_the_environment_cannot_vouch_for_a_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE change nothing."""
    context, _ = certificate(tmp_path, ["localhost"], datetime.now(UTC) + timedelta(days=365))
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(tmp_path / "chain.pem"))
    with serving(lambda wire, _: wire.reply({}), context) as server:
        assert type(error_of(f"https://localhost:{server.server_port}")) is Blocked


def test_plain_http_on_a_tls_port_is_a_busy_platform() -> None:
    """A handshake that fails for another reason than the certificate may pass."""
    with serving(lambda wire, _: wire.reply({})) as server:
        error = error_of(f"https://localhost:{server.server_port}")
    assert isinstance(error, PlatformBusy)
