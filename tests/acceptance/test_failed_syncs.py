"""A sync that stops says why on its account, whatever stopped it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Never

import pytest
from harness import Harness

from adsync_dagster.errors import (
    AccountBlocked,
    AdsyncError,
    Defect,
    IncompleteRead,
    PlatformBusy,
    UsageError,
)
from adsync_dagster.records import DateRange
from adsync_dagster.sync import account_sync
from adsync_dagster.sync.metrics import MetricsScope

ERROR = "SELECT last_sync_error, last_synced_at FROM ad_accounts"


@pytest.mark.parametrize(
    "error",
    [
        PlatformBusy("the platform is busy"),
        IncompleteRead("half a page"),
        AccountBlocked("the account is closed"),
        Defect("cannot happen"),
        UsageError("a setting is wrong"),
        ZeroDivisionError("sim_secret_of_a_stranger"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_family_of_failure_is_recorded_on_the_account(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Also what is raised on. Of an error that is not ours only the type: its text may hold all."""

    def fails(*_: object) -> Never:
        raise error

    monkeypatch.setattr(account_sync, "read_metrics", fails)
    with Harness(database_url, tmp_path, campaigns=1, adsets=1, ads=1) as harness:
        if isinstance(error, Defect | UsageError) or not isinstance(error, AdsyncError):
            with pytest.raises(type(error)):
                harness.sync()
        else:
            assert harness.sync().error == str(error)
        account = harness.query(ERROR)[0]

    words = str(error) if isinstance(error, AdsyncError) else "ZeroDivisionError"
    assert account["last_synced_at"] is None
    assert account["last_sync_error"].startswith(words)
    assert "sim_secret" not in account["last_sync_error"]


def test_a_persons_wrong_question_is_no_failure_of_the_account(
    database_url: str, tmp_path: Path
) -> None:
    """Days the platform does not report are told to who asked for them; the account is well."""
    with Harness(database_url, tmp_path, campaigns=1, adsets=1, ads=1) as harness:
        tomorrow = harness.today() + timedelta(days=1)
        with pytest.raises(UsageError, match="has not begun"):
            harness.sync(scope=MetricsScope(days=DateRange(since=tomorrow, until=tomorrow)))
        assert harness.query(ERROR)[0]["last_sync_error"] is None
