"""The simulated Google Ads API (REST): tokens, accounts and managers, searches and streams."""

from __future__ import annotations

import hashlib
import re
from collections import deque
from typing import Any

import orjson

from adsync_dagster.errors import UsageError
from adsync_dagster.simulator.entities import SimAccount
from adsync_dagster.simulator.faults import Faults
from adsync_dagster.simulator.google_ads_auth import TOKEN_PATHS, GoogleTokens, RefreshToken
from adsync_dagster.simulator.google_ads_errors import FrontRefusal, GoogleAdsError
from adsync_dagster.simulator.google_ads_faults import StreamSpoiler, answer_instead
from adsync_dagster.simulator.google_ads_fields import Line, account_status, path_of
from adsync_dagster.simulator.google_ads_query import Query, parse_query
from adsync_dagster.simulator.google_ads_rows import check_fields, evaluate, render_rows
from adsync_dagster.simulator.google_ads_settings import AccountSetup, GoogleAdsSettings, Manager
from adsync_dagster.simulator.http import Answer, Call
from adsync_dagster.simulator.instants import DAY, SECOND
from adsync_dagster.simulator.plans import SETTLED_AFTER_DAYS
from adsync_dagster.simulator.world import World

_VERSION = re.compile(r"/v(\d{1,3})(/.*)")
_SEARCH = re.compile(r"/customers/(\d+)/googleAds:(search|searchStream)")
#: Google offers no longer conversion window.
WINDOW_DAYS_MAX = 90
_CLOSED = frozenset({"CANCELED", "CLOSED"})


def is_google_path(path: str) -> bool:
    """Whether a request is for this wire: a version without a minor number, or tokens."""
    return path in TOKEN_PATHS or _VERSION.fullmatch(path) is not None


#: The field by which each resource is asked for one by one.
OWN_IDS = {
    "campaign": "campaign.id",
    "ad_group": "ad_group.id",
    "ad_group_ad": "ad_group_ad.ad.id",
}


class GoogleAdsWire:
    """Renders a world as the Google Ads API would."""

    def __init__(
        self, world: World, faults: Faults, settings: GoogleAdsSettings | None = None
    ) -> None:
        self.world = world
        self.faults = faults
        self.settings = settings or GoogleAdsSettings()
        self.tokens = GoogleTokens()
        self.setups: dict[str, AccountSetup] = {}
        self.managers: dict[str, Manager] = {}
        self._spoiler = StreamSpoiler(faults)
        self._operations: dict[str, deque[int]] = {}
        self._requests = 0
        #: Page token -> (hash of its query, rows before it, the stamp it was given at).
        self._pages: dict[str, tuple[str, int, int]] = {}

    def setup(self, account_id: str) -> AccountSetup:
        """What the account has set up; change its fields at will."""
        return self.setups.setdefault(account_id, AccountSetup())

    def track_conversions(self, account_id: str, *windows: int, known: bool = True) -> None:
        """Give an account conversion actions of these windows in days; its days move as long.

        Where they are not `known`, a manager account keeps the actions, and all that is certain
        is that days move for no longer than Google's longest window, which it may choose.
        UsageError when all of them end before the conversions of this world have arrived.
        """
        if max(windows) < SETTLED_AFTER_DAYS:
            raise UsageError(f"a window of {SETTLED_AFTER_DAYS} days or more is needed")
        setup = self.setup(account_id)
        setup.conversion_windows = windows if known else ()
        setup.tracking = f"CONVERSION_TRACKING_MANAGED_BY_{'SELF' if known else 'THIS_MANAGER'}"
        longest = max(windows) if known else WINDOW_DAYS_MAX
        self.world.account(account_id).window_days = longest

    def add_manager(self, manager_id: str, clients: tuple[str, ...], name: str = "Agency") -> None:
        """Put a manager account above accounts or other managers."""
        if manager_id in self.world.accounts or not manager_id.isdigit():
            raise UsageError(f"{manager_id} cannot be a manager account")
        self.managers[manager_id] = Manager(id=manager_id, name=name, clients=clients)

    def pause_for_low_activity(self, adset_id: str) -> None:
        """Google pauses an ad group that nobody sees, by itself."""
        self.world.entity("adset", adset_id).traits["low_activity"] = True
        self.world.pause("adset", adset_id)

    def where(self, call: Call) -> str:
        """The request as faults match it."""
        found = _VERSION.fullmatch(call.path)
        path = (found[2] if found else call.path).strip("/")
        try:
            query = parse_query(_text(call))
        except GoogleAdsError:
            return path
        days = " by day" if "segments.date" in query.fields else ""
        return f"{path} {query.resource}{days}"

    def handle(self, call: Call) -> Answer:
        """Answer one call."""
        where = self.where(call)
        for rule in self.faults.fire("hook", call.method, where):
            rule.options["do"]()
        for rule in self.faults.fire("answer", call.method, where):
            return answer_instead(rule, lambda error: self._refusal(call, error))
        if call.path in TOKEN_PATHS:
            return self.tokens.exchange(call, self.settings, self.world.now())
        try:
            return self._answer(call, where)
        except GoogleAdsError as error:
            return self._refusal(call, error)

    def _answer(self, call: Call, where: str) -> Answer:
        major, path = self._version(call.path)
        if major is None:
            return _not_found()
        token = self.tokens.authenticate(call.headers, self.world.now())
        if not self.settings.api_enabled:
            raise FrontRefusal("SERVICE_DISABLED")
        if self.settings.developer_token_required and not call.headers.get("developer-token"):
            raise GoogleAdsError("requestError.DEVELOPER_TOKEN_PARAMETER_MISSING")
        if path == "/customers:listAccessibleCustomers" and call.method == "GET":
            names = [f"customers/{customer}" for customer in self._roots(token)]
            return self._ok({"resourceNames": names} if names else {})
        search = _SEARCH.fullmatch(path)
        if search is None or call.method != "POST":
            return _not_found()
        base = self._base(search[1], token, call, where)
        query = parse_query(_text(call))
        check_fields(query)
        if query.selects("metrics"):
            base = base._replace(at=base.at - self.settings.report_lag_seconds * SECOND)
        if search[2] == "searchStream":
            chunks = self._stream(query, self._lines(query, base))
            body = lambda error: error.body(f"v{major}", self._next_id())  # noqa: E731
            return self._ok(self._spoiler.spoil(call.method, where, chunks, body))
        return self._ok(self._page(call, query, base))

    def _version(self, path: str) -> tuple[int | None, str]:
        found = _VERSION.fullmatch(path)
        if found is None:
            return None, path
        major = int(found[1])
        if major > self.settings.newest_major:
            return None, path
        if major < self.settings.oldest_major:
            raise GoogleAdsError("requestError.UNSUPPORTED_VERSION")
        return major, found[2]

    # Who may see what

    def _accounts(self) -> dict[str, SimAccount]:
        known = self.world.accounts.items()
        return {key: account for key, account in known if account.platform == "google_ads"}

    def _roots(self, token: RefreshToken) -> list[str]:
        """The customers a token reaches directly."""
        everyone = [*self.managers, *self._accounts()]
        if token.customers is None:
            return everyone
        return [customer for customer in everyone if customer in token.customers]

    def under(self, customer: str) -> list[tuple[str, int]]:
        """A customer and everything below it, each with its level."""
        found, row = [(customer, 0)], [customer]
        level = 0
        while row:
            level += 1
            row = [client for known in row if known in self.managers
                   for client in self.managers[known].clients]  # fmt: skip
            found += [(client, level) for client in row]
        return found

    def _base(self, customer: str, token: RefreshToken, call: Call, where: str) -> Line:
        """The account behind a request; GoogleAdsError when it may not be asked."""
        account = self._accounts().get(customer)
        if account is None and customer not in self.managers:
            raise GoogleAdsError("authorizationError.USER_PERMISSION_DENIED")
        self._check_access(customer, token, call.headers.get("login-customer-id"))
        if account is not None and account_status(account) in _CLOSED:
            raise GoogleAdsError("authorizationError.CUSTOMER_NOT_ENABLED")
        self._count(customer)
        rules = self.faults.fire("time", call.method, where)
        stale = max((float(rule.options.get("seconds", 3600)) for rule in rules), default=0.0)
        return Line(
            customer=customer,
            account=account,
            setup=self.setup(customer),
            settings=self.settings,
            at=self.world.now() - int(stale * SECOND),
            manager=self.managers.get(customer),
        )

    def _check_access(self, customer: str, token: RefreshToken, login: str | None) -> None:
        """Directly, or through the manager that the header names."""
        roots = self._roots(token)
        if login is not None and not login.isdigit():
            raise GoogleAdsError("headerError.INVALID_LOGIN_CUSTOMER_ID")
        if login is None or login == customer:
            allowed = customer in roots
        else:
            reached = {client for root in roots for client, _ in self.under(root)}
            allowed = login in reached and customer in dict(self.under(login))
        if not allowed:
            raise GoogleAdsError("authorizationError.USER_PERMISSION_DENIED")

    def _count(self, customer: str) -> None:
        """Count an operation; one search with all of its pages is one."""
        limit, now = self.settings.operations_per_day, self.world.now()
        done = self._operations.setdefault(customer, deque())
        while done and done[0] <= now - DAY:
            done.popleft()
        if limit is not None and len(done) >= limit:
            raise GoogleAdsError("quotaError.RESOURCE_EXHAUSTED")
        done.append(now)

    # Rows

    def _lines(self, query: Query, base: Line) -> list[Line]:
        if query.resource == "customer_client":
            lines = [base._replace(extra=extra) for extra in self._clients(base)]
        elif query.resource == "conversion_action":
            lines = [base._replace(extra=extra) for extra in self._actions(base)]
        else:
            return self._shown(query, evaluate(self.world, query, base))
        return [line for one in lines for line in evaluate(self.world, query, one)]

    def _shown(self, query: Query, lines: list[Line]) -> list[Line]:
        """The rows without those of objects that are hidden from questions by their id."""
        key = OWN_IDS.get(query.resource)
        if key is None or not query.on(key):
            return lines
        return [line for line in lines if not self._is_hidden(query, line)]

    def _is_hidden(self, query: Query, line: Line) -> bool:
        entity = line.ad or line.adset or line.campaign
        where = f"customers/{line.customer}/googleAds:searchStream {query.resource}"
        return entity is not None and self.faults.hides(where, entity.sequence)

    def _clients(self, base: Line) -> list[dict[str, Any]]:
        found = []
        for customer, level in self.under(base.customer):
            account, manager = self._accounts().get(customer), self.managers.get(customer)
            known = account or manager
            if known is None:
                continue
            fields = {
                "resource_name": f"customers/{base.customer}/customerClients/{customer}",
                "client_customer": f"customers/{customer}",
                "id": customer,
                "descriptive_name": known.name,
                "level": str(level),
                "manager": manager is not None,
                "hidden": False,
                "status": "ENABLED" if account is None else account_status(account),
                "currency_code": known.currency,
                "time_zone": known.timezone,
                "test_account": False,
            }
            found.append({f"customer_client.{name}": value for name, value in fields.items()})
        return found

    def _actions(self, base: Line) -> list[dict[str, Any]]:
        return [
            {
                "conversion_action.resource_name": f"customers/{base.customer}"
                f"/conversionActions/{number + 1}",
                "conversion_action.id": str(number + 1),
                "conversion_action.name": f"Purchase {number + 1}",
                "conversion_action.status": "ENABLED",
                "conversion_action.click_through_lookback_window_days": str(days),
                "conversion_action.view_through_lookback_window_days": "1",
            }
            for number, days in enumerate(base.setup.conversion_windows)
        ]

    def _stream(self, query: Query, lines: list[Line]) -> list[dict[str, Any]]:
        """The chunks of a stream; the last one says what the query cost."""
        size = self.settings.stream_chunk_rows
        cost = {"queryResourceConsumption": str(100 + len(lines))}
        if not lines:
            return [] if self.settings.empty_stream == "array" else [self._chunk(query, [], cost)]
        starts = range(0, len(lines), size)
        return [
            self._chunk(
                query, lines[start : start + size], cost if start + size >= len(lines) else {}
            )
            for start in starts
        ]

    def _chunk(self, query: Query, lines: list[Line], more: dict[str, str]) -> dict[str, Any]:
        rows = render_rows(query, lines)
        chunk: dict[str, Any] = {"results": rows} if rows else {}
        return {**chunk, "fieldMask": _mask(query), "requestId": self._next_id(), **more}

    def _page(self, call: Call, query: Query, base: Line) -> dict[str, Any]:
        """A page of `:search`, whose token belongs to its query and ends after a while."""
        body = _json(call)
        if "pageSize" in body or "page_size" in body:
            raise GoogleAdsError("requestError.PAGE_SIZE_NOT_SUPPORTED")
        asked = hashlib.sha256(f"{base.customer} {_text(call)}".encode()).hexdigest()
        skip, now = 0, self.world.now()
        if token := body.get("pageToken"):
            known = self._pages.get(str(token))
            if known is None or known[0] != asked:
                raise GoogleAdsError("requestError.INVALID_PAGE_TOKEN")
            if now >= known[2] + self.settings.page_token_seconds * SECOND:
                raise GoogleAdsError("requestError.EXPIRED_PAGE_TOKEN")
            skip = known[1]
        lines, size = self._lines(query, base), self.settings.search_page_rows
        rows = render_rows(query, lines[skip : skip + size])
        page: dict[str, Any] = {"results": rows} if rows else {}
        if skip + size < len(lines):
            following = f"Cg{self._next_id()}"
            self._pages[following] = (asked, skip + size, now)
            page["nextPageToken"] = following
        if (body.get("searchSettings") or {}).get("returnTotalResultsCount"):
            page["totalResultsCount"] = str(len(lines))
        return {**page, "fieldMask": _mask(query)}

    # Answers

    def _ok(self, payload: Any) -> Answer:
        return Answer(200, payload, {"request-id": self._next_id()})

    def _refusal(self, call: Call, error: GoogleAdsError) -> Answer:
        """The error, in an array on a stream."""
        found = _VERSION.fullmatch(call.path)
        request_id = self._next_id()
        body: Any = error.body(f"v{found[1] if found else 0}", request_id)
        if call.path.endswith(":searchStream"):
            body = [body]
        return Answer(error.http, body, {"request-id": request_id})

    def _next_id(self) -> str:
        self._requests += 1
        return f"Sim{self._requests:012d}"


def _mask(query: Query) -> str:
    return ",".join(".".join(path_of(name)) for name in query.fields)


def _not_found() -> Answer:
    html = b"<!DOCTYPE html><html><title>Error 404 (Not Found)!!1</title></html>"
    return Answer(404, None, {"Content-Type": "text/html; charset=UTF-8"}, raw=html)


def _json(call: Call) -> dict[str, Any]:
    try:
        body = orjson.loads(call.body or b"{}")
    except orjson.JSONDecodeError:
        raise GoogleAdsError("requestError.REQUIRED_FIELD_MISSING") from None
    return body if isinstance(body, dict) else {}


def _text(call: Call) -> str:
    """The query in the body."""
    return str(_json(call).get("query", "")) if call.path not in TOKEN_PATHS else ""
