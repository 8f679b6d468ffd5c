"""docs/adding-a-platform.md builds a fourth platform: its code is taken as it stands, and works.

The package is built from the page, installed into a folder of its own and found by its entry
point. No file of the project knows it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from adsync_dagster.conformance import CHECKS

#: The package is built and installed, and its story played through Dagster.
pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "adding-a-platform.md"
_BLOCK = re.compile(r"<!-- file: (?P<file>\S+) -->\n\n```[a-z]+\n(?P<text>.*?)```\n", re.DOTALL)


def files_of(page: Path) -> dict[str, str]:
    """The files that a page holds."""
    blocks = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    return {block["file"]: block["text"] for block in blocks}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's package as somebody would write it."""
    folder = tmp_path_factory.mktemp("adsync-toyads")
    for name, text in files_of(PAGE).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def site(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package installed, metadata included: its wheel, unpacked into a folder."""
    dist, site = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", dist]
    subprocess.run(build, cwd=project, check=True, capture_output=True)
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def run(
    site: Path, *arguments: object, cwd: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own that has the package."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("ADSYNC_", "DAG"))
    }
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**environment, "PYTHONPATH": str(site), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
    )


def conformance(site: Path, project: Path, *arguments: str) -> str:
    """What pytest says of the page's own test."""
    test = project / "tests" / "test_conformance.py"
    options = ("-q", "--tb=line", "--show-capture=no", "-p", "no:cacheprovider", "-p", "no:xdist")
    # In the folder of what is installed: python -m looks there first.
    return run(site, "-m", "pytest", *options, *arguments, test, cwd=site).stdout


@pytest.mark.slow
def test_the_pages_platform_conforms(site: Path, project: Path) -> None:
    """Every check of the suite passes on the code of the page."""
    said = conformance(site, project)
    assert f"{len(CHECKS)} passed" in said, said[-2000:]


#: Mistakes that somebody could make: file, what is right, what is wrong, the check that tells.
MISTAKES = {
    "what is off is left out": (
        "pages.py",
        "        records = [parse(row_of(row)) for row in rows]\n        seen |=",
        (
            "        records = [parse(row_of(row)) for row in rows]\n"
            "        tally.rows -= len(records)\n"
            "        records = [r for r in records if getattr(r, 'status', '') != 'PAUSED']\n"
            "        total -= len(rows) - len(records)\n"
            "        seen |="
        ),
        "lists_leave_out_nothing",
    ),
    "the first page is enough": (
        "pages.py",
        "        if len(seen) == total:\n",
        "        if rows:\n",
        "reports_are_the_ledger",
    ),
    "an empty page is the end": (
        "pages.py",
        '            raise IncompleteRead(f"{purpose}: {len(seen)} of {total} rows came")\n',
        "            return\n",
        "a_wrong_list_is_never_believed",
    ),
    "an error is no rows": (
        "pages.py",
        "        body = (yield from ask(request, tally)).json()\n",
        (
            "        try:\n"
            "            body = (yield from ask(request, tally)).json()\n"
            "        except Exception:\n"
            "            return\n"
        ),
        "an_error_is_never_swallowed",
    ),
    "an unknown code is a success": (
        "errors.py",
        '    raise PlatformBusy(f"ToyAds answered with the error {str(code)[:40]!r}")\n',
        "    response.json().update(page=1, total=0, rows=[])\n",
        "a_passing_fault_costs",
    ),
    "a dead key is waited out": (
        "errors.py",
        'raise CredentialBlocked(f"the ToyAds key is not valid any more; {_RENEW}")\n',
        'raise PlatformBusy("wait")\n',
        "what_a_person_must_mend",
    ),
    "missing ids are not named": (
        "adapter.py",
        "        tally.missing_ids |= missing\n",
        "",
        "look_ups_find_everyone",
    ),
    "money goes through a float": (
        "rows.py",
        '        spend=decimal_text(row.get("spend"), "spend"),\n',
        '        spend=str(float(decimal_text(row.get("spend"), "spend")) / 3 * 3 + 1e-6),\n',
        "reports_by_id_hold_the_deleted",
    ),
    "days are not checked": (
        "rows.py",
        '        raise IncompleteRead("a row is of a day that was not asked for")\n',
        "        pass\n",
        "a_wrong_report_is_never_believed",
    ),
    "accounts are not checked": (
        "rows.py",
        '        raise IncompleteRead("a row belongs to another account")\n',
        "        pass\n",
        "a_wrong_list_is_never_believed",
    ),
    "the key is logged": (
        "adapter.py",
        '        return {"X-Toy-Key": key}\n',
        (
            '        import logging; logging.getLogger("toyads").info("key %s", key)\n'
            '        return {"X-Toy-Key": key}\n'
        ),
        "the_credential_stays_secret",
    ),
    "anything may be posted": (
        "adapter.py",
        "        return False\n",
        "        return True\n",
        "nothing_is_written",
    ),
}


@pytest.mark.proof
@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_suite_finds_the_mistake(
    mistake: str, site: Path, project: Path, tmp_path: Path
) -> None:
    """The page's adapter with one mistake in it fails the check that is about it."""
    file, right, wrong, check = MISTAKES[mistake]
    copy = tmp_path / "site"
    shutil.copytree(site, copy)
    path = copy / "adsync_toyads" / file
    text = path.read_text(encoding="utf-8")
    assert text.count(right) == 1
    path.write_text(text.replace(right, wrong), encoding="utf-8")
    said = conformance(copy, project, "-k", check)
    assert "1 failed" in said, said[-2000:]
    assert "NotConforming" in said, said[-2000:]


@pytest.fixture(scope="module")
def story(
    site: Path, module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What the story of toy_story.py told."""
    done = run(
        site,
        Path(__file__).with_name("toy_story.py"),
        tmp_path_factory.mktemp("story"),
        cwd=ROOT,
        ADSYNC_DATABASE_URL=module_database_url,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_the_command_line_serves_it(story: dict[str, Any]) -> None:
    """It is listed with what it needs, its accounts are discovered and added, wrong names told."""
    code, listed = story["platforms"]
    assert code == 0
    assert "adsync-toyads" in listed
    assert "api_key: From ToyAds' settings" in listed
    assert "ADSYNC_TOYADS_PAGE_ROWS" in listed
    assert story["unknown"][0] == 2
    assert "1001" in story["discover"][1], story["discover"]
    assert story["add"] == [
        0,
        (
            "toyads:1001 added (Shop, USD, America/New_York); its first sync:"
            " adsync sync toyads:1001\n"
        ),
    ]
    found = story["doctor"][1]
    assert "toyads comes from adsync-toyads" in found
    assert "toyads:1001: readable, status open" in found


def test_syncs_through_dagster_store_what_the_ledger_holds(story: dict[str, Any]) -> None:
    """First sync, stops with late numbers, second sync: the warehouse is the ledger each time."""
    assert [story[name][0] for name in ("first", "second", "settle")] == [0, 0, 0]
    assert story["after first"] == []
    assert story["after second"] == []
    assert story["after settling"] == []
    assert story["statuses"] == story["truth"]
    assert "DELETED" in story["truth"].values()


def test_every_stop_gets_its_final_sync(story: dict[str, Any]) -> None:
    """A pause, a deletion and a refusal are logged and done; days are sealed after the window."""
    assert story["done"] == [["toyads", True]]
    assert story["sealed"] == [["sealed"]]


def test_no_file_of_the_project_knows_it() -> None:
    """The platform is the page's alone."""
    knowing = [
        path
        for folder in ("adsync_dagster", "sql")
        for path in (ROOT / folder).rglob("*.*")
        if path.suffix in {".py", ".sql"} and "toyads" in path.read_text(encoding="utf-8").lower()
    ]
    assert knowing == []
