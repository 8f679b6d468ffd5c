"""The simulated Google Ads API, asked in-process: queries, streams, pages, tokens, histories."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from adsync_dagster.clock import VirtualClock
from adsync_dagster.errors import UsageError
from adsync_dagster.simulator.google_ads_auth import RefreshToken
from adsync_dagster.simulator.simulator import Simulator
from adsync_dagster.simulator.world import World

START = datetime(2026, 3, 3, 15, 30, tzinfo=UTC)
ACCOUNT = "5015015011"
TOKEN = "sim_t"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def simulator() -> Simulator:
    world = World(seed=2, clock=VirtualClock(START))
    world.add_google_ads_account(
        ACCOUNT, campaigns=2, adsets=4, ads=8, history_days=10, stopped=False, performance_max=1
    )
    return Simulator(world)


def ask(
    simulator: Simulator,
    query: str,
    *,
    method: str = "searchStream",
    account: str = ACCOUNT,
    token: str = TOKEN,
    headers: dict[str, str] | None = None,
    **more: Any,
) -> tuple[int, Any]:
    sent = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    status, _, body = simulator.handle(
        "POST",
        f"/v26/customers/{account}/googleAds:{method}",
        None,
        {**sent, **(headers or {})},
        orjson.dumps({"query": query, **more}),
    )
    return status, orjson.loads(body)


def rows(simulator: Simulator, query: str) -> list[Any]:
    status, chunks = ask(simulator, query)
    assert status == 200, chunks
    return [row for chunk in chunks for row in chunk.get("results", [])]


def code_of(answer: tuple[int, Any]) -> tuple[int, str]:
    """HTTP status and error code, on a stream or not."""
    status, body = answer
    error = (body[0] if isinstance(body, list) else body)["error"]
    (one,) = error["details"][0]["errors"]
    ((family, name),) = one["errorCode"].items()
    assert error["code"] == status
    return status, f"{family}.{name}"


DAYS = "segments.date BETWEEN '2026-02-25' AND '2026-03-03'"


BY_DAY = "SELECT segments.date, metrics.clicks FROM campaign"
EVENTS = "SELECT change_event.resource_name FROM change_event"
EVENT_DAYS = "WHERE change_event.change_date_time BETWEEN"
CHANGES = "SELECT change_status.resource_name FROM change_status"
CHANGE_DAYS = "WHERE change_status.last_change_date_time BETWEEN"
MISTAKES = {
    "SELECT campaign.id": "queryError.UNEXPECTED_INPUT",
    "SELECT campaign.start_date FROM campaign": "queryError.UNRECOGNIZED_FIELD",
    "SELECT metrics.video_views FROM campaign": "queryError.UNRECOGNIZED_FIELD",
    "SELECT id FROM campaign": "queryError.BAD_FIELD_NAME",
    "SELECT ad_group.id FROM campaign": "queryError.PROHIBITED_RESOURCE_TYPE_IN_SELECT_CLAUSE",
    "SELECT campaign.id FROM keyword": "queryError.BAD_RESOURCE_TYPE_IN_FROM_CLAUSE",
    "SELECT campaign.id FROM campaign LIMIT 0": "queryError.BAD_LIMIT_VALUE",
    "SELECT campaign.id FROM campaign WHERE campaign.id": "queryError.UNEXPECTED_INPUT",
    "SELECT campaign.id FROM campaign WHERE campaign.name LIKE 'a'": "queryError.UNEXPECTED_INPUT",
    "SELECT campaign.id FROM campaign ORDER BY campaign.name": (
        "queryError.EXPECTED_REFERENCED_FIELD_IN_SELECT_CLAUSE"
    ),
    BY_DAY: "queryError.EXPECTED_FILTERS_ON_DATE_RANGE",
    f"{BY_DAY} WHERE segments.date BETWEEN '2022-01-01' AND '2022-01-31'": (
        "dateRangeError.REQUESTED_DATE_GRANULARITY_NOT_SUPPORTED"
    ),
    f"{BY_DAY} WHERE segments.date BETWEEN '2026-02-02' AND '2026-02-01'": (
        "dateRangeError.START_DATE_AFTER_END_DATE"
    ),
    f"{EVENTS} LIMIT 10": "changeEventError.CHANGE_DATE_RANGE_INFINITE",
    f"{EVENTS} {EVENT_DAYS} '2026-03-01' AND '2026-03-03'": "changeEventError.LIMIT_NOT_SPECIFIED",
    f"{EVENTS} {EVENT_DAYS} '2026-03-01' AND '2026-03-03' LIMIT 10001": (
        "changeEventError.INVALID_LIMIT_CLAUSE"
    ),
    f"{EVENTS} {EVENT_DAYS} '2026-01-01' AND '2026-03-03' LIMIT 9": (
        "changeEventError.START_DATE_TOO_OLD"
    ),
    f"{CHANGES} {CHANGE_DAYS} '2025-11-01' AND '2026-03-03' LIMIT 9": (
        "changeStatusError.START_DATE_TOO_OLD"
    ),
}


@pytest.mark.parametrize("query", MISTAKES)
@pytest.mark.parametrize("method", ["search", "searchStream"])
def test_mistakes_are_named_as_google_names_them(
    simulator: Simulator, query: str, method: str
) -> None:
    """An object on :search, the same in an array on a stream."""
    answer = ask(simulator, query, method=method)
    assert code_of(answer) == (400, MISTAKES[query])
    assert isinstance(answer[1], list) == (method == "searchStream")


def test_removed_entities_stay_listed_and_report(simulator: Simulator) -> None:
    """There is no default filter; one that is asked for works."""
    ad = simulator.world.entities(ACCOUNT, "ad")[-1].id
    simulator.world.delete("ad", ad)
    query = "SELECT ad_group_ad.resource_name, ad_group_ad.status FROM ad_group_ad"
    found = {
        row["adGroupAd"]["resourceName"]: row["adGroupAd"]["status"]
        for row in rows(simulator, query)
    }
    assert found[f"customers/{ACCOUNT}/adGroupAds/{ad}"] == "REMOVED"
    kept = rows(simulator, f"{query} WHERE ad_group_ad.status != 'REMOVED'")
    assert len(kept) == len(found) - 1
    report = "SELECT ad_group.id, ad_group_ad.ad.id, segments.date, metrics.impressions"
    shown = rows(simulator, f"{report} FROM ad_group_ad WHERE {DAYS}")
    group, _, own = ad.partition("~")
    assert any(
        (row["adGroup"]["id"], row["adGroupAd"]["ad"]["id"]) == (group, own) for row in shown
    )


def test_a_segment_leaves_zeros_out_and_a_filter_does_not(simulator: Simulator) -> None:
    """Dates in SELECT make rows by day without zeros; dates in WHERE only sum, zeros included."""
    campaign = simulator.world.create_campaign(ACCOUNT, "Nothing yet")
    by_day = rows(
        simulator,
        f"SELECT segments.date, campaign.id, metrics.clicks FROM campaign WHERE {DAYS}",
    )
    assert campaign not in {row["campaign"]["id"] for row in by_day}
    whole = rows(simulator, f"SELECT campaign.id, metrics.clicks FROM campaign WHERE {DAYS}")
    found = {row["campaign"]["id"]: int(row["metrics"]["clicks"]) for row in whole}
    assert found[campaign] == 0
    for key, clicks in found.items():
        assert clicks == sum(
            int(row["metrics"]["clicks"]) for row in by_day if row["campaign"]["id"] == key
        )


def test_performance_max_has_no_ad_rows(simulator: Simulator) -> None:
    """Its campaign reports; its asset groups are neither ad groups nor ads."""
    hidden = simulator.world.entities(ACCOUNT, "campaign")[0].id
    for resource in ("ad_group", "ad_group_ad"):
        shown = rows(simulator, f"SELECT campaign.id FROM {resource}")
        assert shown
        assert hidden not in {row["campaign"]["id"] for row in shown}
    (row,) = rows(
        simulator,
        f"SELECT campaign.id, metrics.impressions FROM campaign WHERE {DAYS}"
        " AND campaign.advertising_channel_type = 'PERFORMANCE_MAX'",
    )
    assert row["campaign"]["id"] == hidden
    assert int(row["metrics"]["impressions"]) > 0


def test_streams_come_in_chunks_that_echo_the_question(simulator: Simulator) -> None:
    """Each chunk has the mask and a request id, the last one the cost; nothing is a chunk too."""
    simulator.google_ads.settings.stream_chunk_rows = 1
    _, chunks = ask(simulator, "SELECT ad_group_ad.ad.id, ad_group_ad.ad.type FROM ad_group_ad")
    assert [len(chunk["results"]) for chunk in chunks] == [1] * len(chunks)
    assert {chunk["fieldMask"] for chunk in chunks} == {"adGroupAd.ad.id,adGroupAd.ad.type"}
    assert ["queryResourceConsumption" in chunk for chunk in chunks][-2:] == [False, True]
    empty = "SELECT campaign.id FROM campaign WHERE campaign.id = 1"
    _, (chunk,) = ask(simulator, empty)
    assert "results" not in chunk
    simulator.google_ads.settings.empty_stream = "array"
    assert ask(simulator, empty) == (200, [])


def test_pages_belong_to_their_query_and_end(simulator: Simulator) -> None:
    """A page token of another query or of long ago is refused, and so is a page size."""
    wire = simulator.google_ads
    wire.settings.search_page_rows = 1
    query = "SELECT ad_group_ad.ad.id FROM ad_group_ad"
    _, page = ask(simulator, query, method="search")
    token = page["nextPageToken"]
    _, following = ask(simulator, query, method="search", pageToken=token)
    assert following["results"][0] != page["results"][0]
    other = ask(simulator, f"{query} LIMIT 5", method="search", pageToken=token)
    assert code_of(other) == (400, "requestError.INVALID_PAGE_TOKEN")
    simulator.world.advance(hours=2)
    late = ask(simulator, query, method="search", pageToken=token)
    assert code_of(late) == (400, "requestError.EXPIRED_PAGE_TOKEN")
    sized = ask(simulator, query, method="search", pageSize=100)
    assert code_of(sized) == (400, "requestError.PAGE_SIZE_NOT_SUPPORTED")


def test_managers_have_clients_and_no_numbers(simulator: Simulator) -> None:
    """customer_client lists everything below, by level; metrics of a manager are refused."""
    wire = simulator.google_ads
    wire.add_manager("8000000002", (ACCOUNT,))
    wire.add_manager("8000000001", ("8000000002",))
    status, chunks = ask(
        simulator,
        "SELECT customer_client.id, customer_client.level, customer_client.manager"
        " FROM customer_client",
        account="8000000001",
    )
    assert status == 200
    found = [tuple(row["customerClient"].values())[:3] for row in chunks[0]["results"]]
    assert found == [
        ("8000000001", "0", True),
        ("8000000002", "1", True),
        (ACCOUNT, "2", False),
    ]
    refused = ask(
        simulator, f"SELECT metrics.clicks FROM customer WHERE {DAYS}", account="8000000001"
    )
    assert code_of(refused) == (400, "queryError.REQUESTED_METRICS_FOR_MANAGER")


def test_access_goes_directly_or_through_the_named_manager(simulator: Simulator) -> None:
    """A client of a manager is only seen with the manager's id in the header."""
    wire = simulator.google_ads
    wire.add_manager("8000000001", (ACCOUNT,))
    wire.tokens.add(RefreshToken(value="sim_m", customers=frozenset({"8000000001"})))
    query = "SELECT customer.id FROM customer"

    def seen(login: str | None) -> Any:
        headers = {} if login is None else {"login-customer-id": login}
        answer = ask(simulator, query, token="sim_m", headers=headers)
        return answer[0] if answer[0] == 200 else code_of(answer)[1]

    assert seen("8000000001") == 200
    assert seen(None) == "authorizationError.USER_PERMISSION_DENIED"
    assert seen("9999999999") == "authorizationError.USER_PERMISSION_DENIED"
    assert seen("800-000-0001") == "headerError.INVALID_LOGIN_CUSTOMER_ID"
    _, _, body = simulator.handle(
        "GET",
        "/v26/customers:listAccessibleCustomers",
        None,
        {"authorization": "Bearer sim_m"},
    )
    assert orjson.loads(body) == {"resourceNames": ["customers/8000000001"]}


def test_tokens_are_given_and_end(simulator: Simulator) -> None:
    """Form and JSON bodies are taken at the three addresses; access tokens live an hour."""
    grant = {
        "grant_type": "refresh_token",
        "client_id": "c",
        "client_secret": "s",
        "refresh_token": "sim_r",
    }
    form = "&".join(f"{key}={value}" for key, value in grant.items()).encode()
    for path, headers, body in (
        ("/token", FORM, form),
        ("/oauth2/v3/token", {"content-type": "application/json"}, orjson.dumps(grant)),
        ("/oauth2/v4/token", FORM, form),
    ):
        status, _, content = simulator.handle("POST", path, None, headers, body)
        answer = orjson.loads(content)
        assert (status, answer["expires_in"]) == (200, 3599)
        assert "refresh_token" not in answer
    query, access = "SELECT customer.id FROM customer", answer["access_token"]
    assert ask(simulator, query, token=access)[0] == 200
    simulator.world.advance(hours=1)
    assert code_of(ask(simulator, query, token=access)) == (
        401,
        "authenticationError.OAUTH_TOKEN_EXPIRED",
    )
    simulator.google_ads.tokens.add(RefreshToken(value="sim_r", revoked=True))
    status, _, content = simulator.handle("POST", "/token", None, FORM, form)
    assert (status, orjson.loads(content)["error"]) == (400, "invalid_grant")
    assert code_of(ask(simulator, query, token="ya29")) == (
        401,
        "authenticationError.OAUTH_TOKEN_INVALID",
    )
    with pytest.raises(UsageError):
        simulator.google_ads.tokens.add(RefreshToken(value="1//real"))


def test_google_pauses_what_nobody_sees(simulator: Simulator) -> None:
    """The reason names low activity; nothing can be archived here."""
    adset = simulator.world.entities(ACCOUNT, "adset")[-1].id
    simulator.google_ads.pause_for_low_activity(adset)
    (row,) = rows(
        simulator,
        "SELECT ad_group.id, ad_group.status, ad_group.primary_status_reasons FROM ad_group"
        f" WHERE ad_group.id = {adset}",
    )
    assert row["adGroup"]["status"] == "PAUSED"
    assert row["adGroup"]["primaryStatusReasons"] == ["AD_GROUP_PAUSED_DUE_TO_LOW_ACTIVITY"]
    with pytest.raises(UsageError):
        simulator.world.archive("adset", adset)


def test_unknown_versions_and_paths_are_plain_pages(simulator: Simulator) -> None:
    """404 comes as HTML, an old version as an error of the API; quotas say how long to wait."""
    headers = {"authorization": "Bearer sim_t"}
    for path in ("/v27/customers/1/googleAds:search", "/v26/customers/1/campaigns:mutate"):
        status, sent, _ = simulator.handle("POST", path, None, headers)
        assert (status, sent["Content-Type"][:9]) == (404, "text/html")
    simulator.google_ads.settings.operations_per_day = 1
    assert ask(simulator, "SELECT customer.id FROM customer")[0] == 200
    answer = ask(simulator, "SELECT customer.id FROM customer")
    assert code_of(answer) == (429, "quotaError.RESOURCE_EXHAUSTED")
    simulator.world.advance(hours=25)
    assert ask(simulator, "SELECT customer.id FROM customer")[0] == 200
