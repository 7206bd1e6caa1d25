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

#: The prefix of every subnet that waits for a delegated prefix (RFC 8415).
PROVISIONAL: Final = Prefix(6, 0, 64)

#: The attribute with a gateway that is outside the prefix but on the link.
OUTSIDE: Final = "gateway"

#: The fields of a subnet that Neutron declares.
FIELDS: Final = ("prefix", "gateway", "ranges", "labels", "project", "attributes")


class NeutronSubnet(Subnet):
    """A subnet whose ranges are Neutron's allocation pools.

    Neutron assigns the subnet-router anycast address of IPv6 to routers, so a request may name it.
    """

    @cached_property
    def never(self) -> frozenset[int]:
        """Addresses that cannot be allocated."""
        return super().never if self.prefix.family == 4 else frozenset()

    @cached_property
    def usable(self) -> tuple[Interval, ...]:
        """The addresses for requests of kind *any* and *next*."""
        anycast = [(address, address) for address in super().never]
        return tuple(subtract(super().usable, anycast))

    @property
    def is_typed(self) -> bool:
        """True when only ports of some service types may use it."""
        return bool(self.labels.get("service_type"))


@dataclass(frozen=True)
class Declared:
    """A subnet as Neutron declares it.

    :ivar network: empty when unknown.
    :ivar scope: its scope at a service; empty when unknown.
    :ivar keeps_gateway: the gateway stays as it is.
    :ivar pools: allocation pools; without any, no address is allocated unless a request names it.
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

        :param before: the subnet as stored until now.
        """
        inside = self.gateway if self.gateway and self.prefix.holds(self.gateway) else None
        outside = {}
        if self.gateway is not None and inside is None:
            outside[OUTSIDE] = format_address(self.prefix.family, self.gateway)
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

    def differences(self, subnet: Subnet) -> list[str]:
        """Names of the fields of a stored subnet that differ from the declaration."""
        after = self.stored(subnet)
        return [name for name in FIELDS if getattr(subnet, name) != getattr(after, name)]
