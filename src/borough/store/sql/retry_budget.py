"""How often, and for how long, a unit of work is run again."""

from __future__ import annotations

import random
import time
from typing import Final

from borough.store.sql.dialect import LockRequest
from borough.store.sql.failures import Gone
from borough.store.sql.unit.unit import SqlUnit

#: How often a unit of work is run before its caller is told that others are in the way.
ATTEMPTS: Final = 24

#: After how many lost attempts a unit of work waits in line for what it wants, before it reads; after
#: twice as many, it waits firmly.
FAIRNESS_AFTER: Final = 3

#: The longest pause between two attempts, in seconds.
PAUSE: Final = 0.05


class RetryBudget:
    """The bound of one caller's attempts."""

    def __init__(
        self, timeout: float, *, attempts: int | None, write: bool = True, declares: bool = False
    ) -> None:
        self._write = write
        self._declares = write and declares
        self._deadline = time.monotonic() + timeout
        self._limit = attempts
        self.attempts = 0
        self._beaten = 0
        #: The blocks that the attempts so far wanted to change, by key.
        self.blocks: set[int] = set()
        #: The unused runs that the last attempt wanted; one that others cut is another row by now.
        self.free_ranges: set[int] = set()
        #: The subnets whose space the unit has asked to lock.
        self.subnets: frozenset[int] = frozenset()

    @property
    def request(self) -> LockRequest | None:
        """Locks to wait for before anything is read; None for none."""
        starved = self._write and self.is_starved
        if not (starved or self._declares or self.subnets):
            return None
        return LockRequest(
            sorted(self.free_ranges) if starved else (),
            sorted(self.blocks) if starved else (),
            serializable=self._beaten >= 2 * FAIRNESS_AFTER,
            starved=starved,
            declares=self._declares,
            subnets=tuple(sorted(self.subnets)),
        )

    @property
    def is_starved(self) -> bool:
        """Whether so many were faster that it is this caller's turn now.

        A unit of several statements between its read and its write would else lose to whoever needs
        but one, for as long as there are any.
        """
        return self._beaten >= FAIRNESS_AFTER

    def want(self, unit: SqlUnit) -> None:
        """Remember what an attempt that failed wanted to change."""
        self.free_ranges = {each.id for plan in unit.written for each in plan.free_ranges_removed}
        for plan in unit.written:
            self.blocks.update(plan.changed, (each.id for each in plan.blocks_removed))

    def reached(self, lost: Exception) -> bool:
        """Count an attempt that failed; tell whether it was the last."""
        self.attempts += 1
        # Nobody was faster where only the connection was lost.
        self._beaten += not isinstance(lost, Gone)
        late = time.monotonic() >= self._deadline
        return late or (self._limit is not None and self.attempts >= self._limit)

    def pause(self) -> None:
        """Wait a little, so that those who met do not meet again."""
        longest = min(PAUSE, 0.001 * 2 ** min(self.attempts, 10))
        time.sleep(random.uniform(0, longest))  # noqa: S311  (spreads writers, hides nothing)
