"""The actions on parsed requests, which library, HTTP client and confined token implement."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from datetime import datetime

from borough.domain.declared.dimensions import Labels
from borough.domain.declared.pools import PoolUsage
from borough.domain.declared.topology import Changes, Topology
from borough.domain.net.addresses import Family
from borough.domain.policy.explain import Explanation
from borough.domain.request import Request
from borough.domain.space.events import Event
from borough.domain.space.findings import Finding
from borough.engine.address_lines import AddressLine, LineQuery
from borough.engine.announcements import (
    Acknowledged,
    Acknowledgement,
    AgentView,
    HostRoutes,
)
from borough.engine.edits import EditRequest, Transferred, TransferRequest
from borough.engine.history import HistoryQuery
from borough.engine.imports import Imported, ImportRequest
from borough.engine.leases import Renewed, RenewRequest
from borough.engine.queries import RouteForm
from borough.engine.request import AllocationFilter, ReassignRequest, ReleaseRequest
from borough.engine.reservations import CancelRequest, ReserveRequest
from borough.engine.search import SearchQuery, SearchResult
from borough.engine.space_map import SpaceMap
from borough.engine.topology.change import ChangeRequest
from borough.engine.topology.replacing import ReplaceRequest
from borough.engine.topology.subnets import Draft
from borough.engine.upkeep.defragment import Defragmentation
from borough.engine.upkeep.hosts import Renamed, Vacated
from borough.engine.upkeep.reclaim import Reclaimed
from borough.engine.views import (
    Allocation,
    Answer,
    BlockView,
    DimensionView,
    HostView,
    Reassigned,
    Released,
    Reservations,
    Route,
    SubnetView,
    TokenView,
    Usage,
)


class Actions(ABC):
    """See the public methods of the same names in :class:`borough.engine.face.Face`.

    A driver that wraps a face calls these too: a request is parsed once.
    """

    @abstractmethod
    def close(self) -> None:
        """Close the store, or the connections to it."""

    @abstractmethod
    def _allocate(self, request: Request) -> Answer: ...
    @abstractmethod
    def _explain(self, request: Request) -> Explanation: ...
    @abstractmethod
    def _release(self, request: ReleaseRequest) -> Released: ...
    @abstractmethod
    def _reserve(self, request: ReserveRequest) -> Reservations: ...
    @abstractmethod
    def _cancel(self, request: CancelRequest) -> Reservations: ...
    @abstractmethod
    def _renew(self, request: RenewRequest) -> Renewed: ...
    @abstractmethod
    def _import(self, request: ImportRequest) -> Imported: ...
    @abstractmethod
    def _show(self, scope: str, family: Family, number: int) -> Allocation: ...
    @abstractmethod
    def _apply(self, topology: Topology, dry_run: bool, version: int | None) -> Changes: ...
    @abstractmethod
    def _add_subnet(self, draft: Draft) -> SubnetView: ...
    @abstractmethod
    def _change(self, request: ChangeRequest) -> Changes: ...
    @abstractmethod
    def _remove_subnet(self, name: str) -> SubnetView: ...
    @abstractmethod
    def _replace_subnets(self, request: ReplaceRequest) -> Changes: ...
    @abstractmethod
    def _subnets(self, labels: Labels, scope: str | None) -> list[SubnetView]: ...
    @abstractmethod
    def _subnet(self, name: str) -> SubnetView: ...
    @abstractmethod
    def _hosts(self) -> list[HostView]: ...
    @abstractmethod
    def _undeclared_hosts(self) -> list[str]: ...
    @abstractmethod
    def _dimensions(self) -> list[DimensionView]: ...
    @abstractmethod
    def _pools(self) -> list[PoolUsage]: ...
    @abstractmethod
    def _free_prefixes(self, pool: str, prefix_length: int | None) -> list[str]: ...
    @abstractmethod
    def _blocks(self, host: str | None, subnet: str | None) -> list[BlockView]: ...
    @abstractmethod
    def _allocations(self, selected: AllocationFilter) -> list[Allocation]: ...
    @abstractmethod
    def _addresses(self, wanted: LineQuery) -> list[AddressLine]: ...
    @abstractmethod
    def _search(self, wanted: SearchQuery) -> SearchResult: ...
    @abstractmethod
    def _space_map(self, scope: str, subnets: Collection[str] | None) -> SpaceMap: ...
    @abstractmethod
    def _usage(self, labels: Labels, host: str | None, scope: str | None) -> list[Usage]: ...
    @abstractmethod
    def _routes(self, host: str | None, form: RouteForm, scope: str | None) -> list[Route]: ...
    @abstractmethod
    def _host_routes(self, host: str, scope: str) -> HostRoutes: ...
    @abstractmethod
    def _acknowledge(self, report: Acknowledgement) -> Acknowledged: ...
    @abstractmethod
    def _agents(self, scope: str) -> list[AgentView]: ...
    @abstractmethod
    def _events(self, after: int, limit: int, labels: Labels) -> list[Event]: ...
    @abstractmethod
    def _history(self, wanted: HistoryQuery) -> list[Event]: ...
    @abstractmethod
    def _newest_event(self) -> int: ...
    @abstractmethod
    def _drain(self, host: str) -> Vacated: ...
    @abstractmethod
    def _remove_host(self, name: str, release: bool) -> Vacated: ...
    @abstractmethod
    def _rename_host(self, old: str, new: str) -> Renamed: ...
    @abstractmethod
    def _reassign(self, request: ReassignRequest) -> Reassigned: ...
    @abstractmethod
    def _edit(self, request: EditRequest) -> Allocation: ...
    @abstractmethod
    def _transfer(self, request: TransferRequest) -> Transferred: ...
    @abstractmethod
    def _reclaim(self) -> Reclaimed: ...
    @abstractmethod
    def _defragment(self, host: str | None, scope: str | None, limit: int) -> Defragmentation: ...
    @abstractmethod
    def _create_token(
        self, name: str, permission: str, labels: Labels, host: str, expires: datetime | None
    ) -> tuple[TokenView, str]: ...
    @abstractmethod
    def _revoke_token(self, name: str) -> TokenView: ...
    @abstractmethod
    def _tokens(self) -> list[TokenView]: ...
    @abstractmethod
    def _audit(
        self, repair: bool, progress: Callable[[int, int], None] | None
    ) -> list[Finding]: ...
    @abstractmethod
    def _risks(self) -> list[Finding]: ...
    @abstractmethod
    def _prune_events(self, through: int) -> int: ...
