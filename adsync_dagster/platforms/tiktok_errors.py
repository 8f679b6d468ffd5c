"""Which error family a TikTok answer belongs to, decided by the code in its body.

Nearly every answer is HTTP 200, errors included; success is `code` 0 and nothing else. The
code outranks the HTTP status, which decides only when there is no envelope at all (a gateway,
a wrong path). TikTok's own message is never repeated: it may quote what was sent.

Source of the codes: the Business API's return-code page and the official SDK's code list.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

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
from adsync_dagster.platforms.protocol import Response

#: The header that is the only sign of a report cut to the newest 20,000 ads.
THROTTLE_HEADER = "x-tt-ads-throttle"
#: A breached per-second limit is over after a second; one per minute only after minutes, and
#: the code does not tell them apart. Threads of an account keep this together, a few times.
THROTTLE_SECONDS = 5.0
MAINTENANCE_SECONDS = 600.0
#: A report task's result is the one answer without envelope: its first line names columns.
_CSV = re.compile(rb"(?:\xef\xbb\xbf)?\"?[a-z][a-z0-9_]*\"?(?:,\"?[a-z][a-z0-9_]*\"?)+\r?(?:\n|\Z)")


class ObjectMissing(AccountBlocked):
    """TikTok does not know the object, or hides it from this token. Not the same as deleted."""


class AdsTruncated(TooMuchData):
    """The report considered only the newest ads, with code 0: it has to be asked in parts."""


class TooManyIds(TooMuchData):
    """A list of ids was longer than TikTok takes."""


class InvalidRequest(Defect):
    """TikTok says that the question itself is wrong."""


class Kind(StrEnum):
    """What an error asks of the caller."""

    BUSY = "busy"
    THROTTLED = "throttled"
    MAINTENANCE = "maintenance"
    TOO_MUCH = "too much data"
    TOO_MANY_IDS = "too many ids"
    MISSING = "missing"
    CREDENTIAL = "credential"
    PERMISSION = "permission"
    ACCOUNT = "account"
    REFUSED = "refused"
    INVALID = "invalid"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table."""

    codes: Collection[int]
    kind: Kind
    words: str


_RENEW = "get a valid token and store it with `adsync accounts add`"

#: The first matching line decides.
RULES: tuple[Rule, ...] = (
    Rule({20001}, Kind.UNKNOWN, "answered only a part of the question"),
    Rule(
        {40001},
        Kind.PERMISSION,
        "says the token may not read this advertiser; authorise the app for it in TikTok, then"
        " store the new token with `adsync accounts add`",
    ),
    Rule({40007}, Kind.MISSING, "does not know the object"),
    Rule({40011}, Kind.TOO_MANY_IDS, "takes fewer ids at a time"),
    Rule(
        {40016, 40100, 40132, 40133, 61000},
        Kind.THROTTLED,
        "asks us to call less often",
    ),
    Rule({40101}, Kind.CREDENTIAL, "refuses the app's id or secret; check both in the app"),
    Rule({40102}, Kind.CREDENTIAL, f"says the token expired; {_RENEW}"),
    Rule({40103, 40107, 40110}, Kind.CREDENTIAL, f"refuses the authorisation; {_RENEW}"),
    Rule({40104}, Kind.CREDENTIAL, f"got no token; {_RENEW}"),
    Rule({40105}, Kind.CREDENTIAL, f"says the token is wrong or was revoked; {_RENEW}"),
    Rule({40106, 40113}, Kind.CREDENTIAL, f"refuses the token's user or app; {_RENEW}"),
    Rule({40118}, Kind.PERMISSION, "wants the account on an allow-list first"),
    Rule(
        {40124, 40125, 40130, 40131},
        Kind.PERMISSION,
        "says the app lacks the scope; it needs to read ads and reports: add that to the app,"
        " authorise it anew, and store the new token with `adsync accounts add`",
    ),
    Rule({40200, 40201, 40202, 40050, 40700}, Kind.BUSY, "is not ready with it yet"),
    Rule(
        {40300, 40301},
        Kind.ACCOUNT,
        "does not know the advertiser, or has deleted it; check the id, or give it up with"
        " `adsync accounts remove`",
    ),
    Rule({40502, 41000}, Kind.REFUSED, "refuses the request"),
    Rule({40006, 40051}, Kind.REFUSED, "no longer serves this API version; upgrade adsync"),
    Rule({41001, 41002}, Kind.REFUSED, "took this interface or field offline; upgrade adsync"),
    Rule({40000, 40002, 40008, 40009, 40010, 40400}, Kind.INVALID, "does not accept the request"),
    # The same query that timed out three times in ten minutes is barred: ask for less instead.
    Rule({50002}, Kind.TOO_MUCH, "timed out on the question"),
    Rule(range(50000, 60000), Kind.BUSY, "failed on its own side"),
    Rule({60001}, Kind.MAINTENANCE, "is under maintenance"),
)
_UNKNOWN = Rule((), Kind.UNKNOWN, "gave an error this version does not know")

_CLASSES: dict[Kind, type[AdsyncError]] = {
    Kind.BUSY: PlatformBusy,
    Kind.TOO_MUCH: TooMuchData,
    Kind.TOO_MANY_IDS: TooManyIds,
    Kind.MISSING: ObjectMissing,
    Kind.CREDENTIAL: CredentialBlocked,
    Kind.PERMISSION: PermissionBlocked,
    Kind.ACCOUNT: AccountBlocked,
    Kind.REFUSED: Blocked,
    Kind.INVALID: InvalidRequest,
    Kind.UNKNOWN: IncompleteRead,
}


def check_response(response: Response) -> None:
    """Return when TikTok answered the question whole, else raise what the answer means."""
    status = response.status
    if 300 <= status < 400:
        raise Defect(f"TikTok answered HTTP {status}, a redirect; it is not followed")
    is_success = 200 <= status < 300
    if is_success and _CSV.match(response.body):
        return
    code = _code(response)
    if code is None:
        raise _without_envelope(status)
    if code != 0:
        raise classify(code, status)
    if not is_success:
        raise PlatformBusy(f"TikTok contradicts itself (code 0, HTTP {status})")
    if not isinstance(response.json().get("data"), dict):
        raise IncompleteRead("TikTok answered with success, but without data")
    if THROTTLE_HEADER in response.headers:
        raise AdsTruncated("TikTok considered only the newest ads of a large account")


def classify(code: int, status: int = 200) -> AdsyncError:
    """The exception a code stands for."""
    rule = next((rule for rule in RULES if code in rule.codes), _UNKNOWN)
    message = f"TikTok {rule.words} (code {code}, HTTP {status})"
    if rule.kind is Kind.THROTTLED:
        return PlatformBusy(message, retry_after_seconds=THROTTLE_SECONDS)
    if rule.kind is Kind.MAINTENANCE:
        return PlatformBusy(message, retry_after_seconds=MAINTENANCE_SECONDS)
    return _CLASSES[rule.kind](message)


def _code(response: Response) -> int | None:
    """The envelope's code; None when the body is no envelope."""
    try:
        payload = response.json()
    except IncompleteRead:
        return None
    code = payload.get("code") if isinstance(payload, dict) else None
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def _without_envelope(status: int) -> AdsyncError:
    """A proxy, a load balancer, a wrong path, a cut answer."""
    if status == 429:
        return PlatformBusy(
            "TikTok asks us to call less often (HTTP 429)", retry_after_seconds=THROTTLE_SECONDS
        )
    if status >= 500:
        return PlatformBusy(f"TikTok failed on its own side (HTTP {status})")
    return IncompleteRead(f"TikTok answered HTTP {status} without its envelope")
