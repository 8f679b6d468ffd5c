"""Which adapter serves which platform."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from adsync_dagster.errors import UsageError
from adsync_dagster.platforms import facebook, tiktok
from adsync_dagster.platforms.protocol import PlatformAdapter
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
    def history_days(self) -> int: ...

    @property
    def recent_days(self) -> int: ...


def adapter_for(platform: Platform, settings: AdapterSettings) -> PlatformAdapter:
    """The platform's adapter as the settings want it; UsageError when there is none."""
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
    raise UsageError(f"the platform {platform.value} is not supported by this version of adsync")
