"""The live feed of events: one reader of the database for all streams of a process.

The library returns events in order of their ids and omits none. A stream therefore only asks again for the
events after its last one.
"""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, TypeVar

from borough.api.problem import Overloaded
from borough.api.workers import WorkerPool
from borough.domain.space.events import Event
from borough.engine.ipam import Ipam
from borough.errors import BoroughError, EventsPruned

T = TypeVar("T")

#: Seconds between two queries for new events.
INTERVAL: Final = 0.25

#: Events of one query.
PAGE: Final = 5000

#: Events of one send, and so the most that a stream keeps for a caller that does not read.
BATCH: Final = 200

#: Events in memory for streams that are a little behind. Streams further behind read the database.
KEPT: Final = 10_000


class Feed:
    """Events as they happen, for any number of streams."""

    def __init__(self, ipam: Ipam, workers: WorkerPool, *, interval: float = INTERVAL) -> None:
        self._ipam = ipam
        self._workers = workers
        self._interval = interval
        self._kept: deque[Event] = deque(maxlen=KEPT)
        #: Id of the last event that was read; None without a stream.
        self._last: int | None = None
        self._news = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self.streams = 0
        self.closed = False

    def close(self) -> None:
        """End all streams."""
        self.closed = True
        self._news.set()

    async def newest(self) -> int:
        """The id of the newest event that was read."""
        if self._last is None:
            newest = await self._workers.run(self._ipam.newest_event)
            # Another stream may have begun during the query.
            self._last = newest if self._last is None else self._last
        return self._last

    async def check(self, after: int, caller: str) -> None:
        """Check that a stream can begin after an id.

        :raises EventsPruned: events after it have been pruned.
        """
        await self._workers.run(lambda: self._ipam.events(after=after, limit=1), caller)

    async def ask(self, work: Callable[[], T], caller: str) -> T:
        """Run work for one stream, in its token's share of threads.

        A stream waits when a request would be refused.
        """
        while True:
            try:
                return await self._workers.run(work, caller)
            except Overloaded:
                await asyncio.sleep(self._interval)

    async def follow(
        self, after: int | None, heartbeat: float, caller: str
    ) -> AsyncIterator[Sequence[Event]]:
        """Yield events with a larger id as they happen, in batches.

        :param after: None for events from now on.
        :param heartbeat: seconds of silence after which an empty batch is yielded.
        :param caller: name of the token.
        """
        start = await self.newest()
        at = start if after is None else after
        self.streams += 1
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())
        try:
            while not self.closed:
                batch = await self._next(at, caller)
                if batch:
                    at = batch[-1].id
                    yield batch
                    continue
                news = self._news
                try:
                    async with asyncio.timeout(heartbeat):
                        await news.wait()
                except TimeoutError:
                    yield ()
        finally:
            self.streams -= 1

    async def _next(self, at: int, caller: str) -> Sequence[Event]:
        """The next batch of events after an id."""
        last = await self.newest()
        if at >= last:
            return ()
        if self._kept and self._kept[0].id <= at + 1:
            start = bisect_right(self._kept, at, key=lambda event: event.id)
            return [self._kept[i] for i in range(start, min(start + BATCH, len(self._kept)))]
        return await self.ask(lambda: self._ipam.events(after=at, limit=BATCH), caller)

    async def _read(self) -> None:
        """Query the database periodically while there are streams."""
        while self.streams and not self.closed:
            with contextlib.suppress(BoroughError):
                await self._look()
            await asyncio.sleep(self._interval)
        # Without streams the events in memory grow old: the next stream begins anew.
        self._last = None
        self._kept.clear()

    async def _look(self) -> None:
        after = await self.newest()
        try:
            found = await self._workers.run(lambda: self._ipam.events(after=after, limit=PAGE))
        except EventsPruned:
            # Streams that missed pruned events get the error from their own query.
            self._last = None
            self._kept.clear()
            await self.newest()
            self._wake()
            return
        if found:
            self._last = found[-1].id
            self._kept.extend(found)
            self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
