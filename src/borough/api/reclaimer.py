"""Sweeping and pruning now and then, beside the requests.

In one process of a service, and in a thread of its own.
"""

from __future__ import annotations

import fcntl
import logging
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from prometheus_client import Counter

from borough.api.metrics import SHARED
from borough.engine.upkeep.reclaim import Reclaimed
from borough.errors import BoroughError

_LOG: Final = logging.getLogger("borough.reclaim")

#: How much earlier or later than told a sweep may begin, so that services do not sweep in step.
_JITTER: Final = 0.1

#: In the folder that the processes of a service share: whoever has locked it sweeps.
_LOCK: Final = "reclaim.lock"

RECLAIMS: Final = Counter(
    "borough_reclaims_total", "Sweeps by what came of them: an error code, or ok.", ["code"]
)


PRUNED: Final = Counter("borough_events_pruned_total", "Events pruned because of their age.")


class Reclaimer:
    """Gives back, every few minutes, what nobody needs any more, and prunes events.

    An error is written down, and the next sweep is tried like any other.
    """

    def __init__(
        self, reclaim: Callable[[], Reclaimed], every: float, prune: Callable[[], int] = lambda: 0
    ) -> None:
        """Do not begin yet; see :meth:`start`.

        :param sweep: :meth:`borough.engine.ipam.Ipam.reclaim`.
        :param every: seconds from one sweep to the next; 0 for none at all.
        :param prune: prunes events, and returns how many.
        """
        self._reclaim = reclaim
        self._prune = prune
        self._every = every
        self._stopping = False
        # Told to stop by a signal, perhaps twice at once: an event's lock would be waited for by its holder.
        self._told: SimpleQueue[None] = SimpleQueue()
        # A sweep that hangs on a dead database must not keep the process from ending: a unit of work that
        # is cut off is undone.
        self._thread = threading.Thread(target=self._run, name="borough-reclaim", daemon=True)
        self._lock = ReclaimLock()

    def start(self) -> None:
        """Begin; the first sweep is due when the time between two has passed."""
        if self._every > 0:
            self._thread.start()

    def stop(self) -> None:
        """Begin no other sweep; one under way goes on."""
        self._stopping = True
        self._told.put(None)

    def close(self, timeout: float) -> None:
        """Stop, and wait for a sweep that is under way.

        :param patience: for how long at most, in seconds.
        """
        self.stop()
        if self._thread.is_alive():
            self._thread.join(timeout)
        self._lock.close()

    def _run(self) -> None:
        while not self._rest():
            if self._lock.mine():
                self._once("reclaim", self._reclaim_once)
                self._once("prune", self._prune_once)

    def _rest(self) -> bool:
        """Wait until the next sweep is due; return whether there is to be none."""
        spread = random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311
        try:
            self._told.get(timeout=self._every * spread)
        except Empty:
            return False
        return True

    def _once(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            if self._stopping:
                return  # The store was closed under a sweep that took too long to end.
            code = error.code if isinstance(error, BoroughError) else "internal"
            if name == "reclaim":
                RECLAIMS.labels(code).inc()
            unexpected = not isinstance(error, BoroughError)
            _LOG.error(
                f"{name} failed",
                extra={"facts": {"code": code}},
                exc_info=error if unexpected else None,
            )

    def _prune_once(self) -> None:
        count = self._prune()
        PRUNED.inc(count)
        if count:
            _LOG.info("pruned", extra={"facts": {"events": count}})

    def _reclaim_once(self) -> None:
        done = self._reclaim()
        RECLAIMS.labels("ok").inc()
        if done != Reclaimed():
            counts = {
                "rested": done.rested,
                "marked": len(done.marked),
                "reclaimed": len(done.reclaimed),
                "joined": done.joined,
            }
            _LOG.info("swept", extra={"facts": counts})


class ReclaimLock:
    """Whether this process is the one that sweeps: of several, the first that asks, until it ends."""

    def __init__(self) -> None:
        folder = os.environ.get(SHARED)
        self._path = None if folder is None else Path(folder, _LOCK)
        self._file: int | None = None

    def mine(self) -> bool:
        """Ask. The system takes the lock from a process that dies."""
        if self._path is None or self._file is not None:
            return True
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        return True

    def close(self) -> None:
        """Leave it to another one."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
