"""The simulated TikTok Business API v1.3: takes a call apart, checks its token, finds who answers.

Nearly everything is HTTP 200, errors included. Only a wrong path (also one without its slash at
the end) or method is a real HTTP error, in plain text.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from adsync_dagster.errors import UsageError
from adsync_dagster.simulator.entities import SimAccount
from adsync_dagster.simulator.facebook_auth import TOKEN_PREFIX, Token, TokenBook
from adsync_dagster.simulator.faults import Faults
from adsync_dagster.simulator.http import Answer, Call
from adsync_dagster.simulator.instants import SECOND
from adsync_dagster.simulator.tiktok_entities import WORDS, EntityLister
from adsync_dagster.simulator.tiktok_faults import Spoiler, answer_instead
from adsync_dagster.simulator.tiktok_reports import Reports
from adsync_dagster.simulator.tiktok_request import ApiRequest, TikTokError, bad_parameter
from adsync_dagster.simulator.tiktok_settings import TikTokSettings
from adsync_dagster.simulator.tiktok_tasks import ReportTasks
from adsync_dagster.simulator.world import World

PREFIX = "/open_api/"
_ROOT = f"{PREFIX}v1.3/"
_LEVELS = {word: level for level, word in WORDS.items()}
_SWITCHES = {"ENABLE": "ACTIVE", "DISABLE": "PAUSED", "DELETE": "DELETED"}
_WRITE_IDS_MAX = 20

_Handler = Callable[[ApiRequest], Any]


class TikTokWire:
    """Renders a world as the Business API would."""

    def __init__(
        self,
        world: World,
        faults: Faults,
        tokens: TokenBook,
        settings: TikTokSettings | None = None,
    ) -> None:
        self.world = world
        self.faults = faults
        self.tokens = tokens
        self.settings = settings or TikTokSettings()
        self._lister = EntityLister(world, faults)
        self._reports = Reports(world, self.settings, faults)
        self._tasks = ReportTasks(self.settings, self._reports)
        self._spoiler = Spoiler(faults)
        self._calls: deque[int] = deque()
        self._requests = 0
        self._handlers: dict[tuple[str, str], _Handler] = {
            ("GET", "report/task/check"): self._tasks.check,
            ("GET", "report/task/download"): self._tasks.download,
            ("POST", "report/task/cancel"): self._tasks.cancel,
            ("POST", "report/task/create"): self._create_task,
        }
        for level, word in WORDS.items():
            self._handlers["GET", f"{word}/get"] = self._list_of(level)
            self._handlers["POST", f"{word}/status/update"] = self._switch_of(level)

    def handle(self, call: Call) -> Answer:
        """Answer one call."""
        where = where_of(call.path)
        for rule in self.faults.fire("hook", call.method, where):
            rule.options["do"]()
        for rule in self.faults.fire("answer", call.method, where):
            return answer_instead(rule, self._request_id())
        if not call.path.startswith(_ROOT) or not call.path.endswith("/"):
            return _plain(404, "404 page not found")
        try:
            answer = self._answer(call, where)
        except TikTokError as error:
            return self._envelope({}, {}, error)
        return answer

    def _answer(self, call: Call, where: str) -> Answer:
        self._count_call()
        token = self._authenticate(call)
        seconds = self._spoiler.stale_seconds(call.method, where)
        request = ApiRequest(
            method=call.method,
            name=where,
            params=call.params,
            at=self.world.now() - int(seconds * SECOND),
            settings=self.settings,
        )
        headers: dict[str, str] = {}
        if where in {"oauth2/advertiser/get", "advertiser/info"} and call.method == "GET":
            data = self._advertisers(request, token)
        else:
            request = self._with_account(request, token)
            if (call.method, where) == ("GET", "report/integrated/get"):
                data, headers = self._reports.answer(request)
            else:
                handler = self._handlers.get((call.method, where))
                if handler is None:
                    known = any(name == where for _, name in self._handlers)
                    return _plain(405 if known else 404, "404 page not found")
                data = handler(request)
        if isinstance(data, Answer):
            return data
        page = int(call.params["page"]) if call.params.get("page", "").isdigit() else 1
        data = self._spoiler.data(call.method, where, data, page)
        return self._envelope(data, headers)

    def _advertisers(self, request: ApiRequest, token: Token) -> dict[str, Any]:
        visible = [
            account
            for account in self.world.accounts.values()
            if account.platform == "tiktok" and token.sees(account.id)
        ]
        if request.name == "advertiser/info":
            return self._lister.advertiser_info(request, visible)
        return self._lister.advertisers(request, visible)

    def _with_account(self, request: ApiRequest, token: Token) -> ApiRequest:
        account = self._account(request.params.get("advertiser_id", ""), token)
        return ApiRequest(
            method=request.method,
            name=request.name,
            params=request.params,
            at=request.at,
            settings=request.settings,
            account=account,
        )

    def _account(self, advertiser_id: str, token: Token) -> SimAccount | None:
        if not advertiser_id:
            return None
        account = self.world.accounts.get(advertiser_id)
        if account is None or account.platform != "tiktok":
            raise TikTokError(40300, "The advertiser doesn't exist or has been deleted.")
        if not token.sees(advertiser_id):
            raise TikTokError(40001, f"No permission to operate advertiser {advertiser_id}")
        return account

    def _authenticate(self, call: Call) -> Token:
        value = call.headers.get("access-token", "")
        if not value:
            raise TikTokError(40104, "Access token is null. Set Access-Token in the header.")
        token = self.tokens.get(value)
        if not value.startswith(TOKEN_PREFIX) or token.revoked:
            raise TikTokError(40105, "Access token is incorrect or has been revoked.")
        if token.expires_at is not None and self.world.now() >= token.expires_at:
            raise TikTokError(40102, "Access token has expired.")
        if not token.permissions & {"ads_read", "ads_management"}:
            raise TikTokError(40131, "The app has no permission for this interface.")
        return token

    def _count_call(self) -> None:
        """40100 beyond the app's calls per minute; a refused call counts as well."""
        most, now = self.settings.calls_per_minute, self.world.now()
        if most is None:
            return
        self._calls.append(now)
        while self._calls and self._calls[0] <= now - 60 * SECOND:
            self._calls.popleft()
        if len(self._calls) > most:
            raise TikTokError(40100, "Too many requests. Please retry in some time.")

    def _list_of(self, level: str) -> _Handler:
        return lambda request: self._lister.entities(request, level)

    def _create_task(self, request: ApiRequest) -> dict[str, Any]:
        return self._tasks.create(request, self._spoiler.task(request.name))

    def _switch_of(self, level: str) -> _Handler:
        def switch(request: ApiRequest) -> dict[str, Any]:
            """`*/status/update`: the one way to write, as people in the Ads Manager do."""
            name = f"{WORDS[level]}_ids"
            ids, wanted = request.words(name), _SWITCHES.get(request.text("operation_status"))
            if wanted is None or not 1 <= len(ids) <= _WRITE_IDS_MAX:
                raise bad_parameter(f"operation_status or {name}: Not valid.")
            for one in ids:
                entity = request.advertiser.entities[level].get(one)
                if entity is None:
                    raise TikTokError(40007, f"{one} does not exist.")
                try:
                    self.world.set_status(level, one, wanted)
                except UsageError as error:
                    raise bad_parameter(str(error)) from None
            return {name: ids, "status": request.params["operation_status"]}

        return switch

    def _envelope(
        self, data: Any, headers: dict[str, str], error: TikTokError | None = None
    ) -> Answer:
        request_id = self._request_id()
        body = {
            "code": 0 if error is None else error.code,
            "message": "OK" if error is None else error.message,
            "request_id": request_id,
            "data": data,
        }
        status = 200 if error is None else error.status
        return Answer(status, body, {"X-TT-LOGID": request_id, **headers})

    def _request_id(self) -> str:
        self._requests += 1
        return f"2026sim{self._requests:012d}"


def _plain(status: int, text: str) -> Answer:
    return Answer(status, None, {"Content-Type": "text/plain"}, raw=text.encode())


def where_of(path: str) -> str:
    """The endpoint a path names, without version and slashes: `campaign/get`."""
    parts = [part for part in path.removeprefix(PREFIX).split("/") if part]
    return "/".join(parts[1:])
