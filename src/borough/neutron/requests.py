"""Neutron's requests: factories that add a port or a network, and conversion for the engine."""

from __future__ import annotations

from typing import Any

from neutron.ipam import requests as ipam_req
from neutron_lib.api import validators
from oslo_config import cfg

from borough.domain.declared.dimensions import HOST
from borough.domain.net.addresses import parse_address
from borough.domain.request import Kind, Request
from borough.neutron.port_info import NO_PORT, PortInfo


def port_request(
    kind: Kind,
    port: PortInfo,
    *,
    claims: bool = True,
    address: int | None = None,
    count: int = 1,
) -> Request:
    """A request for addresses of a port; the caller adds its scope, subnets and family.

    :param claims: the host of the port may claim space for the addresses.
    """
    return Request(
        labels={HOST: frozenset((port.host,))} if port.host and claims else {},
        host=port.host,
        kind=kind,
        count=count,
        address=address,
        owner=port.owner,
        attributes=port.attributes,
    )


def engine_request(request: Any) -> Request:
    """An address request of Neutron; the caller adds its scope, subnets and family."""
    port = getattr(request, "port_info", NO_PORT)
    if not isinstance(port, PortInfo):
        # Another factory made the request.
        port = NO_PORT
    claims = bool(cfg.CONF.borough.host_affinity)
    if isinstance(request, ipam_req.SpecificAddressRequest):
        # Automatic addresses too: Neutron's request has computed them.
        _, number = parse_address(str(request.address))
        return port_request(Kind.SPECIFIC, port, claims=claims, address=number)
    if isinstance(request, ipam_req.PreferNextAddressRequest):
        # Services of the network itself get the lowest address, in the block of any host.
        return port_request(Kind.NEXT, port, claims=False)
    if isinstance(request, ipam_req.RouterGatewayAddressRequest):
        return port_request(Kind.GATEWAY, port, claims=False)
    count = request.num_addresses if isinstance(request, ipam_req.BulkAddressRequest) else 1
    return port_request(Kind.ANY, port, claims=claims, count=count)


class AddressRequestFactory(ipam_req.AddressRequestFactory):
    """Neutron's factory, with the port of each request."""

    @classmethod
    def get_request(cls, context: Any, port: Any, ip_dict: Any) -> Any:
        request = super().get_request(context, port, ip_dict)
        request.port_info = PortInfo.of(port)
        return request


class SubnetRequestFactory(ipam_req.SubnetRequestFactory):
    """Neutron's factory, with the network and the labels of each subnet."""

    @classmethod
    def get_request(cls, context: Any, subnet: Any, subnetpool: Any) -> Any:
        request = super().get_request(context, subnet, subnetpool)
        request.network_id = subnet.get("network_id") or ""
        # An update without a gateway field leaves the gateway as it is.
        request.keeps_gateway = "gateway_ip" not in subnet
        request.labels = {
            dimension: frozenset(values)
            for dimension, field in (("segment", "segment_id"), ("service_type", "service_types"))
            if (values := _values(subnet, field)) is not None
        }
        return request


def _values(subnet: Any, field: str) -> list[str] | None:
    """The values of a field; None when the request leaves it as it is."""
    if field not in subnet or not validators.is_attr_set(subnet[field]):
        return [] if field in subnet and subnet[field] is None else None
    found = subnet[field]
    return [found] if isinstance(found, str) else [str(each) for each in found]
