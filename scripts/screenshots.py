"""Make all pictures of docs/images: a week of five simulated accounts, seen in Dagster's UI.

    .venv/bin/python scripts/screenshots.py [name ...]

Builds its own stage (embedded Postgres, simulated platforms, Dagster) in a temporary folder and
takes it down again; needs Chromium. Names choose some of the pictures.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
BYTES_MAX = 400_000
sys.path.insert(0, str(ROOT / "tests" / "browser"))

import ui_stage  # noqa: E402 - beside the tests that look at the same pages

Act = Callable[[Page], None]


@dataclass(frozen=True)
class Picture:
    """A page, how large, and what to do on it before the picture is taken."""

    path: str
    #: Text that is on the page once it is drawn.
    text: str
    height: int = 900
    width: int = 1400
    dark: bool = False
    act: Act | None = None


def _open_summary(page: Page) -> None:
    page.get_by_placeholder("Filter…").first.fill("accounts done")
    page.wait_for_timeout(1000)


def _scaffold(page: Page) -> None:
    """Let Dagster write the fields that are missing, and ask for the help of one."""
    page.get_by_role("button", name="Scaffold missing config").click()
    page.get_by_role("button", name="Confirm").click()
    page.locator(".CodeMirror-line", has_text="date_from").click()


def _open_tick(page: Page) -> None:
    """Click on a tick's result, which tells why it started nothing."""
    page.locator("table").get_by_text("0 runs requested").last.click()
    page.get_by_text("Nothing started").first.wait_for()


def _fold_navigation(page: Page) -> None:
    page.get_by_text("Hide navigation").click()


LOCATION = "/locations/adsync_dagster"
METRICS = f"/assets/metrics?view=partitions&partition={ui_stage.WELL}"
PICTURES = {
    "lineage": Picture(
        "/asset-groups/", "final_sync_completion", height=620, width=2000, act=_fold_navigation
    ),
    "metrics": Picture(METRICS, "spend_by_day", height=980),
    "metrics_dark": Picture(METRICS, "spend_by_day", height=980, dark=True),
    "columns": Picture("/assets/ads", "Column name", height=900),
    "final_syncs": Picture(
        f"/assets/final_sync_completion?view=partitions&partition={ui_stage.APART}", "pending"
    ),
    "checks": Picture(
        "/assets/final_sync_completion?view=checks&checkDetail=no_account_blocked", "what_to_do"
    ),
    "residuals": Picture(
        "/assets/metrics?view=checks&checkDetail=residuals_explained", "what_to_do"
    ),
    "sensor": Picture(
        f"{LOCATION}/sensors/status_change_sensor", "0 runs requested", act=_open_tick
    ),
    "schedules": Picture("/automation", "weekly_safety_net", height=760),
    "backfill": Picture(
        f"{LOCATION}/jobs/backfill_job/playground", "- campaign", height=760, act=_scaffold
    ),
    "run": Picture("run:account_sync_job", "accounts done", act=_open_summary),
}


def main(names: list[str]) -> None:
    """Write the PNGs, all of them or those named."""
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    unknown = set(names) - set(PICTURES)
    if unknown or browser_path is None:
        raise SystemExit(f"unknown: {sorted(unknown)}" if unknown else "Chromium is needed")
    with (
        tempfile.TemporaryDirectory(prefix="adsync-ui-") as folder,
        ui_stage.raise_stage(Path(folder)) as stage,
    ):
        ui_stage.live_a_week(stage)
        with ui_stage.dagster_ui(stage) as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=browser_path, args=ui_stage.BROWSER_ARGUMENTS
            )
            for name in names or PICTURES:
                take(browser, url, PICTURES[name], IMAGES / f"{name}.png", stage)
            browser.close()


def take(
    browser: Browser, url: str, picture: Picture, path: Path, stage: ui_stage.Stage | None
) -> None:
    """Open the page in a profile of its own, wait until it is drawn, and write the picture."""
    address = picture.path
    if address.startswith("run:") and stage is not None:
        address = f"/runs/{stage.latest_run(address.removeprefix('run:'))}"
    context = browser.new_context(
        viewport={"width": picture.width, "height": picture.height},
        # Dagster's theme follows the system's unless somebody chose one.
        color_scheme="dark" if picture.dark else "light",
    )
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(url + address)
    page.get_by_text(picture.text).first.wait_for()
    if picture.act is not None:
        picture.act(page)
    page.mouse.move(0, 0)
    page.wait_for_timeout(2500)
    page.screenshot(path=path)
    context.close()
    size = path.stat().st_size
    if size > BYTES_MAX:
        raise SystemExit(f"{path.name} has {size} bytes, more than {BYTES_MAX}")


if __name__ == "__main__":
    main(sys.argv[1:])
