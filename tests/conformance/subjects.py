"""The three platforms as subjects of the conformance suite: how each one's wire goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from adsync_dagster.clock import VirtualClock
from adsync_dagster.conformance import Fault, Subject
from adsync_dagster.errors import AccountBlocked, CredentialBlocked, PermissionBlocked
from adsync_dagster.platforms.built_in import FACEBOOK, GOOGLE_ADS, TIKTOK
from adsync_dagster.platforms.facebook import FacebookAdapter
from adsync_dagster.platforms.facebook_wire import ReadLimits as FacebookLimits
from adsync_dagster.platforms.google_ads import GoogleAdsAdapter
from adsync_dagster.platforms.google_ads_wire import ReadLimits as GoogleLimits
from adsync_dagster.platforms.protocol import Credential
from adsync_dagster.platforms.tiktok import TikTokAdapter
from adsync_dagster.platforms.tiktok_wire import ReadLimits as TikTokLimits
from adsync_dagster.records import Level
from adsync_dagster.simulator.server import RunningSimulator, serve
from adsync_dagster.simulator.simulator import Simulator
from adsync_dagster.simulator.world import World

NOW = datetime(2026, 3, 10, 15, 0, tzinfo=UTC)
TOKEN = "sim_conformance_canary_5b1e"
UNKNOWN = dict.fromkeys(Level, "999")


class Port(Simulator):
    """What a port serves: the simulator of the check that runs, as servers are slow to start."""

    served: Simulator

    def handle(self, *args: Any, **options: Any) -> tuple[int, dict[str, str], bytes]:
        return self.served.handle(*args, **options)


@contextmanager
def open_port() -> Iterator[RunningSimulator]:
    """A real port for many checks."""
    with serve(Port(World())) as running:
        yield running


def _world() -> World:
    return World(seed=11, clock=VirtualClock(NOW))


def _served(port: RunningSimulator, world: World) -> Simulator:
    assert isinstance(port.simulator, Port)
    port.simulator.served = Simulator(world)
    return port.simulator.served


def _field(name: str, value: Any, **options: Any) -> Fault:
    return Fault(name="set_field", options={"field": name, "value": value, **options})


def _dropped(name: str) -> Fault:
    return Fault(name="drop_field", options={"field": name})


NO_COUNT = "the API does not count a report's rows; the day's totals tell of missing ones"


def facebook(port: RunningSimulator) -> Subject:
    """Meta: cursors, batches, and errors by code in the body."""
    world = _world()
    world.add_facebook_account("act_501", campaigns=5, adsets=12, ads=40, history_days=24)
    limits = FacebookLimits(
        entity_page_rows=7, insights_page_rows=23, activity_page_rows=20, page_rows_floor=3,
        pages_max=500, run_idle_polls_max=6, batch_items_max=9,
    )  # fmt: skip

    def error(name: str, **options: Any) -> Fault:
        return Fault(name="error", options={"error": name, **options})

    return Subject(
        plugin=FACEBOOK,
        adapter=FacebookAdapter(limits=limits),
        credential=Credential({"access_token": TOKEN}),
        simulator=_served(port, world),
        base_url=port.base_url,
        account_id="act_501",
        empty_account_id="act_502",
        unknown_ids=UNKNOWN,
        paths={
            "list": "ads$",
            "look_up": r"^\d+$",
            "report": "^act_501/insights$",
            "report_by_id": r"^\d+/insights$",
        },
        passing=(
            error("service"),
            error("unknown"),
            error("unknown_99"),
            error("service", status=200),
            error("user_limit"),
            error("reduce_data"),
            Fault(name="repeat_rows"),
            Fault(name="foreign_next"),
        ),
        wrong_lists={
            "an empty page in the middle": (Fault(name="empty_page", skip=1),),
            "a page that comes again and again": (
                Fault(name="repeated_cursor"),
                Fault(name="endless_pages"),
            ),
            "a page with rows missing": (
                Fault(name="cut_rows", skip=1),
                Fault(name="shift_rows"),
                Fault(name="empty_first_page"),
                Fault(name="missing_next"),
                Fault(name="missing_paging", skip=1),
            ),
            "a row without a field it must have": (
                _dropped("status"),
                _field("effective_status", None),
                _field("id", 120200013000000010),
            ),
            "a row of another account": (_field("account_id", "777"),),
        },
        wrong_reports={
            "a row of another day": (_field("date_start", "2026-01-01"),),
            "a row without a number": (_dropped("spend"), _field("impressions", None)),
            "a number that is none": (_field("spend", "NaN"), _field("spend", 12.5)),
            "a page that comes again and again": (Fault(name="endless_pages"),),
            "a page with rows missing": NO_COUNT,
            "a row of another account": (_field("account_id", "777"),),
        },
        blocked=(
            (error("token_expired"), CredentialBlocked),
            (error("token_revoked"), CredentialBlocked),
            (error("permission"), PermissionBlocked),
            (error("permission_10"), PermissionBlocked),
        ),
        unknown_statuses={
            "NEWER_STATUS": _field("effective_status", "NEWER_STATUS"),
            "NEWER_SWITCH": _field("status", "NEWER_SWITCH"),
        },
    )


def tiktok(port: RunningSimulator) -> Subject:
    """TikTok: pages by number, and every error inside HTTP 200."""
    world = _world()
    account = "7010000000000000501"
    world.add_tiktok_account(account, campaigns=6, adsets=12, ads=30, history_days=60)
    limits = TikTokLimits(
        page_rows=12, page_rows_floor=4, pages_max=300, ids_max=9, report_campaign_ids_max=3,
        task_polls_max=12,
    )  # fmt: skip

    def error(code: int, **options: Any) -> Fault:
        return Fault(name="tiktok_error", options={"code": code, **options})

    return Subject(
        plugin=TIKTOK,
        adapter=TikTokAdapter(limits=limits),
        credential=Credential(
            {
                "access_token": TOKEN,
                "app_id": "7099999999999999901",
                "secret": "sim_app_secret_canary",
            }
        ),
        simulator=_served(port, world),
        base_url=port.base_url,
        account_id=account,
        empty_account_id="7010000000000000888",
        unknown_ids=UNKNOWN,
        paths={
            "list": "ad/get",
            "look_up": "ad/get",
            "report": "report/integrated",
            "report_by_id": "report/",
        },
        passing=(
            error(40100),
            error(40700),
            error(50000),
            error(50002),
            error(51305, status=500),
            Fault(name="data_is_null"),
            Fault(name="page_info_missing"),
            Fault(name="page_info_wrong"),
        ),
        wrong_lists={
            "an empty page in the middle": (Fault(name="empty_page", skip=1),),
            "a page that comes again and again": (Fault(name="endless_pages"),),
            "a page with rows missing": (
                Fault(name="cut_rows"),
                Fault(name="shift_rows"),
                Fault(name="repeat_rows"),
                Fault(name="total_shrinks"),
                Fault(name="page_info_wrong", options={"info": {"page_size": 10}}),
                Fault(name="page_info_wrong", options={"info": {"total_page": 77}}),
                Fault(name="page_info_wrong", options={"info": {"total_number": "9"}}),
            ),
            "a row without a field it must have": (
                _dropped("ad_id"),
                _field("adgroup_id", None),
                _field("secondary_status", 7),
                _field("modify_time", "yesterday"),
            ),
            "a row of another account": (_field("advertiser_id", "777"),),
        },
        wrong_reports={
            "a row of another day": (
                _field("stat_time_day", "2026-01-01 00:00:00"),
                _field("stat_time_day", "2026-03-08 01:00:00"),
            ),
            "a row without a number": (_field("spend", "-"), _field("impressions", "-")),
            "a number that is none": (
                _field("spend", "NaN"),
                _field("spend", 12.5),
                _field("impressions", "12.5"),
            ),
            "a page that comes again and again": (Fault(name="endless_pages"),),
            "a page with rows missing": (Fault(name="cut_rows"), Fault(name="total_shrinks")),
            "a row of nobody": (_field("ad_id", None), _field("campaign_id", "x")),
        },
        blocked=(
            (error(40102), CredentialBlocked),
            (error(40105), CredentialBlocked),
            (error(40001), PermissionBlocked),
            (error(40125), PermissionBlocked),
            (error(40300), AccountBlocked),
        ),
        unknown_statuses={"AD_STATUS_NEWER": _field("secondary_status", "AD_STATUS_NEWER")},
        change_history=False,
    )


def google_ads(port: RunningSimulator) -> Subject:
    """Google Ads: one stream per question, and access tokens in exchange for a refresh token."""
    world = _world()
    account = "5015015011"
    world.add_google_ads_account(account, campaigns=5, adsets=12, ads=40, history_days=24)
    simulator = _served(port, world)
    simulator.google_ads.settings.stream_chunk_rows = 9

    def error(name: str, **options: Any) -> Fault:
        return Fault(name="google_error", options={"error": name, **options})

    def field(name: str, value: Any) -> Fault:
        return Fault(name="stream_field_set", options={"field": name, "value": value})

    def dropped(name: str) -> Fault:
        return Fault(name="stream_field_dropped", options={"field": name})

    one_stream = "there are no pages: one stream, whose end is proven by its closing bracket"
    return Subject(
        plugin=GOOGLE_ADS,
        adapter=GoogleAdsAdapter(limits=GoogleLimits(ids_max=9, changes_max=50)),
        credential=Credential(
            {
                "client_id": "sim_client_canary",
                "client_secret": "sim_secret_canary",
                "refresh_token": TOKEN,
                "developer_token": "sim_developer_canary",
            }
        ),
        simulator=simulator,
        base_url=port.base_url,
        account_id=account,
        empty_account_id="6016016011",
        unknown_ids={**UNKNOWN, Level.AD: "999~999"},
        paths={
            "list": "ad_group_ad$",
            "look_up": "ad_group_ad$",
            "report": "ad_group_ad by day$",
            "report_by_id": "ad_group_ad by day$",
        },
        passing=(
            error("internalError.TRANSIENT_ERROR"),
            error("internalError.DEADLINE_EXCEEDED"),
            error("quotaError.RESOURCE_TEMPORARILY_EXHAUSTED", retry_delay="1.5s"),
            Fault(name="stream_error", options={"error": "internalError.INTERNAL_ERROR"}),
        ),
        wrong_lists={
            "an empty page in the middle": one_stream,
            "a page that comes again and again": one_stream,
            "a page with rows missing": one_stream,
            "a row without a field it must have": (
                dropped("customer.id"),
                dropped("adGroupAd.ad.id"),
                Fault(name="stream_other_mask"),
            ),
            "a row of another account": (field("customer.id", "777"),),
        },
        wrong_reports={
            "a row of another day": (field("segments.date", "2026-01-01"),),
            "a row without a number": (
                dropped("metrics.costMicros"),
                field("metrics.impressions", None),
            ),
            "a number that is none": (
                field("metrics.costMicros", 12),
                field("metrics.conversions", "NaN"),
            ),
            "a page that comes again and again": one_stream,
            "a page with rows missing": one_stream,
            "a row of another account": (field("customer.id", "777"),),
            "an answer to another question": (Fault(name="stream_other_mask"),),
            "a row of nobody": (dropped("adGroupAd.ad.id"),),
        },
        blocked=(
            (
                Fault(name="oauth_error", options={"error": "invalid_grant"}, path="^token$"),
                CredentialBlocked,
            ),
            (error("authorizationError.USER_PERMISSION_DENIED"), PermissionBlocked),
            (error("authorizationError.CUSTOMER_NOT_ENABLED"), AccountBlocked),
        ),
        unknown_statuses={"NEWER": field("adGroupAd.status", "NEWER")},
        variables={"ADSYNC_GOOGLE_OAUTH_URL": f"{port.base_url}/token"},
        one_request_is_enough=True,
    )


SUBJECTS: dict[str, Callable[[RunningSimulator], Subject]] = {
    "facebook": facebook,
    "tiktok": tiktok,
    "google_ads": google_ads,
}
