"""The threads for the library's work, with bounds on waiting requests and on their time."""

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

#: Seconds to wait for work that is over its deadline. Most work then reports by itself that nothing was done.
_GRACE: Final = 1.0


class _Job(Generic[T]):
    """Work for a thread.

    :ivar begun: True once a thread has taken it.
    """

    def __init__(self, work: Callable[[], T], ends: float) -> None:
        self._work = work
        self._ends = ends
        self.begun = False

    def __call__(self) -> T:
        """Do the work, in a thread."""
        # Before the clock is read: the caller may report at any moment that nothing was begun.
        self.begun = True
        with until(self._ends):
            return self._work()


class WorkerPool:
    """Runs work in a fixed number of threads, of which one token has a limited part.

    :ivar quota: counts work that waits or is under way.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        """Begin without a thread; each is started on demand."""
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="borough")
        self._threads = settings.threads
        self._token_threads = min(settings.token_threads, settings.threads)
        self._deadline = settings.deadline
        self._slots: dict[str, asyncio.Semaphore] = {}
        self.quota = Quota(
            settings.threads + settings.queue,
            self._token_threads + settings.token_queue,
            "requests under way",
        )

    async def run(self, work: Callable[[], T], caller: str = "", deadline: float = 0) -> T:
        """Run work in a thread.

        :param caller: name of the token; empty for the service itself, and without tokens.
        :param deadline: most seconds that it may take; 0 for the deadline of the settings.
        :raises Overloaded: too much work waits already.
        :raises DeadlineExceeded: it took too long. With ``outcome`` ``unknown`` it may still be done.
        """
        self.quota.take(caller)
        seconds = deadline or self._deadline
        job = _Job(work, time.monotonic() + seconds)
        slots = self._slots.get(caller)
        if slots is None:
            most = self._token_threads if caller else self._threads
            slots = self._slots[caller] = asyncio.Semaphore(most)
        limit = asyncio.timeout(seconds + _GRACE)
        try:
            async with limit:
                try:
                    await slots.acquire()
                except BaseException:
                    self._leave(caller)
                    raise
                future = asyncio.get_running_loop().run_in_executor(self._pool, job)
                # Released by the end of the work and not by a timeout: until then the thread is taken.
                future.add_done_callback(lambda _: self._end(slots, caller))
                return await asyncio.shield(future)
        except TimeoutError:
            if not limit.expired():
                raise
            raise DeadlineExceeded(
                f"the request took longer than {seconds:g} seconds",
                outcome="unknown" if job.begun else "not_done",
            ) from None

    def _end(self, slots: asyncio.Semaphore, caller: str) -> None:
        slots.release()
        self._leave(caller)

    def _leave(self, caller: str) -> None:
        self.quota.release(caller)
        if not self.quota.of(caller):
            self._slots.pop(caller, None)

    def close(self) -> None:
        """Wait for work under way, and stop the threads."""
        self._pool.shutdown()
