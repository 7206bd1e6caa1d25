"""Refusals: "exhausted" and "in use" must have been true at an instant of the call."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from tests.nemesis.history import Call
from tests.nemesis.holdings import Holding, Holdings
from tests.nemesis.states import Pieces, Request, State, common, number, size

#: Codes of a refused request for any address.
DRY = frozenset({"exhausted", "no_matching_subnet"})

#: Number of refusals between two removals of ended holdings.
CLEAR_EVERY = 256

#: The declared states between two times that concern a request.
During = Callable[[int, int, Request], Sequence[State]]


class Occupancy:
    """The addresses that may be held, at the refusals in the order of their ends."""

    #: Longest call that is checked, in nanoseconds.
    LONGEST = 120 * 10**9

    def __init__(self, holdings: Iterable[Holding]) -> None:
        self._waiting = sorted(holdings, key=lambda each: each.possible_from)
        self._since = [each.possible_from for each in self._waiting]
        self._next = 0
        self._calls = 0
        # By leading bits, so that a request reads the addresses of its network only.
        self._live: dict[int, list[tuple[int, int, int]]] = defaultdict(list)

    def within(self, pieces: Pieces, began: int, ended: int) -> int:
        """Number of addresses of these pieces that may have been held at any time in between.

        :param ended: not smaller than in the call before.
        """
        self._advance(began, ended)
        found = {
            address
            for network in {_network(low) for low, _ in pieces}
            for address, since, until in self._live[network]
            if until >= began and since <= ended and any(lo <= address <= hi for lo, hi in pieces)
        }
        return len(found)

    def _advance(self, began: int, ended: int) -> None:
        end = bisect_right(self._since, ended)
        for each in self._waiting[self._next : end]:
            address = number(each.address)
            self._live[_network(address)].append((address, each.possible_from, each.possible_to))
        self._next = max(self._next, end)
        self._calls += 1
        if self._calls % CLEAR_EVERY == 0:
            for network, live in self._live.items():
                # Calls overlap: one that ends later may have begun before this one.
                self._live[network] = [each for each in live if each[2] >= began - self.LONGEST]


def _network(address: int) -> int:
    """The leading bits that all subnets of a network share."""
    return address >> 20 if address < 1 << 32 else address >> 96


def false_refusals(
    calls: Iterable[Call], holdings: Holdings, during: During, slack: int = 0
) -> tuple[list[str], int]:
    """Requests that were refused while enough addresses were free, as text; and the number of checked ones.

    :param slack: nanoseconds for which addresses must have been free before the call: a node of a cluster
        may not have applied changes that another has acknowledged.
    """
    faults: list[str] = []
    checked = 0
    occupancy = Occupancy(holdings)
    refused = [each for each in calls if each.act == "allocate" and each.code in DRY]
    for call in sorted(refused, key=lambda each: each.ended):
        if call.args.get("kind") == "specific" or call.ended - call.began > Occupancy.LONGEST:
            continue
        checked += 1
        began = call.began - slack
        request = Request.of(call.args)
        count = call.args.get("count", 1)
        families = call.args.get("families") or [None]
        for pieces in common(during(began, call.ended, request), request).values():
            free = [
                size(part) - occupancy.within(part, began, call.ended)
                for part in (_of_family(pieces, family) for family in families)
            ]
            if min(free) >= count:
                faults.append(f"refused while {free} were free during the whole call: {call}")
                break
    return faults, checked


def _of_family(pieces: Pieces, family: int | None) -> Pieces:
    if family is None:
        return pieces
    return tuple(each for each in pieces if (each[0] < 1 << 32) == (family == 4))


def false_conflicts(
    calls: Iterable[Call], holdings: Holdings, during: During, slack: int = 0
) -> Iterator[str]:
    """Requests for an address by name that were refused falsely."""
    by_address: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for each in holdings:
        by_address[each.address].append((each.possible_from, each.possible_to))
    for call in calls:
        if call.act != "allocate" or call.args.get("kind") != "specific":
            continue
        address = call.args["address"]
        began = call.began - slack
        if call.code == "address_in_use":
            if not any(
                since <= call.ended and until >= began for since, until in by_address[address]
            ):
                yield f"refused as in use while it was free: {call}"
        elif call.code == "address_outside_group":
            request = Request.of(call.args)
            if all(
                any(subnet.holds(number(address)) for subnet in state.admitted(request))
                for state in during(began, call.ended, request)
            ):
                yield f"refused as outside the group while it was inside: {call}"
