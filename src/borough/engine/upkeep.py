"""The part of the library's face that keeps claims in order: hosts that go, addresses that move, sweeps."""

from __future__ import annotations

from collections.abc import Callable

from borough.domain.address import parse_address
from borough.domain.text import check_text
from borough.engine import moves
from borough.engine.allocation import Allocator
from borough.engine.defragment import Defragmentation, defragment, snapshot
from borough.engine.moves import Renamed, Vacated
from borough.engine.queries import check_page
from borough.engine.sweep import Swept, sweep
from borough.engine.trail import prune_piece
from borough.engine.views import Allocation
from borough.store.port import Store


class Upkeep:
    """See :class:`borough.engine.ipam.Ipam`."""

    _store: Store
    _clock: Callable[[], int]
    _allocator: Allocator

    def drain(self, host: str) -> Vacated:
        """Take all claims from a host whose workloads are about to leave.

        Its unused regions become unclaimed space. Its addresses stay held until they are released or
        moved, each with a route of its own. This is done once and puts no lock on the host: a request that
        names it later claims for it again.

        :raises UnknownObject: there is no such host, nor a claim or an address of it.
        """
        name = check_text("host", host)
        return self._store.transact(lambda unit: moves.drain(unit, name, self._clock()))

    def remove_host(self, name: str, *, release: bool = False) -> Vacated:
        """Forget a host that is gone: what :meth:`drain` does, and its declared entry is removed.

        A topology that still declares it declares it again when it is next applied.

        :param release: release its addresses as well; otherwise they stay held.
        :raises UnknownObject: there is no such host, nor a claim or an address of it.
        """
        host = check_text("host", name)
        return self._store.transact(
            lambda unit: moves.remove_host(unit, host, self._clock(), release=release),
            declares=True,
        )

    def rename_host(self, old: str, new: str) -> Renamed:
        """Give a host another name: its claims, its addresses and its declared entry, all at once.

        What there is under the new name already stays, and the claims of both are joined where they
        fit; of two declared entries the one of the new name is kept. Sequence numbers stay.

        :raises UnknownObject: there is no such host, nor a claim or an address of it.
        :raises FixInput: the names are the same.
        """
        before, after = check_text("host", old), check_text("host", new)
        return self._store.transact(
            lambda unit: moves.rename_host(unit, before, after, self._clock()), declares=True
        )

    def move(
        self,
        address: str,
        host: str,
        *,
        sequence: int | None = None,
        force: bool = False,
        scope: str = "default",
    ) -> Allocation:
        """Put an address on another host, as a live migration does; its owner keeps it.

        It keeps its sequence number, for it is still the same holding. The region around it follows
        when only the new host has addresses in it any more. An address that is there already is
        left as it is.

        :param sequence: move it only if it still has this sequence number.
        :param force: move it also where the new host's labels say that it cannot be reached.
        :raises NotAllocated: nobody holds the address.
        :raises StaleSequence: the address was given to somebody else since.
        :raises AddressOutsideGroup: the host implies labels by which the subnet is fenced off from it:
            another segment.
        :raises UnknownObject: there is no such scope.
        """
        family, number = parse_address(address)
        name = check_text("host", host)
        return self._store.transact(
            lambda unit: moves.move(
                unit,
                scope,
                family,
                number,
                name,
                self._clock(),
                sequence=sequence,
                force=force,
            )
        )

    def sweep(self) -> Swept:
        """Give back what nobody needs any more; to be called every few minutes.

        Cooling addresses whose rest is over are free again; a region that is empty, or little used,
        is marked, and given back by a later sweep that finds it so still: after 15 minutes, or its
        unused half after an hour. It never takes an address from its owner, and works in short
        units, so that it may run beside everything else, also several times at once. An error says under
        ``done`` what was done before it.
        """
        return sweep(self._store, self._clock, self._take_back)

    def _take_back(self) -> int:
        # Also where no subnet has a cool-down any more: a rest that is left over would else last for ever.
        if not self._store.transact(lambda unit: unit.expired(self._clock(), 1), write=False):
            return 0
        return self._store.transact(lambda unit: self._allocator.sweep(unit, self._clock()))

    def defragment(
        self, *, host: str | None = None, scope: str | None = None, limit: int = 100
    ) -> Defragmentation:
        """Propose which addresses to renumber to save routes; nothing is renumbered.

        Each is to be released and asked for again for the same host, from the subnets named, in the
        order given. Found greedily, and counted by playing it on a copy of the address space.

        :param host: only addresses of this host.
        :param scope: only those of this scope.
        :param limit: most addresses.
        :raises UnknownObject: there is no such scope.
        """
        place = None if host is None else check_text("host", host)
        check_page(0, limit)
        seen = self._store.transact(lambda unit: snapshot(unit, scope), write=False)
        return defragment(seen, place, limit, self._clock())

    def prune_events(self, through: int) -> int:
        """Remove the oldest events, at most 5000 of them, in one transaction; the newest event stays.

        A reader that goes on after an id that is older than the last one removed is told so
        (:class:`~borough.errors.EventsPruned`). An event says what was pruned.

        :param through: the largest id to remove.
        :return: how many were removed; 0 when there was nothing left to remove.
        """
        check_page(through, None)
        upto = self._store.horizon()
        return self._store.transact(lambda unit: prune_piece(unit, through, upto, self._clock()))
