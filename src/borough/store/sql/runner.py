"""Statements, and their execution on one connection.

Statements are written with SQLAlchemy Core, compiled once for a database, and sent by its driver as text.
Compiling and wrapping results would be the larger part of the time of an allocation.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, Final, NamedTuple, ParamSpec

import sqlalchemy as sa

from borough.store.cache import Cache
from borough.store.deadline import check

Row = tuple[Any, ...]

P = ParamSpec("P")

#: MariaDB's error number for a statement that would be one more than max_prepared_stmt_count.
_TOO_MANY_PREPARED: Final = 1461

#: Most bytes that a store keeps of ladders and statements.
KEPT: Final = 24 << 20

_PARAMETER: Final = re.compile(r"%\((\w+)\)s")


class Shaped(NamedTuple):
    """A statement that is built from the shape of a request, and cached.

    Only the text and the names of its parameters are cached. SQLAlchemy's tree is a hundred times as large.

    :ivar build: a function that depends on its arguments alone.
    """

    build: Callable[..., Any]
    shape: tuple[Hashable, ...]

    def made(self) -> Any:
        """Build it."""
        return self.build(*self.shape)


def shaped(build: Callable[P, Any]) -> Callable[P, Shaped]:
    """Decorate a function that builds a statement, to return a :class:`Shaped` instead."""

    @wraps(build)
    def describe(*shape: P.args, **named: P.kwargs) -> Shaped:
        assert not named, "arguments are positional"
        return Shaped(build, shape)

    return describe


class Statement(NamedTuple):
    """The text of a Core statement for one database.

    :ivar names: its parameters in order; None where the text names them.
    :ivar constants: parameters beside those of the caller.
    """

    text: str
    names: tuple[str, ...] | None
    constants: Mapping[str, Any]

    @classmethod
    def of(cls, clause: sa.ClauseElement, dialect: sa.Dialect) -> Statement:
        """Compile a statement."""
        compiled: Any = clause.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        names: Sequence[str] | None = compiled.positiontup
        # Some dialects turn constants of a statement into parameters (SQLite: OFFSET 0).
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        return cls(str(compiled), None if names is None else tuple(names), constants)

    def bind(self, values: Mapping[str, Any]) -> Any:
        """The parameters in the form the driver takes."""
        if self.constants:
            values = {**self.constants, **values}
        if self.names is None:
            return values
        return tuple([values[name] for name in self.names])


class Native(NamedTuple):
    """A statement in a database's own dialect, and the names of its parameters in order."""

    text: str
    names: tuple[str, ...]
    is_numbered: bool

    def bind(self, values: Mapping[str, Any]) -> Any:
        """The parameters in the form the driver takes."""
        if self.is_numbered:
            return [values[name] for name in self.names]
        return {name: values[name] for name in self.names}

    @classmethod
    def named(cls, text: str) -> Native:
        """From a text with parameters such as ``%(name)s``, for a driver that accepts these."""
        return cls(text, tuple(dict.fromkeys(_PARAMETER.findall(text))), False)

    @classmethod
    def marked(cls, text: str) -> Native:
        """From a text with parameters such as ``%(name)s``, which become question marks."""
        return cls(_PARAMETER.sub("?", text), tuple(_PARAMETER.findall(text)), True)

    @classmethod
    def numbered(cls, text: str) -> Native:
        """From a text with parameters such as ``%(name)s``, which become ``$1``, ``$2``."""
        names = tuple(dict.fromkeys(_PARAMETER.findall(text)))
        return cls(_PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", text), names, True)


class Prepared:
    """The statements that one connection to MariaDB has prepared, by their text.

    Names are reused: the server then drops the statement that had the name.
    """

    #: Most statements of a connection; a busy worker has a tenth of them.
    LIMIT: Final = 32

    def __init__(self) -> None:
        self._names: OrderedDict[str, str] = OrderedDict()
        self._spare = [f"borough_{number}" for number in range(self.LIMIT)]

    def find(self, text: str) -> str | None:
        """The name of a statement; None when it is not prepared."""
        name = self._names.get(text)
        if name is not None:
            self._names.move_to_end(text)
        return name

    def free(self) -> str:
        """A name for a new statement; the least recently used one if all are in use."""
        return self._spare.pop() if self._spare else self._names.popitem(last=False)[1]

    def keep(self, text: str, name: str) -> None:
        """Record a prepared statement."""
        self._names[text] = name

    def release(self, name: str) -> None:
        """Record that a name is unused."""
        self._spare.append(name)


def _is_full(error: BaseException | None) -> bool:
    """True when the error, or one that it wraps, is the server's limit of prepared statements."""
    while error is not None:
        if error.args[:1] == (_TOO_MANY_PREPARED,):
            return True
        error = error.__cause__ or error.__context__
    return False


class Runner:
    """Runs statements on one DBAPI connection.

    :ivar kept: the store's cache of ladders and statements.
    """

    __slots__ = ("_cursor", "_tells_key", "dialect", "kept", "statements")

    def __init__(
        self,
        cursor: Any,
        dialect: sa.Dialect,
        kept: Cache[Any, Any],
        *,
        tells_key: bool,
    ) -> None:
        self._cursor = cursor
        self.dialect = dialect
        self.kept = kept
        self._tells_key = tells_key
        self.statements = 0

    def _statement(self, clause: sa.ClauseElement | Shaped) -> Statement:
        # A plain clause is a constant of a module, so its identity is a safe key.
        found: Statement | None = self.kept.get(clause)
        if found is None:
            built = clause.made() if isinstance(clause, Shaped) else clause
            found = self.kept.put(clause, self._compile(built))
        return found

    def _compile(self, clause: sa.ClauseElement) -> Statement:
        return Statement.of(clause, self.dialect)

    def built(self, wanted: Shaped) -> Any:
        """The result of a builder of a text or a :class:`Native`."""
        found = self.kept.get(wanted)
        return self.kept.put(wanted, wanted.made()) if found is None else found

    def among(self, column: Any, name: str, ids: Sequence[int]) -> Any:
        """The condition that a column is one of many ids.

        Where a driver caches statements by their text, the ids are one parameter. Otherwise each list would
        be another statement in the cache of every connection.

        :param name: the parameter, whose value is that of :meth:`many`.
        """
        if self.dialect.name == "postgresql":
            return column == sa.any_(sa.bindparam(name, type_=sa.ARRAY(sa.BigInteger)))
        if self.dialect.name == "sqlite":
            listed = sa.func.json_each(sa.bindparam(name)).table_valued("value")
            return column.in_(sa.select(listed.c.value))
        return column.in_([sa.literal_column(str(int(id))) for id in ids])

    def many(self, ids: Sequence[int]) -> Any:
        """Many ids as one parameter."""
        return list(ids) if self.dialect.name == "postgresql" else json.dumps(ids)

    def text(self, text: str) -> None:
        """Run plain text without parameters."""
        check()
        self.statements += 1
        self._cursor.execute(text)

    def _execute(self, text: str, values: Any) -> None:
        check()
        self.statements += 1
        self._cursor.execute(text, values)

    def native(self, query: Native, values: Mapping[str, Any]) -> list[Row]:
        """Run a query in the database's own dialect."""
        return self.results(query, values)[0]

    def results(self, query: Native, values: Mapping[str, Any]) -> list[list[Row]]:
        """Run a query with several results."""
        self._execute(query.text, query.bind(values))
        found: list[list[Row]] = [self._cursor.fetchall()]
        while self._cursor.nextset():
            # A routine has one more answer at its end; unread, it looks like a closed connection.
            found.append(self._cursor.fetchall())
        return found

    def prepared(
        self, query: Native, names: Prepared, values: Mapping[str, Any]
    ) -> list[list[Row]]:
        """Run a query that the connection prepares once, by MariaDB's ``PREPARE``.

        At the server's limit of prepared statements the query runs unprepared.

        :param names: the prepared statements of the connection.
        """
        marks = ", ".join(["%s"] * len(query.names))
        name = names.find(query.text)
        if name is None:
            name = names.free()
            try:
                self._execute(f"PREPARE {name} FROM %s", [query.text])
            except Exception as error:
                names.release(name)
                if not _is_full(error):
                    raise
                return self._immediately(query, marks, values)
            names.keep(query.text, name)
        return self.results(Native(f"EXECUTE {name} USING {marks}", query.names, True), values)

    def _immediately(self, query: Native, marks: str, values: Mapping[str, Any]) -> list[list[Row]]:
        named = {"the text": query.text, **values}
        text = f"EXECUTE IMMEDIATE %s USING {marks}"
        return self.results(Native(text, ("the text", *query.names), True), named)

    def change(self, query: Native, values: Mapping[str, Any]) -> int:
        """Run a change in the database's own dialect; return the number of matched rows."""
        self._execute(query.text, query.bind(values))
        count: int = self._cursor.rowcount
        return count

    def rows(self, clause: sa.ClauseElement | Shaped, **values: Any) -> list[Row]:
        """Run a query."""
        statement = self._statement(clause)
        self._execute(statement.text, statement.bind(values))
        found: list[Row] = self._cursor.fetchall()
        return found

    def once(self, clause: sa.ClauseElement, **values: Any) -> list[Row]:
        """Run a query without caching its text."""
        statement = Statement.of(clause, self.dialect)
        self._execute(statement.text, statement.bind(values))
        found: list[Row] = self._cursor.fetchall()
        return found

    def one(self, clause: sa.ClauseElement | Shaped, **values: Any) -> Row | None:
        """Run a query for its first row."""
        found = self.rows(clause, **values)
        return found[0] if found else None

    def write(self, clause: sa.ClauseElement, **values: Any) -> int:
        """Run a change; return the number of matched rows."""
        statement = self._statement(clause)
        self._execute(statement.text, statement.bind(values))
        count: int = self._cursor.rowcount
        return count

    def write_all(self, clause: sa.ClauseElement, rows: Iterable[Mapping[str, Any]]) -> int:
        """Run a change once a row; return the number of all matched rows."""
        bound = list(rows)
        if not bound:
            return 0
        if len(bound) == 1:
            return self.write(clause, **bound[0])
        statement = self._statement(clause)
        # A driver that reports keys joins rows of VALUES to one statement.
        joined = self._tells_key and isinstance(clause, sa.Insert) and clause.select is None
        check()
        self.statements += 1 if joined else len(bound)
        self._cursor.executemany(statement.text, [statement.bind(values) for values in bound])
        count: int = self._cursor.rowcount
        return count

    def insert(self, clause: sa.ClauseElement, **values: Any) -> int:
        """Run an ``INSERT … RETURNING`` of one row; return the first column."""
        key: int = self.rows(clause, **values)[0][0]
        return key

    def insert_for_key(self, plain: sa.Insert, returning: sa.ClauseElement, **values: Any) -> int:
        """Run an ``INSERT`` of one row; return its key, by the driver's fastest way.

        :param returning: the same statement with ``RETURNING`` its key.
        """
        if not self._tells_key:
            return self.insert(returning, **values)
        self.write(plain, **values)
        key: int = self._cursor.lastrowid
        return key
