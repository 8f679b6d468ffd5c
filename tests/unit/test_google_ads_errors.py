"""Google Ads errors: the family of every code, delays, arrays, and nothing secret repeated."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from google_ads_driving import failure

from adsync_dagster.errors import (
    AccountBlocked,
    AdsyncError,
    Blocked,
    CredentialBlocked,
    Defect,
    IncompleteRead,
    PermissionBlocked,
    PlatformBusy,
)
from adsync_dagster.platforms.google_ads_errors import InvalidRequest, check_response
from adsync_dagster.platforms.protocol import Response


def error_of(payload: Any, status: int = 400) -> AdsyncError:
    """What an answer raises."""
    body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    with pytest.raises(AdsyncError) as caught:
        check_response(Response(status=status, headers={}, body=body))
    return caught.value


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("quotaError.RESOURCE_EXHAUSTED", 429, PlatformBusy),
        ("quotaError.RESOURCE_TEMPORARILY_EXHAUSTED", 429, PlatformBusy),
        ("quotaError.EXCESSIVE_SHORT_TERM_QUERY_RESOURCE_CONSUMPTION", 429, PlatformBusy),
        ("quotaError.EXCESSIVE_LONG_TERM_QUERY_RESOURCE_CONSUMPTION", 429, PlatformBusy),
        ("quotaError.ACCESS_PROHIBITED", 429, PermissionBlocked),
        ("authenticationError.OAUTH_TOKEN_EXPIRED", 401, CredentialBlocked),
        ("authenticationError.OAUTH_TOKEN_REVOKED", 401, CredentialBlocked),
        ("authenticationError.NOT_ADS_USER", 401, CredentialBlocked),
        ("authenticationError.CUSTOMER_NOT_FOUND", 401, AccountBlocked),
        ("authenticationError.SOMETHING_NEW", 401, CredentialBlocked),
        ("authorizationError.USER_PERMISSION_DENIED", 403, PermissionBlocked),
        ("authorizationError.CUSTOMER_NOT_ENABLED", 403, AccountBlocked),
        ("authorizationError.ACTION_NOT_PERMITTED_FOR_SUSPENDED_ACCOUNT", 403, AccountBlocked),
        ("authorizationError.CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION", 403, PermissionBlocked),
        ("authorizationError.DEVELOPER_TOKEN_NOT_APPROVED", 403, PermissionBlocked),
        ("internalError.INTERNAL_ERROR", 500, PlatformBusy),
        ("internalError.TRANSIENT_ERROR", 500, PlatformBusy),
        ("internalError.DEADLINE_EXCEEDED", 504, PlatformBusy),
        ("queryError.UNRECOGNIZED_FIELD", 400, InvalidRequest),
        ("queryError.REQUESTED_METRICS_FOR_MANAGER", 400, AccountBlocked),
        ("requestError.PAGE_SIZE_NOT_SUPPORTED", 400, InvalidRequest),
        ("requestError.EXPIRED_PAGE_TOKEN", 400, IncompleteRead),
        ("requestError.UNSUPPORTED_VERSION", 400, Blocked),
        ("requestError.DEVELOPER_TOKEN_PARAMETER_MISSING", 400, CredentialBlocked),
        ("requestError.INVALID_CUSTOMER_ID", 400, AccountBlocked),
        ("headerError.INVALID_LOGIN_CUSTOMER_ID", 400, CredentialBlocked),
        ("dateRangeError.REQUESTED_DATE_GRANULARITY_NOT_SUPPORTED", 400, Blocked),
        ("changeEventError.START_DATE_TOO_OLD", 400, Blocked),
        ("brandNewError.NEVER_SEEN", 400, IncompleteRead),
        ("brandNewError.NEVER_SEEN", 403, PermissionBlocked),
        ("brandNewError.NEVER_SEEN", 503, PlatformBusy),
    ],
)
@pytest.mark.parametrize("in_array", [False, True])
def test_every_code_has_its_family(
    code: str, status: int, kind: type[AdsyncError], in_array: bool
) -> None:
    """The code decides, on a stream's array as on a plain object; the text is not repeated."""
    payload: Any = failure(code, status)
    error = error_of([payload] if in_array else payload, status)
    assert type(error) is kind
    assert code.rpartition(".")[2] in str(error)
    assert "canary" not in str(error)


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [("30s", 30), ("1.5s", 1.5), ("0s", 0), ("soon", 60), ("-5s", 60), (None, 60), (7, 60)],
)
def test_googles_own_delay_is_kept(delay: Any, seconds: float) -> None:
    """retryDelay is a protobuf duration; without a readable one we choose."""
    details = {"quotaErrorDetails": {"rateScope": "ACCOUNT", "retryDelay": delay}}
    error = error_of(failure("quotaError.RESOURCE_TEMPORARILY_EXHAUSTED", 429, details), 429)
    assert isinstance(error, PlatformBusy)
    assert error.retry_after_seconds == seconds


def test_a_used_up_day_is_a_long_wait() -> None:
    """The daily quota comes back over a sliding day, so nobody keeps asking."""
    error = error_of(failure("quotaError.RESOURCE_EXHAUSTED", 429), 429)
    assert isinstance(error, PlatformBusy)
    assert error.retry_after_seconds == 3600


def test_the_first_known_code_decides() -> None:
    """An unknown code beside a known one does not hide it."""
    payload = failure("brandNewError.X")
    payload["error"]["details"][0]["errors"].append(
        {"errorCode": {"authorizationError": "CUSTOMER_NOT_ENABLED"}}
    )
    assert type(error_of(payload, 400)) is AccountBlocked


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"<html>not found</html>", 404, Blocked),
        (b"<html>bad gateway</html>", 502, PlatformBusy),
        (b"", 503, PlatformBusy),
        (b"{}", 429, PlatformBusy),
        (b"", 401, CredentialBlocked),
        (b"", 403, PermissionBlocked),
        (b"", 418, IncompleteRead),
        (b"<html>", 200, IncompleteRead),
        (b'{"error":"x"}', 400, IncompleteRead),
        (b"", 302, Defect),
    ],
)
def test_without_a_code_the_status_decides(
    body: bytes, status: int, kind: type[AdsyncError]
) -> None:
    """Proxies, gateways and unknown addresses answer without Google's envelope."""
    assert type(error_of(body, status)) is kind


@pytest.mark.parametrize(
    ("reason", "kind", "words"),
    [
        ("ACCESS_TOKEN_SCOPE_INSUFFICIENT", CredentialBlocked, "lacks the scope"),
        ("SERVICE_DISABLED", PermissionBlocked, "not enabled"),
        ("SOMETHING_NEW", PermissionBlocked, "refuses the access"),
        (7, PermissionBlocked, "refuses the access"),
    ],
)
def test_googles_front_gives_a_reason_instead_of_a_code(
    reason: Any, kind: type[AdsyncError], words: str
) -> None:
    """A scope that is missing and an API that is off are told before the API is asked."""
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}
    error = error_of({"error": {"code": 403, "details": [info]}}, 403)
    assert type(error) is kind
    assert words in str(error)


def test_an_error_within_a_stream_has_its_own_status() -> None:
    """HTTP 200 was sent long before: the error's own number counts."""
    error = error_of({"error": {"code": 503, "status": "UNAVAILABLE"}}, 200)
    assert type(error) is PlatformBusy


def test_an_answer_is_an_answer() -> None:
    """Chunks and lists without an error pass."""
    for body in (b'{"results":[]}', b"[]", b'[{"results":[]}]'):
        check_response(Response(status=200, headers={}, body=body))
