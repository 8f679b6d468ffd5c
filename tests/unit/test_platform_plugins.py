"""Platforms as other packages bring them: found by entry point, refused clearly, served alike."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest

from adsync_dagster.errors import UsageError
from adsync_dagster.platforms import registry
from adsync_dagster.platforms.built_in import BUILT_IN, FACEBOOK, TIKTOK
from adsync_dagster.platforms.plugin import Option, PlatformPlugin
from adsync_dagster.records import Platform
from adsync_dagster.resources.platforms import platform_resources
from adsync_dagster.settings import Settings

#: A platform that speaks TikTok's words at another place.
OTHER = replace(
    TIKTOK,
    key=Platform("other_ads"),
    label="Other Ads",
    base_url="https://other.test",
    options=(*TIKTOK.options, Option(name="REGION", help="Where", default="eu")),
)
BROKEN = replace(OTHER, key=Platform("warehouse"))
COPY = replace(OTHER, key=Platform("facebook"))
CLASH = replace(OTHER, options=(Option(name="X", help="", default="", variable="ADSYNC_HOME"),))
TWICE = replace(
    OTHER, options=(Option(name="X", help="", default="", variable="ADSYNC_TIKTOK_BASE_URL"),)
)
NOTHING = "nothing"

Install = Callable[..., None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Makes entry points of this module's names be found, as `name=object`."""

    def put(*texts: str) -> None:
        entries = [
            EntryPoint(name, f"{__name__}:{value}", registry.ENTRY_POINT_GROUP)
            for name, _, value in (text.partition("=") for text in texts)
        ]
        monkeypatch.setattr(registry, "entry_points", lambda **_: entries)
        registry.installed.cache_clear()

    yield put
    registry.installed.cache_clear()


def test_a_package_brings_a_platform(install: Install) -> None:
    """It is listed after ours, has its settings, its adapter and its Dagster resource."""
    install("other_ads=OTHER")
    assert list(registry.installed()) == [*(p.key for p in BUILT_IN), "other_ads"]
    settings = Settings.from_environment(
        {
            "ADSYNC_OTHER_ADS_BASE_URL": "http://127.0.0.1:4000",
            "ADSYNC_OTHER_ADS_WINDOW_DAYS": "3",
            "ADSYNC_OTHER_ADS_REGION": "us",
            "ADSYNC_HISTORY_DAYS": "30",
        }
    )
    key = registry.plugin_for("other_ads").key
    assert settings.base_urls[key] == "http://127.0.0.1:4000"
    rules = registry.adapter_for(key, settings).rules
    assert (rules.window_days, rules.margin_days, rules.history_days) == (3, 2, 30)
    assert platform_resources(settings)[key].platform == "other_ads"
    assert Settings().base_urls[key] == "https://other.test"


def test_without_the_package_its_settings_are_refused() -> None:
    """A variable of a platform that is not there is a typing mistake like any other."""
    with pytest.raises(UsageError, match="ADSYNC_OTHER_ADS_REGION is not a setting"):
        Settings.from_environment({"ADSYNC_OTHER_ADS_REGION": "us"})


def test_an_unknown_platform_names_those_that_are_there(install: Install) -> None:
    """The answer to a wrong key is the list of right ones, plugged-in ones included."""
    install("other_ads=OTHER")
    with pytest.raises(UsageError, match=r"'myspace'.*facebook, tiktok, google_ads, other_ads"):
        registry.plugin_for("myspace")


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("gone=GONE", "AttributeError"),
        ("nothing=NOTHING", "is not a PlatformPlugin"),
        ("another=OTHER", "its key is other_ads"),
        ("warehouse=BROKEN", "warehouse is taken"),
        ("facebook=COPY", "facebook is taken"),
        ("other_ads=TWICE", "ADSYNC_TIKTOK_BASE_URL is another platform's"),
    ],
)
def test_a_platform_that_cannot_be_used_is_refused_by_name(
    install: Install, entry: str, why: str
) -> None:
    """A broken package fails at once, in one line; it never means one platform less."""
    install(entry)
    with pytest.raises(UsageError, match=why) as caught:
        Settings.from_environment({})
    assert "the package test_platform_plugins" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_platform_takes_no_setting_of_ours(install: Install) -> None:
    """A variable that means something already cannot be claimed."""
    install("other_ads=CLASH")
    with pytest.raises(UsageError, match="other_ads may not have the setting ADSYNC_HOME"):
        Settings.from_environment({})


@pytest.mark.parametrize("key", ["", "Facebook", "a-b", "1st", "x" * 41, "über", "a b", "a\n"])
def test_a_key_is_lower_case_ascii(key: str) -> None:
    """It becomes part of names of variables, resources and partitions."""
    with pytest.raises(ValueError, match="no platform key"):
        Platform(key)


def test_equal_keys_are_one_object() -> None:
    """So comparing by identity is as good as comparing by value, also after a pickle."""
    assert Platform("facebook") is Platform.FACEBOOK
    assert pickle.loads(pickle.dumps(Platform("toy"))) is Platform("toy")  # noqa: S301


@pytest.mark.parametrize("plugin", BUILT_IN, ids=lambda plugin: plugin.key)
def test_a_description_is_whole(plugin: PlatformPlugin) -> None:
    """Its adapter has its key, and every variable and credential field has a line of help."""
    settings = plugin.settings({}, history_days=90, recent_days=3)
    assert plugin.adapter(settings).key is plugin.key
    assert plugin.adapter(settings).rules == plugin.rules
    assert all(option.help for option in plugin.variables.values())
    assert all(field.help for field in plugin.credential.fields)
    assert plugin.credential.needed


def test_the_defaults_are_those_of_the_adapters() -> None:
    """An adapter made without settings and one made from an empty environment are equal."""
    for plugin in BUILT_IN:
        made = plugin.adapter(plugin.settings({}, history_days=90, recent_days=3))
        assert made == type(made)()
    assert FACEBOOK.variables["ADSYNC_FACEBOOK_WINDOW_DAYS"].default == "28"
