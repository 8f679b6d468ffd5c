"""Listings of campaigns, ad sets and ads: paging traps, proof of wholeness, fields."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from driving import ADAPTER, STARTED, Driven, Script, ad, answer, drive, failure, page

from adsync_dagster.errors import (
    CredentialBlocked,
    Defect,
    IncompleteRead,
    PlatformBusy,
    TooMuchData,
)
from adsync_dagster.platforms.facebook import FacebookAdapter, ReadLimits
from adsync_dagster.platforms.facebook_entities import (
    EFFECTIVE_STATUSES,
    instant,
    major_units,
    own_status,
)
from adsync_dagster.records import Entity, Level

CURRENCY = answer({"id": "act_501", "account_id": "501", "currency": "USD"})
SMALL = FacebookAdapter(limits=ReadLimits(entity_page_rows=4, page_rows_floor=1))


def list_ads(script: list[Script], adapter: FacebookAdapter = ADAPTER) -> Driven:
    """A listing of ads, which needs no currency first."""
    return drive(adapter.list_entities("act_501", Level.AD, STARTED), script)


@pytest.mark.parametrize("level", list(Level))
def test_every_status_of_the_level_is_asked_for_but_deleted(level: Level) -> None:
    """The default listing leaves archived objects out, and DELETED is an error."""
    script: list[Script] = [page([], total=0)]
    if level is not Level.AD:
        script.insert(0, CURRENCY)
    done = drive(ADAPTER.list_entities("act_501", level, STARTED), script)
    request = done.requests[-1]
    asked = orjson.loads(request.params["effective_status"])
    assert sorted(asked) == sorted(set(EFFECTIVE_STATUSES[level]) - {"DELETED"})
    assert {"ACTIVE", "PAUSED", "ARCHIVED", "WITH_ISSUES", "IN_PROCESS"} <= set(asked)
    assert request.path.startswith("/v26.0/act_501/")
    assert request.params["summary"] == "total_count"
    assert done.verdict is not None
    assert done.verdict.read_started_at == STARTED


def test_pages_are_followed_by_cursor_alone() -> None:
    """`after` leads on, `next` is never opened and its token goes nowhere."""
    done = list_ads(
        [page([ad(1)], "A", more=True, total=3), page([ad(2)], "B", more=True), page([ad(3)], "C")]
    )
    assert done.ids == ["6300001", "6300002", "6300003"]
    assert [request.params.get("after") for request in done.requests] == [None, "A", "B"]
    assert len({request.path for request in done.requests}) == 1
    assert "sim_leak" not in repr(done.requests)
    assert done.verdict is not None
    assert (done.verdict.row_count, done.verdict.request_count) == (3, 3)


@pytest.mark.parametrize(
    "next_url",
    [
        "http://169.254.169.254/latest/meta-data",
        "//evil.example/x",
        "https://graph.facebook.com@evil.example/",
        "\\\\evil",
        7,
        {"a": 1},
        True,
    ],
)
def test_next_may_name_any_host_without_effect(next_url: object) -> None:
    """Only its presence counts; the next request goes where the first went."""
    first = {
        "data": [ad(1)],
        "paging": {"cursors": {"after": "A"}, "next": next_url},
        "summary": {"total_count": 2},
    }
    done = list_ads([answer(first), page([ad(2)])])
    assert done.ids == ["6300001", "6300002"]
    assert {request.path for request in done.requests} == {"/v26.0/act_501/ads"}


def test_an_empty_page_in_the_middle_is_not_the_end() -> None:
    """Meta filters after paging, so a page may hold nothing and still have a next one."""
    done = list_ads(
        [page([ad(1)], "A", more=True, total=2), page([], "B", more=True), page([ad(2)])]
    )
    assert done.ids == ["6300001", "6300002"]
    assert done.verdict is not None


def test_a_cursor_on_the_last_page_is_not_followed() -> None:
    """`cursors.after` also stands on the last page; only `next` says there is more."""
    done = list_ads([page([ad(1)], "A", total=1)])
    assert done.ids == ["6300001"]
    assert done.verdict is not None


BROKEN_PAGES: dict[str, Any] = {
    "no paging with rows": {"data": [ad(1)], "summary": {"total_count": 1}},
    "next without cursor": {"data": [ad(1)], "paging": {"next": "x"}},
    "next with an empty cursor": {
        "data": [ad(1)],
        "paging": {"cursors": {"after": ""}, "next": "x"},
    },
    "next with a numeric cursor": {
        "data": [ad(1)],
        "paging": {"cursors": {"after": 7}, "next": "x"},
    },
    "no data": {"paging": {"cursors": {}}},
    "data is null": {"data": None},
    "data is an object": {"data": {"id": "1"}},
    "a list": [],
}


@pytest.mark.parametrize("name", BROKEN_PAGES)
def test_a_page_that_cannot_prove_itself_raises(name: str) -> None:
    """A missing end mark, cursor, list or total is an incomplete read, never an end."""
    done = list_ads([answer(BROKEN_PAGES[name])])
    assert type(done.error) is IncompleteRead
    assert done.verdict is None


@pytest.mark.parametrize("summary", [None, {}, [], {"total_count": "0"}, {"total_count": True}])
def test_a_listing_without_a_total_is_not_believed(summary: object) -> None:
    """An empty list proves itself by a total of zero, and by nothing less."""
    done = list_ads([answer({"data": [], "summary": summary})] * 3)
    assert type(done.error) is IncompleteRead
    assert "total" in str(done.error)


def test_a_cursor_that_comes_again_is_a_circle() -> None:
    """A loop in the paging is found at its first repetition."""
    done = list_ads(
        [
            page([ad(1)], "A", more=True, total=9),
            page([ad(2)], "B", more=True),
            page([ad(1)], "A", more=True),
        ]
    )
    assert type(done.error) is IncompleteRead
    assert "circle" in str(done.error)


def test_the_number_of_pages_is_bounded() -> None:
    """A listing without end raises at its bound instead of stopping silently."""
    adapter = FacebookAdapter(limits=ReadLimits(pages_max=3))
    pages = [page([ad(n)], f"c{n}", more=True, total=99) for n in range(3)]
    done = list_ads(pages, adapter)  # type: ignore[arg-type]
    assert type(done.error) is IncompleteRead
    assert "3 pages" in str(done.error)


def test_rows_that_shift_between_pages_start_the_listing_again() -> None:
    """One row too few against the announced total means that the paging skipped one."""
    script = [
        page([ad(1), ad(2)], "A", more=True, total=4),
        page([ad(4)], total=3),
        page([ad(1), ad(3)], "A", more=True, total=3),
        page([ad(4)], total=3),
    ]
    done = list_ads(script)  # type: ignore[arg-type]
    assert set(done.ids) == {"6300001", "6300002", "6300003", "6300004"}
    assert done.verdict is not None
    assert done.verdict.row_count == 3
    assert done.verdict.request_count == 4


def test_a_listing_that_keeps_losing_rows_raises() -> None:
    """After the last pass too few rows are an incomplete read."""
    done = list_ads([page([ad(1)], total=2)] * 3)
    assert type(done.error) is IncompleteRead
    assert "1 of 2" in str(done.error)


def test_the_same_row_twice_does_not_count_twice() -> None:
    """Distinct ids are held against the total: a duplicate hides no skipped row."""
    done = list_ads([page([ad(1), ad(1)], total=2)] * 3)
    assert type(done.error) is IncompleteRead


def test_rows_that_arrive_meanwhile_are_no_error() -> None:
    """More rows than the first page announced is what a new ad looks like."""
    done = list_ads([page([ad(1)], "A", more=True, total=1), page([ad(2)], total=2)])
    assert done.ids == ["6300001", "6300002"]
    assert done.verdict is not None


def test_a_stale_cursor_starts_the_listing_again_from_its_first_page() -> None:
    """2642 discards the paging position, not the listing."""
    script = [
        page([ad(1)], "A", more=True, total=2),
        failure(2642),
        page([ad(1)], "B", more=True, total=2),
        page([ad(2)]),
    ]
    done = list_ads(script)  # type: ignore[arg-type]
    assert done.ids == ["6300001", "6300001", "6300002"]
    assert [request.params.get("after") for request in done.requests] == [None, "A", None, "B"]
    assert done.verdict is not None


def test_a_cursor_that_is_always_stale_raises() -> None:
    """Restarts are bounded."""
    script = [page([ad(1)], "A", more=True, total=2), failure(2642)] * 3
    done = list_ads(script)  # type: ignore[arg-type]
    assert isinstance(done.error, IncompleteRead)


def test_too_much_data_halves_the_page_at_the_same_place() -> None:
    """Smaller pages continue from the cursor reached so far."""
    script = [
        page([ad(1)], "A", more=True, total=2),
        failure(1, None, 500, "Please reduce the amount of data"),
        failure(1, None, 500, "Please reduce the amount of data"),
        page([ad(2)]),
    ]
    done = list_ads(script, SMALL)  # type: ignore[arg-type]
    assert [(r.params["limit"], r.params.get("after")) for r in done.requests] == [
        ("4", None),
        ("4", "A"),
        ("2", "A"),
        ("1", "A"),
    ]
    assert done.verdict is not None


def test_too_much_data_at_the_smallest_page_raises() -> None:
    """There is a floor under the page size."""
    done = list_ads([failure(100, 1487534)] * 3, SMALL)
    assert type(done.error) is TooMuchData


@pytest.mark.parametrize("error", [PlatformBusy("busy"), CredentialBlocked("token")])
def test_other_errors_end_the_listing(error: PlatformBusy | CredentialBlocked) -> None:
    """What the adapter cannot help with leaves the read as it came."""
    done = list_ads([page([ad(1)], "A", more=True, total=2), error])
    assert done.error is error
    assert done.verdict is None


BROKEN_ROWS: dict[str, Any] = {
    "another account": ad(1, account_id="777"),
    "no account": {k: v for k, v in ad(1).items() if k != "account_id"},
    "no id": {k: v for k, v in ad(1).items() if k != "id"},
    "an id that is a number": ad(1, id=6300001),
    "an id that is a path": ad(1, id="6300001/../me"),
    "no status": {k: v for k, v in ad(1).items() if k != "status"},
    "status null": ad(1, status=None),
    "no effective status": {k: v for k, v in ad(1).items() if k != "effective_status"},
    "an ad set among ads": {k: v for k, v in ad(1).items() if k != "adset_id"},
    "a parent that is no id": ad(1, adset_id="none"),
    "a name that is a number": ad(1, name=5),
    "a date that is none": ad(1, updated_time="yesterday"),
    "a date without offset": ad(1, created_time="2026-03-02T09:15:00"),
    "a row that is text": "6300001",
}


@pytest.mark.parametrize("name", BROKEN_ROWS)
def test_a_row_that_answers_something_else_raises(name: str) -> None:
    """Missing fields, changed types and objects of others fail the whole listing."""
    done = list_ads([page([BROKEN_ROWS[name]], total=1)])
    assert type(done.error) is IncompleteRead
    assert "ads of account act_501" in str(done.error)


def one(level: Level, row: dict[str, Any], currency: str = "USD") -> Entity:
    """The single entity of a listing of one row."""
    script: list[Script] = [page([row], total=1)]
    if level is not Level.AD:
        script.insert(0, answer({"account_id": "501", "currency": currency}))
    done = drive(ADAPTER.list_entities("501", level, STARTED), script)
    (record,) = done.records
    assert isinstance(record, Entity)
    return record


def test_an_ad_becomes_an_entity() -> None:
    """All fields of an ad arrive, times in UTC."""
    entity = one(Level.AD, ad(1, creative={"id": "6400001"}))
    assert entity == Entity(
        level=Level.AD,
        platform_id="6300001",
        name="Ad 1",
        status="ACTIVE",
        platform_status="ACTIVE",
        effective_status="ACTIVE",
        campaign_id="6100001",
        adset_id="6200001",
        created_at=datetime(2026, 3, 2, 14, 15, tzinfo=UTC),
        updated_at=datetime(2026, 11, 20, 23, 4, 11, tzinfo=UTC),
        extra={"creative_id": "6400001"},
    )


def test_an_ad_set_knows_its_campaign_only() -> None:
    """A record's parents are those of its own level."""
    entity = one(Level.ADSET, ad(1, end_time="2026-12-31T23:59:59-0500", bid_amount=250))
    assert (entity.campaign_id, entity.adset_id) == ("6100001", None)
    assert entity.extra == {"end_time": "2026-12-31T23:59:59-0500", "bid_amount": "2.50"}


def test_a_campaign_keeps_what_describes_it() -> None:
    """Budgets in major units, unset ones not at all, descriptive fields as they come."""
    row = ad(1, daily_budget="5000", lifetime_budget="0", objective="OUTCOME_SALES")
    entity = one(Level.CAMPAIGN, row | {"special_ad_categories": [], "stop_time": None})
    assert (entity.campaign_id, entity.adset_id) == (None, None)
    assert entity.extra == {"objective": "OUTCOME_SALES", "daily_budget": "50.00"}
    orjson.dumps(entity.extra)


@pytest.mark.parametrize(
    ("status", "effective", "own"),
    [
        ("ACTIVE", "CAMPAIGN_PAUSED", "ACTIVE"),
        ("PAUSED", "PAUSED", "PAUSED"),
        ("ARCHIVED", "ARCHIVED", "ARCHIVED"),
        ("DELETED", "DELETED", "DELETED"),
        ("active", "adset_paused", "ACTIVE"),
        ("HIBERNATING", "SOMETHING_NEW", "UNKNOWN"),
    ],
)
def test_statuses_are_normalised_and_never_rejected(status: str, effective: str, own: str) -> None:
    """Known words become ours, unknown ones are kept raw beside UNKNOWN."""
    entity = one(Level.AD, ad(1, status=status, effective_status=effective))
    assert entity.status == own == own_status(status)
    assert entity.platform_status == status
    assert entity.effective_status == effective.upper()


def test_names_may_hold_anything_but_nul() -> None:
    """A NUL, which Postgres refuses, is replaced; emoji, SQL and length pass."""
    name = "\U0001f600'); drop table ads;--" + "x" * 65_536
    assert one(Level.AD, ad(1, name=name + "\x00")).name == name + "\ufffd"
    assert one(Level.AD, {k: v for k, v in ad(1).items() if k != "name"}).name == ""


@pytest.mark.parametrize(
    ("value", "currency", "major"),
    [
        ("5000", "USD", "50.00"),
        ("5000", "EUR", "50.00"),
        ("1", "USD", "0.01"),
        ("5000", "JPY", "5000"),
        ("5000", "HUF", "5000"),
        ("5000", "TWD", "5000"),
        ("5000", "COP", "5000"),
        ("5000", "CRC", "5000"),
        ("5000", "IDR", "5000"),
        ("5000", "ISK", "5000"),
        ("5000", "BHD", "50.00"),
        ("5000", "JOD", "50.00"),
        (250, "USD", "2.50"),
        ("0", "USD", None),
        (None, "USD", None),
        ("5000", None, None),
        ("999999999999999999", "USD", "9999999999999999.99"),
    ],
)
def test_budgets_follow_metas_own_table(value: object, currency: str | None, major: str) -> None:
    """Meta's minor units are not those of ISO 4217: HUF and TWD have none, BHD has two."""
    assert major_units(value, currency, "daily_budget") == major


@pytest.mark.parametrize(
    "value", ["50.00", "-1", "1e3", "", " 5", "\u0665", 1.5, True, [], "9" * 19]
)
def test_a_budget_that_is_no_whole_number_raises(value: object) -> None:
    """Minor units are whole; anything else names the field."""
    with pytest.raises(IncompleteRead, match="daily_budget"):
        major_units(value, "USD", "daily_budget")


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-05T10:33:03-0800",
        "2026-01-05T18:33:03+0000",
        "2026-01-05T18:33:03+00:00",
        "2026-01-05t18:33:03 0000",
        "2026-01-05T18:33:03Z",
    ],
)
def test_metas_time_texts_are_read(text: str) -> None:
    """With and without colon in the offset, and in the two damaged spellings seen live."""
    assert instant(text, "created_time") == datetime(2026, 1, 5, 18, 33, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    "value", [1763900000, "", "0000-00-00", "0001-01-01T00:00:00+2359", "x" * 99]
)
def test_other_time_texts_name_their_field(value: object) -> None:
    """A time that cannot be read is a broken row, not a missing value."""
    with pytest.raises(IncompleteRead, match="created_time"):
        instant(value, "created_time")


def test_the_currency_must_be_the_accounts_own() -> None:
    """An answer about another account, or without currency, ends the listing before it starts."""
    for payload in ({"account_id": "777", "currency": "USD"}, {"account_id": "501"}, []):
        done = drive(ADAPTER.list_entities("501", Level.CAMPAIGN, STARTED), [answer(payload)])
        assert type(done.error) is IncompleteRead


def test_the_next_request_is_announced_with_the_rows() -> None:
    """A page's rows carry the very request that is asked next, and the last page's none."""
    done = list_ads([page([ad(1)], "A", more=True, total=2), page([ad(2)])])
    assert done.pages[0].ahead is done.requests[1]
    assert done.pages[1].ahead is None


def test_a_driver_that_sends_nothing_is_a_defect() -> None:
    """A request is answered or raised; None would be an empty answer."""
    read = ADAPTER.list_entities("501", Level.AD, STARTED)
    next(read)
    with pytest.raises(Defect, match="driver"):
        read.send(None)


def test_pages_are_not_collected() -> None:
    """Rows of a page are gone from the read once handed on: memory is that of one page."""
    read = replace(SMALL).list_entities("501", Level.AD, STARTED)
    next(read)
    for number in range(3):
        rows = read.send(page([ad(number)], f"c{number}", more=True, total=9))
        assert len(rows.records) == 1  # type: ignore[union-attr]
        next(read)
