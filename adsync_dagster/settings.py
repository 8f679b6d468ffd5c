"""Typed settings from the environment, refused clearly when unknown, malformed or unsafe.

Every variable is listed in `VARIABLES` with what it means, those of the platforms by their own
descriptions (platforms/plugin.py); docs/settings.md is checked against it by a test. Nothing
here reads a file of ours or opens a connection.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from adsync_dagster import crash_points
from adsync_dagster.alerts.settings import ALERT_VARIABLES, AlertSettings
from adsync_dagster.calendar import zone
from adsync_dagster.cron import is_cron_line
from adsync_dagster.errors import UsageError
from adsync_dagster.platforms.built_in import BUILT_IN
from adsync_dagster.platforms.registry import installed
from adsync_dagster.records import Platform
from adsync_dagster.settlement import REPORTED_DAYS
from adsync_dagster.variables import LOOPBACK, whole_number

#: The environment variables that belong to no platform, with one line for a person.
_COMMON: dict[str, str] = {
    "ADSYNC_DATABASE_URL": "Warehouse URL (postgresql://...); unset: the embedded Postgres",
    "ADSYNC_HOME": "Folder for embedded Postgres, keys and Dagster's home; default .adsync",
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
    **ALERT_VARIABLES,
}

#: Every variable this project reads; the platforms of other packages add theirs.
VARIABLES: dict[str, str] = _COMMON | {
    variable: option.help for plugin in BUILT_IN for variable, option in plugin.variables.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the environment decides. Build it with `Settings.from_environment`."""

    #: None: the embedded Postgres under `home`.
    database_url: str | None = field(default=None, repr=False)
    home: Path = Path(".adsync")
    #: Where each installed platform is.
    base_urls: Mapping[Platform, str] = field(
        default_factory=lambda: {key: plugin.base_url for key, plugin in installed().items()}
    )
    #: What else is set of the platforms, checked, by the variable's name.
    options: Mapping[str, str] = field(default_factory=dict)
    token_key: str | None = field(default=None, repr=False)
    token_key_previous: str | None = field(default=None, repr=False)
    history_days: int = 90
    recent_days: int = 3
    accounts_per_run: int = 10
    account_threads: int = 4
    sensor_interval_seconds: int = 30
    sync_cron: str = "0 * * * *"
    timezone: str = "UTC"
    #: Who is told when something is wrong; nobody unless the environment says so.
    alerts: AlertSettings = field(default_factory=AlertSettings)

    @property
    def embedded_in(self) -> Path | None:
        """The home of the embedded Postgres; None when another database is set."""
        return None if self.database_url else self.home

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read and check every ADSYNC_ variable; UsageError names the first wrong one."""
        env = dict(os.environ if environment is None else environment)
        known = {*_COMMON, *(name for p in installed().values() for name in p.variables)}
        for name in sorted(env):
            if name.startswith("ADSYNC_") and name not in known:
                raise UsageError(f"{name} is not a setting of adsync; see docs/settings.md")
        crash_points.check(env)
        urls, options = _platform_variables(env)
        defaults = cls()
        _refuse_crashes(env, {**defaults.base_urls, **urls})
        return cls(
            database_url=_database_url(env.get("ADSYNC_DATABASE_URL")),
            home=Path(env.get("ADSYNC_HOME") or ".adsync").expanduser().absolute(),
            base_urls={**defaults.base_urls, **urls},
            options=options,
            token_key=env.get("ADSYNC_TOKEN_KEY") or None,
            token_key_previous=env.get("ADSYNC_TOKEN_KEY_PREVIOUS") or None,
            history_days=_integer(env, "ADSYNC_HISTORY_DAYS", 90, 1, REPORTED_DAYS),
            recent_days=_integer(env, "ADSYNC_RECENT_DAYS", 3, 1, 90),
            accounts_per_run=_integer(env, "ADSYNC_ACCOUNTS_PER_RUN", 10, 1, 1000),
            account_threads=_integer(env, "ADSYNC_ACCOUNT_THREADS", 4, 1, 64),
            sensor_interval_seconds=_integer(env, "ADSYNC_SENSOR_INTERVAL_SECONDS", 30, 1, 3600),
            sync_cron=_cron(env, "ADSYNC_SYNC_CRON", defaults.sync_cron),
            timezone=_timezone(env, "ADSYNC_TIMEZONE", defaults.timezone),
            alerts=AlertSettings.from_environment(env),
        )


def _platform_variables(env: Mapping[str, str]) -> tuple[dict[Platform, str], dict[str, str]]:
    """What is set of the installed platforms, checked: base URLs, and options by variable."""
    urls: dict[Platform, str] = {}
    options: dict[str, str] = {}
    for plugin in installed().values():
        for variable, option in plugin.variables.items():
            if variable in _COMMON:
                raise UsageError(f"the platform {plugin.key} may not have the setting {variable}")
            if not env.get(variable):
                continue
            text = option.check(variable, env[variable])
            if option.name == "BASE_URL":
                urls[plugin.key] = text
            else:
                options[variable] = text
    return urls, options


def _refuse_crashes(env: Mapping[str, str], base_urls: Mapping[Platform, str]) -> None:
    """Crash points end this process: only where no platform but a simulated one is reached."""
    if not env.get(crash_points.VARIABLE):
        return
    real = [
        variable
        for plugin in installed().values()
        for variable, option in plugin.variables.items()
        if option.name == "BASE_URL" and urlsplit(base_urls[plugin.key]).hostname not in LOOPBACK
    ]
    if real:
        raise UsageError(
            f"{crash_points.VARIABLE} is set, which lets processes end in the middle of their work:"
            " unset it. Only a test may set it, and only with every platform on this machine;"
            f" {', '.join(real)} {'leads' if len(real) == 1 else 'lead'} elsewhere"
        )


def _integer(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    return int(whole_number(low, high)(name, env.get(name) or str(default)))


def _cron(env: Mapping[str, str], name: str, default: str) -> str:
    text = env.get(name) or default
    if not is_cron_line(text):
        raise UsageError(
            f"{name} is {text[:40]!r}; write a cron line of five fields, such as 0 * * * *"
        )
    return text


def _timezone(env: Mapping[str, str], name: str, default: str) -> str:
    try:
        return zone(env.get(name) or default).key
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None


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
