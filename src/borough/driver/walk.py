"""The order of the subnets of a group, from its ladder."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from threading import Lock
from typing import Final

from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import Family
from borough.domain.policy.allocate import ResolvedRequest
from borough.domain.policy.selection import Candidate, PlacementGroup, candidate_subnets
from borough.domain.space.rungs import Hold

#: Claimants remembered, and subnets of each.
CLAIMANTS: Final = 4096
SUBNETS: Final = 32


def walk(
    resolved: ResolvedRequest,
    placement_group: PlacementGroup,
    family: Family,
    recent: Sequence[int],
) -> Iterator[Subnet]:
    """The subnets of one placement group and family in the order of the rules, each once.

    A system without claims has no blocks of a host. For the rung "claimed by this host" the subnets
    that the host used last take their place.

    :param recent: the ids of these subnets, the last used one first.
    """
    seen: set[int] = set()
    for rung in placement_group.rungs[family]:
        members = candidate_subnets(
            resolved.catalogue, Candidate(family, (), (), rung.cohorts, rung.subnets)
        )
        if rung.hold is Hold.OWN:
            by_id = {each.id: each for each in members}
            members = [by_id[id] for id in recent if id in by_id]
        for subnet in members:
            if subnet.id not in seen:
                seen.add(subnet.id)
                yield subnet


class Affinity:
    """The subnets that each claimant (a host, a rack) used last; bounded, and only a preference.

    :param look_up: the subnets of the addresses of a host, the last used one at the end.
    """

    def __init__(self, look_up: Callable[[str], Sequence[int]]) -> None:
        self._look_up = look_up
        self._known: OrderedDict[str, list[int]] = OrderedDict()
        self._lock = Lock()

    def recent(self, claimant: str, host: str) -> list[int]:
        """Subnet ids, the last used one first.

        :param claimant: see :class:`borough.domain.policy.selection.ResolvedSelector`; empty for none.
        :param host: the host of the request, for a claimant that is not in memory.
        """
        if not claimant:
            return []
        with self._lock:
            found = self._known.get(claimant)
        if found is None:
            used = self._look_up(host) if host else []
            found = list(dict.fromkeys(reversed(used)))[:SUBNETS]
            with self._lock:
                found = self._known.setdefault(claimant, found)
        return list(found)

    def note(self, claimant: str, subnet_id: int) -> None:
        """Remember that a claimant has used a subnet."""
        if not claimant:
            return
        with self._lock:
            before = self._known.get(claimant, [])
            others = [id for id in before if id != subnet_id]
            self._known[claimant] = [subnet_id, *others][:SUBNETS]
            self._known.move_to_end(claimant)
            while len(self._known) > CLAIMANTS:
                self._known.popitem(last=False)
