"""Neutron's IPAM interface, common to both drivers.

An address request names a group of subnets. It is one decision, whatever the number of subnets. The methods
are described in :mod:`neutron.ipam.driver`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Protocol

import netaddr
from neutron.ipam import driver as ipam_driver
from neutron.ipam import exceptions as ipam_exc
from neutron.ipam import requests as ipam_req
from neutron.ipam import subnet_alloc
from neutron.ipam import utils as ipam_utils
from neutron_lib import exceptions as n_exc
from oslo_config import cfg
from oslo_utils import uuidutils

from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import format_address, parse_address
from borough.neutron import options, requests
from borough.neutron.subnet import OUTSIDE, Declared
from borough.neutron.tables import prefix_of

options.register(cfg.CONF)


class AddressSpace(Protocol):
    """Address space in one request of Neutron."""

    def __init__(self, context: Any) -> None:
        """Work in the transaction of a context, or in a new one when it has none."""

    def add(self, wanted: Declared) -> Subnet:
        """Add a subnet; change one that exists."""

    def alter(self, wanted: Declared) -> None:
        """Change a subnet."""

    def remove(self, name: str) -> bool:
        """Remove a subnet with its addresses; false when it does not exist."""

    def subnet(self, name: str, *, fresh: bool = False) -> Subnet:
        """A subnet that Neutron has.

        :param fresh: read it in this transaction, instead of from memory.
        :raises SubnetNotFound: Neutron does not have it.
        """

    def scopes(self, names: Sequence[str]) -> list[str]:
        """The scope of each subnet.

        :raises SubnetNotFound: Neutron does not have one of them.
        """

    def allocate(self, names: Sequence[str], request: Any) -> list[tuple[str, str]]:
        """Allocate the addresses of a request from a group of subnets in one scope.

        :return: addresses, each with its subnet.
        :raises IpAddressGenerationFailureAllSubnets: no address is free.
        :raises IpAddressAlreadyAllocated: the requested address is held.
        :raises InvalidIpForSubnet: the requested address cannot be allocated.
        """

    def release(self, name: str, address: str) -> bool:
        """Release an address; false when it is not allocated."""

    def addresses(self, name: str) -> list[str]:
        """The allocated addresses of a subnet, ascending."""


class NeutronPool(subnet_alloc.SubnetAllocator):
    """The driver; carving from subnet pools, and their quota, are Neutron's.

    :cvar space_type: the place of the addresses.
    """

    space_type: type[AddressSpace]

    def __init__(self, subnetpool: Any, context: Any) -> None:
        super().__init__(subnetpool, context)
        self.space = self.space_type(context)

    def allocate_subnet(self, request: Any) -> BoroughSubnet:
        network, labels = getattr(request, "network_id", ""), getattr(request, "labels", None)
        if self._subnetpool:
            request = super().allocate_subnet(request).get_details()
        if not isinstance(request, ipam_req.SpecificSubnetRequest):
            raise ipam_exc.InvalidSubnetRequestType(subnet_type=type(request))
        return BoroughSubnet(self.space, self.space.add(_declared(request, network, labels)))

    def get_subnet(self, subnet_id: str) -> BoroughSubnet:
        return BoroughSubnet(self.space, self.space.subnet(subnet_id))

    def update_subnet(self, request: Any) -> BoroughSubnet | None:
        if not request.subnet_id:
            raise ipam_exc.InvalidSubnetRequest(
                reason="An identifier must be specified when updating a subnet"
            )
        if request.allocation_pools is None:
            return None
        self.space.subnet(request.subnet_id)
        network, labels = getattr(request, "network_id", ""), getattr(request, "labels", None)
        self.space.alter(_declared(request, network, labels))
        return self.get_subnet(request.subnet_id)

    def remove_subnet(self, subnet_id: str) -> None:
        if not self.space.remove(subnet_id):
            raise n_exc.SubnetNotFound(subnet_id=subnet_id)

    def get_allocator(self, subnet_ids: Sequence[str]) -> BoroughSubnetGroup:
        return BoroughSubnetGroup(self, subnet_ids)

    def get_address_request_factory(self) -> type[requests.AddressRequestFactory]:
        return requests.AddressRequestFactory

    def get_subnet_request_factory(self) -> type[requests.SubnetRequestFactory]:
        return requests.SubnetRequestFactory


class BoroughSubnet(ipam_driver.Subnet):
    """One subnet; see :class:`neutron.ipam.driver.Subnet`."""

    def __init__(self, space: AddressSpace, subnet: Subnet) -> None:
        self.space = space
        self._subnet = subnet

    @property
    def name(self) -> str:
        return self._subnet.name

    def holds(self, family: int, address: int) -> bool:
        return self._subnet.family == family and self._subnet.prefix.holds(address)

    @property
    def subnet_manager(self) -> BoroughSubnet:
        """The object that lists allocations, under the name that tests of the reference driver use."""
        return self

    def list_allocations(self, _context: Any = None) -> list[str]:
        return self.space.addresses(self._subnet.name)

    def allocate(self, address_request: Any) -> str:
        if isinstance(address_request, ipam_req.SpecificAddressRequest):
            self._verify_ip(None, str(address_request.address))
        (address,) = self._allocate(address_request)
        return address

    def bulk_allocate(self, address_request: Any) -> list[str]:
        if not isinstance(address_request, ipam_req.BulkAddressRequest):
            return [self.allocate(address_request)]
        return self._allocate(address_request)

    def _allocate(self, address_request: Any) -> list[str]:
        try:
            made = self.space.allocate([self._subnet.name], address_request)
        except ipam_exc.IpAddressGenerationFailureAllSubnets:
            raise ipam_exc.IpAddressGenerationFailure(subnet_id=self._subnet.name) from None
        return [address for address, _ in made]

    def deallocate(self, address: Any) -> None:
        # An address that is not allocated is no error: it went with its prefix, or Neutron releases it twice.
        self.space.release(self._subnet.name, str(address))

    def get_details(self) -> Any:
        subnet = self._subnet
        family = subnet.family
        pools = [
            netaddr.IPRange(format_address(family, first), format_address(family, last))
            for first, last in subnet.ranges or ()
        ]
        return ipam_req.SpecificSubnetRequest(
            subnet.project or None,
            subnet.name,
            str(subnet.prefix),
            subnet.attributes.get(OUTSIDE)
            if subnet.gateway is None
            else format_address(family, subnet.gateway),
            pools,
        )

    def _verify_ip(self, _context: Any, ip_address: str) -> None:
        # Another process may have replaced the delegated prefix.
        self._subnet = self.space.subnet(self._subnet.name, fresh=True)
        if not ipam_utils.check_subnet_ip(str(self._subnet.prefix), ip_address):
            raise ipam_exc.InvalidIpForSubnet(subnet_id=self._subnet.name, ip=ip_address)


class BoroughSubnetGroup(ipam_driver.SubnetGroup):
    """A group of subnets, from which an address is one decision."""

    def __init__(self, driver: NeutronPool, subnet_ids: Sequence[str]) -> None:
        self._driver = driver
        self._subnet_ids = list(dict.fromkeys(subnet_ids))

    def allocate(self, address_request: Any) -> tuple[str, str]:
        if isinstance(address_request, ipam_req.SpecificAddressRequest):
            subnet = self._holding(str(address_request.address))
            return subnet.allocate(address_request), subnet.name
        space = self._driver.space
        # Nearly always the subnets are in one scope.
        scopes = dict(zip(self._subnet_ids, space.scopes(self._subnet_ids), strict=True))
        for _, names in groupby(self._subnet_ids, key=scopes.__getitem__):
            try:
                (made,) = space.allocate(list(names), address_request)
            except ipam_exc.IpAddressGenerationFailureAllSubnets:
                continue
            return made
        raise ipam_exc.IpAddressGenerationFailureAllSubnets()

    def _holding(self, address: str) -> BoroughSubnet:
        """The subnet of an address; the first subnet, which then refuses it, when none holds it."""
        first, *others = [self._driver.get_subnet(name) for name in self._subnet_ids]
        if not others:
            return first
        family, number = parse_address(address)
        return next((each for each in (first, *others) if each.holds(family, number)), first)


def _declared(request: Any, network: str, labels: Mapping[str, frozenset[str]] | None) -> Declared:
    pools = request.allocation_pools
    if pools is None:
        pools = ipam_utils.generate_pools(request.subnet_cidr, request.gateway_ip)
    return Declared(
        name=request.subnet_id or uuidutils.generate_uuid(),
        prefix=prefix_of(request.subnet_cidr),
        network=network,
        gateway=None if request.gateway_ip is None else int(request.gateway_ip),
        keeps_gateway=bool(getattr(request, "keeps_gateway", False)),
        pools=tuple((int(pool.first), int(pool.last)) for pool in pools),
        project=request.project_id or "",
        labels=labels,
    )
