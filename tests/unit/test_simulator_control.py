"""The control surface: another process moves the clock, acts, arms faults and asks for truth."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from adsync_dagster.clock import VirtualClock
from adsync_dagster.simulator.control import ACTIONS
from adsync_dagster.simulator.simulator import Simulator
from adsync_dagster.simulator.world import World

START = datetime(2026, 3, 3, 15, 30, tzinfo=UTC)
ACCOUNT = "act_501"


@pytest.fixture
def simulator() -> Simulator:
    world = World(seed=2, clock=VirtualClock(START))
    world.add_facebook_account(ACCOUNT, campaigns=1, adsets=2, ads=4, history_days=5, stopped=False)
    return Simulator(world)


def ask(
    simulator: Simulator, method: str, path: str, body: Any = None, **params: str
) -> tuple[int, Any]:
    content = b"" if body is None else orjson.dumps(body)
    headers = {"content-type": "application/json"}
    status, _, answer = simulator.handle(method, f"/_sim/{path}", params, headers, content)
    return status, orjson.loads(answer)


def test_the_overview_says_what_there_is(simulator: Simulator) -> None:
    """Clock, seed and accounts with their sizes."""
    status, body = ask(simulator, "GET", "")
    assert (status, body["now"], body["seed"]) == (200, START.isoformat(), 2)
    (account,) = body["accounts"]
    assert (account["id"], account["campaigns"], account["ads"]) == (ACCOUNT, 1, 4)


def test_the_clock_moves(simulator: Simulator) -> None:
    """To an instant, or forward by seconds."""
    assert ask(simulator, "POST", "clock", {"advance_seconds": 60})[1]["now"][11:16] == "15:31"
    assert ask(simulator, "POST", "clock", {"now": "2026-05-01T00:00:00+00:00"})[0] == 200
    assert simulator.world.clock.now().month == 5


def test_actions_and_truth_agree_with_the_world(simulator: Simulator) -> None:
    """What is done and asked over the surface is what the world itself says."""
    world = simulator.world
    ad = world.entities(ACCOUNT, "ad")[0].id
    action = {"action": "delete", "level": "ad", "entity_id": ad}
    assert ask(simulator, "POST", "actions", action)[0] == 200
    _, entities = ask(simulator, "GET", "entities", account_id=ACCOUNT, level="ad")
    assert entities[0]["own"] == "DELETED"
    _, facts = ask(simulator, "GET", "transitions", account_id=ACCOUNT)
    assert facts[-1]["entity_id"] == ad
    day = "2026-03-02"
    _, value = ask(simulator, "GET", "value", level="ad", id=ad, day=day)
    assert value == world.ledger.value("ad", ad, day)
    _, earlier = ask(
        simulator, "GET", "value", level="ad", id=ad, day=day, at="2026-03-02T06:00:00+00:00"
    )
    assert earlier["impressions"] < value["impressions"]
    _, total = ask(simulator, "GET", "total", account_id=ACCOUNT, day=day)
    assert total == world.ledger.account_total(ACCOUNT, day)
    _, sums = ask(simulator, "GET", "sums", account_id=ACCOUNT, since=day, until=day)
    assert sums == world.ledger.sums(ACCOUNT, day, day)
    _, rows = ask(simulator, "GET", "rows", account_id=ACCOUNT, level="ad", since=day, until=day)
    assert sum(row["spend_micros"] for row in rows) == total["spend_micros"]


def test_every_offered_action_is_a_verb_of_the_world(simulator: Simulator) -> None:
    """The list of actions names methods that exist, and creating returns the id."""
    assert all(callable(getattr(simulator.world, name)) for name in ACTIONS)
    create = {"action": "create_campaign", "account_id": ACCOUNT, "name": "New"}
    _, body = ask(simulator, "POST", "actions", create)
    assert simulator.world.entity("campaign", body["result"]).now.name == "New"


def test_faults_are_armed_listed_and_removed(simulator: Simulator) -> None:
    """Rules and hits are visible; one or all can be disarmed."""
    _, rule = ask(simulator, "POST", "faults", {"name": "error", "path": "ads", "error": "service"})
    ask(simulator, "POST", "faults", {"name": "empty_page", "count": 5})
    assert simulator.handle("GET", "/v26.0/act_501/ads", {"access_token": "sim_t"})[0] == 503
    _, body = ask(simulator, "GET", "faults")
    assert [known["fired"] for known in body["rules"]] == [1, 0]
    assert body["hits"][0]["name"] == "error"
    assert ask(simulator, "DELETE", "faults", id=str(rule["id"]))[1] == {"armed": 1}
    assert ask(simulator, "DELETE", "faults")[1] == {"armed": 0}


def test_settings_tokens_and_requests(simulator: Simulator) -> None:
    """Knobs and tokens can be set; the request log can be read."""
    _, settings = ask(simulator, "POST", "settings", {"facebook": {"deleted_rows": "lenient"}})
    assert settings["deleted_rows"] == "lenient"
    token = {"value": "sim_x", "accounts": [], "expires_at": "2026-03-04T00:00:00+00:00"}
    assert ask(simulator, "POST", "tokens", token)[0] == 200
    assert simulator.handle("GET", "/v26.0/act_501", {"access_token": "sim_x"})[0] == 403
    _, requests = ask(simulator, "GET", "requests", limit="5")
    assert [seen["status"] for seen in requests] == [403]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "nothing", None, 404),
        ("POST", "actions", {"action": "explode"}, 400),
        ("POST", "actions", {"action": "pause", "level": "ad", "entity_id": "9"}, 400),
        ("POST", "actions", {"action": "pause"}, 400),
        ("POST", "actions", ["pause"], 400),
        ("POST", "faults", {"name": "explode"}, 400),
        ("POST", "settings", {"myspace": {}}, 400),
        ("POST", "tokens", {"value": "real"}, 400),
        ("GET", "value", None, 400),
    ],
)
def test_mistakes_are_explained(
    simulator: Simulator, method: str, path: str, body: Any, status: int
) -> None:
    """A wrong request is 400 or 404 with one sentence, and changes nothing."""
    revision = simulator.world.ledger.status_events[-1]
    answer = ask(simulator, method, path, body)
    assert answer[0] == status
    assert answer[1]["error"]
    assert simulator.world.ledger.status_events[-1] == revision


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example:80"}]
)
def test_web_pages_are_refused(simulator: Simulator, headers: dict[str, str]) -> None:
    """A browser's cross-site request, or one through a rebound name, does nothing."""
    body = orjson.dumps({"advance_seconds": 60})
    status, _, _ = simulator.handle("POST", "/_sim/clock", {}, headers, body)
    assert status == 403
    assert simulator.world.clock.now() == START
