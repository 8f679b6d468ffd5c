"""Asynchronous report tasks: created, queued, processed, downloaded as CSV, expired.

A task reads the ledger when it succeeds. It has no limit of ads and no status filter; whether
its rows include deleted entities is a knob, because sources conflict.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from typing import Any

from adsync_dagster.simulator.faults import Rule
from adsync_dagster.simulator.http import Answer
from adsync_dagster.simulator.instants import DAY, SECOND
from adsync_dagster.simulator.tiktok_reports import ReportQuery, Reports
from adsync_dagster.simulator.tiktok_request import ApiRequest, TikTokError, bad_parameter
from adsync_dagster.simulator.tiktok_rows import render
from adsync_dagster.simulator.tiktok_settings import TikTokSettings

_FORMATS = frozenset({"CSV_STRING", "CSV_DOWNLOAD"})
_TITLES = {"stat_time_day": "By Day", "spend": "Cost", "impressions": "Impressions"}


@dataclass(slots=True)
class _Task:
    query: ReportQuery
    output_format: str
    created_at: int
    titles_translated: bool
    fault: Rule | None
    polls: int = 0
    cancelled: bool = False


class ReportTasks:
    """The tasks of one simulator."""

    def __init__(self, settings: TikTokSettings, reports: Reports) -> None:
        self._settings = settings
        self._reports = reports
        self._tasks: dict[str, _Task] = {}

    def create(self, request: ApiRequest, fault: Rule | None) -> dict[str, Any]:
        """Queue a task."""
        output_format = request.params.get("output_format") or "CSV_STRING"
        if output_format not in _FORMATS:
            raise bad_parameter("output_format: Not a valid choice.")
        query = self._reports.read(request, by_task=True)
        task_id = f"task_{len(self._tasks) + 1:012d}"
        translated = request.params.get("enable_report_title_translation", "true").lower()
        self._tasks[task_id] = _Task(query, output_format, request.at, translated != "false", fault)
        return {"task_id": task_id}

    def check(self, request: ApiRequest) -> dict[str, Any]:
        """One look at a task moves it on."""
        task = self._task(request)
        task.polls += 1
        return {"status": self._status(task), "message": ""}

    def cancel(self, request: ApiRequest) -> dict[str, Any]:
        """Stop a task."""
        self._task(request).cancelled = True
        return {"task_id": request.params["task_id"]}

    def download(self, request: ApiRequest) -> Answer | dict[str, Any]:
        """A finished task's text, bare; or the address of a file."""
        task = self._task(request)
        if self._status(task) != "SUCCESS":
            raise TikTokError(40201, "Task is not ready.")
        if task.output_format != "CSV_STRING":
            name = f"{request.params['task_id']}.csv"
            address = f"https://files.invalid/{name}"
            return {"download_url": address, "file_name": name, "output_format": "CSV_DOWNLOAD"}
        at = request.at - self._settings.reporting_delay_seconds * SECOND
        text = self._text(replace(task.query, at=at), task)
        if task.fault is not None and task.fault.name == "task_cut":
            text = text[: len(text) * 2 // 3]
        return Answer(200, None, {"Content-Type": "text/csv; charset=utf-8"}, raw=text.encode())

    def _task(self, request: ApiRequest) -> _Task:
        task = self._tasks.get(request.text("task_id"))
        if task is None or task.query.account is not request.advertiser:
            raise TikTokError(40007, "The task does not exist.")
        if request.at > task.created_at + self._settings.task_expires_days * DAY:
            raise TikTokError(40007, "The task has expired.")
        return task

    def _status(self, task: _Task) -> str:
        if task.cancelled:
            return "CANCELED"
        if task.fault is not None and task.fault.name == "task_stuck":
            return "PROCESSING"
        if task.polls <= 1 < self._settings.task_polls:
            return "QUEUING"
        if task.polls < self._settings.task_polls:
            return "PROCESSING"
        return (
            "FAILED" if task.fault is not None and task.fault.name == "task_failed" else "SUCCESS"
        )

    def _text(self, query: ReportQuery, task: _Task) -> str:
        names = [query.id_dimension, *(["stat_time_day"] if query.by_day else []), *query.metrics]
        names = list(dict.fromkeys(names))
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(
            _TITLES.get(name, name) if task.titles_translated else name for name in names
        )
        for row in self._reports.rows(query, by_task=True)[0]:
            shown = render(row, query.id_dimension, list(query.metrics))
            cells = {**shown["metrics"], **shown["dimensions"]}
            writer.writerow(cells[name] for name in names)
        return out.getvalue()
