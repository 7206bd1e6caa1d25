"""In which order a group's subnets are asked: the ladder, one subnet at a time."""

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
    """The subnets of one home and family in the order of the rules, each once.

    A system that knows no claims cannot tell whose block an address is in. Where the ladder says
    "claimed by this host", the subnets that the host used last are meant instead, the last one first.

    :param recent: ids of those.
    """
    seen: set[int] = set()
    for rung in placement_group.rungs[family]:
        members = candidate_subnets(
            resolved.catalogue, Candidate(family, (), (), rung.cohorts, rung.subnets)
        )
        if rung.hold is Hold.OWN:
            places = {id: place for place, id in enumerate(recent)}
            members = sorted(
                (each for each in members if each.id in places), key=lambda each: places[each.id]
            )
        for subnet in members:
            if subnet.id not in seen:
                seen.add(subnet.id)
                yield subnet


class Affinity:
    """The subnets that each claimant (a host, a rack) used last; bounded, and only a preference.

    :param look_up: the subnets in which a host holds addresses, the one used last at the end.
    """

    def __init__(self, look_up: Callable[[str], Sequence[int]]) -> None:
        self._look_up = look_up
        self._known: OrderedDict[str, list[int]] = OrderedDict()
        self._lock = Lock()

    def recent(self, claimant: str, host: str) -> list[int]:
        """Subnet ids, the one used last first.

        :param claimant: see :class:`borough.domain.policy.selection.ResolvedSelector`; empty for nobody.
        :param host: the host of the request, to look up when the claimant is not known yet.
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
