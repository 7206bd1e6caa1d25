"""The rules once more, slow and obvious: no ladder, no blocks, no index.

It knows the declared objects and the set of addresses in use, goes through every subnet and every
address, and says which answers would be right. What it does not model is which of several equally
good addresses is taken (placement); for that, any of them is right.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from itertools import islice, product
from typing import Any


@dataclass
class Oracle:
    """Declared objects as a topology mapping holds them, and who holds what.

    :ivar held: address text to subnet name, cooling ones included, by scope.
    """

    dimensions: dict[str, str]
    subnets: list[dict[str, Any]]
    hosts: dict[str, dict[str, Any]]
    held: dict[tuple[str, str], str] = field(default_factory=dict)

    def values(self, labels: dict[str, Any], name: str) -> set[str]:
        value = labels.get(name, [])
        return {value} if isinstance(value, str) else set(value)

    def implied(self, labels: dict[str, Any], host: str | None) -> dict[str, set[str]]:
        of_host = self.hosts.get(host or "", {})
        return {
            name: self.values(of_host, name)
            for name in of_host
            # How a host claims decides only where its addresses lie.
            if name not in labels and name != "claims"
        }

    def level(
        self, subnet: dict[str, Any], labels: dict[str, Any], host: str | None
    ) -> tuple[int, ...] | None:
        """How well a subnet fits, dimension by dimension; None when it must not be used.

        Only the dimensions down to ``host`` are compared: what comes after it (and the weight) counts
        among blocks that are held alike, which the oracle does not know.
        """
        named = {name: self.values(labels, name) for name in labels}
        if host:
            named["host"] = {host}
        implied = self.implied(labels, host)
        levels = []
        for name, fallback in self.dimensions.items():
            on_subnet = self.values(subnet.get("labels", {}), name)
            wanted = named.get(name) or implied.get(name)
            if not wanted:
                if on_subnet and fallback != "any":
                    return None
                levels.append(0)
            elif on_subnet & wanted:
                levels.append(0)
            elif not on_subnet:
                if fallback == "none" and name in named:
                    return None
                levels.append(1)
            elif fallback == "any":
                levels.append(2)
            else:
                return None
        return tuple(levels[: list(self.dimensions).index("host") + 1])

    def usable(self, subnet: dict[str, Any]) -> list[str]:
        """The addresses that *any* may give, ascending."""
        if subnet.get("closed"):
            return []
        network = ipaddress.ip_network(subnet["cidr"])
        # No history takes more than this, and nobody lists a /64.
        addresses = list(islice(network, 1024))
        if network.prefixlen < network.max_prefixlen - 1:
            addresses = addresses[1:]
            if network.version == 4:
                addresses = addresses[:-1]
        gateway = subnet.get("gateway")
        ranges = [self.within(text) for text in subnet.get("ranges", [subnet["cidr"]])]
        excluded = [self.within(text) for text in subnet.get("exclude", [])]
        return [
            str(address)
            for address in addresses
            if str(address) != gateway
            and any(low <= address <= high for low, high in ranges)
            and not any(low <= address <= high for low, high in excluded)
        ]

    def within(self, text: str) -> tuple[Any, Any]:
        """The ends of a range: ``first-last``, an address, or a prefix."""
        if "/" in text:
            network = ipaddress.ip_network(text)
            return network[0], network[-1]
        first, _, last = text.partition("-")
        return ipaddress.ip_address(first), ipaddress.ip_address(last or first)

    def free(self, subnet: dict[str, Any]) -> list[str]:
        scope = subnet.get("scope", "default")
        return [each for each in self.usable(subnet) if (scope, each) not in self.held]

    def placement_groups(
        self, labels: dict[str, Any], host: str | None, scope: str
    ) -> list[list[dict[str, Any]]]:
        """The sets of subnets inside which all addresses of one request must lie together."""
        implied = self.implied(labels, host)
        hard = [
            name
            for name, fallback in self.dimensions.items()
            if fallback == "none" and (name in labels or name in implied)
        ]
        admitted = [
            subnet
            for subnet in self.subnets
            if subnet.get("scope", "default") == scope
            and self.level(subnet, labels, host) is not None
        ]
        wanted = {name: self.values(labels, name) or implied.get(name, set()) for name in hard}
        choices = product(*([*sorted(wanted[name]), None] for name in hard))
        placement_groups = []
        for choice in choices:
            members = [
                subnet
                for subnet in admitted
                if all(
                    value in self.values(subnet.get("labels", {}), name)
                    if value is not None
                    else not self.values(subnet.get("labels", {}), name)
                    for name, value in zip(hard, choice, strict=True)
                )
            ]
            if members:
                placement_groups.append(members)
        return placement_groups

    def group(self, labels: dict[str, Any], host: str | None, scope: str, family: int) -> set[str]:
        """The open subnets that a request for one address may use."""
        return {
            subnet["name"]
            for subnet in self.subnets
            if subnet.get("scope", "default") == scope
            and not subnet.get("closed")
            and ipaddress.ip_network(subnet["cidr"]).version == family
            and self.level(subnet, labels, host) is not None
        }

    def can_give(
        self, labels: dict[str, Any], host: str | None, scope: str, families: list[int], count: int
    ) -> bool:
        """Whether some home has enough free addresses of every family."""

        def of_family(subnet: dict[str, Any], family: int) -> bool:
            return ipaddress.ip_network(subnet["cidr"]).version == family

        single = len(families) == 1 and count == 1
        placement_groups = self.placement_groups(labels, host, scope)
        if single:
            placement_groups = [
                [subnet for placement_group in placement_groups for subnet in placement_group]
            ]
        return any(
            all(
                sum(
                    len(self.free(subnet))
                    for subnet in placement_group
                    if of_family(subnet, family)
                )
                >= count
                for family in families
            )
            for placement_group in placement_groups
        )

    def best(self, labels: dict[str, Any], host: str | None, scope: str, family: int) -> set[str]:
        """For one address: the subnets that fit best of those that have room."""
        fits = [
            (level, subnet["name"])
            for subnet in self.subnets
            if subnet.get("scope", "default") == scope
            and ipaddress.ip_network(subnet["cidr"]).version == family
            and (level := self.level(subnet, labels, host)) is not None
            and self.free(subnet)
        ]
        if not fits:
            return set()
        least = min(level for level, _ in fits)
        return {name for level, name in fits if level == least}
