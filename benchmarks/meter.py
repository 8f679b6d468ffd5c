"""Processor time and memory of the measured process and of the database server."""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.shapes import Figures

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Meter:
    """What has been used since the meter was made."""

    def __init__(self, home: Path) -> None:
        self._server = _server_pid(home)
        self._start_bytes = peak_bytes()
        self._database_cpu = _tree_cpu_seconds(self._server)
        self._cpu = time.process_time()
        self._began = time.perf_counter()

    def figures(self, **values: Any) -> Figures:
        """The figures up to now, together with what the caller knows."""
        return Figures(
            seconds=time.perf_counter() - self._began,
            cpu_seconds=time.process_time() - self._cpu,
            database_cpu_seconds=_tree_cpu_seconds(self._server) - self._database_cpu,
            start_bytes=self._start_bytes,
            peak_bytes=peak_bytes(),
            **values,
        )


def peak_bytes() -> int:
    """The most memory this process ever held.

    Linux carries ru_maxrss over from the parent that started the process, so its own
    high-water mark is read instead where there is one.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _server_pid(home: Path) -> int:
    text = (home / "postgres" / "postmaster.pid").read_text(encoding="utf-8")
    return int(text.splitlines()[0])


def _tree_cpu_seconds(server: int) -> float:
    """Processor seconds of the server, its children and those it has reaped; 0 without /proc."""
    ticks = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if int(folder.name) == server:
            ticks += sum(int(field) for field in fields[11:15])
        elif int(fields[1]) == server:
            ticks += sum(int(field) for field in fields[11:13])
    return ticks / _TICKS_PER_SECOND
