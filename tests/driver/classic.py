"""A classic driver for tests, which can be made to fail."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Self

from borough.domain.declared.dimensions import Fallback
from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import format_address
from borough.domain.request import Kind
from borough.driver import (
    Decides,
    DriverAddress,
    DriverSubnet,
    Settings,
    SubnetDriver,
    SubnetRequest,
)
from borough.errors import AddressInUse, Exhausted, NotAllocated


@dataclass
class System:
    """The system behind the driver.

    :ivar held: tokens by address, by subnet name.
    :ivar calls: its calls in order.
    :ivar before: called with (name, subnet, request or address) before a call; may raise.
    :ivar after: called with (subnet, request, address) after an allocation; may raise or change the answer.
    """

    held: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    calls: list[tuple[str, str]] = field(default_factory=list)
    before: Callable[[str, str, object], None] = lambda *_: None
    after: Callable[[str, SubnetRequest, str], str] = lambda _subnet, _request, text: text
    lock: Lock = field(default_factory=Lock)

    def all_held(self) -> set[str]:
        return {address for subnet in self.held.values() for address in subnet}


class ClassicDriver(SubnetDriver):
    """Allocates the lowest free address of a subnet."""

    def __init__(self, system: System | None = None) -> None:
        self.system = system or System()

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls()

    def get_subnet(self, subnet: Subnet) -> DriverSubnet:
        return ClassicSubnet(self.system, subnet)


class ForgetfulDriver(ClassicDriver):
    """The same, for a system that does not store tokens."""

    def get_subnet(self, subnet: Subnet) -> DriverSubnet:
        return ForgetfulSubnet(self.system, subnet)


class ForgetfulSubnet(DriverSubnet):
    def __init__(self, system: System, subnet: Subnet) -> None:
        self.system = system
        self.subnet = subnet

    def allocate(self, request: SubnetRequest) -> str:
        system, name = self.system, self.subnet.name
        system.calls.append(("allocate", name))
        system.before("allocate", name, request)
        with system.lock:
            held = system.held[name]
            if request.address is not None:
                text = request.address
                if text in held:
                    raise AddressInUse(f"{text} is held")
            else:
                text = next((each for each in self._usable() if each not in held), "")
                if not text:
                    raise Exhausted("full")
            held[text] = request.token
        return system.after(name, request, text)

    def _usable(self) -> Sequence[str]:
        return [
            format_address(self.subnet.family, number)
            for first, last in self.subnet.usable
            for number in range(first, min(last, first + 5000) + 1)
        ]

    def deallocate(self, address: str) -> None:
        system, name = self.system, self.subnet.name
        system.calls.append(("deallocate", name))
        system.before("deallocate", name, address)
        with system.lock:
            if system.held[name].pop(str(ipaddress.ip_address(address)), None) is None:
                raise NotAllocated(f"{address} is free")


class ClassicSubnet(ForgetfulSubnet):
    def find(self, token: str) -> Sequence[str]:
        self.system.calls.append(("find", self.subnet.name))
        self.system.before("find", self.subnet.name, token)
        return [text for text, kept in self.system.held[self.subnet.name].items() if kept == token]


class WholeDriver(ClassicDriver):
    """Decides hard groups in one call; the shim decides the others.

    :ivar whole: number of calls for a whole group.
    """

    decides = Decides(frozenset([Fallback.NONE]), frozenset([Kind.ANY, Kind.NEXT]), several=True)

    def __init__(self, system: System | None = None) -> None:
        super().__init__(system)
        self.whole = 0

    def allocate_from(
        self, subnets: Sequence[Subnet], count: int, request: SubnetRequest
    ) -> Sequence[DriverAddress]:
        self.whole += 1
        taken: list[DriverAddress] = []
        for subnet in subnets:
            place = ClassicSubnet(self.system, subnet)
            try:
                while len(taken) < count:
                    taken.append(DriverAddress(subnet, place.allocate(request)))
            except Exhausted:
                continue
        if len(taken) < count:
            for each in taken:
                ClassicSubnet(self.system, each.subnet).deallocate(each.address)
            raise Exhausted("the group is full")
        return taken
