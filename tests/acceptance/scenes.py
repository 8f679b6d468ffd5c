"""What the same trap looks like on each platform: its errors, its addresses, its words.

A test says what happens ("the ad list fails", "the token has expired"); the scene of its
platform knows how that platform's wire does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from harness import ACCOUNT_IDS, Harness

from adsync_dagster.platforms.tiktok import TikTokAdapter
from adsync_dagster.records import Platform
from adsync_dagster.simulator.faults import Rule

Fault = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One platform: the faults that make a trap, as arguments of `Faults.arm`."""

    platform: Platform
    #: The platform fails on its own side while a final sync reads its reports.
    report_fails: Fault
    #: The list of ads is no answer.
    list_fails: Fault
    #: The list of ads is whole by its looks, and shows none.
    list_lies: Fault
    #: The credential is good no more.
    token_expired: Fault
    #: The credential may not read the account.
    forbidden: Fault
    #: One ad has a status word that nobody knows.
    strange_status: Fault
    #: Where that word is stored.
    strange_column: str
    #: A report by id that is well-formed and empty.
    empty_report: Fault
    #: The account's time zone is none that this host knows.
    unknown_zone: tuple[Fault, ...]
    #: What makes a small listing take many answers.
    small_pages: Mapping[str, Any]
    #: How such an answer's request is recognised.
    ad_list: str
    #: An account whose campaigns have more than the sum of their ads.
    world: Mapping[str, Any] = field(default_factory=dict)

    @property
    def account_id(self) -> str:
        return ACCOUNT_IDS[self.platform]

    def harness(self, url: str, home: Path, **options: Any) -> Harness:
        """A whole sync of this platform in one process."""
        return Harness(url, home, platform=self.platform, **options)

    def settings(self, harness: Harness) -> Any:
        """The knobs of the platform's simulated wire."""
        return getattr(harness.simulator.simulator, str(self.platform)).settings

    def shrink_pages(self, harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make every listing take many pages or chunks."""
        for name, value in self.small_pages.items():
            setattr(self.settings(harness), name, value)
        if self.platform is Platform.TIKTOK:
            # The client names the size of TikTok's pages, so it has to want small ones.
            adapter = harness.environment.adapter(self.platform)
            assert isinstance(adapter, TikTokAdapter)
            small = replace(adapter, limits=replace(adapter.limits, page_rows=10))
            monkeypatch.setattr(harness.environment, "adapter", lambda _: small)


def arm(harness: Harness, fault: Fault, **options: Any) -> Rule:
    """Arm a scene's fault."""
    name, usual = fault
    return harness.simulator.simulator.faults.arm(name, **{**usual, **options})


def _no_ads(body: dict[str, Any]) -> dict[str, Any]:
    """A list of Meta's that is empty in every respect."""
    return {"data": [], "summary": {**body.get("summary", {}), "total_count": 0}}


META = Scene(
    platform=Platform.FACEBOOK,
    report_fails=("error", {"path": "^$", "method": "POST", "error": "service"}),
    list_fails=("html_body", {"path": "/ads$"}),
    list_lies=("rewrite", {"path": "/ads$", "change": _no_ads}),
    token_expired=("error", {"error": "token_expired"}),
    forbidden=("error", {"error": "permission"}),
    strange_status=(
        "set_field",
        {"path": "/ads$", "field": "effective_status", "value": "TELEPORTED", "rows": 1},
    ),
    strange_column="effective_status",
    empty_report=("empty_page", {"path": "/insights$"}),
    unknown_zone=(
        ("set_field", {"path": "^act_", "field": "timezone_name", "value": "Mars/Olympus"}),
    ),
    small_pages={"page_size_max": 10},
    ad_list="/ads$",
)
TIKTOK = Scene(
    platform=Platform.TIKTOK,
    report_fails=("tiktok_error", {"path": "^report/", "code": 51000}),
    list_fails=("html_body", {"path": "^ad/get$"}),
    list_lies=("empty_first_page", {"path": "^ad/get$"}),
    token_expired=("tiktok_error", {"code": 40102}),
    forbidden=("tiktok_error", {"code": 40001}),
    strange_status=(
        "set_field",
        {"path": "^ad/get$", "field": "secondary_status", "value": "TELEPORTED", "rows": 1},
    ),
    strange_column="effective_status",
    empty_report=("empty_first_page", {"path": "^report/"}),
    unknown_zone=tuple(
        ("set_field", {"path": "^advertiser/info", "field": name, "value": "Mars/Olympus"})
        for name in ("timezone", "display_timezone")
    ),
    small_pages={},
    ad_list="/ad/get/$",
)
GOOGLE = Scene(
    platform=Platform.GOOGLE_ADS,
    report_fails=(
        "google_error",
        {"path": "by day$", "error": "internalError.INTERNAL_ERROR"},
    ),
    list_fails=("html_body", {"path": " ad_group_ad$"}),
    list_lies=("stream_nothing", {"path": " ad_group_ad$"}),
    token_expired=("oauth_error", {"path": "^token$", "error": "invalid_grant"}),
    forbidden=(
        "google_error",
        {"path": "googleAds:", "error": "authorizationError.USER_PERMISSION_DENIED"},
    ),
    strange_status=(
        "stream_field_set",
        {"path": " ad_group_ad$", "field": "adGroupAd.status", "value": "TELEPORTED", "rows": 1},
    ),
    strange_column="platform_status",
    empty_report=("stream_nothing", {"path": "by day$"}),
    unknown_zone=(
        (
            "stream_field_set",
            {"path": " customer$", "field": "customer.timeZone", "value": "Mars/Olympus"},
        ),
    ),
    small_pages={"stream_chunk_rows": 10},
    ad_list=":searchStream$",
    world={"performance_max": 1},
)
SCENES = {str(scene.platform): scene for scene in (META, TIKTOK, GOOGLE)}


def live(harness: Harness, level: str = "ad") -> list[str]:
    """Entities that deliver."""
    return [
        entity.id
        for entity in harness.world.entities(harness.account_id, level)
        if entity.effective == "ACTIVE"
    ]
