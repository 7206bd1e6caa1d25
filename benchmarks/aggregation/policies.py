"""What the bench compares: Borough itself, and the yardsticks.

*Calico* is written from its public description: a host takes addresses from the blocks that are affine to
it; has it none left, it claims one more block, in an order of its own, up to a cap; is no block left, it
borrows single addresses from the blocks of others. Each block is one route, each borrowed address
another; an empty block is given up when the host has a second one. The cap is left out: with its default of
20 blocks Calico refuses requests while addresses are free, and a comparison with who refuses is not fair.

*First-fit* gives the lowest free address, whoever asks.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable, Mapping
from typing import Protocol

from aggregation.ground import Ground
from borough.domain.declared.dimensions import HOST
from borough.domain.declared.records import Interval, Subnet
from borough.domain.net.fewest_routes import minimal
from borough.domain.net.prefixes import subtract
from borough.domain.policy import allocate as policy
from borough.domain.policy.reclaim import reclaim_idle
from borough.domain.policy.selection import Ladder, ResolvedSelector, climb, wanted
from borough.domain.request import Request
from borough.domain.space.plan import Plan
from borough.domain.space.regions import regions

Routes = set[tuple[int, int]]


class Policy(Protocol):
    """Gives addresses to hosts.

    :ivar touched: hosts whose routes may have changed since it was last emptied.
    :ivar reserved: addresses that are set aside for hosts, used or not.
    """

    touched: set[int]
    reserved: int

    @property
    def borrowed(self) -> int:
        """Addresses in use on a host in what is set aside for another."""

    def allocate(self, host: int, at: float) -> int | None:
        """Give an address; None when refused."""

    def release(self, host: int, address: int, at: float) -> None:
        """Take it back."""

    def reclaim_idle(self, at: float) -> None:
        """Called every few minutes."""

    def routes(self, host: int) -> Routes:
        """Base and length of each prefix that a host advertises, in strict form."""

    def owned(self) -> Iterable[list[Interval]]:
        """For each host the addresses that must lead to it."""


class Borough:
    """The package's own decisions."""

    def __init__(self, subnets: list[Subnet], expected: Mapping[int, int] | None = None) -> None:
        """Start with an empty pool.

        :param expected: how many addresses each host says it will need, if they do.
        """
        declared = {f"h{host}": size for host, size in (expected or {}).items()}
        self.ground = Ground(subnets, declared)
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
            catalogue = self.ground.catalogue
            found = request, wanted(catalogue, request), climb(catalogue, request)
            self._ladders[host] = found
        return found

    def allocate(self, host: int, at: float) -> int | None:
        """See :class:`Policy`."""
        request, want, ladder = self._ladder(host)
        now = int(at * policy.SECOND)
        setting = policy.ResolvedRequest(self.ground.catalogue, request, want, ladder, now)
        plan = policy.allocate(setting, self.ground)
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
        allocation = self.ground.given[address]
        now = int(at * policy.SECOND)
        plan = policy.release(self.ground.catalogue, self.ground, [allocation], now)
        self._commit(plan)
        self.touched.add(host)
        self._loans.get(host, set()).discard(address)

    def _commit(self, plan: Plan) -> None:
        gone = plan.blocks_removed + [old for old, _ in plan.changed.values()]
        come = plan.blocks_added + [new for _, new in plan.changed.values()]
        for blocks, sign in ((gone, -1), (come, 1)):
            for block in blocks:
                if block.holder:
                    self.reserved += sign * block.prefix.size
                    self.touched.add(int(block.holder.removeprefix("host=h")))
        self.ground.commit(plan)

    def reclaim_idle(self, at: float) -> None:
        """See :class:`Policy`."""
        held = [block for block in self.ground.blocks.values() if block.holder]
        now = int(at * policy.SECOND)
        self._commit(reclaim_idle(self.ground.catalogue, self.ground, held, now))

    def routes(self, host: int) -> Routes:
        """See :class:`Policy`."""
        held = self.ground.held.get(f"host=h{host}", {}).values()
        claimed = [region for region, _ in regions(held)]
        spans = [(each.base, each.last) for each in claimed]
        spans += [(address, address) for address in self._loose(host)]
        return {(each.base, each.length) for each in minimal(self._family, spans)}

    def _loose(self, host: int) -> set[int]:
        return self._loans.get(host, set())

    def owned(self) -> Iterable[list[Interval]]:
        """See :class:`Policy`."""
        lent = [(address, address) for loans in self._loans.values() for address in loans]
        hosts = {int(each.removeprefix("host=h")) for each in self.ground.held} | set(self._loans)
        for host in hosts:
            held = self.ground.held.get(f"host=h{host}", {}).values()
            claimed = [(region.base, region.last) for region, _ in regions(held)]
            loans = [(address, address) for address in self._loose(host)]
            yield subtract(claimed, lent) + loans


class Calico:
    """Fixed blocks and single loans."""

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
            self._mine[holder].remove(base)
            del self._holder[base], self._free[base], self._open[base]
            self._free_blocks.append(base)
            self.reserved -= 1 << self._bits

    def _is_empty(self, base: int) -> bool:
        addresses = range(base, base + (1 << self._bits))
        return len(self._free[base]) == sum(each not in self._never for each in addresses)

    def reclaim_idle(self, at: float) -> None:
        """See :class:`Policy`."""

    def routes(self, host: int) -> Routes:
        """See :class:`Policy`: blocks do not merge."""
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
    """The lowest free address."""

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
