"""The Graph API's error envelope and the errors this simulator can answer with, by name.

Codes, subcodes and HTTP statuses follow the table in the project's protocol notes; HTTP 400 is
the default because that is what most of them arrive as, throttles included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class GraphError(Exception):
    """An answer with an `error` body."""

    def __init__(
        self,
        message: str,
        code: int,
        *,
        subcode: int | None = None,
        http: int = 400,
        kind: str = "OAuthException",
        transient: bool | None = None,
        title: str | None = None,
        user_message: str | None = None,
        data: Any = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.subcode = subcode
        self.http = http
        self.kind = kind
        self.transient = transient
        self.title = title
        self.user_message = user_message
        self.data = data

    def body(self, trace_id: str) -> dict[str, Any]:
        """The envelope; absent parts are left out, as Meta does."""
        error: dict[str, Any] = {"message": self.message, "type": self.kind, "code": self.code}
        if self.data is not None:
            error["error_data"] = self.data
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        if self.transient is not None:
            error["is_transient"] = self.transient
        if self.title is not None:
            error["error_user_title"] = self.title
        if self.user_message is not None:
            error["error_user_msg"] = self.user_message
        error["fbtrace_id"] = trace_id
        return {"error": error}


def invalid(message: str) -> GraphError:
    """Code 100, an invalid parameter."""
    return GraphError(f"(#100) {message}", 100)


def missing_object(object_id: str) -> GraphError:
    """100/33: the object does not exist, or this token may not see it."""
    return GraphError(
        f"Unsupported get request. Object with ID '{object_id}' does not exist, cannot be loaded"
        " due to missing permissions, or does not support this operation.",
        100,
        subcode=33,
        kind="GraphMethodException",
    )


def unknown_alias(alias: str) -> GraphError:
    """803: a name instead of a number."""
    return GraphError(f"(#803) Some of the aliases you requested do not exist: {alias}", 803)


def unknown_field(name: str, node_type: str) -> GraphError:
    """Code 100 for a field that the node type does not have."""
    return invalid(f"Tried accessing nonexisting field ({name}) on node type ({node_type})")


def deleted_requested() -> GraphError:
    """100/1815001: a listing edge was asked for deleted objects."""
    return GraphError(
        "Invalid parameter",
        100,
        subcode=1815001,
        title="Cannot Request for Deleted Objects",
        user_message="Requests for deleted objects are not supported on this edge.",
        transient=False,
    )


def reduce_data() -> GraphError:
    """Code 1 with HTTP 500: the page is too heavy."""
    return GraphError(
        "Please reduce the amount of data you're asking for, then retry your request", 1, http=500
    )


def too_much_data() -> GraphError:
    """100/1487534: the report is too large for one call."""
    return GraphError(
        "Invalid parameter",
        100,
        subcode=1487534,
        title="Too much data was requested",
        user_message="Ask for a shorter time range, fewer fields, or use an asynchronous report.",
    )


def too_old() -> GraphError:
    """3018: the start date is beyond retention."""
    return GraphError(
        "(#3018) The start date of the time range cannot be beyond 37 months from the current date",
        3018,
    )


def bad_cursor() -> GraphError:
    """2642: the cursor is none of ours."""
    return GraphError("(#2642) Invalid cursors values", 2642)


def ids_removed() -> GraphError:
    """The removed multi-get: HTTP 500, and it never gets better."""
    return GraphError("The ids query parameter is deprecated in v26.0+.", 100, http=500)


def old_version(text: str) -> GraphError:
    """2635: this Marketing API version has expired."""
    return GraphError(
        f"(#2635) You are calling a deprecated version of the Ads API ({text})."
        " Please update to the latest version.",
        2635,
    )


def unparsable(detail: str) -> GraphError:
    """2500: the query could not be read."""
    return GraphError(detail, 2500)


def token_error(message: str, subcode: int | None = None) -> GraphError:
    """190: the token is no good."""
    return GraphError(message, 190, subcode=subcode)


def token_expired() -> GraphError:
    """190/463."""
    return token_error("Error validating access token: Session has expired.", 463)


def token_revoked() -> GraphError:
    """190/460."""
    return token_error(
        "Error validating access token: The session has been invalidated because the user changed"
        " their password.",
        460,
    )


def missing_permission() -> GraphError:
    """200 with HTTP 403: the token lacks ads_read, or the owner did not grant it."""
    return GraphError(
        "(#200) Ad account owner has NOT grant ads_management or ads_read permission",
        200,
        http=403,
    )


def _throttle(code: int, message: str, subcode: int | None = None) -> Callable[[], GraphError]:
    return lambda: GraphError(f"(#{code}) {message}", code, subcode=subcode)


_ACCOUNT_CALLS = "There have been too many calls from this ad-account. Wait a bit and try again."
_SERVICE = "Service temporarily unavailable"


#: Errors that a fault can answer with, by name.
NAMED: dict[str, Callable[[], GraphError]] = {
    "unknown": lambda: GraphError("An unknown error occurred", 1, http=500),
    "unknown_99": lambda: GraphError("An unknown error occurred", 1, subcode=99, http=500),
    "reduce_data": reduce_data,
    "profile_not_linked": lambda: GraphError(
        "An unknown error occurred", 1, subcode=2853001, transient=False
    ),
    "service": lambda: GraphError(_SERVICE, 2, http=503, transient=True),
    "service_400": lambda: GraphError(_SERVICE, 2, transient=True),
    "insights_timeout": lambda: GraphError(_SERVICE, 2, subcode=1504038, transient=True),
    "insights_intermittent": lambda: GraphError(_SERVICE, 2, subcode=1504043),
    "insights_timed_out": lambda: GraphError("Invalid parameter", 100, subcode=1504018),
    "app_limit": _throttle(4, "Application request limit reached"),
    "insights_platform_limit": _throttle(4, "Application request limit reached", 1504022),
    "user_limit": _throttle(17, "User request limit reached"),
    "account_score": _throttle(17, "User request limit reached", 2446079),
    "page_limit": _throttle(32, "Page request limit reached"),
    "custom_limit": _throttle(613, "Calls to this api have exceeded the rate limit."),
    "account_burst": _throttle(613, "Calls to this api have exceeded the rate limit.", 1487742),
    "buc_insights": _throttle(80000, _ACCOUNT_CALLS, 2446079),
    "buc_management": _throttle(80004, _ACCOUNT_CALLS, 2446079),
    "buc_other": _throttle(80014, _ACCOUNT_CALLS),
    "app_quota": _throttle(341, "Application limit reached"),
    "blocked_abuse": lambda: GraphError(
        "The action attempted has been deemed abusive or is otherwise disallowed", 368
    ),
    "permission": missing_permission,
    "permission_10": lambda: GraphError(
        "(#10) Application does not have permission for this action", 10, http=403
    ),
    "capability": lambda: GraphError(
        "(#3) Application does not have the capability to make this API call.", 3
    ),
    "dev_tier": lambda: GraphError("(#270) This Ads API request is not allowed", 270),
    "permission_100": lambda: invalid("Missing permissions"),
    "token_expired": token_expired,
    "token_revoked": token_revoked,
    "token_checkpoint": lambda: token_error("The user is enrolled in a checkpoint", 459),
    "token_invalid": lambda: token_error("Invalid OAuth access token.", 467),
    "token_401": lambda: GraphError("Invalid OAuth access token.", 190, http=401),
    "session_102": lambda: GraphError("Session key invalid or no longer valid", 102),
    "missing_object": lambda: missing_object("0"),
    "bad_cursor": bad_cursor,
    "too_much_data": too_much_data,
    "too_old": too_old,
    "old_version": lambda: old_version("v23.0"),
    "ids_removed": ids_removed,
    "batch_failed": lambda: GraphError("Batch request failed", 960),
    "unknown_code": lambda: GraphError("Something nobody has documented", 987654),
}
