"""What a person types for accounts and days: found, or refused in words that say what to do."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

import pytest

from adsync_dagster.commands.chosen import choose, day_range, no_accounts
from adsync_dagster.errors import UsageError
from adsync_dagster.records import Account, DateRange, Platform


def account(number: int, *, is_active: bool = True) -> Account:
    return Account(
        id=uuid4(),
        platform=Platform.FACEBOOK,
        platform_account_id=f"act_{number}",
        name="Shop",
        currency="USD",
        timezone="UTC",
        is_active=is_active,
    )


def test_removed_accounts_are_chosen_only_where_they_count() -> None:
    """Work is done on active accounts; a report or an export may be asked about any."""
    both = [account(1), account(2, is_active=False)]

    assert choose(both, []) == ["facebook:act_1"]
    assert choose(both, ["2"], also_removed=True) == ["facebook:act_2"]


def test_naming_a_removed_account_says_how_it_comes_back() -> None:
    """It is not called unknown: its data are there."""
    with pytest.raises(
        UsageError, match=r"^facebook:act_2 was removed; `adsync accounts add"
    ) as it:
        choose([account(1), account(2, is_active=False)], ["act_2"])
    assert "--platform facebook --account act_2 --token-env NAME` brings it back" in str(it.value)


def test_with_only_removed_accounts_the_first_is_offered_back() -> None:
    """Nobody is told to add a first account where all were removed."""
    gone = [account(number, is_active=False) for number in range(1, 6)]
    with pytest.raises(UsageError, match=r"^no account is synced: ") as caught:
        choose(gone, [])
    assert "facebook:act_1, facebook:act_2, facebook:act_3 and 2 more were removed" in str(
        caught.value
    )
    assert "facebook:act_1 was removed;" in no_accounts(gone[:1])
    with pytest.raises(UsageError, match=r"^there is no account to sync; add one with"):
        choose([], [])


def test_days_are_both_included() -> None:
    """A range of one day is a range."""
    day = date(2026, 3, 1)
    assert day_range("2026-03-01", "2026-03-01") == DateRange(since=day, until=day)


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        ("1.3.2026", "2026-03-02", "^--from '1.3.2026' is no date; write it like 2026-03-01"),
        ("2026-03-01", "2026-02-30", "^--until '2026-02-30' is no date"),
        ("2026-03-01", None, "^--until is missing; give both"),
        (None, "2026-03-01", "^--from is missing; give both"),
        ("2026-03-02", "2026-03-01", "lies after --until"),
    ],
)
def test_the_wrong_day_is_named(first: str | None, last: str | None, words: str) -> None:
    """Of two days the line names the one that is wrong, and how."""
    with pytest.raises(UsageError, match=words):
        day_range(first, last)
