"""Periodic reclaim and pruning, in a thread of one process of the service."""

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

#: Random part of the interval, so that services do not reclaim at the same time.
_JITTER: Final = 0.1

#: File in the folder that the processes of a service share. The process that has locked it reclaims.
_LOCK: Final = "reclaim.lock"

RECLAIMS: Final = Counter(
    "borough_reclaims_total", "Runs of reclaim by outcome: an error code, or ok.", ["code"]
)

PRUNED: Final = Counter("borough_events_pruned_total", "Events pruned because of their age.")


class Reclaimer:
    """Returns idle claims to the pool and prunes events, periodically.

    An error is logged, and the next run takes place as usual.
    """

    def __init__(
        self, reclaim: Callable[[], Reclaimed], every: float, prune: Callable[[], int] = lambda: 0
    ) -> None:
        """Prepare; see :meth:`start`.

        :param reclaim: :meth:`borough.engine.ipam.Ipam.reclaim`.
        :param every: seconds between two runs; 0 for no run.
        :param prune: prunes events, and returns their number.
        """
        self._reclaim = reclaim
        self._prune = prune
        self._every = every
        self._stopping = False
        # Signal handlers stop this, perhaps one inside another: the lock of an Event would deadlock.
        self._stops: SimpleQueue[None] = SimpleQueue()
        # A run that hangs on a dead database must not keep the process from ending. A unit of work that is
        # cut off is undone.
        self._thread = threading.Thread(target=self._run, name="borough-reclaim", daemon=True)
        self._lock = ReclaimLock()

    def start(self) -> None:
        """Begin; the first run is due after one interval."""
        if self._every > 0:
            self._thread.start()

    def stop(self) -> None:
        """Begin no other run; one under way goes on."""
        self._stopping = True
        self._stops.put(None)

    def close(self, timeout: float) -> None:
        """Stop, and wait for a run that is under way.

        :param timeout: most seconds to wait.
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
        """Wait until the next run is due; return True when there is to be none."""
        spread = random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311
        try:
            self._stops.get(timeout=self._every * spread)
        except Empty:
            return False
        return True

    def _once(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            if self._stopping:
                return  # The store was closed during a run that took longer than the timeout.
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
                "ended": done.ended,
                "marked": len(done.marked),
                "reclaimed": len(done.reclaimed),
                "joined": done.joined,
            }
            _LOG.info("reclaimed", extra={"facts": counts})


class ReclaimLock:
    """Elects the process that reclaims: the first one that asks, until it ends."""

    def __init__(self) -> None:
        folder = os.environ.get(SHARED)
        self._path = None if folder is None else Path(folder, _LOCK)
        self._file: int | None = None

    def mine(self) -> bool:
        """True when this process reclaims. The system releases the lock of a process that dies."""
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
        """Let another process reclaim."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
