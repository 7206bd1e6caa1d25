"""``ipam_driver = borough_shim``: an existing IPAM driver, unmodified, with a better order of subnets.

``[borough] delegate`` names the driver. It keeps all addresses, and knows one subnet at a time. The shim
orders the subnets that the driver tries for a port. Neutron's order comes first (service types before the
others). Among equals, subnets with ports of the same host come first, then those with the fewest other hosts.
So the ports of a host stay in few subnets, and no further request fails. The shim needs no tables: it reads
the use of subnets from Neutron's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from neutron.ipam import driver as ipam_driver
from neutron.manager import NeutronManager
from neutron_lib import constants
from neutron_lib.db import api as db_api
from oslo_config import cfg

from borough.neutron import options, tables
from borough.neutron.port_info import NO_PORT, PortInfo

options.register(cfg.CONF)

_NAMESPACE: Final = "neutron.ipam_drivers"


class ShimPool:
    """The delegate, except for the order of subnets; see :class:`neutron.ipam.driver.Pool`."""

    def __init__(self, subnetpool: Any, context: Any) -> None:
        made = NeutronManager.load_class_for_provider(_NAMESPACE, cfg.CONF.borough.delegate)
        self.delegate = made(subnetpool, context)
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self.delegate, name)

    def get_allocator(self, subnet_ids: Sequence[str]) -> ShimGroup:
        return ShimGroup(self.delegate, self._context, subnet_ids)

    def get_address_request_factory(self) -> Factory:
        return Factory(self.delegate.get_address_request_factory())


class Factory:
    """The delegate's factory of requests, with the port of each."""

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped

    def get_request(self, context: Any, port: Any, ip_dict: Any) -> Any:
        request = self._wrapped.get_request(context, port, ip_dict)
        request.port_info = PortInfo.of(port)
        return request


class ShimGroup(ipam_driver.SubnetGroup):
    """A group of subnets in the order for one port."""

    def __init__(self, delegate: Any, context: Any, subnet_ids: Sequence[str]) -> None:
        self._delegate = delegate
        self._context = context
        self._subnet_ids = list(subnet_ids)

    def allocate(self, address_request: Any) -> Any:
        port: PortInfo = getattr(address_request, "port_info", NO_PORT)
        names = self._subnet_ids
        if port.host and len(names) > 1 and cfg.CONF.borough.host_affinity:
            with db_api.CONTEXT_READER.using(self._context):
                names = ordered(self._context.session.connection(), names, port.host)
        return self._delegate.get_allocator(names).allocate(address_request)


def ordered(connection: sa.Connection, names: Sequence[str], host: str) -> list[str]:
    """Subnets in the order in which the delegate tries them for a port of a host."""
    types = sa.select(tables.SERVICE_TYPE.c.subnet_id).where(
        tables.SERVICE_TYPE.c.subnet_id.in_(names)
    )
    typed = {row[0] for row in connection.execute(types)}
    used = tables.ALLOCATION.join(
        tables.BINDING, tables.BINDING.c.port_id == tables.ALLOCATION.c.port_id
    )
    hosts = (
        sa.select(
            tables.ALLOCATION.c.subnet_id,
            sa.func.max(sa.case((tables.BINDING.c.host == host, 1), else_=0)),
            sa.func.count(sa.distinct(tables.BINDING.c.host)),
        )
        .select_from(used)
        .where(
            tables.ALLOCATION.c.subnet_id.in_(names),
            tables.BINDING.c.status == constants.ACTIVE,
            tables.BINDING.c.host != "",
        )
        .group_by(tables.ALLOCATION.c.subnet_id)
    )
    found = {id: (-mine, others) for id, mine, others in connection.execute(hosts)}
    # The sort is stable: equals stay in Neutron's order.
    return sorted(names, key=lambda name: (name not in typed, *found.get(name, (0, 0))))
