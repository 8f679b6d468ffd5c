"""The transport against a real socket: exchanges, retries, waits, reading ahead."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from wire_server import (
    CANARY,
    QUICK,
    STARTED,
    MovingClock,
    Wire,
    asking,
    client,
    fetch,
    get,
    serving,
)

from adsync_dagster.errors import (
    AdsyncError,
    CredentialBlocked,
    Defect,
    IncompleteRead,
    PlatformBusy,
    TooMuchData,
)
from adsync_dagster.platforms.facebook_errors import InvalidRequest
from adsync_dagster.platforms.protocol import Credential, Pause, Read, Request, Rows
from adsync_dagster.records import Complete
from adsync_dagster.transport import RateBudget

OK = {"id": "act_501"}
BUSY = {"error": {"message": "", "code": 2}}


def error_of(url: str, **more: Any) -> AdsyncError:
    """What a single request ends with."""
    with pytest.raises(AdsyncError) as caught:
        fetch(url, **more)
    return caught.value


def test_a_request_arrives_and_its_answer_comes_back() -> None:
    """Path, parameters, headers and body survive both ways; the token is in a header only."""

    def handler(wire: Wire, _: int) -> None:
        wire.reply(OK, X_App_Usage='{"call_count":1}')

    with serving(handler) as server:
        response = fetch(
            server.url, get("/v26.0/act_501", fields="id,name", effective_status='["A"]')
        )
        (wire,) = server.seen
    assert response.json() == OK
    assert response.headers["x-app-usage"] == '{"call_count":1}'
    parts = urlsplit(wire.path)
    assert parts.path == "/v26.0/act_501"
    assert parse_qs(parts.query) == {"fields": ["id,name"], "effective_status": ['["A"]']}
    assert wire.headers["authorization"] == f"Bearer {CANARY}"
    assert wire.headers["accept-encoding"] == "gzip"
    assert wire.headers["user-agent"].startswith("adsync-dagster/")
    assert CANARY not in wire.path


def test_forms_and_json_are_sent_as_such() -> None:
    """A form travels urlencoded and JSON as JSON, by POST."""
    seen: list[tuple[str, bytes]] = []

    def handler(wire: Wire, _: int) -> None:
        seen.append((wire.headers["content-type"], wire.received))
        wire.reply([])

    with serving(handler) as server:
        fetch(server.url, Request(method="POST", path="/v26.0/", form={"batch": "[1]"}))
        fetch(server.url, Request(method="POST", path="/v26.0/", json={"a": [1]}))
    assert seen[0] == ("application/x-www-form-urlencoded", b"batch=%5B1%5D")
    assert seen[1] == ("application/json", b'{"a":[1]}')


def test_the_secret_proof_joins_at_the_last_moment() -> None:
    """appsecret_proof travels as parameter or form field; the Request never held it."""
    credential = Credential({"access_token": CANARY, "app_secret": "sim_app_secret"})
    with serving(lambda wire, _: wire.reply([])) as server:
        request = get()
        fetch(server.url, request, credential=credential)
        fetch(
            server.url,
            Request(method="POST", path="/v26.0/", form={"batch": "[]"}),
            credential=credential,
        )
        by_get, by_post = server.seen
    assert "appsecret_proof=" in by_get.path
    assert b"appsecret_proof=" in by_post.received
    assert "appsecret_proof" not in by_post.path
    assert "appsecret" not in repr(request)
    assert "sim_app_secret" not in by_get.path + by_post.received.decode()


def test_compressed_answers_are_read() -> None:
    """gzip is the one encoding asked for, and it is undone."""
    body = gzip.compress(orjson.dumps({"data": "x" * 100_000}))
    with serving(lambda wire, _: wire.reply_bytes(body, content_encoding="gzip")) as server:
        assert fetch(server.url).json() == {"data": "x" * 100_000}


def test_chunked_answers_are_read() -> None:
    """An answer without a length is read to its last chunk."""

    def handler(wire: Wire, _: int) -> None:
        wire.raw_head(transfer_encoding="chunked")
        wire.wfile.write(b"5\r\n" + b'{"a":' + b"\r\n" + b"2\r\n1}\r\n0\r\n\r\n")

    with serving(handler) as server:
        assert fetch(server.url).json() == {"a": 1}


def test_connections_are_kept_and_never_shared() -> None:
    """Reads one after the other use one connection, four threads at most four."""
    barrier = threading.Barrier(4)

    def handler(wire: Wire, number: int) -> None:
        if number >= 3:
            barrier.wait(10)
        wire.reply(OK)

    with serving(handler) as server:
        one = client(server.url)
        for _ in range(3):
            one.run(asking(get()), lambda _: None)
        assert server.connections == 1
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: one.run(asking(get()), lambda _: None), range(4)))
        assert server.connections <= 4
        one.close()


def test_passing_failures_are_tried_again_with_growing_waits() -> None:
    """503 and code 2 pass; the waits double, times a random share, up to a bound."""
    clock = MovingClock()
    limits = replace(QUICK, attempts_max=8, backoff_seconds=1.0, backoff_seconds_max=10.0)

    def handler(wire: Wire, number: int) -> None:
        if number < 7:
            wire.reply(BUSY if number % 2 else {}, 503)
        else:
            wire.reply(OK)

    with serving(handler) as server:
        fetch(server.url, clock=clock, limits=limits, random_share=lambda: 0.5)
    assert clock.sleeps == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]


def test_tries_are_bounded() -> None:
    """A platform that stays down ends the request, which is still worth a later try."""
    with serving(lambda wire, _: wire.reply({}, 503)) as server:
        error = error_of(server.url, limits=replace(QUICK, attempts_max=3))
        assert len(server.seen) == 3
    assert type(error) is PlatformBusy
    assert str(error).startswith("account act_501: ")


@pytest.mark.parametrize(
    ("payload", "status", "kind"),
    [
        ({"error": {"code": 100}}, 400, InvalidRequest),
        ({"error": {"code": 100, "message": "ids ... deprecated"}}, 500, InvalidRequest),
        ({"error": {"code": 100, "error_subcode": 1487534}}, 400, TooMuchData),
        ({"error": {"code": 190}}, 400, CredentialBlocked),
    ],
)
def test_what_trying_again_cannot_change_is_asked_once(
    payload: dict[str, Any], status: int, kind: type[AdsyncError]
) -> None:
    """Permanent errors, heavy questions and dead tokens are not repeated."""
    with serving(lambda wire, _: wire.reply(payload, status)) as server:
        assert type(error_of(server.url)) is kind
        assert len(server.seen) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"data":[{"id":"1"', b'{"spend":NaN}'])
def test_answers_that_cannot_be_read_are_asked_again(body: bytes) -> None:
    """HTTP 200 with rubbish is a failure that may pass, and an incomplete read if it stays."""

    def handler(wire: Wire, number: int) -> None:
        wire.reply_bytes(body) if number < 2 else wire.reply(OK)

    with serving(handler) as server:
        assert fetch(server.url).json() == OK
    with serving(lambda wire, _: wire.reply_bytes(body)) as server:
        assert type(error_of(server.url)) is IncompleteRead


def test_a_broken_connection_is_tried_again() -> None:
    """A reset before, in or after the headers costs a try, not the read."""

    def handler(wire: Wire, number: int) -> None:
        if number == 0:
            wire.reset()
        elif number == 1:
            wire.raw_head(content_length="100")
            wire.wfile.write(b'{"half":')
            wire.wfile.flush()
            wire.reset()
        elif number == 2:
            wire.close_connection = True
        else:
            wire.reply(OK)

    with serving(handler) as server:
        assert fetch(server.url).json() == OK
        assert len(server.seen) == 4


def test_nobody_listening_is_a_busy_platform() -> None:
    """Connection refused and unknown hosts are retried, then reported without an address."""
    with serving(reply_page) as server:
        url = server.url
    error = error_of(url, limits=replace(QUICK, attempts_max=2))
    assert type(error) is PlatformBusy
    assert "127.0.0.1" not in str(error)


@pytest.mark.parametrize(
    ("text", "slept", "released"),
    [
        ("7", [7.0], None),
        ("0", [], None),
        ("-5", [1.0], None),
        ("soon", [1.0], None),
        (format_datetime(STARTED + timedelta(seconds=30), usegmt=True), [30.0], None),
        (format_datetime(STARTED - timedelta(days=30), usegmt=True), [], None),
        ("61", [], 61.0),
        ("999999999999999999", [], 21_600.0),
        (format_datetime(STARTED + timedelta(days=3650), usegmt=True), [], 21_600.0),
    ],
)
def test_retry_after_is_kept_within_reason(
    text: str, slept: list[float], released: float | None
) -> None:
    """Seconds and dates are waited for; a long wait ends the read with its length, capped."""
    clock = MovingClock()

    def handler(wire: Wire, number: int) -> None:
        wire.reply({}, 503, Retry_After=text) if number == 0 else wire.reply(OK)

    with serving(handler) as server:
        if released is None:
            fetch(server.url, clock=clock)
        else:
            error = error_of(server.url, clock=clock)
            assert isinstance(error, PlatformBusy)
            assert error.retry_after_seconds == released
            assert len(server.seen) == 1
    assert clock.sleeps == slept


def test_a_throttled_account_is_left_alone_by_all_its_threads() -> None:
    """Refused calls prolong the block, so whoever shares the budget does not even ask."""
    clock, budget = MovingClock(), RateBudget()
    throttle = {"error": {"code": 80000, "error_subcode": 2446079}}
    usage = '{"501":[{"type":"ads_insights","estimated_time_to_regain_access":19}]}'

    def handler(wire: Wire, number: int) -> None:
        if number == 0:
            wire.reply(throttle, 400, X_Business_Use_Case_Usage=usage)
        else:
            wire.reply(OK)

    with serving(handler) as server:
        error = error_of(server.url, clock=clock, budget=budget)
        assert isinstance(error, PlatformBusy)
        assert error.retry_after_seconds == 1140.0
        clock.instant += timedelta(seconds=140)
        error = error_of(server.url, clock=clock, budget=budget)
        assert isinstance(error, PlatformBusy)
        assert error.retry_after_seconds == 1000.0
        assert len(server.seen) == 1
        clock.instant += timedelta(seconds=1000)
        fetch(server.url, clock=clock, budget=budget)
        assert len(server.seen) == 2
    assert clock.sleeps == []


def test_a_full_quota_slows_the_next_request_down() -> None:
    """Usage headers of a success are waited for before the next request, not after this one."""
    clock = MovingClock()

    def read() -> Read:
        yield get()
        assert clock.sleeps == []
        yield get()
        return Complete(read_started_at=STARTED, row_count=0, request_count=2)

    with serving(lambda wire, _: wire.reply(OK, X_App_Usage='{"call_count":91}')) as server:
        client(server.url, clock).run(read(), lambda _: None)
    assert clock.sleeps == [15.0]


def test_an_error_is_raised_inside_the_read() -> None:
    """The adapter sees a failure at its yield and may ask something else instead."""

    def read() -> Read:
        try:
            yield get(limit="500")
        except TooMuchData:
            response = yield get(limit="250")
        assert response is not None
        return Complete(read_started_at=STARTED, row_count=len(response.json()), request_count=2)

    def handler(wire: Wire, _: int) -> None:
        if "500" in wire.path:
            wire.reply({"error": {"code": 100, "error_subcode": 1487534}}, 400)
        else:
            wire.reply(OK)

    with serving(handler) as server:
        verdict = client(server.url).run(read(), lambda _: None)
    assert verdict.row_count == 1


def test_pauses_sleep_on_the_clock() -> None:
    """A pause is the clock's business."""
    clock = MovingClock()

    def read() -> Read:
        yield Pause(12.5, "not ready")
        return Complete(read_started_at=STARTED, row_count=0, request_count=0)

    client("http://127.0.0.1:1", clock).run(read(), lambda _: None)
    assert clock.sleeps == [12.5]


def ordering() -> Read:
    """A read whose platform computes for a while what it is asked."""
    order = Request(method="POST", path="/v26.0/act_501/insights", form={}, orders=True)
    name = (yield order).json()["report_run_id"]  # type: ignore[union-attr]
    yield Pause(10.0, "not ready")
    rows = (yield get(f"/v26.0/{name}/insights")).json()  # type: ignore[union-attr]
    return Complete(read_started_at=STARTED, row_count=len(rows), request_count=2)


def test_an_ordered_read_does_not_wait_again() -> None:
    """Its report is computed meanwhile; only what is left of the pause is waited."""
    clock = MovingClock()

    def handler(wire: Wire, _: int) -> None:
        wire.reply({"report_run_id": "77"} if wire.command == "POST" else [1, 2])

    with serving(handler) as server:
        one = client(server.url, clock)
        ordered = one.order(ordering)
        assert [wire.command for wire in server.seen] == ["POST"]
        clock.instant += timedelta(seconds=7)
        assert one.run(ordered, lambda _: None).row_count == 2
        late = one.order(ordering)
        clock.instant += timedelta(hours=1)
        one.run(late, lambda _: None)
    assert clock.sleeps == [3.0, 0.0]


def test_a_refused_order_is_made_again_when_its_turn_comes() -> None:
    """A platform that is busy now need not be so later; what stays refused is raised then."""

    asked: list[str] = []

    def handler(wire: Wire, _: int) -> None:
        asked.append(wire.command)
        if len(asked) <= QUICK.attempts_max:
            wire.reply(BUSY, 500)
        else:
            wire.reply({"report_run_id": "77"} if wire.command == "POST" else [1])

    with serving(handler) as server:
        one = client(server.url, MovingClock())
        ordered = one.order(ordering)
        assert asked == ["POST"] * QUICK.attempts_max
        assert one.run(ordered, lambda _: None).row_count == 1
    assert asked[QUICK.attempts_max :] == ["POST", "GET"]

    with serving(lambda wire, _: wire.reply(BUSY, 500)) as server:
        one = client(server.url, MovingClock())
        ordered = one.order(ordering)
        with pytest.raises(PlatformBusy):
            one.run(ordered, lambda _: None)


def test_a_read_that_orders_nothing_is_not_begun() -> None:
    """Rows are asked for when somebody stores them."""
    with serving(lambda wire, _: wire.reply(OK)) as server:
        one = client(server.url)
        ordered = one.order(lambda: asking(get()))
        assert server.seen == []
        ordered.close()
        assert one.run(one.order(lambda: asking(get())), lambda _: None).row_count >= 0
        assert len(server.seen) == 1


def test_a_read_has_a_bound_on_requests_and_time() -> None:
    """A read that never ends is ended, without trying its last request again."""

    def endless() -> Iterator[Any]:
        while True:
            yield get()

    with serving(lambda wire, _: wire.reply(OK)) as server:
        few = client(server.url, limits=replace(QUICK, requests_per_read_max=4))
        with pytest.raises(IncompleteRead, match="4 requests"):
            few.run(endless(), lambda _: None)  # type: ignore[arg-type]
        assert len(server.seen) == 4
        late = client(server.url, limits=replace(QUICK, total_seconds=-1.0))
        with pytest.raises(IncompleteRead, match="longer"):
            late.run(endless(), lambda _: None)  # type: ignore[arg-type]
        assert len(server.seen) == 4


@pytest.mark.parametrize(
    "request_",
    [
        Request(method="DELETE", path="/v26.0/6300001"),
        Request(method="PUT", path="/v26.0/6300001"),
        Request(method="POST", path="/v26.0/6300001", form={"status": "PAUSED"}),
        Request(method="POST", path="/v26.0/act_501/ads", form={}),
        Request(method="GET", path="//evil.example/x?"),
        Request(method="GET", path="/v26.0/../x"),
        Request(method="GET", path="/v26.0/x?access_token=1"),
        Request(method="GET", path="@evil.example/"),
        Request(method="GET", path="/x\r\nHost: evil"),
        Request(method="GET", path="/x#y"),
        Request(method="GET", path="\\\\evil.example"),
    ],
)
def test_requests_that_could_write_or_lead_elsewhere_are_defects(request_: Request) -> None:
    """Only GETs and the adapter's own reading POSTs leave the machine, only below the base."""
    with serving(lambda wire, _: wire.reply(OK)) as server:
        assert isinstance(error_of(server.url, request=request_), Defect)
        assert server.connections == 0


def rows(number: int, ahead: Request | None) -> Rows:
    """A page with one record that only says its number."""
    return Rows([number], ahead=ahead)  # type: ignore[list-item]


def paging(pages: int) -> Read:
    """A read that announces each next request with the rows before it."""
    request = get(page="0")
    for number in range(pages):
        response = yield request
        assert response is not None
        last = number + 1 == pages
        following = None if last else get(page=str(number + 1))
        yield rows(response.json()["page"], following)
        request = following or request
    return Complete(read_started_at=STARTED, row_count=pages, request_count=pages)


def reply_page(wire: Wire, _: int) -> None:
    """An answer that repeats which page was asked for."""
    wire.reply({"page": int(parse_qs(urlsplit(wire.path).query)["page"][0])})


@pytest.mark.parametrize("read_ahead", [True, False])
def test_the_next_page_travels_while_rows_are_stored(read_ahead: bool) -> None:
    """The sink of page 1 sees request 2 arrive, rows stay in order, the sink's thread is ours."""
    arrived = threading.Semaphore(0)
    stored: list[Any] = []

    def handler(wire: Wire, number: int) -> None:
        arrived.release()
        reply_page(wire, number)

    def sink(records: Any) -> None:
        assert threading.current_thread() is threading.main_thread()
        assert arrived.acquire(timeout=10)
        if read_ahead and len(stored) < 4:
            assert arrived.acquire(timeout=10)
            arrived.release()
        stored.extend(records)

    with serving(handler) as server:
        one = client(server.url, limits=replace(QUICK, read_ahead=read_ahead))
        verdict = one.run(paging(5), sink)
        assert len(server.seen) == 5
    assert stored == [0, 1, 2, 3, 4]
    assert verdict.row_count == 5


def test_a_failure_ahead_is_raised_where_it_is_asked() -> None:
    """The rows before it are stored first, then the read sees the error."""
    stored: list[Any] = []

    def handler(wire: Wire, number: int) -> None:
        reply_page(wire, number) if number == 0 else wire.reply({"error": {"code": 190}}, 400)

    with serving(handler) as server, pytest.raises(CredentialBlocked):
        client(server.url).run(paging(3), stored.extend)
    assert stored == [0]


def test_a_sink_that_fails_ends_the_read() -> None:
    """The sink's error comes out as it is, the read is closed, and nothing is asked again."""
    closed = threading.Event()

    def read() -> Read:
        try:
            return (yield from paging(3))
        finally:
            closed.set()

    def handler(wire: Wire, number: int) -> None:
        reply_page(wire, number) if number == 0 else wire.reply({}, 503)

    def sink(_: Any) -> None:
        raise ZeroDivisionError

    with serving(handler) as server:
        with pytest.raises(ZeroDivisionError):
            client(server.url).run(read(), sink)
        assert closed.is_set()
        assert len(server.seen) <= 2


def test_small_reads_come_as_a_list() -> None:
    """`rows` gives all records and the verdict."""
    with serving(reply_page) as server:
        records, verdict = client(server.url).rows(paging(3))
    assert records == [0, 1, 2]
    assert verdict.row_count == 3


def test_a_read_without_a_verdict_is_a_defect() -> None:
    """There is no way to end without saying how it went."""

    def read() -> Iterator[Any]:
        yield Pause(0.0, "x")

    with pytest.raises(Defect):
        client("http://127.0.0.1:1").run(read(), lambda _: None)  # type: ignore[arg-type]
