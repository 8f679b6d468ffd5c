"""Meta's error table, line by line."""

from __future__ import annotations

from typing import Any

import pytest
from driving import answer, failure

from adsync_dagster.errors import (
    AccountBlocked,
    AdsyncError,
    Blocked,
    CredentialBlocked,
    Defect,
    IncompleteRead,
    PermissionBlocked,
    PlatformBusy,
    TooMuchData,
)
from adsync_dagster.platforms.facebook_errors import (
    RULES,
    BadCursor,
    InvalidRequest,
    ObjectMissing,
    check_response,
)
from adsync_dagster.platforms.protocol import Response

CANARY = "sim_canary_in_message"

#: code, subcode, HTTP status, message, more fields -> exact class, retry_after_seconds
TABLE = [
    (1, None, 500, "unknown", {}, PlatformBusy, None),
    (1, 99, 500, "unknown", {}, PlatformBusy, None),
    (1, None, 500, "Please reduce the amount of data you're asking for", {}, TooMuchData, None),
    (1, 2853001, 400, "", {"is_transient": False}, PermissionBlocked, None),
    (2, None, 400, "", {"is_transient": True}, PlatformBusy, None),
    (2, None, 503, "", {}, PlatformBusy, None),
    (2, 1504038, 400, "", {}, TooMuchData, None),
    (2, 1504043, 400, "", {}, PlatformBusy, None),
    (2, 1504044, 400, "", {}, PlatformBusy, None),
    (2, 1504041, 400, "", {}, InvalidRequest, None),
    (2, 1504042, 400, "", {}, InvalidRequest, None),
    (4, None, 400, "", {}, PlatformBusy, 300.0),
    (4, None, 403, "", {}, PlatformBusy, 300.0),
    (4, 1504022, 400, "", {}, PlatformBusy, 300.0),
    (4, 1504039, 400, "", {}, PlatformBusy, 300.0),
    (3, None, 400, "", {}, PermissionBlocked, None),
    (10, None, 403, "", {}, PermissionBlocked, None),
    (200, None, 403, "", {}, PermissionBlocked, None),
    (275, None, 400, "", {}, PermissionBlocked, None),
    (299, None, 400, "", {}, PermissionBlocked, None),
    (270, None, 400, "", {}, PermissionBlocked, None),
    (294, None, 400, "", {}, PermissionBlocked, None),
    (17, None, 400, "", {}, PlatformBusy, 60.0),
    (17, 2446079, 400, "", {}, PlatformBusy, 60.0),
    (17, 1885172, 400, "", {}, PlatformBusy, 60.0),
    (32, None, 400, "", {}, PlatformBusy, 60.0),
    (100, None, 400, "Invalid parameter", {}, InvalidRequest, None),
    (100, None, 400, "(#100) Missing permissions", {}, PermissionBlocked, None),
    (100, 33, 400, "does not exist ... missing permissions", {}, ObjectMissing, None),
    (100, 1815001, 400, "Cannot Request for Deleted Objects", {}, InvalidRequest, None),
    (100, 1487534, 400, "", {}, TooMuchData, None),
    (100, 1504018, 400, "", {}, TooMuchData, None),
    (100, 3191001, 400, "", {}, PermissionBlocked, None),
    (100, None, 500, "The ids query parameter is deprecated", {}, InvalidRequest, None),
    (102, None, 400, "", {}, CredentialBlocked, None),
    (104, None, 400, "Incorrect signature", {}, CredentialBlocked, None),
    (190, None, 400, "", {}, CredentialBlocked, None),
    (190, None, 401, "", {}, CredentialBlocked, None),
    (190, 458, 400, "", {}, CredentialBlocked, None),
    (190, 459, 403, "", {}, CredentialBlocked, None),
    (190, 460, 400, "", {}, CredentialBlocked, None),
    (190, 463, 400, "", {}, CredentialBlocked, None),
    (190, 464, 400, "", {}, CredentialBlocked, None),
    (190, 467, 400, "", {}, CredentialBlocked, None),
    (190, 492, 400, "", {}, CredentialBlocked, None),
    (341, None, 400, "", {}, PlatformBusy, 300.0),
    (368, None, 400, "", {}, PlatformBusy, 3600.0),
    (613, None, 400, "", {}, PlatformBusy, 60.0),
    (613, 1487742, 400, "", {}, PlatformBusy, 60.0),
    (613, 1996, 400, "", {}, PlatformBusy, 60.0),
    (613, 5044001, 400, "", {}, PlatformBusy, 60.0),
    (803, None, 404, "", {}, ObjectMissing, None),
    (960, None, 400, "", {}, PlatformBusy, None),
    (2500, None, 400, "", {}, InvalidRequest, None),
    (2635, None, 400, "", {}, Blocked, None),
    (2642, None, 400, "", {}, BadCursor, None),
    (3018, None, 400, "", {}, Blocked, None),
    *[
        (code, 2446079, 400, "", {}, PlatformBusy, 300.0)
        for code in (80000, 80001, 80002, 80003, 80004, 80005, 80006, 80008, 80009, 80014)
    ],
    (-3, 1504045, 200, "", {}, TooMuchData, None),
    (-2, 2490547, 200, "", {}, PlatformBusy, None),
    (-1, None, 400, "", {}, PlatformBusy, None),
    # Codes nobody here knows: by what Meta says about trying again, then by HTTP status.
    (99999, None, 400, "", {"is_transient": True}, PlatformBusy, None),
    (99999, None, 400, "", {"is_transient": False}, Blocked, None),
    (99999, None, 400, "", {}, IncompleteRead, None),
    (99999, None, 500, "", {}, PlatformBusy, None),
    (99999, None, 401, "", {}, CredentialBlocked, None),
    (99999, None, 403, "", {}, PermissionBlocked, None),
    (99999, None, 429, "", {}, PlatformBusy, 60.0),
    # is_transient says more than a permanent code, and less than a throttle's or token's.
    (100, None, 400, "", {"is_transient": True}, PlatformBusy, None),
    (190, None, 400, "", {"is_transient": True}, CredentialBlocked, None),
    (17, None, 400, "", {"is_transient": True}, PlatformBusy, 60.0),
    (2, None, 400, "", {"is_transient": False}, Blocked, None),
    (1, None, 500, "", {"is_transient": False}, PlatformBusy, None),
]


def outcome(response: Response) -> AdsyncError:
    """What the check raises."""
    with pytest.raises(AdsyncError) as caught:
        check_response(response)
    return caught.value


@pytest.mark.parametrize("line", TABLE, ids=lambda line: f"{line[0]}-{line[1]}-{line[2]}")
def test_every_code_has_its_family(line: tuple[Any, ...]) -> None:
    """Each code and subcode becomes exactly one class, with the wait that belongs to it."""
    code, subcode, status, message, more, kind, wait = line
    error = outcome(failure(code, subcode, status, f"{message} {CANARY}", **more))
    assert type(error) is kind
    assert getattr(error, "retry_after_seconds", None) == wait
    assert CANARY not in str(error)
    assert f"code {code}" in str(error)


def test_every_rule_is_reached_by_the_table() -> None:
    """A line of the policy that no case reaches could be wrong unnoticed."""
    reached = set()
    for code, subcode, _status, message, _more, _kind, _wait in TABLE:
        for index, rule in enumerate(RULES):
            if (
                (rule.codes is None or code in rule.codes)
                and (rule.subcodes is None or subcode in rule.subcodes)
                and (rule.text is None or rule.text in message.lower())
            ):
                reached.add(index)
                break
    assert reached == set(range(len(RULES)))


def test_an_error_inside_http_200_is_an_error() -> None:
    """The body decides: Meta also sends its envelope with HTTP 200."""
    assert type(outcome(failure(190, status=200))) is CredentialBlocked


def test_the_families_are_what_callers_catch() -> None:
    """The adapter's own classes belong to the families the services know."""
    assert issubclass(ObjectMissing, AccountBlocked)
    assert issubclass(BadCursor, IncompleteRead)
    assert issubclass(InvalidRequest, Defect)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"", IncompleteRead),
        (200, b"<html>busy</html>", IncompleteRead),
        (200, b'{"data":[{"id":"1"', IncompleteRead),
        (200, b'{"data":[NaN]}', IncompleteRead),
        (200, b'"text"', IncompleteRead),
        (200, b"7", IncompleteRead),
        (200, b'{"error":"invalid_token"}', IncompleteRead),
        (200, b"[" * 100_000, IncompleteRead),
        (500, b"<html>", PlatformBusy),
        (502, b"", PlatformBusy),
        (503, b"{}", PlatformBusy),
        (429, b"", PlatformBusy),
        (401, b"", CredentialBlocked),
        (403, b"<html>", IncompleteRead),
        (404, b"<html>", IncompleteRead),
        (302, b"", Defect),
    ],
)
def test_answers_that_are_no_answers(status: int, body: bytes, kind: type[AdsyncError]) -> None:
    """Empty, cut, HTML and odd bodies raise; they are never an empty success."""
    error = outcome(Response(status=status, headers={}, body=body))
    assert type(error) is kind
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize("payload", [{"data": []}, [], {"id": "1", "error_code": 4}])
def test_success_passes(payload: object) -> None:
    """Lists, objects and report runs that failed by themselves are answers."""
    check_response(answer(payload))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (
            {
                "x-business-use-case-usage": '{"501":[{"type":"ads_management"},'
                '{"type":"ads_insights","estimated_time_to_regain_access":19}]}'
            },
            1140.0,
        ),
        ({"x-ad-account-usage": '{"acc_id_util_pct":100,"reset_time_duration":240}'}, 240.0),
        ({"x-ad-account-usage": '{"acc_id_util_pct":9.67,"reset_time_duration":240}'}, 300.0),
        ({"x-business-use-case-usage": "not json"}, 300.0),
    ],
)
def test_a_throttle_waits_as_long_as_its_headers_say(
    headers: dict[str, str], seconds: float
) -> None:
    """Minutes of the business header and seconds of the account's become seconds."""
    response = failure(80000, 2446079)
    error = outcome(Response(status=400, headers=headers, body=response.body))
    assert isinstance(error, PlatformBusy)
    assert error.retry_after_seconds == seconds


@pytest.mark.parametrize("code", ["190", None, True, [190], "--5", "\u0661\u0669\u0660x"])
def test_odd_codes_do_not_break_the_classification(code: object) -> None:
    """A code that is no number is an unknown code; a number in text is its number."""
    error = outcome(answer({"error": {"code": code, "message": None}}, 400))
    assert type(error) is (CredentialBlocked if code == "190" else IncompleteRead)
