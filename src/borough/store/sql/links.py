"""The connections of a store between units of work."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from borough.store.sql.dialect import Dialect
from borough.store.sql.failures import Gone
from borough.store.sql.giving import BoundsCache, Hints

#: Connections of a parent process: to close one here would say farewell in the parent's name.
_LEFT_ALONE: Final[list[Any]] = []


@dataclass(slots=True)
class HeldConnection:
    """A connection between two units of work, still checked out of the pool."""

    connection: Any
    cursor: Any
    bounds_cache: BoundsCache
    hints: Hints = field(default_factory=Hints)


class Links:
    """Connections at hand, and every error of the driver translated in one place.

    :ivar idle: those that no unit of work uses.
    """

    def __init__(self, engine: sa.Engine, dialect: Dialect) -> None:
        self._engine = engine
        self._dialect = dialect
        self._process = os.getpid()
        self.idle: deque[HeldConnection] = deque()

    @contextmanager
    def use(self) -> Iterator[HeldConnection]:
        """A connection, and every error of the driver translated in one place.

        A connection whose unit ended well is kept at hand, still checked out of the pool: to hand it
        back and take it out again would cost a tenth of an allocation. One whose unit failed goes
        back to the pool, which knows whether it is still good.
        """
        if self._process != os.getpid():
            self._leave_parent()
        try:
            link = self._link()
            try:
                yield link
            except BaseException as error:
                self._let_go(link, error)
                raise
            self.idle.append(link)
        except sa.exc.DBAPIError as error:
            raise self._dialect.translate(original(error)) from error
        except Exception as error:
            translated = self._dialect.translate(error)
            if translated is error:
                raise
            raise translated from error

    def _link(self) -> HeldConnection:
        while True:
            try:
                link = self.idle.pop()
            except IndexError:
                connection = self._engine.raw_connection()
                bounds_cache = BoundsCache(self._dialect.partition(connection))
                return HeldConnection(connection, self._dialect.cursor(connection), bounds_cache)
            if self._dialect.is_alive(link.connection):
                return link
            link.connection.invalidate()

    def _let_go(self, link: HeldConnection, error: BaseException) -> None:
        if isinstance(error, Exception) and not isinstance(self._dialect.translate(error), Gone):
            link.connection.close()
        else:
            # The connection is dead, or an interrupt left it in a state that nobody knows.
            link.connection.invalidate()

    def _leave_parent(self) -> None:
        """Forget the connections of the process that this one was forked from.

        Two processes on one connection would answer each other's queries, and SQLite's locks would be
        lost with the first of them to close its file.
        """
        self._engine.dispose(close=False)
        for link in self.idle:
            # Dropped as it is, the pool would send a rollback on the parent's connection.
            link.connection.detach()
            _LEFT_ALONE.append(link)
        self.idle = deque()
        self._process = os.getpid()

    def close(self) -> None:
        """Close all connections."""
        while self.idle:
            self.idle.pop().connection.close()
        self._engine.dispose()


def original(error: sa.exc.DBAPIError) -> Exception:
    """The error of the driver inside one of SQLAlchemy."""
    return error.orig if isinstance(error.orig, Exception) else error
