"""The threads that do the library's work, and a bound on what waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from borough.api.problem import Overloaded

T = TypeVar("T")


class Crew:
    """Runs work in a fixed number of threads.

    :ivar busy: how much is under way or waits.
    """

    def __init__(self, threads: int, queue: int) -> None:
        """Hire.

        :param threads: how much is done at a time.
        :param queue: how much may wait beside that; more is refused.
        """
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="borough")
        self._most = threads + queue
        self.busy = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Have something done.

        :raises Overloaded: too much waits already.
        """
        if self.busy >= self._most:
            raise Overloaded("the service has more to do than it can; try again in a moment")
        self.busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self.busy -= 1

    def close(self) -> None:
        """Wait for what is under way, and dismiss."""
        self._pool.shutdown()
