"""A Neutron IPAM driver as a third party might write one, without Borough."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

import netaddr
from neutron.ipam import driver, exceptions, requests
from neutron_lib import exceptions as lib


class ThirdPartyPool(driver.Pool):  # type: ignore[misc]  # Neutron has no types
    """Keeps addresses in dictionaries, one subnet at a time."""

    subnets: ClassVar[dict[str, ThirdPartySubnet]] = {}

    def allocate_subnet(self, request: Any) -> ThirdPartySubnet:
        self.subnets[request.subnet_id] = ThirdPartySubnet(request)
        return self.subnets[request.subnet_id]

    def update_subnet(self, request: Any) -> ThirdPartySubnet:
        self.subnets[request.subnet_id].request = request
        return self.subnets[request.subnet_id]

    def get_subnet(self, subnet_id: str) -> ThirdPartySubnet:
        if subnet_id not in self.subnets:
            raise lib.SubnetNotFound(subnet_id=subnet_id)
        return self.subnets[subnet_id]

    def remove_subnet(self, subnet_id: str) -> None:
        self.subnets.pop(subnet_id)

    def get_allocator(self, subnet_ids: Any) -> Any:
        raise NotImplementedError("it knows one subnet at a time")


class ThirdPartySubnet(driver.Subnet):  # type: ignore[misc]  # as above
    def __init__(self, request: Any) -> None:
        self.request = request
        self.held: set[netaddr.IPAddress] = set()
        self.lock = threading.Lock()

    def allocate(self, address_request: Any) -> netaddr.IPAddress:
        with self.lock:
            if isinstance(address_request, requests.SpecificAddressRequest):
                address = address_request.address
                if address in self.held:
                    raise exceptions.IpAddressAlreadyAllocated(
                        ip=address, subnet_id=self.request.subnet_id
                    )
            else:
                address = self._free()
            self.held.add(address)
            return address

    def _free(self) -> netaddr.IPAddress:
        for pool in self.request.allocation_pools:
            for number in range(pool.first, min(pool.last, pool.first + 1000) + 1):
                address = netaddr.IPAddress(number, pool.version)
                if address not in self.held:
                    return address
        raise exceptions.IpAddressGenerationFailure(subnet_id=self.request.subnet_id)

    def deallocate(self, address: Any) -> None:
        self.held.discard(netaddr.IPAddress(address))

    def get_details(self) -> Any:
        return self.request
