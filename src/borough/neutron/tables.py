"""Neutron's own tables of subnets, addresses and ports, with which Borough must agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from neutron.db import models_v2
from neutron.db.models.subnet_service_type import SubnetServiceType
from neutron.ipam.drivers.neutrondb_ipam import db_models
from neutron.plugins.ml2.models import PortBinding
from neutron_lib import constants

from borough.domain.declared.records import Interval
from borough.domain.net.addresses import parse_address
from borough.domain.net.prefixes import Prefix, enclosing
from borough.neutron.port_info import PortInfo
from borough.neutron.subnet import PROVISIONAL, Declared

SUBNET: Final = models_v2.Subnet.__table__
POOL: Final = models_v2.IPAllocationPool.__table__
ALLOCATION: Final = models_v2.IPAllocation.__table__
PORT: Final = models_v2.Port.__table__
BINDING: Final = PortBinding.__table__
SERVICE_TYPE: Final = SubnetServiceType.__table__
#: The reference driver's own tables.
THEIR_SUBNET: Final = db_models.IpamSubnet.__table__
THEIR_POOL: Final = db_models.IpamAllocationPool.__table__
THEIR_ALLOCATION: Final = db_models.IpamAllocation.__table__

#: Ids in one query.
_BATCH: Final = 500


class PortAddress(NamedTuple):
    """One address and its port."""

    address: int
    port: PortInfo


class TableSubnet(NamedTuple):
    """One subnet, with the addresses of ports in it, ascending."""

    declared: Declared
    addresses: list[PortAddress]

    @property
    def inside(self) -> list[PortAddress]:
        """The addresses in the prefix; others were allocated before a new prefix was delegated."""
        return [each for each in self.addresses if self.declared.prefix.holds(each.address)]


class Spot(NamedTuple):
    """The facts about a subnet that a request for addresses needs.

    :ivar scope: its scope at a service; see :func:`scope_of`.
    :ivar is_typed: true when only ports of some service types may use it.
    """

    scope: str
    prefix: Prefix
    is_typed: bool


def scope_of(subnet: str, network: str, pool: str | None, prefix: Prefix) -> str:
    """The scope of a subnet at a service: its network.

    A subnet with a delegated prefix is a scope by itself, because all of them begin with one prefix. The
    scope of a subnet never changes.
    """
    alone = pool == constants.IPV6_PD_POOL_ID or prefix == PROVISIONAL or not network
    return subnet if alone else network


def spots(connection: sa.Connection, ids: Sequence[str]) -> dict[str, Spot]:
    """Subnets by id, in one query; without unknown ones."""
    is_typed = sa.exists().where(SERVICE_TYPE.c.subnet_id == SUBNET.c.id)
    query = sa.select(
        SUBNET.c.id, SUBNET.c.network_id, SUBNET.c.subnetpool_id, SUBNET.c.cidr, is_typed
    )
    found = {}
    for id, network, pool, cidr, typed in _rows(connection, query, SUBNET.c.id, ids):
        prefix = prefix_of(cidr)
        found[id] = Spot(scope_of(id, network, pool, prefix), prefix, bool(typed))
    return found


def in_use(connection: sa.Connection, addresses: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """The addresses among these that ports use; each as (subnet, address)."""
    wanted = set(addresses)
    query = sa.select(ALLOCATION.c.subnet_id, ALLOCATION.c.ip_address)
    rows = _rows(connection, query, ALLOCATION.c.ip_address, [address for _, address in wanted])
    return wanted.intersection((subnet, address) for subnet, address in rows)


def subnet_ids(connection: sa.Connection) -> list[str]:
    """The ids of all subnets, ordered by network."""
    query = sa.select(SUBNET.c.id).order_by(SUBNET.c.network_id, SUBNET.c.id)
    return [row[0] for row in connection.execute(query)]


def subnets(connection: sa.Connection, ids: Sequence[str]) -> dict[str, Declared]:
    """Subnets as Neutron declares them."""
    pools = _pools(connection, ids)
    types: dict[str, set[str]] = defaultdict(set)
    query = sa.select(SERVICE_TYPE.c.subnet_id, SERVICE_TYPE.c.service_type)
    for id, service_type in _rows(connection, query, SERVICE_TYPE.c.subnet_id, ids):
        types[id].add(service_type)
    found = {}
    for row in _rows(connection, sa.select(SUBNET), SUBNET.c.id, ids):
        fields = row._mapping
        segment = fields["segment_id"]
        gateway = fields["gateway_ip"]
        id, prefix = fields["id"], prefix_of(fields["cidr"])
        found[id] = Declared(
            name=id,
            prefix=prefix,
            network=fields["network_id"],
            scope=scope_of(id, fields["network_id"], fields["subnetpool_id"], prefix),
            gateway=None if not gateway else parse_address(gateway)[1],
            pools=tuple(sorted(pools[id])),
            project=fields["project_id"] or "",
            labels={
                "segment": frozenset((segment,)) if segment else frozenset(),
                "service_type": frozenset(types[id]),
            },
        )
    return found


def _pools(connection: sa.Connection, ids: Sequence[str]) -> dict[str, list[Interval]]:
    """Allocation pools by subnet; those of the reference driver where Neutron itself has none."""
    neutrons = sa.select(POOL.c.subnet_id, POOL.c.first_ip, POOL.c.last_ip)
    theirs = sa.select(
        THEIR_SUBNET.c.neutron_subnet_id, THEIR_POOL.c.first_ip, THEIR_POOL.c.last_ip
    ).join_from(THEIR_POOL, THEIR_SUBNET)
    found: dict[str, list[Interval]] = defaultdict(list)
    places = ((neutrons, POOL.c.subnet_id), (theirs, THEIR_SUBNET.c.neutron_subnet_id))
    for query, column in places:
        rest = [each for each in ids if each not in found]
        for id, first, last in _rows(connection, query, column, rest):
            found[id].append((parse_address(first)[1], parse_address(last)[1]))
    return found


def subnet(connection: sa.Connection, id: str) -> TableSubnet | None:
    """One subnet with its addresses; None when Neutron does not have it."""
    declared = subnets(connection, [id]).get(id)
    return None if declared is None else TableSubnet(declared, _addresses(connection, id))


def _addresses(connection: sa.Connection, subnet_id: str) -> list[PortAddress]:
    """The addresses of a subnet, ascending, each with its port."""
    active = sa.and_(BINDING.c.port_id == PORT.c.id, BINDING.c.status == constants.ACTIVE)
    ports = ALLOCATION.outerjoin(PORT, PORT.c.id == ALLOCATION.c.port_id).outerjoin(BINDING, active)
    facts = (ALLOCATION.c.port_id, BINDING.c.host, PORT.c.device_owner, PORT.c.project_id)
    query = sa.select(ALLOCATION.c.ip_address, *facts).select_from(ports)
    found = [
        PortAddress(parse_address(address)[1], PortInfo(*(each or "" for each in port)))
        for address, *port in connection.execute(query.where(ALLOCATION.c.subnet_id == subnet_id))
    ]
    return sorted(found, key=lambda each: each.address)


def prefix_of(cidr: Any) -> Prefix:
    """A CIDR of Neutron, without its host bits."""
    address, _, length = str(cidr).partition("/")
    family, number = parse_address(address)
    return enclosing(family, number, int(length))


def _rows(connection: sa.Connection, query: Any, column: Any, ids: Sequence[str]) -> Iterator[Any]:
    for start in range(0, len(ids), _BATCH):
        yield from connection.execute(query.where(column.in_(ids[start : start + _BATCH])))
