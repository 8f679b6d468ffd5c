"""`adsync simulate serve`: the platforms' wires over a made-up world, for trying things out."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from adsync_dagster.clock import clock_from_environment
from adsync_dagster.commands.exits import ExitCode
from adsync_dagster.commands.output import note, say
from adsync_dagster.commands.ui import Port, require_free_port
from adsync_dagster.settings import Settings

ACCOUNT = "act_501"
#: Ads per ad set and ad sets per campaign of the made-up account.
_ADS_PER_ADSET = 4
_ADSETS_PER_CAMPAIGN = 4

group = typer.Typer(help="The simulated platforms, on this machine only.", no_args_is_help=True)


@group.callback()
def _simulate() -> None:
    """Keep `serve` a command of its own."""


@group.command()
def serve(
    *,
    port: Port = 4010,
    seed: Annotated[
        int, typer.Option(min=0, metavar="NUMBER", help="The same seed makes the same world.")
    ] = 1,
    ads: Annotated[
        int, typer.Option(min=1, max=100_000, metavar="NUMBER", help="Ads in the account.")
    ] = 200,
    days: Annotated[
        int, typer.Option(min=1, max=400, metavar="NUMBER", help="Days of history it has.")
    ] = 90,
) -> int:
    """Serve a made-up ad account until Ctrl-C.

    Answers as Meta's API does, on 127.0.0.1 only, and accepts only tokens that begin with
    sim_. Its numbers grow with time; ADSYNC_NOW moves it.

    \b
    Example: adsync simulate serve --port 4010
    """
    Settings.from_environment()
    require_free_port("127.0.0.1", port)
    from adsync_dagster.simulator.server import serve as start
    from adsync_dagster.simulator.world import World

    world = World(seed=seed, clock=clock_from_environment())
    adsets = max(1, ads // _ADS_PER_ADSET)
    world.add_facebook_account(
        ACCOUNT,
        campaigns=max(1, adsets // _ADSETS_PER_CAMPAIGN),
        adsets=adsets,
        ads=ads,
        history_days=days,
    )
    with start(world, port=port) as running:
        say(running.base_url)
        note(f"account {ACCOUNT} with {ads} ads; Ctrl-C ends it. In another shell:")
        note(f"  export ADSYNC_FACEBOOK_BASE_URL={running.base_url} META_TOKEN=sim_anything")
        note(
            f"  adsync accounts add --platform facebook --account {ACCOUNT} --token-env META_TOKEN"
        )
        with suppress(KeyboardInterrupt):
            running.wait()
    return ExitCode.OK
