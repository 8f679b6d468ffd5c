"""The error families, and the one sentence a person needs for each.

AdsyncError
├── Retryable            waiting helps: nothing was written, the work stays pending
│   ├── PlatformBusy     throttled or temporarily down; carries how long to wait
│   ├── IncompleteRead   the answer was empty, cut, looping or contradicted itself
│   │   └── TooMuchData  the answer was refused as too heavy: ask for less at a time
│   ├── OutdatedRead     a read recorded as later has stored other numbers: a clock is wrong
│   └── AccountBusy      another worker holds this account's lock
├── Blocked              a person must act; the work stays pending, with the reason
│   ├── CredentialBlocked   token missing, expired, revoked, or undecipherable
│   ├── PermissionBlocked   the credential may not read this account or object
│   └── AccountBlocked      the platform closed, disabled or does not know the account
├── Defect               our own bug or a broken contract: crash, loudly
└── UsageError           bad input from a person or the environment: say what to do
    └── Unreachable      the database or its server does not answer at the given address

Messages name the account or entity and what to do next. They never carry a URL with a
query, a header, a response body or a token: Dagster stores every message for ever.
"""

from __future__ import annotations


class AdsyncError(Exception):
    """Base of every error this project raises on purpose."""

    #: What a caller has to tell apart: retryable, blocked, defect, or usage.
    family = "defect"


class Retryable(AdsyncError):
    """Waiting helps. `retry_after_seconds` is the platform's own wish, if it gave one."""

    family = "retryable"

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class PlatformBusy(Retryable):
    """The platform throttled us, timed out or failed on its own side."""


class IncompleteRead(Retryable):
    """An answer that does not prove it is whole. It is never success and never zero."""


class TooMuchData(IncompleteRead):
    """The platform refused the size of the question; smaller pages or ranges may work."""


class OutdatedRead(Retryable):
    """What was read differs from what a read recorded as later has stored; nothing was written.

    Reads and writes of an account happen one after the other, so this takes a clock that went
    back. It passes when the recorded time has come.
    """


class AccountBusy(Retryable):
    """Another worker holds the account's lock and did not let go in time."""


class Blocked(AdsyncError):
    """A person must act. `reason` is the machine-readable word kept on pending rows."""

    family = "blocked"
    reason = "blocked"


class CredentialBlocked(Blocked):
    """The credential is missing, expired, revoked or cannot be decrypted."""

    reason = "credential"


class PermissionBlocked(Blocked):
    """The credential lacks the right to read this account or object."""

    reason = "permission"


class AccountBlocked(Blocked):
    """The platform does not know the account, or has closed or disabled it."""

    reason = "account"


class Defect(AdsyncError):
    """Something that cannot happen, did. Nothing may be written after it."""


class UsageError(AdsyncError):
    """Bad input. The message is one line that says what to do."""

    family = "usage"


class Unreachable(UsageError):
    """The database does not answer where the settings say it is. The message says what to check."""
