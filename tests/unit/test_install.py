"""scripts/install.sh refuses in one sentence what it cannot work with, and does nothing twice."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UV_VERSION_LINE = "uv_version="


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the script reads, in a folder with a blank in its name."""
    folder = tmp_path / "a checkout"
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "install.sh", folder / "scripts")
    for name in ("pyproject.toml", "uv.lock", "Makefile"):
        shutil.copy(ROOT / name, folder)
    return folder


def install(checkout: Path, python: Path | str, kind: str = "dev") -> tuple[int, str]:
    """Run the script with that Python; exit code and what it said."""
    done = subprocess.run(
        ["/bin/sh", "scripts/install.sh", kind],
        cwd=checkout,
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(python), "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def fake(path: Path, script: str) -> Path:
    """A program of our own."""
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_a_missing_python_is_named(checkout: Path) -> None:
    """Without the interpreter the sentence says which one, and how to name another."""
    code, said = install(checkout, "python3.99")
    assert code == 1
    assert said.startswith("adsync: python3.99 was not found")
    assert "make PYTHON=" in said


def test_an_old_python_is_refused_with_its_version(checkout: Path, tmp_path: Path) -> None:
    """Python 3.9 gets a sentence instead of a syntax error."""
    old = fake(
        tmp_path / "python-old",
        'case "$*" in *version_info*) exit 1;; --version) echo Python 3.9.1;; esac',
    )
    code, said = install(checkout, old)
    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith("adsync: Python 3.9.1 is not supported, Python 3.11 to 3.14 is")


def test_a_python_without_venv_names_the_package(checkout: Path, tmp_path: Path) -> None:
    """Debian's python3 without python3-venv says what to install."""
    bare = fake(tmp_path / "python-bare", 'case "$*" in *ensurepip*) exit 1;; esac')
    code, said = install(checkout, bare)
    assert (code, said.count("\n")) == (1, 1)
    assert "python3-venv" in said


def installed(checkout: Path, stamps: tuple[str, ...]) -> Path:
    """Make the checkout look as after an install of those kinds; returns its Python."""
    venv = checkout / ".venv"
    (venv / "bin").mkdir(parents=True)
    python = fake(venv / "bin" / "python", f'echo "$@" >> "{checkout}/calls"')
    version = next(
        line.split("=")[1]
        for line in (checkout / "scripts/install.sh").read_text().splitlines()
        if line.startswith(UV_VERSION_LINE)
    )
    content = f"{version}\n".encode() + b"".join(
        (checkout / name).read_bytes() for name in ("pyproject.toml", "uv.lock")
    )
    wanted = subprocess.run(["cksum"], input=content, capture_output=True, check=True).stdout
    for kind in stamps:
        (venv / f".adsync-installed.{kind}").write_bytes(wanted)
    (venv / ".adsync-installed.path").write_text(f"{checkout}\n")
    return python


@pytest.mark.parametrize(
    ("stamps", "kind"), [(("dev",), "dev"), (("dev",), "runtime"), (("runtime",), "runtime")]
)
def test_nothing_is_installed_twice(checkout: Path, stamps: tuple[str, ...], kind: str) -> None:
    """With an unchanged lock the script asks no network and says nothing."""
    installed(checkout, stamps)
    assert install(checkout, "python3.99", kind) == (0, "")
    assert (checkout / "calls").read_text().splitlines() == ["-c "]


def test_a_changed_lock_is_installed(checkout: Path) -> None:
    """Another lock means another install; what only demo needed is not enough for tests."""
    installed(checkout, ("runtime",))
    code, said = install(checkout, "python3.99", "dev")
    assert code != 0  # The venv of this test is none, so the install cannot end well
    assert "installing what uv.lock names" in said


def test_a_moved_checkout_gets_a_new_venv(checkout: Path) -> None:
    """A venv holds absolute paths, so it is made again where the checkout lies now."""
    installed(checkout, ("dev",))
    moved = checkout.with_name("moved")
    checkout.rename(moved)
    code, said = install(moved, "python3.99")
    assert code == 1
    assert "python3.99 was not found" in said  # it went to make a venv


def test_make_help_lists_every_target(checkout: Path) -> None:
    """`make` alone explains itself, without installing anything."""
    done = subprocess.run(
        ["make"], cwd=checkout, capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode == 0
    for target in ("demo", "test", "lint", "install", "clean", "benchmark", "help"):
        assert f"make {target} " in done.stdout
    assert not (checkout / ".venv").exists()
