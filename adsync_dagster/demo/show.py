"""Playing the demo from the raising of its stage to the last line."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from adsync_dagster.demo.acts import ACTS
from adsync_dagster.demo.cast import CAST
from adsync_dagster.demo.stage import Stage, raise_stage
from adsync_dagster.demo.story import START, Story, close, play
from adsync_dagster.demo.tables import demo_console
from adsync_dagster.settings import Settings


def run(*, home: Path | None = None, port: int | None = None, ui: bool = False) -> bool:
    """Play the story; True when the warehouse equalled the ledger after every act.

    Raises UsageError when the stage cannot be built, Retryable when Dagster does not answer.
    """
    console = demo_console()
    began = time.monotonic()
    console.print(
        "[bold]adsync demo[/bold]: a Meta, a TikTok and a Google Ads account, no metric lost",
        highlight=False,
    )
    folder = (home or Settings.from_environment().home / "demo").absolute()
    with raise_stage(folder, port, START) as stage:
        story = open_story(stage, console)
        play(story, ACTS)
        proved = close(story, [title for title, _ in ACTS], time.monotonic() - began)
        _invite(story, ui=ui)
    return proved


def open_story(stage: Stage, console: Console) -> Story:
    """Let the accounts appear on their platforms, connect them, and wait for their partitions."""
    for actor in CAST:
        actor.enter(stage.world)
    accounts = {actor: stage.connect_account(actor) for actor in CAST}
    story = Story(stage, console, accounts)
    story.say(f"Postgres, simulated platforms and Dagster are up; the UI is {stage.url}")
    wanted = {account.key for account in accounts.values()}
    story.wait_for("the new accounts' partitions", lambda: wanted <= set(_partitions()))
    story.keys = _partitions()
    return story


def _partitions() -> list[str]:
    from dagster import DagsterInstance  # noqa: PLC0415 - the instance of this demo's home

    with DagsterInstance.get() as instance:
        return list(instance.get_dynamic_partitions("ad_account"))


def _invite(story: Story, *, ui: bool) -> None:
    """Say how to look at it; with `ui`, keep everything up until interrupted."""
    if not ui:
        story.console.print(
            "Run `make demo UI=1` to keep the Dagster UI open at the end.", highlight=False
        )
        return
    story.console.print(
        f"The Dagster UI is open: {story.stage.url}   (Ctrl-C ends the demo)", highlight=False
    )
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with suppress(KeyboardInterrupt):
        stopped.wait()
