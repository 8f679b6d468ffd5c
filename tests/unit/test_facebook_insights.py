"""Account-wide reports: what is asked, report runs, and asking for less."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest
from driving import ADAPTER, STARTED, Driven, Script, answer, days, drive, failure, page, row

from adsync_dagster.errors import (
    Defect,
    IncompleteRead,
    PermissionBlocked,
    PlatformBusy,
    TooMuchData,
)
from adsync_dagster.platforms.facebook import FacebookAdapter, ReadLimits
from adsync_dagster.platforms.facebook_entities import EFFECTIVE_STATUSES
from adsync_dagster.platforms.facebook_metrics import days_of
from adsync_dagster.platforms.protocol import Request
from adsync_dagster.platforms.reading import halves, shortened
from adsync_dagster.records import DateRange, DayTotals, Level

SHORT = days("2026-11-01", "2026-11-04")
LONG = days("2026-10-01", "2026-10-20")
TOO_MUCH = failure(100, 1487534)
CREATED = answer({"report_run_id": "6050001"})
#: One page size only, so that a refused page is at its floor at once.
FLAT = FacebookAdapter(limits=ReadLimits(insights_page_rows=50, page_rows_floor=50))


def read(whole: DateRange, script: list[Script], adapter: FacebookAdapter = ADAPTER) -> Driven:
    """An ad level report."""
    return drive(adapter.report("act_501", Level.AD, whole, STARTED), script)


def totals(whole: DateRange, script: list[Script], adapter: FacebookAdapter = ADAPTER) -> Driven:
    """The account's totals."""
    return drive(adapter.report_totals("act_501", whole, STARTED), script)


def run(status: str, percent: Any, **more: Any) -> Any:
    """The node of a report run."""
    return answer(
        {"id": "6050001", "async_status": status, "async_percent_completion": percent, **more}
    )


DONE = run("Job Completed", 100, account_id="501", time_ref=1763900000)


def ranges(requests: list[Request]) -> list[tuple[str, str]]:
    """The days each insights request asked for."""
    found = []
    for request in requests:
        params = request.form if request.form is not None else request.params
        if "time_range" in params:
            asked = orjson.loads(params["time_range"])
            found.append((asked["since"], asked["until"]))
    return found


@pytest.mark.parametrize("level", list(Level))
def test_a_report_asks_for_every_status_by_name(level: Level) -> None:
    """The default leaves archived and deleted out; the filter names all, DELETED included."""
    done = drive(ADAPTER.report("501", level, SHORT, STARTED), [page([])])
    params = done.requests[0].params
    (condition,) = orjson.loads(params["filtering"])
    assert condition["field"] == f"{level.value}.effective_status"
    assert condition["operator"] == "IN"
    assert condition["value"] == list(EFFECTIVE_STATUSES[level])
    assert "DELETED" in condition["value"]
    assert len(EFFECTIVE_STATUSES[Level.AD]) == 12
    assert params["level"] == level.value
    assert params["time_increment"] == "1"
    assert params["action_attribution_windows"] == '["7d_click","1d_view"]'
    fields = params["fields"].split(",")
    assert {"account_id", f"{level.value}_id", "impressions", "clicks", "spend"} <= set(fields)
    assert {"actions", "action_values", "reach", "frequency", "inline_link_clicks"} <= set(fields)
    assert ("ad_id" in fields) is (level is Level.AD)


def test_pages_of_rows_are_handed_on_one_by_one() -> None:
    """Each page is yielded by itself and announces the next request."""
    done = read(
        SHORT,
        [page([row("2026-11-01"), row("2026-11-02")], "A", more=True), page([row("2026-11-03")])],
    )
    assert [len(rows.records) for rows in done.pages] == [2, 1]
    assert done.pages[0].ahead is done.requests[1]
    assert done.verdict is not None
    assert (done.verdict.row_count, done.verdict.request_count) == (3, 2)
    assert done.verdict.read_started_at == STARTED


def test_no_rows_are_a_complete_answer() -> None:
    """`data: []` is what an account without delivery looks like."""
    done = read(SHORT, [answer({"data": []})])
    assert done.verdict is not None
    assert done.records == []


@pytest.mark.parametrize(
    "bad",
    [
        row("2026-11-01", account_id="777"),
        row("2026-10-31"),
        row("2026-11-01", date_stop="2026-11-02"),
        row("2026-11-01", spend=87.4),
    ],
)
def test_a_swapped_or_damaged_answer_ends_the_read(bad: dict[str, Any]) -> None:
    """Rows are held against the question before anything is handed on."""
    done = read(SHORT, [page([row("2026-11-01"), bad])])
    assert type(done.error) is IncompleteRead
    assert done.records == []


def test_a_long_range_is_computed_by_a_report_run() -> None:
    """More days than a synchronous call is asked for take the asynchronous way."""
    done = read(
        LONG,
        [
            CREATED,
            run("Job Not Started", 0),
            run("Job Running", 60),
            run("Job Completed", 99),
            DONE,
            page([row("2026-10-01")], "A", more=True),
            page([row("2026-10-02")]),
        ],
    )
    create, poll, first = done.requests[0], done.requests[1], done.requests[5]
    assert (create.method, create.path) == ("POST", "/v26.0/act_501/insights")
    assert create.form is not None
    assert "filtering" in create.form
    assert (poll.method, poll.path, poll.params) == ("GET", "/v26.0/6050001", {})
    assert first.path == "/v26.0/6050001/insights"
    assert set(first.params) == {"limit"}
    assert len(done.pauses) == 4
    assert [record.date for record in done.records] == ["2026-10-01", "2026-10-02"]  # type: ignore[union-attr]
    assert done.verdict is not None


def test_short_ranges_never_wait_for_a_run() -> None:
    """The threshold is a setting; a range up to it is paged directly."""
    adapter = FacebookAdapter(limits=ReadLimits(sync_days_max=20))
    done = read(LONG, [page([])], adapter)
    assert done.requests[0].method == "GET"


def test_a_very_long_range_is_cut_into_runs() -> None:
    """No run is asked for more days than its bound, and no day is left out or asked twice."""
    adapter = FacebookAdapter(limits=ReadLimits(run_days_max=30, sync_days_max=7))
    whole = days("2026-08-01", "2026-10-04")
    done = read(whole, [CREATED, DONE, page([]), CREATED, DONE, page([]), page([])], adapter)
    assert ranges(done.requests) == [
        ("2026-08-01", "2026-08-30"),
        ("2026-08-31", "2026-09-29"),
        ("2026-09-30", "2026-10-04"),
    ]


@pytest.mark.parametrize("run_id", [6050001, "6050001"])
def test_a_run_id_may_be_number_or_text(run_id: object) -> None:
    """The documentation shows a number, live answers are text."""
    done = read(LONG, [answer({"report_run_id": run_id}), DONE, page([])])
    assert done.requests[1].path == "/v26.0/6050001"


@pytest.mark.parametrize("payload", [{}, {"report_run_id": None}, {"report_run_id": True}, []])
def test_a_run_without_an_id_raises(payload: Any) -> None:
    """Nothing is polled that was not created."""
    assert type(read(LONG, [answer(payload)]).error) is IncompleteRead


@pytest.mark.parametrize("run_id", ["../me", "6050001/x", "", "me?x=1"])
def test_a_run_id_cannot_lead_elsewhere(run_id: str) -> None:
    """The id becomes part of a path, so it has to be digits."""
    assert type(read(LONG, [answer({"report_run_id": run_id})]).error) is IncompleteRead


def test_a_run_that_is_not_visible_yet_is_polled_again() -> None:
    """100/33 right after creation means "not yet", on the run only."""
    unseen = failure(100, 33)
    done = read(LONG, [CREATED, unseen, unseen, DONE, page([row("2026-10-01")])])
    assert len(done.records) == 1
    done = read(LONG, ([CREATED] + [unseen] * 6) * 3)
    assert isinstance(done.error, IncompleteRead)


LOST: dict[str, list[Any]] = {
    "failed": [run("Job Failed", 40)],
    "failed with passing codes": [run("Job Failed", 0, error_code=2, error_subcode=1504043)],
    "failed with a negative code": [run("Job Failed", 0, error_code=-2, error_subcode=2490547)],
    "failed with an unknown code": [run("Job Failed", 0, error_code=77777)],
    "expired": [run("Job Skipped", 0)],
    "another run": [answer({"id": "1", "async_status": "Job Completed"})],
    "no status": [answer({"id": "6050001"})],
    "percent in words": [run("Job Running", "60")],
    "a malformed page": [DONE, answer({"data": [{"ad_id": "1"}], "paging": {}})],
    "fields that were not there": [
        DONE,
        failure(100, None, 400, "Cannot include spend in summary"),
    ],
    "a vanished run": [DONE, failure(100, 33)],
    "a page that never comes": [DONE, failure(1, None, 500)],
}


@pytest.mark.parametrize("name", LOST)
def test_a_lost_run_is_created_anew(name: str) -> None:
    """Failed, expired, garbled: a new run, from the start, a few times."""
    done = read(LONG, [CREATED, *LOST[name], CREATED, DONE, page([row("2026-10-01")])])
    assert [request.method for request in done.requests].count("POST") == 2
    assert len(done.records) == 1
    assert done.verdict is not None


@pytest.mark.parametrize("name", LOST)
def test_runs_that_keep_getting_lost_raise(name: str) -> None:
    """Creating anew is bounded, and ends as an incomplete read."""
    done = read(LONG, [CREATED, *LOST[name]] * 3)
    assert isinstance(done.error, IncompleteRead)
    assert not isinstance(done.error, TooMuchData)
    assert done.verdict is None


@pytest.mark.parametrize("percent", [0, 99, 100])
def test_a_run_that_stands_still_is_created_anew(percent: int) -> None:
    """No progress for a bounded number of polls is a lost run, also at 99 percent."""
    adapter = FacebookAdapter(limits=ReadLimits(run_idle_polls_max=3, run_attempts_max=2))
    still = [CREATED, *[run("Job Running", percent)] * 4]
    done = read(LONG, still * 2, adapter)
    assert isinstance(done.error, IncompleteRead)
    assert str(percent) in str(done.error)


def test_slow_progress_is_progress() -> None:
    """A run that moves on is waited for beyond the idle bound, up to the bound on polls."""
    adapter = FacebookAdapter(limits=ReadLimits(run_idle_polls_max=2, run_polls_max=12))
    steps = [run("Job Running", percent) for percent in range(10)]
    done = read(LONG, [CREATED, *steps, DONE, page([])], adapter)
    assert done.verdict is not None
    adapter = FacebookAdapter(limits=ReadLimits(run_polls_max=4, run_attempts_max=1))
    done = read(LONG, [CREATED, *steps[:4]], adapter)
    assert isinstance(done.error, IncompleteRead)


def test_polls_wait_longer_and_longer_up_to_a_bound() -> None:
    """The pauses double and stop growing."""
    done = read(LONG, [CREATED, *[run("Job Running", n) for n in range(8)], DONE, page([])])
    waits = [pause.seconds for pause in done.pauses]
    assert waits[:4] == [0.5, 1.0, 2.0, 4.0]
    assert max(waits) == 30.0


@pytest.mark.parametrize(
    ("codes", "kind"),
    [
        ({"error_code": 100, "error_subcode": 3191001}, PermissionBlocked),
        ({"error_code": 2, "error_subcode": 1504041}, Defect),
        ({"error_code": 4, "error_subcode": 1504022}, PlatformBusy),
    ],
)
def test_a_run_that_failed_for_good_says_why(codes: dict[str, int], kind: type[Exception]) -> None:
    """A missing right, a wrong question or a throttle is not tried again with a new run."""
    done = read(LONG, [CREATED, run("Job Failed", 0, **codes)])
    assert isinstance(done.error, kind)
    if kind is PlatformBusy:
        assert done.error.retry_after_seconds == 300.0  # type: ignore[union-attr]


def test_a_range_that_is_too_heavy_is_halved() -> None:
    """Smaller pages first, then halves of the days; every day is still read."""
    done = read(
        SHORT,
        [
            TOO_MUCH,
            page([row("2026-11-01")], "A", more=True),
            TOO_MUCH,
            page([row("2026-11-01"), row("2026-11-02", "6300002")]),
            page([row("2026-11-03")]),
        ],
        FacebookAdapter(limits=ReadLimits(insights_page_rows=100, page_rows_floor=50)),
    )
    assert [request.params["limit"] for request in done.requests] == [
        "100",
        "50",
        "50",
        "100",
        "100",
    ]
    assert ranges(done.requests)[-2:] == [
        ("2026-11-01", "2026-11-02"),
        ("2026-11-03", "2026-11-04"),
    ]
    assert done.verdict is not None


def test_rows_of_a_piece_begun_again_come_twice_with_the_same_key() -> None:
    """What a halved range repeats has the same entity and day, so the last one wins."""
    done = read(
        SHORT,
        [
            page([row("2026-11-01", spend="1.00")], "A", more=True),
            TOO_MUCH,
            page([row("2026-11-01", spend="2.00")]),
            page([]),
        ],
        FLAT,
    )
    keyed = {(record.platform_id, record.date): record.spend for record in done.records}  # type: ignore[union-attr]
    assert keyed == {("6300001", "2026-11-01"): "2.00"}
    assert len(done.records) == 2


def test_one_day_that_is_too_heavy_is_left_to_a_run() -> None:
    """Meta's own remedy for one heavy day is to ask asynchronously."""
    one = days("2026-11-01", "2026-11-01")
    done = read(one, [TOO_MUCH, CREATED, DONE, page([row("2026-11-01")])], FLAT)
    assert len(done.records) == 1
    assert done.verdict is not None


def test_one_day_that_even_a_run_cannot_compute_raises() -> None:
    """There is nothing smaller left to ask."""
    one = days("2026-11-01", "2026-11-01")
    failed = run("Job Failed", 0, error_code=-3, error_subcode=1504045)
    done = read(one, [TOO_MUCH, CREATED, failed], FLAT)
    assert type(done.error) is TooMuchData


def test_a_run_that_is_too_heavy_is_halved_too() -> None:
    """A run that failed for its size is asked for in two halves, each as its length wants."""
    failed = run("Job Failed", 0, error_code=-3, error_subcode=1504045)
    done = read(LONG, [CREATED, failed, CREATED, DONE, page([]), CREATED, DONE, page([])])
    assert ranges(done.requests) == [
        ("2026-10-01", "2026-10-20"),
        ("2026-10-01", "2026-10-10"),
        ("2026-10-11", "2026-10-20"),
    ]


@pytest.mark.parametrize(
    "refusal",
    [
        failure(100, 1487534),
        failure(100, 1504018),
        failure(2, 1504038),
        failure(-3, 1504045),
        failure(1, None, 500, "Please reduce the amount of data you're asking for"),
    ],
)
def test_every_way_of_saying_too_much_asks_for_less(refusal: Any) -> None:
    """All five refusals lead to two smaller reads."""
    done = read(SHORT, [refusal, page([]), page([])], FLAT)
    assert len(ranges(done.requests)) == 3
    assert done.verdict is not None


def test_what_is_shortened_covers_the_range_exactly() -> None:
    """What was too much and what follows it: every day once, in order, half as long at most."""
    for length in range(2, 40):
        piece, later = (
            days_from(date(2026, 1, 1), length),
            [
                days_from(date(2026, 1, 1) + timedelta(days=length), length),
                days_from(date(2026, 1, 1) + timedelta(days=2 * length), 1),
            ],
        )
        parts = shortened(piece, later)
        covered = [day for part in parts for day in sorted(days_of(part))]
        assert covered == [
            (date(2026, 1, 1) + timedelta(days=n)).isoformat() for n in range(2 * length + 1)
        ]
        assert max(part.days for part in parts) == (length + 1) // 2


def days_from(since: date, length: int) -> DateRange:
    """That many days."""
    return DateRange(since=since, until=since + timedelta(days=length - 1))


def test_halves_cover_the_range_exactly() -> None:
    """Cutting loses no day and doubles none, whatever the length."""
    for length in range(2, 40):
        whole = DateRange(
            since=date(2026, 1, 1),
            until=date.fromordinal(date(2026, 1, 1).toordinal() + length - 1),
        )
        first, second = halves(whole)
        assert first.since == whole.since
        assert second.until == whole.until
        assert (second.since - first.until).days == 1
        assert abs(first.days - second.days) <= 1


def test_a_stale_cursor_begins_the_piece_again() -> None:
    """2642 in the middle of a report restarts the piece, a bounded number of times."""
    stale = [page([row("2026-11-01")], "A", more=True), failure(2642)]
    done = read(SHORT, [*stale, page([row("2026-11-01")])])
    assert done.verdict is not None
    done = read(SHORT, stale * 3)
    assert isinstance(done.error, IncompleteRead)


def test_totals_are_the_accounts_own_and_unfiltered() -> None:
    """Totals include archived and deleted children only when nothing is filtered."""
    done = totals(LONG, [page([row("2026-10-01"), row("2026-10-20", spend="0")])])
    params = done.requests[0].params
    assert done.requests[0].method == "GET"
    assert params["level"] == "account"
    assert "filtering" not in params
    assert all(isinstance(record, DayTotals) for record in done.records)
    assert [record.spend for record in done.records] == [Decimal("87.4"), Decimal(0)]  # type: ignore[union-attr]


def test_totals_shrink_like_reports() -> None:
    """A range too heavy for its totals is halved, and a single day is left to a run."""
    two = days("2026-11-01", "2026-11-02")
    script = [
        TOO_MUCH,
        page([row("2026-11-01")]),
        TOO_MUCH,
        CREATED,
        DONE,
        page([row("2026-11-02")]),
    ]
    done = totals(two, script, FLAT)  # type: ignore[arg-type]
    assert [record.date for record in done.records] == [date(2026, 11, 1), date(2026, 11, 2)]  # type: ignore[union-attr]
