"""Accounts: what one is, which ones a credential reaches, and how long their days move.

A manager account has no numbers of its own. It is walked to its leaves, whatever their status:
a closed account still has a past. A leaf that is reached through a manager needs the manager's
id as `login-customer-id`, so the record says so in `access`.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

from adsync_dagster.errors import AccountBlocked, AdsyncError, IncompleteRead, PermissionBlocked
from adsync_dagster.platforms.google_ads_wire import (
    Customer,
    Question,
    ReadLimits,
    Row,
    customer_id,
    fetch_rows,
    own,
    proven,
)
from adsync_dagster.platforms.protocol import Request, Response, Step
from adsync_dagster.platforms.reading import Tally, ask
from adsync_dagster.records import AccountInfo

#: Google offers no longer conversion window.
WINDOW_DAYS_MAX = 90
#: The window of a conversion action that does not name one.
WINDOW_DAYS_DEFAULT = 30
_MANAGED_HERE = frozenset({"CONVERSION_TRACKING_MANAGED_BY_SELF", "NOT_CONVERSION_TRACKED"})
#: What an account's status asks of a person.
_TROUBLES = {
    "ENABLED": "",
    "CANCELED": "is cancelled: no ad runs until it is reactivated in Google Ads",
    "SUSPENDED": "is suspended: no ad runs; Google Ads' policy and billing pages say why",
    "CLOSED": "is closed for good: what is stored is kept, nothing new can be read",
}
_TRACKING = "customer.conversion_tracking_setting.conversion_tracking_status"
_ACCOUNT_FIELDS = (
    "customer.id",
    "customer.descriptive_name",
    "customer.currency_code",
    "customer.time_zone",
    "customer.status",
    "customer.manager",
    _TRACKING,
)
_WINDOW_FIELDS = (
    "customer.id",
    "conversion_action.id",
    "conversion_action.click_through_lookback_window_days",
    "conversion_action.view_through_lookback_window_days",
)
_CLIENT_FIELDS = (
    "customer_client.id",
    "customer_client.descriptive_name",
    "customer_client.level",
    "customer_client.manager",
    "customer_client.status",
    "customer_client.currency_code",
    "customer_client.time_zone",
)
_WINDOWS = ("clickThroughLookbackWindowDays", "viewThroughLookbackWindowDays")


def read_info(customer: Customer, tally: Tally) -> Generator[Step, Response | None, AccountInfo]:
    """The account itself; AccountBlocked when it is a manager's."""
    purpose = f"account {customer.account}"
    question = Question(fields=_ACCOUNT_FIELDS, resource="customer", purpose=purpose)
    rows = yield from fetch_rows(customer, question, tally)
    if len(rows) != 1:
        raise IncompleteRead(f"{purpose}: the answer describes {len(rows)} accounts")
    body = _body(rows[0], "customer", purpose)
    if body.get("id") != customer.account:
        raise IncompleteRead(f"{purpose}: the answer describes another account")
    if body.get("manager") is True:
        raise AccountBlocked(
            f"{customer.account} is a manager account, which has no numbers of its own; add its"
            " client accounts (`adsync accounts discover --platform google_ads` lists them)"
        )
    tracking = _body(body, "conversionTrackingSetting", purpose, default={})
    window = WINDOW_DAYS_MAX
    if tracking.get("conversionTrackingStatus") in _MANAGED_HERE:
        window = yield from _longest_window(customer, tally)
    return _info(body, purpose, window_days=window)


def _longest_window(customer: Customer, tally: Tally) -> Generator[Step, Response | None, int]:
    """The longest conversion window of the account's own conversion actions, removed ones too.

    A removed action gets no new conversions, but those it had may still be restated.
    """
    purpose = f"conversion windows of account {customer.account}"
    question = Question(fields=_WINDOW_FIELDS, resource="conversion_action", purpose=purpose)
    rows = yield from fetch_rows(customer, question, tally)
    windows = proven(question, lambda rows: [_window(row, customer.account) for row in rows], rows)
    return min(max(windows, default=WINDOW_DAYS_DEFAULT), WINDOW_DAYS_MAX)


def _window(row: Row, account: str) -> int:
    """The longer of a conversion action's windows, in days."""
    own(row, account)
    action = row["conversionAction"]
    texts = [action[name] for name in _WINDOWS if name in action]
    return max((int(text) for text in texts), default=WINDOW_DAYS_DEFAULT)


def find_accounts(
    version: str, limits: ReadLimits, tally: Tally
) -> Generator[Step, Response | None, list[AccountInfo]]:
    """Every account with numbers that the credential reaches, directly or through managers.

    A root that may not be read is left out, unless none may be.
    """
    roots = yield from _roots(version, tally)
    found: dict[str, AccountInfo] = {}
    refusal: AdsyncError | None = None
    for root in roots:
        customer = Customer(account=root, version=version, limits=limits)
        try:
            leaves = yield from _leaves(customer, tally)
        except (AccountBlocked, PermissionBlocked) as error:
            refusal = refusal or error
            continue
        for leaf in leaves:
            known = found.get(leaf.platform_account_id)
            if known is None or (known.access and not leaf.access):
                found[leaf.platform_account_id] = leaf
    if refusal is not None and not found:
        raise refusal
    return list(found.values())


def _roots(version: str, tally: Tally) -> Generator[Step, Response | None, list[str]]:
    request = Request(
        method="GET",
        path=f"/{version}/customers:listAccessibleCustomers",
        purpose="accounts of the credential",
    )
    payload = (yield from ask(request, tally)).json()
    names = payload.get("resourceNames", []) if isinstance(payload, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise IncompleteRead(f"{request.purpose}: the answer is no list of accounts")
    return [customer_id(name) for name in names]


def _leaves(
    customer: Customer, tally: Tally
) -> Generator[Step, Response | None, list[AccountInfo]]:
    """The accounts at or under a root that are no managers."""
    purpose = f"accounts under {customer.account}"
    question = Question(fields=_CLIENT_FIELDS, resource="customer_client", purpose=purpose)
    rows = yield from fetch_rows(customer, question, tally)
    bodies = [_body(row, "customerClient", purpose) for row in rows]
    names = {str(body.get("id")): str(body.get("descriptiveName", "")) for body in bodies}
    root = f"{names.get(customer.account, '')} ({customer.account})".strip()
    leaves = []
    for body in bodies:
        if body.get("manager") is True:
            continue
        if body.get("id") == customer.account:
            leaves.append(_info(body, purpose))
            continue
        level = str(body.get("level", "1"))
        leaf = _info(body, purpose, access={"login_customer_id": customer.account})
        through = root if level == "1" else f"{root}, {level} levels down"
        leaves.append(replace(leaf, through=_text(through)))
    return leaves


def _info(
    body: Mapping[str, Any],
    purpose: str,
    *,
    window_days: int | None = None,
    access: Mapping[str, str] | None = None,
) -> AccountInfo:
    """An account. Its status never makes it unreadable here: a refused read says so itself."""
    for name in ("id", "currencyCode", "timeZone"):
        if not isinstance(body.get(name), str) or not body[name]:
            raise IncompleteRead(f"{purpose}: the answer lacks {name}")
    status = str(body.get("status", ""))
    return AccountInfo(
        platform_account_id=customer_id(body["id"]),
        name=_text(str(body.get("descriptiveName", ""))),
        currency=body["currencyCode"],
        timezone=body["timeZone"],
        status=status,
        window_days=window_days,
        access=access or {},
        trouble=_TROUBLES.get(status, f"has the status {status[:20]}, which is new here"),
    )


def _text(value: str) -> str:
    """Text Postgres can store: it takes everything but NUL."""
    return value.replace("\x00", "\ufffd")


def _body(
    row: Mapping[str, Any], name: str, purpose: str, default: Row | None = None
) -> Mapping[str, Any]:
    body = row.get(name, default)
    if not isinstance(body, dict):
        raise IncompleteRead(f"{purpose}: the answer lacks {name}")
    return body
