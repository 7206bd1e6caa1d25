"""Playing a trace on a policy, and what is measured."""

from __future__ import annotations

from dataclasses import dataclass

from aggregation.policies import Policy, Routes
from aggregation.trace import FILL, MINUTE, Event

#: What happens while a cluster first fills up is played, but not measured.
_SETTLED = FILL
_TIDY = 5 * MINUTE


@dataclass
class Measured:
    """The figures of one policy on one trace.

    :ivar mean: advertised prefixes, averaged over time.
    :ivar per_host: the same, divided by the hosts that hold an address, averaged over time.
    :ivar waste: the share of what is reserved that nobody uses, averaged over time.
    :ivar borrowed: the share of addresses in use that are borrowed, averaged over time.
    :ivar churn: announcements and withdrawals per 1,000 events.
    :ivar refused: requests refused while an address was free.
    """

    mean: float = 0.0
    peak: int = 0
    active: float = 0.0
    waste: float = 0.0
    borrowed: float = 0.0
    churn: float = 0.0
    refused: int = 0

    @property
    def per_host(self) -> float:
        """Advertised prefixes for each host that holds an address."""
        return self.mean / self.active


def play(events: list[Event], policy: Policy, capacity: int) -> Measured:
    """Play a trace; ``capacity`` is how many addresses the pool has."""
    measured = Measured()
    routes: dict[int, Routes] = {}
    on: dict[int, int] = {}
    addresses: dict[int, int] = {}
    prefixes = used = changes = settled = 0
    area = hosts = waste = loans = 0.0
    last, tidied = _SETTLED, 0.0
    for event in events:
        if event.at > _SETTLED:
            step = event.at - last
            last = event.at
            area += step * prefixes
            hosts += step * len(on)
            waste += step * (
                1 - (used - policy.borrowed) / policy.reserved if policy.reserved else 0
            )
            loans += step * policy.borrowed / max(used, 1)
        if event.at - tidied >= _TIDY:
            tidied = event.at
            policy.tidy(event.at)
        if event.starts:
            address = policy.allocate(event.host, event.at)
            if address is None:
                measured.refused += used < capacity
                continue
            addresses[event.workload] = address
            on[event.host] = on.get(event.host, 0) + 1
            used += 1
        elif event.workload in addresses:
            policy.release(event.host, addresses.pop(event.workload), event.at)
            on[event.host] -= 1
            if not on[event.host]:
                del on[event.host]
            used -= 1
        for host in policy.touched:
            before, after = routes.get(host, set()), policy.routes(host)
            prefixes += len(after) - len(before)
            if event.at > _SETTLED:
                changes += len(before ^ after)
            routes[host] = after
        policy.touched.clear()
        settled += event.at > _SETTLED
        measured.peak = max(measured.peak, prefixes)
    time = last - _SETTLED
    measured.mean, measured.active = area / time, hosts / time
    measured.waste, measured.borrowed = waste / time, loans / time
    measured.churn = changes * 1000 / settled
    return measured
