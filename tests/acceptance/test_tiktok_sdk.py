"""The official TikTok SDK, an independent reader, judges the simulated Business API.

It spells paths, parameters and headers as TikTok's own code does, and reads the envelope; every
sum it collects is compared with the ledger to the cent. It types no field of `data`, so field
names are compared with what the client reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import business_api_client
import pytest
from business_api_client.tiktok_business.tiktok_exceptions import (
    TiktokSDKError,
)

from adsync_dagster.clock import VirtualClock
from adsync_dagster.platforms.tiktok_entities import ACCOUNT_FIELDS, FIELDS
from adsync_dagster.records import Level
from adsync_dagster.simulator.facebook_auth import Token
from adsync_dagster.simulator.server import RunningSimulator, serve
from adsync_dagster.simulator.simulator import Simulator
from adsync_dagster.simulator.world import World

START = datetime(2026, 3, 3, 15, 30, tzinfo=UTC)
ACCOUNT = "7010000000000000501"
TOKEN = "sim_sdk"
DAYS = 20
EVERYTHING = {"primary_status": "STATUS_ALL"}
LEVELS = {"campaign": "campaign", "adset": "adgroup", "ad": "ad"}


class Sdk:
    """The SDK's calls for one advertiser."""

    def __init__(self, base_url: str) -> None:
        configuration = business_api_client.Configuration()
        configuration.host = base_url
        self.client = business_api_client.ApiClient(configuration)
        self.campaigns = business_api_client.CampaignCreationApi(self.client)
        self.adgroups = business_api_client.AdgroupApi(self.client)
        self.ads = business_api_client.AdApi(self.client)
        self.reports = business_api_client.ReportingApi(self.client)
        self.accounts = business_api_client.AccountManagementApi(self.client)
        self.authentication = business_api_client.AuthenticationApi(self.client)

    def list(self, level: str, **options: Any) -> list[dict[str, Any]]:
        """Every page of a level's list."""
        call = {
            "campaign": self.campaigns.campaign_get,
            "adset": self.adgroups.adgroup_get,
            "ad": self.ads.ad_get,
        }[level]
        return _pages(lambda page: call(ACCOUNT, TOKEN, page=page, **options)["data"])

    def report(self, data_level: str, dimension: str, **options: Any) -> list[dict[str, Any]]:
        """Every page of a daily report."""
        return _pages(
            lambda page: self.reports.report_integrated_get(
                "BASIC",
                TOKEN,
                page=page,
                advertiser_id=ACCOUNT,
                data_level=data_level,
                dimensions=[dimension, "stat_time_day"],
                metrics=["spend", "impressions", "clicks", "conversion"],
                start_date=(START.date() - timedelta(days=DAYS - 1)).isoformat(),
                end_date=START.date().isoformat(),
                **options,
            )["data"]
        )


def _pages(read: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for page in range(1, 500):
        data = read(page)
        rows += data["list"]
        if page >= data["page_info"]["total_page"]:
            return rows
    raise AssertionError("the paging does not end")


def sums(rows: list[dict[str, Any]]) -> tuple[Decimal, int, int, int]:
    return (
        sum((Decimal(row["metrics"]["spend"]) for row in rows), Decimal(0)),
        *(
            sum(int(row["metrics"][name]) for row in rows)
            for name in ("impressions", "clicks", "conversion")
        ),
    )


def truth(world: World) -> tuple[Decimal, int, int, int]:
    days = [
        world.ledger.account_total(ACCOUNT, date.fromordinal(START.toordinal() - n))
        for n in range(DAYS)
    ]
    return (
        Decimal(sum(day["spend_micros"] for day in days)) / 1_000_000,
        *(sum(day[name] for day in days) for name in ("impressions", "clicks", "conversions")),
    )


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSimulator]:
    """A served world with deleted, frozen and paused objects."""
    world = World(seed=8, clock=VirtualClock(START))
    world.add_tiktok_account(ACCOUNT, campaigns=4, adsets=9, ads=25, history_days=30)
    live = [ad for ad in world.entities(ACCOUNT, "ad") if ad.effective == "ACTIVE"]
    world.delete("campaign", live[-1].campaign_id)
    world.delete("ad", live[0].id)
    world.archive("ad", live[1].id)
    with serve(Simulator(world)) as running:
        yield running


@pytest.fixture
def sdk(running: RunningSimulator) -> Sdk:
    return Sdk(running.base_url)


@pytest.mark.parametrize("level", LEVELS)
def test_lists_are_read_whole(running: RunningSimulator, sdk: Sdk, level: str) -> None:
    """By pages of ten, with STATUS_ALL everything, without it what is not deleted."""
    entities = running.world.entities(ACCOUNT, level)
    key = f"{LEVELS[level]}_id"
    assert {row[key] for row in sdk.list(level, filtering=EVERYTHING)} == {
        entity.id for entity in entities
    }
    alive = {entity.id for entity in entities if entity.effective != "DELETED"}
    assert {row[key] for row in sdk.list(level)} == alive
    assert alive != {entity.id for entity in entities} or level == "adset"


def test_the_sdks_own_filter_hides_the_deleted(running: RunningSimulator, sdk: Sdk) -> None:
    """Its model sends STATUS_NOT_DELETE although nobody set it."""
    ads = running.world.entities(ACCOUNT, "ad")
    filtering = business_api_client.FilteringAdGet(ad_ids=[ad.id for ad in ads])
    rows = sdk.list("ad", filtering=filtering)
    assert {row["ad_id"] for row in rows} == {ad.id for ad in ads if ad.effective != "DELETED"}


@pytest.mark.parametrize("level", Level)
def test_the_fields_the_client_asks_for_are_served(sdk: Sdk, level: Level) -> None:
    """In the SDK's spelling of the list, with blanks after its commas."""
    names = list(FIELDS[level])
    rows = sdk.list(level.value, fields=names, filtering=EVERYTHING, page_size=1000)
    assert all(set(row) == set(names) for row in rows)


@pytest.mark.parametrize(
    ("data_level", "dimension", "status"),
    [
        ("AUCTION_AD", "ad_id", "ad_status"),
        ("AUCTION_ADGROUP", "adgroup_id", "adgroup_status"),
        ("AUCTION_CAMPAIGN", "campaign_id", "campaign_status"),
        ("AUCTION_ADVERTISER", "advertiser_id", None),
    ],
)
def test_reports_add_up_to_the_ledger(
    running: RunningSimulator, sdk: Sdk, data_level: str, dimension: str, status: str | None
) -> None:
    """To the cent at every level, once the status filter asks for all."""
    item = {"field_name": status, "filter_type": "IN", "filter_value": '["STATUS_ALL"]'}
    options: dict[str, Any] = {"filtering": [item]} if status else {}
    rows = sdk.report(data_level, dimension, page_size=100, **options)
    assert sums(rows) == truth(running.world)
    if status in {"ad_status", "campaign_status"}:
        assert sums(sdk.report(data_level, dimension, page_size=100)) != truth(running.world)


def test_bools_are_read_as_python_spells_them(sdk: Sdk) -> None:
    """`enable_total_metrics=True` arrives as True."""
    data = sdk.reports.report_integrated_get(
        "BASIC", TOKEN, advertiser_id=ACCOUNT, data_level="AUCTION_AD", dimensions=["ad_id"],
        start_date="2026-02-12", end_date="2026-03-03", enable_total_metrics=True,
    )["data"]  # fmt: skip
    assert set(data["total_metrics"]) >= {"spend", "impressions"}


def test_a_report_task_runs_to_its_end(sdk: Sdk) -> None:
    """Created, looked at, cancelled; the SDK cannot download."""
    body = business_api_client.ReportTaskCreateBody(
        advertiser_id=ACCOUNT, report_type="BASIC", data_level="AUCTION_AD",
        dimensions=["ad_id", "stat_time_day"], metrics=["spend"],
        start_date="2026-02-12", end_date="2026-03-03",
    )  # fmt: skip
    task = sdk.reports.report_task_create(TOKEN, body=body)["data"]["task_id"]
    seen = [sdk.reports.report_task_check(task, ACCOUNT, TOKEN)["data"]["status"] for _ in "123"]
    assert seen == ["QUEUING", "SUCCESS", "SUCCESS"]


def test_the_account_is_described(sdk: Sdk) -> None:
    """Every field the client asks for, and the token's list of advertisers."""
    rows = sdk.accounts.advertiser_info([ACCOUNT], TOKEN, fields=list(ACCOUNT_FIELDS))
    (row,) = rows["data"]["list"]
    assert set(row) == set(ACCOUNT_FIELDS)
    listed = sdk.authentication.oauth2_advertiser_get("1", "secret", TOKEN)["data"]["list"]
    assert [one["advertiser_id"] for one in listed] == [ACCOUNT]


def test_a_switch_is_flipped_through_the_sdk(running: RunningSimulator, sdk: Sdk) -> None:
    """`ad/status/update` writes, and the list shows it."""
    ad = next(one.id for one in running.world.entities(ACCOUNT, "ad") if one.effective == "ACTIVE")
    body = business_api_client.AdStatusUpdateBody(
        advertiser_id=ACCOUNT, ad_ids=[ad], operation_status="DISABLE"
    )
    sdk.ads.ad_status_update(TOKEN, body=body)
    (row,) = sdk.list("ad", filtering={"ad_ids": [ad]})
    assert (row["operation_status"], row["secondary_status"]) == ("DISABLE", "AD_STATUS_DISABLE")


def test_errors_are_the_sdks_errors(running: RunningSimulator, sdk: Sdk) -> None:
    """A code in the body becomes its exception, under HTTP 200."""
    with pytest.raises(TiktokSDKError, match="40002"):
        sdk.list("ad", page_size=1001)
    with pytest.raises(TiktokSDKError, match="40300"):
        sdk.ads.ad_get("1", TOKEN)
    with pytest.raises(TiktokSDKError, match="40105"):
        sdk.ads.ad_get(ACCOUNT, "a_real_token")
    running.simulator.tiktok.tokens.add(Token(value="sim_narrow", accounts=frozenset()))
    with pytest.raises(TiktokSDKError, match="40001"):
        sdk.ads.ad_get(ACCOUNT, "sim_narrow")
    with pytest.raises(TiktokSDKError, match="40300"):
        sdk.reports.report_task_check("task_1", "2", TOKEN)
