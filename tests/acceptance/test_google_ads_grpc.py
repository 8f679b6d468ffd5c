"""What our client stored equals what Google's own gRPC client reads, and what the ledger says.

The judge is the official `GoogleAdsClient` (PyPI google-ads) with google-auth, its generated
transports, interceptors and exceptions. Only the channel is ours (google_ads_bridge.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from acceptance.google_ads_bridge import Bridge, allow_plain_channels
from google.ads.googleads.client import GoogleAdsClient
from google.ads.googleads.errors import GoogleAdsException
from google.api_core.exceptions import GoogleAPICallError, ResourceExhausted
from google.auth.exceptions import RefreshError
from google.oauth2.credentials import Credentials
from harness import TOKEN, Harness

from adsync_dagster.records import Platform
from adsync_dagster.simulator.google_ads_auth import RefreshToken

MICROS = Decimal(1_000_000)
MANAGER = "8000000001"


class Numbers(NamedTuple):
    """What both sides are compared by."""

    impressions: Decimal
    clicks: Decimal
    spend: Decimal
    conversions: Decimal
    conversion_value: Decimal


class Level(NamedTuple):
    """How a level is asked for, and where the answer and our tables keep it."""

    resource: str
    ids: str
    id_of: Callable[[Any], str]
    body_of: Callable[[Any], Any]
    table: str
    key: str


LEVELS = {
    "campaign": Level(
        "campaign",
        "campaign.id",
        lambda row: str(row.campaign.id),
        lambda row: row.campaign,
        "ad_campaigns",
        "platform_campaign_id",
    ),
    "adset": Level(
        "ad_group",
        "ad_group.id",
        lambda row: str(row.ad_group.id),
        lambda row: row.ad_group,
        "ad_sets",
        "platform_ad_set_id",
    ),
    "ad": Level(
        "ad_group_ad",
        "ad_group.id, ad_group_ad.ad.id",
        lambda row: f"{row.ad_group.id}~{row.ad_group_ad.ad.id}",
        lambda row: row.ad_group_ad,
        "ads",
        "platform_ad_id",
    ),
}
#: A change history has to be asked for with a LIMIT.
UNLIMITED = (
    "SELECT change_status.resource_status FROM change_status"
    " WHERE change_status.last_change_date_time BETWEEN '2026-03-01' AND '2026-03-09'"
)
OWN = {"ENABLED": "ACTIVE", "PAUSED": "PAUSED", "REMOVED": "DELETED"}


@pytest.fixture
def harness(database_url: str, tmp_path: Path) -> Iterator[Harness]:
    """An account with removed and paused entities and fractional conversions."""
    with Harness(
        database_url,
        tmp_path,
        platform=Platform.GOOGLE_ADS,
        timezone="Pacific/Auckland",
        performance_max=1,
    ) as harness:
        settings = harness.simulator.simulator.google_ads.settings
        settings.stream_chunk_rows = 50
        settings.search_page_rows = 7
        settings.conversion_credit_micros = 333_333
        live = [e for e in harness.world.entities(harness.account_id, "ad")
                if e.effective == "ACTIVE"]  # fmt: skip
        harness.world.delete("ad", live[0].id)
        harness.world.delete("adset", str(harness.world.entity("ad", live[1].id).now.parent_id))
        yield harness


@pytest.fixture
def synced(harness: Harness) -> Harness:
    """The same, with what our client stored of it."""
    assert harness.sync().error is None
    return harness


@pytest.fixture
def bridge(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bridge]:
    allow_plain_channels(monkeypatch)
    with Bridge(harness.simulator.base_url) as bridge:
        yield bridge


def credentials(harness: Harness, refresh_token: str = TOKEN) -> Credentials:
    """google-auth's own refresh, at the simulated token address."""
    return Credentials(
        None,
        refresh_token=refresh_token,
        client_id="c",
        client_secret="s",
        token_uri=f"{harness.simulator.base_url}/token",
    )


@pytest.fixture
def official(harness: Harness, bridge: Bridge) -> GoogleAdsClient:
    """Google's client, with messages that know the names of their enums."""
    return bridge.client(credentials(harness), use_proto_plus=True)


def streamed(client: GoogleAdsClient, account: str, query: str) -> list[Any]:
    """Every row of a stream, as Google's client hands them out."""
    service = client.get_service("GoogleAdsService")
    stream = service.search_stream(customer_id=account, query=query)
    return [row for chunk in stream for row in chunk.results]


def paged(client: GoogleAdsClient, account: str, query: str) -> list[Any]:
    """Every row of a paged search."""
    return list(client.get_service("GoogleAdsService").search(customer_id=account, query=query))


def test_entities_are_those_googles_client_lists(
    synced: Harness, official: GoogleAdsClient
) -> None:
    """Ids, names and switches of every level, removed ones included, streamed and by pages."""
    for name, level in LEVELS.items():
        named = "" if name == "ad" else f", {level.resource}.name"
        query = f"SELECT {level.ids}, {level.resource}.status{named} FROM {level.resource}"
        rows = streamed(official, synced.account_id, query)
        listed = {
            level.id_of(row): (OWN[level.body_of(row).status.name], name_of(level.body_of(row)))
            for row in rows
        }
        stored = {
            row["id"]: (row["status"], "" if name == "ad" else row["name"])
            for row in synced.query(f"SELECT {level.key} AS id, status, name FROM {level.table}")
        }
        assert len(listed) == len(rows)
        assert "DELETED" in {status for status, _ in listed.values()} or name == "campaign"
        assert stored == listed
        assert paged(official, synced.account_id, query) == rows


def name_of(body: Any) -> str:
    """The name of a campaign or an ad group; an ad's stands elsewhere and is left out."""
    return str(getattr(body, "name", ""))


def test_numbers_are_those_googles_client_reads_and_the_ledger_holds(
    synced: Harness, official: GoogleAdsClient
) -> None:
    """Every day's row of every level: Google's client, our warehouse and the ledger agree."""
    since = synced.today() - timedelta(days=synced.settings.history_days - 1)
    for name, level in LEVELS.items():
        query = (
            f"SELECT segments.date, {level.ids}, metrics.impressions, metrics.clicks,"
            " metrics.cost_micros, metrics.conversions, metrics.conversions_value"
            f" FROM {level.resource}"
            f" WHERE segments.date BETWEEN '{since}' AND '{synced.today()}'"
        )
        rows = streamed(official, synced.account_id, query)
        read = {
            (level.id_of(row), date.fromisoformat(row.segments.date)): numbers(row) for row in rows
        }
        stored = {place: stored_numbers(row) for place, row in synced.stored(name).items()}
        assert len(read) == len(rows) > 20
        assert {place: found for place, found in stored.items() if any(found)} == read
        assert {place: ledger_numbers(synced, name, *place) for place in read} == read


def numbers(row: Any) -> Numbers:
    """A row of Google's client. Its doubles become the millionths that Google counts in."""
    found = row.metrics
    return Numbers(
        Decimal(found.impressions),
        Decimal(found.clicks),
        Decimal(found.cost_micros) / MICROS,
        round(Decimal(found.conversions), 6),
        round(Decimal(found.conversions_value), 6),
    )


def stored_numbers(row: dict[str, Any]) -> Numbers:
    return Numbers(*(Decimal(row[name]) for name in Numbers._fields))


def ledger_numbers(harness: Harness, level: str, platform_id: str, day: date) -> Numbers:
    """The truth, with a third of the credit for each conversion."""
    truth = harness.world.ledger.value(level, platform_id, day)
    credit = Decimal("0.333333")
    return Numbers(
        Decimal(truth["impressions"]),
        Decimal(truth["clicks"]),
        Decimal(truth["spend_micros"]) / MICROS,
        Decimal(truth["conversions"]) * credit,
        round(Decimal(truth["conversion_value_micros"]) / MICROS, 6),
    )


def test_accounts_are_those_googles_client_reaches(
    harness: Harness, bridge: Bridge, official: GoogleAdsClient
) -> None:
    """The roots, and the leaves under a manager, are what our discovery finds."""
    wire = harness.simulator.simulator.google_ads
    wire.add_manager(MANAGER, (harness.account_id,))
    wire.tokens.add(RefreshToken(value="sim_agency", customers=frozenset({MANAGER})))
    known = credentials(harness, "sim_agency")
    agency = bridge.client(known, login_customer_id=MANAGER, use_proto_plus=True)
    query = (
        "SELECT customer_client.id, customer_client.manager, customer_client.time_zone"
        " FROM customer_client"
    )

    everyone = official.get_service("CustomerService").list_accessible_customers()
    roots = agency.get_service("CustomerService").list_accessible_customers()
    rows = streamed(agency, MANAGER, query)

    assert set(everyone.resource_names) == {
        f"customers/{MANAGER}",
        f"customers/{harness.account_id}",
    }
    assert list(roots.resource_names) == [f"customers/{MANAGER}"]
    leaves = {(str(r.customer_client.id), r.customer_client.time_zone) for r in rows
              if not r.customer_client.manager}  # fmt: skip
    assert leaves == {(harness.account_id, "Pacific/Auckland")}
    with pytest.raises(GoogleAdsException) as direct:
        campaigns(bridge.client(known), harness.account_id)
    assert code_of(direct.value) == "authorization_error.USER_PERMISSION_DENIED"


def campaigns(client: GoogleAdsClient, account: str) -> list[Any]:
    return streamed(client, account, "SELECT campaign.id FROM campaign")


def code_of(error: GoogleAdsException) -> str:
    """The one code of the failure, as Google's message names it."""
    (one,) = error.failure.errors
    kind = type(one.error_code).pb(one.error_code).WhichOneof("error_code")
    return f"{kind}.{getattr(one.error_code, kind).name}"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT campaign.start_date FROM campaign", "query_error.UNRECOGNIZED_FIELD"),
        ("SELECT campaign.id FROM nothing", "query_error.BAD_RESOURCE_TYPE_IN_FROM_CLAUSE"),
        (UNLIMITED, "change_status_error.LIMIT_NOT_SPECIFIED"),
    ],
)
def test_a_mistake_is_googles_exception(
    harness: Harness, official: GoogleAdsClient, query: str, code: str
) -> None:
    """Both protocols raise GoogleAdsException with the code and the request's id."""
    for read in (streamed, paged):
        with pytest.raises(GoogleAdsException) as caught:
            read(official, harness.account_id, query)
        assert code_of(caught.value) == code
        assert caught.value.request_id
        assert caught.value.error.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("code", "expected", "status"),
    [
        ("authenticationError.OAUTH_TOKEN_EXPIRED", "authentication_error", "UNAUTHENTICATED"),
        ("authorizationError.CUSTOMER_NOT_ENABLED", "authorization_error", "PERMISSION_DENIED"),
        ("headerError.INVALID_LOGIN_CUSTOMER_ID", "header_error", "INVALID_ARGUMENT"),
        (
            "dateRangeError.REQUESTED_DATE_GRANULARITY_NOT_SUPPORTED",
            "date_range_error",
            "INVALID_ARGUMENT",
        ),
    ],
)
def test_a_refusal_is_googles_exception(
    harness: Harness, official: GoogleAdsClient, code: str, expected: str, status: str
) -> None:
    """Each family arrives under its own gRPC status, with the name of the code."""
    harness.simulator.simulator.faults.arm("google_error", path="googleAds", error=code, count=None)

    with pytest.raises(GoogleAdsException) as caught:
        campaigns(official, harness.account_id)

    assert code_of(caught.value) == f"{expected}.{code.partition('.')[2]}"
    assert caught.value.error.code() is grpc.StatusCode[status]


def test_a_used_up_quota_is_what_the_library_calls_it(
    harness: Harness, official: GoogleAdsClient
) -> None:
    """RESOURCE_EXHAUSTED comes as google-api-core's exception: the library leaves it to retries."""
    harness.simulator.simulator.faults.arm(
        "google_error",
        path="googleAds",
        error="quotaError.RESOURCE_EXHAUSTED",
        retry_delay="30s",
        count=None,
    )

    with pytest.raises((ResourceExhausted, GoogleAPICallError)) as caught:
        campaigns(official, harness.account_id)

    assert caught.value.code == 429


def test_an_error_in_the_middle_of_a_stream_ends_googles_client_too(
    harness: Harness, official: GoogleAdsClient
) -> None:
    """Rows came before it; the client raises instead of ending."""
    harness.simulator.simulator.google_ads.settings.stream_chunk_rows = 5
    harness.simulator.simulator.faults.arm(
        "stream_error", path="ad_group_ad", error="internalError.TRANSIENT_ERROR", count=None
    )
    service = official.get_service("GoogleAdsService")
    query = "SELECT ad_group_ad.ad.id FROM ad_group_ad"
    seen: list[Any] = []
    stream = service.search_stream(customer_id=harness.account_id, query=query)

    with pytest.raises((GoogleAdsException, GoogleAPICallError)):
        seen.extend(row for chunk in stream for row in chunk.results)

    assert len(seen) == 5


def test_a_revoked_refresh_token_is_refused_to_google_auth(
    harness: Harness, bridge: Bridge
) -> None:
    """The simulated token address answers so that google-auth itself calls it invalid_grant."""
    wire = harness.simulator.simulator.google_ads
    wire.tokens.add(RefreshToken(value="sim_gone", revoked=True))

    with pytest.raises(RefreshError, match="invalid_grant"):
        campaigns(bridge.client(credentials(harness, "sim_gone")), harness.account_id)


def test_the_bridge_can_say_no(harness: Harness, official: GoogleAdsClient) -> None:
    """A field that Google's messages do not have does not get through to its client."""
    harness.simulator.simulator.faults.arm(
        "stream_field_set", path=" campaign", field="campaign.startDate", value="2026-01-01"
    )

    with pytest.raises(GoogleAPICallError):
        campaigns(official, harness.account_id)
