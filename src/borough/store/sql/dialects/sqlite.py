"""SQLite: the embedded default.

Write-ahead log, ``synchronous=FULL``: an acknowledged address survives a power cut. One transaction writes
at a time (``BEGIN IMMEDIATE``), so a unit sees one state from its first read to its commit and loses no
race. ``SELECT … FOR UPDATE`` would be ignored here.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from borough.domain.space.findings import Finding
from borough.domain.space.partitions import ALONE, Partition
from borough.errors import (
    Corrupt,
    DeadlineExceeded,
    DiskFull,
    NotInitialised,
    NotOurDatabase,
    ReadOnlyDatabase,
)
from borough.store.deadline import is_over
from borough.store.sql.dialect import LockRequest
from borough.store.sql.dialects.hosts import Address
from borough.store.sql.failures import Busy, Duplicate
from borough.store.sql.runner import Runner
from borough.store.sql.statements import NEWEST

#: Seconds that one attempt to begin waits for another writer. The store repeats it, within its bound.
WAIT: Final = 5.0

#: Compiled statements that a connection keeps. An allocation has nine; one of a long ladder takes 200 KB.
STATEMENTS: Final = 32

#: Instructions of SQLite's virtual machine between two checks of the deadline: some milliseconds.
_STEPS: Final = 100_000

_ERRORS: Final[dict[int, Callable[[str], Exception]]] = {
    sqlite3.SQLITE_BUSY: Busy,
    sqlite3.SQLITE_LOCKED: Busy,
    sqlite3.SQLITE_INTERRUPT: lambda _: DeadlineExceeded(
        "the request took longer than its deadline", outcome="not_done"
    ),
    sqlite3.SQLITE_READONLY: lambda text: ReadOnlyDatabase(
        f"the database cannot be written ({text}); check the permissions of the file and its folder"
    ),
    sqlite3.SQLITE_FULL: lambda text: DiskFull(
        f"the disk is full ({text}); free some space, nothing was changed"
    ),
    sqlite3.SQLITE_NOTADB: lambda text: NotOurDatabase(f"the file is not a database ({text})"),
    sqlite3.SQLITE_CORRUPT: lambda text: Corrupt(
        f"the database file is damaged ({text}); restore it from a backup"
    ),
    sqlite3.SQLITE_CANTOPEN: lambda text: NotInitialised(
        f"the database file cannot be opened ({text}); check its folder"
    ),
    sqlite3.SQLITE_IOERR: lambda text: DiskFull(f"a disk access failed ({text})"),
}


class Sqlite:
    """See :class:`borough.store.sql.dialect.Dialect`."""

    begin_write = "BEGIN IMMEDIATE"
    begin_read = "BEGIN"
    sharer = None
    tells_key = True
    is_server = False
    giver = None
    writer = None

    def __init__(self, _hosts: tuple[Address, ...] = ()) -> None:
        """A file has no host."""

    def engine(self, url: sa.URL, *, create: bool) -> sa.Engine:
        path = url.database
        if not path or path == ":memory:":
            raise NotInitialised("a SQLite URL names a file; for a trial in memory use memory:")
        if not create and not path.startswith("file:") and not Path(path).exists():
            raise NotInitialised(
                f"there is no database at {path}; make one with `borough init`", path=path
            )
        if create and not path.startswith("file:"):
            _make_private(path)
        engine = sa.create_engine(
            url,
            connect_args={
                "timeout": WAIT,
                "isolation_level": None,
                "check_same_thread": False,
                "cached_statements": STATEMENTS,
            },
            pool_size=16,
            max_overflow=48,
        )
        sa.event.listen(engine, "connect", _configure)
        return engine

    def compiler(self, engine: sa.Engine) -> sa.Dialect:
        return engine.dialect

    def cursor(self, connection: Any) -> Any:
        return connection.cursor()

    def partition(self, _connection: Any) -> Partition:
        return ALONE

    def begin_locked(self, runner: Runner, _request: LockRequest) -> None:
        runner.text(self.begin_write)

    def risks(self, _runner: Runner) -> list[Finding]:
        # See :func:`_configure`.
        return []

    def limit(self, connection: Any, _seconds: float) -> None:
        # SQLite has no server: the deadline of the caller is the limit.
        connection.set_progress_handler(is_over, _STEPS)

    def horizon(self, runner: Runner) -> int:
        # One transaction writes at a time, so all events are complete.
        found = runner.one(NEWEST)
        assert found is not None
        return int(found[0] or 0)

    def is_alive(self, _connection: Any) -> bool:
        return True

    def translate(self, error: Exception) -> Exception:
        if not isinstance(error, sqlite3.Error):
            return error
        code = getattr(error, "sqlite_errorcode", 0)
        if code in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY):
            return Duplicate(str(error))
        # The low byte is the kind of error.
        made = _ERRORS.get(code & 0xFF)
        return made(str(error)) if made else error


def _make_private(path: str) -> None:
    """Make an empty file for its owner only, unless there is a file; its log gets the same mode.

    Other users could read a file made by SQLite until its mode is changed.
    """
    # SQLite reports the same obstacle afterwards.
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _configure(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA synchronous=FULL")
    # A page cache of 64 MB: an index over a million addresses has random accesses.
    cursor.execute("PRAGMA cache_size=-65536")
    # For all connections together, beyond which pages are reused: a service has sixteen and more.
    cursor.execute("PRAGMA soft_heap_limit=134217728")
    try:
        cursor.execute("PRAGMA journal_mode=WAL")
    except sqlite3.OperationalError as error:
        # A read-only file keeps its journal mode, and can still be read.
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_BUSY):
            raise
    finally:
        cursor.close()
