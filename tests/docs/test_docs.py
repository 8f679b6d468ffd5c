"""The docs say what the program does: every command, option, setting and word of the tables."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from adsync_dagster.commands.exits import ExitCode
from adsync_dagster.errors import Blocked
from adsync_dagster.settings import VARIABLES
from adsync_dagster.warehouse.account_days import ResidualClass

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
CLI = (DOCS / "cli.md").read_text(encoding="utf-8")
SETTINGS = (DOCS / "settings.md").read_text(encoding="utf-8")
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])


def _generator() -> ModuleType:
    """The script behind `make docs`."""
    path = ROOT / "scripts" / "update_cli_docs.py"
    spec = importlib.util.spec_from_file_location("update_cli_docs", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


GENERATOR = _generator()
COMMANDS = GENERATOR.commands()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_docs_as_it_is(name: str) -> None:
    """docs/cli.md holds each command's help word for word; `make docs` refreshes it."""
    blocks = {match["command"]: match["help"] for match in GENERATOR.BLOCK.finditer(CLI)}
    assert blocks.get(name) == GENERATOR.help_of(name), "run `make docs`"


def test_no_command_is_documented_that_is_gone() -> None:
    """A removed command leaves the docs with it."""
    documented = {match["command"] for match in GENERATOR.BLOCK.finditer(CLI)}
    assert documented == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    """Each command says in a sentence what it does, each option what it is for; with an example."""
    command = COMMANDS[name]
    assert command.help
    if not hasattr(command, "commands"):
        assert f"Example: {name}" in command.help
    for option in command.params:
        assert getattr(option, "help", None), f"{option.name} has no help"


@pytest.mark.parametrize("name", VARIABLES)
def test_every_setting_is_in_the_docs(name: str) -> None:
    """Each variable has its row in docs/settings.md."""
    assert re.search(rf"^\| `{name}` \| .+ \| .+ \|$", SETTINGS, re.MULTILINE)


def test_no_setting_is_documented_that_is_gone() -> None:
    """docs/settings.md names no ADSYNC_ variable that the program would refuse."""
    assert set(re.findall(r"\bADSYNC_[A-Z_]+\b", SETTINGS)) - {"ADSYNC_"} <= set(VARIABLES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_only_settings_that_exist(page: Path) -> None:
    """No page tells to set a variable that is refused."""
    named = set(re.findall(r"\bADSYNC_[A-Z_]*[A-Z]\b", page.read_text(encoding="utf-8")))
    assert named <= set(VARIABLES)


def test_the_site_shows_every_page() -> None:
    """Each page of docs/ has its place in mkdocs.yml; `make site` refuses one that has none."""
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    shown = re.findall(r"([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    assert sorted(shown) == sorted(pages)


def test_every_picture_is_shown_and_can_be_made_anew() -> None:
    """Each file of docs/images is on a page, and scripts/screenshots.py knows how to make it."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    shown = set(re.findall(r"\bimages/([a-z_]+)\.png\)", text))
    script = (ROOT / "scripts" / "screenshots.py").read_text(encoding="utf-8")

    assert {path.stem for path in (DOCS / "images").iterdir()} == shown
    assert shown == set(re.findall(r'^    "([a-z_]+)": Picture\(', script, re.MULTILINE))


def test_every_exit_code_is_explained() -> None:
    """The table of exit codes has a row per code."""
    for code in ExitCode:
        assert re.search(rf"^\| {code.value} \| .+ \|", CLI, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link names a file that exists."""
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_only_make_targets_that_exist(page: Path) -> None:
    """`make something` in a page is a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_only_commands_that_exist(page: Path) -> None:
    """`adsync something` in a page is a command."""
    text = page.read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    named = set(re.findall(r"`adsync ([a-z][a-z-]+)", text))
    named |= set(re.findall(r"\badsync ([a-z][a-z-]+)", code))
    assert named <= {name.split()[1] for name in COMMANDS if " " in name}


def test_every_dagster_name_is_explained() -> None:
    """Each job, sensor, schedule and check has a row in docs/operations.md."""
    from adsync_dagster.assets.checks import CHECKS  # noqa: PLC0415 - costs a second
    from adsync_dagster.definitions import defs  # noqa: PLC0415

    operations = (DOCS / "operations.md").read_text(encoding="utf-8")
    names = {definition.name for definition in [*(defs.sensors or []), *(defs.schedules or [])]}
    names |= {getattr(job, "name") for job in defs.jobs or []}  # noqa: B009
    names |= {check.name for check in CHECKS}
    assert {name for name in names if f"`{name}`" not in operations} == set()


def test_every_table_is_explained() -> None:
    """Each table that a migration makes has a row in docs/operations.md, and none is made up."""
    migrations = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "sql" / "migrations").glob("*.sql")
    )
    tables = set(re.findall(r"CREATE TABLE (?:IF NOT EXISTS )?([a-z_]+) ?\(", migrations))
    operations = (DOCS / "operations.md").read_text(encoding="utf-8")
    section = operations.split("## Tables")[1].split("##")[0]
    assert set(re.findall(r"`([a-z_]+)`(?=[^|]*\|[^|]*\|$)", section, re.MULTILINE)) == tables


def test_every_asset_is_explained() -> None:
    """Each asset of the lineage has its name in the section on assets, and none is made up."""
    from adsync_dagster.definitions import defs  # noqa: PLC0415 - costs a second

    graph = defs.resolve_asset_graph()
    names = {key.to_user_string() for key in graph.get_all_asset_keys()}
    section = OPERATIONS.split("## Assets")[1].split("\n## ")[0]
    rows = "\n".join(re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE))
    assert set(re.findall(r"`([a-z_]+)`", rows)) == names


def _words_of(column: str) -> set[str]:
    """The values that docs/operations.md explains for a column."""
    section = OPERATIONS.split("### Words in their columns")[1].split("\n## ")[0]
    found: dict[str, set[str]] = {}
    current = ""
    for name, value in re.findall(r"^\| (?:`([a-z_.]+)`)? ?\| `(\w+)` \|", section, re.MULTILINE):
        current = name or current
        found.setdefault(current, set()).add(value)
    return found[column]


def _checked_values(text: str, column: str) -> set[str]:
    """The values that a CHECK of the migrations allows in a column."""
    (words,) = re.findall(rf"\b{column} text[^,;]*?CHECK \({column} IN\s*\(([^)]*)\)", text)
    return set(re.findall(r"'(\w+)'", words))


def test_every_word_of_the_log_and_of_days_is_explained() -> None:
    """States of final syncs and days, sources, reasons and classes: exactly those there are."""
    sql = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "sql").rglob("*.sql"))
    reasons = {error.reason for error in _with_subclasses(Blocked)}
    reasons.update(re.findall(r"blocked_reason = '(\w+)'", sql))

    assert _words_of("final_sync_completed") == {"true", "false", "NULL"}
    assert _words_of("ad_account_days.state") == _checked_values(sql, "state")
    assert _words_of("residual_class") == _checked_values(sql, "residual_class")
    assert _words_of("residual_class") == {one.value for one in ResidualClass}
    assert _words_of("blocked_reason") == reasons
    assert _words_of("source") == set(
        re.findall(r"'(trigger|first_sight|change_history|safety_net)'", sql)
    )


def _with_subclasses(family: type[Blocked]) -> set[type[Blocked]]:
    import adsync_dagster.sync.final_sync  # noqa: F401, PLC0415 - brings a reason of its own

    below = {one for child in family.__subclasses__() for one in _with_subclasses(child)}
    return {family} | below


def test_every_event_names_the_test_that_shows_it() -> None:
    """Each row of "What happens if" names a test, and it exists."""
    section = OPERATIONS.split("## What happens if")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (?!event|---)[^|]+\|[^|]+\|([^|]+)\|$", section, re.MULTILINE)
    assert len(rows) >= 20
    for row in rows:
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", row)
        assert named, row
        for path, name in named:
            source = (ROOT / "tests" / path).read_text(encoding="utf-8")
            assert f"def {name}(" in source, f"{path}::{name}"
