"""TikTok reads by hand: what is asked for, how pages prove themselves, what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest
from driving import days
from hypothesis import given
from hypothesis import strategies as st
from tiktok_answers import (
    ACCOUNT,
    ADAPTER,
    STARTED,
    WHOLE,
    ad,
    envelope,
    failed,
    page,
    row,
    run,
    total_row,
)

from adsync_dagster.errors import (
    AccountBlocked,
    CredentialBlocked,
    IncompleteRead,
    TooMuchData,
    UsageError,
)
from adsync_dagster.platforms.protocol import Credential, Request, Response
from adsync_dagster.platforms.tiktok import TikTokAdapter
from adsync_dagster.platforms.tiktok_entities import instant, money_text
from adsync_dagster.platforms.tiktok_reports import TASK_CREATE
from adsync_dagster.records import LEVELS, DailyMetrics, DayTotals, Entity, Level

DAY = days("2026-11-01", "2026-11-01")
FULL = {"x-tt-ads-throttle": "1"}


def listed(*answers: Response) -> Any:
    return run(ADAPTER.list_entities(ACCOUNT, Level.AD, STARTED), answers)


def reported(*answers: Response, level: Level = Level.AD) -> Any:
    return run(ADAPTER.report(ACCOUNT, level, DAY, STARTED), answers)


def csv(*rows: str) -> Response:
    """A report task's text, in the columns of an ad level report."""
    titles = "ad_id,stat_time_day,spend,impressions,clicks,reach,frequency,conversion"
    head = f"{titles},total_purchase_value,campaign_id,adgroup_id,currency"
    return Response(status=200, headers={}, body="\n".join([head, *rows, ""]).encode())


# Who asks


def test_the_token_travels_in_its_header_only() -> None:
    """Access-Token carries it; no parameter does."""
    credential = Credential({"access_token": "sim_t"})
    assert ADAPTER.headers(credential) == {"Access-Token": "sim_t"}
    assert ADAPTER.parameters(credential) == {}
    for bad in ({}, {"access_token": ""}, {"access_token": "a\nb"}):
        with pytest.raises(CredentialBlocked):
            ADAPTER.headers(Credential(bad))


def test_only_a_report_task_may_be_posted() -> None:
    """Everything that writes is out of reach."""
    assert ADAPTER.may_post("/open_api/v1.3/report/task/create/")
    for name in ("ad/status/update", "campaign/create", "report/task/cancel"):
        assert not ADAPTER.may_post(f"/open_api/v1.3/{name}/")
    assert not ADAPTER.may_post("/open_api/v1.3/report/task/create")


@pytest.mark.parametrize("text", ["", "act_1", "12 3", "1" * 31, "٣", "7.5"])
def test_what_is_no_advertiser_is_refused(text: str) -> None:
    """Only digits are an advertiser's id."""
    assert ADAPTER.normalise_account_id(f" {ACCOUNT} ") == ACCOUNT
    with pytest.raises(UsageError, match="not a TikTok advertiser"):
        ADAPTER.normalise_account_id(text)


def test_a_metric_that_is_no_name_is_refused() -> None:
    """Nothing but a name gets into the list of metrics."""
    with pytest.raises(ValueError, match="metric"):
        TikTokAdapter(conversion_metric="spend,clicks")


# Entities


@pytest.mark.parametrize("level", LEVELS)
def test_a_listing_asks_for_every_status_in_the_right_shape(level: Level) -> None:
    """An object with primary_status, a slash at the end, a thousand rows a page."""
    done = run(WHOLE.list_entities(ACCOUNT, level, STARTED), [page([], size=1000)])
    (request,) = done.requests
    word = {"campaign": "campaign", "adset": "adgroup", "ad": "ad"}[level.value]
    assert request.path == f"/open_api/v1.3/{word}/get/"
    assert orjson.loads(request.params["filtering"]) == {"primary_status": "STATUS_ALL"}
    assert {"operation_status", "secondary_status", f"{word}_id"} <= set(
        orjson.loads(request.params["fields"])
    )
    assert (request.params["page"], request.params["page_size"]) == ("1", "1000")
    assert done.verdict is not None
    assert done.verdict.row_count == 0


def test_a_look_up_names_its_ids_and_still_every_status() -> None:
    """An id filter alone would hide the deleted; what does not come is missing."""
    ids = ["1790001", "1790002", "1790003", "1790004", "1790001"]
    done = run(
        ADAPTER.lookup_entities(ACCOUNT, Level.AD, ids, STARTED),
        [page([ad(1), ad(3)], total=2), page([], total=0)],
    )
    filters = [orjson.loads(request.params["filtering"]) for request in done.requests]
    assert filters == [
        {"primary_status": "STATUS_ALL", "ad_ids": ["1790001", "1790002", "1790003"]},
        {"primary_status": "STATUS_ALL", "ad_ids": ["1790004"]},
    ]
    assert done.verdict is not None
    assert done.verdict.missing_ids == {"1790002", "1790004"}
    assert run(ADAPTER.lookup_entities(ACCOUNT, Level.AD, [], STARTED), []).verdict is not None
    # What can be no id is never sent: it is as missing as an id that nobody knows.
    strange = run(ADAPTER.lookup_entities(ACCOUNT, Level.AD, ['1"]', ""], STARTED), [])
    assert strange.verdict is not None
    assert strange.verdict.missing_ids == {'1"]', ""}


def test_an_entity_carries_everything_worth_keeping() -> None:
    """Ids, parents, times in UTC, raw statuses, and money as text."""
    campaign = {
        "advertiser_id": ACCOUNT, "campaign_id": "1770001", "campaign_name": "A\x00B",
        "operation_status": "ENABLE", "secondary_status": "CAMPAIGN_STATUS_DELETE",
        "budget": 50.55, "budget_mode": "BUDGET_MODE_DAY", "create_time": "2026-03-02 09:15:00",
    }  # fmt: skip
    done = run(ADAPTER.list_entities(ACCOUNT, Level.CAMPAIGN, STARTED), [page([campaign])])
    assert done.records == [
        Entity(
            level=Level.CAMPAIGN,
            platform_id="1770001",
            name="A\ufffdB",
            status="DELETED",
            platform_status="ENABLE/CAMPAIGN_STATUS_DELETE",
            effective_status="DELETED",
            created_at=datetime(2026, 3, 2, 9, 15, tzinfo=UTC),
            extra={"budget_mode": "BUDGET_MODE_DAY", "budget": "50.55"},
        )
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, None), (0, None), (0.0, None), (50, "50"), (1e-05, "0.00001"), ("12.50", "12.5"),
     (123456789012.34, "123456789012.34"), (1e16, "10000000000000000")],
)  # fmt: skip
def test_amounts_become_exact_text(value: Any, text: str | None) -> None:
    """The shortest spelling of a JSON number is the amount that was typed."""
    assert money_text(value, "budget") == text


@pytest.mark.parametrize("value", [True, "much", [], float("nan"), float("inf"), 1e300])
def test_what_is_no_amount_is_refused(value: Any) -> None:
    """A budget that is no number fails the read."""
    with pytest.raises(IncompleteRead):
        money_text(value, "budget")


@given(st.datetimes(datetime(2016, 1, 1), datetime(2040, 1, 1)))  # noqa: DTZ001 - drawn as UTC
def test_times_are_utc(moment: datetime) -> None:
    """Written without a zone, read as UTC."""
    whole = moment.replace(microsecond=0)
    assert instant(whole.strftime("%Y-%m-%d %H:%M:%S"), "t") == whole.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "more",
    [
        {"advertiser_id": "1"}, {"ad_id": "x"}, {"ad_id": None}, {"campaign_id": 1.5},
        {"adgroup_id": ""}, {"create_time": "2026-03-02T09:15:00Z"}, {"ad_name": 7},
        {"secondary_status": []},
    ],
)  # fmt: skip
def test_an_object_that_is_not_what_was_asked_for_fails_the_read(more: dict[str, Any]) -> None:
    """Another advertiser's, or with a field that cannot be what it says."""
    done = listed(page([ad(1, **more)]))
    assert isinstance(done.error, IncompleteRead)
    assert not done.records


# Pages


def test_pages_are_followed_to_the_last_and_announced_ahead() -> None:
    """Each page's rows name the request for the next one, which is that very object."""
    done = listed(page([ad(5), ad(4)], 1, total=5), page([ad(3), ad(2)], 2, total=5),
                  page([ad(1)], 3, total=5))  # fmt: skip
    assert done.ids == ["1790005", "1790004", "1790003", "1790002", "1790001"]
    assert [request.params["page"] for request in done.requests] == ["1", "2", "3"]
    assert [one.ahead for one in done.pages] == [done.requests[1], done.requests[2], None]
    assert done.verdict.row_count == 5


def test_rows_that_vanish_between_pages_start_the_listing_again() -> None:
    """A smaller total means that a row moved onto a page that was read already."""
    done = listed(
        page([ad(5), ad(4)], 1, total=5), page([ad(2), ad(1)], 2, total=4),
        page([ad(5), ad(3)], 1, total=4), page([ad(2), ad(1)], 2, total=4),
    )  # fmt: skip
    assert done.verdict.row_count == 4
    assert {"1790003"} <= set(done.ids)


def test_a_vanished_row_is_noticed_although_the_number_of_rows_is_right() -> None:
    """Two came and one went: as many as announced were seen, and still one was skipped."""
    done = listed(
        page([ad(9), ad(8)], 1, total=5), page([ad(7), ad(6)], 2, total=6),
        page([ad(4)], 3, total=5),
        page([ad(8), ad(7)], 1, total=5), page([ad(6), ad(5)], 2, total=5),
        page([ad(4)], 3, total=5),
    )  # fmt: skip
    assert done.error is None
    assert "1790005" in done.ids


def test_rows_that_appear_between_pages_cost_nothing() -> None:
    """They push others to later pages, where these come a second time."""
    done = listed(page([ad(3), ad(2)], 1, total=3), page([ad(2), ad(1)], 2, total=4))
    assert done.error is None
    assert set(done.ids) == {"1790001", "1790002", "1790003"}


def test_a_listing_that_never_adds_up_is_refused() -> None:
    """Three passes with fewer rows than announced are an incomplete read."""
    done = listed(*[page([ad(2)], total=2)] * 3)
    assert isinstance(done.error, IncompleteRead)
    assert "only 1 of 2" in str(done.error)


@pytest.mark.parametrize(
    "answer",
    [
        page([ad(1)], page=2),
        page([ad(1)], page_size=10),
        page([ad(1)], total_page=7),
        page([ad(1)], total_number=None),
        page([ad(1)], total_number=True),
        page([ad(1), ad(2), ad(3)], total=3),
        envelope({"list": [ad(1)]}),
        envelope({"page_info": {"page": 1, "page_size": 2, "total_number": 1, "total_page": 1}}),
        page([None]),
    ],
)
def test_a_page_that_contradicts_itself_is_refused(answer: Response) -> None:
    """It must be the page that was asked for, of the size asked for, with its rows."""
    assert isinstance(listed(answer).error, IncompleteRead)


@pytest.mark.parametrize("pages", [0, 1])
def test_an_empty_list_may_count_as_no_page_or_one(pages: int) -> None:
    """Which of the two TikTok says is not documented; a missing list is an empty one then."""
    assert listed(page([], total_page=pages)).verdict is not None
    info = {"page": 1, "page_size": 2, "total_number": 0, "total_page": pages}
    assert listed(envelope({"list": None, "page_info": info})).verdict is not None


def test_a_listing_that_times_out_is_asked_for_in_smaller_pages() -> None:
    """Down to the floor; what still times out is raised."""
    done = run(WHOLE.list_entities(ACCOUNT, Level.AD, STARTED), [failed(50002)] * 3)
    assert [one.params["page_size"] for one in done.requests] == ["1000", "100", "10"]
    assert isinstance(done.error, TooMuchData)


# Reports


def test_a_report_asks_for_the_deleted_by_its_own_levels_filter() -> None:
    """filter_value is text that holds JSON; both days are included."""
    done = run(WHOLE.report(ACCOUNT, Level.AD, days("2026-11-01", "2026-12-05"), STARTED),
               [page([], size=1000)] * 2)  # fmt: skip
    first, second = (request.params for request in done.requests)
    assert orjson.loads(first["filtering"]) == [
        {"field_name": "ad_status", "filter_type": "IN", "filter_value": '["STATUS_ALL"]'}
    ]
    assert first["data_level"] == "AUCTION_AD"
    assert orjson.loads(first["dimensions"]) == ["ad_id", "stat_time_day"]
    assert (first["start_date"], first["end_date"]) == ("2026-11-01", "2026-11-30")
    assert (second["start_date"], second["end_date"]) == ("2026-12-01", "2026-12-05")


def test_37_months_come_in_spans_of_30_days() -> None:
    """Each day is asked for once, at every level and in the totals, at most 30 at a time."""
    whole = days("2023-10-27", "2026-11-23")
    assert whole.days == ADAPTER.rules.retention_days + 1
    for read in (
        WHOLE.report(ACCOUNT, Level.CAMPAIGN, whole, STARTED),
        WHOLE.report_totals(ACCOUNT, whole, STARTED),
    ):
        done = run(read, [page([], size=1000)] * 38)
        assert done.error is None
        spans = [(r.params["start_date"], r.params["end_date"]) for r in done.requests]
        pieces = [days(since, until) for since, until in spans]
        assert max(piece.days for piece in pieces) == 30
        assert sum(piece.days for piece in pieces) == whole.days
        assert (spans[0][0], spans[-1][1]) == ("2023-10-27", "2026-11-23")


def test_every_path_ends_with_a_slash() -> None:
    """Without it TikTok answers 404 in plain text."""
    reads = [
        ADAPTER.read_accounts(STARTED),
        ADAPTER.read_account(ACCOUNT, STARTED),
        ADAPTER.list_entities(ACCOUNT, Level.AD, STARTED),
        ADAPTER.lookup_entities(ACCOUNT, Level.AD, ["1"], STARTED),
        ADAPTER.report(ACCOUNT, Level.AD, DAY, STARTED),
        ADAPTER.report_totals(ACCOUNT, DAY, STARTED),
    ]
    for read in reads:
        request = next(read)
        assert isinstance(request, Request)
        assert request.path.startswith("/open_api/v1.3/")
        assert request.path.endswith("/")
    assert TASK_CREATE.endswith("/")


def test_totals_are_asked_for_without_any_filter() -> None:
    """The advertiser's own rows include everything."""
    done = run(ADAPTER.report_totals(ACCOUNT, DAY, STARTED), [page([total_row("2026-11-01")])])
    assert "filtering" not in done.requests[0].params
    assert done.records == [
        DayTotals(date=date(2026, 11, 1), impressions=2000, clicks=20, spend=Decimal("20.10"),
                  conversions=Decimal(2), conversion_value=Decimal(50))
    ]  # fmt: skip


def test_a_row_becomes_numbers_without_a_float() -> None:
    """Decimal text stays as it came; a dash is nothing for people, zero for counts."""
    plain, dashes = reported(page([row("2026-11-01"), row(
        "2026-11-01", 2, reach="-", frequency="-", clicks="-", conversion="-",
        total_purchase_value="-", spend="0.10", adgroup_id="-",
    )])).records  # fmt: skip
    assert plain == DailyMetrics(
        level=Level.AD, platform_id="1790001", date="2026-11-01", campaign_id="1770001",
        adset_id="1780001", impressions="1079", clicks="12", link_clicks=None, spend="14.68",
        reach="900", frequency="1.2", conversions="1", conversion_value="39.90", extra=None,
    )  # fmt: skip
    assert (dashes.reach, dashes.frequency, dashes.clicks) == (None, None, "0")
    assert (dashes.conversions, dashes.conversion_value, dashes.adset_id) == ("0", "0", None)


@pytest.mark.parametrize(
    "more",
    [
        {"spend": "-"}, {"spend": 14.68}, {"spend": "1e99"}, {"impressions": "-"},
        {"impressions": "-3"}, {"impressions": None}, {"reach": "many"}, {"campaign_id": None},
    ],
)  # fmt: skip
def test_a_row_without_its_numbers_fails_the_read(more: dict[str, Any]) -> None:
    """No number is guessed, and none passes through a float."""
    assert isinstance(reported(page([row("2026-11-01", **more)])).error, IncompleteRead)


def test_a_row_of_another_question_fails_the_read() -> None:
    """Another day, another ad than asked for by id, another advertiser's total."""
    assert isinstance(reported(page([row("2026-11-02")])).error, IncompleteRead)
    by_id = ADAPTER.report_entities(ACCOUNT, Level.AD, ["1790001"], DAY, STARTED)
    assert isinstance(run(by_id, [page([row("2026-11-01", 2)])]).error, IncompleteRead)
    other = total_row("2026-11-01")
    other["dimensions"]["advertiser_id"] = "1"
    totals = ADAPTER.report_totals(ACCOUNT, DAY, STARTED)
    assert isinstance(run(totals, [page([other])]).error, IncompleteRead)


def test_reports_by_id_combine_ids_and_status() -> None:
    """In groups of what one filter takes, each with STATUS_ALL beside it."""
    ids = ["1790001", "1790002", "1790003", "1790004", "1790001"]
    read = ADAPTER.report_entities(ACCOUNT, Level.AD, ids, DAY, STARTED)
    rows = [row("2026-11-01", number) for number in (1, 2, 3, 4)]
    done = run(read, [page(rows[:2], total=3), page(rows[2:3], 2, total=3), page(rows[3:])])
    values = [
        [(one["field_name"], one["filter_value"]) for one in orjson.loads(q.params["filtering"])]
        for q in (done.requests[0], done.requests[2])
    ]
    assert values == [
        [("ad_ids", '["1790001","1790002","1790003"]'), ("ad_status", '["STATUS_ALL"]')],
        [("ad_ids", '["1790004"]'), ("ad_status", '["STATUS_ALL"]')],
    ]
    assert done.verdict is not None
    assert done.verdict.missing_ids == frozenset()


def test_no_rows_by_id_are_told_from_an_unknown_ad() -> None:
    """A report has no word for what is not there, so who has no row is looked up in the list."""
    read = ADAPTER.report_entities(
        ACCOUNT, Level.AD, ["1790001", "1790002", "1790003"], DAY, STARTED
    )
    done = run(read, [page([row("2026-11-01")]), page([ad(2)])])
    assert done.verdict is not None
    assert done.verdict.missing_ids == {"1790003"}
    assert orjson.loads(done.requests[1].params["filtering"]) == {
        "primary_status": "STATUS_ALL",
        "ad_ids": ["1790002", "1790003"],
    }


def test_a_truncated_report_is_read_in_ever_smaller_parts() -> None:
    """Campaigns in groups, halves of a group, ad groups of a campaign, a report task."""
    campaigns = [
        {"advertiser_id": ACCOUNT, "campaign_id": str(number)} for number in (1770002, 1770001)
    ]
    adgroup = {"advertiser_id": ACCOUNT, "campaign_id": "1770001", "adgroup_id": "1780001"}
    cut = page([row("2026-11-01")], headers=FULL)
    done = reported(
        cut,
        page(campaigns),
        cut,  # both campaigns
        page([row("2026-11-01", 2)]),  # the first alone
        cut,  # the second alone
        page([adgroup]),
        cut,  # its ad group
        envelope({"task_id": "t1"}),
        envelope({"status": "PROCESSING"}),
        envelope({"status": "SUCCESS"}),
        csv("1790001,2026-11-01,14.68,1079,12,900,1.2,1,39.90,1770001,1780001,USD"),
    )
    assert done.error is None
    assert sorted(done.ids) == ["1790001", "1790002"]
    asked = [q.params.get("filtering", "") for q in done.requests]
    assert '[\\"1770002\\",\\"1770001\\"]' in asked[2]
    assert '[\\"1770002\\"]' in asked[3]
    assert '[\\"1770001\\"]' in asked[4]
    assert orjson.loads(asked[5])["campaign_ids"] == ["1770001"]
    assert "adgroup_ids" in asked[6]
    body = done.requests[7].json
    assert body["filtering"][0]["field_name"] == "adgroup_ids"
    assert body["enable_report_title_translation"] is False
    assert len(done.pauses) == 2


def test_a_report_that_times_out_is_halved_by_days_then_left_to_a_task() -> None:
    """Two days, then one each, then a task for the one that is still too heavy."""
    done = run(
        ADAPTER.report(ACCOUNT, Level.AD, days("2026-11-01", "2026-11-02"), STARTED),
        [
            failed(50002), failed(50002), envelope({"task_id": "t1"}),
            envelope({"status": "SUCCESS"}),
            csv("1790001,2026-11-01 00:00:00,1.5,10,1,-,-,0,0,1770001,1780001,USD"),
            page([row("2026-11-02")]),
        ],
    )  # fmt: skip
    assert [record.date for record in done.records] == ["2026-11-01", "2026-11-02"]
    assert done.verdict is not None


def test_what_timed_out_once_is_not_asked_for_again() -> None:
    """A month that times out is cut, and so is the next one; its ids stay together."""
    done = run(
        ADAPTER.report(ACCOUNT, Level.AD, days("2026-09-01", "2026-10-30"), STARTED),
        [failed(50002), *([page([])] * 4)],
    )
    assert done.error is None
    asked = [(q.params["start_date"], q.params["end_date"]) for q in done.requests]
    assert asked == [
        ("2026-09-01", "2026-09-30"),
        ("2026-09-01", "2026-09-15"),
        ("2026-09-16", "2026-09-30"),
        ("2026-10-01", "2026-10-15"),
        ("2026-10-16", "2026-10-30"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        csv("1790001,2026-11-01,14.68,1079"),
        csv("1790001,2026-11-09,14.68,1079,12,900,1.2,1,39.90,1770001,1780001,USD"),
        csv("1790001,2026-11-01,14.68,1079,12,900,1.2,1,39.90,1770001,1780001,US"),
        csv("1790001,2026-11-01,14.68,1079,12,900,1.2,1,39.90,1770001,1780001,"),
        csv('1790001,2026-11-01,"14.68,1079'),
        Response(status=200, headers={}, body=b"ad_id,stat_time_day,spend\n1,2026-11-01,2\n"),
        Response(status=200, headers={}, body=b"ad_id,ad_id\n1,1\n"),
        Response(status=200, headers={}, body=b"ad_id,spend\n\xff\xfe,1\n"),
    ],
)
def test_a_tasks_text_that_is_not_whole_is_refused(text: Response) -> None:
    """Cut rows and values, strange days, missing or doubled columns, bytes that are no text."""
    done = reported(
        failed(50002), envelope({"task_id": "t"}), envelope({"status": "SUCCESS"}), text
    )
    assert isinstance(done.error, IncompleteRead)
    assert not done.records


def test_a_task_that_says_nothing_of_a_deleted_ad_proves_nothing() -> None:
    """Asked by id, the ids are halved first; the one a task may hide counts as missing."""
    read = ADAPTER.report_entities(ACCOUNT, Level.AD, ["1790001", "1790002"], DAY, STARTED)
    done = run(
        read,
        [
            failed(50002),
            failed(50002), envelope({"task_id": "t1"}), envelope({"status": "SUCCESS"}), csv(),
            page([]),  # shown unless it is deleted
            failed(50002), envelope({"task_id": "t2"}), envelope({"status": "SUCCESS"}), csv(),
            page([ad(2)]),
            page([ad(2)]),
        ],
    )  # fmt: skip
    assert done.verdict is not None
    assert done.verdict.missing_ids == {"1790001"}
    assert orjson.loads(done.requests[5].params["filtering"]) == {
        "primary_status": "STATUS_NOT_DELETE",
        "ad_ids": ["1790001"],
    }


def test_tasks_that_fail_are_created_anew_a_few_times() -> None:
    """FAILED, CANCELED and a vanished task cost another one; three of them end the read."""
    done = reported(
        failed(50002),
        envelope({"task_id": "t1"}), envelope({"status": "FAILED"}),
        envelope({"task_id": "t2"}), failed(40007),
        envelope({"task_id": "t3"}), envelope({"status": "CANCELED"}),
    )  # fmt: skip
    assert isinstance(done.error, IncompleteRead)


def test_a_list_of_ids_that_is_too_long_is_halved() -> None:
    """40011 asks for fewer ids, not for fewer days."""
    read = ADAPTER.report_entities(ACCOUNT, Level.AD, ["1", "2", "3"], DAY, STARTED)
    done = run(read, [failed(40011), page([]), page([]), page([])])
    assert [orjson.loads(q.params["filtering"])[0]["filter_value"] for q in done.requests[1:3]] == [
        '["1"]',
        '["2","3"]',
    ]


# Accounts and changes


def _described(**more: Any) -> Any:
    info = {"advertiser_id": ACCOUNT, "name": "Shop", "currency": "USD", "timezone": "Etc/GMT+8",
            "display_timezone": "America/Los_Angeles", "status": "STATUS_ENABLE"}  # fmt: skip
    return run(ADAPTER.read_account(ACCOUNT, STARTED), [envelope({"list": [info | more]})])


@pytest.mark.parametrize(
    ("zones", "expected"),
    [
        ({}, "America/Los_Angeles"),
        ({"display_timezone": ""}, "Etc/GMT+8"),
        ({"display_timezone": "Mars/Olympus"}, "Etc/GMT+8"),
        ({"display_timezone": None, "timezone": "UTC"}, "UTC"),
        # Nothing is guessed: whoever dates days by it refuses it (sync/connecting.py).
        ({"display_timezone": None, "timezone": "Mars/Olympus"}, "Mars/Olympus"),
    ],
)
def test_the_zone_is_taken_from_where_it_can_be_read(zones: dict[str, Any], expected: str) -> None:
    """The display zone first; the POSIX one is never parsed by hand."""
    assert _described(**zones).records[0].timezone == expected


@pytest.mark.parametrize(
    "more",
    [{"advertiser_id": "1"}, {"currency": None}, {"status": 1}, {"timezone": None,
     "display_timezone": None}],
)  # fmt: skip
def test_an_account_that_is_not_described_fails_the_read(more: dict[str, Any]) -> None:
    """Another advertiser's answer, or none of the fields that date and value everything."""
    assert isinstance(_described(**more).error, IncompleteRead)


def test_an_account_that_tiktok_does_not_show_is_blocked() -> None:
    """An empty list is no advertiser."""
    done = run(ADAPTER.read_account(ACCOUNT, STARTED), [envelope({"list": []})])
    assert isinstance(done.error, AccountBlocked)


def test_the_change_log_is_not_read() -> None:
    """There are no hints, and no request is spent on them."""
    history = ADAPTER.read_change_history(ACCOUNT, STARTED - timedelta(days=1), STARTED, STARTED)
    done = run(history, [])
    assert done.error is None
    assert (done.requests, done.records) == ([], [])
