"""A :class:`~borough.domain.declared.topology.Topology` as the mapping that its file would hold.

What :func:`borough.engine.topology.document.load_topology` makes of the mapping is the same topology again.
"""

from __future__ import annotations

from typing import Any

from borough.domain.declared.dimensions import SETTINGS, Dimension, Labels
from borough.domain.declared.records import Host, Pool, Subnet
from borough.domain.declared.topology import Topology
from borough.domain.net.addresses import format_address, format_interval


def write_topology(topology: Topology) -> dict[str, Any]:
    """The mapping, ready for JSON."""
    return {
        "name": topology.name,
        "dimensions": {each.name: _dimension(each) for each in topology.dimensions},
        "scopes": list(topology.scopes),
        "pools": [_pool(each) for each in topology.pools],
        "subnets": [write_subnet(each) for each in topology.subnets],
        "hosts": {each.name: write_host(each) for each in topology.hosts},
    }


def _dimension(each: Dimension) -> dict[str, Any]:
    made = {"fallback": each.fallback.value, "claims": each.claiming.differences or each.claims}
    return made | {"declared": True} if each.declared else made


def _labels(labels: Labels) -> dict[str, list[str]]:
    return {name: sorted(values) for name, values in sorted(labels.items()) if values}


def write_host(each: Host) -> dict[str, Any]:
    """The labels of a host, and its settings of claims."""
    claims = {SETTINGS: dict(each.claiming)} if each.claiming else {}
    return {**_labels(each.labels), **claims}


def _pool(each: Pool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": each.name,
        "scope": each.scope,
        "prefixes": [str(prefix) for prefix in each.prefixes],
        "minimum_length": each.minimum_length,
        "maximum_length": each.maximum_length,
        "default_length": each.default_length,
    }
    if each.quota is not None:
        made["quota"] = each.quota
    return made


def write_subnet(each: Subnet) -> dict[str, Any]:
    """The entry of a subnet."""
    made: dict[str, Any] = {
        "name": each.name,
        "cidr": str(each.prefix),
        "scope": each.scope,
        "labels": _labels(each.labels),
        "weight": each.weight,
        "cooldown": each.cooldown,
        "attributes": dict(each.attributes),
        "claims": dict(each.claiming),
    }
    if each.ranges is not None:
        made["ranges"] = [format_interval(each.family, *ends) for ends in each.ranges]
    if each.excluded:
        made["exclude"] = [format_interval(each.family, *ends) for ends in each.excluded]
    if each.closed:
        made["closed"] = True
    if each.project:
        made["project"] = each.project
    if each.gateway is not None:
        made["gateway"] = format_address(each.family, each.gateway)
    return made
