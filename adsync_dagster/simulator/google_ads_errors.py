"""Errors as the Google Ads API words them: one code of one family, in an object or an array."""

from __future__ import annotations

from typing import Any

from adsync_dagster.errors import UsageError

#: HTTP status and canonical status of each family, where a code has none of its own.
_FAMILIES: dict[str, tuple[int, str]] = {
    "authenticationError": (401, "UNAUTHENTICATED"),
    "authorizationError": (403, "PERMISSION_DENIED"),
    "quotaError": (429, "RESOURCE_EXHAUSTED"),
    "internalError": (500, "INTERNAL"),
    "queryError": (400, "INVALID_ARGUMENT"),
    "requestError": (400, "INVALID_ARGUMENT"),
    "headerError": (400, "INVALID_ARGUMENT"),
    "dateRangeError": (400, "INVALID_ARGUMENT"),
    "changeStatusError": (400, "INVALID_ARGUMENT"),
    "changeEventError": (400, "INVALID_ARGUMENT"),
}
_TRANSIENT = {
    "internalError.TRANSIENT_ERROR": (503, "UNAVAILABLE"),
    "internalError.DEADLINE_EXCEEDED": (504, "DEADLINE_EXCEEDED"),
}
#: Words of the token endpoint and their HTTP status.
OAUTH_ERRORS = {
    "invalid_grant": 400,
    "invalid_request": 400,
    "unsupported_grant_type": 400,
    "unauthorized_client": 401,
    "invalid_client": 401,
    "temporarily_unavailable": 503,
}


class GoogleAdsError(Exception):
    """An error of the API. `code` is written like quotaError.RESOURCE_EXHAUSTED."""

    def __init__(self, code: str, message: str = "", *, retry_delay: str | None = None) -> None:
        super().__init__(code)
        family, _, self.name = code.partition(".")
        if family not in _FAMILIES or not self.name:
            raise UsageError(
                f"{code!r} is no code of the Google Ads API; write it like"
                " quotaError.RESOURCE_EXHAUSTED"
            )
        self.family = family
        self.http, self.status = _TRANSIENT.get(code, _FAMILIES[family])
        self.message = message or f"The request failed with {self.name}."
        self.retry_delay = retry_delay

    def body(self, version: str, request_id: str) -> dict[str, Any]:
        """The error object, before a stream puts it into an array."""
        error: dict[str, Any] = {"errorCode": {self.family: self.name}, "message": self.message}
        if self.retry_delay is not None:
            error["details"] = {
                "quotaErrorDetails": {
                    "rateScope": "ACCOUNT",
                    "rateName": "Requests per account per minute",
                    "retryDelay": self.retry_delay,
                }
            }
        kind = f"type.googleapis.com/google.ads.googleads.{version}.errors.GoogleAdsFailure"
        return {
            "error": {
                "code": self.http,
                "message": "Request failed. See details.",
                "status": self.status,
                "details": [{"@type": kind, "errors": [error], "requestId": request_id}],
            }
        }


class FrontRefusal(GoogleAdsError):
    """A refusal of Google's front, before the API is asked: a reason instead of a code."""

    def __init__(self, reason: str) -> None:
        super().__init__("authorizationError.USER_PERMISSION_DENIED", f"Refused: {reason}.")
        self.reason = reason

    def body(self, version: str, request_id: str) -> dict[str, Any]:  # noqa: ARG002
        """The error object with Google's general error information in it."""
        kind = "type.googleapis.com/google.rpc.ErrorInfo"
        return {
            "error": {
                "code": self.http,
                "message": self.message,
                "status": self.status,
                "details": [{"@type": kind, "reason": self.reason, "domain": "googleapis.com"}],
            }
        }


def query_error(name: str, message: str = "") -> GoogleAdsError:
    """A mistake in the query."""
    return GoogleAdsError(f"queryError.{name}", message)
