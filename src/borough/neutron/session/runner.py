"""The engine's statements on the connection of Neutron's own session.

There is no second connection, commit or rollback: an address is committed or rolled back with its port. A
statement uses SQLAlchemy's connection, so that Neutron's translation of errors, logging and counters apply.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, TypeGuard

import sqlalchemy as sa
from oslo_db import exception as db_exc

from borough.domain.space.findings import Finding
from borough.domain.space.partitions import ALONE, Partition
from borough.errors import FixInput
from borough.store.sql import schema as t
from borough.store.sql.dialect import Giver, LockRequest, Sharer, Writer
from borough.store.sql.failures import Busy, Duplicate
from borough.store.sql.runner import Row, Runner, Statement

#: Errors of MariaDB after which a transaction must be repeated, and which Neutron does not repeat.
_LOST: Final = (
    1020,  # ER_CHECKREAD: a row has changed since the snapshot (innodb_snapshot_isolation, on from 11.6.2)
    1467,  # ER_AUTOINC_READ_FAILED: a deadlock over the lock of an auto-increment counter
)

_NUMBERED: Final = re.compile(r"\$(\d+)")


@lru_cache(maxsize=64)
def _with_names(text: str) -> str:
    """``$1`` as ``%(p1)s``: psycopg2 has no numbered parameters."""
    return _NUMBERED.sub(r"%(p\1)s", text)


class SessionCursor:
    """The part of a DBAPI cursor that :class:`~borough.store.sql.runner.Runner` uses."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._is_postgresql = connection.dialect.name == "postgresql"
        self._result: Any = None

    def execute(self, text: str, values: Any = None) -> None:
        if isinstance(values, list):
            if self._is_postgresql:
                text = _with_names(text)
                values = {f"p{at}": value for at, value in enumerate(values, 1)}
            else:
                values = tuple(values)
        self._run(text, values or None)

    def executemany(self, text: str, rows: Sequence[Any]) -> None:
        self._run(text, list(rows))

    def _run(self, text: str, values: Any) -> None:
        self._result = self._connection.exec_driver_sql(
            text, values, execution_options={"preserve_rowcount": True}
        )

    def fetchall(self) -> list[Row]:
        """All rows, with binary columns as bytes."""
        if not self._result.returns_rows:
            return []
        return [
            tuple([bytes(each) if isinstance(each, memoryview) else each for each in row])
            for row in self._result.fetchall()
        ]

    def nextset(self) -> None:
        """Do nothing: closing the cursor reads the rest of an answer."""

    @property
    def rowcount(self) -> int:
        count: int = self._result.rowcount
        return count

    @property
    def lastrowid(self) -> int:
        key: int = self._result.lastrowid
        return key


class SessionRunner(Runner):
    """Runs statements inside a transaction that Neutron began earlier.

    MariaDB shows a transaction the state before its first read, and Neutron reads much before it requests an
    address. With such a view nearly every plan would lose its race. So the rows of a decision are read with a
    lock: a locking read shows the present state. On PostgreSQL other transactions skip the locked rows.

    :ivar locks: blocks and free ranges are read with a lock.
    """

    __slots__ = ("locks",)

    def __init__(self, *args: Any, locks: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.locks = locks

    def _compile(self, clause: sa.ClauseElement) -> Statement:
        # Either all sessions of a backend lock or none, so they can share cached statements.
        if self.locks and _reads_space(clause):
            clause = clause.with_for_update()
        return super()._compile(clause)


def _number(error: Exception) -> int:
    """MariaDB's number of an error, raised by the driver or translated by Neutron; 0 for none."""
    raised = error.inner_exception if isinstance(error, db_exc.DBError) else error
    driver = raised.orig if isinstance(raised, sa.exc.DBAPIError) else None
    number = driver.args[0] if driver is not None and driver.args else 0
    return number if isinstance(number, int) else 0


def _reads_space(clause: sa.ClauseElement) -> TypeGuard[sa.Select[Any]]:
    if not isinstance(clause, sa.Select):
        return False
    froms = clause.get_final_froms()
    return len(froms) == 1 and (froms[0] is t.block or froms[0] is t.free_range)


class SessionDialect:
    """See :class:`borough.store.sql.dialect.Dialect`; transactions are Neutron's."""

    begin_write = ""
    begin_read = ""

    def __init__(self, dialect: sa.Dialect) -> None:
        self.name = dialect.name
        if self.name == "mysql" and not getattr(dialect, "is_mariadb", False):
            raise FixInput("Borough needs MariaDB 10.6 or later; MySQL lacks INSERT … RETURNING")
        self.is_server = self.name != "sqlite"
        self.tells_key = self.name != "postgresql"
        self.giver: Giver | None = None
        self.sharer: Sharer | None = None
        self.writer: Writer | None = None
        if self.name == "postgresql":
            from borough.store.sql.dialects.postgresql_give import PostgresqlGiver
            from borough.store.sql.dialects.postgresql_write import PostgresqlWriter

            self.giver, self.writer = PostgresqlGiver(inside=True), PostgresqlWriter()
        elif self.name in ("mysql", "mariadb"):
            from borough.store.sql.dialects.mariadb_give import MariadbGiver
            from borough.store.sql.dialects.mariadb_write import MariadbWriter

            self.giver, self.writer = MariadbGiver(inside=True), MariadbWriter()

    @property
    def locks(self) -> bool:
        """True when space is read with a lock; see :class:`SessionRunner`."""
        return self.is_server

    @property
    def reads_late(self) -> bool:
        """True when a plain read shows the state at the beginning of the transaction, not the present one."""
        return self.name in ("mysql", "mariadb")

    @property
    def is_spoilt(self) -> bool:
        """True when a failed statement aborts the transaction, unless it ran in a savepoint."""
        return self.name == "postgresql"

    def engine(self, url: sa.URL, *, create: bool) -> sa.Engine:
        # Neutron opens the connections.
        raise NotImplementedError

    def compiler(self, engine: sa.Engine) -> sa.Dialect:
        return engine.dialect

    def cursor(self, connection: Any) -> SessionCursor:
        return SessionCursor(connection)

    def partition(self, connection: Any) -> Partition:
        if self.name not in ("mysql", "mariadb"):
            return ALONE
        from borough.store.sql.dialects import mariadb

        return mariadb.partition_of(connection.exec_driver_sql(mariadb.CLUSTER_STATUS).fetchall())

    def begin_locked(self, _runner: Runner, _request: LockRequest) -> None:
        """Do nothing: Neutron's transaction has begun, and Neutron repeats it after a conflict."""

    def risks(self, _runner: Runner) -> list[Finding]:
        """None: the server is Neutron's."""
        return []

    def limit(self, connection: Any, seconds: float) -> None:
        """Do nothing: the operator of Neutron sets a limit."""

    def horizon(self, runner: Runner) -> int:
        # Other processes read events.
        raise NotImplementedError

    def is_alive(self, _connection: Any) -> bool:
        """True: Neutron's pool checks its connections."""
        return True

    def translate(self, error: Exception) -> Exception:
        """See :meth:`borough.store.sql.dialect.Dialect.translate`; Neutron translates most errors."""
        if isinstance(error, db_exc.DBDuplicateEntry):
            return Duplicate(str(error))
        if isinstance(error, db_exc.DBReferenceError):
            # Another transaction removed the subnet, or allocated an address of it.
            return Busy(str(error))
        if _number(error) in _LOST:
            return Busy(str(error))
        return error
