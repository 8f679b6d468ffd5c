"""Asynchronous insights: report runs that start, progress, complete, fail, hide and expire."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from adsync_dagster.simulator.entities import SimAccount, SimEntity
from adsync_dagster.simulator.facebook_errors import GraphError, invalid, missing_object
from adsync_dagster.simulator.facebook_faults import named_error
from adsync_dagster.simulator.facebook_insights import Insights, InsightsQuery
from adsync_dagster.simulator.facebook_request import GraphRequest
from adsync_dagster.simulator.facebook_settings import FacebookSettings
from adsync_dagster.simulator.faults import Rule
from adsync_dagster.simulator.instants import DAY, SECOND
from adsync_dagster.simulator.world import World

_FIRST_ID = 6_050_000_000_000_001


@dataclass(slots=True, eq=False)
class ReportRun:
    """One report run. `fault` is what it suffers; `completed_at` 0 until it is done."""

    id: str
    query: InsightsQuery
    started_at: int
    fault: Rule | None
    polls: int = 0
    completed_at: int = 0

    def suffers(self, name: str) -> bool:
        """Whether this run has that fault."""
        return self.fault is not None and self.fault.name == name

    def option(self, name: str, default: Any) -> Any:
        """An option of its fault."""
        return default if self.fault is None else self.fault.options.get(name, default)


class ReportRuns:
    """All report runs of a wire."""

    def __init__(self, world: World, settings: FacebookSettings, insights: Insights) -> None:
        self._world = world
        self._settings = settings
        self._insights = insights
        self._runs: dict[str, ReportRun] = {}

    def knows(self, run_id: str) -> bool:
        """Whether the id is a report run's."""
        return run_id in self._runs

    def start(
        self,
        request: GraphRequest,
        account: SimAccount,
        node: SimEntity | None,
        fault: Rule | None,
    ) -> dict[str, Any]:
        """POST /{node}/insights: a run id, at once."""
        query = self._insights.read(request, account, node)
        run_id = str(_FIRST_ID + len(self._runs))
        self._runs[run_id] = ReportRun(run_id, query, self._world.now(), fault)
        shown = int(run_id) if self._settings.report_ids_as_numbers else run_id
        return {"report_run_id": shown}

    def answer(self, request: GraphRequest, edge: str | None) -> dict[str, Any]:
        """GET /{run} or /{run}/insights."""
        run = self._runs[request.node]
        if not request.token.sees(run.query.account.id) or run.suffers("report_lost"):
            raise missing_object(run.id)
        if edge is None:
            return self._status(run)
        if edge == "insights":
            return self._results(request, run)
        raise invalid(f"Tried accessing nonexisting field ({edge}) on node type (AdReportRun)")

    def _status(self, run: ReportRun) -> dict[str, Any]:
        run.polls += 1
        if run.suffers("report_hidden") and run.polls <= run.option("times", 2):
            raise missing_object(run.id)
        state, percent = self._progress(run)
        body: dict[str, Any] = {
            "id": run.id,
            "account_id": run.query.account.id.removeprefix("act_"),
            "time_ref": run.started_at // SECOND,
            "async_status": state,
            "async_percent_completion": percent,
        }
        if run.completed_at:
            body["time_completed"] = run.completed_at // SECOND
        if state == "Job Failed":
            body["error_code"] = run.option("code", -2)
            body["error_subcode"] = run.option("subcode", 2490547)
            body["error_message"] = run.option("message", "The report failed")
            body["error_user_title"] = "Report failed"
            body["error_user_msg"] = "The report could not be generated."
        return body

    def _progress(self, run: ReportRun) -> tuple[str, int]:
        age = self._world.now() - run.started_at
        if run.suffers("report_skipped") or age > self._settings.report_expires_days * DAY:
            return "Job Skipped", 0
        if run.suffers("report_stuck"):
            return "Job Running", int(run.option("percent", 99))
        percent = self._percent(run, age)
        if run.suffers("report_failed"):
            return ("Job Failed", 0) if percent == 100 else ("Job Running", percent)
        if percent < 100:
            if run.suffers("report_early"):
                return "Job Completed", percent
            return ("Job Started", 0) if percent == 0 else ("Job Running", percent)
        self._complete(run)
        return "Job Completed", 100

    def _percent(self, run: ReportRun, age: int) -> int:
        if self._too_large(run):
            run.fault = run.fault or _too_large_fault()
            return 100
        if self._settings.report_seconds is not None:
            return min(100, 100 * age // max(1, self._settings.report_seconds * SECOND))
        return min(100, 100 * (run.polls - 1) // max(1, self._settings.report_polls - 1))

    def _too_large(self, run: ReportRun) -> bool:
        try:
            self._insights.check_size(run.query, self._settings.report_rows_max)
        except GraphError:
            return True
        return False

    def _complete(self, run: ReportRun) -> None:
        """The rows are those of the moment of completion, whenever they are fetched."""
        if run.completed_at:
            return
        run.completed_at = self._world.now()
        lag = self._settings.reporting_delay_seconds * SECOND
        run.query = replace(run.query, at=run.completed_at - lag)

    def _results(self, request: GraphRequest, run: ReportRun) -> dict[str, Any]:
        if not run.completed_at and not run.suffers("report_early"):
            raise GraphError(
                "(#2601) Loading async ads report failed because the report is not ready", 2601
            )
        if run.suffers("report_bad_data"):
            return {"data": {"message": "Bad data to set object data"}}
        if run.suffers("report_page_two") and "after" in request.params:
            raise named_error(str(run.option("error", "unknown")))
        body = self._insights.page(request, run.query)
        if not run.completed_at:
            body["data"] = body["data"][: len(body["data"]) // 2]
        return body


def _too_large_fault() -> Rule:
    options = {"code": -3, "subcode": 1504045, "message": "The report is too large"}
    return Rule(0, "report_failed", re.compile(""), None, 0, 0, 1.0, options)
