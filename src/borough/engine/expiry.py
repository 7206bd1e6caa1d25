"""The end of cool-downs and leases (rule 9)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from borough.domain.policy import allocate as policy
from borough.domain.space.allocations import AllocationRow
from borough.engine.release import in_plans
from borough.store.port import Unit

#: Cool-downs and leases that are over, of which one unit of work ends so many before it goes on.
EXPIRE_BATCH: Final = 256


@dataclass(frozen=True)
class Expiry:
    """Ends cool-downs and leases inside units of work.

    :ivar steady: the time by which they are over, which no jump of the clock moves forward; None for the
        clock.
    """

    steady: Callable[[], int] | None = None

    def by(self, now: int) -> int:
        """The time by which cool-downs and leases are over.

        :param now: the time of the clock, which may have jumped.
        """
        return now if self.steady is None else min(now, self.steady())

    def expire(self, unit: Unit, now: int) -> list[AllocationRow]:
        """End what is over, the oldest first; return the rows as they were, at most :data:`EXPIRE_BATCH`."""
        over = unit.expired(self.by(now), EXPIRE_BATCH)
        self.end(unit, over, now)
        return over

    def end(self, unit: Unit, over: Sequence[AllocationRow], now: int) -> None:
        """End cool-downs and leases that are over."""
        by = self.by(now)
        for some in in_plans(over):
            unit.commit(policy.release(unit.catalogue, unit, some, by, ended=True), now)
