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

#: Connections of a parent process; closing one here would end the parent's session.
_OF_PARENT: Final[list[Any]] = []


@dataclass(slots=True)
class HeldConnection:
    """A connection between two units of work, still checked out of the pool."""

    connection: Any
    cursor: Any
    bounds_cache: BoundsCache
    hints: Hints = field(default_factory=Hints)


class Links:
    """The connections of a store; the one place where errors of the driver are translated.

    :ivar idle: connections that no unit of work uses.
    """

    def __init__(self, engine: sa.Engine, dialect: Dialect) -> None:
        self._engine = engine
        self._dialect = dialect
        self._process = os.getpid()
        self.idle: deque[HeldConnection] = deque()

    @contextmanager
    def use(self) -> Iterator[HeldConnection]:
        """A connection, with errors of the driver translated.

        After success it stays checked out of the pool, because a return and another check-out would cost a
        tenth of an allocation. After a failure it returns to the pool, which tests it.
        """
        if self._process != os.getpid():
            self._leave_parent()
        try:
            link = self._link()
            try:
                yield link
            except BaseException as error:
                self._release(link, error)
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

    def _release(self, link: HeldConnection, error: BaseException) -> None:
        if isinstance(error, Exception) and not isinstance(self._dialect.translate(error), Gone):
            link.connection.close()
        else:
            # The connection is dead, or an interrupt left it in an unknown state.
            link.connection.invalidate()

    def _leave_parent(self) -> None:
        """Forget the connections of the process that this one was forked from.

        Two processes on one connection would read each other's answers. SQLite's locks would end when
        either closes its file.
        """
        self._engine.dispose(close=False)
        for link in self.idle:
            # Otherwise the pool would send a rollback on the parent's connection.
            link.connection.detach()
            _OF_PARENT.append(link)
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
