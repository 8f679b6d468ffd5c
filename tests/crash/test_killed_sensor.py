"""The sensor's process dies when it has decided and Dagster does not know: it decides again."""

from __future__ import annotations

from pathlib import Path

from crash_scene import Scene


def test_a_sensor_that_dies_at_the_end_of_its_tick_decides_the_same_again(
    scene: Scene, tmp_path: Path
) -> None:
    """What it had decided is gone with its process, and nothing was noted that would hide it."""
    (tmp_path / "dagster.yaml").touch()
    assert scene.crash("sensor_tick", "sensor_tick_end:SIGKILL")

    report = scene.start("sensor_tick").report()

    [run_key] = report["run_keys"]
    assert run_key.startswith("facebook:act_501|facebook:act_501|")
    assert run_key.endswith("|attempt 1")
