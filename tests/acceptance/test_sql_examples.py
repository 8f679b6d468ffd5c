"""The examples of docs/sql.md, run on a warehouse that was really synced."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from harness import MICROS, Harness

from adsync_dagster.records import Platform
from adsync_dagster.warehouse import accounts

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "sql.md").read_text(encoding="utf-8")
EXAMPLES = {
    words.strip().rstrip(":"): statement
    for words, statement in re.findall(r"\n\n([^\n]+):\n\n```sql\n(.*?)```", TEXT, re.DOTALL)
}


@pytest.fixture(scope="module")
def synced(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """Three stopped ads, a campaign without ad rows, a change still owed, an account blocked."""
    with Harness(
        module_database_url,
        tmp_path_factory.mktemp("home"),
        platform=Platform.GOOGLE_ADS,
        performance_max=1,
    ) as harness:
        assert harness.sync().error is None
        harness.advance(hours=2)
        live = [
            entity.id
            for entity in harness.world.entities(harness.account_id, "ad")
            if entity.effective == "ACTIVE"
        ]
        for ad in live[:3]:
            harness.world.pause("ad", ad)
        harness.advance(minutes=30)
        assert harness.sync().error is None
        harness.world.pause("ad", live[3])
        harness.advance(minutes=10)
        harness.poll_entities()
        other = harness.add_account("9990001112", "EUR", "Europe/Berlin")
        with harness.environment.database.connection() as connection:
            accounts.set_blocked(connection, other, "credential", "the credential was revoked")
        yield harness


def test_there_are_examples() -> None:
    """The page's code blocks are found."""
    assert len(EXAMPLES) == TEXT.count("```sql") >= 8


@pytest.mark.parametrize("words", EXAMPLES)
def test_an_example_runs_and_answers(synced: Harness, words: str) -> None:
    """Each example answers with rows, all of its columns named."""
    rows = synced.query(EXAMPLES[words])
    assert rows
    assert not any("?column?" in row for row in rows)


def test_campaigns_sum_to_what_the_platform_says(synced: Harness) -> None:
    """Spend over the campaigns' view is the ledger's, once; ads lack what has no ad rows."""
    days = synced.query("SELECT DISTINCT date FROM v_metrics_daily_campaign")
    truth = sum(
        synced.world.ledger.account_total(synced.account_id, row["date"])["spend_micros"]
        for row in days
    )
    (found,) = synced.query(
        "SELECT (SELECT sum(spend) FROM v_metrics_daily_campaign) AS campaigns,"
        " (SELECT sum(spend) FROM v_metrics_daily_ad) AS ads,"
        " (SELECT sum(residual_spend_ad) FROM v_account_completeness) AS missing"
    )
    assert found["campaigns"] == Decimal(truth) / MICROS > 0
    assert found["ads"] + found["missing"] == found["campaigns"]
    assert found["missing"] > 0
