"""The simulated Graph API, asked in-process: paths, tokens, nodes, lists, batches, activities."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import orjson
import pytest

from adsync_dagster.clock import VirtualClock
from adsync_dagster.simulator.facebook_auth import Token
from adsync_dagster.simulator.facebook_fields import Field, parse_fields
from adsync_dagster.simulator.facebook_settings import FacebookSettings
from adsync_dagster.simulator.simulator import Simulator
from adsync_dagster.simulator.world import World

START = datetime(2026, 3, 3, 15, 30, tzinfo=UTC)
ACCOUNT = "act_501"
TOKEN = "sim_t"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def simulator() -> Simulator:
    world = World(seed=2, clock=VirtualClock(START))
    world.add_facebook_account(
        ACCOUNT, campaigns=2, adsets=4, ads=8, history_days=10, stopped=False
    )
    world.advance(hours=1)
    return Simulator(world)


def ask(
    simulator: Simulator, path: str, *, method: str = "GET", token: str = TOKEN, **params: Any
) -> tuple[int, Any]:
    texts = {
        name: value if isinstance(value, str) else orjson.dumps(value).decode()
        for name, value in params.items()
    }
    status, _, body = simulator.handle(method, path, {"access_token": token, **texts})
    return status, orjson.loads(body)


def error_of(answer: tuple[int, Any]) -> tuple[int, int, int | None]:
    status, body = answer
    return status, body["error"]["code"], body["error"].get("error_subcode")


def first(simulator: Simulator, level: str) -> str:
    return simulator.world.entities(ACCOUNT, level)[0].id


@pytest.mark.parametrize("spelling", ["/v26.0/{}", "/v26.0/{}/", "/v26.0//{}/", "/{}", "/v25.0/{}"])
def test_paths_are_read_as_meta_reads_them(simulator: Simulator, spelling: str) -> None:
    """Trailing slashes, double slashes and missing versions reach the same node."""
    ad = first(simulator, "ad")
    assert ask(simulator, spelling.format(ad), nonsense="ignored") == (200, {"id": ad})


def test_old_versions_are_refused_or_upgraded(simulator: Simulator) -> None:
    """Below v25.0 the answer is 2635, or a warning header when the app upgrades by itself."""
    path = f"/v24.0/{ACCOUNT}"
    assert error_of(ask(simulator, path)) == (400, 2635, None)
    assert error_of(ask(simulator, f"/v99.0/{ACCOUNT}")) == (400, 2500, None)
    simulator.facebook.settings.old_versions = "upgrade"
    status, headers, _ = simulator.handle("GET", path, {"access_token": "sim_t"})
    assert status == 200
    assert "X-Ad-Api-Version-Warning" in headers


def test_tokens_come_in_query_form_or_header(simulator: Simulator) -> None:
    """All four places authenticate; without a token the answer is an OAuth error."""
    path = f"/v26.0/{ACCOUNT}/insights"
    places: list[dict[str, Any]] = [
        {"params": {"access_token": "sim_t"}},
        {"params": "access_token=sim_t"},
        {"headers": {"Authorization": "Bearer sim_t"}},
        {"headers": {"authorization": "OAuth sim_t"}},
        {"headers": FORM, "body": b"access_token=sim_t"},
        {"headers": {"Content-Type": "application/json"}, "body": b'{"access_token":"sim_t"}'},
        {
            "headers": {"Content-Type": "multipart/form-data; boundary=xx"},
            "body": b'--xx\r\nContent-Disposition: form-data; name="access_token"\r\n\r\n'
            b"sim_t\r\n--xx--\r\n",
        },
    ]
    for place in places:
        assert simulator.handle("POST", path, **place)[0] == 200, place
    status, _, body = simulator.handle("GET", path)
    assert (status, orjson.loads(body)["error"]["code"]) == (400, 104)


def test_a_token_has_its_own_powers_and_end(simulator: Simulator) -> None:
    """Expiry follows the virtual clock; revocation, scope and permissions are per token."""
    tokens, world = simulator.facebook.tokens, simulator.world
    tokens.add(Token(value="sim_old", expires_at=world.now() + 3_600_000_000))
    tokens.add(Token(value="sim_revoked", revoked=True))
    tokens.add(Token(value="sim_other", accounts=frozenset({"act_777"})))
    tokens.add(Token(value="sim_weak", permissions=frozenset({"pages_read"})))
    tokens.add(Token(value="sim_reader", permissions=frozenset({"ads_read"})))
    path, ad = f"/v26.0/{ACCOUNT}", first(simulator, "ad")
    assert ask(simulator, path, token="sim_old")[0] == 200
    world.advance(hours=2)
    assert error_of(ask(simulator, path, token="sim_old")) == (400, 190, 463)
    assert error_of(ask(simulator, path, token="sim_revoked")) == (400, 190, 460)
    assert error_of(ask(simulator, path, token="sim_other")) == (403, 200, None)
    assert error_of(ask(simulator, f"/v26.0/{ad}", token="sim_other")) == (400, 100, 33)
    assert error_of(ask(simulator, path, token="sim_weak")) == (403, 200, None)
    assert ask(simulator, f"/v26.0/{ad}", token="sim_reader")[0] == 200
    refused = ask(simulator, f"/v26.0/{ad}", token="sim_reader", method="POST", status="PAUSED")
    assert error_of(refused) == (403, 10, None)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v26.0/6999", (400, 100, 33)),
        ("/v26.0/act_999", (400, 100, 33)),
        ("/v26.0/somebody", (400, 803, None)),
        ("/v26.0/me/friends", (400, 2500, None)),
        ("/v26.0/act_501/nonsense", (400, 2500, None)),
    ],
)
def test_what_does_not_exist(
    simulator: Simulator, path: str, expected: tuple[int, int, int | None]
) -> None:
    """Unknown ids, aliases and edges each have their own code."""
    assert error_of(ask(simulator, path)) == expected


def test_nodes_show_only_what_was_asked(simulator: Simulator) -> None:
    """Fields are projected, empty ones are absent, nested ones are expanded, times are local."""
    ad = simulator.world.entities(ACCOUNT, "ad")[0]
    fields = "name,adset_id,campaign{id,objective},creative{id,name},issues_info,created_time"
    _, body = ask(simulator, f"/v26.0/{ad.id}", fields=fields)
    assert set(body) == {"id", "name", "adset_id", "campaign", "creative", "created_time"}
    assert body["campaign"]["id"] == ad.campaign_id
    assert body["created_time"].endswith("-0500")
    assert datetime.strptime(body["created_time"], "%Y-%m-%dT%H:%M:%S%z") == ad.created_at
    _, account = ask(simulator, f"/v26.0/{ACCOUNT}")
    assert account == {"id": ACCOUNT, "account_id": "501"}


def test_strict_mode_refuses_what_lenient_mode_ignores(simulator: Simulator) -> None:
    """Unknown fields, and ad-only statuses on /adsets, are errors in strict mode only."""
    path = f"/v26.0/{ACCOUNT}/adsets"
    unknown = ask(simulator, path, fields="nonsense")
    assert error_of(unknown) == (400, 100, None)
    assert "AdCampaign)" in unknown[1]["error"]["message"]
    ad_only = {"effective_status": ["ACTIVE", "PENDING_REVIEW"]}
    assert error_of(ask(simulator, path, **ad_only)) == (400, 100, None)
    simulator.facebook.settings.strict = False
    assert ask(simulator, path, fields="nonsense")[0] == 200
    assert ask(simulator, path, **ad_only)[0] == 200


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ("", {"ACTIVE", "PAUSED"}),
        ('["ACTIVE","ARCHIVED"]', {"ACTIVE", "ARCHIVED"}),
        ("ACTIVE,ARCHIVED", {"ACTIVE", "ARCHIVED"}),
        ("ARCHIVED", {"ARCHIVED"}),
        ('"ARCHIVED"', {"ARCHIVED"}),
    ],
)
def test_statuses_are_asked_for_in_any_spelling(
    simulator: Simulator, statuses: str, expected: set[str]
) -> None:
    """A JSON list, comma-separated words and one bare word mean the same."""
    world = simulator.world
    ads = [ad.id for ad in world.entities(ACCOUNT, "ad")]
    world.archive("ad", ads[0])
    world.delete("ad", ads[1])
    world.pause("ad", ads[2])
    _, body = ask(
        simulator, f"/v26.0/{ACCOUNT}/ads", effective_status=statuses, fields="effective_status"
    )
    assert {row["effective_status"] for row in body["data"]} == expected


def test_deleted_cannot_be_listed_by_any_spelling(simulator: Simulator) -> None:
    """1815001 for the parameter and for the filter; the filter may instead drop it silently."""
    path = f"/v26.0/{ACCOUNT}/ads"
    wish = [{"field": "ad.effective_status", "operator": "IN", "value": ["DELETED", "ACTIVE"]}]
    assert error_of(ask(simulator, path, effective_status=["DELETED"])) == (400, 100, 1815001)
    assert error_of(ask(simulator, path, filtering=wish)) == (400, 100, 1815001)
    simulator.facebook.settings.deleted_in_filtering = "drop"
    simulator.world.delete("ad", first(simulator, "ad"))
    status, body = ask(simulator, path, filtering=wish)
    assert (status, len(body["data"])) == (200, 7)


def test_filters_are_anded(simulator: Simulator) -> None:
    """Ids, names, statuses and times narrow a list together; strange ones are refused."""
    world, path = simulator.world, f"/v26.0/{ACCOUNT}/ads"
    ads = world.entities(ACCOUNT, "ad")
    moment = int(world.clock.now().timestamp())
    world.advance(hours=1)
    world.rename("ad", ads[3].id, "fresh")
    by_id = {"field": "ad.id", "operator": "IN", "value": [ad.id for ad in ads[2:5]]}
    by_time = {"field": "ad.updated_time", "operator": "GREATER_THAN", "value": moment}
    by_parent = {"field": "campaign.id", "operator": "EQUAL", "value": ads[3].campaign_id}
    spent = {"field": "ad.impressions", "operator": "GREATER_THAN", "value": 0}
    assert len(ask(simulator, path, filtering=[by_id])[1]["data"]) == 3
    _, body = ask(simulator, path, filtering=[by_id, by_time, by_parent, spent])
    assert [row["id"] for row in body["data"]] == [ads[3].id]
    _, since = ask(simulator, path, updated_since=moment)
    assert [row["id"] for row in since["data"]] == [ads[3].id]
    strange = [{"field": "ad.colour", "operator": "IN", "value": ["red"]}]
    answer = ask(simulator, path, filtering=strange)
    assert "'ad.colour' with operation 'in' is not supported" in answer[1]["error"]["message"]


def test_delivery_info_words_are_understood(simulator: Simulator) -> None:
    """The lower-case vocabulary of older clients filters lists as well."""
    world, path = simulator.world, f"/v26.0/{ACCOUNT}/ads"
    world.archive("ad", first(simulator, "ad"))
    wish = [{"field": "ad.delivery_info", "operator": "IN", "value": ["archived", "inactive"]}]
    _, body = ask(simulator, path, filtering=wish)
    assert [row["id"] for row in body["data"]] == [first(simulator, "ad")]


def walk(simulator: Simulator, path: str, **params: Any) -> list[list[str]]:
    """Ids page by page, following `after` until there is no `next`."""
    pages, after = [], {}
    while True:
        _, body = ask(simulator, path, **params, **after)
        pages.append([row["id"] for row in body["data"]])
        paging = body.get("paging", {})
        if "next" not in paging:
            return pages
        after = {"after": paging["cursors"]["after"]}


def test_the_last_page_still_has_a_cursor(simulator: Simulator) -> None:
    """`cursors.after` is there on every page; only the missing `next` ends the list."""
    pages = walk(simulator, f"/v26.0/{ACCOUNT}/ads", limit=3)
    assert [len(page) for page in pages] == [3, 3, 2]
    _, body = ask(simulator, f"/v26.0/{ACCOUNT}/ads", limit=50, summary="true")
    assert set(body["paging"]) == {"cursors"}
    assert body["summary"] == {"total_count": 8}


def test_next_repeats_every_parameter_and_the_token(simulator: Simulator) -> None:
    """The trap: `next` is a whole URL with the token in it, even when a header carried it."""
    status, _, body = simulator.handle(
        "GET",
        f"/v26.0/{ACCOUNT}/ads",
        {"limit": "2", "fields": "name"},
        {"Authorization": "Bearer sim_secret", "Host": "127.0.0.1:99"},
    )
    assert status == 200
    url = urlsplit(orjson.loads(body)["paging"]["next"])
    query = parse_qs(url.query)
    assert (url.netloc, url.path) == ("127.0.0.1:99", f"/v26.0/{ACCOUNT}/ads")
    assert query["access_token"] == ["sim_secret"]
    assert (query["limit"], query["fields"]) == (["2"], ["name"])
    assert len(query["after"]) == 1


def test_cursors_point_to_rows_or_to_places(simulator: Simulator) -> None:
    """By default nothing shifts while paging; with place cursors a deletion skips a row."""
    world, path = simulator.world, f"/v26.0/{ACCOUNT}/ads"
    ids = [ad.id for ad in reversed(world.entities(ACCOUNT, "ad"))]
    for by_place, expected in ((False, ids[3:6]), (True, ids[4:7])):
        simulator.facebook.settings.offset_cursors = by_place
        _, body = ask(simulator, path, limit=3)
        assert [row["id"] for row in body["data"]] == ids[:3]
        if by_place:
            world.delete("ad", ids[1])
        _, body = ask(simulator, path, limit=3, after=body["paging"]["cursors"]["after"])
        assert [row["id"] for row in body["data"]] == expected


def batch(simulator: Simulator, items: Any, path: str = "/v26.0/", **extra: str) -> tuple[int, Any]:
    form = "&".join(
        f"{name}={quote(value)}"
        for name, value in {"batch": orjson.dumps(items).decode(), **extra}.items()
    )
    status, _, body = simulator.handle("POST", path, {"access_token": "sim_t"}, FORM, form.encode())
    return status, orjson.loads(body)


def test_batch_items_have_their_own_code_and_body(simulator: Simulator) -> None:
    """Order is kept, bodies are strings, a failed item fails alone, versions may differ."""
    ad = first(simulator, "ad")
    items = [
        {"method": "GET", "relative_url": f"{ad}/?fields=name"},
        {"method": "GET", "relative_url": "6999"},
        {"method": "GET", "relative_url": f"v24.0/{ad}"},
        {"method": "GET", "relative_url": ad, "access_token": "bad"},
        {"method": "POST", "relative_url": ad, "body": "status=PAUSED"},
    ]
    for path in ("/v26.0/", "/"):
        status, body = batch(simulator, items, path)
        assert status == 200
        assert [item["code"] for item in body] == [200, 400, 400, 400, 200]
        assert orjson.loads(body[0]["body"])["id"] == ad
        assert {header["name"] for header in body[0]["headers"]} >= {"Content-Type"}
    assert simulator.world.entities(ACCOUNT, "ad")[0].own == "PAUSED"
    _, bare = batch(simulator, items[:1], include_headers="false")
    assert set(bare[0]) == {"code", "body"}


def test_a_batch_holds_fifty(simulator: Simulator) -> None:
    """Fifty pass, fifty-one fail as a whole, and what is no list fails as a whole."""
    item = {"method": "GET", "relative_url": first(simulator, "ad")}
    assert batch(simulator, [item] * 50)[0] == 200
    status, body = batch(simulator, [item] * 51)
    assert (status, body["error"]["type"]) == (400, "GraphBatchException")
    assert batch(simulator, {"not": "a list"})[0] == 400


def test_writes_follow_the_platforms_rules(simulator: Simulator) -> None:
    """POST changes status, name and budget; DELETE deletes; a deleted object stays deleted."""
    ad, campaign = first(simulator, "ad"), first(simulator, "campaign")
    assert ask(simulator, f"/v26.0/{ad}/", method="POST", name="N")[1] == {"success": True}
    ask(simulator, f"/v26.0/{campaign}", method="POST", daily_budget="4200")
    assert ask(simulator, f"/v26.0/{campaign}", fields="daily_budget")[1]["daily_budget"] == "4200"
    ask(simulator, f"/v26.0/{ad}/", method="DELETE")
    answer = ask(simulator, f"/v26.0/{ad}", method="POST", status="ACTIVE")
    assert error_of(answer) == (400, 100, None)
    assert ask(simulator, f"/v26.0/{ad}", fields="name,status")[1] == {
        "id": ad,
        "name": "N",
        "status": "DELETED",
    }


def activities(simulator: Simulator, token: str = TOKEN, **params: Any) -> list[dict[str, Any]]:
    fields = "event_time,event_type,object_id,object_type,extra_data"
    path = f"/v26.0/{ACCOUNT}/activities"
    _, body = ask(simulator, path, token=token, fields=fields, limit=500, **params)
    rows: list[dict[str, Any]] = body["data"]
    return rows


def test_a_pause_is_logged_in_two_steps_of_the_token_owners_language(
    simulator: Simulator,
) -> None:
    """Labels are localized, both steps share a second, and the newest comes first."""
    world, ad = simulator.world, simulator.world.entities(ACCOUNT, "ad")[0]
    simulator.facebook.tokens.add(Token(value="sim_es", language="es_ES"))
    world.advance(seconds=1 - world.clock.now().second % 5 + 5)
    world.pause("ad", ad.id)
    for token, labels in (
        ("sim_t", ("Active", "Pending Process", "Inactive")),
        ("sim_es", ("Activo", "Proceso pendiente", "Inactivo")),
    ):
        rows = activities(simulator, token, category="STATUS")
        extras = [orjson.loads(row["extra_data"]) for row in rows]
        assert [(e["old_value"], e["new_value"]) for e in extras] == [labels[1:], labels[:2]]
        assert {e["campaign_id"] for e in extras} == {int(str(ad.adset_id))}
        assert {(r["object_id"], r["object_type"]) for r in rows} == {(ad.id, "ADGROUP")}
        assert len({row["event_time"] for row in rows}) == 1


def test_some_records_carry_codes_instead_of_labels(simulator: Simulator) -> None:
    """A change in a second divisible by five nests numeric codes under run_status."""
    world, ad = simulator.world, first(simulator, "ad")
    world.advance(seconds=(5 - world.clock.now().second) % 5)
    world.delete("ad", ad)
    codes = [
        orjson.loads(row["extra_data"])["run_status"]
        for row in activities(simulator, category="STATUS")
    ]
    assert codes == [{"old_value": 15, "new_value": 7}, {"old_value": 1, "new_value": 15}]


def test_the_activity_window_is_a_week_unless_told_otherwise(simulator: Simulator) -> None:
    """since and until are unix seconds or dates; what lies outside is not shown."""
    world, ad = simulator.world, first(simulator, "ad")
    world.pause("ad", ad)
    paused_at = world.clock.now()
    world.advance(days=8)
    assert activities(simulator, category="STATUS") == []
    since = int((paused_at - timedelta(hours=1)).timestamp())
    assert len(activities(simulator, category="STATUS", since=since)) == 2
    day = paused_at.date().isoformat()
    assert len(activities(simulator, category="STATUS", since=day, until=day)) == 2
    assert activities(simulator, category="STATUS", since=day, until=since) == []
    assert activities(simulator, category="BUDGET", since=since) == []
    world.advance(days=200)
    assert activities(simulator, category="STATUS", since=since) == []


def test_an_ad_set_has_activities_of_its_own(simulator: Simulator) -> None:
    """The ad set's edge shows it and its ads only."""
    adset = first(simulator, "adset")
    _, body = ask(
        simulator, f"/v26.0/{adset}/activities", fields="object_id", limit=100, since="2026-01-01"
    )
    ads = {a.id for a in simulator.world.entities(ACCOUNT, "ad") if a.adset_id == adset}
    assert {row["object_id"] for row in body["data"]} == {adset, *ads}


def test_usage_headers_follow_their_knobs(simulator: Simulator) -> None:
    """Four headers with the documented keys, absent until asked for, and after enough calls."""
    path, usage = f"/v26.0/{ACCOUNT}/insights", simulator.facebook.settings.usage
    _, headers, _ = simulator.handle("GET", path, {"access_token": "sim_t"})
    assert not any("Usage" in name or "Throttle" in name for name in headers)
    usage.app_percent, usage.account_percent, usage.account_reset_seconds = 28, 9.67, 100
    usage.insights_percent, usage.management_percent, usage.regain_minutes = 97, 3, 19
    usage.insights_throttle_percent, usage.after_calls = 12.5, 2
    assert "X-App-Usage" not in simulator.handle("GET", path, {"access_token": "sim_t"})[1]
    _, headers, _ = simulator.handle("GET", path, {"access_token": "sim_t"})
    assert orjson.loads(headers["X-App-Usage"])["call_count"] == 28
    assert orjson.loads(headers["X-Ad-Account-Usage"])["reset_time_duration"] == 100
    cases = orjson.loads(headers["X-Business-Use-Case-Usage"])["501"]
    assert [case["type"] for case in cases] == ["ads_management", "ads_insights"]
    assert cases[1]["estimated_time_to_regain_access"] == 19
    assert orjson.loads(headers["X-FB-Ads-Insights-Throttle"])["acc_id_util_pct"] == 12.5


def test_a_call_budget_throttles_per_account_and_hour(simulator: Simulator) -> None:
    """Over budget the account gets 80000 or 80004 until an hour of virtual time has passed."""
    world = simulator.world
    simulator.facebook.settings.usage.calls_per_hour = 3
    path = f"/v26.0/{ACCOUNT}/ads"
    assert [ask(simulator, path)[0] for _ in range(4)] == [200, 200, 200, 400]
    assert error_of(ask(simulator, path)) == (400, 80004, 2446079)
    assert error_of(ask(simulator, f"/v26.0/{ACCOUNT}/insights")) == (400, 80000, 2446079)
    world.advance(hours=1.1)
    assert ask(simulator, path)[0] == 200


def test_fields_are_parsed_with_modifiers_and_braces() -> None:
    """Names, nested braces, modifiers with JSON in them, and JSON arrays."""
    parsed = parse_fields('id, insights.time_range({"since":"a","until":"b"}).limit(5){spend,x}')
    nested = Field(
        "insights",
        {"time_range": '{"since":"a","until":"b"}', "limit": "5"},
        (Field("spend"), Field("x")),
    )
    assert parsed == (Field("id"), nested)
    assert parse_fields('["ad_id","spend"]') == (Field("ad_id"), Field("spend"))
    assert parse_fields("") == ()


@pytest.mark.parametrize("text", ["a{b", "a}", "a.b", "a.b(c", "a(b)", '["a"'])
def test_broken_fields_are_refused(simulator: Simulator, text: str) -> None:
    """Unbalanced or stray punctuation is code 2500."""
    answer = ask(simulator, f"/v26.0/{first(simulator, 'ad')}", fields=text)
    assert error_of(answer) == (400, 2500, None)


def test_settings_are_checked_by_name() -> None:
    """A knob that does not exist is refused; nested usage knobs are reached."""
    settings = FacebookSettings()
    settings.update({"strict": False, "usage": {"app_percent": 50}, "oldest_version": [20, 0]})
    assert (settings.strict, settings.usage.app_percent) == (False, 50)
    assert settings.oldest_version == (20, 0)
    for wrong in ({"strct": True}, {"usage": {"app": 1}}):
        with pytest.raises(Exception, match="no setting"):
            settings.update(wrong)
