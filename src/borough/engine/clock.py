"""The time by which leases and cool-downs are over."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from borough.domain.space.allocations import SECOND

#: Microseconds that a clock may gain at once and still be right.
_STEP: Final = 5 * SECOND

#: Microseconds after which a clock that has jumped forward is believed.
_BELIEVED: Final = 24 * 3600 * SECOND


def wall_time() -> int:
    """The clock of this machine, in microseconds since the epoch."""
    return time.time_ns() // 1000


def running_time() -> int:
    """Microseconds that this machine has run, also while it was suspended where the system counts that."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock) // 1000


class SteadyClock:
    """A clock that no jump moves forward.

    A clock may be set wrong, or be wrong until it is set. A lease must not end early for that. So a jump
    forward does not count in the process that sees it, for a day: leases may end late there. A jump
    backward counts at once.
    """

    def __init__(
        self, wall: Callable[[], int] = wall_time, running: Callable[[], int] = running_time
    ) -> None:
        """Begin with the present time.

        :param wall: the clock that may jump, in microseconds since the epoch.
        :param running: microseconds that have gone by since any fixed moment.
        """
        self._wall = wall
        self._running = running
        self._start = wall() - running()
        self._jumped_at: int | None = None

    def __call__(self) -> int:
        """The time in microseconds since the epoch, never later than that of the clock."""
        wall, running = self._wall(), self._running()
        steady = self._start + running
        if wall <= steady + _STEP:
            self._jumped_at = None
            if wall > steady - _STEP:
                # Small differences are corrections, which add up.
                self._start = wall - running
            return wall
        if self._jumped_at is None:
            self._jumped_at = running
        elif running - self._jumped_at >= _BELIEVED:
            self._start, self._jumped_at = wall - running, None
            return wall
        return steady
