"""Connections: where they come from, what they are set to, and how their errors read.

Every connection is psycopg's own, in autocommit, out of a SQLAlchemy pool. An account is
written only through its `AccountSession`: one connection that holds the account's lock, so
that whoever loses the lock has lost the connection and every write on it as well. Sessions
have a pool of their own: the next one finds the stages and the server's caches warm.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

import psycopg
from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import PoolProxiedConnection

from adsync_dagster.clock import CarriedClock, Clock
from adsync_dagster.crash_points import crash_point
from adsync_dagster.errors import AccountBusy, Blocked, Defect, Retryable, UsageError
from adsync_dagster.warehouse.database_errors import connect_error, family_of, translated
from adsync_dagster.warehouse.queries import queries

Connection = psycopg.Connection[tuple[Any, ...]]

CONNECT_SECONDS_MAX = 10
SERVER_VERSION_MIN = 150_000
POOL_CONNECTIONS_MAX = 64


def parse_url(text: str, setting: str = "ADSYNC_DATABASE_URL") -> URL:
    """The database URL as SQLAlchemy's object; UsageError, without the text, when it is none."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise UsageError(
            f"{setting} is not a database URL; write"
            " postgresql://USER:PASSWORD@HOST:5432/DATABASE, with @ : / in a password"
            " percent-encoded"
        ) from None
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise UsageError(
            f"{setting} begins with {url.drivername}://;"
            " adsync keeps its data in PostgreSQL: use postgresql://"
        )
    if not url.database:
        raise UsageError(f"{setting} names no database; end it with /DATABASE")
    return url


def with_driver(text: str, driver: str, database: str | None = None) -> str:
    """The URL spelled for one driver (psycopg, psycopg2, or "" for libpq), password included."""
    name = f"postgresql+{driver}" if driver else "postgresql"
    url = parse_url(text).set(drivername=name)
    if database is not None:
        url = url.set(database=database)
    return _spelled(url)


def _spelled(url: URL) -> str:
    """The URL as every driver and psql read it.

    SQLAlchemy spells a space in the query as "+", which libpq takes for a plus sign.
    """
    user = "" if url.username is None else quote(url.username, safe="")
    if url.password is not None:
        user += ":" + quote(str(url.password), safe="")
    host = url.host or ""
    host = f"[{host}]" if ":" in host else host
    place = host if url.port is None else f"{host}:{url.port}"
    text = f"{url.drivername}://{user}{'@' if user else ''}{place}/{quote(url.database or '')}"
    if url.query:
        text += "?" + urlencode(url.query, doseq=True, quote_via=quote, safe="/")
    return text


class AccountSession:
    """One connection that holds one account's lock, and on which all its writes happen."""

    def __init__(self, connection: Connection, clock: Clock, account_id: UUID) -> None:
        self._connection = connection
        self._clock = clock
        self._account_id = account_id
        self._ended = False

    @property
    def connection(self) -> Connection:
        """The connection; a virtual clock's present instant is passed on to the server first."""
        self._require_open()
        _pass_time_on(self._connection, self._clock)
        return self._connection

    @property
    def clock(self) -> Clock:
        """The time of everything done in this session: the server's, or the virtual clock's.

        Hosts take turns at an account, each in a session of its own. Dated by the one clock of
        the server, the reads of a later session are later ones, and no host seals a day early.
        """
        return self._clock

    def end(self) -> None:
        """Give the connection up: it may serve another account from here on."""
        self._ended = True

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction: committed at the end of the block, rolled back when it raises.

        UsageError when the server's session is not the one that took the account's lock.
        """
        self._require_open()
        with translated():
            _pass_time_on(self._connection, self._clock)
            with self._connection.transaction():
                self._require_lock()
                yield self._connection
                crash_point("before_commit")
            crash_point("after_commit")

    def _require_open(self) -> None:
        if self._ended:
            raise Defect("an account session was used after its end")

    def _require_lock(self) -> None:
        row = self._connection.execute(
            queries["holds_account_lock"], {"ad_account_id": self._account_id}
        ).fetchone()
        if row is None or not row[0]:
            raise UsageError(
                "this connection does not hold the account's lock; if ADSYNC_DATABASE_URL leads to"
                " a pooler in transaction mode, use its session mode or the server's own port"
            )


class Database:
    """The warehouse database of one process. Threads share it."""

    def __init__(self, url: str, clock: Clock, *, setting: str = "ADSYNC_DATABASE_URL") -> None:
        """Connects lazily; raises UsageError at once when the URL cannot be one.

        `setting` is the variable that errors tell a person to correct.
        """
        self._url = parse_url(url, setting).set(drivername="postgresql+psycopg")
        self._setting = setting
        self._clock = clock
        self._connected_before = False
        self._engine = self._pool()
        self._sessions = self._pool()
        event.listen(self._sessions, "connect", _prepare_account_session)

    def _pool(self) -> Engine:
        engine = create_engine(
            self._url,
            pool_size=8,
            max_overflow=POOL_CONNECTIONS_MAX - 8,
            pool_pre_ping=True,
            # The connection used last has the warmest caches; those at the far end may close.
            pool_use_lifo=True,
            # Nothing here is an hstore; looking for one costs a transaction per pool.
            use_native_hstore=False,
            connect_args={
                "connect_timeout": CONNECT_SECONDS_MAX,
                "application_name": "adsync",
                # Plans stay valid while a migration runs, and poolers need no session state.
                "prepare_threshold": None,
            },
        )
        # First of all listeners: a server that is too old is asked nothing.
        event.listen(engine, "connect", _prepare, insert=True)
        return engine

    @property
    def url(self) -> str:
        """The URL this database was opened with, password included: for drivers, not for print."""
        return _spelled(self._url.set(drivername="postgresql"))

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A pooled connection in autocommit, for reading and for single statements."""
        pooled, connection = self._connect(self._engine)
        try:
            with translated():
                _pass_time_on(connection, self._clock)
                yield connection
        finally:
            pooled.close()

    @contextmanager
    def account_session(self, account_id: UUID, wait_seconds: float) -> Iterator[AccountSession]:
        """A session that holds the account's lock; AccountBusy when another one keeps it.

        The server frees the lock when the session's connection ends, however it ends. The
        connection serves another session only when the server has said that it holds no lock
        any more, and never after an error that nobody foresaw.
        """
        pooled, connection = self._connect(self._sessions)
        session: AccountSession | None = None
        foreseen = False
        try:
            with translated():
                _lock_account(connection, account_id, wait_seconds)
                session = AccountSession(
                    connection, _clock_of_server(connection, self._clock), account_id
                )
                yield session
            foreseen = True
        except (Retryable, Blocked):
            foreseen = True
            raise
        finally:
            if session is not None:
                session.end()
            if _free_account(connection, account_id) and foreseen:
                pooled.close()
            else:
                pooled.invalidate()

    def dispose(self) -> None:
        """Close every pooled connection."""
        self._engine.dispose()
        self._sessions.dispose()

    def _connect(self, engine: Engine) -> tuple[PoolProxiedConnection, Connection]:
        try:
            pooled = engine.raw_connection()
        except (psycopg.Error, DBAPIError) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            raise connect_error(
                cause, self._url, seen_before=self._connected_before, setting=self._setting
            ) from None
        except PoolTimeoutError as error:
            raise family_of(error) from None
        self._connected_before = True
        connection = pooled.driver_connection
        if not isinstance(connection, psycopg.Connection):
            raise TypeError("the engine did not hand out a psycopg connection")
        connection.autocommit = True
        return pooled, connection


def _prepare(connection: psycopg.Connection[Any], _record: object) -> None:
    """Set a new connection up, once; UsageError when the server is too old."""
    if connection.info.server_version < SERVER_VERSION_MIN:
        raise UsageError(
            f"the database is PostgreSQL {connection.info.server_version // 10_000};"
            " adsync needs PostgreSQL 15 or later"
        )
    connection.autocommit = True
    connection.execute(queries["prepare_session"])


def _pass_time_on(connection: Connection, clock: Clock) -> None:
    if clock.is_virtual:
        instant: datetime = clock.now()
        connection.execute(queries["set_virtual_time"], {"now": instant.isoformat()})


def _clock_of_server(connection: Connection, clock: Clock) -> Clock:
    """The server's time carried on; a virtual clock is the server's time already."""
    if clock.is_virtual:
        return clock
    row = connection.execute(queries["read_clock"]).fetchone()
    if row is None:
        raise Defect("the server does not tell the time")
    return CarriedClock(row[0], time.monotonic())


def _prepare_account_session(connection: psycopg.Connection[Any], _record: object) -> None:
    """Set a new connection up for staging and merging."""
    connection.execute(queries["prepare_account_session"])


def _free_account(connection: Connection, account_id: UUID) -> bool:
    """Free the lock now; whether the server says that the session holds none any more.

    Also before a connection is closed: the server notices that only a moment later.
    """
    with suppress(psycopg.Error):
        if connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            row = connection.execute(
                queries["unlock_account"], {"ad_account_id": account_id}
            ).fetchone()
            return row is not None and row[0] is True
    return False


def _lock_account(connection: Connection, account_id: UUID, wait_seconds: float) -> None:
    """Take the account's session lock in statements of their own, before any snapshot."""
    key = {"ad_account_id": account_id}
    row = connection.execute(queries["try_lock_account"], key).fetchone()
    if row is not None and row[0]:
        return
    if wait_seconds > 0:
        connection.execute(
            queries["set_lock_timeout"], {"milliseconds": str(max(1, round(wait_seconds * 1000)))}
        )
        try:
            connection.execute(queries["lock_account"], key)
        except psycopg.errors.LockNotAvailable:
            pass
        else:
            connection.execute(queries["reset_lock_timeout"])
            return
    raise AccountBusy("another worker is syncing this account; the next sync picks it up")
