"""Insights of the simulated Graph API: rows, totals, modes, ranges, and asynchronous reports."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest

from adsync_dagster.clock import VirtualClock
from adsync_dagster.simulator.simulator import Simulator
from adsync_dagster.simulator.world import World

START = datetime(2026, 3, 3, 15, 30, tzinfo=UTC)
TODAY = date(2026, 3, 3)
ACCOUNT = "act_501"


@pytest.fixture
def simulator() -> Simulator:
    world = World(seed=2, clock=VirtualClock(START))
    world.add_facebook_account(
        ACCOUNT, campaigns=2, adsets=4, ads=8, history_days=40, stopped=False
    )
    return Simulator(world)


def ask(
    simulator: Simulator,
    node: str = ACCOUNT,
    *,
    method: str = "GET",
    edge: str = "/insights",
    **params: Any,
) -> tuple[int, Any]:
    texts = {
        name: value if isinstance(value, str) else orjson.dumps(value).decode()
        for name, value in params.items()
    }
    path = f"/v26.0/{node}{edge}"
    status, _, body = simulator.handle(method, path, {"access_token": "sim_t", **texts})
    return status, orjson.loads(body)


def rows(simulator: Simulator, node: str = ACCOUNT, **params: Any) -> list[dict[str, Any]]:
    params = {"limit": 5000, "time_range": span(7), **params}
    status, body = ask(simulator, node, **params)
    assert status == 200, body
    found: list[dict[str, Any]] = body["data"]
    return found


def error_of(answer: tuple[int, Any]) -> tuple[int, int, int | None]:
    status, body = answer
    return status, body["error"]["code"], body["error"].get("error_subcode")


def span(days: int, until: date = TODAY) -> dict[str, str]:
    return {"since": str(until - timedelta(days=days - 1)), "until": str(until)}


def ids(simulator: Simulator, level: str) -> list[str]:
    return [entity.id for entity in simulator.world.entities(ACCOUNT, level)]


def spend(found: list[dict[str, Any]]) -> Decimal:
    return sum((Decimal(row["spend"]) for row in found), Decimal(0))


def status_filter(*statuses: str) -> list[dict[str, Any]]:
    return [{"field": "ad.effective_status", "operator": "IN", "value": list(statuses)}]


ALL_TWELVE = (
    "ACTIVE", "PAUSED", "DELETED", "ARCHIVED", "IN_PROCESS", "WITH_ISSUES", "CAMPAIGN_PAUSED",
    "ADSET_PAUSED", "PENDING_REVIEW", "DISAPPROVED", "PREAPPROVED", "PENDING_BILLING_INFO",
)  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "statuses", "archived", "deleted"),
    [
        ("docs_strict", None, False, False),
        ("docs_strict", ALL_TWELVE, True, False),
        ("docs_strict", ("DELETED",), False, False),
        ("filter_deleted_works", None, False, False),
        ("filter_deleted_works", ALL_TWELVE, True, True),
        ("filter_deleted_works", ("DELETED",), False, True),
        ("lenient", None, True, True),
        ("lenient", ("DELETED",), False, True),
    ],
)
def test_row_lists_hide_what_is_gone_by_mode(
    simulator: Simulator, mode: Any, statuses: Any, archived: bool, deleted: bool
) -> None:
    """Archived and deleted ads show in row lists by mode and filter, by id always."""
    gone, kept = ids(simulator, "ad")[0], ids(simulator, "ad")[1]
    simulator.world.delete("ad", gone)
    simulator.world.archive("ad", kept)
    simulator.facebook.settings.deleted_rows = mode
    filtering = {} if statuses is None else {"filtering": status_filter(*statuses)}
    shown = {row["ad_id"] for row in rows(simulator, level="ad", fields="ad_id", **filtering)}
    assert (kept in shown, gone in shown) == (archived, deleted)
    for ad in (gone, kept):
        assert rows(simulator, ad, fields="spend")


def test_totals_hold_the_deleted_and_filters_narrow_them(simulator: Simulator) -> None:
    """Without filters a parent's total is everything; with any, only live children count."""
    gone = ids(simulator, "ad")[0]
    before = spend(rows(simulator, fields="spend"))
    lost = spend(rows(simulator, gone, fields="spend"))
    simulator.world.delete("ad", gone)
    assert spend(rows(simulator, fields="spend")) == before
    everyone = [{"field": "ad.impressions", "operator": "GREATER_THAN", "value": 0}]
    filtered = spend(rows(simulator, level="account", fields="spend", filtering=everyone))
    assert filtered == before - lost
    assert lost > 0


def test_rows_are_text_without_empty_values(simulator: Simulator) -> None:
    """Every scalar is a string, dates always come, absent stays absent, rates are derived."""
    fields = "impressions,clicks,spend,reach,frequency,cpc,cpm,cpp,ctr,inline_link_clicks,actions"
    for row in rows(simulator, level="ad", fields=fields, time_increment=1):
        assert all(isinstance(v, str) for k, v in row.items() if k != "actions")
        assert None not in row.values()
        assert row["date_start"] == row["date_stop"]
        if row["clicks"] == "0":
            assert "cpc" not in row
        else:
            cpc = Decimal(row["spend"]) / Decimal(row["clicks"])
            assert abs(Decimal(row["cpc"]) - cpc) < Decimal("0.000001")
        assert Decimal(row["reach"]) <= Decimal(row["impressions"])
    assert rows(simulator, level="ad", fields="conversions") == [
        {"date_start": span(7)["since"], "date_stop": span(7)["until"]}
    ] * len(ids(simulator, "ad"))


def test_default_fields_are_ids_impressions_and_spend(simulator: Simulator) -> None:
    """A call without `fields` still says which node it is about."""
    (row,) = rows(simulator, ids(simulator, "adset")[0])
    assert set(row) == {
        "account_id", "campaign_id", "adset_id", "impressions", "spend", "date_start", "date_stop",
    }  # fmt: skip


def test_days_without_delivery_have_no_row(simulator: Simulator) -> None:
    """A paused ad's later days are absent unless a purchase is dated there."""
    ad, world = ids(simulator, "ad")[0], simulator.world
    world.pause("ad", ad)
    world.advance(days=60)
    later = span(20, TODAY + timedelta(days=50))
    assert rows(simulator, ad, fields="spend", time_increment=1, time_range=later) == []
    world.late_conversions(ad, TODAY + timedelta(days=45), 2, "30.00")
    (row,) = rows(
        simulator, ad, fields="impressions,spend,reach,frequency,actions,action_values",
        time_increment=1, time_range=later,
    )  # fmt: skip
    assert (row["impressions"], row["spend"], row["date_start"]) == ("0", "0", "2026-04-17")
    assert "frequency" not in row
    assert {item["value"] for item in row["action_values"]} == {"30"}


def test_days_are_the_accounts_own(simulator: Simulator) -> None:
    """At two in the morning in UTC it is still yesterday in New York."""
    world = simulator.world
    world.move_clock(datetime(2026, 3, 5, 2, 0, tzinfo=UTC))
    (row,) = rows(simulator, date_preset="today", time_range="", fields="spend")
    assert row["date_start"] == "2026-03-04"


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"time_increment": "all_days"}, [("2026-01-23", "2026-03-03")]),
        ({"time_increment": 25}, [("2026-01-23", "2026-02-16"), ("2026-02-17", "2026-03-03")]),
        (
            {"time_increment": "monthly"},
            [
                ("2026-01-23", "2026-01-31"),
                ("2026-02-01", "2026-02-28"),
                ("2026-03-01", "2026-03-03"),
            ],
        ),
        (
            {"time_ranges": [span(1), span(2)], "time_increment": 1},
            [("2026-03-03", "2026-03-03"), ("2026-03-02", "2026-03-03")],
        ),
        ({"time_range": "", "date_preset": "yesterday"}, [("2026-03-02", "2026-03-02")]),
        ({"time_range": "", "date_preset": "last_month"}, [("2026-02-01", "2026-02-28")]),
        ({"time_range": ""}, [("2026-02-01", "2026-03-02")]),
        ({"time_range": "", "date_preset": "maximum"}, [("2023-02-03", "2026-03-03")]),
    ],
)  # fmt: skip
def test_ranges_and_increments(
    simulator: Simulator, params: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    """Presets, increments and several ranges cut the time as documented."""
    found = rows(simulator, **{"time_range": span(40), "fields": "spend", **params})
    assert [(row["date_start"], row["date_stop"]) for row in found] == expected


def test_increments_add_up_but_reach_does_not(simulator: Simulator) -> None:
    """Longer rows are the sum of their days for spend, and less than it for reach."""
    daily = rows(simulator, fields="spend,reach", time_increment=1)
    (whole,) = rows(simulator, fields="spend,reach")
    assert spend(daily) == Decimal(whole["spend"])
    assert int(whole["reach"]) < sum(int(row["reach"]) for row in daily)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"time_range": {"since": "2022-01-01", "until": "2022-01-02"}}, (400, 3018, None)),
        ({"time_range": {"since": "2026-03-02", "until": "2026-03-01"}}, (400, 100, None)),
        ({"time_range": {"since": "2026-03-02"}}, (400, 100, None)),
        ({"time_range": {"since": "soon", "until": "later"}}, (400, 100, None)),
        ({"time_range": "not json"}, (400, 100, None)),
        ({"time_increment": "91"}, (400, 100, None)),
        ({"date_preset": "lifetime"}, (400, 100, None)),
        ({"level": "creative"}, (400, 100, None)),
        ({"fields": "wish_bid"}, (400, 100, None)),
        ({"breakdowns": "age"}, (400, 100, None)),
        ({"sort": "colour"}, (400, 100, None)),
        ({"limit": "0"}, (400, 100, None)),
        ({"limit": "100000"}, (400, 100, 1487534)),
        ({"after": "x"}, (400, 2642, None)),
    ],
)
def test_wrong_parameters_are_refused(
    simulator: Simulator, params: dict[str, Any], expected: tuple[int, int, int | None]
) -> None:
    """Each mistake has its documented code."""
    assert error_of(ask(simulator, **params)) == expected


def test_a_level_above_the_node_is_refused(simulator: Simulator) -> None:
    """An ad has no campaign rows."""
    answer = ask(simulator, ids(simulator, "ad")[0], level="campaign")
    assert error_of(answer) == (400, 100, None)


def test_too_much_data_has_a_threshold(simulator: Simulator) -> None:
    """Above a configurable number of entity-days the call is refused, below it is not."""
    simulator.facebook.settings.sync_rows_max = 8 * 7
    assert ask(simulator, level="ad", time_range=span(7))[0] == 200
    assert error_of(ask(simulator, level="ad", time_range=span(8))) == (400, 100, 1487534)
    assert ask(simulator, level="account", time_range=span(40))[0] == 200


@pytest.mark.parametrize("by_place", [True, False])
def test_pages_join_to_the_whole(simulator: Simulator, by_place: bool) -> None:
    """At any page size every row comes once, in one order, for both kinds of cursor."""
    simulator.facebook.settings.offset_cursors = by_place
    params = {"level": "ad", "fields": "ad_id,spend", "time_increment": 1, "time_range": span(7)}
    whole = rows(simulator, **params)
    found, after = [], {}
    while True:
        _, body = ask(simulator, limit=5, **params, **after)
        found += body["data"]
        if "next" not in body["paging"]:
            break
        after = {"after": body["paging"]["cursors"]["after"]}
    assert found == whole
    assert len(whole) == 8 * 7


def test_filters_by_id_and_by_delivery(simulator: Simulator) -> None:
    """Rows can be narrowed to ids of any level and to what delivered."""
    campaign, ads = ids(simulator, "campaign")[0], ids(simulator, "ad")
    by_campaign = [{"field": "campaign.id", "operator": "IN", "value": [campaign]}]
    found = rows(simulator, level="ad", fields="ad_id,campaign_id", filtering=by_campaign)
    assert {row["campaign_id"] for row in found} == {campaign}
    by_ad = [{"field": "ad.id", "operator": "IN", "value": ads[:2]}]
    assert len(rows(simulator, level="ad", fields="ad_id", filtering=by_ad)) == 2
    biggest = rows(simulator, level="ad", fields="impressions", sort='["impressions_descending"]')
    amounts = [int(row["impressions"]) for row in biggest]
    assert amounts == sorted(amounts, reverse=True)
    above = [{"field": "ad.impressions", "operator": "GREATER_THAN", "value": amounts[2]}]
    assert len(rows(simulator, level="ad", filtering=above)) == 2


def test_a_summary_is_the_sum_of_all_pages(simulator: Simulator) -> None:
    """`default_summary` adds the totals of the whole result to each page."""
    whole = rows(simulator, level="ad", fields="spend")
    _, body = ask(
        simulator, level="ad", fields="spend", limit=2, default_summary="true", time_range=span(7)
    )
    assert Decimal(body["summary"]["spend"]) == spend(whole)


def test_reporting_lags_by_its_knob(simulator: Simulator) -> None:
    """With a delay of eight hours, the morning's delivery is not there yet."""
    world = simulator.world
    world.move_clock(datetime(2026, 3, 3, 18, 0, tzinfo=UTC))
    assert rows(simulator, time_range=span(1), fields="spend")
    simulator.facebook.settings.reporting_delay_seconds = 13 * 3600
    assert rows(simulator, time_range=span(1), fields="spend") == []


def test_yen_have_no_decimals() -> None:
    """Spend in a currency without minor units is whole, and budgets are not multiplied."""
    world = World(seed=1, clock=VirtualClock(START))
    world.add_facebook_account(
        ACCOUNT, currency="JPY", campaigns=1, adsets=1, ads=2, history_days=5
    )
    found = rows(Simulator(world), level="ad", fields="spend", time_increment=1)
    assert found
    assert all(row["spend"].isdigit() for row in found)


# Asynchronous reports


def start(simulator: Simulator, **params: Any) -> str:
    params = {"level": "ad", "time_range": span(7), "time_increment": 1, **params}
    status, body = ask(simulator, method="POST", fields='["ad_id","spend"]', **params)
    assert status == 200, body
    return str(body["report_run_id"])


def poll(simulator: Simulator, run: str) -> Any:
    return ask(simulator, run, edge="")[1]


def test_a_report_progresses_by_polls_and_keeps_its_moment(simulator: Simulator) -> None:
    """Started, then completed; its rows are those of the completion, however late they are read."""
    run = start(simulator)
    first = poll(simulator, run)
    assert (first["async_status"], first["async_percent_completion"]) == ("Job Started", 0)
    assert "time_completed" not in first
    assert error_of(ask(simulator, run)) == (400, 2601, None)
    simulator.world.advance(hours=4)
    done = poll(simulator, run)
    assert (done["async_status"], done["async_percent_completion"]) == ("Job Completed", 100)
    assert done["time_completed"] >= done["time_ref"]
    assert done["account_id"] == "501"
    expected = rows(simulator, level="ad", fields="ad_id,spend", time_increment=1)
    simulator.world.advance(hours=5)
    simulator.world.delete("ad", ids(simulator, "ad")[0])
    assert ask(simulator, run, limit=500)[1]["data"] == expected


def test_a_report_can_progress_by_virtual_time(simulator: Simulator) -> None:
    """With a duration set, polling does not help; time does."""
    settings = simulator.facebook.settings
    settings.report_seconds, settings.report_ids_as_numbers = 100, True
    status, body = ask(simulator, method="POST", time_range=span(7))
    assert (status, type(body["report_run_id"])) == (200, int)
    run = str(body["report_run_id"])
    states = []
    for _ in range(3):
        states.append(
            (poll(simulator, run)["async_status"], poll(simulator, run)["async_percent_completion"])
        )
        simulator.world.advance(seconds=50)
    assert states == [("Job Started", 0), ("Job Running", 50), ("Job Completed", 100)]


@pytest.mark.parametrize(
    ("fault", "options", "status", "percent"),
    [
        ("report_failed", {}, "Job Failed", 0),
        ("report_stuck", {"percent": 99}, "Job Running", 99),
        ("report_stuck", {"percent": 0}, "Job Running", 0),
        ("report_skipped", {}, "Job Skipped", 0),
    ],
)
def test_reports_fail_in_the_documented_ways(
    simulator: Simulator, fault: str, options: dict[str, Any], status: str, percent: int
) -> None:
    """A run may fail, hang or be skipped; the next one is well."""
    simulator.faults.arm(fault, path="insights", **options)
    run, well = start(simulator), start(simulator)
    answers = [poll(simulator, run) for _ in range(4)]
    assert (answers[-1]["async_status"], answers[-1]["async_percent_completion"]) == (
        status,
        percent,
    )
    if fault == "report_failed":
        assert (answers[-1]["error_code"], answers[-1]["error_subcode"]) == (-2, 2490547)
    poll(simulator, well)
    assert poll(simulator, well)["async_status"] == "Job Completed"


def test_a_report_may_be_invisible_at_first_or_for_ever(simulator: Simulator) -> None:
    """100/33 right after creation passes; a lost run never comes back."""
    simulator.faults.arm("report_hidden", times=2)
    run = start(simulator)
    assert [error_of(ask(simulator, run, edge=""))[1:] for _ in range(2)] == [(100, 33)] * 2
    assert poll(simulator, run)["id"] == run
    simulator.faults.arm("report_lost")
    lost = start(simulator)
    for _ in range(3):
        assert error_of(ask(simulator, lost, edge="")) == (400, 100, 33)


def test_a_report_may_betray_its_reader(simulator: Simulator) -> None:
    """Completed below 100 percent it shows half; page two may fail; a page may be no list."""
    expected = len(rows(simulator, level="ad", fields="ad_id", time_increment=1))
    simulator.faults.arm("report_early")
    early = start(simulator)
    simulator.facebook.settings.report_polls = 3
    states = [poll(simulator, early) for _ in range(2)]
    assert [state["async_status"] for state in states] == ["Job Completed"] * 2
    assert states[-1]["async_percent_completion"] < 100
    assert len(ask(simulator, early, limit=500)[1]["data"]) == expected // 2
    simulator.faults.arm("report_page_two", error="service")
    run = start(simulator)
    for _ in range(3):
        poll(simulator, run)
    _, page = ask(simulator, run, limit=3)
    after = page["paging"]["cursors"]["after"]
    assert error_of(ask(simulator, run, limit=3, after=after)) == (503, 2, None)
    simulator.faults.arm("report_bad_data")
    bad = start(simulator)
    for _ in range(3):
        poll(simulator, bad)
    status, body = ask(simulator, bad)
    assert (status, type(body["data"])) == (200, dict)


def test_reports_have_a_size_and_an_age(simulator: Simulator) -> None:
    """A too large report fails with -3; after thirty days a run has expired."""
    run = start(simulator)
    simulator.facebook.settings.report_rows_max = 10
    large = start(simulator)
    answer = poll(simulator, large)
    assert (answer["async_status"], answer["error_code"]) == ("Job Failed", -3)
    simulator.world.advance(days=31)
    assert poll(simulator, run)["async_status"] == "Job Skipped"


def test_repeated_pages_come_from_the_cache_and_only_while_nothing_changes(
    simulator: Simulator,
) -> None:
    """The cache answers the same question with the same bytes, and forgets with any action."""
    simulator.facebook.settings.page_cache_bytes = 1_000_000
    question = {"level": "ad", "fields": "ad_id,spend,ad_name", "time_increment": 1}
    before = rows(simulator, **question)
    assert rows(simulator, **question) == before
    ad = ids(simulator, "ad")[0]
    simulator.world.add_spend(ad, TODAY, "7.00")
    assert spend(rows(simulator, **question)) == spend(before) + 7
    simulator.world.delete("ad", ad)
    assert ad not in {row["ad_id"] for row in rows(simulator, **question)}
