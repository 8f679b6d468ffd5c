"""Every fault by name: what it does to the answer, when it strikes, and that it stops."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from adsync_dagster.clock import VirtualClock
from adsync_dagster.errors import UsageError
from adsync_dagster.simulator.facebook_errors import NAMED
from adsync_dagster.simulator.faults import STAGES
from adsync_dagster.simulator.google_ads_faults import FAULTS as GOOGLE_FAULTS
from adsync_dagster.simulator.http import BrokenTransport
from adsync_dagster.simulator.simulator import Simulator
from adsync_dagster.simulator.tiktok_faults import FAULTS as TIKTOK_FAULTS
from adsync_dagster.simulator.world import World

START = datetime(2026, 3, 3, 15, 30, tzinfo=UTC)
ACCOUNT = "act_501"
ADS = f"/v26.0/{ACCOUNT}/ads"
FORM = {"content-type": "application/x-www-form-urlencoded"}

#: Faults that other tests strike with: test_simulator_insights, test_facebook_sdk,
#: test_simulator_tiktok and test_google_ads_client.
ELSEWHERE = {name for name in STAGES if name.startswith("report_")} | {"batch_item_null"}
ELSEWHERE |= set(TIKTOK_FAULTS) | set(GOOGLE_FAULTS)


@pytest.fixture
def simulator() -> Simulator:
    world = World(seed=2, clock=VirtualClock(START))
    world.add_facebook_account(
        ACCOUNT, campaigns=2, adsets=4, ads=8, history_days=10, stopped=False
    )
    world.advance(hours=2)
    return Simulator(world)


def send(simulator: Simulator, path: str = ADS, **params: Any) -> tuple[int, dict[str, str], bytes]:
    query = {"access_token": "sim_t", "limit": "3", "fields": "name,status", **params}
    return simulator.handle("GET", path, query)


def page(simulator: Simulator, **params: Any) -> dict[str, Any]:
    status, _, body = send(simulator, **params)
    assert status == 200
    parsed: dict[str, Any] = orjson.loads(body)
    return parsed


def after(body: dict[str, Any]) -> str:
    cursor: str = body["paging"]["cursors"]["after"]
    return cursor


Check = Callable[[Simulator, dict[str, Any]], None]


def _html(simulator: Simulator, _: dict[str, Any]) -> None:
    status, headers, body = send(simulator)
    assert (status, headers["Content-Type"][:9]) == (502, "text/html")
    assert b"<html>" in body


def _empty_body(simulator: Simulator, _: dict[str, Any]) -> None:
    status, _headers, body = send(simulator)
    assert (status, body) == (200, b"")


def _retry_after(simulator: Simulator, _: dict[str, Any]) -> None:
    status, headers, _body = send(simulator)
    assert (status, headers["Retry-After"]) == (503, "-5")


def _redirect(simulator: Simulator, _: dict[str, Any]) -> None:
    status, headers, _body = send(simulator)
    assert (status, headers["Location"]) == (302, "https://elsewhere.example/")


def _body(simulator: Simulator, _: dict[str, Any]) -> None:
    assert send(simulator)[2] == b'{"error":{}}'


def _not_json(simulator: Simulator, _: dict[str, Any]) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(send(simulator)[2])


def _duplicate_keys(simulator: Simulator, healthy: dict[str, Any]) -> None:
    body = send(simulator)[2]
    assert body.count(b'"data"') == 2
    assert orjson.loads(body) == healthy


def _gzip_bomb(simulator: Simulator, _: dict[str, Any]) -> None:
    _, headers, body = send(simulator)
    assert headers["Content-Encoding"] == "gzip"
    assert len(body) < 20_000
    assert len(zlib.decompress(body, 31)) > 9_000_000


def _deep(simulator: Simulator, _: dict[str, Any]) -> None:
    assert send(simulator)[2].count(b"[") == 500


def _huge(simulator: Simulator, _: dict[str, Any]) -> None:
    assert len(send(simulator)[2]) > 10_000_000


def _broken(simulator: Simulator, healthy: dict[str, Any]) -> None:
    with pytest.raises(BrokenTransport) as raised:
        send(simulator)
    assert orjson.loads(raised.value.answer.encode()[2]) == healthy


def _error(simulator: Simulator, _: dict[str, Any]) -> None:
    status, _headers, body = send(simulator)
    assert (status, orjson.loads(body)["error"]["code"]) == (429, 80000)


def _stale(simulator: Simulator, healthy: dict[str, Any]) -> None:
    simulator.world.pause("ad", healthy["data"][0]["id"])
    assert page(simulator) == healthy
    assert page(simulator) != healthy


def _swapped(simulator: Simulator, healthy: dict[str, Any]) -> None:
    assert page(simulator, fields="id", limit="1") == healthy


def _call(simulator: Simulator, healthy: dict[str, Any]) -> None:
    seen = page(simulator)
    assert (healthy["data"][0]["name"], seen["data"][0]["name"]) != ("renamed", "x")
    assert seen["data"][0]["name"] == "renamed"


def _rewrite(simulator: Simulator, healthy: dict[str, Any]) -> None:
    seen = page(simulator)
    assert seen["data"] == healthy["data"][:1]
    assert seen["paging"] == healthy["paging"]


def _empty_page(simulator: Simulator, healthy: dict[str, Any]) -> None:
    body = page(simulator)
    assert (body["data"], body["paging"]) == ([], healthy["paging"])


def _empty_first(simulator: Simulator, healthy: dict[str, Any]) -> None:
    assert page(simulator, after=after(healthy))["data"]
    assert page(simulator) == {"data": []}


def _missing_paging(simulator: Simulator, healthy: dict[str, Any]) -> None:
    assert page(simulator) == {"data": healthy["data"]}


def _missing_next(simulator: Simulator, _: dict[str, Any]) -> None:
    assert set(page(simulator)["paging"]) == {"cursors"}


def _repeated_cursor(simulator: Simulator, healthy: dict[str, Any]) -> None:
    second = page(simulator, after=after(healthy))
    assert after(second) == after(healthy)
    assert "next" in second["paging"]


def _endless(simulator: Simulator, _: dict[str, Any]) -> None:
    seen = [page(simulator)]
    for _turn in range(5):
        seen.append(page(simulator, after=after(seen[-1])))
    assert len({after(body) for body in seen}) == 6
    assert all(body["data"] and "next" in body["paging"] for body in seen)
    rows = "/v26.0/act_501/insights"
    one = orjson.loads(send(simulator, rows, level="ad", fields="spend")[2])
    two = orjson.loads(send(simulator, rows, level="ad", fields="spend", after=after(one))[2])
    assert two["data"] == one["data"] != []


def _foreign_next(simulator: Simulator, _: dict[str, Any]) -> None:
    assert page(simulator)["paging"]["next"].startswith("https://evil.example/page?")


def _cut_rows(simulator: Simulator, healthy: dict[str, Any]) -> None:
    body = page(simulator)
    assert (body["data"], body["paging"]) == (healthy["data"][:2], healthy["paging"])


def _shift_rows(simulator: Simulator, healthy: dict[str, Any]) -> None:
    assert page(simulator) == healthy
    assert len(page(simulator, after=after(healthy))["data"]) == 2


def _repeat_rows(simulator: Simulator, healthy: dict[str, Any]) -> None:
    first = healthy["data"][0]
    assert page(simulator)["data"] == [first, *healthy["data"]]


def _double_row(simulator: Simulator, healthy: dict[str, Any]) -> None:
    extra = {**healthy["data"][0], "status": "PAUSED"}
    assert page(simulator)["data"] == [*healthy["data"], extra]


def _drop_field(simulator: Simulator, _: dict[str, Any]) -> None:
    assert ["name" in row for row in page(simulator)["data"]] == [False, True, True]


def _set_field(simulator: Simulator, _: dict[str, Any]) -> None:
    assert {row["status"] for row in page(simulator)["data"]} == {"NEW_WORD"}
    ad = simulator.world.entities(ACCOUNT, "ad")[0].id
    assert orjson.loads(send(simulator, f"/v26.0/{ad}")[2])["status"] == "NEW_WORD"


def _data_is_null(simulator: Simulator, _: dict[str, Any]) -> None:
    assert page(simulator)["data"] is None


def _bad_data(simulator: Simulator, _: dict[str, Any]) -> None:
    assert isinstance(page(simulator)["data"], dict)


def _missing_by_id(simulator: Simulator, healthy: dict[str, Any]) -> None:
    ad = healthy["data"][0]["id"]
    status, _, body = send(simulator, f"/v26.0/{ad}")
    assert (status, orjson.loads(body)["error"]["code"]) == (400, 100)
    assert page(simulator) == healthy


def _batch(simulator: Simulator, expected: list[int]) -> None:
    ads = [ad.id for ad in simulator.world.entities(ACCOUNT, "ad")[:3]]
    items = orjson.dumps([{"method": "GET", "relative_url": ad} for ad in ads])
    _, _, body = simulator.handle(
        "POST", "/v26.0/", {"access_token": "sim_t"}, FORM, b"batch=" + items
    )
    answered = [orjson.loads(item["body"])["id"] for item in orjson.loads(body)]
    assert answered == [ads[index] for index in expected]


CASES: dict[str, tuple[dict[str, Any], Check]] = {
    "call": ({}, _call),
    "rewrite": ({"change": lambda body: body | {"data": body["data"][:1]}}, _rewrite),
    "stale": ({"seconds": 3600}, _stale),
    "swapped": ({}, _swapped),
    "html_body": ({}, _html),
    "empty_body": ({}, _empty_body),
    "http_status": ({"status": 503, "retry_after": -5}, _retry_after),
    "redirect": ({}, _redirect),
    "body": ({"text": '{"error":{}}'}, _body),
    "invalid_json": ({}, _not_json),
    "cut_json": ({}, _not_json),
    "not_a_number": ({}, _not_json),
    "duplicate_keys": ({}, _duplicate_keys),
    "gzip_bomb": ({"bytes": 10_000_000}, _gzip_bomb),
    "deep_json": ({"depth": 500}, _deep),
    "huge_body": ({"bytes": 10_000_000}, _huge),
    "reset": ({}, _broken),
    "reset_mid_body": ({}, _broken),
    "long_content_length": ({}, _broken),
    "slow_drip": ({}, _broken),
    "hang": ({}, _broken),
    "error": ({"error": "buc_insights", "status": 429}, _error),
    "empty_page": ({}, _empty_page),
    "empty_first_page": ({"count": 2}, _empty_first),
    "missing_paging": ({}, _missing_paging),
    "missing_next": ({}, _missing_next),
    "repeated_cursor": ({}, _repeated_cursor),
    "endless_pages": ({"count": None}, _endless),
    "foreign_next": ({"host": "https://evil.example"}, _foreign_next),
    "cut_rows": ({}, _cut_rows),
    "shift_rows": ({"count": 2}, _shift_rows),
    "repeat_rows": ({}, _repeat_rows),
    "double_row": ({"fields": {"status": "PAUSED"}}, _double_row),
    "drop_field": ({"field": "name", "rows": 1}, _drop_field),
    "set_field": ({"field": "status", "value": "NEW_WORD", "count": 2}, _set_field),
    "data_is_null": ({}, _data_is_null),
    "bad_data": ({}, _bad_data),
    "missing_by_id": ({"count": None}, _missing_by_id),
    "batch_cut": ({}, lambda simulator, _: _batch(simulator, [0, 1])),
    "batch_shuffled": ({}, lambda simulator, _: _batch(simulator, [2, 1, 0])),
}


def test_every_fault_has_a_case() -> None:
    """A new fault without a test of what it does fails here."""
    assert set(CASES) | ELSEWHERE == set(STAGES)


@pytest.mark.parametrize("name", CASES)
def test_each_fault_does_what_its_name_says_and_then_stops(simulator: Simulator, name: str) -> None:
    """While armed it spoils the answer in its one way; afterwards the answer is healthy again."""
    options, check = CASES[name]
    healthy = page(simulator)
    if name == "call":
        ad = healthy["data"][0]["id"]
        options = {"do": lambda: simulator.world.rename("ad", ad, "renamed")}
    rule = simulator.faults.arm(name, **options)
    check(simulator, healthy)
    assert rule.fired >= 1
    assert {hit.name for hit in simulator.faults.hits} == {name}
    simulator.faults.disarm()
    status, _, body = send(simulator)
    assert status == 200
    assert len(orjson.loads(body)["data"]) == 3


@pytest.mark.parametrize("name", NAMED)
def test_every_named_error_has_an_envelope(simulator: Simulator, name: str) -> None:
    """Errors arrive with code, type and trace id, with the documented status or a chosen one."""
    simulator.faults.arm("error", error=name)
    simulator.faults.arm("error", error=name, status=200)
    for expected in (NAMED[name]().http, 200):
        status, _, body = send(simulator)
        error = orjson.loads(body)["error"]
        assert status == expected
        assert {"message", "type", "code", "fbtrace_id"} <= set(error)
        assert error["code"] == NAMED[name]().code


def test_rules_choose_their_requests(simulator: Simulator) -> None:
    """Path, method, number to skip and number to strike are honoured."""
    simulator.faults.arm("error", path="insights$", error="service")
    simulator.faults.arm("error", path="ads$", method="POST", error="service")
    simulator.faults.arm("error", path="ads$", skip=1, count=2, error="service")
    assert [send(simulator)[0] for _ in range(5)] == [200, 503, 503, 200, 200]
    assert send(simulator, "/v26.0/act_501/insights", fields="spend")[0] == 503


def test_unlikely_faults_strike_the_same_requests_for_the_same_seed() -> None:
    """Draws are seeded apart from the world, so a run can be repeated exactly."""

    def run(seed: int) -> list[int]:
        world = World(seed=seed, clock=VirtualClock(START))
        world.add_facebook_account(ACCOUNT, campaigns=1, adsets=1, ads=2, history_days=2)
        simulator = Simulator(world)
        simulator.faults.arm("error", probability=0.4, count=None, error="service")
        return [send(simulator)[0] for _ in range(40)]

    assert run(3) == run(3) != run(4)
    assert set(run(3)) == {200, 503}


def test_unknown_names_are_refused(simulator: Simulator) -> None:
    """A misspelt fault or error cannot silently do nothing."""
    with pytest.raises(UsageError, match="no fault is called 'explode'"):
        simulator.faults.arm("explode")
    with pytest.raises(UsageError, match="no Graph API error is called 'misspelt'"):
        simulator.faults.arm("error", error="misspelt")
    assert simulator.faults.rules == []


def test_a_stale_answer_is_the_truth_of_then(simulator: Simulator) -> None:
    """Reports of an hour ago show the numbers and entities of an hour ago."""
    world = simulator.world
    before = world.clock.now()
    world.advance(hours=3)
    adset = world.entities(ACCOUNT, "adset")[0].id
    world.create_ad(adset, "brand new")
    simulator.faults.arm("stale", seconds=3 * 3600, count=None)
    names = {row["name"] for row in page(simulator, limit="100")["data"]}
    assert "brand new" not in names
    today = {"since": "2026-03-03", "until": "2026-03-03"}
    _, _, body = send(
        simulator,
        "/v26.0/act_501/insights",
        fields="impressions",
        time_range=orjson.dumps(today).decode(),
    )
    shown = int(orjson.loads(body)["data"][0]["impressions"])
    day = world.today(ACCOUNT)
    assert shown == world.ledger.account_total(ACCOUNT, day, before)["impressions"]
    assert shown < world.ledger.account_total(ACCOUNT, day)["impressions"]


def test_requests_are_remembered_without_their_tokens(simulator: Simulator) -> None:
    """The request log serves tests that count requests, and holds no parameter."""
    send(simulator)
    send(simulator, "/v26.0/6999")
    kept = list(simulator.requests)
    assert [(seen.path, seen.status) for seen in kept] == [(ADS, 200), ("/v26.0/6999", 400)]
    assert "sim_t" not in repr(kept)
    assert START + timedelta(hours=2) == simulator.world.clock.now()
