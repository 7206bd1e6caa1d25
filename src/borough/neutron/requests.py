"""Requests that carry what Neutron's own leave out: the port of an address, the network of a subnet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from neutron.ipam import requests as ipam_req
from neutron_lib.api import validators
from oslo_config import cfg

from borough.domain.net.addresses import parse_address
from borough.domain.request import Kind
from borough.neutron.port_info import NO_PORT, PortInfo


@dataclass(frozen=True)
class WantedAddress:
    """What a request of Neutron's asks for.

    :ivar port: the port that the address is for.
    :ivar claims: whether its host may claim space for it.
    """

    kind: Kind
    port: PortInfo = NO_PORT
    claims: bool = True
    address: int | None = None
    count: int = 1

    @classmethod
    def of(cls, request: Any) -> WantedAddress:
        """Read a request."""
        port = getattr(request, "port_info", NO_PORT)
        if not isinstance(port, PortInfo):
            # Another factory made the request.
            port = NO_PORT
        claims = bool(cfg.CONF.borough.host_affinity)
        if isinstance(request, ipam_req.SpecificAddressRequest):
            # Automatic addresses too: Neutron's request has computed them.
            _, number = parse_address(str(request.address))
            return cls(Kind.SPECIFIC, port, claims, address=number)
        if isinstance(request, ipam_req.PreferNextAddressRequest):
            # Services of the network itself want the lowest address, whoever's block it lies in.
            return cls(Kind.NEXT, port, claims=False)
        if isinstance(request, ipam_req.RouterGatewayAddressRequest):
            return cls(Kind.GATEWAY, port, claims=False)
        if isinstance(request, ipam_req.BulkAddressRequest):
            return cls(Kind.ANY, port, claims, count=request.num_addresses)
        return cls(Kind.ANY, port, claims)


class AddressRequestFactory(ipam_req.AddressRequestFactory):
    """Neutron's factory; each request knows its port."""

    @classmethod
    def get_request(cls, context: Any, port: Any, ip_dict: Any) -> Any:
        """See :meth:`neutron.ipam.requests.AddressRequestFactory.get_request`."""
        request = super().get_request(context, port, ip_dict)
        request.port_info = PortInfo.of(port)
        return request


class SubnetRequestFactory(ipam_req.SubnetRequestFactory):
    """Neutron's factory; each request knows its network and how its subnet is labelled."""

    @classmethod
    def get_request(cls, context: Any, subnet: Any, subnetpool: Any) -> Any:
        """See :meth:`neutron.ipam.requests.SubnetRequestFactory.get_request`."""
        request = super().get_request(context, subnet, subnetpool)
        request.network_id = subnet.get("network_id") or ""
        # An update that says nothing of the gateway does not take it away.
        request.keeps_gateway = "gateway_ip" not in subnet
        request.labels = {
            dimension: frozenset(values)
            for dimension, field in (("segment", "segment_id"), ("service_type", "service_types"))
            if (values := _listed(subnet, field)) is not None
        }
        return request


def _listed(subnet: Any, field: str) -> list[str] | None:
    """The values of a field; None when the request leaves it as it is."""
    if field not in subnet or not validators.is_attr_set(subnet[field]):
        return [] if field in subnet and subnet[field] is None else None
    found = subnet[field]
    return [found] if isinstance(found, str) else [str(each) for each in found]
