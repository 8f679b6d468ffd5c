"""Which error family a Google Ads answer belongs to, decided by its error code.

An error names exactly one code, `<family>Error: NAME`, in a GoogleAdsFailure; only when there
is none does the HTTP status decide. On a stream the error stands in an array, first or after
rows. Google's own message is never repeated.

Source of the codes: the error enums of the Google Ads API v26.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

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
from adsync_dagster.platforms.protocol import Response

#: How long a throttled caller stays away when Google names no delay.
SHORT_SECONDS = 60.0
#: A used-up day is a sliding window of 24 hours, so an hour brings something back.
LONG_SECONDS = 3600.0
_DURATION = re.compile(r"(\d{1,7})(\.\d{1,9})?s", re.ASCII)


class InvalidRequest(Defect):
    """Google says that the question itself is wrong."""


class Kind(StrEnum):
    """What an error asks of the caller."""

    BUSY = "busy"
    SHORT = "short throttle"
    LONG = "long throttle"
    CREDENTIAL = "credential"
    PERMISSION = "permission"
    ACCOUNT = "account"
    REFUSED = "refused"
    AGAIN = "again"
    INVALID = "invalid"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a code means, and the words for it."""

    kind: Kind
    words: str


_RENEW = "get a valid credential and store it with `adsync accounts add`"
_TOKEN = Rule(Kind.CREDENTIAL, f"refuses the access token; {_RENEW}")
_RIGHT = Rule(
    Kind.PERMISSION,
    "refuses the access; if it goes through a manager account, the credential needs its id as"
    " login_customer_id",
)
_PROJECT = Rule(
    Kind.PERMISSION,
    "refuses the Cloud project of the credential; check it in the Cloud console",
)
_CLOSED = Rule(
    Kind.ACCOUNT,
    "says the account is cancelled, closed or not set up; reactivate it in Google Ads, or give it"
    " up with `adsync accounts remove` (its data stay)",
)
_SUSPENDED = Rule(
    Kind.ACCOUNT, "says the account is suspended; Google Ads' policy and billing pages say why"
)
_UNKNOWN_ACCOUNT = Rule(Kind.ACCOUNT, "does not know the account; check its id")
_INVALID = Rule(Kind.INVALID, "does not accept the request")
_HISTORY = Rule(Kind.REFUSED, "keeps 37 months of reports; start the account's history later")

#: Codes by family; "" stands for every other code of the family.
RULES: dict[str, dict[str, Rule]] = {
    "quotaError": {
        "ACCESS_PROHIBITED": _PROJECT,
        "RESOURCE_TEMPORARILY_EXHAUSTED": Rule(Kind.SHORT, "asks us to call less often"),
        "EXCESSIVE_SHORT_TERM_QUERY_RESOURCE_CONSUMPTION": Rule(
            Kind.SHORT, "asks for lighter questions for a while"
        ),
        "": Rule(Kind.LONG, "says the quota is used up"),
    },
    "authenticationError": {
        "CUSTOMER_NOT_FOUND": _UNKNOWN_ACCOUNT,
        "NOT_ADS_USER": Rule(Kind.CREDENTIAL, f"says the user has no Google Ads account; {_RENEW}"),
        "OAUTH_TOKEN_REVOKED": Rule(Kind.CREDENTIAL, f"says the access was revoked; {_RENEW}"),
        "TWO_STEP_VERIFICATION_NOT_ENROLLED": Rule(
            Kind.CREDENTIAL, "wants the credential's user to turn two-step verification on"
        ),
        "DEVELOPER_TOKEN_INVALID": Rule(Kind.CREDENTIAL, f"refuses the developer token; {_RENEW}"),
        "": _TOKEN,
    },
    "authorizationError": {
        "CUSTOMER_NOT_ENABLED": _CLOSED,
        "ACTION_NOT_PERMITTED_FOR_SUSPENDED_ACCOUNT": _SUSPENDED,
        "DEVELOPER_TOKEN_PROHIBITED": Rule(
            Kind.PERMISSION,
            "says the developer token belongs to another Cloud project; leave it out of the"
            " credential, or take an OAuth client of its project",
        ),
        "DEVELOPER_TOKEN_NOT_APPROVED": Rule(
            Kind.PERMISSION,
            "lets the developer token read test accounts only; apply for basic access in the"
            " manager account's API center",
        ),
        "PROJECT_DISABLED": _PROJECT,
        "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION": Rule(
            Kind.PERMISSION,
            "lets the Cloud project read test accounts only; apply for production access",
        ),
        "": _RIGHT,
    },
    "internalError": {"": Rule(Kind.BUSY, "failed on its own side")},
    "headerError": {
        "INVALID_LOGIN_CUSTOMER_ID": Rule(
            Kind.CREDENTIAL, f"does not know the credential's login_customer_id; {_RENEW}"
        ),
        "": _INVALID,
    },
    "queryError": {
        "REQUESTED_METRICS_FOR_MANAGER": Rule(
            Kind.ACCOUNT,
            "has no numbers of a manager account; add its client accounts"
            " (`adsync accounts discover --platform google_ads` lists them)",
        ),
        "": _INVALID,
    },
    "requestError": {
        "INVALID_CUSTOMER_ID": _UNKNOWN_ACCOUNT,
        "CLOUD_PROJECT_NOT_FOUND": _PROJECT,
        "DEVELOPER_TOKEN_PARAMETER_MISSING": Rule(
            Kind.CREDENTIAL, f"wants a developer_token in the credential; {_RENEW}"
        ),
        "INVALID_PAGE_TOKEN": Rule(Kind.AGAIN, "no longer knows the page"),
        "EXPIRED_PAGE_TOKEN": Rule(Kind.AGAIN, "no longer knows the page"),
        "RPC_DEADLINE_TOO_SHORT": Rule(Kind.BUSY, "ran out of time"),
        "UNSUPPORTED_VERSION": Rule(
            Kind.REFUSED,
            "no longer serves this API version; set ADSYNC_GOOGLE_ADS_API_VERSION to a newer one",
        ),
        "": _INVALID,
    },
    "dateRangeError": {"REQUESTED_DATE_GRANULARITY_NOT_SUPPORTED": _HISTORY, "": _INVALID},
    # A change history is a hint: that it cannot be had must not bring a run down.
    "changeStatusError": {"": Rule(Kind.REFUSED, "does not tell the change history")},
    "changeEventError": {"": Rule(Kind.REFUSED, "does not tell the change history")},
}
#: Refusals of Google's front, before the API is asked. Source: google.rpc.ErrorInfo reasons.
_REASONS = {
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": Rule(
        Kind.CREDENTIAL,
        "says the refresh token lacks the scope https://www.googleapis.com/auth/adwords; consent"
        " again with it, then store the new one with `adsync accounts add`",
    ),
    "SERVICE_DISABLED": Rule(
        Kind.PERMISSION,
        "says the Google Ads API is not enabled in the credential's Cloud project; enable it in"
        " the Cloud console",
    ),
}
_NO_VERSION = Rule(
    Kind.REFUSED, "knows no such address; check ADSYNC_GOOGLE_ADS_API_VERSION and the base URL"
)
_UNKNOWN = Rule(Kind.UNKNOWN, "gave an error this version does not know")
#: What an error without a known code means, by HTTP status.
_BY_STATUS: dict[int, Rule] = {
    401: _TOKEN,
    403: _RIGHT,
    404: _NO_VERSION,
    408: Rule(Kind.BUSY, "ran out of time"),
    429: Rule(Kind.SHORT, "asks us to call less often"),
}
_FAILED = Rule(Kind.BUSY, "failed on its own side")

_CLASSES: dict[Kind, type[AdsyncError]] = {
    Kind.BUSY: PlatformBusy,
    Kind.CREDENTIAL: CredentialBlocked,
    Kind.PERMISSION: PermissionBlocked,
    Kind.ACCOUNT: AccountBlocked,
    Kind.REFUSED: Blocked,
    Kind.AGAIN: IncompleteRead,
    Kind.INVALID: InvalidRequest,
    Kind.UNKNOWN: IncompleteRead,
}


def check_response(response: Response) -> None:
    """Return when Google answered the question, else raise what the answer means."""
    if 300 <= response.status < 400:
        raise Defect(f"Google answered HTTP {response.status}, a redirect; it is not followed")
    payload = _payload(response)
    for part in payload if isinstance(payload, list) else [payload]:
        error = part.get("error") if isinstance(part, dict) else None
        if isinstance(error, dict):
            raise classify(error, response.status)
        if error is not None:
            raise IncompleteRead(f"Google answered HTTP {response.status} with an unreadable error")
    if response.status != 200:
        raise _exception(_by_status(response.status), f"HTTP {response.status}", None)


def _payload(response: Response) -> Any:
    """The parsed body; an unparsable one matters only when the status claims success."""
    try:
        return response.json()
    except IncompleteRead:
        if response.status == 200:
            raise
        return None


def classify(error: Mapping[str, Any], status: int) -> AdsyncError:
    """The exception an error object stands for: its first code that the table knows decides."""
    number = error.get("code")
    if status == 200 and isinstance(number, int) and not isinstance(number, bool):
        # An error in the middle of a stream that began well carries its own status.
        status = number
    rule, code, wait = _by_status(status), "no code", None
    for family, name, details in _codes(error):
        known = RULES.get(family, {})
        rule, code, wait = known.get(name, known.get("", rule)), f"{family} {name}", _delay(details)
        if known:
            break
    else:
        reason = next((one for one in _reasons(error) if one in _REASONS), None)
        if reason is not None:
            rule, code = _REASONS[reason], reason
    return _exception(rule, f"{code}, HTTP {status}", wait)


def _codes(error: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Family, name and details of every code in the error's failures."""
    details = error.get("details")
    for failure in details if isinstance(details, list) else []:
        errors = failure.get("errors") if isinstance(failure, dict) else None
        for one in errors if isinstance(errors, list) else []:
            code = one.get("errorCode") if isinstance(one, dict) else None
            for family, name in code.items() if isinstance(code, dict) else []:
                if isinstance(name, str):
                    yield _word(family), _word(name), one.get("details")


def _reasons(error: Mapping[str, Any]) -> Iterator[str]:
    details = error.get("details")
    for detail in details if isinstance(details, list) else []:
        reason = detail.get("reason") if isinstance(detail, dict) else None
        if isinstance(reason, str):
            yield reason


def _word(text: str) -> str:
    """A name as it may stand in a message."""
    return re.sub(r"\W", "", text, flags=re.ASCII)[:80]


def _by_status(status: int) -> Rule:
    return _BY_STATUS.get(status, _FAILED if status >= 500 else _UNKNOWN)


def _delay(details: Any) -> float | None:
    """How long Google asks us to stay away: a protobuf duration such as `30s` or `1.5s`."""
    quota = details.get("quotaErrorDetails") if isinstance(details, dict) else None
    text = quota.get("retryDelay") if isinstance(quota, dict) else None
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    return None if found is None else float(found[1]) + float(found[2] or 0)


def _exception(rule: Rule, codes: str, wait: float | None) -> AdsyncError:
    message = f"Google Ads {rule.words} ({codes})"
    if rule.kind in {Kind.SHORT, Kind.LONG}:
        usual = SHORT_SECONDS if rule.kind is Kind.SHORT else LONG_SECONDS
        return PlatformBusy(message, retry_after_seconds=usual if wait is None else wait)
    return _CLASSES[rule.kind](message)
