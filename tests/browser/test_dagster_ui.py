"""What a person sees: a real browser on Dagster's pages, over a week of five simulated accounts."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from ui_stage import (
    APART,
    BLOCKED,
    BROWSER_ARGUMENTS,
    GOOGLE,
    KEYS,
    WELL,
    Stage,
    dagster_ui,
    live_a_week,
    raise_stage,
)

sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
LOCATION = "/locations/adsync_dagster"
DRAWN_WITHIN_MS = 60_000
CLICKS_MAX = 6

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """The stage after its week."""
    with (
        tempfile.TemporaryDirectory(prefix="adsync-tests-") as folder,
        raise_stage(Path(folder)) as stage,
    ):
        live_a_week(stage)
        yield stage


@pytest.fixture(scope="module")
def url(stage: Stage) -> Iterator[str]:
    """Webserver and daemon over the stage."""
    with dagster_ui(stage) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    """A headless Chromium."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: sync_api.Browser, url: str) -> Iterator[sync_api.Page]:
    """An empty page of a profile of its own, relative to the UI's address."""
    context = browser.new_context(base_url=url, viewport={"width": 1500, "height": 1000})
    context.set_default_timeout(DRAWN_WITHIN_MS)
    yield context.new_page()
    context.close()


def see(page: sync_api.Page, text: str | re.Pattern[str]) -> None:
    """Wait until the text is visible on the page."""
    page.get_by_text(text).first.wait_for()


def click_until_seen(what: sync_api.Locator, text: str | re.Pattern[str]) -> None:
    """Click until the text is visible: a list that redraws itself meanwhile drops a click."""
    shown = what.page.get_by_text(text).first
    patience = DRAWN_WITHIN_MS / CLICKS_MAX
    for _ in range(CLICKS_MAX):
        with suppress(sync_api.TimeoutError):
            what.click(timeout=patience)
        with suppress(sync_api.TimeoutError):
            shown.wait_for(timeout=patience)
            return
    raise AssertionError(f"{text!r} was not seen after {CLICKS_MAX} clicks on {what}")


def test_the_lineage_shows_every_asset(page: sync_api.Page) -> None:
    """All nodes of the graph are drawn, the external change log among them."""
    page.goto("/asset-groups/")

    for name in ("campaigns", "ad_sets", "ads", "metrics", "ad_status_change_log"):
        see(page, re.compile(rf"^{name}$"))
    see(page, "final_sync_completion")
    see(page, "weekly_safety_net")


def test_an_accounts_metrics_are_a_picture_and_numbers(page: sync_api.Page) -> None:
    """The account's partition shows the chart in place, the days by state and its name."""
    page.goto(f"/assets/metrics?view=partitions&partition={WELL}")

    chart = page.get_by_role("img", name=re.compile("spend by day: .*sealed"))
    chart.wait_for()
    assert chart.evaluate("image => image.naturalWidth") == 480
    see(page, "days_sealed")
    see(page, "latest_days")
    see(page, "Shop US")
    assert page.get_by_text("[Show Markdown]").count() == 0


def test_the_chart_is_there_in_the_dark(browser: sync_api.Browser, url: str) -> None:
    """The same page in the dark theme: the picture is drawn, on Dagster's own background."""
    context = browser.new_context(base_url=url, color_scheme="dark")
    context.set_default_timeout(DRAWN_WITHIN_MS)
    page = context.new_page()
    page.goto(f"/assets/ads?view=partitions&partition={WELL}")

    picture = page.get_by_role("img", name=re.compile("ACTIVE"))
    picture.wait_for()
    assert picture.evaluate("image => image.naturalWidth") == 480
    colour = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert all(int(part) < 60 for part in re.findall(r"\d+", colour)[:3])
    context.close()


def test_columns_are_explained(page: sync_api.Page) -> None:
    """The overview of a table names its columns with type and meaning, and its owner."""
    page.goto("/assets/ads")

    see(page, "platform_ad_set_id")
    see(page, "What really happens to it, parents and reviews included")
    see(page, "ads-data")
    see(page, "nothing ever deletes a row")


def test_a_blocked_account_is_listed_with_its_reason_and_what_to_do(page: sync_api.Page) -> None:
    """The failed check names account, reason and remedy in one view."""
    page.goto("/assets/final_sync_completion?view=checks&checkDetail=no_account_blocked")

    see(page, BLOCKED)
    see(page, "credential")
    see(page, "adsync accounts add")
    see(page, "what_to_do")


def test_a_day_that_does_not_add_up_is_a_warning_with_its_amount(page: sync_api.Page) -> None:
    """The warning shows the day, the amount, and all residuals by class."""
    page.goto("/assets/metrics?view=checks&checkDetail=residuals_explained")

    see(page, "by_class")
    see(page, "unexplained")
    see(page, "-12.34")
    see(page, APART)


def test_the_sensor_explains_itself_and_why_it_started_nothing(
    page: sync_api.Page, stage: Stage
) -> None:
    """Description, target and owner stand on its page; a skipped tick speaks plain words."""
    page.goto(f"{LOCATION}/sensors/status_change_sensor")

    see(page, "owes a final sync and is due")
    see(page, "final_sync_job")
    see(page, "ads-data")
    click_until_seen(
        page.get_by_text("0 runs requested").last,
        re.compile(r"4 changes in 1 account owe a final sync; 0 due now; 4 failed before"),
    )


def test_schedules_say_when_in_words(page: sync_api.Page) -> None:
    """The list of automations has every schedule with its time as a sentence."""
    page.goto("/automation")

    see(page, "Every hour")
    see(page, "At 02:00 AM UTC, only on Sunday")
    see(page, "weekly_safety_net")
    see(page, "new_account_sensor")


def test_the_launchpad_shows_defaults_and_help(page: sync_api.Page) -> None:
    """Fields that are missing are named; the editor's help says what they mean."""
    page.goto(f"{LOCATION}/jobs/backfill_job/playground")

    see(page, re.compile("Missing required config entries .*accounts.*date_from.*date_until"))
    see(page, "- campaign")
    click_until_seen(page.get_by_role("button", name="Scaffold missing config"), "Confirm")
    page.get_by_role("button", name="Confirm").click()
    click_until_seen(
        page.locator(".CodeMirror-line", has_text="date_from"),
        re.compile("First account-local day to read"),
    )


def test_a_runs_log_ends_with_a_table_of_its_accounts(page: sync_api.Page, stage: Stage) -> None:
    """The services' lines and the closing table are in the event log of the run."""
    page.goto(f"/runs/{stage.latest_run('account_sync_job')}")
    page.get_by_placeholder("Filter…").first.fill("accounts done")

    see(page, "2 of 2 accounts done, 0 failed, 0 busy")
    see(page, re.compile(rf"{re.escape(GOOGLE)}\s+done"))
    lines = [
        entry.user_message
        for entry in stage.instance.all_logs(stage.latest_run("account_sync_job"))
        if entry.dagster_event is None
    ]
    assert any(re.match(r"\[sync\] Step 4/4: .* in \d+\.\d s", line) for line in lines)
    assert len(lines) < 2 * 20


def test_all_accounts_are_partitions_and_the_failed_one_is_red(page: sync_api.Page) -> None:
    """The partitions tab lists every account and counts the failed one."""
    page.goto("/assets/campaigns?view=partitions")

    for key in KEYS:
        see(page, key)
    see(page, "Failed (1)")


def test_nothing_on_the_pages_holds_a_token(page: sync_api.Page, stage: Stage) -> None:
    """What the storage behind the pages holds names no credential."""
    for run in stage.instance.get_runs():
        for entry in stage.instance.all_logs(run.run_id):
            assert "sim_ui_canary" not in entry.user_message
            assert "sim_ui_canary" not in str(entry.dagster_event)
