"""The base of ``native`` and ``remote``: Borough's engine decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any, TypeVar

from borough.domain.declared.topology import Changes, Topology
from borough.domain.request import Request
from borough.driver.group import Group
from borough.driver.interface import GroupDriver
from borough.engine.face import Face
from borough.engine.request import ReleaseRequest
from borough.engine.views import Allocation, Answer

T = TypeVar("T")


class EngineDriver(GroupDriver):
    """Passes every request to the engine: one call for each.

    :ivar ipam: the engine, also for routes, usage and explanations.
    """

    def __init__(self, ipam: Face, name: str) -> None:
        self.ipam = ipam
        self.name = name
        self._made = 0
        self._lock = Lock()

    @property
    def round_trips(self) -> int:
        """Calls to the engine so far."""
        return self._made

    def _call(self, call: Callable[[], T], *, repeatable: bool) -> T:
        """Make a call, and count it.

        :param repeatable: True when it may be repeated after an unknown outcome.
        """
        with self._lock:
            self._made += 1
        return call()

    def apply(
        self, source: Topology | Mapping[str, Any] | str, *, name: str | None = None
    ) -> Changes:
        """See :meth:`borough.driver.interface.GroupDriver.apply`."""
        return self.ipam.apply(source, name=name)

    def allocate(self, group: Group, request: Request) -> Answer:
        """See :meth:`borough.driver.interface.GroupDriver.allocate`."""
        whole = group.narrow(request)
        return self._call(lambda: self.ipam._allocate(whole), repeatable=bool(request.key))

    def _release(self, request: ReleaseRequest) -> Sequence[Allocation]:
        return self._call(lambda: self.ipam._release(request), repeatable=False)

    def close(self) -> None:
        """Close the database, or the connections."""
        self.ipam.close()
