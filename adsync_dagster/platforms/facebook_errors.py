"""Which error family a Meta answer belongs to, decided by code and subcode.

The table below is the whole policy. Meta says that descriptions may change, so text decides
only where one code means two things; throttles usually arrive as HTTP 400, errors can arrive
as HTTP 200, and one HTTP 500 (the removed `ids` parameter) is permanent, so the HTTP status
decides only when no code is known. Meta's own message is never repeated: for a malformed
token it quotes the token.

Source of the codes: Marketing API "error codes", "insights error codes" and "rate limiting"
pages, and the Graph API error handling page.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
    TooMuchData,
)
from adsync_dagster.platforms.facebook_usage import regain_seconds
from adsync_dagster.platforms.protocol import Response

#: How long a throttled caller stays away when no header says it. A refused call still counts
#: and prolongs the block, so this is rather long than short.
THROTTLE_SECONDS = 60.0
QUOTA_SECONDS = 300.0
ABUSE_SECONDS = 3600.0


class ObjectMissing(AccountBlocked):
    """The object does not exist, or the token may not see it. It does not mean "deleted"."""


class BadCursor(IncompleteRead):
    """The paging cursor went stale: the listing starts again from its first page."""


class OtherObject(IncompleteRead):
    """An answer about an object that was not asked for: whatever came with it is mixed up, too."""


class InvalidRequest(Defect):
    """Meta says that the question itself is wrong."""


class Kind(StrEnum):
    """What an error asks of the caller."""

    BUSY = "busy"
    THROTTLED = "throttled"
    TOO_MUCH = "too much data"
    BAD_CURSOR = "bad cursor"
    MISSING = "missing"
    CREDENTIAL = "credential"
    PERMISSION = "permission"
    REFUSED = "refused"
    INVALID = "invalid"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table. `None` in a column means "any"."""

    codes: Collection[int] | None
    subcodes: Collection[int] | None
    #: Lower-case text the message must contain.
    text: str | None
    kind: Kind
    words: str
    wait_seconds: float = THROTTLE_SECONDS


_RENEW = "get a valid token and store it with `adsync accounts add`"
_WAIT = "asks us to call less often"
_LOOK = (
    "check the id: `adsync accounts discover --platform facebook` lists the accounts that a token"
    " sees"
)
_RIGHT = "the token needs ads_read on this account"

#: The first matching line decides: subcodes before texts before codes.
RULES: tuple[Rule, ...] = (
    Rule(
        {100},
        {33},
        None,
        Kind.MISSING,
        f"does not know the object, or hides it from this token; {_LOOK}",
    ),
    Rule({100}, {1487534, 1504018}, None, Kind.TOO_MUCH, "says the report is too large"),
    Rule({2}, {1504038}, None, Kind.TOO_MUCH, "timed out computing the report"),
    Rule({-3}, {1504045}, None, Kind.TOO_MUCH, "says the report is too large"),
    Rule({2}, {1504043, 1504044}, None, Kind.BUSY, "could not compute the report this time"),
    Rule({2}, {1504041, 1504042}, None, Kind.INVALID, "does not support these report columns"),
    Rule({100}, {1815001}, None, Kind.INVALID, "never lists deleted objects"),
    Rule({100}, {3191001}, None, Kind.PERMISSION, f"refuses the report; {_RIGHT}"),
    Rule({1}, {2853001}, None, Kind.PERMISSION, "says the token's profile is not linked"),
    Rule({4}, {1504022, 1504039}, None, Kind.THROTTLED, _WAIT, QUOTA_SECONDS),
    Rule({190}, {458}, None, Kind.CREDENTIAL, f"says the app was removed; {_RENEW}"),
    Rule({190}, {460}, None, Kind.CREDENTIAL, f"says the password was changed; {_RENEW}"),
    Rule({190}, {463}, None, Kind.CREDENTIAL, f"says the token expired; {_RENEW}"),
    Rule(None, None, "reduce the amount of data", Kind.TOO_MUCH, "asks for smaller pages"),
    Rule({100}, None, "permission", Kind.PERMISSION, f"refuses the access; {_RIGHT}"),
    Rule({1, 2}, None, None, Kind.BUSY, "failed on its own side"),
    Rule({960}, None, None, Kind.BUSY, "could not run the batch"),
    Rule({4, 341}, None, None, Kind.THROTTLED, _WAIT, QUOTA_SECONDS),
    Rule({17, 32, 613}, None, None, Kind.THROTTLED, _WAIT),
    Rule(range(80000, 80015), None, None, Kind.THROTTLED, _WAIT, QUOTA_SECONDS),
    Rule({368}, None, None, Kind.THROTTLED, "blocks this user for a while", ABUSE_SECONDS),
    Rule({102, 190}, None, None, Kind.CREDENTIAL, f"refuses the token; {_RENEW}"),
    Rule({104}, None, None, Kind.CREDENTIAL, "refuses appsecret_proof; check the app secret"),
    Rule({3, 10, 270, 294}, None, None, Kind.PERMISSION, f"refuses the access; {_RIGHT}"),
    Rule(range(200, 300), None, None, Kind.PERMISSION, f"refuses the access; {_RIGHT}"),
    Rule({803}, None, None, Kind.MISSING, f"does not know the object; {_LOOK}"),
    Rule({2642}, None, None, Kind.BAD_CURSOR, "no longer knows the paging cursor"),
    Rule(
        {2635},
        None,
        None,
        Kind.REFUSED,
        "no longer serves this API version; set ADSYNC_FACEBOOK_API_VERSION to a newer one",
    ),
    Rule(
        {3018},
        None,
        None,
        Kind.REFUSED,
        "keeps 37 months of reports; start the account's history later",
    ),
    Rule({100, 2500}, None, None, Kind.INVALID, "does not accept the request"),
)

_NEGATIVE = Rule(None, None, None, Kind.BUSY, "failed on its own side")
_UNKNOWN = Rule(None, None, None, Kind.UNKNOWN, "gave an error this version does not know")
#: What an error without a known code means, by HTTP status.
_BY_STATUS: dict[int, Rule] = {
    401: Rule(None, None, None, Kind.CREDENTIAL, f"refuses the token; {_RENEW}"),
    403: Rule(None, None, None, Kind.PERMISSION, f"refuses the access; {_RIGHT}"),
    429: Rule(None, None, None, Kind.THROTTLED, _WAIT),
}
#: `is_transient: true` does not turn these into "just try again".
_NOT_BY_TRYING = frozenset(
    {Kind.THROTTLED, Kind.TOO_MUCH, Kind.BAD_CURSOR, Kind.CREDENTIAL, Kind.BUSY}
)


def check_response(response: Response) -> None:
    """Return when Meta answered the question, else raise what the answer means."""
    if 300 <= response.status < 400:
        raise Defect(f"Meta answered HTTP {response.status}, a redirect; it is not followed")
    payload = _payload(response)
    error = payload.get("error") if isinstance(payload, dict) else None
    if isinstance(error, dict):
        raise classify(error, response.status, response.headers)
    if error is not None:
        raise IncompleteRead(f"Meta answered HTTP {response.status} with an unreadable error")
    if not 200 <= response.status < 300:
        raise _without_error_body(response)
    if not isinstance(payload, dict | list):
        raise IncompleteRead("Meta answered with something that is neither object nor list")


def _payload(response: Response) -> Any:
    """The parsed body; an unparsable one matters only when the status claims success."""
    try:
        return response.json()
    except IncompleteRead:
        if 200 <= response.status < 300:
            raise
        return None


def _without_error_body(response: Response) -> AdsyncError:
    """An HTTP failure that is not Meta's envelope: a proxy, a load balancer, a cut answer."""
    status = response.status
    if status == 429:
        return PlatformBusy(
            "Meta asks us to call less often (HTTP 429)",
            retry_after_seconds=regain_seconds(response.headers) or THROTTLE_SECONDS,
        )
    if status == 401:
        return CredentialBlocked(f"Meta refuses the token (HTTP 401); {_RENEW}")
    if status >= 500:
        return PlatformBusy(f"Meta failed on its own side (HTTP {status})")
    return IncompleteRead(f"Meta answered HTTP {status} without saying why")


def classify(error: Mapping[str, Any], status: int, headers: Mapping[str, str]) -> AdsyncError:
    """The exception an error object stands for; also used for batch items and report runs."""
    code, subcode = _integer(error.get("code")), _integer(error.get("error_subcode"))
    message = error.get("message")
    text = message.lower() if isinstance(message, str) else ""
    rule = _rule(code, subcode, text, status)
    kind = _kind(rule.kind, error.get("is_transient"), status)
    return _exception(kind, f"Meta {rule.words} ({_codes(code, subcode, status)})", rule, headers)


def _rule(code: int | None, subcode: int | None, text: str, status: int) -> Rule:
    for rule in RULES:
        if (
            (rule.codes is None or code in rule.codes)
            and (rule.subcodes is None or subcode in rule.subcodes)
            and (rule.text is None or rule.text in text)
        ):
            return rule
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500 or (code is not None and code < 0):
        return _NEGATIVE
    return _UNKNOWN


def _kind(kind: Kind, is_transient: object, status: int) -> Kind:
    """Meta's own word on whether trying again helps; its absence says nothing."""
    if is_transient is True and kind not in _NOT_BY_TRYING:
        return Kind.BUSY
    if is_transient is False and kind in {Kind.BUSY, Kind.UNKNOWN} and status < 500:
        return Kind.REFUSED
    return kind


def _exception(kind: Kind, message: str, rule: Rule, headers: Mapping[str, str]) -> AdsyncError:
    if kind is Kind.THROTTLED:
        wait = regain_seconds(headers) or rule.wait_seconds
        return PlatformBusy(message, retry_after_seconds=wait)
    return _CLASSES[kind](message)


_CLASSES: dict[Kind, type[AdsyncError]] = {
    Kind.BUSY: PlatformBusy,
    Kind.TOO_MUCH: TooMuchData,
    Kind.BAD_CURSOR: BadCursor,
    Kind.MISSING: ObjectMissing,
    Kind.CREDENTIAL: CredentialBlocked,
    Kind.PERMISSION: PermissionBlocked,
    Kind.REFUSED: Blocked,
    Kind.INVALID: InvalidRequest,
    Kind.UNKNOWN: IncompleteRead,
}


def _codes(code: int | None, subcode: int | None, status: int) -> str:
    parts = [f"code {code}" if code is not None else "no code"]
    if subcode is not None:
        parts.append(f"subcode {subcode}")
    return ", ".join([*parts, f"HTTP {status}"])


def _integer(value: object) -> int | None:
    """An error code as an int; some answers write it as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= 12 and value.removeprefix("-").isdecimal():
        return int(value)
    return None
