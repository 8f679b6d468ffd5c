"""`adsync simulate`: the platforms' wires over a made-up world, and whole runs against them."""

from __future__ import annotations

import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adsync_dagster.clock import clock_from_environment
from adsync_dagster.commands.exits import ExitCode
from adsync_dagster.commands.output import note, say
from adsync_dagster.commands.ui import Port, require_free_port
from adsync_dagster.errors import UsageError
from adsync_dagster.settings import Settings

if TYPE_CHECKING:
    from adsync_dagster.simulate.campaign import Campaign
    from adsync_dagster.simulate.scenario import Scenario

ACCOUNT = "act_501"
#: Ads per ad set and ad sets per campaign of the made-up account.
_ADS_PER_ADSET = 4
_ADSETS_PER_CAMPAIGN = 4

group = typer.Typer(help="The simulated platforms, on this machine only.", no_args_is_help=True)


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
        note("  adsync migrate")
        note(
            f"  adsync accounts add --platform facebook --account {ACCOUNT} --token-env META_TOKEN"
        )
        with suppress(KeyboardInterrupt):
            running.wait()
    return ExitCode.OK


@group.command()
def run(
    *,
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="NUMBER", help="Play this one seed.")
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="A..B", help="Play a range of seeds, both ends included.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Play a saved scenario."),
    ] = None,
    until: Annotated[
        int | None, typer.Option(min=1, metavar="TICK", help="Stop after that many ticks.")
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Save failures, made small, in this folder."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            min=1,
            metavar="NUMBER",
            help="Processes that play at the same time.  [default: one per processor]",
        ),
    ] = None,
) -> int:
    """Play drawn fates of made-up accounts against the real engine, and judge every step.

    The same seed is the same run, however many processes play. It needs no account and no
    setting: a Postgres of its own is started in a temporary folder. Ends with 0 when nothing
    was lost, with 70 when something was. After Ctrl-C it says what was played until then.

    \b
    Example: adsync simulate run --seeds 1..20
    """
    from adsync_dagster.simulate.draw import draw_scenario
    from adsync_dagster.simulate.jobs import cores
    from adsync_dagster.simulate.scenario import Scenario

    if file is not None:
        scenarios = [Scenario.from_json(file.read_bytes())]
    else:
        scenarios = [draw_scenario(number) for number in _numbers(seed, seeds)]
    campaign = _play(scenarios, min(jobs or cores(), len(scenarios)), until, save)
    say(campaign.closing_line())
    return ExitCode.DEFECT if campaign.failures else ExitCode.OK


def _play(scenarios: list[Scenario], jobs: int, until: int | None, save: Path | None) -> Campaign:
    """Play the scenarios on a server of their own, which is gone afterwards."""
    from adsync_dagster.simulate.campaign import Campaign, save_minimised
    from adsync_dagster.simulate.cluster import prepared_arena, running_server
    from adsync_dagster.simulate.jobs import play_in_processes

    campaign = Campaign()
    with _private_folder() as home, running_server(Path(home)) as server:
        try:
            note(
                f"playing {len(scenarios)} in {jobs} process(es); Ctrl-C ends after those under way"
            )
            outcomes = play_in_processes(scenarios, server, jobs=jobs, until_tick=until)
            with closing(outcomes):
                campaign.count(outcomes, note)
        except KeyboardInterrupt:
            say(campaign.closing_line())
            raise
        if campaign.failures and save is not None and until is None:
            with closing(prepared_arena(server)) as ground:
                for outcome in campaign.failures:
                    scenario = next(one for one in scenarios if one.seed == outcome.seed)
                    note(f"made small: {save_minimised(scenario, ground, save)}")
    return campaign


def _numbers(seed: int | None, seeds: str | None) -> range:
    """The seeds that were asked for; UsageError when it is neither or both."""
    if (seed is None) == (seeds is None):
        raise UsageError("name one seed (--seed 7), a range (--seeds 1..20) or a file (--file)")
    if seed is not None:
        return range(seed, seed + 1)
    first, dots, last = (seeds or "").partition("..")
    if not (dots and first.isdigit() and last.isdigit() and int(first) <= int(last)):
        raise UsageError(f"{seeds!r} is not a range of seeds; write it like 1..20")
    return range(int(first), int(last) + 1)


def _private_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for a run's Postgres, gone afterwards."""
    from adsync_dagster.simulate.cluster import folder_for_server

    return tempfile.TemporaryDirectory(
        prefix="adsync-simulate-", dir=folder_for_server(), ignore_cleanup_errors=True
    )
