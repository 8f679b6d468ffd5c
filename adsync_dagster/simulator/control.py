"""The control surface under /_sim/, for a judge or operator in another process.

    GET    /_sim/                what there is: clock, accounts, requests, faults
    POST   /_sim/clock           {"now": ISO instant} or {"advance_seconds": n}
    GET    /_sim/entities        ?account_id&level
    GET    /_sim/transitions     ?account_id
    GET    /_sim/value           ?level&id&day[&at]
    GET    /_sim/total           ?account_id&day[&at]
    GET    /_sim/sums            ?account_id&since&until[&at]
    GET    /_sim/rows            ?account_id&level&since&until[&at]
    POST   /_sim/actions         {"action": "pause", "level": "ad", "entity_id": "..."}
    GET    /_sim/faults          armed rules and hits
    POST   /_sim/faults          {"name": "error", "path": "insights", "count": 3, ...}
    DELETE /_sim/faults          [?id] one rule, or all
    POST   /_sim/settings        {"facebook": {"deleted_rows": "lenient", ...}}
    POST   /_sim/tokens          {"value": "sim_x", "accounts": [...], "revoked": true, ...}
                                 or {"platform": "google_ads", "customers": [...], ...}
    GET    /_sim/requests        the latest requests, without parameters

Answers are JSON; a mistake is HTTP 400 with {"error": what to do}. A request that a web page
could have sent (it has an Origin, or names a foreign host) is refused: the port is open to
every page in a browser.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson

from adsync_dagster.clock import parse_instant
from adsync_dagster.errors import UsageError
from adsync_dagster.simulator.facebook_auth import Token
from adsync_dagster.simulator.facebook_settings import FacebookSettings
from adsync_dagster.simulator.faults import Rule
from adsync_dagster.simulator.google_ads_auth import RefreshToken
from adsync_dagster.simulator.google_ads_settings import GoogleAdsSettings
from adsync_dagster.simulator.http import Answer, Call
from adsync_dagster.simulator.instants import instant_of, micros
from adsync_dagster.simulator.tiktok_settings import TikTokSettings

if TYPE_CHECKING:
    from adsync_dagster.simulator.simulator import Simulator

PREFIX = "/_sim/"
#: Actions that another process may take.
ACTIONS = frozenset(
    {
        "pause", "resume", "archive", "delete", "resurrect", "set_status", "set_hold",
        "set_account_status", "rename", "set_budget", "reparent", "late_conversions", "refund",
        "add_spend", "create_campaign", "create_adset", "create_ad",
        "add_facebook_account", "add_bulk_facebook_account", "add_tiktok_account",
        "add_google_ads_account",
    }
)  # fmt: skip


def answer_control(simulator: Simulator, call: Call) -> Answer:
    """Answer one control request."""
    if "origin" in call.headers or not _is_local(call.headers.get("host", "localhost")):
        return Answer(403, {"error": "the control surface answers no web page"})
    name = call.path.removeprefix(PREFIX).strip("/")
    handler = HANDLERS.get((call.method, name))
    if handler is None:
        return Answer(404, {"error": f"there is no {call.method} {PREFIX}{name}"})
    try:
        return Answer(200, handler(simulator, call))
    except UsageError as error:
        return Answer(400, {"error": str(error)})
    except (KeyError, TypeError, ValueError) as error:
        return Answer(400, {"error": f"wrong or missing argument: {error}"})


def _is_local(host: str) -> bool:
    """Whether the caller named this machine; a page behind a rebound name did not."""
    name = host.rpartition(":")[0] or host
    return name.strip("[]") in {"localhost", "127.0.0.1", "::1"}


def _body(call: Call) -> dict[str, Any]:
    value = orjson.loads(call.body or b"{}")
    if not isinstance(value, dict):
        raise UsageError("send a JSON object")
    return value


def _at(call: Call) -> Any:
    text = call.params.get("at")
    return parse_instant(text) if text else None


def _overview(simulator: Simulator, _: Call) -> Any:
    world = simulator.world
    return {
        "now": world.clock.now().isoformat(),
        "seed": world.seed,
        "requests": simulator.facebook.usage.total,
        "faults_armed": len(simulator.faults.rules),
        "accounts": [
            {
                "platform": account.platform,
                "id": account.id,
                "name": account.name,
                "currency": account.currency,
                "timezone": account.timezone,
                "status": account.status,
                **{f"{level}s": len(known) for level, known in account.entities.items()},
            }
            for account in world.accounts.values()
        ],
    }


def _clock(simulator: Simulator, call: Call) -> Any:
    world, body = simulator.world, _body(call)
    if "now" in body:
        world.move_clock(parse_instant(str(body["now"])))
    elif "advance_seconds" in body:
        world.move_clock(world.clock.now() + timedelta(seconds=float(body["advance_seconds"])))
    return {"now": world.clock.now().isoformat()}


def _entities(simulator: Simulator, call: Call) -> Any:
    found = simulator.world.entities(call.params["account_id"], call.params["level"])
    return [asdict(entity) for entity in found]


def _transitions(simulator: Simulator, call: Call) -> Any:
    return [
        {**event._asdict(), "at": event.time}
        for event in simulator.world.transitions(call.params["account_id"])
    ]


def _value(simulator: Simulator, call: Call) -> Any:
    params = call.params
    return simulator.world.ledger.value(params["level"], params["id"], params["day"], _at(call))


def _total(simulator: Simulator, call: Call) -> Any:
    params = call.params
    return simulator.world.ledger.account_total(params["account_id"], params["day"], _at(call))


def _sums(simulator: Simulator, call: Call) -> Any:
    params = call.params
    return simulator.world.ledger.sums(
        params["account_id"], params["since"], params["until"], _at(call)
    )


def _rows(simulator: Simulator, call: Call) -> Any:
    params = call.params
    return [
        {"id": entity_id, "day": day, **totals.as_dict()}
        for entity_id, day, totals in simulator.world.ledger.rows(
            params["account_id"], params["level"], params["since"], params["until"], _at(call)
        )
    ]


def _act(simulator: Simulator, call: Call) -> Any:
    body = _body(call)
    action = body.pop("action")
    if action not in ACTIONS:
        raise UsageError(f"no action is called {action!r}; known: {', '.join(sorted(ACTIONS))}")
    result = getattr(simulator.world, action)(**body)
    return {"result": result if isinstance(result, str) else None}


def _faults(simulator: Simulator, _: Call) -> Any:
    hits = simulator.faults.hits
    return {
        "rules": [_rule(rule) for rule in simulator.faults.rules],
        "hits": [{**asdict(hit), "at": instant_of(hit.at)} for hit in hits],
    }


def _arm(simulator: Simulator, call: Call) -> Any:
    return _rule(simulator.faults.arm(**_body(call)))


def _disarm(simulator: Simulator, call: Call) -> Any:
    wanted = call.params.get("id")
    simulator.faults.disarm(int(wanted) if wanted else None)
    return {"armed": len(simulator.faults.rules)}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": rule.name,
        "path": rule.path.pattern,
        "left": rule.left,
        "fired": rule.fired,
    }


def _settings(simulator: Simulator, call: Call) -> Any:
    wires: dict[str, FacebookSettings | TikTokSettings | GoogleAdsSettings] = {
        "facebook": simulator.facebook.settings,
        "tiktok": simulator.tiktok.settings,
        "google_ads": simulator.google_ads.settings,
    }
    asked = _body(call)
    for platform, changes in asked.items():
        if platform not in wires:
            raise UsageError(f"no platform is called {platform!r}")
        wires[platform].update(changes)
    shown = next(iter(asked), "facebook")
    return {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in asdict(wires[shown]).items()
    }


def _token(simulator: Simulator, call: Call) -> Any:
    body = _body(call)
    if body.pop("platform", "facebook") == "google_ads":
        if body.get("customers") is not None:
            body["customers"] = frozenset(body["customers"])
        simulator.google_ads.tokens.add(RefreshToken(**body))
        return {}
    for name in ("accounts", "permissions"):
        if body.get(name) is not None:
            body[name] = frozenset(body[name])
    if body.get("expires_at") is not None:
        body["expires_at"] = micros(parse_instant(str(body["expires_at"])))
    simulator.facebook.tokens.add(Token(**body))
    return {}


def _requests(simulator: Simulator, call: Call) -> Any:
    count = int(call.params.get("limit", "100"))
    latest = list(simulator.requests)[-count:]
    return [{**asdict(seen), "at": instant_of(seen.at)} for seen in latest]


#: Who answers which method and path.
HANDLERS: dict[tuple[str, str], Callable[[Simulator, Call], Any]] = {
    ("GET", ""): _overview,
    ("POST", "clock"): _clock,
    ("GET", "entities"): _entities,
    ("GET", "transitions"): _transitions,
    ("GET", "value"): _value,
    ("GET", "total"): _total,
    ("GET", "sums"): _sums,
    ("GET", "rows"): _rows,
    ("POST", "actions"): _act,
    ("GET", "faults"): _faults,
    ("POST", "faults"): _arm,
    ("DELETE", "faults"): _disarm,
    ("POST", "settings"): _settings,
    ("POST", "tokens"): _token,
    ("GET", "requests"): _requests,
}
