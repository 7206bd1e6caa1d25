"""What differs between databases, and how a prepared statement is run.

Statements are written with SQLAlchemy Core, compiled once for a database, and then handed to its
driver as text: of one allocation's time, compiling and result wrapping would be the larger part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import sqlalchemy as sa

Row = tuple[Any, ...]


class Busy(Exception):
    """The database asks to run the transaction again: a lock wait, a deadlock, a serialisation."""


class Duplicate(Exception):
    """A unique constraint refused a row."""


class Dialect(Protocol):
    """One kind of database."""

    #: Text that begins a transaction that writes, and one that only reads.
    begin_write: str
    begin_read: str

    #: Whether the driver tells the key of an inserted row by itself; ``RETURNING`` is not needed then.
    tells_key: bool

    def engine(self, url: sa.URL, *, create: bool) -> sa.Engine:
        """Open a connection pool.

        :param create: whether a database that does not exist may be made.
        :raises NotInitialised: when it does not exist and may not be made.
        """

    def translate(self, error: Exception) -> Exception:
        """The error to raise in place of one of the driver's, told apart by its code."""


class Statement:
    """A Core statement, compiled for one database."""

    __slots__ = ("_constants", "_names", "text")

    def __init__(self, clause: sa.ClauseElement, dialect: sa.Dialect) -> None:
        compiled: Any = clause.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        self.text = str(compiled)
        self._names: Sequence[str] | None = compiled.positiontup
        # Some dialects turn constants of a statement into parameters (SQLite: OFFSET 0).
        self._constants = {
            name: value for name, value in compiled.params.items() if value is not None
        }

    def bind(self, values: Mapping[str, Any]) -> Any:
        """The parameters in the form the driver takes."""
        if self._constants:
            values = {**self._constants, **values}
        if self._names is None:
            return values
        return tuple([values[name] for name in self._names])


class Runner:
    """Runs statements on one DBAPI connection."""

    __slots__ = ("_cursor", "_dialect", "_prepared", "_tells_key", "statements")

    def __init__(
        self,
        cursor: Any,
        dialect: sa.Dialect,
        prepared: dict[Any, Statement],
        *,
        tells_key: bool,
    ) -> None:
        self._cursor = cursor
        self._dialect = dialect
        self._prepared = prepared
        self._tells_key = tells_key
        self.statements = 0

    def _statement(self, clause: sa.ClauseElement) -> Statement:
        # Clauses are module constants or cached by shape, so that identity is a safe key.
        found = self._prepared.get(clause)
        if found is None:
            found = self._prepared[clause] = Statement(clause, self._dialect)
        return found

    def text(self, text: str) -> None:
        """Run plain text without parameters."""
        self.statements += 1
        self._cursor.execute(text)

    def rows(self, clause: sa.ClauseElement, **values: Any) -> list[Row]:
        """Run a query."""
        statement = self._statement(clause)
        self.statements += 1
        self._cursor.execute(statement.text, statement.bind(values))
        found: list[Row] = self._cursor.fetchall()
        return found

    def once(self, clause: sa.ClauseElement, **values: Any) -> list[Row]:
        """Run a query whose text is not worth keeping."""
        statement = Statement(clause, self._dialect)
        self.statements += 1
        self._cursor.execute(statement.text, statement.bind(values))
        found: list[Row] = self._cursor.fetchall()
        return found

    def one(self, clause: sa.ClauseElement, **values: Any) -> Row | None:
        """Run a query for its first row."""
        found = self.rows(clause, **values)
        return found[0] if found else None

    def write(self, clause: sa.ClauseElement, **values: Any) -> int:
        """Run a change; return how many rows it met."""
        statement = self._statement(clause)
        self.statements += 1
        self._cursor.execute(statement.text, statement.bind(values))
        count: int = self._cursor.rowcount
        return count

    def write_all(self, clause: sa.ClauseElement, rows: Iterable[Mapping[str, Any]]) -> int:
        """Run a change once a row; return how many rows all of them met."""
        bound = list(rows)
        if not bound:
            return 0
        if len(bound) == 1:
            return self.write(clause, **bound[0])
        statement = self._statement(clause)
        self.statements += 1
        self._cursor.executemany(statement.text, [statement.bind(values) for values in bound])
        count: int = self._cursor.rowcount
        return count

    def insert(self, clause: sa.ClauseElement, **values: Any) -> int:
        """Run an ``INSERT … RETURNING`` of one row; return the first column."""
        key: int = self.rows(clause, **values)[0][0]
        return key

    def insert_for_key(self, plain: sa.Insert, returning: sa.ClauseElement, **values: Any) -> int:
        """Run an ``INSERT`` of one row; return its key by the quickest way that the driver has.

        :param returning: the same statement with ``RETURNING`` its key.
        """
        if not self._tells_key:
            return self.insert(returning, **values)
        self.write(plain, **values)
        key: int = self._cursor.lastrowid
        return key
