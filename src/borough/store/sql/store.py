"""The store on an SQL database: connections, transactions, retries, schema."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from borough.domain.model import Catalogue
from borough.errors import Contended, Corrupt
from borough.store.port import LostRace, Unit
from borough.store.sql import migrate
from borough.store.sql.dialect import Busy, Dialect, Runner, Statement
from borough.store.sql.probes import Probes
from borough.store.sql.unit import SqlUnit

T = TypeVar("T")

#: How often a unit of work is run before its caller is told that others are in the way.
ATTEMPTS: Final = 24

#: And for how long, in seconds.
PATIENCE: Final = 30.0


class SqlStore:
    """See :class:`borough.store.port.Store`."""

    def __init__(self, engine: sa.Engine, dialect: Dialect, *, patience: float = PATIENCE) -> None:
        self._engine = engine
        self._dialect = dialect
        self._patience = patience
        self._prepared: dict[Any, Statement] = {}
        self._catalogue: Catalogue | None = None
        self._probes = Probes()
        #: Connections between two units of work, each with its cursor.
        self._idle: deque[tuple[Any, Any]] = deque()
        self._process = os.getpid()
        self.retries = 0
        #: Statements sent, transaction brackets included; for tests that count them.
        self.statements = 0

    @classmethod
    def open(
        cls, url: sa.URL, dialect: Dialect, *, create: bool = False, patience: float = PATIENCE
    ) -> SqlStore:
        """Connect, and make sure that the schema is the one of this release.

        :param create: make or upgrade the schema.
        :raises NotInitialised: there is no database, or an empty one, and ``create`` is not set.
        :raises NotOurDatabase: there are tables, but none of ours.
        :raises SchemaTooOld: the schema is of an older release, and ``create`` is not set.
        :raises SchemaTooNew: the schema is of a newer release.
        """
        engine = dialect.engine(url, create=create)
        try:
            if create:
                migrate.upgrade(engine)
            else:
                migrate.check(engine)
        except sa.exc.DBAPIError as error:
            engine.dispose()
            raise dialect.translate(_original(error)) from error
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, dialect, patience=patience)

    def transact(self, work: Callable[[Unit], T], *, write: bool = True) -> T:
        """See :meth:`borough.store.port.Store.transact`."""
        deadline = time.monotonic() + self._patience
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._once(work, write=write)
            except (LostRace, Busy) as lost:
                if attempt >= ATTEMPTS or time.monotonic() >= deadline:
                    raise self._give_up(lost, attempt) from lost
                self.retries += 1

    def _give_up(self, lost: Exception, attempts: int) -> Exception:
        if isinstance(lost, LostRace) and isinstance(lost.__cause__, Exception):
            return Corrupt(
                "the tables contradict each other: an address is marked free and held at once; "
                "run `borough audit --repair`",
                attempts=attempts,
            )
        return Contended(
            "other transactions were in the way for longer than the bounded wait; try again",
            attempts=attempts,
        )

    def _once(self, work: Callable[[Unit], T], *, write: bool) -> T:
        with self._runner() as (run, connection):
            run.text(self._dialect.begin_write if write else self._dialect.begin_read)
            try:
                unit = SqlUnit(run, self._catalogue, self._dialect.translate, self._probes)
                answer = work(unit)
                run.text("COMMIT")
            except BaseException:
                connection.rollback()
                raise
            finally:
                self.statements += run.statements
            if unit.cacheable is not None:
                self._catalogue = unit.cacheable
            return answer

    @contextmanager
    def _runner(self) -> Iterator[tuple[Runner, Any]]:
        """A connection, and every error of the driver translated in one place.

        A connection whose unit ended well is kept at hand, still checked out of the pool: to hand it
        back and take it out again would cost a tenth of an allocation. One whose unit failed goes
        back to the pool, which knows whether it is still good.
        """
        if self._process != os.getpid():
            self._leave_parent()
        try:
            try:
                kept = self._idle.pop()
            except IndexError:
                connection = self._engine.raw_connection()
                kept = (connection, connection.cursor())
            try:
                yield self._run_on(kept[1]), kept[0]
            except BaseException:
                kept[0].close()
                raise
            self._idle.append(kept)
        except sa.exc.DBAPIError as error:
            raise self._dialect.translate(_original(error)) from error
        except Exception as error:
            translated = self._dialect.translate(error)
            if translated is error:
                raise
            raise translated from error

    def _run_on(self, cursor: Any) -> Runner:
        return Runner(
            cursor, self._engine.dialect, self._prepared, tells_key=self._dialect.tells_key
        )

    def _leave_parent(self) -> None:
        """Forget the connections of the process that this one was forked from.

        Two processes on one connection would answer each other's queries, and SQLite's locks would be
        lost with the first of them to close its file.
        """
        self._engine.dispose(close=False)
        self._idle = deque()
        self._process = os.getpid()

    def close(self) -> None:
        """Close all connections."""
        while self._idle:
            self._idle.pop()[0].close()
        self._engine.dispose()


def _original(error: sa.exc.DBAPIError) -> Exception:
    return error.orig if isinstance(error.orig, Exception) else error
