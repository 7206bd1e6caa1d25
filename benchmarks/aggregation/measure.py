"""Playing a trace on a policy, and the figures that are measured."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from aggregation.count import lpm_count
from aggregation.policies import Policy, Routes
from aggregation.trace import FILL, HOUR, MINUTE, Event
from borough.domain.declared.records import Interval
from borough.domain.net.addresses import Family
from borough.domain.net.fewest_routes import minimal

#: Seconds between two reclaims, and between two samples of the figures that are expensive to count.
_RECLAIM, _SAMPLE = 5 * MINUTE, HOUR


@dataclass
class Measured:
    """The figures of one policy on one trace, without the first two hours, in which the cluster fills up.

    The *aged* part is the second half of the rest. Regions fragment for days, so it says what a cluster
    that lives for long has.

    :ivar mean: prefixes that routers see under longest match, averaged over time: regions and loans. A
        loan is one longer prefix and does not split the region around it.
    :ivar split: the same when every region is split around its loans, averaged over samples.
    :ivar aged_mean: :attr:`mean` in the aged part.
    :ivar aged_active: :attr:`active` in the aged part.
    :ivar aged_churn: :attr:`churn` in the aged part.
    :ivar peak: most advertised prefixes at one time.
    :ivar lpm: advertised prefixes in lpm form, averaged over samples.
    :ivar active: hosts that hold an address, averaged over time.
    :ivar waste: unused share of the reserved addresses, averaged over time.
    :ivar borrowed: borrowed share of the addresses in use, averaged over time.
    :ivar churn: announcements and withdrawals per 1,000 events.
    :ivar refused: requests refused while an address was free.
    """

    mean: float = 0.0
    split: float = 0.0
    aged_mean: float = 0.0
    aged_active: float = 0.0
    aged_churn: float = 0.0
    peak: int = 0
    lpm: float = 0.0
    active: float = 0.0
    waste: float = 0.0
    borrowed: float = 0.0
    churn: float = 0.0
    refused: int = 0

    @property
    def per_host(self) -> float:
        """Advertised prefixes for each host that holds an address."""
        return self.mean / self.active

    @property
    def aged_per_host(self) -> float:
        """The same in the aged part."""
        return self.aged_mean / self.aged_active


class _Game:
    """One policy at one trace."""

    def __init__(
        self, policy: Policy, capacity: int, family: Family, bounds: list[Interval] | None
    ) -> None:
        self._policy, self._capacity = policy, capacity
        self._family, self._bounds = family, bounds
        self._routes: dict[int, Routes] = {}
        self._in_use: dict[int, int] = {}
        self._addresses: dict[int, int] = {}
        self._prefixes = self._changes = self._counted = 0
        self._aged_from, self._before_aged = math.inf, (0, 0)
        self._splits: list[int] = []
        self._last, self._reclaimed, self._sampled = FILL, 0.0, FILL
        self._samples: list[int] = []
        self.measured = Measured()

    def play(self, events: list[Event]) -> Measured:
        """Play all events."""
        self._aged_from = (FILL + max(events[-1].at, FILL)) / 2
        for event in events:
            if event.at > FILL:
                self._pass_time(event.at)
            if event.at - self._reclaimed >= _RECLAIM:
                self._reclaimed = event.at
                self._policy.reclaim_idle(event.at)
            if self._play_event(event):
                self._count_routes(event.at)
        measured, time = self.measured, self._last - FILL
        for name in ("mean", "active", "waste", "borrowed"):
            setattr(measured, name, getattr(measured, name) / time)
        aged = self._last - self._aged_from
        measured.aged_mean /= aged
        measured.aged_active /= aged
        changes, counted = self._before_aged
        measured.churn = self._changes * 1000 / self._counted
        measured.aged_churn = (self._changes - changes) * 1000 / max(self._counted - counted, 1)
        measured.split = sum(self._splits) / max(len(self._splits), 1)
        measured.lpm = sum(self._samples) / max(len(self._samples), 1)
        return measured

    def _pass_time(self, now: float) -> None:
        policy, measured, used = self._policy, self.measured, len(self._addresses)
        step = now - self._last
        aged = max(0.0, now - max(self._last, self._aged_from))
        if self._last < self._aged_from <= now:
            self._before_aged = self._changes, self._counted
        self._last = now
        measured.aged_mean += aged * self._prefixes
        measured.aged_active += aged * len(self._in_use)
        measured.mean += step * self._prefixes
        measured.active += step * len(self._in_use)
        if policy.reserved:
            measured.waste += step * (1 - (used - policy.borrowed) / policy.reserved)
        measured.borrowed += step * policy.borrowed / max(used, 1)
        if now - self._sampled < _SAMPLE:
            return
        self._sampled = now
        self._splits.append(sum(len(minimal(self._family, each)) for each in policy.owned()))
        if self._bounds is not None:
            self._samples.append(lpm_count(self._family, policy.owned(), self._bounds))

    def _play_event(self, event: Event) -> bool:
        """Play one event; False when its allocation was refused."""
        if event.starts:
            address = self._policy.allocate(event.host, event.at)
            if address is None:
                self.measured.refused += len(self._addresses) < self._capacity
                return False
            self._addresses[event.workload] = address
            self._in_use[event.host] = self._in_use.get(event.host, 0) + 1
        elif event.workload in self._addresses:
            self._policy.release(event.host, self._addresses.pop(event.workload), event.at)
            self._in_use[event.host] -= 1
            if not self._in_use[event.host]:
                del self._in_use[event.host]
        return True

    def _count_routes(self, now: float) -> None:
        policy = self._policy
        for host in policy.touched:
            before, after = self._routes.get(host, set()), policy.routes(host)
            self._prefixes += len(after) - len(before)
            if now > FILL:
                self._changes += len(before ^ after)
            self._routes[host] = after
        policy.touched.clear()
        self._counted += now > FILL
        self.measured.peak = max(self.measured.peak, self._prefixes)


def play(
    events: list[Event],
    policy: Policy,
    capacity: int,
    family: Family = 4,
    bounds: list[Interval] | None = None,
) -> Measured:
    """Play a trace.

    :param capacity: number of addresses in the pool.
    :param bounds: the pool's addresses; prefixes in lpm form are counted when they are given.
    """
    return _Game(policy, capacity, family, bounds).play(events)


def bound(events: list[Event], capacity: int) -> float:
    """A lower bound of the strict prefixes that any policy needs, averaged over samples.

    Every host is placed anew at every sample. The only constraint is the size of the pool. A host with n
    prefixes reserves its demand, rounded up to n binary digits. The next prefix goes to the host where it
    saves most addresses. The real minimum is never below this relaxation.
    """
    samples = [_least(needs, capacity) for needs in _needs(events)]
    return sum(samples) / len(samples)


def _needs(events: list[Event]) -> Iterator[list[int]]:
    running: dict[int, int] = {}
    last = FILL
    for event in events:
        running[event.host] = running.get(event.host, 0) + (1 if event.starts else -1)
        if event.at - last >= _SAMPLE:
            last = event.at
            yield [need for need in running.values() if need]


def _least(needs: list[int], capacity: int) -> float:
    reserved = sum(_rounded(need, 1) for need in needs)
    steps = sorted((step for need in needs for step in _steps(need)), reverse=True)
    prefixes = float(len(needs))
    for saved, more in steps:
        if reserved <= capacity:
            break
        taken = min(more, (reserved - capacity) / saved)
        prefixes += taken
        reserved -= round(taken * saved)
    return prefixes


@cache
def _steps(need: int) -> list[tuple[float, int]]:
    """Further prefixes of one host: (addresses that each saves, number of prefixes), the largest first."""
    steps: list[tuple[float, int]] = []
    digits = 1
    while _rounded(need, digits) > need:
        now = _rounded(need, digits)
        saved, more = max(
            ((now - _rounded(need, digits + each)) / each, each)
            for each in range(1, need.bit_length() + 1)
        )
        steps.append((saved, more))
        digits += more
    return steps


def _rounded(need: int, digits: int) -> int:
    """The demand, rounded up to the addresses that ``digits`` prefixes of different sizes have."""
    top = 1 << need.bit_length() - 1
    if need == top:
        return need
    return top + _rounded(need - top, digits - 1) if digits > 1 else 2 * top
