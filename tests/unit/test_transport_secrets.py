"""The token shows nowhere: not in errors, logs, URLs, causes, or frames."""

from __future__ import annotations

import base64
import logging
import pickle
import socket
import threading
import traceback
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

import pytest
from wire_server import CANARY, CREDENTIAL, QUICK, STARTED, Wire, asking, client, get, serving

from adsync_dagster.errors import AdsyncError, PlatformBusy
from adsync_dagster.platforms.facebook import FacebookAdapter
from adsync_dagster.platforms.protocol import Request, Response
from adsync_dagster.records import Level

ONCE = replace(
    QUICK, attempts_max=2, read_seconds=0.3, request_seconds=1.0, response_bytes_max=10_000
)
#: The spellings a token could leak in.
SPELLINGS = [
    CANARY,
    quote(CANARY),
    base64.b64encode(CANARY.encode()).decode().rstrip("="),
    CANARY.encode().hex(),
    "Bearer",
]
BODY_SECRET = "sim_body_secret_41d8"


def hang(wire: Wire, _: int) -> None:
    """Say nothing for a while."""
    threading.Event().wait(1.0)
    wire.close_connection = True


def cut(wire: Wire, _: int) -> None:
    """Half a body."""
    wire.raw_head(content_length="1000", connection="close")
    wire.wfile.write(BODY_SECRET.encode())
    wire.close_connection = True


def echo_error(code: int, status: int = 400) -> Callable[[Wire, int], None]:
    """An error that repeats the token, as Meta does for a malformed one."""

    def handler(wire: Wire, _: int) -> None:
        message = f"Malformed access token {wire.headers['authorization']} {BODY_SECRET}"
        wire.reply({"error": {"message": message, "code": code, "error_user_msg": message}}, status)

    return handler


FAILURES: dict[str, Callable[[Wire, int], None]] = {
    "reset": lambda wire, _: wire.reset(),
    "hang": hang,
    "cut body": cut,
    "no http": lambda wire, _: wire.wfile.write(f"{BODY_SECRET}\r\n\r\n".encode()) and None,
    "not json": lambda wire, _: wire.reply_bytes(f"<html>{BODY_SECRET}".encode()),
    "cut json": lambda wire, _: wire.reply_bytes(f'{{"a":"{BODY_SECRET}'.encode()),
    "too large": lambda wire, _: wire.reply_bytes(BODY_SECRET.encode() * 1000),
    "bad gzip": lambda wire, _: wire.reply_bytes(BODY_SECRET.encode(), content_encoding="gzip"),
    "redirect": lambda wire, _: wire.reply_bytes(b"", 302, location=f"http://x/?{BODY_SECRET}"),
    "server error": lambda wire, _: wire.reply_bytes(BODY_SECRET.encode(), 503),
    "throttle": echo_error(80000),
    "dead token": echo_error(190),
    "permission": echo_error(200, 403),
    "missing": echo_error(803, 404),
    "invalid": echo_error(100),
    "ids": echo_error(100, 500),
    "busy": echo_error(2, 500),
    "error in 200": echo_error(102, 200),
    "unknown": echo_error(424242),
}


def everything_about(error: BaseException) -> str:
    """All that a log, a report or a pickle could take from an exception."""
    seen: list[str] = []
    link: BaseException | None = error
    while link is not None:
        seen += [str(link), repr(link), repr(link.args), repr(vars(link))]
        link = link.__cause__ or link.__context__
    captured = traceback.TracebackException.from_exception(error, capture_locals=True)
    seen += captured.format()
    return "\n".join(seen)


def assert_clean(text: str) -> None:
    """No spelling of the token, and nothing the server said."""
    leaks = [spelling for spelling in [*SPELLINGS, BODY_SECRET] if spelling in text]
    assert leaks == []


def log_everything(caplog: pytest.LogCaptureFixture) -> None:
    """DEBUG for every logger, also those that another library has quietened by name."""
    for name in (None, "urllib3", "urllib3.connectionpool", "requests"):
        caplog.set_level(logging.DEBUG, logger=name)


@pytest.mark.parametrize("name", FAILURES)
def test_no_failure_tells_the_token(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Errors, their causes, contexts and frames, and all logs at DEBUG stay clean."""
    log_everything(caplog)
    with serving(FAILURES[name]) as server:
        one = client(server.url, limits=ONCE)
        with pytest.raises(AdsyncError) as caught:
            one.run(asking(get(fields="id")), lambda _: None)
        one.close()
    assert_silent(caught.value, caplog)


def test_a_host_that_does_not_resolve_is_a_busy_platform(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The name server knows no such host: asked for again, then retryable, and as silent."""
    asked: list[str] = []

    def unknown(host: str, *_: object, **__: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    log_everything(caplog)
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    one = client("https://graph.adsync.invalid", limits=ONCE)
    with pytest.raises(PlatformBusy) as caught:
        one.run(asking(get(fields="id")), lambda _: None)
    one.close()
    assert asked == ["graph.adsync.invalid"] * ONCE.attempts_max
    assert_silent(caught.value, caplog)


def assert_silent(error: AdsyncError, caplog: pytest.LogCaptureFixture) -> None:
    """It names the account; neither it nor a log holds the token or what a server said."""
    assert error.__cause__ is None
    assert error.__context__ is None
    assert "account act_501" in str(error)
    assert "http://" not in str(error)
    assert_clean(everything_about(error))
    assert_clean(caplog.text)
    assert_clean(pickle.dumps(error).decode("latin-1"))


def test_urls_and_logs_of_a_success_hold_no_token(caplog: pytest.LogCaptureFixture) -> None:
    """Library loggers at DEBUG print request lines, which hold no secret to print."""
    log_everything(caplog)
    with serving(lambda wire, _: wire.reply({"id": "act_501"})) as server:
        client(server.url).run(asking(get(fields="id")), lambda _: None)
        assert CANARY not in server.seen[0].path
    assert "GET" in caplog.text
    assert_clean(caplog.text)


def test_a_next_url_with_a_token_goes_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    """Meta puts the token into paging.next; neither requests, errors nor logs repeat it."""
    log_everything(caplog)

    def handler(wire: Wire, number: int) -> None:
        row = {"id": str(number + 1), "account_id": "501", "campaign_id": "1", "adset_id": "2"}
        row |= {"status": "ACTIVE", "effective_status": "ACTIVE"}
        after = "A" if number == 0 else "A2"
        paging = {"cursors": {"after": after}, "next": f"{catcher.url}/?access_token={CANARY}"}
        if number < 2:
            wire.reply({"data": [row], "paging": paging, "summary": {"total_count": 9}})
        else:
            wire.reply({"data": [row | {"status": None}], "paging": paging})

    with serving(lambda wire, _: wire.reply({})) as catcher, serving(handler) as server:
        one = client(server.url)
        with pytest.raises(AdsyncError) as caught:
            one.run(FacebookAdapter().list_entities("501", Level.AD, STARTED), lambda _: None)
        assert catcher.connections == 0
        assert all(CANARY not in wire.path for wire in server.seen)
        assert len(server.seen) == 3
    assert_clean(everything_about(caught.value))
    assert_clean(caplog.text)


def test_nothing_on_the_way_shows_the_token() -> None:
    """Client, credential, request and response have representations without secrets."""
    one = client("http://127.0.0.1:1")
    response = Response(status=200, headers={"x": CANARY}, body=CANARY.encode())
    for thing in (one, vars(one), CREDENTIAL, response, Request(method="GET", path="/")):
        assert CANARY not in repr(thing)
    with pytest.raises(TypeError):
        pickle.dumps(CREDENTIAL)
