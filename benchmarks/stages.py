"""Where a sync's time goes: a stopwatch per stage, put around the real functions.

Only the calling thread is timed, and a stage stops while one inside it runs, so the stages
add up to the whole. What the read-ahead thread does meanwhile costs nobody's time but shows
as less waiting.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from adsync_dagster.platforms.protocol import Request, Response
from adsync_dagster.sync import entities as sync_entities
from adsync_dagster.sync import metrics as sync_metrics
from adsync_dagster.transport import client
from adsync_dagster.transport.exchange import Exchange
from adsync_dagster.warehouse import account_days, entities, metrics
from adsync_dagster.warehouse.database import AccountSession
from adsync_dagster.warehouse.staging import EntityStage, MetricsStage

#: In the order they are printed. `wait` is for answers, `report_wait` for report runs.
STAGES = ("wait", "report_wait", "parse", "copy", "merge", "reconcile", "other")

#: Owner of a function, its name, the stage its time belongs to.
_TIMED: tuple[tuple[Any, str, str], ...] = (
    (client.PlatformClient, "_answer", "wait"),
    (client._Ahead, "response", "wait"),
    (client.PlatformClient, "_pause", "report_wait"),
    (client, "_advance", "parse"),
    (Response, "json", "parse"),
    (EntityStage, "__enter__", "copy"),
    (EntityStage, "add", "copy"),
    (EntityStage, "__exit__", "copy"),
    (MetricsStage, "__enter__", "copy"),
    (MetricsStage, "add", "copy"),
    (MetricsStage, "__exit__", "copy"),
    (entities, "absent_ids", "merge"),
    (entities, "merge_entities", "merge"),
    (metrics, "merge_metrics", "merge"),
    (metrics, "absent_rows", "reconcile"),
    (account_days, "reconcile", "reconcile"),
    (account_days, "record_totals", "reconcile"),
    (account_days, "record_read", "reconcile"),
    (account_days, "seal", "reconcile"),
)


class Stopwatch:
    """Adds up the calling thread's time per stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._thread = threading.get_ident()
        self._open = ["other"]
        self._since = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block as this stage; nothing in other threads."""
        if threading.get_ident() != self._thread:
            yield
            return
        self._turn()
        self._open.append(name)
        try:
            yield
        finally:
            self._turn()
            self._open.pop()

    def restart(self) -> None:
        """Forget what was timed before now."""
        self.seconds.clear()
        self._since = time.perf_counter()

    def stop(self) -> dict[str, float]:
        """The seconds of every stage so far."""
        self._turn()
        return {name: self.seconds[name] for name in STAGES}

    def _turn(self) -> None:
        now = time.perf_counter()
        self.seconds[self._open[-1]] += now - self._since
        self._since = now


class Traffic:
    """The requests a sync sent, and how much came back."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.bytes = 0

    def note(self, request: Request, response: Response) -> None:
        """Remember one exchange: enough to send it again."""
        self.bytes += len(response.body)
        self.requests.append(
            {
                "method": request.method,
                "path": request.path,
                "params": dict(request.params),
                "form": None if request.form is None else dict(request.form),
            }
        )


def time_stages(watch: Stopwatch) -> None:
    """Put the stopwatch around the functions of this process."""
    for owner, name, stage in _TIMED:
        setattr(owner, name, _timed(watch, stage, getattr(owner, name)))
    opened = AccountSession.transaction

    # What is left of a transaction when its parts are named: BEGIN and COMMIT.
    @contextmanager
    def transaction(session: AccountSession) -> Iterator[Any]:
        with watch.stage("merge"), opened(session) as connection:
            yield connection

    AccountSession.transaction = transaction  # type: ignore[method-assign]


def time_steps(seconds: dict[str, float]) -> None:
    """Take the time of steps 1 to 3 and of step 4 as wholes."""
    from adsync_dagster.sync import account_sync  # noqa: PLC0415 - after what it imports is timed

    for name, function, part in (
        ("sync_entities", sync_entities.sync_entities, "entities"),
        ("read_metrics", sync_metrics.read_metrics, "metrics"),
    ):
        setattr(account_sync, name, _whole(seconds, part, function))


def watch_traffic(traffic: Traffic) -> None:
    """Note every exchange of this process."""
    send = Exchange.send

    def noted(exchange: Exchange, request: Request) -> Response:
        response = send(exchange, request)
        traffic.note(request, response)
        return response

    Exchange.send = noted  # type: ignore[method-assign]


def _timed(watch: Stopwatch, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        with watch.stage(stage):
            return function(*arguments, **options)

    return call


def _whole(seconds: dict[str, float], part: str, function: Callable[..., Any]) -> Any:
    def call(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            seconds[part] = seconds.get(part, 0.0) + time.perf_counter() - began

    return call
