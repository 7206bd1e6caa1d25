"""The live feed of events: one reader of the database for all streams of a process.

Event ids are given before their transactions commit, so that of two transactions the later id may be
seen first. A stream must nevertheless tell ids in ascending order and leave none out, or whoever resumes
after the last id that he saw would miss one. So where an id is missing, the feed waits for it for a
while; it may also never come, because its transaction was undone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from borough.api.crew import Crew
from borough.engine.ipam import Ipam
from borough.errors import BoroughError
from borough.store.port import Event

#: How often the database is asked for new events, in seconds.
INTERVAL: Final = 0.25

#: How long a missing id is waited for, in seconds: longer than a transaction takes.
GAP_TIME: Final = 2.0

#: Events read at a time.
PAGE: Final = 5000

#: Events told at a time: a stream whose caller does not read keeps so many.
BATCH: Final = 200

#: Events kept in memory for streams that are a little behind; the others read the database.
KEPT: Final = 10_000

_LOG = logging.getLogger(__name__)


class Settler:
    """Tells which of the events seen so far can be told, in the order of their ids."""

    def __init__(
        self,
        after: int,
        *,
        gap_time: float = GAP_TIME,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin.

        :param after: the last id that is settled.
        """
        self.settled = after
        self._gap_time = gap_time
        self._clock = clock
        #: When each event that waits was first seen, by id.
        self._waiting: dict[int, float] = {}

    def settle(self, seen: Sequence[Event]) -> list[Event]:
        """Those of the events after :attr:`settled` that nothing can come before any more.

        :param seen: all events after :attr:`settled` that can be seen now, or the first of them.
        """
        now = self._clock()
        self._waiting = {event.id: self._waiting.get(event.id, now) for event in seen}
        told: list[Event] = []
        for event in seen:
            # Whatever is missing before it got its id before it did.
            if event.id != self.settled + 1 and now - self._waiting[event.id] < self._gap_time:
                break
            told.append(event)
            self.settled = event.id
        return told


class Feed:
    """Events as they happen, for any number of streams."""

    def __init__(self, ipam: Ipam, crew: Crew, *, interval: float = INTERVAL) -> None:
        self._ipam = ipam
        self._crew = crew
        self._interval = interval
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._settler: Settler | None = None
        self._news = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self.streams = 0
        self.closed = False

    def close(self) -> None:
        """End all streams."""
        self.closed = True
        self._news.set()

    async def newest(self) -> int:
        """The id of the newest event that is settled."""
        if self._settler is None:
            newest = await self._crew.run(self._ipam.newest_event)
            # Another stream may have begun meanwhile.
            self._settler = self._settler or Settler(newest)
        return self._settler.settled

    async def follow(self, after: int | None, heartbeat: float) -> AsyncIterator[Sequence[Event]]:
        """Events with a larger id, as they happen, in batches; an empty one is a sign of life.

        :param after: None for those that happen from now on.
        :param heartbeat: seconds between signs of life.
        """
        start = await self.newest()
        at = start if after is None else after
        self.streams += 1
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())
        try:
            while not self.closed:
                batch = await self._next(at)
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

    async def _next(self, at: int) -> Sequence[Event]:
        """Settled events after an id, a batch of them."""
        settled = await self.newest()
        if at >= settled:
            return ()
        if self._kept and self._kept[0].id <= at + 1:
            start = bisect_right(self._kept, at, key=lambda event: event.id)
            return [self._kept[i] for i in range(start, min(start + BATCH, len(self._kept)))]
        page = await self._crew.run(lambda: self._ipam.events(after=at, limit=BATCH))
        return [event for event in page if event.id <= settled]

    async def _read(self) -> None:
        """Ask the database, again and again, as long as anybody listens."""
        while self.streams and not self.closed:
            with contextlib.suppress(BoroughError):
                await self._look()
            await asyncio.sleep(self._interval)
        # Nobody listens: whoever comes next begins anew.
        self._settler = None
        self._kept.clear()

    async def _look(self) -> None:
        assert self._settler is not None
        after = self._settler.settled
        seen = await self._crew.run(lambda: self._ipam.events(after=after, limit=PAGE))
        told = self._settler.settle(seen)
        if told:
            self._kept.extend(told)
            news, self._news = self._news, asyncio.Event()
            news.set()
