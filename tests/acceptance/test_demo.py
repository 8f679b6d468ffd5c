"""The demo proves something only if it can fail: its comparison, its words, the whole play."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command import Shell
from harness import Harness
from rich.console import Console

from adsync_dagster.demo.cast import CAST, GOOGLE, META, TIKTOK, Actor
from adsync_dagster.demo.judge import Judge, Verdict
from adsync_dagster.demo.story import Story, close, play
from adsync_dagster.demo.tables import Comparison, act_table, closing_table
from adsync_dagster.records import LEVELS, DateRange, Level

EQUAL = Verdict(
    entities=600,
    entity_days=54_000,
    different=0,
    spend=(Decimal("1234567.89"), Decimal("1234567.89")),
    conversions=(Decimal(12_345), Decimal(12_345)),
)


@pytest.fixture(params=CAST, ids=lambda actor: actor.platform)
def scene(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path
) -> Iterator[tuple[Actor, Harness]]:
    """A small account of each platform after its first sync."""
    actor: Actor = request.param
    options: dict[str, Any] = dict(actor.options)
    with Harness(
        database_url,
        tmp_path,
        platform=actor.platform,
        account_id=actor.account_id,
        currency=actor.currency,
        timezone=actor.timezone,
        **options,
    ) as harness:
        assert harness.sync().error is None
        yield actor, harness


def story_of(actor: Actor, harness: Harness, out: io.StringIO) -> Story:
    """A story on the harness's warehouse and world; nothing of Dagster is needed to compare."""
    stage: Any = SimpleNamespace(
        environment=harness.environment, world=harness.world, clock=harness.clock
    )
    console = Console(file=out, width=118, color_system=None)
    return Story(stage, console, {actor: harness.account})


def compare_everything(story: Story) -> None:
    """The last act's comparison: every level, with what the platform hides."""
    for actor in story.accounts:
        for level in LEVELS:
            story.compare_all(actor, level)


def played(actor: Actor, harness: Harness) -> tuple[bool, str]:
    """One act that only compares, and its closing; the verdict and what was printed."""
    out = io.StringIO()
    story = story_of(actor, harness, out)
    play(story, [("compare", compare_everything)])
    return close(story, ["compare"], 1.0), out.getvalue()


def test_a_true_warehouse_is_proved(scene: tuple[Actor, Harness]) -> None:
    """Every level of every platform equals the ledger, hidden entities included."""
    proved, printed = played(*scene)

    assert proved, printed
    assert "NOT proved" not in printed


def falsify(harness: Harness, statement: str) -> None:
    """Change stored rows behind the program's back."""
    harness.query(statement)


LIES = {
    "a cent": "UPDATE ad_metrics SET spend = spend + 0.01 WHERE {some_row}",
    "a click": "UPDATE ad_metrics SET clicks = clicks + 1 WHERE {some_row}",
    "a conversion's worth": (
        "UPDATE ad_metrics SET conversion_value = conversion_value + 0.01 WHERE {some_row}"
    ),
    "a row that is nobody's": (
        "UPDATE ad_metrics SET entity_id = gen_random_uuid() WHERE {some_row}"
    ),
    "a residual": (
        "UPDATE ad_account_days SET stored_spend = stored_spend - 0.01"
        " WHERE level = 'ad' AND date = (SELECT max(date) FROM ad_account_days)"
    ),
}
SOME_ROW = (
    "(date, entity_type, entity_id) = (SELECT date, entity_type, entity_id FROM ad_metrics"
    " WHERE entity_type = 'ad' AND spend > 1 LIMIT 1)"
)


@pytest.mark.parametrize("lie", LIES)
def test_one_falsified_row_turns_it_red(scene: tuple[Actor, Harness], lie: str) -> None:
    """The act's table, the last table, the last line and the result all say so."""
    actor, harness = scene
    falsify(harness, LIES[lie].format(some_row=SOME_ROW))

    proved, printed = played(actor, harness)

    assert not proved
    assert re.search(r"\b1 DIFFER\b", printed), printed
    assert "NOT proved" in printed


def test_an_unexplained_residual_is_red(database_url: str, tmp_path: Path) -> None:
    """A residual of the right amount does not count without its explanation."""
    with Harness(
        database_url, tmp_path, platform=GOOGLE.platform, account_id=GOOGLE.account_id,
        performance_max=1,
    ) as harness:  # fmt: skip
        harness.sync()
        falsify(harness, "UPDATE ad_account_days SET residual_class = NULL WHERE level = 'ad'")
        proved, printed = played(GOOGLE, harness)

    assert not proved
    assert "UNEXPLAINED" in printed


def test_sums_that_agree_do_not_hide_rows_that_differ(database_url: str, tmp_path: Path) -> None:
    """A cent moved from one day to the next is two wrong rows behind a right total."""
    with Harness(database_url, tmp_path) as harness:
        harness.sync()
        harness.query(
            "WITH two AS (SELECT date, entity_type, entity_id, row_number() OVER () AS n"
            "  FROM ad_metrics WHERE entity_type = 'ad' AND spend > 1 LIMIT 2)"
            " UPDATE ad_metrics m SET spend = spend + CASE n WHEN 1 THEN 0.01 ELSE -0.01 END"
            " FROM two WHERE (two.date, two.entity_type, two.entity_id)"
            " = (m.date, m.entity_type, m.entity_id)"
        )
        judge = Judge(harness.environment.database, harness.world)
        days = DateRange(since=harness.today() - timedelta(days=19), until=harness.today())
        ids = [entity.id for entity in harness.world.entities(harness.account_id, "ad")]
        known = [one for one in ids if (one in {key[0] for key in harness.stored("ad")})]
        verdict = judge.entities(harness.account, Level.AD, days, known)

    assert verdict.spend[0] == verdict.spend[1]
    assert verdict.different == 2
    assert not verdict.equal


def test_what_was_not_compared_is_not_proved(database_url: str, tmp_path: Path) -> None:
    """An act without a comparison cannot pass as equal."""
    with Harness(database_url, tmp_path) as harness:
        out = io.StringIO()
        story = story_of(META, harness, out)
        play(story, [("nothing", lambda _story: None)])
        proved = close(story, ["nothing"], 1.0)

    assert not proved
    assert "NOT COMPARED" in out.getvalue()


@pytest.mark.parametrize("columns", [80, 118])
def test_tables_fit_and_read_without_colour(columns: int) -> None:
    """No line is cut or folded at 80 columns; money, words and verdict stand whole."""
    out = io.StringIO()
    console = Console(file=out, width=columns, color_system=None)
    wrong = Verdict(
        entities=1,
        entity_days=90,
        different=3,
        spend=(Decimal("0.01"), Decimal(0)),
        conversions=(Decimal(0), Decimal(0)),
    )
    comparisons = [
        Comparison(1, META, "600 ads", EQUAL),
        Comparison(1, META, "19 hidden: never_seen_entity", EQUAL),
        Comparison(1, TIKTOK, "30 ad groups", EQUAL),
        Comparison(1, GOOGLE, "1 ad", wrong),
    ]
    console.print(act_table(comparisons, columns=columns))
    console.print(
        closing_table(
            ["ads, an ad group and campaigns stop"],
            comparisons,
            [(actor, "1234/1234/0") for actor in CAST],
        )
    )
    printed = out.getvalue()

    assert max(len(line) for line in printed.splitlines()) <= columns
    assert "…" not in printed
    for words in ("1,234,567.89", "never_seen_entity", "3 DIFFER", "1234/1234/0", "equal"):
        assert words in printed
    assert ("Meta (USD)" in printed) is (columns > 100)
    assert ("12,345" in printed) is (columns > 100)


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_the_whole_demo_proves_every_act_on_every_platform(tmp_path: Path) -> None:
    """`adsync demo`, piped: exit 0, and every platform equal in every act."""
    done = Shell(tmp_path).run("demo", seconds=800)

    assert done.code == 0, done.out + done.err
    closing = done.out.split("warehouse = ledger?")[1]
    assert closing.count("equal") == 15
    assert "Proved in" in closing
    assert max(len(line) for line in done.out.splitlines()) <= 120
    assert "\x1b[" not in done.out
    assert "no_ad_rows" in done.out
