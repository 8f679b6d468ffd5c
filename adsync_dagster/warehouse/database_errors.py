"""Driver errors as this project's families: what to do next, and never a value or a password.

A DETAIL line quotes the row that failed and a connection string may hold a password, so only
the server's primary message and its code are kept, and the driver's exception is not chained.
"""

from __future__ import annotations

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
    pg.DiskFull,
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
    if isinstance(error, _RETRYABLE):
        return Retryable(f"the database could not finish the work now: {_primary(error)} ({code})")
    if not code and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return Retryable("the connection to the database was lost; nothing unfinished was kept")
    return Defect(f"the database refused a statement: {_primary(error)} ({code or 'no code'})")


def connect_error(error: BaseException | None, url: URL, *, seen_before: bool) -> AdsyncError:
    """Why no connection could be opened. The URL's password is not in the message."""
    text = str(error)
    where = _place(url)
    if "password authentication failed" in text or "no password supplied" in text:
        return UsageError(
            f"the database at {where} refused the password of user {url.username};"
            " correct it in ADSYNC_DATABASE_URL"
        )
    if "database" in text and "does not exist" in text and "role" not in text:
        return UsageError(
            f"the server at {where} has no database {url.database};"
            f" create it (createdb {url.database}) or correct ADSYNC_DATABASE_URL"
        )
    if "role" in text and "does not exist" in text:
        return UsageError(
            f"the server at {where} has no user {url.username}; correct ADSYNC_DATABASE_URL"
        )
    if "no pg_hba.conf entry" in text:
        return UsageError(f"the server at {where} does not let user {url.username} in from here")
    if seen_before or any(
        sign in text
        for sign in ("starting up", "shutting down", "too many", "recovery", "remaining connection")
    ):
        return Retryable(f"the database at {where} takes no connections at the moment")
    return Unreachable(
        f"no database answers at {where}; check that it runs and that ADSYNC_DATABASE_URL is right"
    )


def _place(url: URL) -> str:
    host = url.host or url.query.get("host") or "the local socket"
    return f"{host}:{url.port}" if url.port else str(host)


def _primary(error: psycopg.Error) -> str:
    return error.diag.message_primary or type(error).__name__
