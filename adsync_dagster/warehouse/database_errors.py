"""Driver errors as this project's families: what to do next, and never a value or a password.

A DETAIL line quotes the row that failed and a connection string may hold a password, so only
the server's primary message and its code are kept, and the driver's exception is not chained.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors as pg
from sqlalchemy.engine import URL
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from adsync_dagster.errors import AdsyncError, Defect, Retryable, Unreachable, UsageError

#: Waiting helps: nothing of the transaction was kept, the next attempt starts afresh.
_RETRYABLE = (
    pg.SerializationFailure,
    pg.DeadlockDetected,
    pg.LockNotAvailable,
    pg.QueryCanceled,
    pg.IdleInTransactionSessionTimeout,
    pg.AdminShutdown,
    pg.CrashShutdown,
    pg.CannotConnectNow,
    pg.TooManyConnections,
    pg.OutOfMemory,
    pg.ReadOnlySqlTransaction,
    pg.ObjectInUse,
)


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors raised in the block into Retryable or Defect."""
    try:
        yield
    except (psycopg.Error, PoolTimeoutError) as error:
        raise family_of(error) from None


def family_of(error: Exception) -> AdsyncError:
    """The family an error of the driver belongs to, in a sentence without values."""
    if isinstance(error, PoolTimeoutError):
        return Retryable("no database connection became free in time")
    if not isinstance(error, psycopg.Error):
        return Defect(f"the database driver failed with {type(error).__name__}")
    code = error.sqlstate or ""
    if (mendable := _mendable(error, code)) is not None:
        return mendable
    if isinstance(error, _RETRYABLE):
        return Retryable(f"the database could not finish the work now: {_primary(error)} ({code})")
    if not code and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return Retryable("the connection to the database was lost; nothing unfinished was kept")
    return Defect(f"the database refused a statement: {_primary(error)} ({code or 'no code'})")


def _mendable(error: psycopg.Error, code: str) -> AdsyncError | None:
    """What a person has to change about the server; None for everything else."""
    if isinstance(error, pg.DiskFull):
        return Retryable(
            "the disk of the database server is full: free space there, the work stays pending"
            f" ({code})"
        )
    if isinstance(error, pg.InsufficientPrivilege):
        return UsageError(
            f"the database user lacks a right: {_primary(error)} ({code}); run `adsync migrate` as"
            " the owner of the tables, everything else as a member of adsync_writer"
        )
    return None


def connect_error(
    error: BaseException | None,
    url: URL,
    *,
    seen_before: bool,
    setting: str = "ADSYNC_DATABASE_URL",
) -> AdsyncError:
    """Why no connection could be opened. The URL's password is not in the message."""
    text = str(error)
    where = _place(url)
    if (refusal := _refusal(text, url, setting)) is not None:
        return UsageError(f"the {refusal}")
    if os.strerror(errno.ENOSPC) in text:
        return Retryable(f"the disk of the database at {where} is full: free space there")
    if seen_before or any(
        sign in text
        for sign in ("starting up", "shutting down", "too many", "recovery", "remaining connection")
    ):
        return Retryable(f"the database at {where} takes no connections at the moment")
    return Unreachable(
        f"no database answers at {where}; check that it runs and that {setting} is right"
    )


def _refusal(text: str, url: URL, setting: str) -> str | None:
    """What the server has against the URL; None when it did not refuse it."""
    where = _place(url)
    if "password authentication failed" in text or "no password supplied" in text:
        return (
            f"database at {where} refused the password of user {url.username};"
            f" correct it in {setting}"
        )
    if "database" in text and "does not exist" in text and "role" not in text:
        return (
            f"server at {where} has no database {url.database};"
            f" create it (createdb {url.database}) or correct {setting}"
        )
    if "role" in text and "does not exist" in text:
        return f"server at {where} has no user {url.username}; correct {setting}"
    if "no pg_hba.conf entry" in text:
        return f"server at {where} does not let user {url.username} in from here"
    return None


def _place(url: URL) -> str:
    host = url.host or url.query.get("host") or "the local socket"
    return f"{host}:{url.port}" if url.port else str(host)


def _primary(error: psycopg.Error) -> str:
    return error.diag.message_primary or type(error).__name__
