"""Choosing from a numbered list, and what the list shows."""

from __future__ import annotations

import pytest

from adsync_dagster.commands.discovery import picked, show
from adsync_dagster.errors import UsageError
from adsync_dagster.records import AccountInfo


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("2", [1]),
        ("1,3-5", [0, 2, 3, 4]),
        (" 5 1 1 ", [4, 0]),
        ("all", [0, 1, 2, 3, 4]),
        ("2-2", [1]),
    ],
)
def test_numbers_and_ranges_are_picked(text: str, expected: list[int]) -> None:
    """Each once, in the order given."""
    assert picked(text, 5) == expected


@pytest.mark.parametrize("text", ["0", "6", "4-2", "x", "1-", "-1", "\N{SUPERSCRIPT TWO}", "1.5"])
def test_what_is_no_number_of_the_list_is_refused(text: str) -> None:
    """The slip is repeated, with what would be right."""
    with pytest.raises(UsageError):
        picked(text, 5)


def test_the_list_says_what_is_wrong_and_what_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    """An account that is disabled, one that is there already, one whose zone is unknown here."""
    info = AccountInfo(
        platform_account_id="1", name="Shop", currency="EUR", timezone="UTC", status="2",
        trouble="is disabled: ask somebody",
    )  # fmt: skip
    strange = AccountInfo(
        platform_account_id="2", name="Shop", currency="EUR", timezone="Mars/Olympus", status="1",
        through="Agency (8)",
    )  # fmt: skip
    show([info, strange], frozenset({"2"}))
    lines = capsys.readouterr().out.splitlines()
    assert "2, is disabled" in lines[1]
    assert lines[1].endswith("directly")
    assert "Mars/Olympus (unknown here)" in lines[2]
    assert "added already" in lines[2]
    assert lines[2].endswith("Agency (8)")
