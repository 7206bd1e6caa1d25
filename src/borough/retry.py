"""Retry loop: runs a unit of work again after a random wait, within bounds."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Retry:
    """Bounds of the attempts at one unit of work.

    :ivar attempts: most attempts; None for no limit.
    :ivar timeout: seconds from the first attempt to the start of the last one; None for no limit.
    :ivar first: the longest wait before the second attempt, in seconds; it doubles with each attempt.
    :ivar longest: the longest wait of all, in seconds.
    """

    attempts: int | None = None
    timeout: float | None = None
    first: float = 0.1
    longest: float = 2.0
    sleep: Callable[[float], None] = time.sleep

    def run(
        self,
        work: Callable[[], T],
        again: type[Exception] | tuple[type[Exception], ...],
        *,
        unless: Callable[[Exception], bool] = lambda _error: False,
    ) -> T:
        """Run a unit of work until it succeeds.

        :param again: errors after which it is run again.
        :param unless: true for such an error that is final.
        :raises Exception: the error of the last attempt.
        """
        begun = time.monotonic()
        for attempt in count(1):
            try:
                return work()
            except again as error:
                pause = self.pause(attempt)
                late = self.timeout is not None and (
                    time.monotonic() - begun + pause > self.timeout
                )
                if unless(error) or attempt == self.attempts or late:
                    raise
            self.sleep(pause)
        raise AssertionError("attempts end by success or by an error")

    def pause(self, attempt: int) -> float:
        """Random wait in seconds after a failed attempt: half to the whole of its longest wait.

        Without the randomness, callers that conflict would conflict again.
        """
        longest = min(self.first * 2.0 ** min(attempt - 1, 10), self.longest)
        return random.uniform(longest / 2, longest)  # noqa: S311  (spreads callers, hides nothing)
