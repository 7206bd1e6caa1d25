"""Histories of clients, and a checker that no address had two holders.

A client records each call: begin, return and result. From the return of an allocation to the begin of its
release a client certainly holds the address. Two such spans of one address that overlap are a fault.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Call:
    """One call, with monotonic times in seconds.

    :ivar act: ``allocate`` or ``release``.
    """

    client: int
    act: str
    address: str
    sequence: int
    began: float
    ended: float


def faults(calls: Iterable[Call]) -> list[str]:
    """The faults of a history."""
    found: list[str] = []
    allocated: dict[tuple[str, int], Call] = {}
    released: dict[tuple[str, int], Call] = {}
    for call in calls:
        book = allocated if call.act == "allocate" else released
        key = (call.address, call.sequence)
        if key in book:
            found.append(f"{call.address} sequence {call.sequence}: {call.act}d twice")
        book[key] = call
    spans: dict[str, list[tuple[float, float, Call]]] = defaultdict(list)
    for key, call in allocated.items():
        end = released[key].began if key in released else float("inf")
        spans[call.address].append((call.ended, end, call))
    for address, held in spans.items():
        held.sort(key=lambda span: span[0])
        for (_, end, first), (start, _, second) in pairwise(held):
            if start < end:
                found.append(
                    f"{address} held by client {first.client} (sequence {first.sequence}) and by "
                    f"client {second.client} (sequence {second.sequence}) at one time"
                )
    found += [f"{key[0]}: released, never allocated" for key in set(released) - set(allocated)]
    return found


def still_held(calls: Iterable[Call]) -> set[tuple[str, int]]:
    """(address, sequence) of the allocations without a release."""
    held: set[tuple[str, int]] = set()
    calls = list(calls)
    held |= {(call.address, call.sequence) for call in calls if call.act == "allocate"}
    return held - {(call.address, call.sequence) for call in calls if call.act == "release"}
