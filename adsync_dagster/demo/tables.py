"""What the demo prints: a table after each act and one at the end, for wide and narrow screens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from adsync_dagster.demo.cast import Actor
from adsync_dagster.demo.judge import Verdict

#: Narrower than this, tables leave out what also stands elsewhere.
WIDE_COLUMNS_MIN = 112
#: The width of what is not a terminal: a file, a pipe, a CI log.
PIPED_COLUMNS = 118


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line of an act's table."""

    act: int
    actor: Actor
    #: What was compared, such as `12 ads`.
    what: str
    verdict: Verdict


def demo_console() -> Console:
    """A console as wide as the terminal, or of a fixed width when nobody watches."""
    console = Console()
    return console if console.is_terminal else Console(width=PIPED_COLUMNS)


def act_table(comparisons: Sequence[Comparison], *, columns: int) -> Table:
    """Warehouse against ledger, a line per platform and level."""
    wide = columns >= WIDE_COLUMNS_MIN
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("platform", no_wrap=True)
    table.add_column("compared", no_wrap=True)
    for heading in _numbers(("days", "spend stored", "ledger", "conversions", "ledger"), wide=wide):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    before: Actor | None = None
    for one in comparisons:
        verdict = one.verdict
        name = f"{one.actor.title} ({one.actor.currency})" if wide else one.actor.title
        numbers = (
            f"{verdict.entity_days:,}",
            *(f"{amount:,.2f}" for amount in verdict.spend),
            *(f"{count:,.0f}" for count in verdict.conversions),
        )
        table.add_row(
            "" if one.actor is before else name,
            one.what,
            *_numbers(numbers, wide=wide),
            verdict_word(verdict),
        )
        before = one.actor
    return table


def _numbers(cells: Sequence[str], *, wide: bool) -> Sequence[str]:
    """All columns of numbers, or only the money."""
    return cells if wide else cells[1:3]


def verdict_word(verdict: Verdict) -> str:
    """The verdict as the tables write it; colour only underlines the word."""
    if verdict.equal:
        return "[green]equal[/green]"
    if verdict.different:
        return f"[bold red]{verdict.different:,} DIFFER[/bold red]"
    return f"[bold red]{verdict.unexplained:,} UNEXPLAINED[/bold red]"


def closing_table(
    acts: Sequence[str], comparisons: Sequence[Comparison], pending: Sequence[tuple[Actor, str]]
) -> Table:
    """Acts against platforms: one word where everything compared was equal."""
    table = Table(title="warehouse = ledger?", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("act")
    for actor, _ in pending:
        table.add_column(actor.title, justify="right", no_wrap=True)
    for number, title in enumerate(acts, start=1):
        cells = []
        for actor, _ in pending:
            verdicts = [c.verdict for c in comparisons if c.act == number and c.actor is actor]
            cells.append(_summary(verdicts))
        table.add_row(f"{number} {title}", *cells)
    table.add_section()
    table.add_row("entity-days compared", *(_days(comparisons, actor) for actor, _ in pending))
    table.add_row("status changes logged/done/pending", *(text for _, text in pending))
    return table


def _summary(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return "[bold red]NOT COMPARED[/bold red]"
    wrong = [verdict for verdict in verdicts if not verdict.equal]
    return verdict_word(wrong[0] if wrong else verdicts[0])


def _days(comparisons: Sequence[Comparison], actor: Actor) -> str:
    return f"{sum(c.verdict.entity_days for c in comparisons if c.actor is actor):,}"
