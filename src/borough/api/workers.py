"""The threads that do the library's work, and bounds on what waits for them and for how long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Generic, TypeVar

from borough.api.quota import Quota
from borough.api.settings import ServiceSettings
from borough.errors import DeadlineExceeded
from borough.store.deadline import until

T = TypeVar("T")

#: How long work that is over its deadline is waited for, in seconds: it mostly says by itself that nothing
#: was done.
_GRACE: Final = 1.0


class _Job(Generic[T]):
    """Work for a thread.

    :ivar begun: whether a thread has taken it.
    """

    def __init__(self, work: Callable[[], T], ends: float) -> None:
        self._work = work
        self._ends = ends
        self.begun = False

    def __call__(self) -> T:
        """Do it, in a thread."""
        # Before the look at the clock: the caller may be told at any moment that nothing was begun.
        self.begun = True
        with until(self._ends):
            return self._work()


class WorkerPool:
    """Runs work in a fixed number of threads, of which one token has some at a time.

    :ivar quota: counts what is under way or waits.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        """Start with no thread; each is made when it is needed."""
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="borough")
        self._threads = settings.threads
        self._token_threads = min(settings.token_threads, settings.threads)
        self._deadline = settings.deadline
        self._turns: dict[str, asyncio.Semaphore] = {}
        self.quota = Quota(
            settings.threads + settings.queue,
            self._token_threads + settings.token_queue,
            "requests under way",
        )

    async def run(self, work: Callable[[], T], caller: str = "", deadline: float = 0) -> T:
        """Have something done.

        :param caller: name of the token; empty for the service itself, and where there are no tokens.
        :param deadline: how long it may take, in seconds; 0 for as long as any request.
        :raises Overloaded: too much waits already.
        :raises DeadlineExceeded: it took too long. It may still be done where ``outcome`` is ``unknown``.
        """
        self.quota.take(caller)
        seconds = deadline or self._deadline
        job = _Job(work, time.monotonic() + seconds)
        turn = self._turns.get(caller)
        if turn is None:
            most = self._token_threads if caller else self._threads
            turn = self._turns[caller] = asyncio.Semaphore(most)
        limit = asyncio.timeout(seconds + _GRACE)
        try:
            async with limit:
                try:
                    await turn.acquire()
                except BaseException:
                    self._leave(caller)
                    raise
                future = asyncio.get_running_loop().run_in_executor(self._pool, job)
                # A thread is not free before its work has ended, whether or not anybody waits for that.
                future.add_done_callback(lambda _: self._end(turn, caller))
                return await asyncio.shield(future)
        except TimeoutError:
            if not limit.expired():
                raise
            raise DeadlineExceeded(
                f"the request took longer than {seconds:g} seconds",
                outcome="unknown" if job.begun else "not_done",
            ) from None

    def _end(self, turn: asyncio.Semaphore, caller: str) -> None:
        turn.release()
        self._leave(caller)

    def _leave(self, caller: str) -> None:
        self.quota.give_back(caller)
        if not self.quota.of(caller):
            self._turns.pop(caller, None)

    def close(self) -> None:
        """Wait for what is under way, and dismiss."""
        self._pool.shutdown()
