"""The announcements of all hosts: computed once after a change, for all streams of a process."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Final

from borough.api.workers import WorkerPool
from borough.domain.net.announce import NO_PREFIXES, Prefixes
from borough.engine.announcements import Announcements, HostRoutes, show_routes
from borough.engine.ipam import Ipam
from borough.errors import BoroughError

#: Least seconds between two looks at the database.
INTERVAL: Final = 0.02

#: Seconds after which the picture is computed again without a reason, and compared.
FULL_EVERY: Final = 60.0

#: Pictures of a host that are kept for streams that resume.
KEPT: Final = 8


class _Scope:
    """The announcements of one scope, and the streams that follow them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.announcements = Announcements(name)
        self.prefixes: dict[str, Prefixes] = {}
        self.horizon = 0
        self.pictures: dict[str, deque[HostRoutes]] = {}
        self.streams = 0
        self.is_read = False
        self.news = asyncio.Event()
        self.changed: dict[str, asyncio.Event] = {}

    def picture(self, host: str) -> HostRoutes:
        """The present picture of a host."""
        kept = self.pictures.setdefault(host, deque(maxlen=KEPT))
        prefixes = self.prefixes.get(host, NO_PREFIXES)
        made = show_routes(host, self.name, self.horizon, prefixes)
        if not kept or kept[-1].tag != made.tag:
            kept.append(made)
        return made

    def known(self, host: str, tag: str | None) -> HostRoutes | None:
        """A picture that the host had lately; None when it is not kept."""
        return next((each for each in self.pictures.get(host, ()) if each.tag == tag), None)

    def take(self, prefixes: dict[str, Prefixes], horizon: int) -> None:
        """Take new announcements, and wake the streams of the hosts whose prefixes changed."""
        before, self.prefixes, self.horizon = self.prefixes, prefixes, horizon
        if not self.is_read:
            self.is_read = True
            self._wake(list(self.changed))
        else:
            same = NO_PREFIXES
            self._wake(
                host
                for host in list(self.changed)
                if before.get(host, same) != prefixes.get(host, same)
            )
        news, self.news = self.news, asyncio.Event()
        news.set()

    def _wake(self, hosts: Iterable[str]) -> None:
        for host in hosts:
            self.changed.pop(host).set()

    def wait_for(self, host: str) -> asyncio.Event:
        """An event that is set at the next change of a host."""
        return self.changed.setdefault(host, asyncio.Event())

    def close(self) -> None:
        """End the waits of all streams."""
        self._wake(list(self.changed))
        self.news.set()


class RouteFeed:
    """The announcements of hosts, for any number of streams.

    Between two computations it pauses at least as long as the last one took. So a process spends at most
    half a core on them.
    """

    def __init__(self, ipam: Ipam, workers: WorkerPool, *, interval: float = INTERVAL) -> None:
        self._ipam = ipam
        self._workers = workers
        self._interval = interval
        self._scopes: dict[str, _Scope] = {}
        self._readers: dict[str, asyncio.Task[None]] = {}
        self.closed = False

    def close(self) -> None:
        """End all streams."""
        self.closed = True
        for scope in self._scopes.values():
            scope.close()

    async def picture(self, host: str, name: str, caller: str) -> HostRoutes:
        """The present picture of a host, also without a stream."""
        scope = self._scopes.get(name)
        if scope is not None and scope.is_read:
            return show_routes(host, name, scope.horizon, scope.prefixes.get(host, NO_PREFIXES))
        return await self._workers.run(lambda: self._ipam.host_routes(host, scope=name), caller)

    async def follow(
        self, host: str, name: str, tag: str | None, heartbeat: float
    ) -> AsyncIterator[tuple[HostRoutes | None, HostRoutes | None]]:
        """Yield each new picture of a host, with the one before it that the caller has.

        :param tag: of the picture that the caller has; None for none.
        :param heartbeat: seconds of silence after which a pair of None is yielded.
        """
        scope = self._scopes.setdefault(name, _Scope(name))
        scope.streams += 1
        if name not in self._readers or self._readers[name].done():
            self._readers[name] = asyncio.create_task(self._read(scope))
        try:
            shown: HostRoutes | None = None
            while not self.closed:
                waiting = scope.wait_for(host)
                if scope.is_read:
                    found = scope.picture(host)
                    before = shown or scope.known(host, tag)
                    if before is None or before.tag != found.tag:
                        shown = found
                        yield found, before
                        continue
                    shown = found
                try:
                    async with asyncio.timeout(heartbeat):
                        await waiting.wait()
                except TimeoutError:
                    yield None, None
        finally:
            scope.streams -= 1

    async def _read(self, scope: _Scope) -> None:
        """Look at the database periodically while there are streams."""
        since = time.monotonic()
        while scope.streams and not self.closed:
            begun = time.monotonic()
            if begun - since > FULL_EVERY:
                # Also without an event: a computation must not depend on what the trail records.
                scope.announcements = Announcements(scope.name, scope.prefixes)
                since = begun
            with contextlib.suppress(BoroughError):
                if await self._workers.run(lambda: self._look(scope)):
                    made = scope.announcements
                    scope.take(made.permitted, made.horizon)
            await asyncio.sleep(max(self._interval, time.monotonic() - begun))
        # The next stream begins anew: the pictures grow old.
        self._scopes.pop(scope.name, None)

    def _look(self, scope: _Scope) -> bool:
        """Compute what has changed, in a thread."""
        # Before the unit: it then reads at least the events up to the horizon.
        horizon = self._ipam.store.horizon()
        return self._ipam.store.transact(
            lambda unit: scope.announcements.refresh(unit, horizon, self._ipam.now()), write=False
        )
