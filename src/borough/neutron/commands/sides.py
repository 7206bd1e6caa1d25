"""Borough's tables and the service as sides of a reconciliation."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

import sqlalchemy as sa

from borough.domain.encode import micros
from borough.domain.net.addresses import format_address, parse_address
from borough.domain.policy import allocate
from borough.domain.request import Kind
from borough.domain.space.allocations import AllocationRow, State
from borough.domain.space.filters import Filter
from borough.engine.allocation import Allocator, Ladders
from borough.engine.views import Allocation, SubnetView
from borough.errors import AddressInUse
from borough.neutron import tables
from borough.neutron.commands.database import Database, read_configuration
from borough.neutron.commands.reconcile import (
    Difference,
    HeldAddress,
    Side,
    SideSubnet,
    TableSide,
    compare,
)
from borough.neutron.requests import port_request
from borough.neutron.service.client import (
    AddressService,
    ServiceAddress,
    configured,
    differences,
    never,
)
from borough.neutron.session import subnets
from borough.neutron.session.backend import Backend, now
from borough.neutron.session.unit import SessionUnit
from borough.neutron.subnet import SOURCE
from borough.neutron.tables import PortAddress, TableSubnet
from borough.store.sql import schema as t


def configured_side(files: Sequence[str], database: Database) -> tuple[str, Side]:
    """The driver of Neutron's configuration, and the side with its addresses.

    :raises FixInput: the configuration cannot be read, or its URL is malformed.
    """
    conf = read_configuration(files)
    if conf.ipam_driver == "borough" or not conf.borough.url:
        return "borough", SessionSide(database)
    return "borough_remote", ServiceSide(database, configured(conf))


class SessionSide(TableSide[AllocationRow]):
    """Borough's tables in Neutron's database."""

    known = sa.select(t.subnet.c.name).where(t.subnet.c.source == SOURCE)

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._backend = Backend(database.engine)

    def _read(
        self, connection: sa.Connection, name: str, wanted: TableSubnet | None
    ) -> SideSubnet[AllocationRow] | None:
        unit = self._backend.unit(connection, (name,))
        subnet = unit.catalogue.by_name.get(name)
        if subnet is None:
            return None
        found = unit.allocations(Filter(subnet_id=subnet.id))
        held = [each for each in found if each.state is State.ALLOCATED]
        return SideSubnet(
            {each.address: HeldAddress(each.at, each) for each in held},
            differs=() if wanted is None else wanted.declared.differences(subnet),
            prefix=str(subnet.prefix),
        )

    def _mend(self, connection: sa.Connection, found: Difference[AllocationRow]) -> None:
        self._backend.change(connection, found.name, partial(_mend, found=found))


def _mend(unit: SessionUnit, found: Difference[AllocationRow]) -> None:
    at = now()
    if found.wanted is None:
        subnets.remove(unit, found.name, now=at)
    elif found.found is None:
        subnets.adopt(unit, found.wanted, now=at)
    else:
        subnets.change(unit, found.wanted.declared, now=at)
        if found.leaked:
            leaked = list(found.leaked.values())
            unit.commit(allocate.release(unit.catalogue, unit, leaked, at), at)
        for each in found.missing:
            _take(unit, found.name, each)


def _take(unit: SessionUnit, name: str, found: PortAddress) -> None:
    """Allocate the address of a port, unless it is allocated already."""
    subnet = unit.catalogue.by_name[name]
    request = port_request(Kind.SPECIFIC, found.port, claims=False, address=found.address)
    request = replace(request, scope=subnet.scope, families=(subnet.family,), tiers=((name,),))
    # Another transaction may have allocated it after the comparison.
    with suppress(AddressInUse):
        Allocator(now, Ladders()).allocate_in(unit, request)


class ServiceSide(Side):
    """The service.

    A comparison reads the service before Neutron's tables: an address that only the service holds is leaked,
    unless it is young. A release names the sequence number that was read.
    """

    def __init__(self, database: Database, service: AddressService) -> None:
        self._database = database
        self._service = service
        self._views: dict[str, SubnetView] = {}

    def names(self) -> set[str]:
        self._views = self._service.subnets()
        return set(self._views)

    def examine(self, name: str, *, oldest: int, write: bool) -> Difference[Allocation]:
        # The subnet may have been added after the names were read.
        view = self._views.get(name) or self._service.subnet(name)
        held = [] if view is None else self._service.allocations(name)
        wanted = self._database.transact(lambda connection: tables.subnet(connection, name))
        found = compare(name, wanted, _side_subnet(view, held, wanted), oldest=oldest)
        if found.found is not None:
            # Ports may have been added after the service was read.
            missing = [each for each in found.missing if not self._is_held(found, each)]
            found = replace(found, missing=missing)
        if write and not found.agrees:
            self._mend(found)
        return found

    def _is_held(self, found: Difference[Allocation], each: PortAddress) -> bool:
        assert found.wanted is not None
        declared = found.wanted.declared
        address = format_address(declared.prefix.family, each.address)
        return self._service.holder(declared.scope, declared.name, address) is not None

    def _mend(self, found: Difference[Allocation]) -> None:
        if found.wanted is None:
            self._service.forget(found.name)
        elif found.found is None:
            self._service.adopt(found.wanted)
        else:
            subnet = found.wanted.declared.stored()
            if found.differs:
                self._service.declare(subnet)
            for each in found.missing:
                self._service.take(subnet, each)
            for held in found.leaked.values():
                self._service.release(ServiceAddress.of(held))


def _side_subnet(
    view: SubnetView | None, held: list[Allocation], wanted: TableSubnet | None
) -> SideSubnet[Allocation] | None:
    if view is None:
        return None
    subnet = None if wanted is None else wanted.declared.stored()
    return SideSubnet(
        {
            parse_address(each.address)[1]: HeldAddress(micros(each.allocated_at), each)
            for each in held
        },
        differs=() if subnet is None else differences(subnet, view),
        never=() if subnet is None else never(subnet.prefix),
        prefix=view.prefix,
    )
