"""Up to which id events are complete, on MariaDB.

Ids are given outside of transactions, so that a smaller id may be committed after a larger one. InnoDB tells
which ids open transactions have: READ UNCOMMITTED shows their rows. An id is *open* that is seen so, and not
seen among what is committed.

All events are added by ``INSERT … SELECT``. For such statements InnoDB gives ids under a lock that it holds
until the statement has ended (``innodb_autoinc_lock_mode`` 0 or 1). A transaction that is given an id
therefore finds the rows of all smaller ids in the table, except those that were undone.

A reader finds the horizon in three steps:

1. M, the largest id in the table, uncommitted rows included;
2. U, the ids up to M, uncommitted rows included;
3. C, the committed ids up to M.

The horizon is right below the smallest id of U without C; it is M where there is none. Let T be a transaction
that adds an event with id e, at most M, after step 3. M was given later than e, so that T's row was in the
table at steps 1 and 2: e is in U, not in C, and above the horizon. A transaction that is rolled back, or
whose client dies, takes its rows out of the table, and its ids hold nobody up.

U and C are not read row by row: ids are counted and added up, and a range where U and C differ is halved
until it is small. Pruning cannot hide an open id there: pruned ids lie below the horizon, so that as many of
them have a smaller sum. What was found complete is not read again; nothing is read while the open id that
ended the last search is still open. A process that had to look at very many ids writes down how far they are
complete (``borough_pruned.complete``), and the next process begins there.

Galera needs lock mode 2: ids are given without a lock, and transactions of other nodes cannot be seen. A row
may be missing at step 1 that is about to be added, or to arrive. There M is what step 1 found :data:`PAUSE`
seconds before; a transaction that stays open on another node for longer than that may be missed.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from typing import Final

from borough.store.sql.runner import Native, Row, Runner

#: How long an id is left alone where ids are given without a lock, in seconds.
PAUSE: Final = 2.0

#: The largest lock mode that holds the lock for ``INSERT … SELECT``.
_CONSECUTIVE: Final = 1

#: Ids that are compared row by row.
_FEW: Final = 1000

#: Ids from which on it is written down that they are complete.
_FAR: Final = 50_000

_BEGIN: Final = Native.named("SELECT @@innodb_autoinc_lock_mode, complete FROM borough_pruned")
_KEEP: Final = Native.named(
    "UPDATE borough_pruned SET complete = %(upto)s WHERE complete < %(upto)s"
)
_NEWEST: Final = Native.named("SELECT MAX(id) FROM borough_event")
_SUMS: Final = Native.named(
    "SELECT COUNT(*), SUM(id) FROM borough_event WHERE id > %(after)s AND id <= %(upto)s"
)
_IDS: Final = Native.named("SELECT id FROM borough_event WHERE id > %(after)s AND id <= %(upto)s")


class Horizon:
    """Finds the horizon, and remembers what was complete. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mode = -1
        #: All events up to here are complete.
        self._complete = 0
        #: The smallest open id, right above; 0 for none.
        self._open = 0
        #: Newest ids, and when they were seen, where that matters.
        self._seen: deque[tuple[float, int]] = deque()

    def find(self, runner: Runner) -> int:
        """See :meth:`borough.store.sql.dialect.Dialect.horizon`."""
        with self._lock:
            newest = int(_uncommitted(runner, _NEWEST, 0, 0)[0][0] or 0)
            if self._mode < 0 or newest < self._complete:
                # An older state of the database was restored, where this is not the first look.
                self._mode, kept = map(int, runner.native(_BEGIN, {})[0])
                self._complete, self._open = min(kept, newest), 0
                self._seen.clear()
            if newest <= self._complete or (self._open and _is_open(runner, self._open)):
                return self._complete
            settled = newest if self._mode <= _CONSECUTIVE else self._seen_before(newest)
        if settled is None:
            # Without the lock: others may have looked when it mattered, and need not wait.
            time.sleep(PAUSE)
            settled = newest
        with self._lock:
            self._look(runner, settled)
            return self._complete

    def _look(self, runner: Runner, upto: int) -> None:
        """Find out how far ids are complete, up to one that no smaller id comes after."""
        start = self._complete
        if upto <= start:
            return
        self._open = _first_open(runner, start, upto)
        self._complete = self._open - 1 if self._open else upto
        if self._complete - start > _FAR:
            # A server that only reads refuses it, or another process has the row: the next one looks again.
            with suppress(Exception):
                runner.change(_KEEP, {"upto": self._complete})

    def _seen_before(self, newest: int) -> int | None:
        """The newest id before the pause; None when it was not read then."""
        now = time.monotonic()
        self._seen.append((now, newest))
        while len(self._seen) > 1 and self._seen[1][0] <= now - PAUSE:
            self._seen.popleft()
        then, before = self._seen[0]
        return before if now - 2 * PAUSE <= then <= now - PAUSE else None


def _uncommitted(runner: Runner, query: Native, after: int, upto: int) -> list[Row]:
    """Run a query that sees the rows of open transactions too."""
    runner.text("SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
    return runner.native(query, {"after": after, "upto": upto})


def _is_open(runner: Runner, id: int) -> bool:
    return _first_open(runner, id - 1, id) == id


def _first_open(runner: Runner, after: int, upto: int) -> int:
    """The smallest open id above one and up to another; 0 for none."""
    query = _SUMS if upto - after > _FEW else _IDS
    every = _uncommitted(runner, query, after, upto)
    committed = set(runner.native(query, {"after": after, "upto": upto}))
    if query is _IDS:
        return min((id for (id,) in every if (id,) not in committed), default=0)
    if committed.issuperset(every):
        return 0
    middle = (after + upto) // 2
    return _first_open(runner, after, middle) or _first_open(runner, middle, upto)
