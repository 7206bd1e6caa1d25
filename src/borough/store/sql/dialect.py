"""What differs between databases, and how a prepared statement is run.

Statements are written with SQLAlchemy Core, compiled once for a database, and then handed to its
driver as text: of one allocation's time, compiling and result wrapping would be the larger part.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, NamedTuple, ParamSpec, Protocol

import sqlalchemy as sa

from borough.domain.inspect import Finding
from borough.domain.lane import Lane
from borough.domain.model import Subnet
from borough.domain.space import Plan
from borough.errors import Contended, Unavailable
from borough.store.cache import Cache
from borough.store.deadline import check
from borough.store.port import Order

if TYPE_CHECKING:
    from borough.store.sql.giving import Areas, Hints, Outcome
    from borough.store.sql.guess import Guess

Row = tuple[Any, ...]

P = ParamSpec("P")

#: MariaDB's error number for a statement that would be one more than max_prepared_stmt_count.
_TOO_MANY_PREPARED: Final = 1461

#: Most bytes of all that a store keeps of ladders and statements.
KEPT: Final = 24 << 20

_PARAMETER: Final = re.compile(r"%\((\w+)\)s")


class Busy(Exception):
    """The database asks to run the transaction again: a lock wait, a deadlock, a serialisation."""


class Interrupted(Busy):
    """A statement was ended from outside. A commit may have taken effect by then."""


class Duplicate(Exception):
    """A unique constraint refused a row."""


class LockFirst(Exception):
    """A unit needs the space of subnets locked before it reads: it begins again, with these locks.

    :ivar subnet_ids: the subnets.
    """

    def __init__(self, subnet_ids: Iterable[int]) -> None:
        super().__init__(subnet_ids)
        self.subnet_ids = frozenset(subnet_ids)


class Gone(Exception):
    """The connection is lost, or none could be made.

    :ivar cause: the driver's words.
    """


class NotReady(Gone):
    """The server refuses statements before it looks at them: whatever was sent was not done."""


def is_in_doubt(error: Exception) -> bool:
    """Whether a statement that failed so may have been carried out."""
    return isinstance(error, Gone) and not isinstance(error, NotReady)


def public(error: Exception, outcome: str) -> Exception:
    """What a caller gets to see of an error that only this package knows; others as they are.

    :param outcome: ``not_done`` or ``unknown``, for a connection that is lost.
    """
    if isinstance(error, Busy):
        return Contended(f"other transactions are in the way ({error}); try again")
    if not isinstance(error, Gone):
        return error
    said = {
        "not_done": "nothing was changed; try again",
        "unknown": "whether it was done is not known; ask again with an idempotency key to find out",
    }[outcome]
    return Unavailable(
        f"the database cannot be reached or went away ({error}): {said}", outcome=outcome
    )


def risk(code: str, setting: str, value: object, wanted: str, loss: str) -> Finding:
    """A setting of a server by which an acknowledged change may be lost.

    :param wanted: what the setting should be.
    :param loss: what happens, and when.
    """
    return Finding(code, "", setting, f"the server has {setting}={value}, not {wanted}: {loss}")


class Shaped(NamedTuple):
    """Something that is built from the shape of a request, and need not be built again while it is kept.

    Only its product is kept: a text and the names of its parameters. The tree that SQLAlchemy makes the text
    of is a hundred times as large.

    :ivar build: a function that depends on its arguments alone.
    """

    build: Callable[..., Any]
    shape: tuple[Hashable, ...]

    def made(self) -> Any:
        """Build it."""
        return self.build(*self.shape)


def shaped(build: Callable[P, Any]) -> Callable[P, Shaped]:
    """Make a function that builds a statement one that only says how; see :class:`Shaped`."""

    @wraps(build)
    def say(*shape: P.args, **named: P.kwargs) -> Shaped:
        assert not named, "arguments are told apart by their place"
        return Shaped(build, shape)

    return say


@dataclass(frozen=True, slots=True)
class Line:
    """What a transaction waits for before it reads.

    :ivar runs: the keys of the unused runs that the last attempt wanted, in ascending order.
    :ivar blocks: the keys of the blocks that earlier attempts wanted to change, in ascending order.
    :ivar firm: whether it has lost in line as well, because what it wants is another piece each time.
    :ivar starved: whether it lost again and again.
    :ivar declares: whether it changes what is declared: such transactions take turns.
    :ivar subnets: the subnets whose space nobody else may change until it ends, in ascending order.
    """

    runs: Sequence[int] = ()
    blocks: Sequence[int] = ()
    firm: bool = False
    starved: bool = True
    declares: bool = False
    subnets: Sequence[int] = ()


class Dialect(Protocol):
    """One kind of database."""

    #: Text that begins a transaction that writes, and one that only reads.
    begin_write: str
    begin_read: str

    #: Whether the driver tells the key of an inserted row by itself; ``RETURNING`` is not needed then.
    tells_key: bool

    #: Whether several transactions write at once, so that one that lost should pause before it runs
    #: again, and connections can be lost.
    is_server: bool

    #: Whether the writer can check a guess, so that a decision may be made on what is remembered.
    can_guess: bool

    #: Where an allocation is one statement; None where a transaction is as quick.
    giver: Giver | None

    #: Where a plan of many rows takes few statements; None where each row is a call and no round trip.
    writer: Writer | None

    def engine(self, url: sa.URL, *, create: bool) -> sa.Engine:
        """Open a connection pool.

        :param create: whether a database that does not exist may be made.
        :raises NotInitialised: when it does not exist and may not be made.
        """

    def compiler(self, engine: sa.Engine) -> sa.Dialect:
        """What statements are compiled with, so that the cursor understands their parameters."""

    def cursor(self, connection: Any) -> Any:
        """A cursor on a pooled connection."""

    def lane(self, connection: Any) -> Lane:
        """Which of the writers that cannot see each other's locks is at the other end."""

    def begin_in_line(self, run: Runner, line: Line) -> None:
        """Begin a transaction that writes, and wait in line before its snapshot is taken.

        Waiting is fair, and nothing else: that a transaction changes nothing which changed since it was
        read is seen to where it writes.
        """

    def risks(self, run: Runner) -> list[Finding]:
        """The settings of the server by which an acknowledged change may be lost."""

    def limit(self, connection: Any, seconds: float) -> None:
        """Have the server give up each statement of a driver's connection after some time."""

    def horizon(self, run: Runner) -> int:
        """See :meth:`borough.store.port.Store.horizon`.

        :param run: on a connection that is in no transaction.
        """

    def is_alive(self, connection: Any) -> bool:
        """Whether a connection that lay idle is still good, as far as can be told without asking."""

    def translate(self, error: Exception) -> Exception:
        """The error to raise in place of one of the driver's, told apart by its code."""


class Giver(Protocol):
    """Gives one address in one statement."""

    def give(self, run: Runner, order: Order, hints: Hints, areas: Areas, *, wait: bool) -> Outcome:
        """Try to.

        :param wait: whether to wait for a locked block, instead of looking for one that is not.
        """


class Writer(Protocol):
    """Writes a plan in as many statements as it has kinds of rows, or in one."""

    def wants(self, plan: Plan) -> bool:
        """Whether it is the better way for this plan."""

    def write(
        self,
        run: Runner,
        plan: Plan,
        subnets: Mapping[int, Subnet],
        grants: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
        events: Sequence[Mapping[str, Any]],
        guess: Guess | None = None,
    ) -> list[int]:
        """Write a plan's rows, each with its precondition.

        :param subnets: the subnets that the plan was decided on, by id.
        :param grants: for each grant, the columns of its event and of its allocation.
        :param events: further events.
        :param guess: what the plan was decided on without looking, to be checked by the same statement.
        :return: the sequence number of each grant.
        :raises LostRace: when a row is not as the plan expects it.
        """


class Statement(NamedTuple):
    """The text of a Core statement for one database.

    :ivar names: its parameters in order; None where they are named in the text.
    :ivar constants: parameters that the text has beside those of the caller.
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
    """A statement in a database's own words, and the names of its parameters in order."""

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
        """From a text with parameters such as ``%(name)s``, for a driver that takes them so."""
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

    Their names are reused: to prepare a statement under a name gives up the one that had it.
    """

    #: Statements of a connection; a worker in full use has a tenth of them.
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
        """A name to prepare a statement under: that of the one used least recently, if all are in use."""
        return self._spare.pop() if self._spare else self._names.popitem(last=False)[1]

    def keep(self, text: str, name: str) -> None:
        """Remember that a statement was prepared."""
        self._names[text] = name

    def give_back(self, name: str) -> None:
        """Remember that nothing is prepared under a name."""
        self._spare.append(name)


def _is_full(error: BaseException | None) -> bool:
    """Whether the server has as many prepared statements as it may, or that is what was wrapped."""
    while error is not None:
        if error.args[:1] == (_TOO_MANY_PREPARED,):
            return True
        error = error.__cause__ or error.__context__
    return False


class Runner:
    """Runs statements on one DBAPI connection.

    :ivar kept: what the store keeps of ladders and statements.
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
        # A clause that is given itself is a constant of a module, so that identity is a safe key.
        found: Statement | None = self.kept.get(clause)
        if found is None:
            built = clause.made() if isinstance(clause, Shaped) else clause
            found = self.kept.put(clause, self._compile(built))
        return found

    def _compile(self, clause: sa.ClauseElement) -> Statement:
        return Statement.of(clause, self.dialect)

    def built(self, wanted: Shaped) -> Any:
        """The product of a builder that makes no Core statement: a text, or a :class:`Native`."""
        found = self.kept.get(wanted)
        return self.kept.put(wanted, wanted.made()) if found is None else found

    def among(self, column: Any, name: str, ids: Sequence[int]) -> Any:
        """The condition that a column is one of many ids.

        Where a driver keeps statements by their text, the ids are one parameter: written into the text,
        each list would be a statement of its own, kept by every connection.

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
        """Run a query in the database's own words."""
        self._execute(query.text, query.bind(values))
        found: list[Row] = self._cursor.fetchall()
        while self._cursor.nextset():
            # A compound statement answers once more at its end; unread, that looks like a farewell.
            pass
        return found

    def prepared(self, query: Native, names: Prepared, values: Mapping[str, Any]) -> list[Row]:
        """Run a query that the connection prepares once, by MariaDB's statements for that.

        Where the server holds as many prepared statements as it may, the query is run unprepared.

        :param names: what the connection has prepared so far.
        """
        marks = ", ".join(["%s"] * len(query.names))
        name = names.find(query.text)
        if name is None:
            name = names.free()
            try:
                self._execute(f"PREPARE {name} FROM %s", [query.text])
            except Exception as error:
                names.give_back(name)
                if not _is_full(error):
                    raise
                return self._immediately(query, marks, values)
            names.keep(query.text, name)
        return self.native(Native(f"EXECUTE {name} USING {marks}", query.names, True), values)

    def _immediately(self, query: Native, marks: str, values: Mapping[str, Any]) -> list[Row]:
        named = {"the text": query.text, **values}
        text = f"EXECUTE IMMEDIATE %s USING {marks}"
        return self.native(Native(text, ("the text", *query.names), True), named)

    def change(self, query: Native, values: Mapping[str, Any]) -> int:
        """Run a change in the database's own words; return how many rows it met."""
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
        """Run a query whose text is not worth keeping."""
        statement = Statement.of(clause, self.dialect)
        self._execute(statement.text, statement.bind(values))
        found: list[Row] = self._cursor.fetchall()
        return found

    def one(self, clause: sa.ClauseElement | Shaped, **values: Any) -> Row | None:
        """Run a query for its first row."""
        found = self.rows(clause, **values)
        return found[0] if found else None

    def write(self, clause: sa.ClauseElement, **values: Any) -> int:
        """Run a change; return how many rows it met."""
        statement = self._statement(clause)
        self._execute(statement.text, statement.bind(values))
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
        # A driver that tells keys joins inserted rows to one statement.
        joined = self._tells_key and isinstance(clause, sa.Insert)
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
        """Run an ``INSERT`` of one row; return its key by the quickest way that the driver has.

        :param returning: the same statement with ``RETURNING`` its key.
        """
        if not self._tells_key:
            return self.insert(returning, **values)
        self.write(plain, **values)
        key: int = self._cursor.lastrowid
        return key
