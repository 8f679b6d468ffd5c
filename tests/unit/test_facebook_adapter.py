"""The Meta adapter's front: credentials, accounts, ids, and which requests exist."""

from __future__ import annotations

import inspect
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from driving import ADAPTER, STARTED, answer, days, drive, failure, page

from adsync_dagster.errors import CredentialBlocked, IncompleteRead, UsageError
from adsync_dagster.platforms.facebook import RULES, FacebookAdapter
from adsync_dagster.platforms.facebook_errors import ObjectMissing
from adsync_dagster.platforms.protocol import Credential, PlatformAdapter
from adsync_dagster.platforms.registry import adapter_for
from adsync_dagster.records import AccountInfo, Level, Platform
from adsync_dagster.settings import Settings

ACCOUNT = {
    "id": "act_501",
    "account_id": "501",
    "name": "Shop US",
    "currency": "USD",
    "timezone_name": "America/New_York",
    "account_status": 1,
}


def test_it_is_a_platform_adapter() -> None:
    """Every method of the protocol is there under its name and with its parameters."""
    for name, wanted in inspect.getmembers(PlatformAdapter, inspect.isfunction):
        if not name.startswith("_"):
            found = inspect.signature(getattr(FacebookAdapter, name))
            assert list(found.parameters) == list(inspect.signature(wanted).parameters), name
    adapter: PlatformAdapter = FacebookAdapter()
    assert adapter.key is Platform.FACEBOOK


def test_it_holds_no_state() -> None:
    """Threads share one adapter."""
    with pytest.raises(FrozenInstanceError):
        ADAPTER.api_version = "v27.0"  # type: ignore[misc]
    assert not hasattr(ADAPTER, "__dict__")


@pytest.mark.parametrize(
    "version", ["", "26.0", "v26", "v26.0/../me", "v26.0\n", "v\u0662\u0666.0"]
)
def test_the_version_is_a_path_segment(version: str) -> None:
    """A version that could change the path is refused."""
    with pytest.raises(ValueError, match="Graph API version"):
        FacebookAdapter(api_version=version)


def test_the_token_travels_in_a_header_only() -> None:
    """Authorization: Bearer, and no parameter without an app secret."""
    credential = Credential({"access_token": "sim_TOK"})
    assert ADAPTER.headers(credential) == {"Authorization": "Bearer sim_TOK"}
    assert ADAPTER.parameters(credential) == {}


def test_the_proof_is_the_hmac_of_the_token() -> None:
    """The value is the one Meta's own SDK computes for this secret and token."""
    credential = Credential({"access_token": "TOK", "app_secret": "sec"})
    assert ADAPTER.parameters(credential) == {
        "appsecret_proof": "d563030635606362bf4e60d2264bff76c412a8faa56bb2777d8b2e64301eb4a1"
    }


@pytest.mark.parametrize("token", [None, "", "sim_\nInjected: x", "sim_tök"])
def test_an_unusable_token_blocks(token: str | None) -> None:
    """A token that is missing or would break a header needs a person, and is not repeated."""
    values = {} if token is None else {"access_token": token}
    with pytest.raises(CredentialBlocked) as caught:
        ADAPTER.headers(Credential(values))
    assert "sim_" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v26.0/", True),
        ("/v26.0/act_501/insights", True),
        ("/v26.0/act_501", False),
        ("/v26.0/act_501/ads", False),
        ("/v26.0/6300001", False),
        ("/v26.0/6300001/insights", False),
        ("/v25.0/", False),
        ("/", False),
        ("/v26.0/act_501/insights/x", False),
        ("/v26.0/act_501/insights\n", False),
    ],
)
def test_only_two_posts_exist(path: str, allowed: bool) -> None:
    """A batch of reads and a report run; nothing that could change an account."""
    assert ADAPTER.may_post(path) is allowed


@pytest.mark.parametrize("text", ["act_501", "501", " 501 ", "act_501\n"])
def test_account_ids_have_one_spelling(text: str) -> None:
    """With and without prefix is the same account."""
    assert ADAPTER.normalise_account_id(text) == "act_501"


@pytest.mark.parametrize(
    "text",
    ["", "act_", "act_act_501", "five", "act_5/ads", "act_\u0665", "1" * 21, "act_-1", "ACT 501"],
)
def test_other_account_ids_are_refused_with_help(text: str) -> None:
    """The message shows how to write it, and no request is ever made from it."""
    with pytest.raises(UsageError, match="act_1234567890"):
        ADAPTER.normalise_account_id(text)
    for read in (
        ADAPTER.read_account(text, STARTED),
        ADAPTER.list_entities(text, Level.AD, STARTED),
        ADAPTER.report(text, Level.AD, days("2026-11-01", "2026-11-01"), STARTED),
    ):
        with pytest.raises(UsageError):
            next(read)


def test_an_account_is_described() -> None:
    """Name, currency, zone and the raw status code."""
    done = drive(ADAPTER.read_account("501", STARTED), [answer(ACCOUNT)])
    assert done.records == [
        AccountInfo(
            platform_account_id="act_501",
            name="Shop US",
            currency="USD",
            timezone="America/New_York",
            status="1",
            readable=True,
        )
    ]
    assert done.verdict is not None
    assert done.verdict.row_count == 1


@pytest.mark.parametrize("status", [2, 3, 7, 8, 9, 100, 101, 201, 202, 999])
def test_a_closed_account_stays_readable(status: int) -> None:
    """The last days of a disabled or closed account are the ones that must not be lost."""
    done = drive(
        ADAPTER.read_account("501", STARTED), [answer(ACCOUNT | {"account_status": status})]
    )
    (info,) = done.records
    assert isinstance(info, AccountInfo)
    assert (info.status, info.readable) == (str(status), True)


@pytest.mark.parametrize(
    "payload",
    [
        ACCOUNT | {"account_id": "777"},
        ACCOUNT | {"currency": None},
        ACCOUNT | {"timezone_name": ""},
        ACCOUNT | {"account_status": None},
        ACCOUNT | {"account_status": True},
        {"id": "act_501"},
        [],
    ],
)
def test_half_an_account_raises(payload: Any) -> None:
    """Another account, or one without currency, zone or status, is no answer."""
    done = drive(ADAPTER.read_account("501", STARTED), [answer(payload)])
    assert type(done.error) is IncompleteRead


def test_an_unknown_account_blocks() -> None:
    """100/33 on the account itself needs a person."""
    done = drive(ADAPTER.read_account("501", STARTED), [failure(100, 33)])
    assert type(done.error) is ObjectMissing
    assert done.error.family == "blocked"
    assert done.error.reason == "account"


def test_the_tokens_accounts_are_listed() -> None:
    """All pages of the edge, by cursor."""
    second = ACCOUNT | {"account_id": "502", "id": "act_502"}
    done = drive(ADAPTER.read_accounts(STARTED), [page([ACCOUNT], "A", more=True), page([second])])
    assert [info.platform_account_id for info in done.records] == ["act_501", "act_502"]  # type: ignore[union-attr]
    assert done.requests[0].path == "/v26.0/me/adaccounts"


def test_settings_reach_the_adapter() -> None:
    """Version, conversion action and settlement come from the environment."""
    settings = Settings(
        options={
            "ADSYNC_FACEBOOK_API_VERSION": "v25.0",
            "ADSYNC_FACEBOOK_CONVERSION_ACTION": "lead",
            "ADSYNC_FACEBOOK_WINDOW_DAYS": "7",
            "ADSYNC_FACEBOOK_MARGIN_DAYS": "1",
        },
        history_days=30,
        recent_days=5,
    )
    adapter = adapter_for(Platform.FACEBOOK, settings)
    assert isinstance(adapter, FacebookAdapter)
    assert (adapter.api_version, adapter.conversion_action) == ("v25.0", "lead")
    assert (adapter.rules.window_days, adapter.rules.margin_days) == (7, 1)
    assert (adapter.rules.history_days, adapter.rules.recent_days) == (30, 5)
    assert adapter.rules.retention_days == RULES.retention_days == 1123


def test_the_default_rules_are_metas_own() -> None:
    """Meta revises 28 days."""
    assert (ADAPTER.rules.window_days, ADAPTER.rules.margin_days) == (28, 2)
