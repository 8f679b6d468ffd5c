"""The TikTok client against the simulated Business API on a real port.

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
from adsync_dagster.conformance.truth import Facts, Key, amounts_of
from adsync_dagster.errors import (
    CredentialBlocked,
    PermissionBlocked,
    Retryable,
    UsageError,
)
from adsync_dagster.platforms.protocol import Credential, Read
from adsync_dagster.platforms.tiktok import TikTokAdapter
from adsync_dagster.platforms.tiktok_wire import ReadLimits
from adsync_dagster.records import (
    LEVELS,
    AccountInfo,
    DateRange,
    DayAmounts,
    DayTotals,
    Level,
)
from adsync_dagster.simulator.facebook_auth import Token
from adsync_dagster.simulator.server import RunningSimulator, serve
from adsync_dagster.simulator.simulator import Simulator
from adsync_dagster.simulator.tiktok_settings import TikTokSettings
from adsync_dagster.simulator.world import World
from adsync_dagster.transport import PlatformClient, TransportLimits

NOW = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
ACCOUNT = "7010000000000000501"
SHORT = DateRange(since=date(2026, 3, 7), until=date(2026, 3, 10))
#: Longer than TikTok answers at once.
LONG = DateRange(since=date(2026, 1, 20), until=date(2026, 3, 10))
#: Pages and filters small enough that every read has many.
SMALL = ReadLimits(
    page_rows=40, page_rows_floor=4, pages_max=300, ids_max=9, report_campaign_ids_max=3,
    task_polls_max=12,
)  # fmt: skip
LIMITS = TransportLimits(read_seconds=2.0, request_seconds=4.0, response_bytes_max=4_000_000)
TOKEN = "sim_conformance"


@dataclass
class Stand:
    """A served world and a client of it."""

    world: World
    simulator: Simulator
    client: PlatformClient
    clock: VirtualClock

    @property
    def adapter(self) -> TikTokAdapter:
        assert isinstance(self.client.adapter, TikTokAdapter)
        return self.client.adapter

    @property
    def settings(self) -> TikTokSettings:
        return self.simulator.tiktok.settings

    @property
    def paths(self) -> list[str]:
        return [seen.path for seen in self.simulator.requests]

    def arm(self, name: str, **options: Any) -> None:
        self.simulator.faults.arm(name, **options)

    def read(self, read: Read) -> list[Any]:
        """The records of a read."""
        return self.client.rows(read)[0]

    def ids(self, level: Level, *, deleted: bool = True) -> list[str]:
        """Every entity of a level that ever was."""
        return [
            entity.id
            for entity in self.world.entities(ACCOUNT, level.value)
            if deleted or "DELETED" not in {entity.own, entity.effective}
        ]


class _Port(Simulator):
    """What the port serves: the simulator of the test that runs, as servers are slow to start."""

    served: Simulator

    def handle(self, *args: Any, **options: Any) -> tuple[int, dict[str, str], bytes]:
        return self.served.handle(*args, **options)


@pytest.fixture(scope="module")
def port() -> Iterator[RunningSimulator]:
    """A real port for all tests of this module."""
    with serve(_Port(World())) as running:
        yield running


@pytest.fixture
def stand(port: RunningSimulator) -> Iterator[Stand]:
    """An account with paused, frozen and deleted objects at every level, and sixty days."""
    clock = VirtualClock(NOW)
    world = World(seed=11, clock=clock)
    world.add_tiktok_account(ACCOUNT, campaigns=6, adsets=12, ads=30, history_days=60)
    ads = [ad for ad in world.entities(ACCOUNT, "ad") if ad.effective == "ACTIVE"]
    world.delete("ad", ads[0].id)
    world.delete("adset", str(ads[1].adset_id))
    world.delete("campaign", ads[-1].campaign_id)
    world.pause("adset", str(ads[len(ads) // 2].adset_id))
    simulator = Simulator(world)
    assert isinstance(port.simulator, _Port)
    port.simulator.served = simulator
    client = PlatformClient(
        TikTokAdapter(limits=SMALL),
        port.base_url,
        Credential({"access_token": TOKEN}),
        clock,
        limits=LIMITS,
    )
    yield Stand(world, simulator, client, clock)
    client.close()


def entity_truth(stand: Stand, level: Level, *, deleted: bool = True) -> dict[str, Facts]:
    return truths.entity_truth(stand.world, ACCOUNT, level, deleted=deleted)


def metrics_truth(
    stand: Stand, level: Level, days: DateRange, ids: set[str] | None = None
) -> dict[Key, DayAmounts]:
    return truths.metrics_truth(stand.world, ACCOUNT, level, days, ids)


def test_every_hold_of_the_world_has_its_status(stand: Stand) -> None:
    """Reviews, refusals and partial delivery arrive as the world means them."""
    ads = [ad.id for ad in stand.world.entities(ACCOUNT, "ad") if ad.effective == "ACTIVE"]
    holds = ("PENDING_REVIEW", "DISAPPROVED", "WITH_ISSUES", "IN_PROCESS")
    for ad, hold in zip(ads, holds, strict=False):
        stand.world.set_hold("ad", ad, hold)
    records = stand.read(stand.adapter.list_entities(ACCOUNT, Level.AD, NOW))
    assert entities(records) == entity_truth(stand, Level.AD)


@pytest.mark.parametrize("level", LEVELS)
def test_rows_name_the_parents_their_day_counted_for(stand: Stand, level: Level) -> None:
    """A row knows its ad group and campaign, so that a stub entity finds its place."""
    truth = entity_truth(stand, level)
    for record in stand.read(stand.adapter.report(ACCOUNT, level, SHORT, NOW)):
        campaign, adset = truth[record.platform_id][3:]
        assert (record.campaign_id, record.adset_id) == (campaign, adset)
        assert (record.reach is None) == (record.impressions == "0")


def test_totals_are_those_of_the_ledger(stand: Stand) -> None:
    """The account's own totals include what is deleted, and what is purged."""
    stand.settings.purged = frozenset(stand.ids(Level.AD)[:5])
    records = stand.read(stand.adapter.report_totals(ACCOUNT, LONG, NOW))
    seen = {record.date: record for record in records if isinstance(record, DayTotals)}
    for ordinal in range(LONG.since.toordinal(), LONG.until.toordinal() + 1):
        day = date.fromordinal(ordinal)
        truth = amounts_of(stand.world.ledger.account_total(ACCOUNT, day))
        record = seen.get(day)
        if record is None:
            assert not any(truth)
        else:
            assert (record.impressions, record.clicks, record.spend) == truth[:3]
            assert (record.conversions, record.conversion_value) == truth[3:]


def test_what_tiktok_purged_is_missing_and_not_invented(stand: Stand) -> None:
    """A purged ad is in no list and no row; by id it is named as missing."""
    purged = stand.ids(Level.AD)[3]
    stand.settings.purged = frozenset({purged})
    listed = stand.read(stand.adapter.list_entities(ACCOUNT, Level.AD, NOW))
    _, verdict = stand.client.rows(
        stand.adapter.lookup_entities(ACCOUNT, Level.AD, stand.ids(Level.AD), NOW)
    )
    assert set(stand.ids(Level.AD)) - set(entities(listed)) == {purged}
    assert verdict.missing_ids == {purged}


@pytest.mark.parametrize("level", LEVELS)
def test_a_truncated_report_is_asked_for_in_parts(stand: Stand, level: Level) -> None:
    """With the header that tells of it, by groups of campaigns, then of ad groups."""
    largest = max(
        sum(1 for ad in stand.world.entities(ACCOUNT, "ad") if ad.adset_id == one)
        for one in stand.ids(Level.ADSET)
    )
    stand.settings.ads_considered_max = largest + 1
    stand.settings.task_shows_deleted = True
    records = stand.read(stand.adapter.report(ACCOUNT, level, LONG, NOW))
    assert metrics(records) == metrics_truth(stand, level, LONG)
    assert stand.paths.count("/open_api/v1.3/campaign/get/") == 1


@pytest.mark.parametrize("level", LEVELS)
def test_what_no_part_can_hold_becomes_a_task(stand: Stand, level: Level) -> None:
    """An ad group too large for a synchronous report is left to an asynchronous one."""
    stand.settings.ads_considered_max = 1
    stand.settings.task_shows_deleted = True
    records = stand.read(stand.adapter.report(ACCOUNT, level, SHORT, NOW))
    assert metrics(records) == metrics_truth(stand, level, SHORT)
    assert "/open_api/v1.3/report/task/download/" in stand.paths


def test_a_task_that_hides_the_deleted_loses_only_them(stand: Stand) -> None:
    """Where sources conflict the deleted are missing from the task, and come by id."""
    stand.settings.report_cells_max = 0
    records = stand.read(stand.adapter.report(ACCOUNT, Level.AD, SHORT, NOW))
    alive = set(stand.ids(Level.AD, deleted=False))
    assert metrics(records) == metrics_truth(stand, Level.AD, SHORT, alive)


@pytest.mark.parametrize("fault", ["task_failed", "task_stuck", "task_cut"])
@pytest.mark.parametrize("count", [1, None])
def test_tasks_that_go_wrong_are_repeated(stand: Stand, fault: str, count: int | None) -> None:
    """One bad task costs another one; tasks that are always bad end the read."""
    stand.settings.report_cells_max = 0
    stand.settings.task_shows_deleted = True
    stand.arm(fault, count=count)
    try:
        records = stand.read(stand.adapter.report(ACCOUNT, Level.AD, SHORT, NOW))
    except Retryable:
        assert count is None or fault == "task_cut"
        return
    assert metrics(records) == metrics_truth(stand, Level.AD, SHORT)
    assert count == 1


def test_heavy_reports_are_asked_for_in_halves(stand: Stand) -> None:
    """When TikTok times out, every row still comes, from fewer days at a time."""
    stand.settings.report_cells_max = 200
    records = stand.read(stand.adapter.report(ACCOUNT, Level.AD, LONG, NOW))
    assert metrics(records) == metrics_truth(stand, Level.AD, LONG)
    assert "/open_api/v1.3/report/task/create/" not in stand.paths


@pytest.mark.parametrize("zone", ["Etc/GMT+8", "America/Los_Angeles", "Asia/Kathmandu"])
@pytest.mark.parametrize("display", [True, False])
def test_account_days_follow_the_accounts_zone(stand: Stand, zone: str, display: bool) -> None:
    """The POSIX sign is read right, and `display_timezone` is preferred."""
    stand.world.add_tiktok_account(
        "7010000000000000777", "Shop JP", "JPY", zone,
        campaigns=1, adsets=1, ads=1, history_days=3,
    )  # fmt: skip
    stand.settings.display_timezone = display
    (info,) = stand.read(stand.adapter.read_account(" 7010000000000000777", NOW))
    assert (info.name, info.currency, info.status) == ("Shop JP", "JPY", "STATUS_ENABLE")
    local = "Etc/GMT+8" if zone == "America/Los_Angeles" and not display else zone
    assert info.timezone == local


def test_smart_plus_ads_without_modify_time_are_kept(stand: Stand) -> None:
    """The missing field is no reason to lose an ad."""
    adset = next(one for one in stand.world.entities(ACCOUNT, "adset") if one.own == "ACTIVE")
    ad = stand.world.create_ad(adset.id, "Smart+", traits={"smart_plus": "179900000000000001"})
    records = stand.read(stand.adapter.list_entities(ACCOUNT, Level.AD, NOW))
    (found,) = [record for record in records if record.platform_id == ad]
    assert found.updated_at is None
    assert found.created_at is not None


def test_budgets_are_major_units(stand: Stand) -> None:
    """5050 minor units are 50.5 dollars."""
    campaign = stand.world.create_campaign(ACCOUNT, "New", daily_budget=5050)
    (record,) = stand.read(stand.adapter.lookup_entities(ACCOUNT, Level.CAMPAIGN, [campaign], NOW))
    assert record.extra["budget"] == "50.5"


@pytest.mark.parametrize(
    "change",
    [{"ids_as_numbers": True}, {"empty_total_page": 1}, {"secondary_status": False}],
    ids=str,
)
def test_other_dialects_are_understood(stand: Stand, change: dict[str, Any]) -> None:
    """Older answers, another count of empty pages, the sandbox: nothing is lost."""
    stand.settings.update(change)
    records = stand.read(stand.adapter.list_entities(ACCOUNT, Level.AD, NOW))
    assert set(entities(records)) == set(stand.ids(Level.AD))
    stand.world.add_tiktok_account("7010000000000000888", campaigns=0, adsets=0, ads=0)
    assert not stand.read(stand.adapter.list_entities("7010000000000000888", Level.AD, NOW))


def test_an_ad_created_between_two_pages_hides_nobody(stand: Stand) -> None:
    """It shifts the others to later pages; what was there at the start is all read."""
    before = entity_truth(stand, Level.AD)
    adset = stand.ids(Level.ADSET)[0]
    small = TikTokAdapter(limits=replace(SMALL, page_rows=8))
    stand.arm("call", path="ad/get", skip=1, do=lambda: stand.world.create_ad(adset, "New"))
    records = stand.read(small.list_entities(ACCOUNT, Level.AD, NOW))
    assert set(before) <= set(entities(records))


def test_an_answer_about_other_days_is_refused(stand: Stand) -> None:
    """A cached or mixed-up answer does not pass for the one that was asked for."""
    other = DateRange(since=date(2026, 2, 25), until=date(2026, 2, 26))
    stand.read(stand.adapter.report(ACCOUNT, Level.AD, other, NOW))
    stand.arm("swapped", path="report/integrated", count=None)
    with pytest.raises(Retryable):
        stand.read(stand.adapter.report(ACCOUNT, Level.AD, SHORT, NOW))


def test_a_revoked_token_and_a_hidden_account_are_told_apart(stand: Stand) -> None:
    """The token is a person's to renew, the account's right another one's to give."""
    tokens = stand.simulator.tiktok.tokens
    token = tokens.add(Token(value=TOKEN, accounts=frozenset({"1"})))
    with pytest.raises(PermissionBlocked):
        stand.read(stand.adapter.read_account(ACCOUNT, NOW))
    token.revoked = True
    with pytest.raises(CredentialBlocked):
        stand.read(stand.adapter.read_account(ACCOUNT, NOW))


def test_a_breached_rate_limit_ends_the_read_as_busy(stand: Stand) -> None:
    """40100 that lasts is given up with a wait, never taken for an empty answer."""
    stand.settings.calls_per_minute = 0
    with pytest.raises(Retryable) as caught:
        stand.read(stand.adapter.list_entities(ACCOUNT, Level.AD, NOW))
    assert caught.value.retry_after_seconds is not None


def test_maintenance_releases_the_worker(stand: Stand) -> None:
    """A long wait ends the read at once."""
    stand.arm("tiktok_error", path="ad/get", code=60001, count=None)
    with pytest.raises(Retryable):
        stand.read(stand.adapter.list_entities(ACCOUNT, Level.AD, NOW))
    assert len(stand.paths) == 1


def test_advertisers_are_not_listed_without_the_apps_secret(stand: Stand) -> None:
    """A token alone does not open TikTok's list; the error says what to give instead."""
    before = len(stand.simulator.requests)
    with pytest.raises(UsageError, match="access_token, app_id and secret"):
        stand.read(stand.adapter.read_accounts(NOW))
    assert len(stand.simulator.requests) == before


def test_the_apps_secret_is_shown_once_and_logged_never(
    stand: Stand, port: RunningSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Only the list's own request holds it; libraries at DEBUG log no query."""
    stand.world.add_tiktok_account("7010000000000000502", campaigns=1, adsets=1, ads=1)
    stand.simulator.tiktok.settings.ids_max = 1
    secret, seen = "sim_secret_canary_4b7a", []
    simulator = stand.simulator
    answer = simulator.handle

    def handle(method: str, path: str, params: Any = None, *rest: Any) -> Any:
        seen.append((path, str(params)))
        return answer(method, path, params, *rest)

    simulator.handle = handle  # type: ignore[method-assign]
    adapter = replace(stand.adapter, limits=replace(stand.adapter.limits, ids_max=1))
    values = {"access_token": "sim_t", "app_id": "7", "secret": secret}
    client = PlatformClient(adapter, port.base_url, Credential(values), stand.clock)
    # TikTok's own client, once another test has imported it, keeps urllib3's logger at WARNING.
    with caplog.at_level("DEBUG"), caplog.at_level("DEBUG", logger="urllib3"):
        found = client.rows(adapter.read_accounts(NOW))[0]
    client.close()

    assert {info.platform_account_id for info in found if isinstance(info, AccountInfo)} == {
        ACCOUNT, "7010000000000000502",
    }  # fmt: skip
    assert [path for path, query in seen if secret in query] == [
        "/open_api/v1.3/oauth2/advertiser/get/"
    ]
    assert secret not in caplog.text
    assert "advertiser/get" in caplog.text


def test_an_advertiser_that_is_not_shown_hides_no_other(
    stand: Stand, port: RunningSimulator
) -> None:
    """The list may name one that the token cannot read: it comes as unreadable."""
    stand.world.add_tiktok_account("7010000000000000502", campaigns=1, adsets=1, ads=1)
    stand.arm("tiktok_error", path="advertiser/info", code=40001, count=2)
    values = {"access_token": "sim_t", "app_id": "7", "secret": "sim_s"}
    client = PlatformClient(stand.adapter, port.base_url, Credential(values), stand.clock)
    found = client.rows(stand.adapter.read_accounts(NOW))[0]
    client.close()
    assert sorted(info.readable for info in found if isinstance(info, AccountInfo)) == [
        False, True,
    ]  # fmt: skip
