"""The simulated Graph API: takes a call apart, checks its token, and finds who answers it."""

from __future__ import annotations

import re
from typing import Any

import orjson

from adsync_dagster.simulator.entities import SimAccount, SimEntity
from adsync_dagster.simulator.facebook_activities import activities_page
from adsync_dagster.simulator.facebook_auth import TokenBook, token_of
from adsync_dagster.simulator.facebook_batch import run_batch
from adsync_dagster.simulator.facebook_edges import EdgeLister
from adsync_dagster.simulator.facebook_errors import (
    GraphError,
    ids_removed,
    invalid,
    missing_object,
    missing_permission,
    old_version,
    unknown_alias,
    unparsable,
)
from adsync_dagster.simulator.facebook_faults import Spoiler, answer_instead
from adsync_dagster.simulator.facebook_fields import Field, parse_fields
from adsync_dagster.simulator.facebook_insights import Insights
from adsync_dagster.simulator.facebook_nodes import EDGES, NodeRenderer
from adsync_dagster.simulator.facebook_reports import ReportRuns
from adsync_dagster.simulator.facebook_request import GraphRequest
from adsync_dagster.simulator.facebook_settings import FacebookSettings
from adsync_dagster.simulator.facebook_usage import UsageMeter
from adsync_dagster.simulator.facebook_writes import write_entity
from adsync_dagster.simulator.faults import Faults
from adsync_dagster.simulator.http import Answer, Call
from adsync_dagster.simulator.instants import SECOND
from adsync_dagster.simulator.pages import PageCache
from adsync_dagster.simulator.world import World

_VERSION = re.compile(r"^v(\d+)\.(\d+)$")


class FacebookWire:
    """Renders a world as the Graph API would."""

    def __init__(
        self,
        world: World,
        faults: Faults,
        settings: FacebookSettings | None = None,
        tokens: TokenBook | None = None,
    ) -> None:
        self.world = world
        self.faults = faults
        self.settings = settings or FacebookSettings()
        self.tokens = tokens or TokenBook()
        self.usage = UsageMeter(self.settings.usage)
        self._nodes = NodeRenderer(world, self.settings)
        self._edges = EdgeLister(world, self.settings, self._nodes)
        self._insights = Insights(world, self.settings)
        self._reports = ReportRuns(world, self.settings, self._insights)
        self._spoiler = Spoiler(faults)
        self._pages = PageCache()
        self._traces = 0
        self._nodes.nested = {
            "insights": self._insights.nested,
            **{name: self._nested_edge(level) for name, level in EDGES.items()},
        }

    def handle(self, call: Call) -> Answer:
        """Answer one call, a batch included."""
        version, path = split_version(call.path, self.settings)
        if call.method == "POST" and not path and "batch" in call.params:
            return self._batch(call, version)
        answer = self._one(call)
        return answer if answer is not None else Answer(500, {})

    def _batch(self, call: Call, version: str) -> Answer:
        try:
            for rule in self.faults.fire("answer", "POST", ""):
                return answer_instead(rule, self._trace())
            answer = run_batch(call, version, self._one)
        except GraphError as error:
            return self._error(error)
        answer.payload = self._spoiler.batch(answer.payload)
        return answer

    def _one(self, call: Call) -> Answer | None:
        """Answer a single call; None when a fault makes it time out inside a batch."""
        version, path = split_version(call.path, self.settings)
        where = "/".join(path)
        for rule in self.faults.fire("hook", call.method, where):
            rule.options["do"]()
        for rule in self.faults.fire("answer", call.method, where):
            if rule.name == "batch_item_null":
                return None
            return answer_instead(rule, self._trace())
        headers: dict[str, str] = {"facebook-api-version": version}
        try:
            request = self._read(call, version, path)
            account_id = self._account_of(request)
            headers.update(self.usage.count(account_id, path, self.world.now()))
            self._gate_version(version, headers)
            key = self._cache_key(request)
            if key is not None and (page := self._pages.get(key)) is not None:
                return Answer(200, None, headers, raw=page)
            payload = self._dispatch(request)
        except GraphError as error:
            return self._error(error, headers)
        payload = self._spoiler.payload(call, where, payload)
        if key is not None:
            page = orjson.dumps(payload)
            self._pages.put(key, page, self.settings.page_cache_bytes)
            return Answer(200, None, headers, raw=page)
        return Answer(200, payload, headers)

    def _cache_key(self, request: GraphRequest) -> tuple[object, ...] | None:
        """What a page of insights depends on; None when it is not to be kept."""
        wanted = request.edge == "insights" and request.method == "GET"
        if not wanted or not self.settings.page_cache_bytes or self.faults.rules:
            return None
        if self._reports.knows(request.node):
            return None
        asked = tuple(sorted(request.params.items()))
        state = (self.world.revision, request.at, repr(self.settings))
        return (request.path, request.version, request.origin, request.token.value, asked, *state)

    def _read(self, call: Call, version: str, path: tuple[str, ...]) -> GraphRequest:
        now = self.world.now()
        token = self.tokens.authenticate(
            token_of(call.params, call.headers), call.params, self.settings, now
        )
        origin = self.settings.next_host or call.origin
        seconds = self._spoiler.stale_seconds(call.method, "/".join(path))
        return GraphRequest(
            method=call.method,
            version=version,
            path=path,
            params=call.params,
            token=token,
            at=now - int(seconds * SECOND),
            origin=origin,
        )

    def _gate_version(self, version: str, headers: dict[str, str]) -> None:
        found = _VERSION.match(version)
        number = (int(found[1]), int(found[2])) if found else (0, 0)
        if number > self.settings.newest_version:
            raise unparsable(f"Unknown path components: /{version}")
        if number >= self.settings.oldest_version:
            return
        if self.settings.old_versions == "refuse":
            raise old_version(version)
        newest = ".".join(str(part) for part in self.settings.newest_version)
        headers["X-Ad-Api-Version-Warning"] = f"The call has been auto-upgraded to v{newest}"

    def _dispatch(self, request: GraphRequest) -> Any:
        if "ids" in request.params:
            raise ids_removed()
        node, edge = request.node, request.edge
        if not node:
            raise unparsable("Cannot parse an empty path")
        if len(request.path) > 2:
            raise unparsable(f"Unknown path components: /{'/'.join(request.path[2:])}")
        if node == "me":
            return self._me(request, edge)
        if node.startswith("act_"):
            return self._account(request, self._visible_account(request, node), edge)
        if not node.isdigit():
            raise unknown_alias(node)
        if self._reports.knows(node):
            return self._reports.answer(request, edge)
        entity = self.world.find(node)
        if entity is None or not self._is_shown(request, entity):
            raise missing_object(node)
        return self._entity(request, self.world.account(entity.account_id), entity, edge)

    def _is_shown(self, request: GraphRequest, entity: SimEntity) -> bool:
        """Whether there is such an object for whoever asks for it by its id."""
        return (
            request.token.sees(entity.account_id)
            and entity.created_at <= request.at
            and not self.faults.hides("/".join(request.path), entity.sequence)
        )

    def _me(self, request: GraphRequest, edge: str | None) -> Any:
        if edge == "adaccounts":
            return self._edges.accounts(request)
        if edge is None:
            return {"id": "990777", "name": "Simulated User"}
        raise unparsable(f"Unknown path components: /{edge}")

    def _account(self, request: GraphRequest, account: SimAccount, edge: str | None) -> Any:
        if edge is None:
            fields = parse_fields(request.params.get("fields", ""))
            return self._nodes.account(request, account, fields)
        if edge in EDGES:
            return self._edges.entities(request, account, None, EDGES[edge])
        if edge == "activities":
            return activities_page(self.world, self.settings, request, account, None)
        if edge == "insights":
            return self._read_insights(request, account, None)
        raise unparsable(f"Unknown path components: /{edge}")

    def _entity(
        self, request: GraphRequest, account: SimAccount, entity: SimEntity, edge: str | None
    ) -> Any:
        if edge is None and request.method in {"POST", "DELETE"}:
            return write_entity(self.world, request, entity)
        if edge is None:
            fields = parse_fields(request.params.get("fields", ""))
            return self._nodes.entity(request, account, entity, fields)
        if edge == "insights":
            return self._read_insights(request, account, entity)
        if edge == "activities" and entity.level == "adset":
            return activities_page(self.world, self.settings, request, account, entity)
        below = {"campaign": ("adsets", "ads"), "adset": ("ads",), "ad": ()}[entity.level]
        if edge in below:
            return self._edges.entities(request, account, entity, EDGES[edge])
        raise invalid(f"Tried accessing nonexisting field ({edge}) on node type")

    def _read_insights(
        self, request: GraphRequest, account: SimAccount, entity: SimEntity | None
    ) -> Any:
        if request.method != "POST":
            return self._insights.answer(request, account, entity)
        spoilt = self._spoiler.report("/".join(request.path))
        return self._reports.start(request, account, entity, spoilt)

    def _visible_account(self, request: GraphRequest, node: str) -> SimAccount:
        account = self.world.accounts.get(node)
        if account is None or account.platform != "facebook":
            raise missing_object(node)
        if not request.token.sees(node):
            raise missing_permission()
        return account

    def _account_of(self, request: GraphRequest) -> str | None:
        """The account whose quota a call counts against."""
        if request.node.startswith("act_"):
            return request.node
        entity = self.world.find(request.node)
        return None if entity is None else entity.account_id

    def _nested_edge(self, level: str) -> Any:
        def render(
            request: GraphRequest, account: SimAccount, parent: SimEntity | None, field: Field
        ) -> Any:
            return self._edges.nested(request, account, parent, field, level)

        return render

    def _error(self, error: GraphError, headers: dict[str, str] | None = None) -> Answer:
        return Answer(error.http, error.body(self._trace()), dict(headers or {}))

    def _trace(self) -> str:
        self._traces += 1
        return f"Sim{self._traces:08d}"


def split_version(path: str, settings: FacebookSettings) -> tuple[str, tuple[str, ...]]:
    """The version (the newest when the path has none) and the path's other segments."""
    parts = tuple(part for part in path.split("/") if part)
    if parts and _VERSION.match(parts[0]):
        return parts[0], parts[1:]
    major, minor = settings.newest_version
    return f"v{major}.{minor}", parts
