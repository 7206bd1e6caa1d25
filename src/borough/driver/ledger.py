"""The store of the shim: declared objects, allocations, idempotency keys and orphans.

A classic driver only allocates and releases addresses. The ledger keeps the rest, with the code of the
engine: owners, keys, sequence numbers, and one holder for each address. Processes that share a system
share a ledger.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.records import Subnet
from borough.domain.declared.topology import Changes, Topology
from borough.domain.net.addresses import parse_address
from borough.domain.policy import allocate
from borough.domain.request import Kind, Request
from borough.domain.space.allocations import AllocationRow, State
from borough.domain.space.filters import Filter
from borough.domain.space.keys import Binding
from borough.domain.space.orphans import Orphan
from borough.driver.interface import DriverAddress
from borough.engine.allocation import Allocator, Ladders, digest
from borough.engine.release import release
from borough.engine.request import ReleaseRequest
from borough.engine.topology import apply as apply_module
from borough.engine.views import Allocation, Answer, show
from borough.errors import BoroughError, NeedsSpace
from borough.store.port import ReadUnit, Store, Unit


def make_token() -> str:
    """A unique token, by which a system finds an address."""
    return uuid.uuid4().hex


@dataclass
class Ledger:
    """The ledger of one driver.

    :ivar driver: its name; the orphans are those of this driver.
    :ivar clock: the time in microseconds since the epoch.
    """

    store: Store
    driver: str
    clock: Callable[[], int]
    _unwritten: dict[str, Orphan] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._allocator = Allocator(self.clock, Ladders())

    # --- Declared objects -----------------------------------------------------------------------

    @property
    def catalogue(self) -> Catalogue:
        """The declared objects."""
        return self.store.transact(lambda unit: unit.catalogue, write=False)

    def apply(self, topology: Topology, *, dry_run: bool) -> Changes:
        """See :meth:`borough.engine.ipam.Ipam.apply`."""
        now = self.clock()
        return self.store.transact(
            lambda unit: apply_module.apply(unit, topology, now, dry_run=dry_run), write=not dry_run
        )

    # --- Addresses ------------------------------------------------------------------------------

    def resolve(self, request: Request) -> allocate.ResolvedRequest:
        """Resolve a request against the declared objects.

        :raises NoMatchingSubnet: the group admits no subnet.
        """
        return self.store.transact(lambda unit: self._resolve(unit, request), write=False)

    def _resolve(self, unit: ReadUnit, request: Request) -> allocate.ResolvedRequest:
        resolved = self._allocator.resolved(unit.catalogue, request, self.clock())
        if not resolved.ladder.placement_groups:
            raise self._allocator.refusal(unit, resolved, counted=False)
        return resolved

    def refusal(self, resolved: allocate.ResolvedRequest) -> NeedsSpace:
        """The error for a group of which the driver allocated nothing."""
        return self.store.transact(
            lambda unit: self._allocator.refusal(unit, resolved, counted=False), write=False
        )

    def holder(self, subnet: Subnet, address: int) -> AllocationRow | None:
        """The allocation of an address; None when the ledger has none."""
        found = self.store.transact(
            lambda unit: unit.allocation_at(subnet.scope, subnet.family, address), write=False
        )
        return found if found and found.state is State.ALLOCATED else None

    def replay(self, request: Request) -> Answer | None:
        """The earlier answer to the key of a request; None without one.

        :raises KeyReused: another request has used the key.
        :raises KeySpent: the addresses have been released since.
        """
        return self.store.transact(lambda unit: self._allocator.replay(unit, request), write=False)

    def record(self, request: Request, taken: Sequence[DriverAddress]) -> Answer:
        """Record the addresses that a driver allocated.

        :return: another answer, ``replayed``, when a request with the same key was faster.
        :raises AddressInUse: one of the addresses has a holder.
        """
        return self.store.transact(lambda unit: self._record(unit, request, taken))

    def _record(self, unit: Unit, request: Request, taken: Sequence[DriverAddress]) -> Answer:
        if request.key:
            replayed = self._allocator.replay(unit, request)
            if replayed is not None:
                return replayed
        now = self.clock()
        shown = [self._grant(unit, request, each, now) for each in taken]
        if request.key:
            sequences = [each.sequence for each in shown]
            unit.bind(Binding(request.key, digest(request)), sequences, now)
        return Answer(tuple(shown), replayed=False)

    def _grant(self, unit: Unit, request: Request, taken: DriverAddress, now: int) -> Allocation:
        family, number = parse_address(taken.address)
        one = replace(
            request,
            scope=taken.subnet.scope,
            labels={},
            tiers=((taken.subnet.name,),),
            kind=Kind.SPECIFIC,
            families=(family,),
            count=1,
            address=number,
            mac=None,
        )
        plan = allocate.allocate(self._allocator.resolved(unit.catalogue, one, now), unit)
        assert plan is not None
        (sequence,) = unit.commit(plan, now)
        (grant,) = plan.grants
        return show(grant.allocation, unit.catalogue, grant.block, sequence)

    def release(self, request: ReleaseRequest) -> list[tuple[Allocation, Orphan]]:
        """Release addresses in the ledger, and keep each as an orphan, in one transaction.

        A second release finds nothing to release. If the process ends now, the orphans remain.
        """

        def work(unit: Unit) -> list[tuple[Allocation, Orphan]]:
            released = release(unit, request, self.clock())
            made = [(each, self.orphan(each.scope, each.subnet, each.owner)) for each in released]
            kept = [(each, orphan._replace(address=each.address)) for each, orphan in made]
            for _, orphan in kept:
                unit.keep_orphan(orphan)
            return kept

        return self.store.transact(work)

    def last_used(self, host: str) -> list[int]:
        """The subnets of the addresses of a host, the last used one at the end."""
        held = self.store.transact(lambda unit: unit.allocations(Filter(host=host)), write=False)
        return [each.subnet_id for each in held if each.state is State.ALLOCATED]

    # --- Orphans --------------------------------------------------------------------------------

    def orphan(
        self, scope: str, subnet: str, owner: str, token: str = "", reason: str = ""
    ) -> Orphan:
        """Make an orphan; without a reason until its release has failed."""
        return Orphan(
            token or make_token(), self.clock(), self.driver, scope, subnet, "", owner, reason
        )

    def keep_orphan(self, orphan: Orphan) -> None:
        """Keep an orphan; only in this process when the store cannot be written."""
        try:
            self.store.transact(lambda unit: unit.keep_orphan(orphan))
        except BoroughError:
            self._unwritten[orphan.token] = orphan
        else:
            self._unwritten.pop(orphan.token, None)

    def orphans(self) -> list[Orphan]:
        """The orphans of the driver, the oldest first."""
        kept = self.store.transact(lambda unit: unit.orphans(self.driver), write=False)
        tokens = {each.token for each in kept}
        return kept + [each for each in self._unwritten.values() if each.token not in tokens]

    def discard_orphan(self, tokens: Sequence[str]) -> None:
        """Remove orphans that are released."""

        def work(unit: Unit) -> None:
            for token in tokens:
                unit.discard_orphan(token)

        for token in tokens:
            self._unwritten.pop(token, None)
        if tokens:
            self.store.transact(work)

    def close(self) -> None:
        """Close the store."""
        self.store.close()
