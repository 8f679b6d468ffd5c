"""docs/simulator.md names every fault, knob, verb and control path, and its example runs."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from adsync_dagster.simulator.control import ACTIONS, HANDLERS, PREFIX
from adsync_dagster.simulator.facebook_settings import FacebookSettings, UsageKnobs
from adsync_dagster.simulator.faults import STAGES
from adsync_dagster.simulator.google_ads_settings import GoogleAdsSettings
from adsync_dagster.simulator.simulator import Simulator
from adsync_dagster.simulator.tiktok_settings import TikTokSettings

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
KNOBS = [
    field.name
    for kind in (FacebookSettings, UsageKnobs, TikTokSettings, GoogleAdsSettings)
    for field in dataclasses.fields(kind)
]


@pytest.mark.parametrize("name", sorted({*STAGES, *KNOBS, *ACTIONS}))
def test_every_name_is_documented(name: str) -> None:
    """A fault, knob or verb without its word in the docs fails here."""
    assert Simulator
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("path", sorted({path for _, path in HANDLERS}))
def test_every_control_path_is_documented(path: str) -> None:
    """The control surface is described completely."""
    assert f"{PREFIX}{path}" in PAGE


def test_the_example_runs() -> None:
    """The code block does what it says when it is executed as it stands."""
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(block, "docs/simulator.md", "exec"), names)  # noqa: S102 - our own page
    assert isinstance(names["ad"], str)
