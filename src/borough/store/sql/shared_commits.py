"""Units of work, or takes, of one process that share a transaction.

A commit waits for the disk, which takes longer than the rest of a small unit. Units that wait in a process
run one after another in one transaction, and one commit serves all of them. Each unit has a savepoint: a unit
that fails is undone alone. No caller returns before the commit.

A thread that finds no other at work leads; on a server a second one may. It runs its own unit, then the units
that wait, and commits. Then the thread that waits longest leads. So threads are served in the order of their
calls, and none polls for the lock of the database.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context, copy_context
from typing import Any, Final

from borough.store.sql.failures import Busy, Gone, public

#: Most units of other threads in one transaction.
MOST: Final = 31

#: Seconds after which a shared transaction takes no more units in, so that the first is acknowledged soon.
LONGEST: Final = 0.02

#: Most takes of other threads in one transaction, which locks their blocks.
MOST_TAKES: Final = 15

#: Threads that send takes at a time: while one waits for the server, another prepares the next.
LEADERS: Final = 2


class Undone(Busy):
    """A shared transaction was undone as a whole: each of its units runs again, alone."""

    def __init__(self) -> None:
        super().__init__("a shared transaction was undone")


class SharedUnit:
    """A unit of work that may run in the transaction of another thread.

    :ivar work: the unit, as a function of the transaction.
    :ivar answer: what the unit returned; valid after the commit.
    :ivar error: what the unit raised; it is undone, alone.
    :ivar undone: the shared transaction failed as a whole after this unit had run; it runs again, alone.
    :ivar in_doubt: the shared transaction was cut off in its commit.
    """

    __slots__ = ("_context", "_ready", "answer", "error", "in_doubt", "leads", "undone", "work")

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self.work = work
        self.answer: Any = None
        self.error: Exception | None = None
        self.undone = False
        self.in_doubt = False
        self.leads = False
        # The actor and the deadline of the caller hold in the thread that runs its unit.
        self._context: Context = copy_context()
        # A plain lock is a third of the cost of an event.
        self._ready = threading.Lock()
        self._ready.acquire()

    def run(self, unit: Any) -> Any:
        """Run the unit in the context of its caller."""
        return self._context.run(self.work, unit)

    def result(self, *, repeatable: bool) -> Any:
        """The answer of the unit, or its error.

        :param repeatable: the unit detects that it was done before.
        :raises Undone: the unit has to run again.
        :raises Unavailable: the commit may have taken effect.
        """
        if self.in_doubt and self.error is None and not repeatable:
            raise public(Gone("the commit was interrupted"), "unknown")
        if self.undone:
            # Its error too: it may rest on rows of other units that were undone, as a false exhaustion.
            raise Undone
        if self.error is not None:
            raise self.error
        return self.answer

    def wait(self, seconds: float) -> bool:
        """Wait until the unit has ended or leads; return False when the time is over first."""
        return self._ready.acquire(timeout=min(max(seconds, 0.0), threading.TIMEOUT_MAX))

    def wake(self) -> None:
        """End the wait of the caller."""
        self._ready.release()


class SharedCommits:
    """The queue of the units of one process."""

    def __init__(self, leaders: int = 1) -> None:
        """An empty queue.

        :param leaders: most threads that lead at a time.
        """
        self._leaders = leaders
        self._reset()

    def _reset(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._waiting: deque[SharedUnit] = deque()
        self._leading = 0

    @contextmanager
    def lead(self, unit: SharedUnit, seconds: float) -> Iterator[bool]:
        """Queue a unit; yields True in the thread that has to run it and those that wait behind it.

        False: another thread ran it, or the time was over before any did (``unit.undone``).
        """
        if self._process != os.getpid():
            # The thread that led in the parent does not exist here.
            self._reset()
        try:
            self._join(unit)
            if not unit.leads and not unit.wait(seconds):
                if self._withdraw(unit):
                    unit.undone = True
                else:
                    # It runs at this moment, or is told to lead.
                    unit.wait(threading.TIMEOUT_MAX)
            yield unit.leads
        except BaseException:
            self._withdraw(unit)
            raise
        finally:
            # Also after an interrupt: a lead that ends with its thread would stop all others for ever.
            if unit.leads:
                self._hand_over()

    def _join(self, unit: SharedUnit) -> None:
        with self._lock:
            if self._leading < self._leaders:
                self._leading += 1
                unit.leads = True
            else:
                self._waiting.append(unit)

    def _withdraw(self, unit: SharedUnit) -> bool:
        """Leave the queue; False when the unit is not in it."""
        with self._lock, suppress(ValueError):
            self._waiting.remove(unit)
            return True
        return False

    def next(self) -> SharedUnit | None:
        """Take the unit that waits longest; None for none."""
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def _hand_over(self) -> None:
        with self._lock:
            if not self._waiting:
                self._leading -= 1
                return
            first = self._waiting.popleft()
            first.leads = True
        first.wake()
