"""The part of the client that keeps claims in order, as :mod:`borough.engine.upkeep` is of the library."""

from __future__ import annotations

from msgspec import convert

from borough.client.transport import Transport, segment
from borough.domain.address import parse_address
from borough.domain.text import check_text
from borough.engine.defragment import Defragmentation
from borough.engine.moves import Renamed, Vacated
from borough.engine.queries import check_page
from borough.engine.sweep import Swept
from borough.engine.views import Allocation


class RemoteUpkeep:
    """See :class:`borough.client.ipam.RemoteIpam`."""

    _http: Transport

    def drain(self, host: str) -> Vacated:
        """See :meth:`borough.engine.upkeep.Upkeep.drain`."""
        return convert(self._http.call("POST", f"{_host(host)}/drain"), Vacated)

    def remove_host(self, name: str, *, release: bool = False) -> Vacated:
        """See :meth:`borough.engine.upkeep.Upkeep.remove_host`."""
        return convert(self._http.call("DELETE", _host(name), {"release": release}), Vacated)

    def rename_host(self, old: str, new: str) -> Renamed:
        """See :meth:`borough.engine.upkeep.Upkeep.rename_host`."""
        body = {"name": check_text("host", new)}
        return convert(self._http.call("POST", f"{_host(old)}/rename", body=body), Renamed)

    def move(
        self,
        address: str,
        host: str,
        *,
        sequence: int | None = None,
        force: bool = False,
        scope: str = "default",
    ) -> Allocation:
        """See :meth:`borough.engine.upkeep.Upkeep.move`."""
        parse_address(address)
        path = f"/v1/allocations/{segment(scope)}/{segment(address)}/move"
        body = {"host": check_text("host", host), "sequence": sequence, "force": force}
        return convert(self._http.call("POST", path, body=body), Allocation)

    def sweep(self) -> Swept:
        """See :meth:`borough.engine.upkeep.Upkeep.sweep`."""
        return convert(self._http.call("POST", "/v1/sweep"), Swept)

    def defragment(
        self, *, host: str | None = None, scope: str | None = None, limit: int = 100
    ) -> Defragmentation:
        """See :meth:`borough.engine.upkeep.Upkeep.defragment`."""
        place = None if host is None else check_text("host", host)
        check_page(0, limit)
        query = {"host": place, "scope": scope, "limit": limit}
        return convert(self._http.get("/v1/defragment", query), Defragmentation)

    def prune_events(self, through: int) -> int:
        """See :meth:`borough.engine.upkeep.Upkeep.prune_events`."""
        check_page(through, None)
        pruned: int = self._http.call("POST", "/v1/events/prune", body={"through": through})[
            "pruned"
        ]
        return pruned


def _host(name: str) -> str:
    """The path of a host, its name checked as the library does it."""
    return f"/v1/hosts/{segment(check_text('host', name))}"
