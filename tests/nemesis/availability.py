"""Refusals: "nothing is free" and "it is held" may be said only when they were true at some instant."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from tests.nemesis.history import Call
from tests.nemesis.holdings import Holding, Holdings
from tests.nemesis.states import Pieces, Request, State, common, number, size

#: Codes of a request for any address that got none.
DRY = frozenset({"exhausted", "no_matching_subnet"})

#: Between two clearings of what is over, in refusals.
CLEAR_EVERY = 256

#: The declared states between two times, as far as a request may see them.
During = Callable[[int, int, Request], Sequence[State]]


class Occupancy:
    """The addresses that may be held, moved along the refusals in the order of their ends."""

    #: Longest call that is looked at, in nanoseconds.
    LONGEST = 120 * 10**9

    def __init__(self, holdings: Iterable[Holding]) -> None:
        self._waiting = sorted(holdings, key=lambda each: each.possible_from)
        self._since = [each.possible_from for each in self._waiting]
        self._next = 0
        self._turns = 0
        # By the leading bits: requests of one network never count the addresses of all others.
        self._live: dict[int, list[tuple[int, int, int]]] = defaultdict(list)

    def within(self, pieces: Pieces, began: int, ended: int) -> int:
        """Most addresses of these pieces that may have been held at any time between.

        :param ended: never smaller than in the call before.
        """
        self._advance(began, ended)
        bounds_cache = {_area(low) for low, _ in pieces}
        found = {
            address
            for bounds in bounds_cache
            for address, since, until in self._live[bounds]
            if until >= began and since <= ended and any(lo <= address <= hi for lo, hi in pieces)
        }
        return len(found)

    def _advance(self, began: int, ended: int) -> None:
        end = bisect_right(self._since, ended)
        for each in self._waiting[self._next : end]:
            address = number(each.address)
            self._live[_area(address)].append((address, each.possible_from, each.possible_to))
        self._next = max(self._next, end)
        self._turns += 1
        if self._turns % CLEAR_EVERY == 0:
            for bounds, live in self._live.items():
                # Calls overlap: one that ends later may have begun before this one.
                self._live[bounds] = [each for each in live if each[2] >= began - self.LONGEST]


def _area(address: int) -> int:
    """All of a network's subnets have these bits in common."""
    return address >> 20 if address < 1 << 32 else address >> 96


def false_refusals(
    calls: Iterable[Call], holdings: Holdings, during: During, slack: int = 0
) -> tuple[list[str], int]:
    """Requests refused while there was enough all the time, as text; and how many were judged.

    :param slack: how far behind a refusal may be, in nanoseconds: a node of a cluster may not know yet
        what another has acknowledged. What was free must have been free for that long.
    """
    faults: list[str] = []
    judged = 0
    occupancy = Occupancy(holdings)
    refused = [each for each in calls if each.act == "allocate" and each.code in DRY]
    for call in sorted(refused, key=lambda each: each.ended):
        if call.args.get("kind") == "specific" or call.ended - call.began > Occupancy.LONGEST:
            continue
        judged += 1
        began = call.began - slack
        request = Request.of(call.args)
        wanted = call.args.get("count", 1)
        families = call.args.get("families") or [None]
        for pieces in common(during(began, call.ended, request), request).values():
            free = [
                size(part) - occupancy.within(part, began, call.ended)
                for part in (_of_family(pieces, family) for family in families)
            ]
            if min(free) >= wanted:
                faults.append(f"refused while {free} were free all the time: {call}")
                break
    return faults, judged


def _of_family(pieces: Pieces, family: int | None) -> Pieces:
    if family is None:
        return pieces
    return tuple(each for each in pieces if (each[0] < 1 << 32) == (family == 4))


def false_conflicts(
    calls: Iterable[Call], holdings: Holdings, during: During, slack: int = 0
) -> Iterator[str]:
    """Requests for an address by name that were refused without a reason."""
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
                yield f"in use, it is said, while it was free: {call}"
        elif call.code == "address_outside_group":
            request = Request.of(call.args)
            if all(
                any(subnet.holds(number(address)) for subnet in state.admitted(request))
                for state in during(began, call.ended, request)
            ):
                yield f"outside, it is said, while it was inside: {call}"
