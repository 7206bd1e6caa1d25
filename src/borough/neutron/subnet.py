"""A subnet as Neutron declares it, and as Borough stores it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from borough.domain.declared.records import Interval, Subnet
from borough.domain.net.addresses import format_address
from borough.domain.net.prefixes import Prefix, subtract

#: The source of the subnets that Neutron declares.
SOURCE: Final = "neutron"

#: The prefix of every subnet that waits for its own by prefix delegation (RFC 8415).
PROVISIONAL: Final = Prefix(6, 0, 64)

#: The attribute that holds a gateway outside the prefix: one that is on the link all the same.
OUTSIDE: Final = "gateway"

#: The fields of a subnet that Neutron declares.
FIELDS: Final = ("prefix", "gateway", "ranges", "labels", "project", "attributes")


class NeutronSubnet(Subnet):
    """A subnet whose allocation ranges are Neutron's allocation pools.

    Neutron gives the subnet-router anycast address of IPv6 to routers: it may be asked for by name.
    """

    @cached_property
    def never(self) -> frozenset[int]:
        """Addresses that nobody can hold."""
        return super().never if self.prefix.family == 4 else frozenset()

    @cached_property
    def usable(self) -> tuple[Interval, ...]:
        """What *any* and *next* may give."""
        anycast = [(address, address) for address in super().never]
        return tuple(subtract(super().usable, anycast))

    @property
    def is_typed(self) -> bool:
        """Whether only some kinds of ports may use it."""
        return bool(self.labels.get("service_type"))


@dataclass(frozen=True)
class Declared:
    """A subnet as Neutron declares it.

    :ivar network: empty when the caller does not know it.
    :ivar scope: where a service keeps its addresses; empty when the caller does not know it.
    :ivar keeps_gateway: whether the gateway is left as it is.
    :ivar pools: allocation pools; empty means that nothing may be given.
    :ivar labels: values by dimension; None leaves them as they are.
    """

    name: str
    prefix: Prefix
    network: str = ""
    scope: str = ""
    gateway: int | None = None
    keeps_gateway: bool = False
    pools: tuple[Interval, ...] = ()
    project: str = ""
    labels: Mapping[str, frozenset[str]] | None = None

    def stored(self, before: Subnet | None = None) -> NeutronSubnet:
        """The subnet as Borough stores it.

        :param before: as it was stored until now.
        """
        inside = self.gateway if self.gateway and self.prefix.holds(self.gateway) else None
        outside = {} if inside == self.gateway else {OUTSIDE: self._gateway_text()}
        if before is not None and self.keeps_gateway:
            inside, outside = before.gateway, dict(before.attributes)
        labels: dict[str, frozenset[str]] = {} if before is None else dict(before.labels)
        if self.network:
            labels["network"] = frozenset((self.network,))
        labels |= self.labels or {}
        base = before or NeutronSubnet(0, self.name, self.scope, self.prefix)
        after = replace(
            base,
            prefix=self.prefix,
            gateway=inside,
            ranges=tuple(sorted(self.pools)),
            labels={name: labels[name] for name in sorted(labels) if labels[name]},
            project=self.project or base.project,
            attributes=outside,
            source=SOURCE,
        )
        assert isinstance(after, NeutronSubnet)
        return after

    def _gateway_text(self) -> str:
        assert self.gateway is not None
        return format_address(self.prefix.family, self.gateway)

    def differences(self, subnet: Subnet) -> list[str]:
        """Names of the fields of a stored subnet that are not as Neutron declares them."""
        after = self.stored(subnet)
        return [name for name in FIELDS if getattr(subnet, name) != getattr(after, name)]
