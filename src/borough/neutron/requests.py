"""Requests that carry what Neutron's own leave out: the port of an address, the network of a subnet."""

from __future__ import annotations

from typing import Any

from neutron.ipam import requests as ipam_req
from neutron_lib.api import validators

from borough.neutron.place import NOWHERE, Place, place_of


class AddressRequestFactory(ipam_req.AddressRequestFactory):
    """Neutron's factory; each request knows its port."""

    @classmethod
    def get_request(cls, context: Any, port: Any, ip_dict: Any) -> Any:
        """See :meth:`neutron.ipam.requests.AddressRequestFactory.get_request`."""
        request = super().get_request(context, port, ip_dict)
        request.place = place_of(port)
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


def place_in(request: Any) -> Place:
    """The place that a request carries; nowhere when another factory made it."""
    found = getattr(request, "place", NOWHERE)
    return found if isinstance(found, Place) else NOWHERE
