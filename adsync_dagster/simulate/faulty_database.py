"""The warehouse's own Database, over connections whose statements and commits can fail.

Nothing of the engine is replaced: SQLAlchemy's pool opens psycopg connections of the class
below, which sends every statement and every commit through the tap.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.pool import QueuePool

from adsync_dagster.clock import Clock
from adsync_dagster.errors import Defect
from adsync_dagster.simulate.io import IoFaultKind, IoKind, IoTap
from adsync_dagster.simulator.oracle_queries import oracle_queries
from adsync_dagster.warehouse.database import Database
from adsync_dagster.warehouse.queries import queries

#: What the warehouse sends before each piece of work to pass the virtual clock on. It is not
#: counted, since nothing can be lost there, and not repeated while the clock stands still.
_CLOCK = queries["set_virtual_time"]
#: SQLAlchemy's question whether a pooled connection is alive; a local one is asked for free.
_PING = ";"
_GONE_SECONDS_MAX = 10.0
#: More than there are different statements.
PREPARED_MAX = 300


class _FaultyCursor(psycopg.Cursor[Any]):
    """A cursor whose statements pass the tap."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        connection = self.connection
        if not isinstance(connection, FaultyConnection):
            return super().execute(query, params, **options)
        if query == _PING and not connection.closed:
            return self
        if query == _CLOCK:
            if connection.told == params["now"] and not connection.closed:
                return self
            super().execute(query, params, **options)
            connection.told = params["now"]
            return self
        return connection.pass_statement(
            lambda: super(_FaultyCursor, self).execute(query, params, **options)
        )

    def copy(self, statement: Any, params: Any = None, *, writer: Any = None) -> Any:
        connection = self.connection
        if not isinstance(connection, FaultyConnection):
            return super().copy(statement, params, writer=writer)
        return connection.pass_statement(
            lambda: super(_FaultyCursor, self).copy(statement, params, writer=writer)
        )


class FaultyConnection(psycopg.Connection[Any]):
    """A connection of a simulated process."""

    tap: IoTap | None = None
    #: The instant the server was told last.
    told: str | None = None

    def pass_statement(self, act: Any) -> Any:
        """Run a statement unless the tap says otherwise."""
        if self.tap is None:
            return act()
        return self.tap.passing(IoKind.STATEMENT, act, self._error)

    @contextmanager
    def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> Iterator[psycopg.Transaction]:
        """A transaction whose commit passes the tap."""
        manager = super().transaction(savepoint_name, force_rollback)
        transaction = manager.__enter__()
        try:
            yield transaction
        except BaseException as error:
            self.told = None
            # A dead process cannot roll back; the server does it when the connection is gone.
            if not (self.tap is not None and self.tap.dead):
                manager.__exit__(type(error), error, error.__traceback__)
            raise
        if self.tap is None:
            manager.__exit__(None, None, None)
            return
        committed = False

        def commit() -> None:
            nonlocal committed
            committed = True
            manager.__exit__(None, None, None)

        try:
            self.tap.passing(IoKind.COMMIT, commit, self._error)
        except psycopg.Error as error:
            if not committed:
                manager.__exit__(type(error), error, error.__traceback__)
            raise

    def _error(self, kind: IoFaultKind) -> Exception:
        if kind is IoFaultKind.ERROR:
            if self.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS:
                # The server, too, must refuse everything until the transaction is rolled back.
                self.pgconn.exec_(oracle_queries["fail"].encode())
            return psycopg.errors.SerializationFailure("simulated serialization failure")
        self.pgconn.finish()
        return psycopg.OperationalError("simulated loss of the connection")


#: Connections in good order that an earlier life of the engine left, by what they were for.
Spare = dict[str, list[FaultyConnection]]


class FaultyDatabase(Database):
    """The warehouse database as one simulated process has it."""

    def __init__(
        self, url: str, clock: Clock, tap: IoTap, seed: int, spare: Spare | None = None
    ) -> None:
        super().__init__(url, clock)
        self._tap = tap
        self._opened: list[FaultyConnection] = []
        self._seed = seed
        self._spare: Spare = {} if spare is None else spare
        tap.on_crash = self.cut
        for kind, engine in self._pools():
            event.listen(engine, "do_connect", partial(self._open, kind))

    def _pools(self) -> tuple[tuple[str, Engine], ...]:
        return (("plain", self._engine), ("session", self._sessions))

    def _open(
        self, kind: str, _dialect: Any, _record: Any, arguments: Any, options: Any
    ) -> FaultyConnection:
        spare = self._spare.get(kind)
        connection = spare.pop() if spare else _connect(arguments, options)
        # The server draws some waits itself: the same ones in every replay.
        self._seed += 1
        share = (self._seed * 7919 % 1000) / 1000
        statement = oracle_queries["seed_random"].encode()
        connection.pgconn.exec_params(statement, [str(share).encode()])
        connection.told = None
        connection.tap = self._tap
        self._opened.append(connection)
        return connection

    def dispose(self) -> None:
        """End this process's use of the database: what is in good order serves the next one.

        A server process that has its catalogues and plans costs a fraction of a new one.
        """
        for kind, engine in self._pools() if not self._tap.dead else ():
            pool = engine.pool
            idle = pool.checkedin() if isinstance(pool, QueuePool) else 0
            for pooled in [engine.raw_connection() for _ in range(idle)]:
                connection = pooled.driver_connection
                pooled.detach()
                if isinstance(connection, FaultyConnection) and not connection.closed:
                    connection.tap = None
                    self._opened.remove(connection)
                    self._spare.setdefault(kind, []).append(connection)
        super().dispose()

    def cut(self) -> None:
        """Cut every connection, as the kernel does for a killed process."""
        for connection in self._opened:
            connection.pgconn.finish()


def _connect(arguments: Any, options: Any) -> FaultyConnection:
    connection = FaultyConnection.connect(*arguments, **options)
    connection.cursor_factory = _FaultyCursor
    connection.pgconn.exec_(oracle_queries["plan_once"].encode())
    connection.prepare_threshold = 0
    connection.prepared_max = PREPARED_MAX
    if isinstance(connection, FaultyConnection):
        return connection
    raise Defect("psycopg made a connection of another class")


def wait_until_unlocked(connection: psycopg.Connection[Any], statement: str) -> None:
    """Return once no session of this database holds an advisory lock.

    A closed connection's server process ends a moment later, and its locks with it; without
    this wait, chance would decide whether the next worker finds the account busy.
    """
    deadline = time.monotonic() + _GONE_SECONDS_MAX
    while time.monotonic() < deadline:
        row = connection.execute(statement.encode()).fetchone()
        if row is None or row[0] == 0:
            return
        time.sleep(0.0005)
    raise Defect("a dead session keeps its lock")
