"""Objects and reports by id, fifty to a batch, each item with its own fate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from driving import ADAPTER, STARTED, Driven, Script, ad, answer, days, drive, failure, row

from adsync_dagster.errors import (
    CredentialBlocked,
    IncompleteRead,
    PlatformBusy,
    TooMuchData,
)
from adsync_dagster.platforms.facebook import FacebookAdapter, ReadLimits
from adsync_dagster.platforms.protocol import Request, Response
from adsync_dagster.records import Level

RANGE = days("2026-11-01", "2026-11-04")


def item(payload: Any, code: int = 200, **headers: str) -> dict[str, Any]:
    """One answered item: its body is JSON in a text."""
    listed = [{"name": name, "value": value} for name, value in headers.items()]
    return {"code": code, "headers": listed, "body": orjson.dumps(payload).decode()}


def error_item(code: int, subcode: int | None = None, status: int = 400, **headers: str) -> Any:
    """One failed item."""
    return item(orjson.loads(failure(code, subcode).body), status, **headers)


def calls(request: Request) -> list[tuple[str, dict[str, str]]]:
    """The items of a batch request as path and parameters."""
    assert request.form is not None
    listed = orjson.loads(request.form["batch"])
    assert all(
        call["method"] == "GET" and not call["relative_url"].startswith("/") for call in listed
    )
    parts = [urlsplit(call["relative_url"]) for call in listed]
    return [(p.path, {k: v[0] for k, v in parse_qs(p.query).items()}) for p in parts]


def each(make: Callable[[str], Any]) -> Callable[[Request], Response]:
    """An answer built from the ids that are asked for."""
    return lambda request: answer([make(path.split("/")[0]) for path, _ in calls(request)])


def found(entity_id: str) -> dict[str, Any]:
    """An item that shows an ad."""
    return item(ad(0, id=entity_id))


def look_up(ids: list[str], script: list[Script], adapter: FacebookAdapter = ADAPTER) -> Driven:
    """Ads by id."""
    return drive(adapter.lookup_entities("act_501", Level.AD, ids, STARTED), script)


def report(ids: list[str], script: list[Script], adapter: FacebookAdapter = ADAPTER) -> Driven:
    """Reports of ads by id."""
    return drive(adapter.report_entities("act_501", Level.AD, ids, RANGE, STARTED), script)


def rows_page(rows: list[Any], after: str | None = None) -> dict[str, Any]:
    """An item with a page of report rows, and a next one when a cursor is given."""
    paging: dict[str, Any] = {"cursors": {"after": after or "end"}}
    if after:
        paging["next"] = "https://graph.facebook.com/?access_token=sim_leak"
    return item({"data": rows, "paging": paging})


def test_fifty_ids_go_into_one_post() -> None:
    """120 ids take three batches of at most 50 GETs, every id once."""
    ids = [str(6300000 + n) for n in range(120)]
    done = look_up([*ids, *ids], [each(found)] * 3)
    assert done.ids == ids
    assert [len(calls(request)) for request in done.requests] == [50, 50, 20]
    assert {(request.method, request.path) for request in done.requests} == {("POST", "/v26.0/")}
    assert done.verdict is not None
    assert done.verdict.missing_ids == frozenset()


def test_the_next_batch_is_announced_with_the_rows() -> None:
    """While rows are stored, the driver may already send the batch that follows."""
    done = look_up([str(6300000 + n) for n in range(51)], [each(found)] * 2)
    assert done.pages[0].ahead is done.requests[1]
    assert done.pages[1].ahead is None


def test_no_ids_need_no_request() -> None:
    """An empty question has an empty, complete answer."""
    done = look_up([], [])
    assert done.verdict is not None
    assert done.verdict.request_count == 0


def test_deleted_objects_are_read_by_id() -> None:
    """By id Meta still shows what no listing shows."""
    deleted = item(ad(1, status="DELETED", effective_status="DELETED"))
    done = look_up(["6300001"], [answer([deleted])])
    (entity,) = done.records
    assert entity.status == "DELETED"  # type: ignore[union-attr]


def test_null_items_alone_are_sent_again() -> None:
    """Meta answers null when it ran out of time; the others are not asked twice."""
    ids = ["6300001", "6300002", "6300003"]
    done = look_up(
        ids, [answer([found("6300001"), None, None]), answer([None, found("6300003")]), each(found)]
    )
    assert [[path for path, _ in calls(r)] for r in done.requests] == [ids, ids[1:], ids[1:2]]
    assert sorted(done.ids) == ids
    assert len(done.pauses) == 2


def test_items_that_stay_null_raise() -> None:
    """Resending is bounded, and an id nobody answered for is not missing."""
    done = look_up(["6300001"], [answer([None])] * 5)
    assert type(done.error) is IncompleteRead
    assert [pause.seconds for pause in done.pauses] == [1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize(
    "unknown",
    [
        error_item(100, 33),
        error_item(803, None, 404),
        error_item(10, None, 403),
        error_item(200, None, 403),
    ],
)
def test_ids_meta_does_not_show_are_reported_missing(unknown: Any) -> None:
    """Unknown or hidden is told apart from deleted, and from an error of the read."""
    done = look_up(["6300001", "6300002"], [answer([found("6300001"), unknown])])
    assert done.ids == ["6300001"]
    assert done.verdict is not None
    assert done.verdict.missing_ids == {"6300002"}


@pytest.mark.parametrize(
    "passing",
    [
        error_item(2, None, 503),
        error_item(1, 99, 500),
        error_item(17, 2446079),
        item({}, 500),
        item([], 200),
        {"code": 200, "body": "<html>"},
        {"code": 200},
        {"code": "200", "body": "{}"},
        {"body": "{}"},
        "text",
    ],
)
def test_items_that_fail_in_passing_are_asked_again(passing: Any) -> None:
    """A throttled, broken or unreadable item is repeated, never dropped."""
    done = look_up(["6300001", "6300002"], [answer([found("6300001"), passing]), each(found)])
    assert sorted(done.ids) == ["6300001", "6300002"]
    assert [path for path, _ in calls(done.requests[1])] == ["6300002"]
    assert len(done.pauses) == 1


def test_a_throttled_item_waits_as_its_headers_say() -> None:
    """A short wait is kept; a long one ends the read with its length."""
    headers = {"X-Business-Use-Case-Usage": '{"501":[{"estimated_time_to_regain_access":%s}]}'}
    short = error_item(80004, None, 400, **{k: v % "1" for k, v in headers.items()})
    done = look_up(["6300001"], [answer([short]), each(found)])
    assert [pause.seconds for pause in done.pauses] == [60.0]
    long = error_item(80004, None, 400, **{k: v % "19" for k, v in headers.items()})
    done = look_up(["6300001"], [answer([long])])
    assert isinstance(done.error, PlatformBusy)
    assert done.error.retry_after_seconds == 1140.0


def test_a_dead_token_in_an_item_ends_the_read() -> None:
    """190 is about the credential, not about the object."""
    done = look_up(["6300001", "6300002"], [answer([found("6300001"), error_item(190, 463)])])
    assert type(done.error) is CredentialBlocked


def test_an_odd_object_is_not_a_defect_of_ours() -> None:
    """An item refused as invalid fails its own read, and does not bring the run down."""
    done = look_up(["6300001"], [answer([error_item(100)])] * 5)
    assert type(done.error) is IncompleteRead
    assert "6300001" in str(done.error)


@pytest.mark.parametrize("payload", [[], [None, None], {"data": []}])
def test_a_batch_that_does_not_answer_every_item_raises(payload: Any) -> None:
    """The order of the answers is their identity, so their number has to fit."""
    done = look_up(["6300001"], [answer(payload)])
    assert type(done.error) is IncompleteRead


def test_swapped_items_are_noticed() -> None:
    """An item that shows another object is asked again, and then fails."""
    swapped = answer([found("6300002"), found("6300001")])
    done = look_up(["6300001", "6300002"], [swapped] * 5)
    assert isinstance(done.error, IncompleteRead)
    assert done.records == []


def test_an_empty_item_of_a_mixed_up_batch_is_not_believed() -> None:
    """No rows name nobody: beside rows of another ad they may be anybody's, so all are asked."""
    of_first = rows_page([row("2026-11-01", "6300001")])
    swapped, right = answer([rows_page([]), of_first]), answer([of_first, rows_page([])])
    done = report(["6300001", "6300002"], [swapped, right])
    assert done.verdict is not None
    assert [record.platform_id for record in done.records] == ["6300001"]
    assert [len(calls(request)) for request in done.requests] == [2, 2]


def test_a_missing_object_of_a_mixed_up_batch_is_not_believed() -> None:
    """Which of the two is missing is only known once their answers are told apart."""
    swapped = answer([error_item(100, 33), found("6300001")])
    done = look_up(
        ["6300001", "6300002"], [swapped, answer([found("6300001"), error_item(100, 33)])]
    )
    assert done.verdict is not None
    assert done.verdict.missing_ids == {"6300002"}


def test_objects_of_another_account_are_refused() -> None:
    """A token may see several accounts; a read is about one."""
    done = look_up(["6300001"], [answer([item(ad(1, account_id="777"))])] * 5)
    assert type(done.error) is IncompleteRead


@pytest.mark.parametrize(
    "bad", ["", "me", "6300001?x=1", "../1", "act_501", "\u0661\u0662", "6300001 "]
)
def test_only_ids_become_part_of_a_url(bad: str) -> None:
    """Whatever stands in the database, no other path is asked for: it counts as missing."""
    look_ups = ADAPTER.lookup_entities("act_501", Level.AD, [bad], STARTED)
    reports = ADAPTER.report_entities(
        "act_501", Level.AD, [bad], days("2026-03-01", "2026-03-02"), STARTED
    )
    for read in (look_ups, reports):
        with pytest.raises(StopIteration) as ended:
            next(read)
        assert ended.value.value.missing_ids == {bad}


def test_a_whole_batch_that_is_refused_raises() -> None:
    """960 is retryable for the driver, and ends the read when it stays."""
    done = look_up(["6300001"], [failure(960)])
    assert type(done.error) is PlatformBusy


def test_budgets_need_the_currency_first() -> None:
    """Campaigns and ad sets are looked up after the account's currency."""
    done = drive(
        ADAPTER.lookup_entities("501", Level.CAMPAIGN, ["6100001"], STARTED),
        [
            answer({"account_id": "501", "currency": "JPY"}),
            answer([item(ad(0, id="6100001", daily_budget="5000"))]),
        ],
    )
    (entity,) = done.records
    assert entity.extra == {"daily_budget": "5000"}  # type: ignore[union-attr]


def test_reports_by_id_are_unfiltered_and_dated() -> None:
    """By id archived and deleted objects report too, so no filter is sent."""
    done = report(["6300001"], [answer([rows_page([row("2026-11-01"), row("2026-11-02")])])])
    ((path, params),) = calls(done.requests[0])
    assert path == "6300001/insights"
    assert "filtering" not in params
    assert params["level"] == "ad"
    assert params["time_increment"] == "1"
    assert orjson.loads(params["time_range"]) == {"since": "2026-11-01", "until": "2026-11-04"}
    assert [record.date for record in done.records] == ["2026-11-01", "2026-11-02"]  # type: ignore[union-attr]


def test_items_with_more_pages_are_continued() -> None:
    """Only the unfinished item goes on, with its cursor, and never by `next`."""
    done = report(
        ["6300001", "6300002"],
        [
            answer(
                [rows_page([row("2026-11-01")], "A"), rows_page([row("2026-11-01", "6300002")])]
            ),
            answer([rows_page([], "B")]),
            answer([rows_page([row("2026-11-02")])]),
        ],
    )
    assert [[c[1].get("after") for c in calls(r)] for r in done.requests] == [
        [None, None],
        ["A"],
        ["B"],
    ]
    assert len(done.records) == 3
    assert done.verdict is not None
    assert "sim_leak" not in repr(done.requests)


def test_an_item_that_pages_in_a_circle_raises() -> None:
    """Cursors A, B, A end the read, however the item is retried."""
    adapter = FacebookAdapter(limits=ReadLimits(item_attempts_max=1))
    script = [answer([rows_page([row("2026-11-01")], cursor)]) for cursor in ("A", "B", "A")]
    done = report(["6300001"], script, adapter)  # type: ignore[arg-type]
    assert type(done.error) is IncompleteRead
    assert "circle" in str(done.error)


def test_a_stale_cursor_of_an_item_starts_it_again() -> None:
    """2642 on one item restarts that item only."""
    done = report(
        ["6300001"],
        [
            answer([rows_page([row("2026-11-01")], "A")]),
            answer([error_item(2642)]),
            answer([rows_page([row("2026-11-01"), row("2026-11-02")])]),
        ],
    )
    assert [calls(r)[0][1].get("after") for r in done.requests] == [None, "A", None]
    assert done.verdict is not None


def test_an_item_that_is_too_much_is_asked_in_smaller_parts() -> None:
    """First smaller pages, then halves of the days, down to one day."""
    adapter = FacebookAdapter(limits=ReadLimits(insights_page_rows=100, page_rows_floor=50))
    heavy = error_item(100, 1487534)
    done = report(
        ["6300001"],
        [
            answer([heavy]),
            answer([heavy]),
            answer([rows_page([row("2026-11-01")]), heavy]),
            answer([rows_page([row("2026-11-03")])]),
        ],
        adapter,
    )
    asked = [
        (params["limit"], *orjson.loads(params["time_range"]).values())
        for request in done.requests
        for _, params in calls(request)
    ]
    assert asked == [
        ("100", "2026-11-01", "2026-11-04"),
        ("50", "2026-11-01", "2026-11-04"),
        ("100", "2026-11-01", "2026-11-02"),
        ("100", "2026-11-03", "2026-11-04"),
        ("50", "2026-11-03", "2026-11-04"),
    ]
    assert done.verdict is not None


def test_an_item_too_heavy_for_one_day_raises() -> None:
    """When nothing smaller can be asked, the read fails and says so."""
    adapter = FacebookAdapter(limits=ReadLimits(insights_page_rows=50, page_rows_floor=50))
    heavy = error_item(100, 1487534)
    done = report(
        ["6300001"],
        [answer([heavy]), answer([heavy, heavy]), answer([heavy] * 4)],
        adapter,
    )
    assert type(done.error) is TooMuchData


def test_a_single_object_is_never_too_much() -> None:
    """A look-up refused for its size is asked again as it is, and ends as itself."""
    heavy = error_item(1, None, 500)
    heavy["body"] = heavy["body"].replace('"message":""', '"message":"reduce the amount of data"')
    done = look_up(["6300001"], [answer([heavy]), each(found)])
    assert done.ids == ["6300001"]
    done = look_up(["6300001"], [answer([heavy])] * 5)
    assert type(done.error) is TooMuchData
    assert "6300001" in str(done.error)


def test_a_report_row_of_another_object_is_refused() -> None:
    """A row has to belong to the object that was asked, not only to the account."""
    swapped = answer([rows_page([row("2026-11-01", "6300002")])])
    done = report(["6300001"], [swapped] * 5)
    assert isinstance(done.error, IncompleteRead)
    assert done.records == []


def test_missing_and_found_reports_share_a_verdict() -> None:
    """Forty-seven answers and three unknown ids are one complete read."""
    ids = [str(6300000 + n) for n in range(50)]
    gone = set(ids[:3])
    done = report(
        ids,
        [each(lambda i: error_item(100, 33) if i in gone else rows_page([row("2026-11-01", i)]))],
    )
    assert done.verdict is not None
    assert done.verdict.missing_ids == gone
    assert done.verdict.row_count == 47
