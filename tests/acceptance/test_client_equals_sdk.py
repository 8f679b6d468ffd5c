"""What our client stored equals what the official SDK reads from the same platform."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from harness import TOKEN, Harness

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from facebook_business.adobjects.ad import Ad
    from facebook_business.adobjects.adaccount import AdAccount
    from facebook_business.api import FacebookAdsApi
    from facebook_business.session import FacebookSession

FIELDS = ["campaign_id", "adset_id", "ad_id", "impressions", "clicks", "spend", "reach", "actions"]


@pytest.fixture
def synced(database_url: str, tmp_path: Path) -> Iterator[Harness]:
    with Harness(database_url, tmp_path) as harness:
        assert harness.sync().error is None
        yield harness


@pytest.fixture
def api(synced: Harness) -> Any:
    """The SDK, pointed at the harness's simulator without global state."""
    session = type("LocalSession", (FacebookSession,), {"GRAPH": synced.simulator.base_url})
    local = session(app_id="1", access_token=TOKEN, timeout=20)
    local.requests.trust_env = False
    return FacebookAdsApi(local, api_version="v26.0")


def time_range(harness: Harness) -> dict[str, str]:
    since = harness.today() - timedelta(days=harness.settings.history_days - 1)
    return {"since": since.isoformat(), "until": harness.today().isoformat()}


def numbers(row: Any) -> tuple[Decimal, ...]:
    """Impressions, clicks, spend, reach and purchases of an SDK row."""
    actions = {item["action_type"]: item["value"] for item in row.get("actions", [])}
    return (
        Decimal(row["impressions"]),
        Decimal(row["clicks"]),
        Decimal(row["spend"]),
        Decimal(row["reach"]),
        Decimal(actions.get("omni_purchase", 0)),
    )


@pytest.mark.parametrize(("level", "key"), [("ad", "ad_id"), ("adset", "adset_id")])
@pytest.mark.parametrize("limit", [37, 500])
def test_every_row_the_sdk_lists_is_stored_alike(
    synced: Harness, api: Any, level: str, key: str, limit: int
) -> None:
    """At two page sizes, each insights row of the SDK has its equal in the warehouse."""
    rows = AdAccount("act_501", api=api).get_insights(
        fields=FIELDS,
        params={
            "level": level,
            "time_range": time_range(synced),
            "time_increment": 1,
            "limit": limit,
        },
    )
    stored = synced.stored(level)

    read = {(row[key], date.fromisoformat(row["date_start"])): numbers(row) for row in rows}

    assert len(read) > 20
    assert {place: stored_numbers(stored[place]) for place in read} == read


def test_a_deleted_ads_rows_equal_what_the_sdk_reads_by_id(synced: Harness, api: Any) -> None:
    """An ad that account-wide reports hide is stored as its own insights edge tells it."""
    ad = next(ad for ad, day in synced.stored("ad") if day == synced.today())
    synced.world.delete("ad", ad)
    synced.advance(hours=2)
    synced.sync()

    rows = Ad(ad, api=api).get_insights(
        fields=FIELDS, params={"time_range": time_range(synced), "time_increment": 1}
    )
    read = {date.fromisoformat(row["date_start"]): numbers(row) for row in rows}

    stored = {day: row for (known, day), row in synced.stored("ad").items() if known == ad}
    assert read
    assert {day: stored_numbers(row) for day, row in stored.items()} == read


def stored_numbers(row: dict[str, Any]) -> tuple[Decimal, ...]:
    names = ("impressions", "clicks", "spend", "reach", "conversions")
    return tuple(Decimal(row[name]) for name in names)
