"""Copy of a database to another one, of the same kind or of another.

It is a synchronisation: rows that the target has already are kept, so another run finishes an interrupted
one. Until the end the target lacks the row with the catalogue's version, and cannot be opened by mistake.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from borough.errors import Corrupt, FixInput, SourceChanged, TargetInUse
from borough.store.sql import migrate, schema
from borough.store.sql.dialect import Dialect
from borough.store.sql.failures import public
from borough.store.sql.open import resolve

#: Rows copied by one transaction.
BATCH: Final = 1000

#: Called with (rows done, rows in all); each row counts twice, when it is copied and when it is verified.
Progress = Callable[[int, int], None]

_Row = tuple[Any, ...]


@dataclass(frozen=True)
class Copied:
    """Result of a copy.

    :ivar rows: copied rows, by table.
    :ivar resumed: an earlier run had begun it.
    """

    rows: dict[str, int]
    resumed: bool


class _Side:
    """One of the two databases."""

    def __init__(self, url: str, *, create: bool) -> None:
        found, self.dialect = resolve(url)
        self.engine = self.dialect.engine(found, create=create)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that reads one snapshot."""
        with self._transaction(self.dialect.begin_read) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that is committed at the end."""
        with self._transaction(self.dialect.begin_write) as connection:
            yield connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sa.Connection]:
        with self.engine.connect() as connection:
            connection.exec_driver_sql(begin)
            yield connection
            connection.exec_driver_sql("COMMIT")


#: In the order of references; the row that makes a database usable comes last.
TABLES: Final = [each for each in schema.metadata.sorted_tables if each is not schema.meta]

#: Tables with references to them. They are small.
_PARENTS: Final = [
    each
    for each in TABLES
    if any(key.column.table is each for other in TABLES for key in other.foreign_keys)
]


def copy(source_url: str, target_url: str, progress: Progress | None = None) -> Copied:
    """Copy all rows, and verify them.

    Writers of the source must be stopped. After an interruption another run continues.

    :raises FixInput: one of the URLs names no database, or both the same.
    :raises TargetInUse: the target has data of its own.
    :raises SourceChanged: the source was written to; run it again.
    :raises Corrupt: a row of the target differs from the source.
    """
    if source_url == target_url:
        raise FixInput("source and target are the same database")
    source, target = _Side(source_url, create=False), _Side(target_url, create=True)
    try:
        return _translated(
            (source.dialect, target.dialect), lambda: _copy(source, target, progress)
        )
    finally:
        source.engine.dispose()
        target.engine.dispose()


def _translated(dialects: Sequence[Dialect], work: Callable[[], Copied]) -> Copied:
    try:
        return work()
    except sa.exc.DBAPIError as error:
        translated: Exception = error.orig if isinstance(error.orig, Exception) else error
        for dialect in dialects:
            translated = dialect.translate(translated)
        raise public(translated, "not_done") from error


def _copy(source: _Side, target: _Side, progress: Progress | None) -> Copied:
    migrate.check(source.engine)
    migrate.upgrade(target.engine)
    resumed = _claim(target)
    with source.reading() as read:
        before = _state(read)
        counts = {table.name: _count(read, table) for table in TABLES}
        bar = _Bar(progress, 2 * sum(counts.values()))
        _clear_if_other(read, target)
        for table in reversed(TABLES):
            _remove_others(read, target, table)
        for table in TABLES:
            _add_missing(read, target, table, bar)
        _verify(read, target, bar)
    with source.reading() as read:
        if _state(read) != before:
            raise SourceChanged(
                "the source was written to during the copy; stop its writers and run this again: "
                "the rows that have arrived are kept"
            )
    _finish(target, before[0])
    return Copied(counts, resumed)


def _claim(target: _Side) -> bool:
    """Make the target unusable for others; return True when an earlier run had done so."""
    with target.writing() as write:
        if not _count(write, schema.meta):
            return True
        used = [table.name for table in _data_tables() if _count(write, table)]
        if used:
            raise TargetInUse(
                "the target has data of its own; name an empty database", tables=sorted(used)
            )
        write.execute(sa.delete(schema.meta))
    return False


def _data_tables() -> list[sa.Table]:
    return [
        schema.subnet,
        schema.pool,
        schema.host,
        schema.allocation,
        schema.event,
        schema.idempotency_key,
        schema.token,
        schema.orphan,
    ]


def _state(read: sa.Connection) -> tuple[int, int, int]:
    """Values of which each write changes one: catalogue version, newest event, number of keys."""
    version = read.scalar(sa.select(schema.meta.c.catalogue_version))
    newest = read.scalar(sa.select(sa.func.max(schema.event.c.id)))
    return version or 0, newest or 0, _count(read, schema.idempotency_key)


def _count(read: sa.Connection, table: sa.Table) -> int:
    return read.scalar(sa.select(sa.func.count()).select_from(table)) or 0


class _Bar:
    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def advance(self, rows: int) -> None:
        self._done += rows
        if self._progress:
            self._progress(self._done, self._total)


def _key(table: sa.Table) -> sa.Column[Any]:
    (key,) = table.primary_key.columns
    return key


def _batches(read: sa.Connection, table: sa.Table) -> Iterator[list[_Row]]:
    """All rows by key; each page begins after the last one, so any sort order of texts will do."""
    key = _key(table)
    place = list(table.c).index(key)
    query = sa.select(*table.c).order_by(key).limit(BATCH)
    page = [tuple(row) for row in read.execute(query)]
    while page:
        yield page
        page = [tuple(row) for row in read.execute(query.where(key > page[-1][place]))]


def _same(read: sa.Connection, table: sa.Table, page: Sequence[_Row]) -> dict[Any, _Row]:
    """The rows of the other side with the keys of a page, by key."""
    key = _key(table)
    place = list(table.c).index(key)
    query = sa.select(*table.c).where(key.in_([row[place] for row in page]))
    return {row[place]: tuple(row) for row in read.execute(query)}


def _clear_if_other(read: sa.Connection, target: _Side) -> None:
    """Remove all rows when one that others refer to has changed since an earlier run."""
    with target.writing() as write:
        for table in _PARENTS:
            place = list(table.c).index(_key(table))
            for page in _batches(write, table):
                theirs = _same(read, table, page)
                if any(theirs.get(row[place]) != row for row in page):
                    for each in reversed(TABLES):
                        write.execute(sa.delete(each))
                    return


def _remove_others(read: sa.Connection, target: _Side, table: sa.Table) -> None:
    """Remove the rows that the source lacks or has with other values, before rows are added."""
    key = _key(table)
    place = list(table.c).index(key)
    with target.reading() as there:
        for page in _batches(there, table):
            theirs = _same(read, table, page)
            other = [row[place] for row in page if theirs.get(row[place]) != row]
            if other:
                with target.writing() as write:
                    write.execute(sa.delete(table).where(key.in_(other)))


def _add_missing(read: sa.Connection, target: _Side, table: sa.Table, bar: _Bar) -> None:
    place = list(table.c).index(_key(table))
    names = [column.name for column in table.c]
    for page in _batches(read, table):
        with target.writing() as write:
            there = _same(write, table, page)
            missing = [
                dict(zip(names, row, strict=True)) for row in page if row[place] not in there
            ]
            if missing:
                write.execute(sa.insert(table), missing)
        bar.advance(len(page))


def _verify(read: sa.Connection, target: _Side, bar: _Bar) -> None:
    with target.reading() as there:
        for table in TABLES:
            sent = _digest(read, table, bar)
            if _digest(there, table, None) != sent:
                raise Corrupt(
                    f"table {table.name} differs from the source; run the command again",
                    table=table.name,
                )


def _digest(read: sa.Connection, table: sa.Table, bar: _Bar | None) -> tuple[int, int]:
    """(rows, sum of their hashes); a sum, because databases sort texts differently."""
    rows = total = 0
    for page in _batches(read, table):
        for row in page:
            digest = hashlib.blake2b(repr(row).encode(), digest_size=16).digest()
            total = (total + int.from_bytes(digest, "big")) % (1 << 128)
        rows += len(page)
        if bar:
            bar.advance(len(page))
    return rows, total


def _finish(target: _Side, version: int) -> None:
    with target.writing() as write:
        if write.dialect.name == "postgresql":
            for table in TABLES:
                if table.autoincrement_column is not None and _count(write, table):
                    # Rows inserted with their ids do not advance the sequence of the next id.
                    newest = sa.select(sa.func.max(_key(table))).scalar_subquery()
                    sequence = sa.func.pg_get_serial_sequence(table.name, _key(table).name)
                    write.execute(sa.select(sa.func.setval(sequence, newest)))
        write.execute(sa.insert(schema.meta), [{"id": 1, "catalogue_version": version}])
