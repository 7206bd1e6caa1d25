"""Drivers with one planted fault each. The conformance kit must find every one, with the right test."""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Self

from borough.domain.declared.dimensions import HOST
from borough.domain.request import Kind, Request
from borough.driver import Group, Settings
from borough.drivers.native import NativeDriver
from borough.engine.ipam import open as open_ipam
from borough.engine.views import Allocation, Answer
from borough.errors import (
    AddressInUse,
    BoroughError,
    Exhausted,
    KeySpent,
    NeedsSpace,
    NoMatchingSubnet,
    NotAllocated,
)


class Faulty(NativeDriver):
    """The native driver, before its fault."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(open_ipam("memory:"), settings.driver)

    def without(self, group: Group, *dimensions: str) -> Group:
        labels = {name: group.labels[name] for name in group.labels if name not in dimensions}
        return replace(group, labels=labels)


class EntersFences(Faulty):
    """Uses subnets whose labels the request did not name."""

    def allocate(self, group: Group, request: Request) -> Answer:
        if "segment" not in group.labels and not group.host and group.tiers is None:
            every = [each.name for each in self.ipam.subnets(labels=dict(group.labels))]
            group = Group(tiers=(tuple(every),), scope=group.scope) if every else group
        return super().allocate(group, request)


class NeverFallsBack(Faulty):
    """Takes a typed group for a hard one."""

    def allocate(self, group: Group, request: Request) -> Answer:
        answer = super().allocate(group, request)
        wanted = group.labels.get("service_type", frozenset())
        for each in answer.allocations:
            subnet = next(view for view in self.ipam.subnets() if view.name == each.subnet)
            if wanted and not wanted & set(subnet.labels.get("service_type", [])):
                self.release(each.address)
                raise Exhausted("there is no typed subnet left")
        return answer


class KeepsSoftBoundaries(Faulty):
    """Takes a soft group for a hard one."""

    def allocate(self, group: Group, request: Request) -> Answer:
        answer = super().allocate(group, request)
        wanted = group.labels.get("rack", frozenset())
        for each in answer.allocations:
            subnet = next(view for view in self.ipam.subnets() if view.name == each.subnet)
            if wanted and not wanted & set(subnet.labels.get("rack", [])):
                self.release(each.address)
                raise Exhausted("there is no subnet of this rack left")
        return answer


class ForgetsHosts(Faulty):
    """Does not come back to a host's subnets; what the host implies is kept."""

    def allocate(self, group: Group, request: Request) -> Answer:
        if not group.host:
            return super().allocate(group, request)
        known = {host.name: host.labels for host in self.ipam.hosts()}
        if group.host in known:
            return super().allocate(group, request)
        return super().allocate(replace(self.without(group, HOST), host=""), request)


class ImpliesNothing(Faulty):
    """Does not look at a host's labels."""

    def allocate(self, group: Group, request: Request) -> Answer:
        host = f"{group.host}-unknown" if group.host else ""
        labels = dict(group.labels) | ({HOST: frozenset([host])} if host else {})
        return super().allocate(replace(group, labels=labels, host=host), request)


class SortsOutright(Faulty):
    """Asks subnets that were named outright in an order of its own."""

    def allocate(self, group: Group, request: Request) -> Answer:
        if group.tiers is not None:
            group = replace(group, tiers=tuple(sorted(group.tiers)))
        return super().allocate(group, request)


class IgnoresWeight(Faulty):
    """Goes by the address alone."""

    def apply(self, source: Any, *, name: str | None = None) -> Any:
        subnets = [{**each, "weight": 0} for each in source.get("subnets", [])]
        return super().apply({**source, "subnets": subnets}, name=name)


class IgnoresRank(Faulty):
    """Keeps an order of the dimensions of its own."""

    def apply(self, source: Any, *, name: str | None = None) -> Any:
        if "dimensions" in source:
            source = {**source, "dimensions": dict(sorted(source["dimensions"].items()))}
        return super().apply(source, name=name)


class Straddles(Faulty):
    """Gives the addresses of one request one by one."""

    def allocate(self, group: Group, request: Request) -> Answer:
        families = request.families or (None,)
        if len(families) * request.count == 1 or request.key:
            return super().allocate(group, request)
        given: list[Allocation] = []
        try:
            for family in families:
                for _ in range(request.count):
                    kind = Kind.ANY if request.kind is Kind.EUI64 and family == 4 else request.kind
                    mac = request.mac if kind is Kind.EUI64 else None
                    one = replace(request, count=1, kind=kind, mac=mac)
                    if family is not None:
                        one = replace(one, families=(family,))
                    given += super().allocate(group, one).allocations
        except BoroughError:
            for each in given:
                self.release(each.address, scope=each.scope)
            raise
        return Answer(tuple(given), replayed=False)


class KeepsTheFirstHalf(Straddles):
    """The same, and what it got before it failed stays taken."""

    def release(self, address: Any = None, **more: Any) -> Sequence[Allocation]:
        if sys._getframe(1).f_code.co_name == "allocate":
            return ()
        return super().release(address, **more)


class NextIsAny(Faulty):
    """Gives just any address as the next one."""

    def allocate(self, group: Group, request: Request) -> Answer:
        if request.kind is Kind.NEXT and request.count == 1:
            several = super().allocate(group, replace(request, count=4)).allocations
            for each in several[:-1]:
                self.release(each.address)
            return Answer(several[-1:], replayed=False)
        return super().allocate(group, request)


class GivesAnother(Faulty):
    """Gives another address when the one asked for is held."""

    def allocate(self, group: Group, request: Request) -> Answer:
        try:
            return super().allocate(group, request)
        except AddressInUse:
            return super().allocate(group, replace(request, kind=Kind.ANY, address=None, mac=None))


class GivesOutsideTheGroup(Faulty):
    """Gives an address by name from whatever subnet it lies in."""

    def allocate(self, group: Group, request: Request) -> Answer:
        if request.kind is Kind.SPECIFIC:
            every = tuple(each.name for each in self.ipam.subnets(scope=group.scope))
            group = Group(tiers=(every,), scope=group.scope)
        return super().allocate(group, request)


class IgnoresRanges(Faulty):
    """Gives from the whole subnet."""

    def apply(self, source: Any, *, name: str | None = None) -> Any:
        subnets = [
            {name: value for name, value in each.items() if name != "ranges"}
            for each in source.get("subnets", [])
        ]
        return super().apply({**source, "subnets": subnets}, name=name)


class GivesTheGateway(Faulty):
    """Does not keep the gateway."""

    def apply(self, source: Any, *, name: str | None = None) -> Any:
        subnets = [
            {key: value for key, value in each.items() if key != "gateway"}
            for each in source.get("subnets", [])
        ]
        return super().apply({**source, "subnets": subnets}, name=name)


class MakesUpIdentifiers(Faulty):
    """Does not invert the universal/local bit of a MAC address."""

    def allocate(self, group: Group, request: Request) -> Answer:
        if request.mac is not None:
            request = replace(request, mac=request.mac ^ 1 << 41)
        return super().allocate(group, request)


class MergesScopes(Faulty):
    """Keeps one list of addresses for all scopes."""

    def allocate(self, group: Group, request: Request) -> Answer:
        answer = super().allocate(group, request)
        for each in answer.allocations:
            same = [held for held in self.ipam.allocations() if held.address == each.address]
            if len(same) > 1:
                self.release(each.address, scope=each.scope)
                raise AddressInUse("it is held in another scope")
        return answer


class ForgetsOwners(Faulty):
    """Does not keep who holds an address."""

    def allocate(self, group: Group, request: Request) -> Answer:
        return super().allocate(group, replace(request, owner=""))


class ForgetsKeys(Faulty):
    """Gives a new address each time."""

    def allocate(self, group: Group, request: Request) -> Answer:
        return super().allocate(group, replace(request, key=""))


class RepeatsWhatIsGone(Faulty):
    """Answers a key with the addresses of then, whoever has them now."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._answers: dict[str, Answer] = {}

    def allocate(self, group: Group, request: Request) -> Answer:
        try:
            answer = super().allocate(group, request)
        except KeySpent:
            return self._answers[request.key]
        return self._answers.setdefault(request.key, answer) if request.key else answer


class ReleasesStale(Faulty):
    """Frees an address whoever holds it by now."""

    def release(
        self,
        address: str | Iterable[str] | None = None,
        *,
        owner: str = "",
        host: str = "",
        sequence: int | None = None,
        scope: str | None = None,
        now: bool = False,
    ) -> Sequence[Allocation]:
        if address:
            owner = host = ""
        return super().release(address, owner=owner, host=host, scope=scope, now=now)


class ReleasesQuietly(Faulty):
    """Takes a release of what is free for done."""

    def release(self, address: Any = None, **more: Any) -> Sequence[Allocation]:
        try:
            return super().release(address, **more)
        except NotAllocated:
            return ()


class GivesAgainAtOnce(Faulty):
    """Does not let addresses rest."""

    def apply(self, source: Any, *, name: str | None = None) -> Any:
        subnets = [{**each, "cooldown": 0} for each in source.get("subnets", [])]
        return super().apply({**source, "subnets": subnets}, name=name)


class CallsEverythingExhausted(Faulty):
    """Tells a group without subnets from a full one by nothing."""

    def allocate(self, group: Group, request: Request) -> Answer:
        try:
            return super().allocate(group, request)
        except NoMatchingSubnet as error:
            raise Exhausted(error.message) from error


class GivesUpEarly(Faulty):
    """Calls a group full when its first subnet is."""

    def allocate(self, group: Group, request: Request) -> Answer:
        answer = super().allocate(group, request)
        subnets = {each.subnet for each in self.ipam.allocations()}
        first = sorted(subnets, key=len)
        if threading.current_thread() is not threading.main_thread() and len(first) > 2:
            for each in answer.allocations:
                self.release(each.address)
            raise Exhausted("the first subnets are full")
        return answer


class ChecksThenTakes(Faulty):
    """Looks for a free address and takes it later: two callers get the same one."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._last: dict[str, Answer] = defaultdict()

    def allocate(self, group: Group, request: Request) -> Answer:
        if threading.current_thread() is threading.main_thread():
            return super().allocate(group, request)
        name = str(group)
        before = self._last.pop(name, None)
        if before is not None:
            return before
        self._last[name] = super().allocate(group, request)
        return self._last[name]


class ClaimsNothing(Faulty):
    """Gives addresses without a block around them."""

    def allocate(self, group: Group, request: Request) -> Answer:
        answer = super().allocate(group, request)
        plain = tuple(replace(each, block=None) for each in answer.allocations)
        return replace(answer, allocations=plain)


class LeavesSixOut(Faulty):
    """Gives IPv4 addresses only."""

    def allocate(self, group: Group, request: Request) -> Answer:
        if 6 in request.families and len(request.families) > 1:
            request = replace(request, families=(4,), kind=Kind.ANY, mac=None)
        return super().allocate(group, request)


class HasAnOpinionOfAddresses(Faulty):
    """Never gives the last address of an IPv6 subnet."""

    def allocate(self, group: Group, request: Request) -> Answer:
        answer = super().allocate(group, request)
        for each in answer.allocations:
            if each.family == 6 and each.prefix_length > 120 and int(each.address[-1], 16) % 4 == 3:
                self.release(each.address)
                raise NeedsSpace("such addresses bring bad luck")
        return answer


class Raises(Faulty):
    """Lets an error of its own through instead of one that says what to do."""

    def allocate(self, group: Group, request: Request) -> Answer:
        try:
            return super().allocate(group, request)
        except Exhausted as error:
            raise RuntimeError("no more addresses") from error


class IgnoresCounts(Faulty):
    """Gives one address, however many were asked for."""

    def allocate(self, group: Group, request: Request) -> Answer:
        return super().allocate(group, replace(request, count=1))
