"""``native``: our own engine, in process. One call, and one transaction, whatever the group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

from borough.domain.model import Request
from borough.domain.topology import Changes, Topology
from borough.driver.group import Group
from borough.driver.interface import GroupDriver
from borough.driver.settings import Settings
from borough.engine.ipam import Ipam
from borough.engine.ipam import open as open_ipam
from borough.engine.views import Allocation, Answer
from borough.store.sql.store import PATIENCE


class NativeDriver(GroupDriver):
    """Decides every group and every kind itself.

    :ivar ipam: the engine, for what a driver has no call for: routes, usage, explanations.
    """

    def __init__(self, ipam: Ipam, name: str = "native") -> None:
        self.ipam = ipam
        self.name = name
        self._calls = 0

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Open a database.

        Settings: ``database``, its URL; ``create``, whether to make or upgrade it (yes for
        ``memory:``); ``patience``, seconds for which to try while others are in the way.
        """
        url = settings.text("database")
        create = settings.flag("create", url == "memory:")
        patience = settings.number("patience", PATIENCE, low=0, high=3600)
        return cls(open_ipam(url, create=create, patience=patience), settings.driver)

    @property
    def round_trips(self) -> int:
        """Calls of the engine so far: one for each request, whatever its group."""
        return self._calls

    def apply(
        self, source: Topology | Mapping[str, Any] | str, *, name: str | None = None
    ) -> Changes:
        """See :meth:`borough.driver.interface.GroupDriver.apply`."""
        return self.ipam.apply(source, name=name)

    def allocate(self, group: Group, request: Request) -> Answer:
        """See :meth:`borough.driver.interface.GroupDriver.allocate`."""
        self._calls += 1
        return self.ipam.allocate(**group.arguments(request))

    def release(
        self,
        address: str | Iterable[str] | None = None,
        *,
        owner: str = "",
        host: str = "",
        sequence: int | None = None,
        scope: str = "default",
    ) -> tuple[Allocation, ...]:
        """See :meth:`borough.driver.interface.GroupDriver.release`."""
        self._calls += 1
        return self.ipam.release(address, owner=owner, host=host, sequence=sequence, scope=scope)

    def close(self) -> None:
        """Close the database."""
        self.ipam.close()
