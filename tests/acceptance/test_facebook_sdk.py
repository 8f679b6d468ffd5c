"""The official facebook-business SDK, an independent reader, judges the simulated Graph API.

The SDK pages, batches and polls as Meta's own code does; every sum it collects is compared
with the ledger to the cent.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from adsync_dagster.clock import VirtualClock
from adsync_dagster.simulator.facebook_auth import Token
from adsync_dagster.simulator.server import RunningSimulator, serve
from adsync_dagster.simulator.world import World

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from facebook_business.adobjects.ad import Ad
    from facebook_business.adobjects.adaccount import AdAccount
    from facebook_business.adobjects.adreportrun import AdReportRun
    from facebook_business.adobjects.adset import AdSet
    from facebook_business.adobjects.campaign import Campaign
    from facebook_business.adobjects.user import User
    from facebook_business.api import FacebookAdsApi
    from facebook_business.exceptions import FacebookRequestError
    from facebook_business.session import FacebookSession

START = datetime(2026, 3, 3, 15, 30, tzinfo=UTC)
ACCOUNT = "act_501"
HISTORY_DAYS = 30
TOKEN = "sim_sdk"
SHARED = ["ACTIVE", "PAUSED", "ARCHIVED", "IN_PROCESS", "WITH_ISSUES"]
STATUSES = {
    "campaign": SHARED,
    "adset": [*SHARED, "CAMPAIGN_PAUSED"],
    "ad": [
        *SHARED, "CAMPAIGN_PAUSED", "ADSET_PAUSED", "PENDING_REVIEW", "DISAPPROVED", "PREAPPROVED",
        "PENDING_BILLING_INFO",
    ],
}  # fmt: skip
REPORT = [
    "account_id", "campaign_id", "adset_id", "ad_id", "impressions", "clicks", "spend", "actions",
    "action_values",
]  # fmt: skip


def sdk_api(base_url: str, token: str = TOKEN, secret: str | None = None) -> Any:
    """An SDK client whose host is the simulator, without any global state."""
    session = type("LocalSession", (FacebookSession,), {"GRAPH": base_url})
    local = session(app_id="1", app_secret=secret, access_token=token, timeout=20)
    local.requests.trust_env = False
    return FacebookAdsApi(local, api_version="v26.0")


@pytest.fixture
def running() -> Iterator[RunningSimulator]:
    """A served world that was touched in every way a reader has to cope with."""
    world = World(seed=8, clock=VirtualClock(START))
    world.add_facebook_account(ACCOUNT, campaigns=6, adsets=15, ads=45, history_days=HISTORY_DAYS)
    world.add_facebook_account("act_502", campaigns=1, adsets=1, ads=1, history_days=2)
    world.delete("campaign", world.entities(ACCOUNT, "campaign")[1].id)
    world.delete("ad", world.entities(ACCOUNT, "ad")[0].id)
    world.archive("ad", world.entities(ACCOUNT, "ad")[2].id)
    world.pause("adset", world.entities(ACCOUNT, "adset")[3].id)
    with serve(world) as running:
        yield running


@pytest.fixture
def account(running: RunningSimulator) -> Any:
    return AdAccount(ACCOUNT, api=sdk_api(running.base_url))


def listing(account: Any, level: str, fields: list[str], **params: Any) -> list[Any]:
    edge = {
        "campaign": account.get_campaigns,
        "adset": account.get_ad_sets,
        "ad": account.get_ads,
    }[level]
    return list(edge(fields=fields, params={"effective_status": STATUSES[level], **params}))


def span(days: int = HISTORY_DAYS) -> dict[str, str]:
    until = date(2026, 3, 3)
    return {"since": str(until - timedelta(days=days - 1)), "until": str(until)}


def totals(rows: list[Any]) -> dict[str, Decimal]:
    """What a reader adds up from insights rows, purchases by one action type only."""
    sums = dict.fromkeys(("impressions", "clicks", "spend", "conversions", "value"), Decimal(0))
    for row in rows:
        for name in ("impressions", "clicks", "spend"):
            sums[name] += Decimal(row[name])
        sums["conversions"] += _purchases(row, "actions")
        sums["value"] += _purchases(row, "action_values")
    return sums


def _purchases(row: Any, field: str) -> Decimal:
    found = [item for item in row.get(field, []) if item["action_type"] == "omni_purchase"]
    return sum((Decimal(item["value"]) for item in found), Decimal(0))


def truth(world: World, level: str, ids: set[str] | None = None) -> dict[str, Decimal]:
    """The same sums from the ledger, for some entities or all."""
    since, until = span()["since"], span()["until"]
    sums = dict.fromkeys(("impressions", "clicks", "spend", "conversions", "value"), Decimal(0))
    for entity_id, _, row in world.ledger.rows(ACCOUNT, level, since, until):
        if ids is None or entity_id in ids:
            value = row.as_dict()
            sums["impressions"] += value["impressions"]
            sums["clicks"] += value["clicks"]
            sums["spend"] += Decimal(value["spend_micros"]) / 1_000_000
            sums["conversions"] += value["conversions"]
            sums["value"] += Decimal(value["conversion_value_micros"]) / 1_000_000
    return sums


def test_accounts_of_a_token(running: RunningSimulator) -> None:
    """/me/adaccounts lists what the token sees, with total_count, and only that."""
    running.simulator.facebook.tokens.add(
        Token(value="sim_narrow", accounts=frozenset({"act_502"}))
    )
    seen = {}
    for token in (TOKEN, "sim_narrow"):
        cursor = User("me", api=sdk_api(running.base_url, token)).get_ad_accounts(
            fields=["name", "currency", "timezone_name", "account_status"]
        )
        seen[token] = [row["id"] for row in cursor]
        assert cursor.total() == len(seen[token])
    assert seen == {TOKEN: [ACCOUNT, "act_502"], "sim_narrow": ["act_502"]}


def test_an_account_reads_as_typed(account: Any) -> None:
    """Numbers are numbers and money is text, as the SDK documents the fields."""
    row = account.api_get(
        fields=["account_id", "currency", "account_status", "timezone_name", "amount_spent",
                "timezone_offset_hours_utc", "created_time"]
    )  # fmt: skip
    assert row["id"] == ACCOUNT
    assert row["account_id"] == "501"
    assert row["account_status"] == 1
    assert row["amount_spent"].isdigit()
    assert row["timezone_offset_hours_utc"] == -5
    datetime.strptime(row["created_time"], "%Y-%m-%dT%H:%M:%S%z")


@pytest.mark.parametrize("level", ["campaign", "adset", "ad"])
@pytest.mark.parametrize("limit", [2, 100])
def test_lists_hold_everything_but_the_deleted(
    running: RunningSimulator, account: Any, level: str, limit: int
) -> None:
    """At any page size the SDK sees each non-deleted entity once, with its true statuses."""
    rows = listing(account, level, ["name", "status", "effective_status"], limit=limit)
    expected = {
        entity.id: (entity.name, entity.own, entity.effective)
        for entity in running.world.entities(ACCOUNT, level)
        if entity.effective != "DELETED"
    }
    assert len(rows) == len(expected)
    assert {r["id"]: (r["name"], r["status"], r["effective_status"]) for r in rows} == expected


def test_the_default_list_leaves_archived_out(running: RunningSimulator, account: Any) -> None:
    """Without a filter neither archived nor deleted ads are listed; total_count agrees."""
    cursor = account.get_ads(fields=["effective_status"], params={"limit": 7})
    ids = {row["id"] for row in cursor}
    expected = {
        ad.id
        for ad in running.world.entities(ACCOUNT, "ad")
        if ad.effective not in {"ARCHIVED", "DELETED"}
    }
    assert ids == expected
    assert cursor.total() == len(expected)


def test_children_of_a_parent(running: RunningSimulator, account: Any) -> None:
    """The edges of a campaign and an ad set list their own children only."""
    api = account.get_api_assured()
    campaign = next(
        c.id for c in running.world.entities(ACCOUNT, "campaign") if c.effective == "ACTIVE"
    )
    for level, read in (("adset", "get_ad_sets"), ("ad", "get_ads")):
        rows = getattr(Campaign(campaign, api=api), read)(
            fields=["campaign_id"], params={"effective_status": STATUSES[level], "limit": 3}
        )
        expected = {
            e.id
            for e in running.world.entities(ACCOUNT, level)
            if e.campaign_id == campaign and e.effective != "DELETED"
        }
        assert {row["id"] for row in rows} == expected
        assert expected


@pytest.mark.parametrize("limit", [50, 5000])
def test_ad_rows_and_by_id_reads_add_up_to_the_ledger(
    running: RunningSimulator, account: Any, limit: int
) -> None:
    """List rows plus by-id reads of everything hidden equal the ledger, to the cent."""
    params = {"level": "ad", "time_increment": 1, "time_range": span(), "limit": limit}
    rows = list(account.get_insights(fields=REPORT, params=params))
    assert len({(row["ad_id"], row["date_start"]) for row in rows}) == len(rows)
    hidden = {
        ad.id
        for ad in running.world.entities(ACCOUNT, "ad")
        if ad.effective in {"ARCHIVED", "DELETED"}
    }
    assert not hidden & {row["ad_id"] for row in rows}
    alone = {"time_increment": 1, "time_range": span(), "limit": limit}
    for ad in hidden:
        api = account.get_api_assured()
        rows += list(Ad(ad, api=api).get_insights(fields=REPORT, params=alone))
    assert totals(rows) == truth(running.world, "ad")


@pytest.mark.parametrize("level", ["account", "campaign", "adset"])
def test_parent_rows_hold_their_deleted_children(
    running: RunningSimulator, account: Any, level: str
) -> None:
    """Account totals are everything; a live parent's row holds what its dead children spent."""
    params = {"level": level, "time_increment": 1, "time_range": span(), "limit": 500}
    rows = list(account.get_insights(fields=REPORT, params=params))
    if level == "account":
        assert totals(rows) == truth(running.world, "ad")
        return
    live = {
        entity.id
        for entity in running.world.entities(ACCOUNT, level)
        if entity.effective not in {"ARCHIVED", "DELETED"}
    }
    assert {row[f"{level}_id"] for row in rows} <= live
    assert totals(rows) == truth(running.world, level, live)


def test_async_and_sync_reports_are_equal(account: Any) -> None:
    """A report run gives row for row what the synchronous call gives."""
    params = {"level": "ad", "time_increment": 1, "time_range": span(), "limit": 200}
    sync_rows = [dict(row) for row in account.get_insights(fields=REPORT, params=params)]
    job = account.get_insights(fields=REPORT, params=params, is_async=True)
    seen = []
    while True:
        job = job.api_get()
        seen.append((job["async_status"], job["async_percent_completion"]))
        if job["async_status"] == "Job Completed" and job["async_percent_completion"] == 100:
            break
        assert len(seen) < 10
    assert len(seen) > 1
    async_rows = [dict(row) for row in job.get_result(params={"limit": 150})]
    assert async_rows == sync_rows
    assert sync_rows


def test_report_windows_keep_overlapping_action_types_apart(account: Any) -> None:
    """Requested windows come as keys; the purchase types overlap and must not be summed."""
    params = {
        "level": "account",
        "time_range": span(),
        "action_attribution_windows": ["1d_click", "7d_click", "28d_click", "1d_view", "7d_view"],
    }
    (row,) = account.get_insights(fields=["actions", "action_values"], params=params)
    purchases = {i["action_type"]: i for i in row["actions"] if "purchase" in i["action_type"]}
    assert len(purchases) == 3
    assert len({item["value"] for item in purchases.values()}) == 1
    item = {k: int(v) for k, v in purchases["omni_purchase"].items() if k != "action_type"}
    assert item["value"] == item["7d_click"] + item["1d_view"]
    assert item["1d_click"] <= item["7d_click"] <= item["28d_click"]
    assert "7d_view" not in item


def test_a_batch_answers_each_item_in_order(running: RunningSimulator, account: Any) -> None:
    """Fifty by-id reads in one POST, deleted ones and an unknown id among them."""
    api = account.get_api_assured()
    ads = [ad.id for ad in running.world.entities(ACCOUNT, "ad")] + ["6999"]
    answered: list[Any] = []
    failed: list[Any] = []
    batch = api.new_batch()
    for ad in ads:
        Ad(ad, api=api).api_get(
            fields=["status", "effective_status"],
            batch=batch,
            success=lambda response: answered.append(response.json()),
            failure=lambda response: failed.append(response.error()),
        )
    assert batch.execute() is None
    assert [item["id"] for item in answered] == ads[:-1]
    assert [error.api_error_subcode() for error in failed] == [33]


def test_null_items_of_a_batch_are_sent_again(running: RunningSimulator, account: Any) -> None:
    """An item that timed out is null; the SDK's second batch holds just that one."""
    api = account.get_api_assured()
    ads = [ad.id for ad in running.world.entities(ACCOUNT, "ad")[:3]]
    running.simulator.faults.arm("batch_item_null", path=ads[1])
    answered: list[Any] = []
    batch = api.new_batch()
    for ad in ads:
        Ad(ad, api=api).api_get(
            fields=["status"],
            batch=batch,
            success=lambda response: answered.append(response.json()),
        )
    again = batch.execute()
    assert [item["id"] for item in answered] == [ads[0], ads[2]]
    assert again.execute() is None
    assert answered[-1]["id"] == ads[1]


def test_deleted_objects_stay_readable_by_id(running: RunningSimulator, account: Any) -> None:
    """Details, insights and nested insights of a deleted ad are still there."""
    ad = next(a for a in running.world.entities(ACCOUNT, "ad") if a.own == "DELETED")
    row = Ad(ad.id, api=account.get_api_assured()).api_get(
        fields=["status", "effective_status", "adset_id", "insights.date_preset(last_30d){spend}"]
    )
    assert (row["status"], row["effective_status"]) == ("DELETED", "DELETED")
    assert row["adset_id"] == ad.adset_id
    assert Decimal(row["insights"]["data"][0]["spend"]) > 0


def test_children_of_a_deleted_campaign_are_reachable_by_id_only(
    running: RunningSimulator, account: Any
) -> None:
    """No list shows them any more; by id their own switch still says ACTIVE."""
    world, api = running.world, account.get_api_assured()
    gone = next(c.id for c in world.entities(ACCOUNT, "campaign") if c.own == "DELETED")
    rows = list(Campaign(gone, api=api).get_ads(params={"effective_status": STATUSES["ad"]}))
    assert rows == []
    ad = next(
        a for a in world.entities(ACCOUNT, "ad") if a.campaign_id == gone and a.own == "ACTIVE"
    )
    row = Ad(ad.id, api=api).api_get(fields=["status", "effective_status"])
    assert (row["status"], row["effective_status"]) == ("ACTIVE", "DELETED")


def test_activities_tell_of_every_own_change(running: RunningSimulator, account: Any) -> None:
    """Creations and switches show with their ids; cascades do not; a week is the default."""
    world = running.world
    since = int((START - timedelta(days=60)).timestamp())
    fields = ["event_time", "event_type", "object_id", "object_type", "extra_data"]
    params = {"since": since, "until": int(START.timestamp()) + 1, "limit": 13}
    records = list(account.get_activities(fields=fields, params=params))
    created = {r["object_id"] for r in records if r["event_type"] == "create_ad"}
    assert created == {ad.id for ad in world.entities(ACCOUNT, "ad")}
    times = [record["event_time"] for record in records]
    assert times == sorted(times, reverse=True)
    switched = {r["object_id"] for r in records if r["event_type"] == "update_ad_run_status"}
    assert switched >= {ad.id for ad in world.entities(ACCOUNT, "ad") if ad.own != "ACTIVE"}
    gone = next(c.id for c in world.entities(ACCOUNT, "campaign") if c.own == "DELETED")
    cascaded = next(
        a.id for a in world.entities(ACCOUNT, "ad") if a.campaign_id == gone and a.own == "ACTIVE"
    )
    stops = [r for r in records if r["object_id"] == cascaded and '"Inactive"' in r["extra_data"]]
    assert stops == []
    week = list(account.get_activities(fields=fields))
    oldest = (START - timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%S+0000")
    assert all(record["event_time"] >= oldest for record in week)
    assert len(week) < len(records)


def test_the_sdk_can_drive_the_world(running: RunningSimulator, account: Any) -> None:
    """Updates and deletes through the SDK change the world as its actions do."""
    world, api = running.world, account.get_api_assured()
    adset = next(s for s in world.entities(ACCOUNT, "adset") if s.effective == "ACTIVE")
    AdSet(adset.id, api=api).api_update(params={"status": "PAUSED", "name": "Held"})
    view = next(s for s in world.entities(ACCOUNT, "adset") if s.id == adset.id)
    assert (view.own, view.name) == ("PAUSED", "Held")
    ad = next(a for a in world.entities(ACCOUNT, "ad") if a.effective == "ADSET_PAUSED")
    Ad(ad.id, api=api).api_delete()
    assert next(a.own for a in world.entities(ACCOUNT, "ad") if a.id == ad.id) == "DELETED"
    with pytest.raises(FacebookRequestError) as refused:
        Ad(ad.id, api=api).api_update(params={"status": "ACTIVE"})
    assert refused.value.api_error_code() == 100


def failure(call: Any) -> tuple[int, int, int | None]:
    """HTTP status, code and subcode of what the SDK raises."""
    with pytest.raises(FacebookRequestError) as raised:
        call()
    error = raised.value
    return error.http_status(), error.api_error_code(), error.api_error_subcode()


def test_documented_errors_reach_the_sdk(running: RunningSimulator, account: Any) -> None:
    """Status, code and subcode of each error are the documented ones."""
    api, url = account.get_api_assured(), running.base_url
    asks_deleted = {"effective_status": ["ACTIVE", "DELETED"]}
    filters_deleted = {
        "filtering": [{"field": "ad.effective_status", "operator": "IN", "value": ["DELETED"]}]
    }
    old = {"time_range": {"since": "2020-01-01", "until": "2020-01-02"}}
    report = AdReportRun("6050009999999999", api=api)
    assert failure(lambda: list(account.get_ads(params=asks_deleted))) == (400, 100, 1815001)
    assert failure(lambda: list(account.get_ads(params=filters_deleted))) == (400, 100, 1815001)
    assert failure(lambda: Ad("6999", api=api).api_get()) == (400, 100, 33)
    assert failure(lambda: Ad.get_by_ids(["1", "2"], api=api)) == (500, 100, None)
    assert failure(lambda: list(account.get_ads(fields=["nonsense"]))) == (400, 100, None)
    assert failure(lambda: list(account.get_insights(params=old))) == (400, 3018, None)
    assert failure(lambda: list(account.get_ads(params={"limit": 90_000}))) == (500, 1, None)
    assert failure(lambda: list(account.get_ads(params={"after": "x"}))) == (400, 2642, None)
    assert failure(report.api_get) == (400, 100, 33)
    foreign = AdAccount(ACCOUNT, api=sdk_api(url, "real_token"))
    assert failure(foreign.api_get) == (400, 190, None)


def test_appsecret_proof_is_verified(running: RunningSimulator) -> None:
    """The SDK's own proof passes; a wrong secret and a missing proof do not."""
    settings = running.simulator.facebook.settings
    settings.app_secret, settings.require_appsecret_proof = "sec", True
    good = AdAccount(ACCOUNT, api=sdk_api(running.base_url, TOKEN, "sec"))
    assert good.api_get(fields=["name"])["name"] == "Shop US"
    wrong = AdAccount(ACCOUNT, api=sdk_api(running.base_url, TOKEN, "other"))
    assert failure(wrong.api_get)[1] == 104
    without = AdAccount(ACCOUNT, api=sdk_api(running.base_url))
    assert failure(without.api_get)[1] == 100


def test_a_bearer_header_is_enough(running: RunningSimulator) -> None:
    """Without a token in the query, the Authorization header authenticates."""
    api = sdk_api(running.base_url)
    session = api._session.requests
    session.params.clear()
    session.headers["Authorization"] = f"Bearer {TOKEN}"
    assert AdAccount(ACCOUNT, api=api).api_get(fields=["name"])["name"] == "Shop US"
    session.headers["Authorization"] = "Bearer nonsense"
    assert failure(AdAccount(ACCOUNT, api=api).api_get)[1] == 190
