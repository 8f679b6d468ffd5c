"""Refresh tokens to access tokens, headers, and streams that are taken as they arrive."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import orjson
import pytest
from google_ads_driving import ACCOUNT, ADAPTER, STARTED, ad_row, chunk_of
from hypothesis import given
from hypothesis import strategies as st
from wire_server import QUICK, MovingClock, Wire, serving

from adsync_dagster.errors import (
    AdsyncError,
    CredentialBlocked,
    IncompleteRead,
    PlatformBusy,
    TooMuchData,
    UsageError,
)
from adsync_dagster.platforms.google_ads import GoogleAdsAdapter
from adsync_dagster.platforms.google_ads_oauth import GoogleGrant
from adsync_dagster.platforms.protocol import Credential, Request, Response
from adsync_dagster.platforms.registry import adapter_for, grant_for
from adsync_dagster.records import Level, Platform
from adsync_dagster.settings import Settings
from adsync_dagster.transport import PlatformClient
from adsync_dagster.transport.access import AccessTokens, GrantedCredential
from adsync_dagster.transport.elements import elements_of

VALUES = {"client_id": "c", "client_secret": "s", "refresh_token": "sim_canary_refresh"}
CREDENTIAL = Credential(VALUES)
GRANT = GoogleGrant()


class Endpoint:
    """A token address in this process, whose answers a test writes."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.gate: threading.Event | None = None

    def send(self, request: Request) -> Response:
        assert request.form == {"grant_type": "refresh_token"}
        if self.gate is not None:
            self.gate.wait(5)
        self.asked += 1
        status, payload = self.answers[min(self.asked, len(self.answers)) - 1]
        body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
        return Response(status=status, headers={}, body=body)


def given_token(number: int, seconds: Any = 3600) -> tuple[int, dict[str, Any]]:
    return 200, {"access_token": f"sim_at{number}", "expires_in": seconds, "token_type": "Bearer"}


def tokens_of(endpoint: Endpoint, clock: MovingClock) -> AccessTokens:
    return AccessTokens(GRANT, "http://127.0.0.1:1/token", CREDENTIAL, clock, exchange=endpoint)


def test_a_token_serves_until_shortly_before_its_end() -> None:
    """One exchange an hour, ahead of the end by a minute, never from a token that is over."""
    clock, endpoint = MovingClock(), Endpoint(given_token(1), given_token(2))
    tokens = tokens_of(endpoint, clock)
    assert [tokens.current(), tokens.current()] == ["sim_at1", "sim_at1"]
    clock.instant += timedelta(seconds=3539)
    assert tokens.current() == "sim_at1"
    clock.instant += timedelta(seconds=1)
    assert tokens.current() == "sim_at2"
    assert endpoint.asked == 2


@pytest.mark.parametrize("refused", [False, True])
def test_one_exchange_serves_everybody_who_waits(refused: bool) -> None:
    """Also its refusal: sixteen threads do not make sixteen refused requests."""
    answer = (400, {"error": "invalid_grant"}) if refused else given_token(1)
    endpoint = Endpoint(answer)
    endpoint.gate = threading.Event()
    tokens = tokens_of(endpoint, MovingClock())
    started = threading.Barrier(17)

    def ask(_: int) -> str:
        started.wait(5)
        try:
            return tokens.current()
        except CredentialBlocked:
            return "blocked"

    with ThreadPoolExecutor(16) as pool:
        found = pool.map(ask, range(16))
        started.wait(5)
        threading.Timer(0.2, endpoint.gate.set).start()
        assert set(found) == {"blocked" if refused else "sim_at1"}
    assert endpoint.asked == 1


def test_a_refused_token_is_replaced_once() -> None:
    """Whoever is late with the same refusal takes the token that is already there."""
    endpoint = Endpoint(given_token(1), given_token(2), given_token(3))
    source = GrantedCredential(GRANT, CREDENTIAL, tokens_of(endpoint, MovingClock()))
    first = source.current()
    for _ in range(2):
        other = source.renewed(first)
        assert other is not None
        assert other.values["access_token"] == "sim_at2"
    assert other.values["refresh_token"] == VALUES["refresh_token"]


@pytest.mark.parametrize(
    ("status", "payload", "kind"),
    [
        (400, {"error": "invalid_grant", "error_description": "sim_canary"}, CredentialBlocked),
        (401, {"error": "invalid_client"}, CredentialBlocked),
        (
            200,
            {"access_token": "sim_a", "expires_in": 9, "scope": "openid email"},
            CredentialBlocked,
        ),
        (400, {"error": "unauthorized_client"}, CredentialBlocked),
        (400, {"error": "something_new"}, CredentialBlocked),
        (403, b"<html>", CredentialBlocked),
        (500, b"<html>", PlatformBusy),
        (503, {"error": "backend"}, PlatformBusy),
        (429, {}, PlatformBusy),
        (200, b"<html>", IncompleteRead),
        (200, {"expires_in": 10}, IncompleteRead),
        (200, {"access_token": "sim_a", "expires_in": "soon"}, IncompleteRead),
        (200, {"access_token": "sim_a", "expires_in": 0}, IncompleteRead),
        (200, [], IncompleteRead),
    ],
)
def test_a_failed_exchange_has_its_family(
    status: int, payload: Any, kind: type[AdsyncError]
) -> None:
    """A refusal needs a person, trouble needs time; neither repeats what was said."""
    tokens = tokens_of(Endpoint((status, payload), given_token(2)), MovingClock())
    with pytest.raises(kind) as caught:
        tokens.current()
    assert type(caught.value) is kind
    assert "canary" not in str(caught.value)
    assert tokens.current() == "sim_at2"


def test_secrets_travel_in_the_form_only() -> None:
    """Client secret and refresh token are in no URL, no request object and no other header."""

    def handler(wire: Wire, _: int) -> None:
        wire.reply(given_token(1)[1])

    with serving(handler) as server:
        tokens = AccessTokens(GRANT, f"{server.url}/token", CREDENTIAL, MovingClock())
        assert tokens.current() == "sim_at1"
        (wire,) = server.seen
    assert wire.path == "/token"
    assert b"refresh_token=sim_canary_refresh" in wire.received
    assert b"grant_type=refresh_token" in wire.received
    assert "authorization" not in {name.lower() for name in wire.headers}
    assert "canary" not in repr(GRANT.request())


def test_headers_hold_what_the_credential_has() -> None:
    """The developer token and the manager's id are sent where they are set, else left out."""
    plain = Credential({**VALUES, "access_token": "sim_a"})
    assert ADAPTER.headers(plain) == {"Authorization": "Bearer sim_a"}
    full = Credential(
        {
            "access_token": "sim_a",
            "developer_token": "sim_d",
            "login_customer_id": "123-456-7890",
        }
    )
    assert ADAPTER.headers(full) == {
        "Authorization": "Bearer sim_a",
        "developer-token": "sim_d",
        "login-customer-id": "1234567890",
    }
    for values in ({}, {"access_token": ""}, {"access_token": "a\nb"}):
        with pytest.raises(CredentialBlocked):
            ADAPTER.headers(Credential(values))


def test_only_questions_are_posted() -> None:
    """Nothing that could change an account passes, and versions and ids are what they look like."""
    assert ADAPTER.may_post(f"/v26/customers/{ACCOUNT}/googleAds:searchStream")
    for path in ("googleAds:mutate", "campaigns:mutate", "googleAds:searchStreams"):
        assert not ADAPTER.may_post(f"/v26/customers/{ACCOUNT}/{path}")
    for text in ("123-456-7890", "customers/1234567890", " 1234567890 "):
        assert ADAPTER.normalise_account_id(text) == ACCOUNT
    for text in ("act_1", "", "12345678901", "١٢٣"):
        with pytest.raises(UsageError):
            ADAPTER.normalise_account_id(text)
    with pytest.raises(ValueError, match="v26"):
        GoogleAdsAdapter(api_version="v26.0")
    with pytest.raises(StopIteration) as ended:  # no question at all
        next(ADAPTER.lookup_entities(ACCOUNT, Level.CAMPAIGN, ["1) OR 1"], STARTED))
    assert ended.value.value.missing_ids == {"1) OR 1"}


def test_the_settings_make_the_adapter_and_its_grant() -> None:
    """Version, window and token address come from the settings."""
    settings = Settings.from_environment(
        {
            "ADSYNC_GOOGLE_ADS_API_VERSION": "v25",
            "ADSYNC_GOOGLE_ADS_WINDOW_DAYS": "60",
            "ADSYNC_GOOGLE_OAUTH_URL": "https://o.test/oauth2/v3/token",
        }
    )
    adapter = adapter_for(Platform.GOOGLE_ADS, settings)
    assert isinstance(adapter, GoogleAdsAdapter)
    assert (adapter.api_version, adapter.rules.window_days, adapter.rules.margin_days) == (
        "v25",
        60,
        3,
    )
    grant = grant_for(Platform.GOOGLE_ADS, settings)
    assert grant is not None
    assert grant.words.request().path == "/oauth2/v3/token"
    assert grant.words.key(Credential({"access_token": "x"})) is None
    assert grant_for(Platform.FACEBOOK, settings) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.lists(st.dictionaries(st.text(max_size=4), json_values, max_size=3), max_size=4),
    st.integers(1, 50),
    st.booleans(),
)
def test_an_array_comes_apart_wherever_it_is_cut(
    items: list[Any], size: int, indented: bool
) -> None:
    """The elements are the same however the bytes arrive, and a shorter body never passes."""
    option = orjson.OPT_INDENT_2 if indented else None
    body = orjson.dumps(items, option=option)

    def split(data: bytes) -> list[Any]:
        pieces = (data[start : start + size] for start in range(0, len(data), size))
        return [orjson.loads(element) for element in elements_of(pieces, 10_000)]

    assert split(body) == items
    for cut in range(1, len(body), 7):
        with pytest.raises(IncompleteRead):
            split(body[:cut])


@pytest.mark.parametrize(
    "body", [b"[{}{}]", b"[,{}]", b"[{},]", b"[1,{}]", b"[{}]x", b"[{}][{}]", b"[{}]]", b"[1]"]
)
def test_what_is_no_array_of_objects_is_refused(body: bytes) -> None:
    """Doubled ends, missing commas and bare values are not a stream."""
    with pytest.raises(IncompleteRead):
        list(elements_of([body], 1000))


def test_any_other_body_comes_whole() -> None:
    """An object, a page or nothing at all is one element; a large one is refused."""
    for body in (b'{"error":{}}', b"<html>", b""):
        assert list(elements_of([body], 1000)) == [body]
    for body in (b"x" * 2000, b"[{" + b" " * 2000):
        with pytest.raises(TooMuchData):
            list(elements_of([body[:500], body[500:]], 1000))


def test_rows_are_handed_on_while_the_rest_is_still_to_come() -> None:
    """The second chunk is sent only after the first one's rows have arrived at the sink."""
    arrived = threading.Event()
    seen: list[int] = []

    def handler(wire: Wire, _: int) -> None:
        request = Request(method="POST", path="/", json=orjson.loads(wire.received))
        first, second = (orjson.dumps(chunk_of(request, [ad_row(n)])) for n in (1, 2))
        wire.raw_head(200, transfer_encoding="chunked")
        for piece in (b"[" + first, b",\r\n" + second + b"]"):
            wire.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            wire.wfile.flush()
            if piece.startswith(b"["):
                seen.append(int(arrived.wait(5)))
        wire.wfile.write(b"0\r\n\r\n")

    records: list[Any] = []

    def sink(page: Any) -> None:
        records.extend(page)
        arrived.set()

    with serving(handler) as server:
        credential = Credential({"access_token": "sim_a"})
        client = PlatformClient(ADAPTER, server.url, credential, MovingClock(), limits=QUICK)
        verdict = client.run(ADAPTER.list_entities(ACCOUNT, Level.AD, STARTED), sink)
        client.close()
    assert (seen, verdict.row_count, len(records)) == ([1], 2, 2)
