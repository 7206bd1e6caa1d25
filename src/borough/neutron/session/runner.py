"""The engine's statements on the connection of Neutron's own session.

No second connection, no commit, no rollback: what is written here stands or falls with the port. A
statement goes through SQLAlchemy's connection, so that Neutron's own translation of database errors, its
logging and its counters see it like any other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, TypeGuard

import sqlalchemy as sa
from oslo_db import exception as db_exc

from borough.domain.space.inspection import Finding
from borough.domain.space.partitions import ALONE, Partition
from borough.errors import FixInput
from borough.store.sql import schema as t
from borough.store.sql.dialect import Giver, LockRequest, Writer
from borough.store.sql.failures import Busy, Duplicate
from borough.store.sql.runner import Row, Runner, Statement

#: Errors of MariaDB after which a transaction begins anew, and which Neutron does not know as such.
_LOST: Final = (
    1020,  # ER_CHECKREAD: a row has changed since the snapshot (innodb_snapshot_isolation, on from 11.6.2)
    1467,  # ER_AUTOINC_READ_FAILED: a deadlock over the lock that ids are given under
)

_NUMBERED: Final = re.compile(r"\$(\d+)")


@lru_cache(maxsize=64)
def _with_names(text: str) -> str:
    """``$1`` as ``%(p1)s``: Neutron's driver for PostgreSQL knows no numbered parameters."""
    return _NUMBERED.sub(r"%(p\1)s", text)


class SessionCursor:
    """As much of a DBAPI cursor as :class:`~borough.store.sql.dialect.Runner` needs."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._is_postgresql = connection.dialect.name == "postgresql"
        self._result: Any = None

    def execute(self, text: str, values: Any = None) -> None:
        """Run a statement."""
        if isinstance(values, list):
            if self._is_postgresql:
                text = _with_names(text)
                values = {f"p{at}": value for at, value in enumerate(values, 1)}
            else:
                values = tuple(values)
        self._run(text, values or None)

    def executemany(self, text: str, rows: Sequence[Any]) -> None:
        """Run a statement once a row."""
        self._run(text, list(rows))

    def _run(self, text: str, values: Any) -> None:
        self._result = self._connection.exec_driver_sql(
            text, values, execution_options={"preserve_rowcount": True}
        )

    def fetchall(self) -> list[Row]:
        """All rows; binary columns as bytes."""
        if not self._result.returns_rows:
            return []
        return [
            tuple([bytes(each) if isinstance(each, memoryview) else each for each in row])
            for row in self._result.fetchall()
        ]

    def nextset(self) -> None:
        """There is no more: what is left of an answer is read when the cursor is closed."""

    @property
    def rowcount(self) -> int:
        """How many rows the last statement met."""
        count: int = self._result.rowcount
        return count

    @property
    def lastrowid(self) -> int:
        """The key of the row that was inserted last."""
        key: int = self._result.lastrowid
        return key


class SessionRunner(Runner):
    """Runs statements inside a transaction that began before the driver was asked.

    MariaDB shows a transaction what was committed before its first read, and Neutron reads much before it
    asks for an address: decided on such a view, nearly every plan would lose its race. So what is
    decided on is read with a lock, which reads what is there now. On PostgreSQL the lock keeps others
    away from it; they take something else meanwhile.

    :ivar locks: whether blocks and runs are read with a lock.
    """

    __slots__ = ("locks",)

    def __init__(self, *args: Any, locks: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.locks = locks

    def _compile(self, clause: sa.ClauseElement) -> Statement:
        # All sessions of a backend lock or none does: what is kept is the same for all of them.
        if self.locks and _reads_space(clause):
            clause = clause.with_for_update()
        return super()._compile(clause)


def _number(error: Exception) -> int:
    """MariaDB's number of an error, as the driver or Neutron's translation raises it; 0 for none."""
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
    can_guess = False

    def __init__(self, dialect: sa.Dialect) -> None:
        self.name = dialect.name
        if self.name == "mysql" and not getattr(dialect, "is_mariadb", False):
            raise FixInput("Borough needs MariaDB 10.6 or later; MySQL lacks INSERT … RETURNING")
        self.is_server = self.name != "sqlite"
        self.tells_key = self.name != "postgresql"
        self.giver: Giver | None = None
        self.writer: Writer | None = None
        if self.name == "postgresql":
            from borough.store.sql.dialects.postgresql_give import PostgresqlGiver
            from borough.store.sql.dialects.postgresql_write import PostgresqlWriter

            self.giver, self.writer = PostgresqlGiver(), PostgresqlWriter(inside=True)
        elif self.name in ("mysql", "mariadb"):
            from borough.store.sql.dialects.mariadb_give import MariadbGiver
            from borough.store.sql.dialects.mariadb_write import MariadbWriter

            self.giver, self.writer = MariadbGiver(inside=True), MariadbWriter()

    @property
    def locks(self) -> bool:
        """Whether space is read with a lock; see :class:`SessionRunner`."""
        return self.is_server

    @property
    def reads_late(self) -> bool:
        """True when a plain read shows the state at the beginning of the transaction, not the present one."""
        return self.name in ("mysql", "mariadb")

    @property
    def is_spoilt(self) -> bool:
        """Whether a statement that fails spoils the transaction, unless a savepoint was set before."""
        return self.name == "postgresql"

    def engine(self, url: sa.URL, *, create: bool) -> sa.Engine:
        """None is ever made."""
        raise NotImplementedError

    def compiler(self, engine: sa.Engine) -> sa.Dialect:
        """See :meth:`borough.store.sql.dialect.Dialect.compiler`."""
        return engine.dialect

    def cursor(self, connection: Any) -> SessionCursor:
        """See :meth:`borough.store.sql.dialect.Dialect.cursor`."""
        return SessionCursor(connection)

    def partition(self, connection: Any) -> Partition:
        """See :meth:`borough.store.sql.dialect.Dialect.lane`."""
        if self.name not in ("mysql", "mariadb"):
            return ALONE
        found = connection.exec_driver_sql(
            "SHOW GLOBAL STATUS WHERE variable_name IN ('wsrep_local_index', 'wsrep_cluster_size')"
        )
        counts = {name.lower(): int(value) for name, value in found.fetchall()}
        index, size = counts.get("wsrep_local_index", 0), counts.get("wsrep_cluster_size", 0)
        # Without a cluster there is no size, and the index is a number that is none.
        return Partition(index, size) if size > 1 and index < size else ALONE

    def begin_locked(self, _runner: Runner, _line: LockRequest) -> None:
        """Neutron's transaction has read before, and begins anew when it lost."""

    def risks(self, _runner: Runner) -> list[Finding]:
        """None is looked for: the server is Neutron's."""
        return []

    def limit(self, connection: Any, seconds: float) -> None:
        """None: Neutron's operator sets one, if any."""

    def horizon(self, runner: Runner) -> int:
        """Events are read by others."""
        raise NotImplementedError

    def is_alive(self, _connection: Any) -> bool:
        """Neutron's pool looks after its connections."""
        return True

    def translate(self, error: Exception) -> Exception:
        """See :meth:`borough.store.sql.dialect.Dialect.translate`; most are left to Neutron."""
        if isinstance(error, db_exc.DBDuplicateEntry):
            return Duplicate(str(error))
        if isinstance(error, db_exc.DBReferenceError):
            # The subnet was removed meanwhile, or an address came into it.
            return Busy(str(error))
        if _number(error) in _LOST:
            return Busy(str(error))
        return error
