"""The bound on repetitions of a unit of work, in number and in time."""

from __future__ import annotations

import random
import time
from typing import Final

from borough.store.sql.dialect import LockRequest
from borough.store.sql.failures import Gone
from borough.store.sql.unit.unit import SqlUnit

#: Most attempts of a unit of work on an embedded database, or on tables that contradict each other.
ATTEMPTS: Final = 24

#: Lost races after which a unit of work waits for locks before it reads. After twice as many, its reads lock.
FAIRNESS_AFTER: Final = 3

#: The longest pause between two attempts, in seconds.
PAUSE: Final = 0.05


class RetryBudget:
    """The bound on the attempts of one call."""

    def __init__(
        self, timeout: float, *, attempts: int | None, write: bool = True, declares: bool = False
    ) -> None:
        self._write = write
        self._declares = write and declares
        self._deadline = time.monotonic() + timeout
        self._limit = attempts
        self.attempts = 0
        self._lost_races = 0
        #: Ids of the blocks that the attempts so far changed.
        self.blocks: set[int] = set()
        #: Ids of the free ranges that the last attempt cut; a range that was cut since is another row.
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
            serializable=self._lost_races >= 2 * FAIRNESS_AFTER,
            starved=starved,
            declares=self._declares,
            subnets=tuple(sorted(self.subnets)),
        )

    @property
    def is_starved(self) -> bool:
        """True when the unit has lost so many races that it waits for locks first.

        A unit of several statements would otherwise lose to single statements for as long as there are any.
        """
        return self._lost_races >= FAIRNESS_AFTER

    def seconds_left(self) -> float:
        """Time until the last attempt has to begin; 0 or less when it is over."""
        return self._deadline - time.monotonic()

    def want(self, unit: SqlUnit) -> None:
        """Remember the rows that a failed attempt changed."""
        self.free_ranges = {each.id for plan in unit.written for each in plan.free_ranges_removed}
        for plan in unit.written:
            self.blocks.update(plan.changed, (each.id for each in plan.blocks_removed))

    def reached(self, lost: Exception) -> bool:
        """Count a failed attempt; return True when it was the last."""
        self.attempts += 1
        # A lost connection is no lost race.
        self._lost_races += not isinstance(lost, Gone)
        late = time.monotonic() >= self._deadline
        return late or (self._limit is not None and self.attempts >= self._limit)

    def pause(self) -> None:
        """Wait a random time, so transactions in conflict do not conflict again."""
        longest = min(PAUSE, 0.001 * 2 ** min(self.attempts, 10))
        time.sleep(random.uniform(0, longest))  # noqa: S311  (spreads writers, hides nothing)
