"""The platform's side in a process of its own: `python -m benchmarks.simulated_platform`.

Every answer is rendered by the real simulator once and kept as bytes, under everything the
request said. The warm-up asks for all of them, so what is measured later finds a server that
only looks an answer up: its time is neither the sync's nor the floor's to pay for, and both
get the very same bytes. The same question also gets the same report run, so that after the
warm-up every run is complete at the first look.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from adsync_dagster.clock import VirtualClock
from adsync_dagster.simulator.server import serve
from adsync_dagster.simulator.simulator import Simulator
from adsync_dagster.simulator.world import World
from benchmarks.shapes import ACCOUNT, Shape

Answer = tuple[int, dict[str, str], bytes]


class Prerendered(Simulator):
    """A simulator that renders no answer twice."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.facebook.settings.report_polls = 1
        self._answers: dict[tuple[object, ...], Answer] = {}

    def handle(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """The answer to these very words, rendered when they come for the first time."""
        key = (method, path, params if isinstance(params, str) else None, body)
        answer = self._answers.get(key)
        if answer is None:
            answer = super().handle(method, path, params, headers, body)
            if b'"async_status"' not in answer[2]:
                self._answers[key] = answer
        return answer


def main() -> None:
    """Serve the account that the first line of stdin describes until stdin ends."""
    shape = Shape(**json.loads(sys.stdin.readline()))
    # The world stands still: a question has one answer for as long as we measure.
    world = World(seed=1, clock=VirtualClock(datetime.now(UTC)))
    world.add_bulk_facebook_account(
        ACCOUNT,
        timezone=shape.timezone,
        campaigns=shape.campaigns,
        adsets=shape.adsets,
        ads=shape.ads,
        history_days=shape.days,
    )
    with serve(Prerendered(world)) as running:
        print(json.dumps({"base_url": running.base_url}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
