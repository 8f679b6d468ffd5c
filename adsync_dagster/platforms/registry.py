"""Which adapter serves which platform."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from adsync_dagster.platforms import facebook, google_ads, tiktok
from adsync_dagster.platforms.google_ads_oauth import GoogleGrant
from adsync_dagster.platforms.protocol import PlatformAdapter, TokenGrant
from adsync_dagster.records import Platform


class AdapterSettings(Protocol):
    """What the adapters take from the settings."""

    @property
    def facebook_api_version(self) -> str: ...

    @property
    def facebook_conversion_action(self) -> str: ...

    @property
    def facebook_window_days(self) -> int: ...

    @property
    def facebook_margin_days(self) -> int: ...

    @property
    def tiktok_conversion_metric(self) -> str: ...

    @property
    def tiktok_value_metric(self) -> str: ...

    @property
    def tiktok_window_days(self) -> int: ...

    @property
    def tiktok_margin_days(self) -> int: ...

    @property
    def google_ads_api_version(self) -> str: ...

    @property
    def google_ads_window_days(self) -> int: ...

    @property
    def google_ads_margin_days(self) -> int: ...

    @property
    def google_oauth_url(self) -> str: ...

    @property
    def history_days(self) -> int: ...

    @property
    def recent_days(self) -> int: ...


def adapter_for(platform: Platform, settings: AdapterSettings) -> PlatformAdapter:
    """The platform's adapter as the settings want it."""
    if platform is Platform.FACEBOOK:
        return facebook.FacebookAdapter(
            api_version=settings.facebook_api_version,
            conversion_action=settings.facebook_conversion_action,
            rules=replace(
                facebook.RULES,
                window_days=settings.facebook_window_days,
                margin_days=settings.facebook_margin_days,
                history_days=settings.history_days,
                recent_days=settings.recent_days,
            ),
        )
    if platform is Platform.TIKTOK:
        return tiktok.TikTokAdapter(
            conversion_metric=settings.tiktok_conversion_metric,
            value_metric=settings.tiktok_value_metric,
            rules=replace(
                tiktok.RULES,
                window_days=settings.tiktok_window_days,
                margin_days=settings.tiktok_margin_days,
                history_days=settings.history_days,
                recent_days=settings.recent_days,
            ),
        )
    return google_ads.GoogleAdsAdapter(
        api_version=settings.google_ads_api_version,
        rules=replace(
            google_ads.RULES,
            window_days=settings.google_ads_window_days,
            margin_days=settings.google_ads_margin_days,
            history_days=settings.history_days,
            recent_days=settings.recent_days,
        ),
    )


class Grant(NamedTuple):
    """How a platform's stored credentials become access tokens, and where."""

    words: TokenGrant
    url: str


def grant_for(platform: Platform, settings: AdapterSettings) -> Grant | None:
    """The platform's token exchange; None where the stored token itself is sent."""
    if platform is not Platform.GOOGLE_ADS:
        return None
    url = settings.google_oauth_url
    return Grant(GoogleGrant(urlsplit(url).path or "/"), url)
