"""The wheel works on its own: SQL, Dagster's files and the command are in it."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh venv with our wheel in it, and the libraries of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder)
    (wheel,) = folder.glob("*.whl")
    venv = folder / "venv"
    run(sys.executable, "-m", "venv", venv)
    python = venv / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel)
    (site,) = (venv / "lib").glob("python*/site-packages")
    # Libraries only: without the path file of the editable install, our own code is the wheel's.
    (site / "libraries.pth").write_text(
        f"import sys; sys.path.append({sysconfig.get_path('purelib')!r})\n"
    )
    return python


def run(*command: object, cwd: Path = ROOT) -> str:
    """The output of a command that succeeds."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_wheel_brings_its_files(python: Path, tmp_path: Path, empty_url: str) -> None:
    """Installed elsewhere, the command migrates, queries load and Dagster's files are found."""
    script = (
        "import adsync_dagster\n"
        "from adsync_dagster.packaged import packaged_file\n"
        "from adsync_dagster.warehouse.queries import queries\n"
        f"assert {str(ROOT)!r} not in adsync_dagster.__file__, adsync_dagster.__file__\n"
        "assert len(queries.names()) > 20\n"
        "for name in ('workspace.yaml', 'dagster.yaml'):\n"
        f"    assert {str(ROOT)!r} not in str(packaged_file(name))\n"
        "from importlib.metadata import entry_points\n"
        "(entry,) = entry_points(group='dagster_dg_cli.registry_modules', name='adsync_dagster')\n"
        "assert entry.load().AdSyncComponent.__name__ == 'AdSyncComponent'\n"
    )
    run(python, "-c", script, cwd=tmp_path)
    program = python.with_name("adsync")
    environment = {"ADSYNC_DATABASE_URL": empty_url, "ADSYNC_HOME": str(tmp_path / "home")}
    for arguments in (
        ["--version"],
        ["migrate", "--dry-run"],
        ["migrate"],
        ["status"],
        ["report"],
    ):
        done = subprocess.run(
            [program, *arguments],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_the_checkout_is_what_the_wheel_takes() -> None:
    """Everything the package reads at run time is listed in what the wheel includes."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for name in ("sql", "dagster.yaml", "workspace.yaml"):
        assert f'"{name}" = "adsync_dagster/_' in text
    assert (ROOT / "adsync_dagster" / "py.typed").is_file()
