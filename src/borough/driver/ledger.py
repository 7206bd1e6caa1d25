"""What the shim knows by itself: declared objects, who holds what, keys, and leftovers.

A classic driver gives and takes addresses and remembers nothing else. The ledger keeps the rest in a
store, with the same rules and the same code as the engine: owners, idempotency keys, sequence numbers,
and the constraint that an address has one holder. Processes that share a system share a ledger.
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
from borough.engine.request import ReleaseRequest
from borough.engine.topology import apply as apply_module
from borough.engine.views import Allocation, Answer, show
from borough.errors import BoroughError, NeedsSpace
from borough.store.port import ReadUnit, Store, Unit


def make_token() -> str:
    """A word that nobody has used before, for a system to remember an address by."""
    return uuid.uuid4().hex


@dataclass
class Ledger:
    """The shim's book.

    :ivar driver: whose leftovers are meant.
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

    def apply(self, wanted: Topology, *, dry_run: bool) -> Changes:
        """See :meth:`borough.engine.ipam.Ipam.apply`."""
        now = self.clock()
        return self.store.transact(
            lambda unit: apply_module.apply(unit, wanted, now, dry_run=dry_run), write=not dry_run
        )

    # --- Addresses ------------------------------------------------------------------------------

    def resolve(self, request: Request) -> allocate.ResolvedRequest:
        """A request against the declared objects.

        :raises NoMatchingSubnet: the group admits no subnet.
        """
        return self.store.transact(lambda unit: self._resolve(unit, request), write=False)

    def _resolve(self, unit: ReadUnit, request: Request) -> allocate.ResolvedRequest:
        resolved = self._allocator.resolved(unit.catalogue, request, self.clock())
        if not resolved.ladder.placement_groups:
            raise self._allocator.refusal(unit, resolved, counted=False)
        return resolved

    def refusal(self, resolved: allocate.ResolvedRequest) -> NeedsSpace:
        """The error for a group of which the driver gave nothing."""
        return self.store.transact(
            lambda unit: self._allocator.refusal(unit, resolved, counted=False), write=False
        )

    def holder(self, subnet: Subnet, address: int) -> AllocationRow | None:
        """Who holds an address, as far as the ledger knows."""
        found = self.store.transact(
            lambda unit: unit.allocation_at(subnet.scope, subnet.family, address), write=False
        )
        return found if found and found.state is State.ALLOCATED else None

    def replay(self, request: Request) -> Answer | None:
        """The answer that the request's key was given before, if it has one.

        :raises KeyReused: it was given to another request.
        :raises KeySpent: the addresses have been released since.
        """
        return self.store.transact(lambda unit: self._allocator.replay(unit, request), write=False)

    def record(self, request: Request, given: Sequence[DriverAddress]) -> Answer:
        """Write down what a driver gave.

        :return: another answer, ``replayed``, when somebody with the same key was faster.
        :raises AddressInUse: one of the addresses has a holder.
        """
        return self.store.transact(lambda unit: self._record(unit, request, given))

    def _record(self, unit: Unit, request: Request, given: Sequence[DriverAddress]) -> Answer:
        if request.key:
            replayed = self._allocator.replay(unit, request)
            if replayed is not None:
                return replayed
        now = self.clock()
        shown = [self._grant(unit, request, each, now) for each in given]
        if request.key:
            sequences = [each.sequence for each in shown]
            unit.bind(Binding(request.key, digest(request)), sequences, now)
        return Answer(tuple(shown), replayed=False)

    def _grant(self, unit: Unit, request: Request, given: DriverAddress, now: int) -> Allocation:
        family, number = parse_address(given.address)
        one = replace(
            request,
            scope=given.subnet.scope,
            labels={},
            tiers=((given.subnet.name,),),
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
        """Take addresses off the book, and put them on the list of what is to be given back.

        Both at once: whoever asks second is told that there is nothing to release, and if this process
        ends now, the list still says what the system holds for nobody.
        """

        def work(unit: Unit) -> list[tuple[Allocation, Orphan]]:
            released = self._allocator.release(unit, request)
            made = [(each, self.orphan(each.scope, each.subnet, each.owner)) for each in released]
            listed = [(each, left._replace(address=each.address)) for each, left in made]
            for _, left in listed:
                unit.keep_orphan(left)
            return listed

        return self.store.transact(work)

    def last_used(self, host: str) -> list[int]:
        """The subnets in which a host holds addresses, the one used last at the end."""
        held = self.store.transact(lambda unit: unit.allocations(Filter(host=host)), write=False)
        return [each.subnet_id for each in held if each.state is State.ALLOCATED]

    # --- Leftovers ------------------------------------------------------------------------------

    def orphan(
        self, scope: str, subnet: str, owner: str, token: str = "", reason: str = ""
    ) -> Orphan:
        """Something that the system may hold for nobody; no reason yet: it is being given back."""
        return Orphan(
            token or make_token(), self.clock(), self.driver, scope, subnet, "", owner, reason
        )

    def keep_orphan(self, orphan: Orphan) -> None:
        """Keep a leftover; in this process only when the store cannot be written."""
        try:
            self.store.transact(lambda unit: unit.keep_orphan(orphan))
        except BoroughError:
            self._unwritten[orphan.token] = orphan
        else:
            self._unwritten.pop(orphan.token, None)

    def orphans(self) -> list[Orphan]:
        """What the driver has left, the oldest first."""
        kept = self.store.transact(lambda unit: unit.orphans(self.driver), write=False)
        tokens = {each.token for each in kept}
        return kept + [each for each in self._unwritten.values() if each.token not in tokens]

    def discard_orphan(self, tokens: Sequence[str]) -> None:
        """Forget leftovers: they have been given back."""

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
