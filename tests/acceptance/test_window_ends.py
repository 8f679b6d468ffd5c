"""The last hours in which a platform revises a day, and what comes after them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from acceptance.scenes import SCENES, Scene, live
from harness import Harness

from adsync_dagster.calendar import end_of_day
from adsync_dagster.records import Platform


@pytest.fixture(params=SCENES)
def scene(request: pytest.FixtureRequest) -> Scene:
    """Each platform in turn."""
    return SCENES[request.param]


@pytest.fixture
def harness(scene: Scene, database_url: str, tmp_path: Path) -> Iterator[Harness]:
    """A small account some hours after its first sync; Google's counts for up to 45 days."""
    size = {"campaigns": 1, "adsets": 1, "ads": 2, "history_days": 2, "stopped": False}
    with scene.harness(database_url, tmp_path, **size) as harness:
        if scene.platform is Platform.GOOGLE_ADS:
            google = harness.simulator.simulator.google_ads
            google.track_conversions(harness.account_id, 30, 45)
        assert harness.sync().error is None
        harness.advance(hours=4)
        yield harness


def window_days(harness: Harness) -> int:
    """For how many days after its end the simulated platform revises a day of the account."""
    return int(harness.world.account(harness.account_id).window_days)


def move_to(harness: Harness, day: date, **after: float) -> None:
    """Move the clock to so long after the end of the account's day."""
    end = end_of_day(day, harness.account.timezone)
    harness.advance(seconds=(end + timedelta(**after) - harness.clock.now()).total_seconds())


def of_day(harness: Harness, day: date) -> list[dict[str, Any]]:
    return harness.query("SELECT level, state FROM ad_account_days WHERE date = %s", day)


def states(harness: Harness, day: date) -> set[str]:
    return {row["state"] for row in of_day(harness, day)}


def test_a_conversion_in_the_windows_last_hour_is_stored(scene: Scene, harness: Harness) -> None:
    """The ad stopped weeks ago and its final sync is done; its day is still read, and once more."""
    ad, day, window = live(harness)[0], harness.today(), window_days(harness)
    assert window == (45 if scene.platform is Platform.GOOGLE_ADS else 28)
    harness.world.pause("ad", ad)
    assert (harness.sync().error, harness.pending()) == (None, 0)
    move_to(harness, day, days=window, hours=-2)
    assert harness.settle().error is None
    assert "sealed" not in states(harness, day)

    harness.advance(hours=1, minutes=30)
    harness.world.late_conversions(ad, day, 3, 30)
    move_to(harness, day, days=window + 3, hours=1)
    assert harness.settle().error is None

    assert harness.stored("ad")[(ad, day)]["conversions"] >= 3
    assert harness.differences(ids={ad}, since=day, until=day) == []
    assert states(harness, day) == {"sealed"}


def test_a_day_restated_after_its_window_stays_as_it_was(scene: Scene, harness: Harness) -> None:
    """What a platform changes against its own rules is not read: the day was final."""
    ad, day = live(harness)[0], harness.today()
    harness.advance(days=1)
    assert harness.sync().error is None
    move_to(harness, day, days=window_days(harness) + 3, hours=1)
    assert harness.settle().error is None
    assert states(harness, day) == {"sealed"}
    before = harness.stored("ad")[(ad, day)]

    harness.world.late_conversions(ad, day, 5, 50, restate=True)
    harness.advance(days=1)
    assert harness.sync().error is None
    assert harness.settle().error is None

    assert harness.stored("ad")[(ad, day)] == before
    assert states(harness, day) == {"sealed"}
    assert [d.metric for d in harness.differences(ids={ad}, since=day, until=day)] == [
        "conversions",
        "conversion_value",
    ]
