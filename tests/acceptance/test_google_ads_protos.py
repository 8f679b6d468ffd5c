"""The simulated Google Ads API, judged by Google's own message definitions (PyPI google-ads).

Nobody here wrote the judge. Each chunk is parsed into the message it claims to be, which refuses
unknown fields, unknown enum names and wrong types; and because the parser is lenient about
spelling (numbers for text, text for numbers), the message rendered again must equal the chunk.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import pytest
from google.ads.googleads.v26.errors.types import errors
from google.ads.googleads.v26.services.types import customer_service as customers
from google.ads.googleads.v26.services.types import google_ads_service as services
from google.protobuf import json_format

from adsync_dagster.clock import VirtualClock
from adsync_dagster.platforms.google_ads import GoogleAdsAdapter
from adsync_dagster.platforms.protocol import NextElement, Read, Request, Response, Rows
from adsync_dagster.records import LEVELS, DateRange, Level
from adsync_dagster.simulator.google_ads_errors import GoogleAdsError
from adsync_dagster.simulator.simulator import Simulator
from adsync_dagster.simulator.world import World
from adsync_dagster.transport.elements import elements_of

NOW = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
ACCOUNT = "5015015011"
HEADERS = {"authorization": "Bearer sim_t", "content-type": "application/json"}


@pytest.fixture
def simulator() -> Simulator:
    """Every status, hold and channel there is, and a change history."""
    world = World(seed=11, clock=VirtualClock(NOW))
    world.add_google_ads_account(
        ACCOUNT, campaigns=5, adsets=12, ads=40, history_days=20, performance_max=1
    )
    simulator = Simulator(world)
    wire = simulator.google_ads
    wire.settings.stream_chunk_rows = 17
    wire.settings.conversion_credit_micros = 333_333
    wire.add_manager("8000000001", (ACCOUNT,))
    alive = [one.id for one in world.entities(ACCOUNT, "ad") if one.effective == "ACTIVE"]
    holds = ("PENDING_REVIEW", "DISAPPROVED", "WITH_ISSUES", "IN_PROCESS")
    for ad, hold in zip(alive, holds, strict=False):
        world.set_hold("ad", ad, hold)
    wire.pause_for_low_activity(world.ancestors(world.entity("ad", alive[-1]))[1].id)
    world.rename("ad", alive[-2], "Other")
    world.delete("campaign", world.create_campaign(ACCOUNT, "Short-lived"))
    world.advance(hours=1)
    return simulator


def ask(simulator: Simulator, request: Request) -> tuple[int, bytes]:
    """The wire's answer to a request of the adapter's."""
    body = b"" if request.json is None else orjson.dumps(request.json)
    status, _, content = simulator.handle(request.method, request.path, None, HEADERS, body)
    return status, content


def judged(payload: dict[str, Any], message: Any) -> dict[str, Any]:
    """The payload, accepted by Google's message and rendered by it as it came."""
    parsed = json_format.ParseDict(payload, message.pb()())
    assert json_format.MessageToDict(parsed) == payload
    return payload


def judge_read(simulator: Simulator, read: Read) -> int:
    """Run a read in-process, every chunk of every stream judged; how many rows there were."""
    rows, parts = 0, iter(())
    step: Any = next(read)
    try:
        while True:
            if isinstance(step, Rows):
                step = read.send(None)
                continue
            if isinstance(step, Request):
                status, content = ask(simulator, step)
                assert status == 200, content
                parts = elements_of([content], 10**8)
            else:
                assert isinstance(step, NextElement)
            body = next(parts, None)
            if body is None:
                step = read.send(None)
                continue
            payload = orjson.loads(body)
            is_stream = "resourceNames" not in payload
            kind = (
                services.SearchGoogleAdsStreamResponse
                if is_stream
                else customers.ListAccessibleCustomersResponse
            )
            rows += len(judged(payload, kind).get("results", ()))
            step = read.send(Response(status=200, headers={}, body=body))
    except StopIteration:
        return rows


def reads(adapter: GoogleAdsAdapter, simulator: Simulator) -> dict[str, Read]:
    """Every read that a sync does."""
    span = DateRange(since=date(2026, 2, 20), until=date(2026, 3, 10))
    everything = {level: [one.id for one in simulator.world.entities(ACCOUNT, level.value)]
                  for level in LEVELS}  # fmt: skip
    now = simulator.world.clock.now()
    return {
        "accounts": adapter.read_accounts(now),
        "account": adapter.read_account(ACCOUNT, now),
        "totals": adapter.report_totals(ACCOUNT, span, now),
        "history": adapter.read_change_history(ACCOUNT, now - timedelta(days=29), now, now),
        **{f"list {level}": adapter.list_entities(ACCOUNT, level, now) for level in LEVELS},
        **{f"report {level}": adapter.report(ACCOUNT, level, span, now) for level in LEVELS},
        **{
            f"look-up {level}": adapter.lookup_entities(ACCOUNT, level, everything[level], now)
            for level in LEVELS
        },
        **{
            f"by id {level}": adapter.report_entities(ACCOUNT, level, everything[level], span, now)
            for level in LEVELS
        },
    }


def test_every_chunk_of_every_read_is_googles(simulator: Simulator) -> None:
    """What the adapter asks is answered in messages that Google's definitions accept whole."""
    for name, read in reads(GoogleAdsAdapter(), simulator).items():
        assert judge_read(simulator, read) > 0 or name == "accounts", name


@pytest.mark.parametrize(
    "resource", ["customer", "campaign", "ad_group", "ad_group_ad", "change_event"]
)
def test_names_of_resources_that_come_along_are_googles(
    simulator: Simulator, resource: str
) -> None:
    """Without the parameter that leaves them out, unselected resource names appear."""
    fields = {
        "customer": "customer.id, metrics.cost_micros, segments.date",
        "campaign": "campaign.id, campaign.serving_status, campaign.end_date_time",
        "ad_group": "ad_group.id, ad_group.campaign, campaign.status",
        "ad_group_ad": "ad_group_ad.ad.id, ad_group_ad.ad_group, ad_group.id, metrics.clicks",
        "change_event": "change_event.change_date_time, change_event.user_email,"
        " change_event.client_type",
    }[resource]
    query = f"SELECT {fields} FROM {resource}"
    if "segments" in fields or "metrics" in fields:
        query += " WHERE segments.date BETWEEN '2026-03-01' AND '2026-03-10'"
    if resource == "change_event":
        query += (
            " WHERE change_event.change_date_time BETWEEN '2026-03-01' AND '2026-03-12' LIMIT 100"
        )
    status, _, content = simulator.handle(
        "POST",
        f"/v26/customers/{ACCOUNT}/googleAds:searchStream",
        None,
        HEADERS,
        orjson.dumps({"query": query}),
    )
    assert status == 200, content
    for chunk in orjson.loads(content):
        judged(chunk, services.SearchGoogleAdsStreamResponse)
        assert all("resourceName" in str(row) for row in chunk["results"])


def test_pages_of_search_are_googles(simulator: Simulator) -> None:
    """Page by page, with the count where it is asked for and no request id in the body."""
    simulator.google_ads.settings.search_page_rows = 15
    body: dict[str, Any] = {
        "query": "SELECT ad_group_ad.ad.id FROM ad_group_ad",
        "searchSettings": {"returnTotalResultsCount": True},
    }
    path, rows = f"/v26/customers/{ACCOUNT}/googleAds:search", 0
    while True:
        status, _, content = simulator.handle("POST", path, None, HEADERS, orjson.dumps(body))
        assert status == 200
        page = judged(orjson.loads(content), services.SearchGoogleAdsResponse)
        rows += len(page["results"])
        if "nextPageToken" not in page:
            break
        body["pageToken"] = page["nextPageToken"]
    assert rows == int(page["totalResultsCount"])


@pytest.mark.parametrize(
    "code",
    [
        "quotaError.RESOURCE_EXHAUSTED",
        "quotaError.RESOURCE_TEMPORARILY_EXHAUSTED",
        "authenticationError.OAUTH_TOKEN_EXPIRED",
        "authenticationError.OAUTH_TOKEN_HEADER_INVALID",
        "authorizationError.USER_PERMISSION_DENIED",
        "authorizationError.CUSTOMER_NOT_ENABLED",
        "internalError.INTERNAL_ERROR",
        "internalError.TRANSIENT_ERROR",
        "queryError.UNRECOGNIZED_FIELD",
        "queryError.UNEXPECTED_INPUT",
        "queryError.BAD_LIMIT_VALUE",
        "queryError.BAD_OPERATOR",
        "queryError.BAD_FIELD_NAME",
        "queryError.BAD_RESOURCE_TYPE_IN_FROM_CLAUSE",
        "queryError.PROHIBITED_RESOURCE_TYPE_IN_SELECT_CLAUSE",
        "queryError.EXPECTED_REFERENCED_FIELD_IN_SELECT_CLAUSE",
        "queryError.EXPECTED_FILTERS_ON_DATE_RANGE",
        "queryError.INVALID_VALUE_WITH_BETWEEN_OPERATOR",
        "queryError.REQUESTED_METRICS_FOR_MANAGER",
        "requestError.PAGE_SIZE_NOT_SUPPORTED",
        "requestError.INVALID_PAGE_TOKEN",
        "requestError.EXPIRED_PAGE_TOKEN",
        "requestError.UNSUPPORTED_VERSION",
        "requestError.REQUIRED_FIELD_MISSING",
        "requestError.DEVELOPER_TOKEN_PARAMETER_MISSING",
        "headerError.INVALID_LOGIN_CUSTOMER_ID",
        "dateRangeError.REQUESTED_DATE_GRANULARITY_NOT_SUPPORTED",
        "dateRangeError.START_DATE_AFTER_END_DATE",
        "dateRangeError.INVALID_DATE",
        "changeStatusError.START_DATE_TOO_OLD",
        "changeStatusError.CHANGE_DATE_RANGE_INFINITE",
        "changeEventError.CHANGE_DATE_RANGE_NEGATIVE",
        "changeEventError.LIMIT_NOT_SPECIFIED",
        "changeEventError.INVALID_LIMIT_CLAUSE",
    ],
)
def test_every_error_is_googles(simulator: Simulator, code: str) -> None:
    """Each code the wire can give is one of Google's enums, in the failure Google defines."""
    delay = "1.500s" if code.startswith("quota") else None
    body = GoogleAdsError(code, retry_delay=delay).body("v26", "rid")
    (failure,) = body["error"]["details"]
    assert failure.pop("@type").endswith("google.ads.googleads.v26.errors.GoogleAdsFailure")
    judged(failure, errors.GoogleAdsFailure)


def test_the_judge_can_say_no(simulator: Simulator) -> None:
    """A number for text, an unknown status and an old field are each refused."""
    read = GoogleAdsAdapter().list_entities(ACCOUNT, Level.AD, NOW)
    _, content = ask(simulator, next(read))  # type: ignore[arg-type]
    chunk = orjson.loads(content)[0]
    wrongs: list[tuple[str, Any]] = [("status", "DELETED"), ("startDate", "x"), ("status", 2)]
    for name, value in wrongs:
        spoilt = orjson.loads(orjson.dumps(chunk))
        spoilt["results"][0]["adGroupAd"][name] = value
        with pytest.raises((AssertionError, json_format.ParseError)):
            judged(spoilt, services.SearchGoogleAdsStreamResponse)
    spoilt = orjson.loads(orjson.dumps(chunk))
    spoilt["results"][0]["campaign"]["id"] = int(chunk["results"][0]["campaign"]["id"])
    with pytest.raises(AssertionError):
        judged(spoilt, services.SearchGoogleAdsStreamResponse)
