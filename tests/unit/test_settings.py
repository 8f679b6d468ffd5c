"""Settings: every variable read, every bad value refused in one line, nothing secret shown."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adsync_dagster.alerts.settings import ALERT_VARIABLES
from adsync_dagster.errors import UsageError
from adsync_dagster.platforms.registry import adapter_for, grant_for, installed
from adsync_dagster.records import Platform
from adsync_dagster.settings import VARIABLES, Settings

CANARY = "canary-5f1d0c"

#: For every variable: a good value, and the field and value it leads to.
GOOD: dict[str, tuple[str, str, object]] = {
    "ADSYNC_DATABASE_URL": ("postgres://u@h/d", "database_url", "postgresql://u@h/d"),
    "ADSYNC_HOME": ("/srv/adsync", "home", Path("/srv/adsync")),
    "ADSYNC_HISTORY_DAYS": ("365", "history_days", 365),
    "ADSYNC_RECENT_DAYS": ("5", "recent_days", 5),
    "ADSYNC_TOKEN_KEY": ("a2V5", "token_key", "a2V5"),
    "ADSYNC_TOKEN_KEY_PREVIOUS": ("b2xk", "token_key_previous", "b2xk"),
    "ADSYNC_ACCOUNTS_PER_RUN": ("25", "accounts_per_run", 25),
    "ADSYNC_ACCOUNT_THREADS": ("8", "account_threads", 8),
    "ADSYNC_SENSOR_INTERVAL_SECONDS": ("5", "sensor_interval_seconds", 5),
    "ADSYNC_SYNC_CRON": ("*/20 * * * *", "sync_cron", "*/20 * * * *"),
    "ADSYNC_TIMEZONE": ("Europe/Berlin", "timezone", "Europe/Berlin"),
}
#: For every variable of a platform but its base URL: a good value.
OPTIONS = {
    "ADSYNC_FACEBOOK_API_VERSION": "v27.1",
    "ADSYNC_FACEBOOK_CONVERSION_ACTION": "purchase",
    "ADSYNC_FACEBOOK_WINDOW_DAYS": "7",
    "ADSYNC_FACEBOOK_MARGIN_DAYS": "0",
    "ADSYNC_TIKTOK_CONVERSION_METRIC": "skan_result",
    "ADSYNC_TIKTOK_VALUE_METRIC": "a_value",
    "ADSYNC_TIKTOK_WINDOW_DAYS": "41",
    "ADSYNC_TIKTOK_MARGIN_DAYS": "0",
    "ADSYNC_GOOGLE_ADS_API_VERSION": "v27",
    "ADSYNC_GOOGLE_ADS_WINDOW_DAYS": "60",
    "ADSYNC_GOOGLE_ADS_MARGIN_DAYS": "0",
    "ADSYNC_GOOGLE_OAUTH_URL": "https://o.test/token",
}
URLS = {
    "ADSYNC_FACEBOOK_BASE_URL": Platform.FACEBOOK,
    "ADSYNC_TIKTOK_BASE_URL": Platform.TIKTOK,
    "ADSYNC_GOOGLE_ADS_BASE_URL": Platform.GOOGLE_ADS,
}
INTEGERS = sorted(
    [name for name, (_, _, value) in GOOD.items() if isinstance(value, int)]
    + [name for name in OPTIONS if name.endswith("_DAYS")]
)


def test_an_empty_environment_is_production() -> None:
    """Without any variable: real platform hosts over https, embedded Postgres, UTC."""
    settings = Settings.from_environment({})
    assert settings.database_url is None
    assert settings.timezone == "UTC"
    assert settings.home == Path(".adsync").absolute()
    assert all(url.startswith("https://") for url in settings.base_urls.values())
    assert set(settings.base_urls) == set(installed())
    assert dataclasses.replace(settings, home=Path(".adsync")) == Settings()


def test_an_empty_variable_is_an_unset_one() -> None:
    """`ADSYNC_X=` in an env file means the default, for every variable."""
    assert Settings.from_environment(dict.fromkeys(VARIABLES, "")) == Settings.from_environment({})


@pytest.mark.parametrize("name", GOOD)
def test_each_variable_reaches_its_field(name: str) -> None:
    """A good value arrives, and moves no other field."""
    text, field, value = GOOD[name]
    settings = Settings.from_environment({name: text})
    assert getattr(settings, field) == value
    plain = Settings.from_environment({})
    assert dataclasses.replace(settings, **{field: getattr(plain, field)}) == plain


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_reaches_its_platform(name: str) -> None:
    """A good value arrives under its variable's name, changes its adapter and no other."""
    settings = Settings.from_environment({name: OPTIONS[name]})
    plain = Settings.from_environment({})
    assert settings == dataclasses.replace(plain, options={name: OPTIONS[name]})
    changed = {
        key
        for key in installed()
        if adapter_for(key, settings) != adapter_for(key, plain)
        or grant_for(key, settings) != grant_for(key, plain)
    }
    assert [installed()[key].variables.get(name) is not None for key in changed] == [True]


@pytest.mark.parametrize("name", URLS)
def test_each_base_url_reaches_its_platform(name: str) -> None:
    """A base URL changes one platform only, and a trailing slash is dropped."""
    settings = Settings.from_environment({name: "http://127.0.0.1:4000/"})
    changed = {
        platform for platform, url in settings.base_urls.items() if url == "http://127.0.0.1:4000"
    }
    assert changed == {URLS[name]}


def test_no_variable_is_without_a_test() -> None:
    """Every variable has its case above, or elsewhere: alerts', the clock's, crash points'."""
    elsewhere = {"ADSYNC_NOW", "ADSYNC_CRASH_POINT", *ALERT_VARIABLES}
    assert set(VARIABLES) == set(GOOD) | set(OPTIONS) | set(URLS) | elsewhere
    assert all(VARIABLES.values())


@pytest.mark.parametrize("name", ["ADSYNC_DATABSE_URL", "ADSYNC_", "ADSYNC_TOKEN"])
def test_an_unknown_variable_is_refused_by_name(name: str) -> None:
    """A typing mistake must not silently mean the default; the value is not repeated."""
    with pytest.raises(UsageError, match=f"{name} is not a setting") as caught:
        Settings.from_environment({name: CANARY})
    assert CANARY not in str(caught.value)


def test_other_programs_variables_are_not_ours() -> None:
    """Only the ADSYNC_ prefix is checked."""
    Settings.from_environment({"DAGSTER_HOME": "/x", "adsync_home": "/y", "PATH": ""})


@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize("text", ["-1", "1.5", "many", "9" * 30, " 7", "٣", "1e3", "0x10"])
def test_a_bad_number_is_refused_with_its_range(name: str, text: str) -> None:
    """Anything but a plain whole number within the limits names variable and limits."""
    with pytest.raises(UsageError, match=rf"{name} is .*whole number from \d+ to \d+"):
        Settings.from_environment({name: text})


@pytest.mark.parametrize(
    "text",
    [
        "http://graph.facebook.com",
        "http://127.0.0.1.evil.test",
        "http://localhost@evil.test",
        "ftp://127.0.0.1",
        "graph.facebook.com",
        "https://",
        "file:///etc/passwd",
    ],
)
@pytest.mark.parametrize("name", [*URLS, "ADSYNC_GOOGLE_OAUTH_URL"])
def test_a_token_never_crosses_a_network_in_clear(name: str, text: str) -> None:
    """Plain http is accepted for loopback only, also when the host merely looks like it."""
    with pytest.raises(UsageError, match=f"{name} must be an https URL"):
        Settings.from_environment({name: text})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_loopback_may_be_plain(host: str) -> None:
    """The simulator is reached over plain http."""
    settings = Settings.from_environment({"ADSYNC_FACEBOOK_BASE_URL": f"http://{host}:80"})
    assert settings.base_urls[Platform.FACEBOOK] == f"http://{host}:80"


@pytest.mark.parametrize("text", ["mysql://h/d", "localhost:5432/d", "postgresql:h", f"{CANARY}"])
def test_a_wrong_database_url_shows_the_right_shape_only(text: str) -> None:
    """The message shows an example and never the value, which may hold a password."""
    with pytest.raises(UsageError, match="postgresql://user@host:5432/database") as caught:
        Settings.from_environment({"ADSYNC_DATABASE_URL": text})
    assert text not in str(caught.value)


def test_a_password_with_an_at_sign_must_be_encoded() -> None:
    """Else a part of the password would be taken for the host, and printed as such."""
    with pytest.raises(UsageError, match="%40") as caught:
        Settings.from_environment({"ADSYNC_DATABASE_URL": f"postgresql://u:p@{CANARY}@h/d"})
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("text", ["26.0", "v26", "latest", "v26.x", "v26.0/../.."])
def test_a_malformed_api_version_is_refused(text: str) -> None:
    """The version becomes part of a path, so only vNN.N is accepted."""
    with pytest.raises(UsageError, match=r"write it like v26\.0"):
        Settings.from_environment({"ADSYNC_FACEBOOK_API_VERSION": text})


def test_an_unknown_time_zone_is_refused() -> None:
    """Schedules in a zone that does not exist would fall back silently."""
    with pytest.raises(UsageError, match="not a known time zone"):
        Settings.from_environment({"ADSYNC_TIMEZONE": "Berlin"})


def test_secrets_are_not_in_the_repr() -> None:
    """Printing or logging the settings shows neither keys nor the database password."""
    settings = Settings.from_environment(
        {
            "ADSYNC_TOKEN_KEY": CANARY,
            "ADSYNC_TOKEN_KEY_PREVIOUS": CANARY,
            "ADSYNC_DATABASE_URL": f"postgresql://u:{CANARY}@h/d",
        }
    )
    assert CANARY not in repr(settings)
    assert CANARY not in f"{settings}"


@given(st.dictionaries(st.sampled_from(sorted(VARIABLES)), st.text(max_size=60)))
def test_no_environment_crashes(environment: dict[str, str]) -> None:
    """Whatever the variables hold, the answer is settings or one clear line."""
    message = ""
    try:
        Settings.from_environment(environment)
    except UsageError as error:
        message = str(error)
    assert "\n" not in message


@pytest.mark.parametrize(
    "line", ["hourly", "* * * *", "60 * * * *", "* 24 * * *", "@hourly", "0 0 0 * *", "*/0 * * * *"]
)
def test_a_wrong_cron_line_is_refused(line: str) -> None:
    """A schedule that Dagster could not load is refused before Dagster sees it."""
    with pytest.raises(UsageError, match=r"ADSYNC_SYNC_CRON is .* five fields"):
        Settings.from_environment({"ADSYNC_SYNC_CRON": line})
