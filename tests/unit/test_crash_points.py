"""Crash points: silent unless armed, exact when armed, and refused when they could never fire."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from adsync_dagster.commands.doctor import examine
from adsync_dagster.crash_points import POINTS, VARIABLE, crash_point, parse
from adsync_dagster.errors import UsageError
from adsync_dagster.settings import Settings

PACKAGE = Path(__file__).parents[2] / "adsync_dagster"
#: Visits a place three times and says each time that it lived on.
VISITOR = (
    "from adsync_dagster.crash_points import crash_point\n"
    "for number in range(3):\n"
    "    crash_point('between_pages')\n"
    "    crash_point('before_commit')\n"
    "    print(number, flush=True)\n"
)


def visit(armed: str) -> tuple[int, list[str]]:
    """Exit code and words of a process that visits two places three times."""
    done = subprocess.run(
        [sys.executable, "-c", VISITOR],
        env={**os.environ, VARIABLE: armed},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout.split()


def test_nothing_happens_unless_armed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable, every place is passed."""
    monkeypatch.delenv(VARIABLE, raising=False)
    for name in POINTS:
        crash_point(name)


def test_the_nth_visit_of_the_named_place_fires() -> None:
    """Only the place that was named, only at the visit that was named, with the signal named."""
    assert visit("before_commit:SIGKILL:2") == (-signal.SIGKILL, ["0"])
    assert visit("before_commit:SIGTERM") == (-signal.SIGTERM, [])
    assert visit("before_commit:SIGKILL:4") == (0, ["0", "1", "2"])


def test_a_file_hits_one_process_once(tmp_path: Path) -> None:
    """Whoever fires removes the file, so a second process of the same environment lives."""
    file = tmp_path / "armed"
    file.write_text("between_pages:SIGKILL:3\n", encoding="utf-8")

    assert visit(f"file:{file}") == (-signal.SIGKILL, ["0", "1"])
    assert not file.exists()
    assert visit(f"file:{file}") == (0, ["0", "1", "2"])


@pytest.mark.parametrize(
    "text",
    [
        "nowhere:SIGKILL",
        "before_commit",
        "before_commit:SIGHUP",
        "before_commit:SIGKILL:0",
        "before_commit:SIGKILL:",
        "before_commit:SIGKILL:x",
        "before_commit:SIGKILL:1:2",
    ],
)
def test_what_would_never_fire_is_refused(text: str) -> None:
    """A typing mistake in a crash test must not make it pass."""
    with pytest.raises(UsageError, match=f"{VARIABLE} is .*NAME:SIGNAL:NTH"):
        parse(text)
    with pytest.raises(UsageError, match=VARIABLE):
        Settings.from_environment({VARIABLE: text})


HERE = {f"ADSYNC_{name}_BASE_URL": "http://127.0.0.1:1" for name in ("FACEBOOK", "TIKTOK")}


@pytest.mark.parametrize("armed", ["before_commit:SIGKILL", "file:/nowhere"])
def test_no_process_is_armed_that_reaches_a_real_platform(armed: str) -> None:
    """Every platform has to be on this machine; the first sentence says what to do."""
    with pytest.raises(UsageError, match=r"unset it\..* ADSYNC_GOOGLE_ADS_BASE_URL leads"):
        Settings.from_environment({**HERE, VARIABLE: armed})
    with pytest.raises(UsageError, match="ADSYNC_TIKTOK_BASE_URL, ADSYNC_GOOGLE_ADS_BASE_URL lead"):
        Settings.from_environment(
            {
                VARIABLE: armed,
                "ADSYNC_FACEBOOK_BASE_URL": "http://localhost:1",
                "ADSYNC_TIKTOK_BASE_URL": "https://127.0.0.1.example.com",
            }
        )
    everything = {**HERE, "ADSYNC_GOOGLE_ADS_BASE_URL": "http://[::1]:1"}
    assert Settings.from_environment({**everything, VARIABLE: armed}).base_urls
    assert Settings.from_environment({**HERE, VARIABLE: ""}).base_urls


def test_the_doctor_warns_of_an_armed_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is not refused it still is nothing that a person wants to keep."""
    settings = Settings(home=tmp_path, database_url="postgresql://u@127.0.0.1:1/none")
    monkeypatch.delenv(VARIABLE, raising=False)
    assert "crash point" not in {finding.subject for finding in examine(settings, offline=True)}
    monkeypatch.setenv(VARIABLE, "before_commit:SIGKILL")
    [said] = [f for f in examine(settings, offline=True) if f.subject == "crash point"]
    assert said.warning
    assert f"{VARIABLE} is set" in said.detail


def test_every_place_exists_once_in_the_list_and_in_the_code() -> None:
    """A name in the list is visited somewhere, and nothing unlisted is."""
    visited = {
        line.split('crash_point("')[1].split('"')[0]
        for path in PACKAGE.rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if 'crash_point("' in line
    }
    assert visited == set(POINTS)
