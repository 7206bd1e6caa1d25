"""The policies that the benchmark compares: Borough, Calico and first-fit.

*Calico* is written from its public description. A host takes addresses from the blocks with affinity to it.
When these are full it claims one more block, in a random order. When no block is left it borrows single
addresses from the blocks of others. Each block is one route, each borrowed address another. A host with a
second block releases an empty one. The last block of a host is released after three hours without use, as
Calico's controller does for a node that is gone; nobody tells the policy. The cap of 20 blocks a host is
left out: with it Calico refuses requests while addresses are free, which lowers its count of routes.

*First-fit* allocates the lowest free address to every host.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable, Mapping
from typing import Protocol

from aggregation.indexed_space import IndexedSpace
from aggregation.trace import HOUR
from borough.domain.declared.dimensions import HOST
from borough.domain.declared.records import Interval, Subnet
from borough.domain.net.fewest_routes import minimal
from borough.domain.net.prefixes import subtract
from borough.domain.policy import allocate as policy
from borough.domain.policy.reclaim import reclaim_idle
from borough.domain.policy.selection import Ladder, ResolvedSelector, climb, resolve_selector
from borough.domain.request import Request
from borough.domain.space.allocations import SECOND
from borough.domain.space.plan import Plan
from borough.domain.space.regions import regions

Routes = set[tuple[int, int]]

#: Seconds after which a host without addresses is taken to be gone: longer than a drain lasts.
_GONE_AFTER = 3 * HOUR


class Policy(Protocol):
    """Allocates addresses to hosts.

    :ivar touched: hosts whose routes may have changed since the set was last emptied.
    :ivar reserved: number of addresses that hosts have claimed, used or not.
    """

    touched: set[int]
    reserved: int

    @property
    def borrowed(self) -> int:
        """Number of addresses in use on a host in a claim of another."""

    def allocate(self, host: int, at: float) -> int | None:
        """Allocate an address; None when refused."""

    def release(self, host: int, address: int, at: float) -> None:
        """Release an address."""

    def reclaim_idle(self, at: float) -> None:
        """Return idle claims; called every few minutes."""

    def routes(self, host: int) -> Routes:
        """Base and length of each prefix that a host advertises, in strict form."""

    def owned(self) -> Iterable[list[Interval]]:
        """For each host, the addresses that are routed to it."""


class Borough:
    """The package's own decisions."""

    def __init__(self, subnets: list[Subnet], expected: Mapping[int, int] | None = None) -> None:
        """Start with an empty pool.

        :param expected: the ``expected`` setting of each host, in addresses; None when no host declares it.
        """
        declared = {f"h{host}": size for host, size in (expected or {}).items()}
        self.space = IndexedSpace(subnets, declared)
        self.touched: set[int] = set()
        self.reserved = 0
        self._family = subnets[0].family
        self._ladders: dict[int, tuple[Request, ResolvedSelector, Ladder]] = {}
        self._loans: dict[int, set[int]] = {}

    @property
    def borrowed(self) -> int:
        """See :class:`Policy`."""
        return sum(map(len, self._loans.values()))

    def _ladder(self, host: int) -> tuple[Request, ResolvedSelector, Ladder]:
        found = self._ladders.get(host)
        if found is None:
            name = f"h{host}"
            request = Request(host=name, labels={HOST: frozenset([name])})
            catalogue = self.space.catalogue
            found = request, resolve_selector(catalogue, request), climb(catalogue, request)
            self._ladders[host] = found
        return found

    def allocate(self, host: int, at: float) -> int | None:
        """See :class:`Policy`."""
        request, selector, ladder = self._ladder(host)
        now = int(at * SECOND)
        resolved = policy.ResolvedRequest(self.space.catalogue, request, selector, ladder, now)
        plan = policy.allocate(resolved, self.space)
        if plan is None:
            return None
        self._commit(plan)
        self.touched.add(host)
        grant = plan.grants[0]
        if grant.block is not None and grant.block.holder not in ("", f"host=h{host}"):
            self._loans.setdefault(host, set()).add(grant.allocation.address)
        return grant.allocation.address

    def release(self, host: int, address: int, at: float) -> None:
        """See :class:`Policy`."""
        allocation = self.space.allocated[address]
        now = int(at * SECOND)
        plan = policy.release(self.space.catalogue, self.space, [allocation], now)
        self._commit(plan)
        self.touched.add(host)
        self._loans.get(host, set()).discard(address)

    def _commit(self, plan: Plan) -> None:
        removed = plan.blocks_removed + [old for old, _ in plan.changed.values()]
        added = plan.blocks_added + [new for _, new in plan.changed.values()]
        for blocks, sign in ((removed, -1), (added, 1)):
            for block in blocks:
                if block.holder:
                    self.reserved += sign * block.prefix.size
                    self.touched.add(int(block.holder.removeprefix("host=h")))
        self.space.commit(plan)

    def reclaim_idle(self, at: float) -> None:
        """See :class:`Policy`."""
        held = [block for block in self.space.blocks.values() if block.holder]
        now = int(at * SECOND)
        self._commit(reclaim_idle(self.space.catalogue, self.space, held, now))

    def routes(self, host: int) -> Routes:
        """See :class:`Policy`."""
        held = self.space.held.get(f"host=h{host}", {}).values()
        claimed = [region for region, _ in regions(held)]
        spans = [(each.base, each.last) for each in claimed]
        spans += [(address, address) for address in self._loans.get(host, ())]
        return {(each.base, each.length) for each in minimal(self._family, spans)}

    def owned(self) -> Iterable[list[Interval]]:
        """See :class:`Policy`."""
        lent = [(address, address) for loans in self._loans.values() for address in loans]
        hosts = {int(each.removeprefix("host=h")) for each in self.space.held} | set(self._loans)
        for host in hosts:
            held = self.space.held.get(f"host=h{host}", {}).values()
            claimed = [(region.base, region.last) for region, _ in regions(held)]
            loans = [(address, address) for address in self._loans.get(host, ())]
            yield subtract(claimed, lent) + loans


class Calico:
    """Blocks of a fixed length, and single borrowed addresses."""

    def __init__(self, subnets: list[Subnet], bits: int) -> None:
        self._family = subnets[0].family
        self._width = 32 if self._family == 4 else 128
        self._bits = bits
        self._never = {address for subnet in subnets for address in subnet.never}
        self.touched: set[int] = set()
        self.reserved = 0
        self._free_blocks = [
            base
            for subnet in subnets
            for first, last in subnet.ranges or ()
            for base in range(first, last + 1, 1 << bits)
        ]
        random.Random(7).shuffle(self._free_blocks)
        self._holder: dict[int, int] = {}
        self._free: dict[int, list[int]] = {}
        self._mine: dict[int, list[int]] = {}
        self._open: dict[int, None] = {}
        self._empty_since: dict[int, float] = {}
        self._loans: dict[int, set[int]] = {}

    @property
    def borrowed(self) -> int:
        """See :class:`Policy`."""
        return sum(map(len, self._loans.values()))

    def allocate(self, host: int, at: float) -> int | None:
        """See :class:`Policy`."""
        self.touched.add(host)
        for base in self._mine.get(host, ()):
            if self._free[base]:
                return self._take(base)
        if self._free_blocks:
            base = self._free_blocks.pop()
            self._holder[base] = host
            self._mine.setdefault(host, []).append(base)
            addresses = range(base, base + (1 << self._bits))
            self._free[base] = [each for each in addresses if each not in self._never]
            self._open[base] = None
            self.reserved += 1 << self._bits
            return self._take(base)
        if not self._open:
            return None
        address = self._take(next(iter(self._open)))
        self._loans.setdefault(host, set()).add(address)
        return address

    def _take(self, base: int) -> int:
        address = heapq.heappop(self._free[base])
        if not self._free[base]:
            del self._open[base]
        return address

    def release(self, host: int, address: int, at: float) -> None:
        """See :class:`Policy`."""
        base = address >> self._bits << self._bits
        heapq.heappush(self._free[base], address)
        self._open[base] = None
        self._loans.get(host, set()).discard(address)
        holder = self._holder[base]
        self.touched |= {host, holder}
        if self._is_empty(base) and len(self._mine[holder]) > 1:
            self._drop(base)
        elif self._is_empty(base):
            self._empty_since[base] = at

    def _drop(self, base: int) -> None:
        self._mine[self._holder[base]].remove(base)
        del self._holder[base], self._free[base], self._open[base]
        self._free_blocks.append(base)
        self.reserved -= 1 << self._bits

    def _is_empty(self, base: int) -> bool:
        addresses = range(base, base + (1 << self._bits))
        return len(self._free[base]) == sum(each not in self._never for each in addresses)

    def reclaim_idle(self, at: float) -> None:
        """See :class:`Policy`."""
        for base, since in list(self._empty_since.items()):
            if base not in self._holder or not self._is_empty(base):
                del self._empty_since[base]
            elif at - since >= _GONE_AFTER:
                self.touched.add(self._holder[base])
                self._drop(base)

    def routes(self, host: int) -> Routes:
        """See :class:`Policy`. Adjacent blocks stay separate routes."""
        blocks = {(base, self._width - self._bits) for base in self._mine.get(host, ())}
        return blocks | {(address, self._width) for address in self._loans.get(host, ())}

    def owned(self) -> Iterable[list[Interval]]:
        """See :class:`Policy`."""
        lent = [(address, address) for loans in self._loans.values() for address in loans]
        size = 1 << self._bits
        for host in {*self._mine, *self._loans}:
            blocks = [(base, base + size - 1) for base in self._mine.get(host, ())]
            loans = [(address, address) for address in self._loans.get(host, ())]
            yield subtract(blocks, lent) + loans


class FirstFit:
    """The lowest free address for every host."""

    def __init__(self, subnets: list[Subnet]) -> None:
        self._family = subnets[0].family
        self.touched: set[int] = set()
        self._free = [
            address
            for subnet in subnets
            for first, last in subnet.usable
            for address in range(first, last + 1)
        ]
        self._held: dict[int, set[int]] = {}
        self.reserved = 0

    @property
    def borrowed(self) -> int:
        """See :class:`Policy`."""
        return 0

    def allocate(self, host: int, at: float) -> int | None:
        """See :class:`Policy`."""
        if not self._free:
            return None
        address = heapq.heappop(self._free)
        self._held.setdefault(host, set()).add(address)
        self.touched.add(host)
        self.reserved += 1
        return address

    def release(self, host: int, address: int, at: float) -> None:
        """See :class:`Policy`."""
        self._held[host].discard(address)
        heapq.heappush(self._free, address)
        self.touched.add(host)
        self.reserved -= 1

    def reclaim_idle(self, at: float) -> None:
        """See :class:`Policy`."""

    def routes(self, host: int) -> Routes:
        """See :class:`Policy`."""
        spans = [(address, address) for address in self._held.get(host, ())]
        return {(each.base, each.length) for each in minimal(self._family, spans)}

    def owned(self) -> Iterable[list[Interval]]:
        """See :class:`Policy`."""
        for addresses in self._held.values():
            yield [(address, address) for address in addresses]
