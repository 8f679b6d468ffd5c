"""The Meta client against the simulated Graph API on a real port.

A read either ends with exactly what the ledger holds, or it raises: whatever the wire does,
there is no third outcome. Truth is taken from the world, never from the wire.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from conformance import truths
from conformance.truths import entities, metrics

from adsync_dagster.clock import VirtualClock
from adsync_dagster.conformance.truth import Facts, Key
from adsync_dagster.errors import (
    Blocked,
    CredentialBlocked,
    Defect,
    PermissionBlocked,
    Retryable,
)
from adsync_dagster.platforms.facebook import FacebookAdapter, ReadLimits
from adsync_dagster.platforms.protocol import Credential, Read
from adsync_dagster.records import (
    DailyMetrics,
    DateRange,
    DayAmounts,
    Level,
)
from adsync_dagster.simulator.server import RunningSimulator, serve
from adsync_dagster.simulator.world import World
from adsync_dagster.transport import PlatformClient, TransportLimits

NOW = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
SHORT = DateRange(since=date(2026, 3, 7), until=date(2026, 3, 10))
LONG = DateRange(since=date(2026, 2, 20), until=date(2026, 3, 10))
#: Pages small enough that every read has many.
SMALL = ReadLimits(
    entity_page_rows=7,
    insights_page_rows=23,
    activity_page_rows=20,
    page_rows_floor=3,
    pages_max=500,
    run_idle_polls_max=6,
)
LIMITS = TransportLimits(read_seconds=2.0, request_seconds=4.0, response_bytes_max=4_000_000)
TOKEN = "sim_conformance"


@dataclass
class Stand:
    """A served world and a client of it."""

    world: World
    simulator: RunningSimulator
    client: PlatformClient
    clock: VirtualClock

    @property
    def adapter(self) -> FacebookAdapter:
        assert isinstance(self.client.adapter, FacebookAdapter)
        return self.client.adapter

    @property
    def settings(self) -> Any:
        return self.simulator.simulator.facebook.settings

    def arm(self, name: str, **options: Any) -> None:
        self.simulator.simulator.faults.arm(name, **options)

    def read(self, read: Read) -> list[Any]:
        """The records of a read."""
        return self.client.rows(read)[0]

    def ids(self, level: Level, *, deleted: bool = True) -> list[str]:
        """Every entity of a level that ever was."""
        return [
            entity.id
            for entity in self.world.entities("act_501", level.value)
            if deleted or "DELETED" not in {entity.own, entity.effective}
        ]


@pytest.fixture
def stand() -> Iterator[Stand]:
    """An account with paused, archived and deleted objects, and twenty days of history."""
    clock = VirtualClock(NOW)
    world = World(seed=11, clock=clock)
    world.add_facebook_account("act_501", campaigns=5, adsets=12, ads=40, history_days=20)
    with serve(world) as simulator:
        client = PlatformClient(
            FacebookAdapter(limits=SMALL),
            simulator.base_url,
            Credential({"access_token": TOKEN}),
            clock,
            limits=LIMITS,
        )
        yield Stand(world, simulator, client, clock)
        client.close()


def entity_truth(stand: Stand, level: Level, *, deleted: bool = True) -> dict[str, Facts]:
    return truths.entity_truth(stand.world, "act_501", level, deleted=deleted)


def metrics_truth(
    stand: Stand, level: Level, days: DateRange, ids: set[str] | None = None
) -> dict[Key, DayAmounts]:
    return truths.metrics_truth(stand.world, "act_501", level, days, ids)


@pytest.mark.parametrize("days", [SHORT, LONG], ids=["direct", "by run"])
def test_link_clicks_are_their_own_metric(stand: Stand, days: DateRange) -> None:
    """Beside the clicks of any kind, which every platform has."""
    records = stand.read(stand.adapter.report("act_501", Level.AD, days, NOW))
    rows = stand.world.ledger.rows("act_501", "ad", days.since, days.until)
    truth = {(key, str(day)): totals.as_dict()["link_clicks"] for key, day, totals in rows}
    found = {
        (record.platform_id, str(record.date)): int(record.link_clicks or 0)
        for record in records
        if isinstance(record, DailyMetrics)
    }
    assert found
    assert found == {key: truth[key] for key in found}


@pytest.mark.parametrize("mode", ["filter_deleted_works", "lenient"])
def test_a_generous_meta_shows_the_deleted_as_well(stand: Stand, mode: str) -> None:
    """Where sources conflict whether deleted ads report, both answers are read right."""
    stand.settings.deleted_rows = mode
    records = stand.read(stand.adapter.report("act_501", Level.AD, LONG, NOW))
    assert metrics(records) == metrics_truth(stand, Level.AD, LONG, set(stand.ids(Level.AD)))


def test_the_tokens_accounts_are_found(stand: Stand) -> None:
    """Discovery and description agree with the world."""
    stand.world.add_facebook_account(
        "act_502", "Shop JP", "JPY", "Asia/Tokyo", campaigns=1, adsets=1, ads=1, history_days=2
    )
    found = stand.read(stand.adapter.read_accounts(NOW))
    assert [info.platform_account_id for info in found] == ["act_501", "act_502"]
    (info,) = stand.read(stand.adapter.read_account("502", NOW))
    assert (info.name, info.currency, info.timezone) == ("Shop JP", "JPY", "Asia/Tokyo")


def test_budgets_are_major_units(stand: Stand) -> None:
    """5000 minor units are 50.00 dollars and 5000 yen."""
    stand.world.add_facebook_account(
        "act_502", currency="JPY", campaigns=1, adsets=1, ads=1, history_days=2
    )
    for account, amount in (("act_501", "50.00"), ("act_502", "5000")):
        campaign = stand.world.create_campaign(account, "New", daily_budget=5000)
        records = stand.read(
            stand.adapter.lookup_entities(account, Level.CAMPAIGN, [campaign], NOW)
        )
        assert records[0].extra["daily_budget"] == amount


def test_heavy_reports_are_asked_for_in_parts(stand: Stand) -> None:
    """When Meta refuses the size, every row still comes, from smaller ranges."""
    stand.settings.sync_rows_max = 60
    stand.settings.report_rows_max = 150
    for days in (SHORT, LONG):
        records = stand.read(stand.adapter.report("act_501", Level.AD, days, NOW))
        ids = set(stand.ids(Level.AD, deleted=False))
        assert metrics(records) == metrics_truth(stand, Level.AD, days, ids)


def test_pages_larger_than_meta_allows_are_halved(stand: Stand) -> None:
    """`limit` shrinks until the platform takes it."""
    stand.settings.page_size_max = 10
    large = FacebookAdapter(limits=replace(SMALL, entity_page_rows=100))
    records = stand.read(large.list_entities("act_501", Level.AD, NOW))
    assert entities(records) == entity_truth(stand, Level.AD, deleted=False)


def test_run_ids_may_be_numbers(stand: Stand) -> None:
    """The documentation's spelling of report_run_id works like the live one."""
    stand.settings.report_ids_as_numbers = True
    assert stand.read(stand.adapter.report("act_501", Level.AD, LONG, NOW))


def test_an_app_that_demands_its_secret_is_served(stand: Stand) -> None:
    """appsecret_proof is sent when the credential holds the secret."""
    stand.settings.app_secret = "sim_secret"
    stand.settings.require_appsecret_proof = True
    with pytest.raises((CredentialBlocked, PermissionBlocked, Defect)):
        stand.read(stand.adapter.read_account("501", NOW))
    signed = PlatformClient(
        stand.adapter,
        stand.simulator.base_url,
        Credential({"access_token": TOKEN, "app_secret": "sim_secret"}),
        stand.clock,
    )
    ids = stand.ids(Level.AD)
    records, _ = signed.rows(stand.adapter.lookup_entities("act_501", Level.AD, ids, NOW))
    assert len(records) == len(ids)


def test_rows_that_shift_while_they_are_listed_are_not_lost(stand: Stand) -> None:
    """An ad deleted during a listing by position does not hide its neighbour."""
    stand.settings.offset_cursors = True
    first = stand.ids(Level.AD, deleted=False)[0]
    stand.arm("call", path="ads$", skip=2, do=lambda: stand.world.delete("ad", first))
    records = stand.read(stand.adapter.list_entities("act_501", Level.AD, NOW))
    assert set(entity_truth(stand, Level.AD, deleted=False)) <= set(entities(records))


#: Faults of a single answer, and what they are armed with.
ONCE: list[tuple[str, dict[str, Any]]] = [
    ("reset", {}),
    ("reset_mid_body", {}),
    ("long_content_length", {"extra": 10}),
    ("html_body", {}),
    ("html_body", {"status": 200}),
    ("empty_body", {}),
    ("cut_json", {}),
    ("invalid_json", {}),
    ("not_a_number", {}),
    ("deep_json", {}),
    ("http_status", {"status": 500}),
    ("http_status", {"status": 503, "retry_after": 3}),
    ("http_status", {"status": 429}),
    ("error", {"error": "service"}),
    ("error", {"error": "unknown"}),
    ("error", {"error": "unknown_99"}),
    ("error", {"error": "service", "status": 200}),
    ("error", {"error": "user_limit"}),
    ("error", {"error": "reduce_data"}),
    ("data_is_null", {}),
    ("bad_data", {}),
    ("missing_paging", {}),
    ("repeated_cursor", {}),
    ("foreign_next", {}),
    ("gzip_bomb", {"bytes": 20_000_000}),
    ("huge_body", {"bytes": 20_000_000}),
]


@pytest.mark.parametrize("skip", [0, 2])
@pytest.mark.parametrize(
    ("fault", "options"), ONCE, ids=[f"{n}-{list(o.values())}" for n, o in ONCE]
)
def test_a_fault_in_a_runs_pages_costs_a_try_or_the_read(
    stand: Stand, fault: str, options: dict[str, Any], skip: int
) -> None:
    """The rows of an asynchronous report: whole, or a retryable error."""
    stand.arm(fault, path=r"^\d+/insights$", skip=skip, **options)
    try:
        records = stand.read(stand.adapter.report("act_501", Level.AD, LONG, NOW))
    except Retryable:
        return
    ids = set(stand.ids(Level.AD, deleted=False))
    assert metrics(records) == metrics_truth(stand, Level.AD, LONG, ids)


def test_an_answer_about_other_days_is_refused(stand: Stand) -> None:
    """A cached or mixed-up answer does not pass for the one that was asked for."""
    other = DateRange(since=date(2026, 2, 25), until=date(2026, 2, 26))
    stand.read(stand.adapter.report("act_501", Level.AD, other, NOW))
    stand.arm("swapped", path="insights$", count=None)
    with pytest.raises(Retryable):
        stand.read(stand.adapter.report("act_501", Level.AD, SHORT, NOW))


@pytest.mark.parametrize(
    "fault",
    [
        "report_failed",
        "report_stuck",
        "report_skipped",
        "report_hidden",
        "report_lost",
        "report_early",
        "report_page_two",
        "report_bad_data",
    ],
)
@pytest.mark.parametrize("count", [1, None])
def test_report_runs_that_go_wrong_are_repeated(
    stand: Stand, fault: str, count: int | None
) -> None:
    """One bad run costs another run; runs that are always bad end the read."""
    stand.arm(fault, count=count)
    try:
        records = stand.read(stand.adapter.report("act_501", Level.AD, LONG, NOW))
    except Retryable:
        assert count is None
        return
    ids = set(stand.ids(Level.AD, deleted=False))
    assert metrics(records) == metrics_truth(stand, Level.AD, LONG, ids)


@pytest.mark.parametrize("count", [1, 3, None])
@pytest.mark.parametrize("fault", ["batch_item_null", "batch_cut", "batch_shuffled"])
def test_batches_that_go_wrong_lose_nobody(stand: Stand, fault: str, count: int | None) -> None:
    """Null, missing and shuffled items are asked again, or end the read."""
    path = r"^\d+$" if fault == "batch_item_null" else ""
    stand.arm(fault, path=path, count=count)
    try:
        records = stand.read(
            stand.adapter.lookup_entities("act_501", Level.AD, stand.ids(Level.AD), NOW)
        )
    except Retryable:
        assert count is None or fault != "batch_item_null"
        return
    assert entities(records) == entity_truth(stand, Level.AD, deleted=True)


@pytest.mark.parametrize("error", ["app_limit", "buc_insights", "buc_management", "blocked_abuse"])
def test_long_throttles_release_the_worker(stand: Stand, error: str) -> None:
    """A throttle that lasts is reported with its length instead of being waited out."""
    stand.arm("error", path="ads$", error=error, count=None)
    with pytest.raises(Retryable) as caught:
        stand.read(stand.adapter.list_entities("act_501", Level.AD, NOW))
    assert caught.value.retry_after_seconds is not None
    assert caught.value.retry_after_seconds > LIMITS.wait_seconds_max
    with pytest.raises(Retryable):
        stand.read(stand.adapter.list_entities("act_501", Level.AD, NOW))
    assert len(stand.simulator.simulator.requests) == 1


def test_a_full_quota_in_the_headers_is_obeyed(stand: Stand) -> None:
    """Minutes in the business header end the next read before it calls."""
    stand.settings.usage.insights_percent = 97
    stand.settings.usage.regain_minutes = 19
    stand.read(stand.adapter.report("act_501", Level.CAMPAIGN, SHORT, NOW))
    with pytest.raises(Retryable) as caught:
        stand.read(stand.adapter.report("act_501", Level.CAMPAIGN, SHORT, NOW))
    assert caught.value.retry_after_seconds == 19 * 60


@pytest.mark.parametrize("version", ["v19.0", "v99.0"])
def test_a_version_meta_does_not_serve_blocks(stand: Stand, version: str) -> None:
    """An expired version needs a person, who is told which setting to change."""
    old = FacebookAdapter(api_version=version)
    with pytest.raises((Blocked, Defect)):
        PlatformClient(
            old, stand.simulator.base_url, Credential({"access_token": TOKEN}), stand.clock
        ).rows(old.read_account("501", NOW))


def test_history_older_than_meta_keeps_blocks(stand: Stand) -> None:
    """3018 is a question for whoever set the history, not a loop."""
    old = DateRange(since=date(2022, 1, 1), until=date(2022, 1, 3))
    with pytest.raises(Blocked, match="37 months"):
        stand.read(stand.adapter.report("act_501", Level.AD, old, NOW))


def test_a_slow_drip_and_a_hang_end(stand: Stand) -> None:
    """The client's own deadlines end what the server does not."""
    quick = PlatformClient(
        stand.adapter,
        stand.simulator.base_url,
        Credential({"access_token": TOKEN}),
        stand.clock,
        limits=replace(LIMITS, read_seconds=0.3, request_seconds=0.6, attempts_max=2),
    )
    for fault in ("slow_drip", "hang"):
        stand.arm(fault, path="ads$", count=2, seconds=0.05 if fault == "slow_drip" else 2)
        with pytest.raises(Retryable):
            quick.rows(stand.adapter.list_entities("act_501", Level.AD, NOW))
    records, _ = quick.rows(stand.adapter.list_entities("act_501", Level.AD, NOW))
    assert entities(records) == entity_truth(stand, Level.AD, deleted=False)
