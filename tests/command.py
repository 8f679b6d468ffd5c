"""Running the real `adsync` program, as a person's shell does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("adsync")


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def complaint(self, code: int) -> str:
        """The one line of a refusal with that exit code; fails when it is not one clear line."""
        assert self.code == code, (self.code, self.out, self.err)
        assert "Traceback" not in self.err
        lines = self.err.splitlines()
        assert lines, "nothing was said"
        assert len(lines) == 1, self.err
        assert lines[0].startswith("adsync: ")
        assert not self.out, "an answer was given beside the refusal"
        return lines[0]


@dataclass(frozen=True)
class Shell:
    """An environment to run commands in: nothing of the test's own leaks into it."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ADSYNC_", "DAGSTER_"))
        }
        return {**kept, "ADSYNC_HOME": str(self.folder / "home"), "TZ": "UTC", **self.variables}

    def with_(self, **variables: str) -> Shell:
        """The same shell with more variables."""
        return Shell(self.folder, {**self.variables, **variables})

    def run(self, *arguments: str, stdin: str = "", seconds: float = 120) -> Finished:
        """Run `adsync ARGUMENTS` to its end."""
        done = subprocess.run(
            [str(PROGRAM), *arguments],
            cwd=self.folder,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, output: Path) -> subprocess.Popen[bytes]:
        """Start a command that goes on; its output goes to the file."""
        with output.open("wb") as file:
            return subprocess.Popen(
                [str(PROGRAM), *arguments],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
