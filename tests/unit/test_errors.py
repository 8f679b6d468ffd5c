"""The error families: one word per family, and nothing that carries more than its message."""

from __future__ import annotations

import pickle

import pytest

from adsync_dagster import errors

FAMILIES = {
    "Retryable": "retryable",
    "PlatformBusy": "retryable",
    "IncompleteRead": "retryable",
    "TooMuchData": "retryable",
    "OutdatedRead": "retryable",
    "AccountBusy": "retryable",
    "Blocked": "blocked",
    "CredentialBlocked": "blocked",
    "PermissionBlocked": "blocked",
    "AccountBlocked": "blocked",
    "Defect": "defect",
    "UsageError": "usage",
    "Unreachable": "usage",
    "AdsyncError": "defect",
}


def all_errors() -> dict[str, type[errors.AdsyncError]]:
    """Every error class the module defines."""
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.AdsyncError)
    }


def test_every_error_has_its_family() -> None:
    """A new error class must be put into a family here, and into the tree of the docstring."""
    assert {name: kind.family for name, kind in all_errors().items()} == FAMILIES
    assert errors.__doc__
    assert all(name in errors.__doc__ for name in FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_errors_are_documented(name: str) -> None:
    """Each class says in one sentence what happened."""
    assert all_errors()[name].__doc__


def test_blocked_errors_carry_a_word_for_the_row() -> None:
    """Each blocked error has its own machine-readable reason, kept on pending rows."""
    reasons = [kind.reason for kind in all_errors().values() if issubclass(kind, errors.Blocked)]
    assert sorted(reasons) == ["account", "blocked", "credential", "permission"]


def test_a_retryable_error_keeps_the_platforms_wish() -> None:
    """How long to wait travels with the error, and is None when the platform did not say."""
    assert errors.PlatformBusy("throttled", retry_after_seconds=30).retry_after_seconds == 30
    assert errors.IncompleteRead("half a body").retry_after_seconds is None


@pytest.mark.parametrize("name", FAMILIES)
def test_an_error_survives_a_process_boundary(name: str) -> None:
    """Dagster may pickle an error; class and message come back."""
    error = all_errors()[name]("account facebook:act_1 is closed")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(again) is type(error)
    assert str(again) == str(error)
