"""The completeness report of a world in which things went wrong, as a file and in a browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from harness import MICROS
from playwright.sync_api import Browser, Page, sync_playwright
from report_world import ABSURD, LONG, WRONG_DAY, ReportWorld

from adsync_dagster.report.service import ReportSummary, default_path, write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
needs_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ReportWorld]:
    """Three platforms after weeks of syncs."""
    with ReportWorld(module_database_url, tmp_path_factory.mktemp("home")) as world:
        world.tell_the_story()
        yield world


@pytest.fixture(scope="module")
def summary(world: ReportWorld) -> ReportSummary:
    """The written report."""
    return write_report(world.environment, default_path(world.environment))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Watched:
    """A page with everything it asked for and complained about."""

    def __init__(self, browser: Browser, path: Path, **context: Any) -> None:
        self.context = browser.new_context(**context)
        self.page: Page = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.goto(path.as_uri())


# What it says


def test_the_headline_is_honest(summary: ReportSummary, world: ReportWorld) -> None:
    """Everything that went wrong is a reason, and the numbers are those of plain SQL."""
    assert (summary.verdict, summary.title) == ("incomplete", "Not complete")
    told = dict(reason.rsplit(": ", 1) for reason in summary.reasons)
    assert told["final syncs overdue"] == "3"
    assert told["residuals without a reason"] == "1"
    assert told["things that wait for a person"] == "1"
    assert told["accounts never synced whole, or not lately"] == "1"
    (counts,) = world.query(
        "SELECT count(*) FILTER (WHERE NOT final_sync_completed) AS owed,"
        " extract(epoch FROM %s - min(created_at) FILTER (WHERE NOT final_sync_completed)) AS age"
        " FROM ad_status_change_log",
        world.clock.now(),
    )
    assert (summary.final_syncs_owed, summary.final_syncs_blocked) == (counts["owed"], 0)
    assert summary.oldest_owed_seconds == pytest.approx(float(counts["age"]))
    sealed = world.query(
        "SELECT count(*) AS n FROM (SELECT 1 FROM ad_account_days WHERE state = 'sealed'"
        " GROUP BY ad_account_id, date HAVING count(*) = 3) s"
    )
    assert summary.days_sealed == sealed[0]["n"] > 0
    assert summary.oldest_open_day is not None
    assert summary.oldest_open_day <= WRONG_DAY
    assert summary.unexplained == ("12.50 USD",)


def test_a_choice_of_accounts_is_said_and_judged_alone(world: ReportWorld, tmp_path: Path) -> None:
    """Google's account is in order: alone it is complete; another's trouble is not its own."""
    path = tmp_path / "google.html"
    one = write_report(world.environment, path, accounts=[world.google.key], days=10)
    assert one.accounts == 1
    assert one.verdict in {"complete", "not-yet"}
    assert one.reasons == ()
    text = path.read_text(encoding="utf-8")
    assert "1 chosen account only" in text
    assert world.account.key not in text


def test_an_earlier_report_is_replaced_as_a_whole(world: ReportWorld, tmp_path: Path) -> None:
    """The new page takes the old one's place in one step and leaves nothing beside it."""
    path = tmp_path / "deep" / "report.html"
    write_report(world.environment, path, days=5)
    before = path.stat().st_ino
    write_report(world.environment, path, days=5)

    assert path.stat().st_ino != before
    assert [entry.name for entry in path.parent.iterdir()] == ["report.html"]


def test_money_in_the_page_is_the_ledgers(summary: ReportSummary, world: ReportWorld) -> None:
    """Each day's total is what its accounts spent, as each platform told when it was last read."""
    text = summary.path.read_text(encoding="utf-8")
    found = spend_by_day(text)
    whole = world.today() - timedelta(days=1)
    compared = {"EUR": 0, "USD": 0}
    for day, amount, _ in found["EUR"]:
        if day < whole:
            assert amount == world.true_spend(world.google, day), day
            compared["EUR"] += 1
    for day, amount, unknown in found["USD"]:
        if day < whole and (unknown or day in world.tiktok_known):
            tiktok = Decimal(0) if unknown else world.tiktok_known[day]
            assert amount == world.true_spend(world.account, day) + tiktok, day
            compared["USD"] += 1
    assert min(compared.values()) > 40
    assert sum(unknown for _, _, unknown in found["USD"]) > 3


def spend_by_day(text: str) -> dict[str, list[tuple[date, Decimal, int]]]:
    """The spend tables of the page: day, exact total, accounts unknown."""
    tables = {}
    for currency, body in re.findall(
        r'<figure data-currency="(\w+)">(.*?)</figure>', text, re.DOTALL
    ):
        rows = re.findall(
            r'<th scope="row" class="nowrap">([\d-]+)</th>\s*<td [^>]*data-spend="([\d.]+)".*?'
            r'data-label="Accounts unknown">(\d+)<',
            body,
            re.DOTALL,
        )
        tables[currency] = [(date.fromisoformat(d), Decimal(v), int(u)) for d, v, u in rows]
    return tables


def test_residuals_in_the_page_are_the_ledgers(summary: ReportSummary, world: ReportWorld) -> None:
    """What ads lack is exactly what the campaign without ad rows spent on the days read."""
    text = summary.path.read_text(encoding="utf-8")
    (missing,) = re.findall(
        r'no ad rows<br>.*?data-label="Level">ad</td>.*?data-spend="([\d.]+)"', text, re.DOTALL
    )
    days = world.query(
        "SELECT DISTINCT date FROM ad_account_days WHERE ad_account_id = %s AND level = 'ad'"
        " AND stored_spend IS NOT NULL AND date < %s",
        world.google.id,
        world.today() - timedelta(days=1),
    )
    campaigns = world.world.account(world.google.platform_account_id).entities["campaign"].values()
    hidden = next(one.id for one in campaigns if one.traits.get("channel_type"))
    truth = sum(
        world.world.ledger.value("campaign", hidden, row["date"])["spend_micros"] for row in days
    )
    recent = world.query(
        "SELECT sum(residual_spend) AS spend FROM ad_account_days WHERE ad_account_id = %s"
        " AND level = 'ad' AND date >= %s",
        world.google.id,
        world.today() - timedelta(days=1),
    )[0]["spend"]
    assert Decimal(missing) == Decimal(truth) / MICROS + (recent or 0) > 0


def test_nothing_in_the_file_points_elsewhere(summary: ReportSummary) -> None:
    """No address, no script, no inline style, and a policy that allows its one style sheet."""
    text = summary.path.read_text(encoding="utf-8")
    assert "://" not in re.sub(r"<!doctype.*?>", "", text)
    assert "<script" not in text
    assert not re.search(r"<[^>]+\sstyle=", text)
    assert not re.search(r"<[^>]+\son[a-z]+=", text)
    assert "default-src 'none'; style-src 'sha256-" in text
    assert re.findall(r"href=\"([^\"#]+)", text) == ["data:,"]


# How it looks


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
class TestInABrowser:
    """On a phone and a desk, in light and in dark."""

    pytestmark = needs_browser

    def test_it_asks_for_nothing_and_fits(
        self, summary: ReportSummary, browser: Browser, width: int, scheme: str
    ) -> None:
        """One request, no complaint, nothing wider than the screen, even with all tables open."""
        watched = Watched(
            browser,
            summary.path,
            viewport={"width": width, "height": 800},
            color_scheme=scheme,
        )
        page = watched.page
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        wide = page.evaluate(
            "[...document.querySelectorAll('body *')].filter(one => !one.closest('.scroll, svg')"
            " && getComputedStyle(one).position !== 'absolute' && !one.closest('thead')"
            f" && one.getBoundingClientRect().right > {width} + 0.5)"
            ".map(one => one.outerHTML.slice(0, 120))"
        )

        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert wide == []
        assert watched.requests == [summary.path.as_uri()]
        assert watched.complaints == []
        watched.context.close()

    def test_its_colours_follow_the_reader_and_can_be_read(
        self, summary: ReportSummary, browser: Browser, width: int, scheme: str
    ) -> None:
        """Dark is dark; all text has a contrast of 4.5, all marks that carry meaning 3."""
        watched = Watched(
            browser,
            summary.path,
            viewport={"width": width, "height": 800},
            color_scheme=scheme,
        )
        found = watched.page.evaluate(COLOURS)
        background = luminance(found["background"])
        assert (background < 0.05) is (scheme == "dark")
        for name, colour in found["texts"].items():
            for behind in (found["background"], found["panel"]):
                assert contrast(colour, behind) >= 4.5, (name, colour)
        for name, colour in found["marks"].items():
            assert contrast(colour, found["background"]) >= 3, (name, colour)
        assert contrast(found["marks"]["sealed"], found["marks"]["reconciled"]) >= 1.8
        watched.context.close()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_names_are_text_whatever_they_are(summary: ReportSummary, browser: Browser) -> None:
    """A name full of markup shows as itself, runs nothing, and turns no text around."""
    watched = Watched(browser, summary.path, viewport={"width": 360, "height": 800})
    page = watched.page
    heading = page.locator("h3", has_text="<script>alert('x')</script>").first
    assert heading.inner_text() == ABSURD.replace("\u202e", "\ufffd").replace("\u202c", "\ufffd")
    assert page.locator("script, img, iframe, object").count() == 0
    assert page.get_by_text(LONG).count() > 0
    assert watched.complaints == []
    watched.context.close()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_every_drawing_has_words(summary: ReportSummary, browser: Browser) -> None:
    """Each drawing is hidden from screen readers or says what it shows; headings are in order."""
    watched = Watched(browser, summary.path)
    page = watched.page
    silent = page.evaluate(
        "[...document.querySelectorAll('svg')].filter(one => one.ariaHidden !== 'true'"
        " && !(one.role === 'img' && one.ariaLabel?.length > 5)).length"
    )
    assert silent == 0
    levels = page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3')].map(one => Number(one.tagName[1]))"
    )
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.locator("table:not(:has(th[scope=row]))").count() == 0
    assert page.locator("html").get_attribute("lang") == "en"
    watched.context.close()


COLOURS = """() => {
  const style = getComputedStyle(document.documentElement)
  const probe = document.createElement('span')
  document.body.append(probe)
  const colour = name => {
    probe.style.setProperty('color', style.getPropertyValue('--' + name))
    return getComputedStyle(probe).color
  }
  const all = names => Object.fromEntries(names.map(name => [name, colour(name)]))
  return {
    background: getComputedStyle(document.body).backgroundColor,
    panel: colour('panel'),
    texts: all(['text', 'soft', 'bad', 'link']),
    marks: all(['sealed', 'reconciled', 'open-edge', 'open-fill', 'bad', 'owed', 'quiet', 'mark']),
  }
}"""


def luminance(colour: str) -> float:
    """Relative luminance of an rgb() colour, after WCAG 2."""
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, after WCAG 2."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
