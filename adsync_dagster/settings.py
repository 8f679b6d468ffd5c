"""Typed settings from the environment, refused clearly when unknown, malformed or unsafe.

Every variable is listed in `VARIABLES` with what it means; docs/settings.md is checked
against it by a test. Nothing here reads a file or opens a connection.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from adsync_dagster import crash_points
from adsync_dagster.calendar import zone
from adsync_dagster.cron import is_cron_line
from adsync_dagster.errors import UsageError
from adsync_dagster.records import Platform

#: Every environment variable this project reads, with one line for a person.
VARIABLES: dict[str, str] = {
    "ADSYNC_DATABASE_URL": "Warehouse URL (postgresql://...); unset: the embedded Postgres",
    "ADSYNC_HOME": "Folder for embedded Postgres, keys and Dagster's home; default .adsync",
    "ADSYNC_FACEBOOK_BASE_URL": "Meta Graph API base URL, without version",
    "ADSYNC_TIKTOK_BASE_URL": "TikTok Business API base URL",
    "ADSYNC_GOOGLE_ADS_BASE_URL": "Google Ads API base URL",
    "ADSYNC_GOOGLE_OAUTH_URL": "Google OAuth token URL",
    "ADSYNC_FACEBOOK_API_VERSION": "Graph API version, such as v26.0",
    "ADSYNC_FACEBOOK_CONVERSION_ACTION": "The action_type that counts as a conversion",
    "ADSYNC_FACEBOOK_WINDOW_DAYS": "Days Meta keeps revising a day after it ends",
    "ADSYNC_FACEBOOK_MARGIN_DAYS": "Days added before a day is sealed",
    "ADSYNC_TIKTOK_CONVERSION_METRIC": "The report metric that counts conversions",
    "ADSYNC_TIKTOK_VALUE_METRIC": "The report metric that says what conversions were worth",
    "ADSYNC_TIKTOK_WINDOW_DAYS": "Days TikTok keeps revising a day after it ends",
    "ADSYNC_TIKTOK_MARGIN_DAYS": "Days added before a day is sealed",
    "ADSYNC_GOOGLE_ADS_API_VERSION": "Google Ads API version, such as v26",
    "ADSYNC_GOOGLE_ADS_WINDOW_DAYS": "Days Google keeps revising a day, at most, after it ends",
    "ADSYNC_GOOGLE_ADS_MARGIN_DAYS": "Days added before a day is sealed",
    "ADSYNC_HISTORY_DAYS": "Days of history a first sync reads",
    "ADSYNC_RECENT_DAYS": "Days every sync reads again",
    "ADSYNC_TOKEN_KEY": "Base64 of 32 bytes that wraps credentials; unset: a file in ADSYNC_HOME",
    "ADSYNC_TOKEN_KEY_PREVIOUS": "The key before the last rotation, still accepted for reading",
    "ADSYNC_NOW": "Virtual clock for tests and the demo: an ISO instant, or file:PATH holding one",
    "ADSYNC_ACCOUNTS_PER_RUN": "Accounts in one Dagster run",
    "ADSYNC_ACCOUNT_THREADS": "Accounts synced at the same time within a run",
    "ADSYNC_SENSOR_INTERVAL_SECONDS": "Seconds between looks of the status change sensor",
    "ADSYNC_SYNC_CRON": "Cron line of the account sync",
    "ADSYNC_TIMEZONE": "IANA zone the schedules run in",
    "ADSYNC_CRASH_POINT": "For tests: a named place where the process sends itself a signal",
}

_BASE_URLS: dict[Platform, tuple[str, str]] = {
    Platform.FACEBOOK: ("ADSYNC_FACEBOOK_BASE_URL", "https://graph.facebook.com"),
    Platform.TIKTOK: ("ADSYNC_TIKTOK_BASE_URL", "https://business-api.tiktok.com"),
    Platform.GOOGLE_ADS: ("ADSYNC_GOOGLE_ADS_BASE_URL", "https://googleads.googleapis.com"),
}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the environment decides. Build it with `Settings.from_environment`."""

    #: None: the embedded Postgres under `home`.
    database_url: str | None = field(default=None, repr=False)
    home: Path = Path(".adsync")
    base_urls: Mapping[Platform, str] = field(
        default_factory=lambda: {platform: url for platform, (_, url) in _BASE_URLS.items()}
    )
    google_oauth_url: str = "https://oauth2.googleapis.com/token"
    token_key: str | None = field(default=None, repr=False)
    token_key_previous: str | None = field(default=None, repr=False)
    facebook_api_version: str = "v26.0"
    facebook_conversion_action: str = "omni_purchase"
    facebook_window_days: int = 28
    facebook_margin_days: int = 2
    tiktok_conversion_metric: str = "conversion"
    tiktok_value_metric: str = "total_purchase_value"
    tiktok_window_days: int = 28
    tiktok_margin_days: int = 2
    google_ads_api_version: str = "v26"
    google_ads_window_days: int = 90
    google_ads_margin_days: int = 3
    history_days: int = 90
    recent_days: int = 3
    accounts_per_run: int = 10
    account_threads: int = 4
    sensor_interval_seconds: int = 30
    sync_cron: str = "0 * * * *"
    timezone: str = "UTC"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read and check every ADSYNC_ variable; UsageError names the first wrong one."""
        env = dict(os.environ if environment is None else environment)
        for name in sorted(env):
            if name.startswith("ADSYNC_") and name not in VARIABLES:
                raise UsageError(f"{name} is not a setting of adsync; see docs/settings.md")
        crash_points.check(env)
        defaults = cls()
        return cls(
            database_url=_database_url(env.get("ADSYNC_DATABASE_URL")),
            home=Path(env.get("ADSYNC_HOME") or ".adsync").expanduser().absolute(),
            base_urls={
                platform: _url(env, variable, default)
                for platform, (variable, default) in _BASE_URLS.items()
            },
            google_oauth_url=_url(env, "ADSYNC_GOOGLE_OAUTH_URL", defaults.google_oauth_url),
            token_key=env.get("ADSYNC_TOKEN_KEY") or None,
            token_key_previous=env.get("ADSYNC_TOKEN_KEY_PREVIOUS") or None,
            facebook_api_version=_api_version(env, defaults.facebook_api_version),
            facebook_conversion_action=env.get("ADSYNC_FACEBOOK_CONVERSION_ACTION")
            or defaults.facebook_conversion_action,
            facebook_window_days=_integer(env, "ADSYNC_FACEBOOK_WINDOW_DAYS", 28, 0, 365),
            facebook_margin_days=_integer(env, "ADSYNC_FACEBOOK_MARGIN_DAYS", 2, 0, 365),
            tiktok_conversion_metric=_metric(
                env, "ADSYNC_TIKTOK_CONVERSION_METRIC", defaults.tiktok_conversion_metric
            ),
            tiktok_value_metric=_metric(
                env, "ADSYNC_TIKTOK_VALUE_METRIC", defaults.tiktok_value_metric
            ),
            tiktok_window_days=_integer(env, "ADSYNC_TIKTOK_WINDOW_DAYS", 28, 0, 365),
            tiktok_margin_days=_integer(env, "ADSYNC_TIKTOK_MARGIN_DAYS", 2, 0, 365),
            google_ads_api_version=_google_version(env, defaults.google_ads_api_version),
            google_ads_window_days=_integer(env, "ADSYNC_GOOGLE_ADS_WINDOW_DAYS", 90, 0, 365),
            google_ads_margin_days=_integer(env, "ADSYNC_GOOGLE_ADS_MARGIN_DAYS", 3, 0, 365),
            history_days=_integer(env, "ADSYNC_HISTORY_DAYS", 90, 1, 1123),
            recent_days=_integer(env, "ADSYNC_RECENT_DAYS", 3, 1, 90),
            accounts_per_run=_integer(env, "ADSYNC_ACCOUNTS_PER_RUN", 10, 1, 1000),
            account_threads=_integer(env, "ADSYNC_ACCOUNT_THREADS", 4, 1, 64),
            sensor_interval_seconds=_integer(env, "ADSYNC_SENSOR_INTERVAL_SECONDS", 30, 1, 3600),
            sync_cron=_cron(env, "ADSYNC_SYNC_CRON", defaults.sync_cron),
            timezone=zone(env.get("ADSYNC_TIMEZONE") or defaults.timezone).key,
        )


def _integer(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = env.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not low <= int(text[:9]) <= high:
        raise UsageError(f"{name} is {text[:20]!r}; use a whole number from {low} to {high}")
    return int(text)


def _cron(env: Mapping[str, str], name: str, default: str) -> str:
    text = env.get(name) or default
    if not is_cron_line(text):
        raise UsageError(
            f"{name} is {text[:40]!r}; write a cron line of five fields, such as 0 * * * *"
        )
    return text


def _metric(env: Mapping[str, str], name: str, default: str) -> str:
    text = env.get(name) or default
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,79}", text, re.ASCII):
        raise UsageError(f"{name} is {text[:40]!r}; write a metric's name like complete_payment")
    return text


def _url(env: Mapping[str, str], name: str, default: str) -> str:
    """An https URL, or plain http for loopback only: a token must not cross a network in clear."""
    text = (env.get(name) or default).rstrip("/")
    parts = urlsplit(text)
    if parts.scheme == "https" and parts.hostname:
        return text
    if parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return text
    raise UsageError(f"{name} must be an https URL (plain http is accepted for loopback only)")


def _database_url(text: str | None) -> str | None:
    if not text:
        return None
    scheme = text.split("://", 1)[0]
    if scheme not in {"postgresql", "postgres", "postgresql+psycopg"} or "://" not in text:
        raise UsageError("ADSYNC_DATABASE_URL must look like postgresql://user@host:5432/database")
    if text.count("@") > 1:
        # What follows the first @ would be taken for the host, and shown in messages.
        raise UsageError("ADSYNC_DATABASE_URL holds more than one @; write it as %40 in a password")
    return "postgresql://" + text.split("://", 1)[1]


def _api_version(env: Mapping[str, str], default: str) -> str:
    text = env.get("ADSYNC_FACEBOOK_API_VERSION") or default
    digits = text.removeprefix("v").split(".")
    if not text.startswith("v") or len(digits) != 2 or not all(d.isdigit() for d in digits):
        raise UsageError(f"ADSYNC_FACEBOOK_API_VERSION is {text[:20]!r}; write it like v26.0")
    return text


def _google_version(env: Mapping[str, str], default: str) -> str:
    text = env.get("ADSYNC_GOOGLE_ADS_API_VERSION") or default
    digits = text.removeprefix("v")
    if digits == text or not (digits.isascii() and digits.isdigit() and len(digits) <= 3):
        raise UsageError(f"ADSYNC_GOOGLE_ADS_API_VERSION is {text[:20]!r}; write it like v26")
    return text
