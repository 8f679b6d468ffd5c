"""Seeds in several processes: the same runs, one account of them, and an orderly end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from adsync_dagster.simulate.campaign import Campaign, run_campaign
from adsync_dagster.simulate.cluster import Arena
from adsync_dagster.simulate.draw import draw_scenario
from adsync_dagster.simulate.jobs import play_in_processes

SEEDS = (1, 2, 3)


@pytest.mark.slow
def test_processes_play_the_same_runs(server_url: str, arena: Arena) -> None:
    """Two processes find what one finds: the same words, verdicts, faults and ticks."""
    alone = run_campaign(map(draw_scenario, SEEDS), arena)
    together = Campaign()
    together.count(play_in_processes(map(draw_scenario, SEEDS), server_url, jobs=2))

    assert together.seeds == len(SEEDS)
    assert together.words == alone.words
    assert together.verdicts == alone.verdicts
    assert together.sometimes == alone.sometimes
    assert together.ticks == alone.ticks


@pytest.mark.slow
def test_ctrl_c_says_what_was_played(tmp_path: Path) -> None:
    """Ctrl-C lets the seeds under way end, prints the closing line and leaves no server."""
    command = [sys.executable, "-m", "adsync_dagster.cli", "simulate", "run"]
    with subprocess.Popen(
        [*command, "--seeds", "1..500", "--jobs", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"ADSYNC_HOME": str(tmp_path)},
    ) as process:
        assert process.stderr is not None
        assert "500" in process.stderr.readline()
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=120)

    assert process.returncode == 130
    assert "seeds/s" in said
    assert "fail" not in said
