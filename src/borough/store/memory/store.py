"""The store in Python dictionaries.

Every answer scans all rows, without an index: slow, and simple to verify. The SQL stores are compared with it
on random histories.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, TypeVar

from borough.domain.declared.catalogue import Catalogue
from borough.domain.policy.take import Taken, TakeRequest
from borough.errors import Contended
from borough.store.memory.tables import Tables
from borough.store.memory.unit import MemoryUnit
from borough.store.port import LostRace, Unit

T = TypeVar("T")

_ATTEMPTS: Final = 32


class MemoryStore:
    """A store for tests, trials and simulations; nothing survives the process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._tables = Tables()
        self._catalogue = self._tables.catalogue
        self.retries = 0

    @property
    def known(self) -> Catalogue | None:
        return None

    def allocate(self, _order: TakeRequest, work: Callable[[Unit], T]) -> Taken | T:
        return self.transact(work)

    def transact(
        self,
        work: Callable[[Unit], T],
        *,
        write: bool = True,
        repeatable: bool = False,
        declares: bool = False,
        brief: bool = False,
    ) -> T:
        with self._lock:
            for _ in range(_ATTEMPTS):
                tables = self._tables.copy() if write else self._tables
                unit = MemoryUnit(tables, self._catalogue)
                try:
                    answer = work(unit)
                except LostRace:
                    self.retries += 1
                    continue
                if write:
                    self._tables = tables
                    if tables.version != self._catalogue.version:
                        self._catalogue = tables.catalogue
                return answer
        raise Contended("the unit of work lost a race at every attempt", attempts=_ATTEMPTS)

    def horizon(self) -> int:
        with self._lock:
            return self._tables.newest_event

    def close(self) -> None:
        """Nothing to release."""
