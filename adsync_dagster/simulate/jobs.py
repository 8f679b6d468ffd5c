"""Seeds in several processes: one server, a database and an engine for each process.

A seed is the same run whichever process plays it; only the order in which they end differs.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from adsync_dagster.simulate.cluster import Arena, prepared_arena
from adsync_dagster.simulate.runner import Outcome, play
from adsync_dagster.simulate.scenario import Scenario


def cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def play_in_processes(
    scenarios: Iterable[Scenario],
    server_url: str,
    *,
    jobs: int,
    until_tick: int | None = None,
) -> Generator[Outcome]:
    """Play the scenarios in `jobs` processes; outcomes in the order in which they end.

    When the consumer stops early, Ctrl-C included, those being played come to their end and no
    other one begins.
    """
    pool = ProcessPoolExecutor(
        max_workers=jobs,
        # A fork would share the parent's connections and locks.
        mp_context=get_context("spawn"),
        initializer=_begin,
        initargs=(server_url,),
    )
    try:
        waiting: list[Future[Outcome]] = [
            pool.submit(_play, scenario, until_tick) for scenario in scenarios
        ]
        for done in as_completed(waiting):
            yield done.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


#: The database of this process, when it is one of the pool's.
_arenas: list[Arena] = []


def _begin(server_url: str) -> None:
    # Ctrl-C reaches every process of the terminal; only the first one decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _arenas.append(prepared_arena(server_url))


def _play(scenario: Scenario, until_tick: int | None) -> Outcome:
    return play(scenario, _arenas[0], until_tick=until_tick)
