"""Take the pictures of the README from a running demo (`make demo UI=1`) in a headless browser.

.venv/bin/python scripts/screenshots.py http://127.0.0.1:3000 [/path/to/chromium]
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
PAGES = {
    "lineage": "/asset-groups/",
    "metrics": "/assets/metrics",
    "runs": "/runs",
    "sensor": "/locations/adsync_dagster/sensors/status_change_sensor",
    "checks": "/assets/ad_status_change_log?view=checks",
}


def main(base_url: str, browser_path: str) -> None:
    """Write one PNG per page."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=browser_path, args=arguments)
        page = browser.new_page(viewport={"width": 1400, "height": 820})
        for name, path in PAGES.items():
            page.goto(base_url + path, wait_until="networkidle")
            page.wait_for_timeout(1500)
            page.screenshot(path=IMAGES / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    found = sys.argv[2] if len(sys.argv) > 2 else shutil.which("chromium")
    if len(sys.argv) < 2 or not found:
        raise SystemExit(__doc__)
    main(sys.argv[1].rstrip("/"), found)
