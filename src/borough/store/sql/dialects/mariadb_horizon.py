"""The id up to which events are complete, on MariaDB.

Ids are assigned outside of transactions, so a smaller id may be committed after a larger one. READ
UNCOMMITTED shows the rows of open transactions. An id is *open* when it is visible so, and not among the
committed rows.

All events are added by ``INSERT … SELECT``. For such statements InnoDB assigns ids under a lock that it
holds until the statement has ended (``innodb_autoinc_lock_mode`` 0 or 1). When a transaction gets an id,
the rows of all smaller ids are therefore in the table, except those that were undone.

A reader finds the horizon in three steps:

1. M, the largest id in the table, uncommitted rows included;
2. U, the ids up to M, uncommitted rows included;
3. C, the committed ids up to M.

The horizon is right below the smallest id of U without C; it is M where there is none. Let T be a
transaction that commits an event with id e, at most M, after step 3. M was assigned after e, so T's row was
in the table at steps 1 and 2: e is in U, not in C, and above the horizon. A rollback, or the death of a
client, removes the rows of a transaction, and its ids delay no reader.

U and C are not read row by row: ids are counted and added up, and a range where U and C differ is halved
until it is small. Pruning cannot hide an open id: pruned ids lie below the horizon, so the same number of
them has a smaller sum. Complete ids are not read again. Nothing is read while the open id of the last
search is still open. A process that has read very many ids stores the end of the complete ones
(``borough_pruned.complete``), and the next process begins there.

Galera needs lock mode 2: ids are assigned without a lock, and transactions of other nodes are invisible. At
step 1 a row may be missing that is added or replicated later. There M is the result of step 1 :data:`PAUSE`
seconds before; a transaction that stays open on another node for longer may be missed.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from typing import Final

from borough.store.sql.runner import Native, Row, Runner

#: Seconds before an id counts as complete where ids are assigned without a lock.
PAUSE: Final = 2.0

#: The largest lock mode that holds the lock for ``INSERT … SELECT``.
_CONSECUTIVE: Final = 1

#: Ids that are compared row by row.
_FEW: Final = 1000

#: Ids read at once from which on their end is stored.
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
    """Finds the horizon, and remembers the complete ids. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mode = -1
        #: Events up to this id are complete.
        self._complete = 0
        #: The smallest open id, right above; 0 for none.
        self._open = 0
        #: Newest ids and the times of their reads, in lock mode 2.
        self._seen: deque[tuple[float, int]] = deque()

    def find(self, runner: Runner) -> int:
        with self._lock:
            newest = int(_uncommitted(runner, _NEWEST, 0, 0)[0][0] or 0)
            if self._mode < 0 or newest < self._complete:
                # The first call, or a restored older state of the database.
                self._mode, kept = map(int, runner.native(_BEGIN, {})[0])
                self._complete, self._open = min(kept, newest), 0
                self._seen.clear()
            if newest <= self._complete or (self._open and _is_open(runner, self._open)):
                return self._complete
            settled = newest if self._mode <= _CONSECUTIVE else self._seen_before(newest)
        if settled is None:
            # Outside the lock: other threads may have an earlier read, and need not wait.
            time.sleep(PAUSE)
            settled = newest
        with self._lock:
            self._look(runner, settled)
            return self._complete

    def _look(self, runner: Runner, upto: int) -> None:
        """Move the end of the complete ids, at most to an id that no smaller one follows."""
        start = self._complete
        if upto <= start:
            return
        self._open = _first_open(runner, start, upto)
        self._complete = self._open - 1 if self._open else upto
        if self._complete - start > _FAR:
            # A read-only server refuses it, or another process has the row: the next process reads again.
            with suppress(Exception):
                runner.change(_KEEP, {"upto": self._complete})

    def _seen_before(self, newest: int) -> int | None:
        """The newest id of a read before the pause; None without such a read."""
        now = time.monotonic()
        self._seen.append((now, newest))
        while len(self._seen) > 1 and self._seen[1][0] <= now - PAUSE:
            self._seen.popleft()
        then, before = self._seen[0]
        return before if now - 2 * PAUSE <= then <= now - PAUSE else None


def _uncommitted(runner: Runner, query: Native, after: int, upto: int) -> list[Row]:
    """Run a query that also sees the rows of open transactions."""
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
