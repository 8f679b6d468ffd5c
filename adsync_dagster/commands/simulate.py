"""`adsync simulate serve`: the platforms' wires over a made-up world, for trying things out."""

from __future__ import annotations

from typing import Annotated

import typer

from adsync_dagster.commands.ui import Port, require_free_port

group = typer.Typer(help="The simulated platforms, on this machine only.", no_args_is_help=True)


@group.callback()
def _simulate() -> None:
    """Keep `serve` a command of its own."""


@group.command()
def serve(
    *,
    port: Port = 4010,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same world.")] = 1,
    ads: Annotated[int, typer.Option(min=1, max=200_000, help="Ads in the account.")] = 200,
) -> int:
    """Serve a made-up ad account over the platforms' real wires until Ctrl-C.

    It listens on 127.0.0.1 only and accepts only tokens that begin with sim_.

    \b
    Example: adsync simulate serve --port 4010
    """
    require_free_port("127.0.0.1", port)
    from adsync_dagster.commands.simulated import serve_demo_world

    return serve_demo_world(port=port, seed=seed, ads=ads)
