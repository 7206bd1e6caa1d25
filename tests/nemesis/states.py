"""Declared states, read from topologies without the engine.

This module implements the rules of boundaries (docs/reference/rules.md, 1 to 3) a second time, so that
the checker does not repeat a fault of the engine. Addresses are plain numbers: the IPv6 addresses of a
campaign are larger than all IPv4 addresses.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Final

from tests.nemesis.history import NEVER, Call

#: The act that applies a topology.
APPLY: Final = "apply"

#: First and last of each piece, ascending, none touching another.
Pieces = tuple[tuple[int, int], ...]

Labels = Mapping[str, frozenset[str]]


@cache
def number(address: str) -> int:
    """An address as a number."""
    return int(ipaddress.ip_address(address))


@dataclass(frozen=True)
class Request:
    """The part of an allocation request that boundaries depend on.

    :ivar named: labels by dimension, without those that the host implies.
    :ivar subnets: the names when the request names its subnets; boundaries do not apply then.
    """

    named: tuple[tuple[str, frozenset[str]], ...] = ()
    host: str = ""
    subnets: frozenset[str] | None = None

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> Request:
        """The request of an allocation."""
        subnets = args.get("subnets")
        return cls(
            tuple(sorted(_labels(args.get("labels") or {}).items())),
            args.get("host") or "",
            None if subnets is None else frozenset(subnets),
        )


@dataclass(frozen=True)
class Subnet:
    """A declared subnet.

    :ivar usable: addresses that requests for *any* and *next* may get.
    :ivar never: network, broadcast or anycast address, which is never allocated.
    """

    name: str
    first: int
    last: int
    usable: Pieces
    never: frozenset[int]
    labels: Labels

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Subnet:
        """Read an entry of a topology."""
        net = ipaddress.ip_network(entry["cidr"])
        first, last = int(net[0]), int(net[-1])
        never = {first} if net.prefixlen < net.max_prefixlen - 1 else set()
        if never and net.version == 4:
            never.add(last)
        ranges = [
            (number(low), number(high))
            for low, _, high in (text.partition("-") for text in entry.get("ranges") or ())
        ]
        gateway = {number(entry["gateway"])} if entry.get("gateway") else set()
        usable = without(tuple(sorted(ranges)) or ((first, last),), never | gateway)
        labels = _labels(entry.get("labels") or {})
        return cls(entry["name"], first, last, usable, frozenset(never), labels)

    def holds(self, address: int) -> bool:
        """True when the address lies in its prefix and may be allocated."""
        return self.first <= address <= self.last and address not in self.never

    def allocates(self, address: int) -> bool:
        """True when requests for *any* and *next* may get the address."""
        return any(low <= address <= high for low, high in self.usable)


@dataclass(frozen=True)
class State:
    """One declared state, and the time in which it may have been in force.

    :ivar fallbacks: by dimension.
    :ivar hosts: the labels that each host implies.
    """

    fallbacks: Mapping[str, str]
    subnets: Mapping[str, Subnet]
    hosts: Mapping[str, Labels]
    since: int = 0
    until: int = NEVER
    _admitted: dict[Request, tuple[Subnet, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, topology: Mapping[str, Any], since: int, until: int) -> State:
        """Read a topology."""
        return cls(
            {name: entry["fallback"] for name, entry in topology["dimensions"].items()},
            {entry["name"]: _subnet(entry) for entry in topology["subnets"]},
            {name: _labels(entry) for name, entry in topology["hosts"].items()},
            since,
            until,
        )

    @cached_property
    def hard(self) -> frozenset[str]:
        """Dimensions with boundaries."""
        return frozenset(name for name, rule in self.fallbacks.items() if rule != "any")

    def implied(self, request: Request) -> Labels:
        """Labels that the host implies and the request does not name."""
        named = dict(request.named)
        own = self.hosts.get(request.host, {})
        return {name: values for name, values in own.items() if name not in named}

    def admits(self, request: Request, subnet: Subnet) -> bool:
        """True when no boundary excludes the subnet from the request."""
        if request.subnets is not None:
            return subnet.name in request.subnets
        named, implied = dict(request.named), self.implied(request)
        for dimension in self.hard:
            has = subnet.labels.get(dimension, frozenset())
            if dimension in named:
                is_in = bool(has & named[dimension])
                if not is_in and (has or self.fallbacks[dimension] == "none"):
                    return False
            elif has and not has & implied.get(dimension, frozenset()):
                return False
        return True

    def admitted(self, request: Request) -> tuple[Subnet, ...]:
        """The subnets of the request's group."""
        found = self._admitted.get(request)
        if found is None:
            found = tuple(each for each in self.subnets.values() if self.admits(request, each))
            self._admitted[request] = found
        return found

    def placement_group(self, request: Request, subnet: Subnet) -> tuple[Any, ...]:
        """The part of the group that the addresses of one request come from together (rule 5)."""
        if request.subnets is not None:
            return ()
        labels = {**self.implied(request), **dict(request.named)}
        return tuple(
            (name, tuple(sorted(subnet.labels.get(name, ()))))
            for name in sorted(labels)
            if self.fallbacks.get(name) == "none"
        )


class States:
    """All declared states of a campaign, by time."""

    def __init__(self, calls: Iterable[Call]) -> None:
        """Read the applied topologies; one process applies them in sequence.

        A state may be in force from the beginning of its call until another one certainly is.
        """
        applied = [
            call for call in calls if call.act == APPLY and (call.is_done or call.is_unknown)
        ]
        self._states: list[State] = []
        until = NEVER
        for call in reversed(applied):
            self._states.append(State.of(call.args["topology"], call.began, until))
            if call.is_done:
                until = call.ended
        self._states.reverse()
        self._since = [state.since for state in self._states]
        self._until = [state.until for state in self._states]

    def during(self, began: int, ended: int) -> Sequence[State]:
        """Every state that may have been in force at a time in between."""
        return self._states[bisect_left(self._until, began) : bisect_right(self._since, ended)]


def common(states: Sequence[State], request: Request) -> dict[tuple[Any, ...], Pieces]:
    """Addresses that a request for *any* may get in each of the states, by placement group."""
    found: dict[tuple[Any, ...], Pieces] | None = None
    for state in states:
        groups: dict[tuple[Any, ...], Pieces] = {}
        for subnet in state.admitted(request):
            group = state.placement_group(request, subnet)
            groups[group] = merge(groups.get(group, ()) + subnet.usable)
        if found is None:
            found = groups
        else:
            found = {
                group: intersect(pieces, groups[group])
                for group, pieces in found.items()
                if group in groups
            }
    return found or {}


def merge(pieces: Pieces) -> Pieces:
    """Pieces in order, without overlaps."""
    made: list[tuple[int, int]] = []
    for low, high in sorted(pieces):
        if made and low <= made[-1][1] + 1:
            made[-1] = (made[-1][0], max(high, made[-1][1]))
        else:
            made.append((low, high))
    return tuple(made)


def intersect(left: Pieces, right: Pieces) -> Pieces:
    """The addresses in both."""
    made = [
        (max(low, other), min(high, end))
        for low, high in left
        for other, end in right
        if max(low, other) <= min(high, end)
    ]
    return tuple(made)


def without(pieces: Pieces, addresses: Iterable[int]) -> Pieces:
    """The pieces, without single addresses."""
    made = list(pieces)
    for address in addresses:
        made = [
            part
            for low, high in made
            for part in (
                ((low, address - 1), (address + 1, high))
                if low <= address <= high
                else ((low, high),)
            )
            if part[0] <= part[1]
        ]
    return tuple(made)


def size(pieces: Pieces) -> int:
    """The number of addresses in pieces."""
    return sum(high - low + 1 for low, high in pieces)


def _labels(entry: Mapping[str, Any]) -> Labels:
    return {
        name: frozenset([values] if isinstance(values, str) else values)
        for name, values in entry.items()
        if name != "claims"
    }


_subnets: dict[str, Subnet] = {}


def _subnet(entry: Mapping[str, Any]) -> Subnet:
    """Read an entry, once for the hundreds of states that have it unchanged."""
    key = repr(entry)
    if key not in _subnets:
        _subnets[key] = Subnet.of(entry)
    return _subnets[key]
