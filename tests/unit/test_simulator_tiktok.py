"""The simulated Business API: its quirks, one by one, asked as any client may ask."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from adsync_dagster.clock import VirtualClock
from adsync_dagster.errors import UsageError
from adsync_dagster.simulator.simulator import Simulator
from adsync_dagster.simulator.tiktok_faults import FAULTS
from adsync_dagster.simulator.world import World

START = datetime(2026, 3, 3, 15, 30, tzinfo=UTC)
ACCOUNT = "7010000000000000501"
TODAY = date(2026, 3, 3)
ALL = '{"primary_status": "STATUS_ALL"}'


@pytest.fixture
def simulator() -> Simulator:
    world = World(seed=2, clock=VirtualClock(START))
    world.add_tiktok_account(ACCOUNT, campaigns=2, adsets=4, ads=12, history_days=40, stopped=False)
    world.advance(hours=2)
    return Simulator(world)


def send(
    simulator: Simulator, name: str, method: str = "GET", **params: Any
) -> tuple[int, dict[str, str], Any]:
    """Ask; lists and objects become JSON text as the SDK writes it, with blanks."""
    asked = {"advertiser_id": ACCOUNT, **params}
    texts = {
        key: value if isinstance(value, str) else orjson.dumps(value).decode().replace(",", ", ")
        for key, value in asked.items()
    }
    headers = {"Access-Token": "sim_t"}
    path, body, query = f"/open_api/v1.3/{name}/", b"", urlencode(texts)
    if method == "POST":
        headers["Content-Type"] = "application/json"
        query, body = "", orjson.dumps(asked)
    status, received, content = simulator.handle(method, path, query, headers, body)
    is_json = "json" in received["Content-Type"]
    return status, received, orjson.loads(content) if is_json else content.decode()


def data(simulator: Simulator, name: str, method: str = "GET", **params: Any) -> dict[str, Any]:
    """The data of a success."""
    status, _, body = send(simulator, name, method, **params)
    assert (status, body["code"]) == (200, 0), body
    found: dict[str, Any] = body["data"]
    return found


def code(simulator: Simulator, name: str, method: str = "GET", **params: Any) -> int:
    """The code of an error, which travels as HTTP 200 with empty data."""
    status, _, body = send(simulator, name, method, **params)
    assert status == 200
    assert body["code"] == 0 or body["data"] == {}
    return int(body["code"])


def report(
    simulator: Simulator, level: str = "AUCTION_AD", span: int = 3, **params: Any
) -> dict[str, Any]:
    """What a report call needs, with more or other parameters."""
    dimension = {
        "AUCTION_AD": "ad_id", "AUCTION_ADGROUP": "adgroup_id",
        "AUCTION_CAMPAIGN": "campaign_id", "AUCTION_ADVERTISER": "advertiser_id",
    }[level]  # fmt: skip
    return {
        "report_type": "BASIC",
        "data_level": level,
        "dimensions": [dimension, "stat_time_day"],
        "metrics": ["spend", "impressions", "reach"],
        "start_date": (TODAY - timedelta(days=span - 1)).isoformat(),
        "end_date": TODAY.isoformat(),
        "page_size": "1000",
        **params,
    }


def status_filter(name: str, *words: str) -> list[dict[str, str]]:
    value = orjson.dumps(words).decode()
    return [{"field_name": name, "filter_type": "IN", "filter_value": value}]


def ad_ids(simulator: Simulator) -> list[str]:
    return [ad.id for ad in simulator.world.entities(ACCOUNT, "ad")]


def spent(rows: list[dict[str, Any]]) -> int:
    return sum(round(float(row["metrics"]["spend"]) * 1_000_000) for row in rows)


def test_a_path_without_its_slash_is_a_plain_404(simulator: Simulator) -> None:
    """No envelope, no JSON: the one real HTTP error besides a wrong method."""
    headers = {"Access-Token": "sim_t"}
    for path in ("/open_api/v1.3/ad/get", "/open_api/v1.2/ad/get/", "/open_api/v1.3/nothing/"):
        query = {"advertiser_id": ACCOUNT}
        status, _, body = simulator.handle("GET", path, query, headers)
        assert (status, body) == (404, b"404 page not found")
    assert send(simulator, "ad/get", "POST")[0] == 405


@pytest.mark.parametrize(("token", "expected"), [("", 40104), ("real_token", 40105), ("sim_t", 0)])
def test_tokens_are_judged_in_the_body(simulator: Simulator, token: str, expected: int) -> None:
    """The header is Access-Token; what is wrong with it is a code under HTTP 200."""
    headers = {"Access-Token": token} if token else {"Authorization": "Bearer sim_t"}
    query = {"advertiser_id": ACCOUNT}
    status, _, body = simulator.handle("GET", "/open_api/v1.3/ad/get/", query, headers)
    assert (status, orjson.loads(body)["code"]) == (200, expected)


def test_lists_hide_the_deleted_even_from_their_ids(simulator: Simulator) -> None:
    """Only a status filter brings them back; the parent's deletion counts as well."""
    first, other = ad_ids(simulator)[:2]
    simulator.world.delete("ad", first)
    parent = simulator.world.entity("ad", other).now.parent_id
    assert parent is not None
    simulator.world.delete("adset", parent)
    hidden = {ad.id for ad in simulator.world.entities(ACCOUNT, "ad") if ad.effective == "DELETED"}
    assert {first, other} <= hidden

    shown = data(simulator, "ad/get", page_size="1000")["list"]
    assert {row["ad_id"] for row in shown} == set(ad_ids(simulator)) - hidden
    by_id = {"ad_ids": [first, other]}
    assert not data(simulator, "ad/get", filtering=by_id)["list"]
    rows = data(simulator, "ad/get", filtering={**by_id, "primary_status": "STATUS_ALL"})["list"]
    words = {row["ad_id"]: row["secondary_status"] for row in rows}
    assert words == {first: "AD_STATUS_DELETE", other: "AD_STATUS_ADGROUP_DELETE"}
    assert {row["operation_status"] for row in rows} == {"ENABLE"}
    everything = {"secondary_status": "AD_STATUS_ALL"}
    assert data(simulator, "ad/get", filtering=everything)["page_info"]["total_number"] == 12
    gone = {"primary_status": "STATUS_DELETE"}
    assert data(simulator, "ad/get", filtering=gone)["page_info"]["total_number"] == len(hidden)


def test_a_cascade_touches_nothing_but_the_secondary_status(simulator: Simulator) -> None:
    """A paused campaign leaves its ads' switches and modify_time as they were."""
    before = data(simulator, "ad/get", page_size="1000")["list"]
    campaign = before[0]["campaign_id"]
    simulator.world.pause("campaign", campaign)
    after = data(simulator, "ad/get", page_size="1000")["list"]
    for old, new in zip(before, after, strict=True):
        word = "CAMPAIGN_DISABLE" if old["campaign_id"] == campaign else "DELIVERY_OK"
        assert new == {**old, "secondary_status": f"AD_STATUS_{word}"}


def test_pages_are_numbered_ten_by_default_and_newest_first(simulator: Simulator) -> None:
    """No cursor, ids descending, and at most a thousand rows."""
    first = data(simulator, "ad/get")
    second = data(simulator, "ad/get", page="2")
    assert first["page_info"] == {"page": 1, "page_size": 10, "total_number": 12, "total_page": 2}
    ids = [row["ad_id"] for row in [*first["list"], *second["list"]]]
    assert ids == sorted(ad_ids(simulator), key=int, reverse=True)
    assert code(simulator, "ad/get", page_size="1001") == 40002
    assert code(simulator, "ad/get", page_size="0") == 40002


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"filtering": {"ad_ids": ["1"] * 101}}, 40011),
        ({"filtering": {"colour": "red"}}, 40002),
        ({"filtering": "{"}, 40002),
        ({"filtering": ["STATUS_ALL"]}, 40002),
        ({"filtering": {"primary_status": "ALL"}}, 40002),
        ({"filtering": {"buying_types": ["AUCTION", "RESERVATION_TOP_VIEW"]}}, 40002),
        ({"fields": ["colour"]}, 40002),
        ({"advertiser_id": "1"}, 40300),
        ({"advertiser_id": ""}, 40002),
    ],
)
def test_wrong_questions_are_refused(
    simulator: Simulator, params: dict[str, Any], expected: int
) -> None:
    """A strict wire shows what a client does wrong."""
    assert code(simulator, "ad/get", **params) == expected


def test_report_rows_hide_the_deleted_and_totals_hold_them(simulator: Simulator) -> None:
    """Default NOT_DELETE per level; the advertiser's own rows know no such filter."""
    world = simulator.world
    ad = ad_ids(simulator)[0]
    world.add_spend(ad, TODAY, "3.50")
    world.delete("ad", ad)
    truth = sum(
        world.ledger.account_total(ACCOUNT, TODAY - timedelta(days=n))["spend_micros"]
        for n in range(3)
    )
    name = "report/integrated/get"
    plain = data(simulator, name, **report(simulator))["list"]
    assert ad not in {row["dimensions"]["ad_id"] for row in plain}
    everything = status_filter("ad_status", "STATUS_ALL")
    whole = data(simulator, name, **report(simulator, filtering=everything))["list"]
    totals = data(simulator, name, **report(simulator, "AUCTION_ADVERTISER"))["list"]
    assert spent(plain) < spent(whole) == spent(totals) == truth
    alone = [*everything, *status_filter("ad_ids", ad)]
    rows = data(simulator, name, **report(simulator, filtering=alone))["list"]
    assert {row["dimensions"]["ad_id"] for row in rows} == {ad}


def test_every_value_is_text_and_nothing_has_no_row(simulator: Simulator) -> None:
    """Strings, a dash where nothing applies, days at midnight, no rows of zeros."""
    world = simulator.world
    ad = world.create_ad(world.entities(ACCOUNT, "adset")[0].id, "New", status="PAUSED")
    world.late_conversions(ad, TODAY, 1, 20)
    rows = data(
        simulator,
        "report/integrated/get",
        **report(simulator, metrics=["spend", "impressions", "reach", "conversion", "cpc"]),
    )["list"]
    assert all(isinstance(value, str) for row in rows for value in row["metrics"].values())
    (row,) = [row for row in rows if row["dimensions"]["ad_id"] == ad]
    assert row["dimensions"]["stat_time_day"] == "2026-03-03 00:00:00"
    assert row["metrics"] == {
        "spend": "0.00", "impressions": "0", "reach": "-", "conversion": "1", "cpc": "-",
    }  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"span": 31},
        {"dimensions": ["campaign_id", "stat_time_day"]},
        {"dimensions": ["ad_id", "stat_time_hour"]},
        {"metrics": ["colour"]},
        {"level": "AUCTION_CAMPAIGN", "metrics": ["adgroup_id"]},
        {"filtering": [{"field_name": "ad_status", "filter_type": "IN",
                        "filter_value": ["STATUS_ALL"]}]},
        {"filtering": status_filter("campaign_status", "STATUS_ALL")},
        {"filtering": status_filter("ad_status", "ALL")},
        {"data_level": "AUCTION"},
        {"report_type": "DAILY"},
        {"start_date": "2026-13-01"},
        {"query_lifetime": "true"},
    ],
    ids=str,
)  # fmt: skip
def test_wrong_reports_are_refused(simulator: Simulator, wrong: dict[str, Any]) -> None:
    """Each rule of the report is kept, so that a client that breaks one is seen."""
    assert code(simulator, "report/integrated/get", **report(simulator, **wrong)) == 40002
    assert code(simulator, "report/integrated/get", **report(simulator, span=30)) == 0


def test_too_many_ads_are_cut_off_with_nothing_but_a_header(simulator: Simulator) -> None:
    """Code 0, the newest ads only, also in the rows of their parents."""
    simulator.tiktok.settings.ads_considered_max = 5
    newest = set(sorted(ad_ids(simulator), key=int)[-5:])
    for level in ("AUCTION_AD", "AUCTION_CAMPAIGN"):
        asked = report(simulator, level)
        status, headers, body = send(simulator, "report/integrated/get", **asked)
        assert (status, body["code"]) == (200, 0)
        assert "X-Tt-Ads-Throttle" in headers
        truth = sum(
            simulator.world.ledger.value("ad", ad, TODAY - timedelta(days=n))["spend_micros"]
            for ad in newest
            for n in range(3)
        )
        assert spent(body["data"]["list"]) == truth
    _, headers, _ = send(
        simulator, "report/integrated/get", **report(simulator, "AUCTION_ADVERTISER")
    )
    assert "X-Tt-Ads-Throttle" not in headers


def test_what_is_purged_stays_in_the_totals(simulator: Simulator) -> None:
    """An old deleted ad vanishes from lists and rows; the account spent it all the same."""
    name, everything = "report/integrated/get", status_filter("ad_status", "STATUS_ALL")
    purged = ad_ids(simulator)[0]
    simulator.tiktok.settings.update({"purged": [purged]})
    rows = data(simulator, name, **report(simulator, filtering=everything))["list"]
    totals = data(simulator, name, **report(simulator, "AUCTION_ADVERTISER"))["list"]
    assert purged not in {row["dimensions"]["ad_id"] for row in rows}
    assert spent(rows) < spent(totals)
    assert data(simulator, "ad/get", filtering=ALL)["page_info"]["total_number"] == 11


def test_conversions_keep_arriving_on_past_days(simulator: Simulator) -> None:
    """A day's row moves after the day; a lag hides the newest hours."""
    ad = ad_ids(simulator)[0]
    day = TODAY - timedelta(days=2)
    asked = report(simulator, metrics=["conversion"], filtering=status_filter("ad_ids", ad))
    asked |= {"start_date": day.isoformat(), "end_date": day.isoformat()}

    def conversions() -> int:
        rows = data(simulator, "report/integrated/get", **asked)["list"]
        return sum(int(row["metrics"]["conversion"]) for row in rows)

    before = conversions()
    simulator.world.advance(hours=1)
    simulator.world.late_conversions(ad, day, 3, 30)
    assert conversions() >= before + 3
    simulator.tiktok.settings.reporting_delay_seconds = 3 * 3600
    assert conversions() <= before


def test_the_sdks_spelling_is_understood(simulator: Simulator) -> None:
    """`True`, blanks in JSON and blanks as plus signs."""
    asked = report(simulator, enable_total_metrics="True")
    found = data(simulator, "report/integrated/get", **asked)
    assert int(found["total_metrics"]["impressions"]) == sum(
        int(row["metrics"]["impressions"]) for row in found["list"]
    )


def test_a_report_without_days_is_one_row_each(simulator: Simulator) -> None:
    """Without a time dimension the range is added up, lifetime included."""
    asked = report(simulator, dimensions=["ad_id"], span=40)
    rows = data(simulator, "report/integrated/get", **asked)["list"]
    assert all(list(row["dimensions"]) == ["ad_id"] for row in rows)
    lifetime = {**asked, "query_lifetime": "true", "start_date": "", "end_date": ""}
    assert spent(data(simulator, "report/integrated/get", **lifetime)["list"]) == spent(rows)


def test_a_task_is_queued_processed_and_downloaded(simulator: Simulator) -> None:
    """The state machine, the bare CSV, and the titles that are translated unless refused."""
    simulator.tiktok.settings.task_polls = 3
    asked = {**report(simulator), "enable_report_title_translation": False}
    task = data(simulator, "report/task/create", "POST", **asked)["task_id"]
    assert code(simulator, "report/task/download", task_id=task) == 40201
    seen = [data(simulator, "report/task/check", task_id=task)["status"] for _ in range(3)]
    assert seen == ["QUEUING", "PROCESSING", "SUCCESS"]
    status, headers, text = send(simulator, "report/task/download", task_id=task)
    assert (status, headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    lines = text.splitlines()
    assert lines[0] == "ad_id,stat_time_day,spend,impressions,reach"
    assert len(lines) - 1 == len(
        data(simulator, "report/integrated/get", **report(simulator))["list"]
    )
    other = data(simulator, "report/task/create", "POST", **report(simulator))["task_id"]
    for _ in range(3):
        data(simulator, "report/task/check", task_id=other)
    assert "By Day" in send(simulator, "report/task/download", task_id=other)[2]
    data(simulator, "report/task/cancel", "POST", task_id=other)
    assert data(simulator, "report/task/check", task_id=other)["status"] == "CANCELED"
    simulator.world.advance(days=31)
    assert code(simulator, "report/task/check", task_id=task) == 40007


@pytest.mark.parametrize("shown", [True, False])
def test_whether_a_task_shows_the_deleted_is_a_knob(simulator: Simulator, shown: bool) -> None:
    """Sources conflict, so both can be had."""
    simulator.tiktok.settings.update({"task_shows_deleted": shown, "task_polls": 1})
    ad = ad_ids(simulator)[0]
    simulator.world.delete("ad", ad)
    task = data(simulator, "report/task/create", "POST", **report(simulator))["task_id"]
    data(simulator, "report/task/check", task_id=task)
    assert (ad in send(simulator, "report/task/download", task_id=task)[2]) is shown


def test_people_flip_switches_through_the_wire_too(simulator: Simulator) -> None:
    """`status/update` pauses, resumes and deletes; a deleted object cannot be changed."""
    ad = ad_ids(simulator)[0]
    for word, own in (("DISABLE", "PAUSED"), ("ENABLE", "ACTIVE"), ("DELETE", "DELETED")):
        data(simulator, "ad/status/update", "POST", ad_ids=[ad], operation_status=word)
        assert simulator.world.entity("ad", ad).now.own == own
    again = {"ad_ids": [ad], "operation_status": "ENABLE"}
    assert code(simulator, "ad/status/update", "POST", **again) == 40002
    many = {"ad_ids": [ad] * 21, "operation_status": "ENABLE"}
    assert code(simulator, "ad/status/update", "POST", **many) == 40002
    unknown = {"ad_ids": ["1"], "operation_status": "ENABLE"}
    assert code(simulator, "ad/status/update", "POST", **unknown) == 40007


def test_the_tokens_advertisers_and_their_zones(simulator: Simulator) -> None:
    """Both spellings of the zone; the POSIX one has its sign turned around."""
    world = simulator.world
    world.add_tiktok_account("7010000000000000502", timezone="Asia/Tokyo", ads=0, adsets=0,
                             campaigns=0)  # fmt: skip
    found = data(simulator, "oauth2/advertiser/get", app_id="1", secret="s")["list"]
    assert [row["advertiser_id"] for row in found] == [ACCOUNT, "7010000000000000502"]
    rows = data(simulator, "advertiser/info", advertiser_ids=[ACCOUNT, "7010000000000000502"])
    zones = [(row["timezone"], row["display_timezone"]) for row in rows["list"]]
    assert zones == [("Etc/GMT+8", "America/Los_Angeles"), ("Etc/GMT-9", "Asia/Tokyo")]
    assert code(simulator, "advertiser/info", advertiser_ids=["1"]) == 40001
    assert code(simulator, "oauth2/advertiser/get") == 40002


def test_a_rate_limit_counts_calls_of_a_minute(simulator: Simulator) -> None:
    """40100 until the minute is over."""
    simulator.tiktok.settings.calls_per_minute = 2
    assert [code(simulator, "ad/get") for _ in range(3)] == [0, 0, 40100]
    simulator.world.advance(seconds=61)
    assert code(simulator, "ad/get") == 0


def test_a_campaign_cannot_be_archived(simulator: Simulator) -> None:
    """TikTok has no archive; an ad group can be frozen, which takes its ads with it."""
    world = simulator.world
    with pytest.raises(UsageError, match="no archive"):
        world.archive("campaign", world.entities(ACCOUNT, "campaign")[0].id)
    adset = world.entities(ACCOUNT, "adset")[0].id
    world.archive("adset", adset)
    (row,) = data(simulator, "adgroup/get", filtering={"adgroup_ids": [adset]})["list"]
    assert (row["operation_status"], row["secondary_status"]) == ("FROZEN", "ADGROUP_STATUS_FROZEN")
    ads = data(simulator, "ad/get", filtering={"adgroup_ids": [adset]})["list"]
    assert {ad["secondary_status"] for ad in ads} == {"ADGROUP_STATUS_FROZEN"}


def _task(simulator: Simulator) -> tuple[str, str]:
    """The state a task gets to, and its text."""
    task = data(simulator, "report/task/create", "POST", **report(simulator))["task_id"]
    states = [data(simulator, "report/task/check", task_id=task)["status"] for _ in range(4)]
    text = send(simulator, "report/task/download", task_id=task)[2]
    return states[-1], text if isinstance(text, str) else ""


#: What each of this wire's faults does, as something a healthy wire does not.
CASES: dict[str, tuple[dict[str, Any], Callable[[Simulator], bool]]] = {
    "tiktok_error": ({"code": 51010}, lambda one: code(one, "ad/get") == 51010),
    "page_info_missing": ({}, lambda one: "page_info" not in data(one, "ad/get")),
    "page_info_wrong": ({}, lambda one: data(one, "ad/get")["page_info"]["page"] == 99),
    "total_shrinks": (
        {}, lambda one: data(one, "ad/get", page="2")["page_info"]["total_number"] == 11,
    ),
    "task_failed": ({}, lambda one: _task(one)[0] == "FAILED"),
    "task_stuck": ({}, lambda one: _task(one)[0] == "PROCESSING"),
    "task_cut": ({}, lambda one: not _task(one)[1].endswith("\n")),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_does_what_its_name_says_and_then_stops(simulator: Simulator, name: str) -> None:
    """Every fault of this wire has its case here; unarmed, the same question is answered well."""
    options, strikes = CASES[name]
    assert not strikes(simulator)
    simulator.faults.arm(name, **options)
    assert strikes(simulator)
    assert not strikes(simulator)
