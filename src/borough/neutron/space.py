"""One request's way to the engine: Neutron's context on one side, Neutron's errors on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from neutron.ipam import requests as ipam_req
from neutron_lib import exceptions as n_exc
from neutron_lib.db import api as db_api
from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_log import log as logging

from borough.domain.address import format_address, parse_address
from borough.domain.model import Kind, Subnet
from borough.domain.query import Filter
from borough.errors import UnknownObject
from borough.neutron import subnets, truth
from borough.neutron.adopt import adopt_one
from borough.neutron.backend import Backend, Wanted, backend_of, now
from borough.neutron.errors import AddressSpaceNotReady, refusals
from borough.neutron.requests import place_in
from borough.neutron.subnets import Declared
from borough.neutron.unit import SessionUnit

LOG: Final = logging.getLogger(__name__)

T = TypeVar("T")


class Space:
    """Address space as one request of Neutron sees and changes it."""

    def __init__(self, context: Any) -> None:
        """Work in the transaction of a context, or in one of its own when it has none."""
        self._context = context

    @contextmanager
    def _writing(self) -> Iterator[tuple[Backend, sa.Connection]]:
        with _told_apart(), db_api.CONTEXT_WRITER.using(self._context):
            connection = self._context.session.connection()
            yield backend_of(connection), connection

    @contextmanager
    def _reading(self) -> Iterator[tuple[Backend, sa.Connection]]:
        with _told_apart(), db_api.CONTEXT_READER.using(self._context):
            connection = self._context.session.connection()
            yield backend_of(connection), connection

    # --- Subnets --------------------------------------------------------------------------------

    def subnet(self, name: str, *, fresh: bool = False) -> Subnet:
        """A subnet, taken over from Neutron's tables when Borough does not know it yet.

        :param fresh: as it is in this transaction, whatever is remembered.
        :raises SubnetNotFound: Neutron does not have it either.
        """
        with self._reading() as (backend, connection):
            if fresh:
                backend.refresh(connection, (name,))
            group = backend.group(connection, (name,))
            if group is not None:
                return group.catalogue.by_name[name]
            is_there = bool(truth.subnets(connection, [name]))
        if not is_there:
            raise n_exc.SubnetNotFound(subnet_id=name)
        with self._writing() as (backend, connection):
            LOG.info("Subnet %s was not known to Borough; taking it over from Neutron", name)
            adopt_one(backend, connection, name)
            group = backend.group(connection, (name,))
            if group is None:
                raise n_exc.SubnetNotFound(subnet_id=name)
            return group.catalogue.by_name[name]

    def by_scope(self, names: Sequence[str]) -> list[list[str]]:
        """Subnets in the order given, those of one scope together: nearly always all of them.

        :raises SubnetNotFound: one of them does not exist.
        """
        with self._reading() as (backend, connection):
            group = backend.group(connection, names)
        if group is not None and len(group.catalogue.scopes) == 1:
            return [list(names)]
        scopes = {name: self.subnet(name).scope for name in names}
        return [list(some) for _, some in groupby(names, key=lambda name: scopes[name])]

    def add(self, wanted: Declared) -> Subnet:
        """Add a subnet, or make one that is there be so."""
        return self._change(wanted.name, lambda unit: subnets.add(unit, wanted, now=now()))

    def alter(self, wanted: Declared) -> None:
        """Make a subnet be as Neutron says now."""
        self._change(wanted.name, lambda unit: subnets.change(unit, wanted, now=now()))

    def remove(self, name: str) -> bool:
        """Remove a subnet and all that it holds; false when there is none."""
        return self._change(name, lambda unit: subnets.remove(unit, name, now=now()))

    def _change(self, name: str, work: Callable[[SessionUnit], T]) -> T:
        with self._writing() as (backend, connection):
            answer = backend.run(connection, (name,), work)
            backend.forget(name)
            return answer

    # --- Addresses ------------------------------------------------------------------------------

    def give(self, names: Sequence[str], request: Any) -> list[tuple[str, str]]:
        """Give what a request asks for out of a group, in one scope.

        :return: addresses, each with its subnet.
        :raises IpAddressGenerationFailureAllSubnets: nothing is free.
        :raises IpAddressAlreadyAllocated: the address asked for is held.
        :raises InvalidIpForSubnet: nobody can hold it.
        """
        wanted = wanted_by(request)
        with refusals(names[0]), self._writing() as (backend, connection):
            given = backend.allocate(connection, names, wanted)
            return [(each.address, each.subnet) for each in given]

    def release(self, name: str, address: str) -> bool:
        """Take an address back; false when nobody held it."""
        family, number = parse_address(address)
        with self._writing() as (backend, connection):
            return backend.release(connection, name, family, number)

    def addresses(self, name: str) -> list[str]:
        """The addresses that a subnet has given, ascending."""
        with self._reading() as (backend, connection):
            unit = backend.unit(connection, (name,))
            subnet = unit.catalogue.by_name[name]
            found = unit.allocations(Filter(subnet_id=subnet.id))
        return [
            format_address(each.family, each.address) for each in sorted(found, key=_by_address)
        ]


def _by_address(allocation: Any) -> int:
    address: int = allocation.address
    return address


@contextmanager
def _told_apart() -> Iterator[None]:
    """What is wrong with the tables, in words that say what to do."""
    try:
        yield
    except db_exc.DBNonExistentTable as error:
        if "borough_" not in str(error):
            raise
        raise AddressSpaceNotReady(
            reason="run borough neutron upgrade --config-file /etc/neutron/neutron.conf"
        ) from error
    except UnknownObject as error:
        raise n_exc.SubnetNotFound(subnet_id=error.detail["name"]) from error


def wanted_by(request: Any) -> Wanted:
    """What a request of Neutron's asks for."""
    place = place_in(request)
    claims = bool(cfg.CONF.borough.host_affinity)
    if isinstance(request, ipam_req.SpecificAddressRequest):
        # Automatic addresses too: Neutron's request has computed them.
        _, number = parse_address(str(request.address))
        return Wanted(Kind.SPECIFIC, place, claims, address=number)
    if isinstance(request, ipam_req.PreferNextAddressRequest):
        # Services of the network itself want the lowest address, whoever's block it lies in.
        return Wanted(Kind.NEXT, place, claims=False)
    if isinstance(request, ipam_req.RouterGatewayAddressRequest):
        return Wanted(Kind.GATEWAY, place, claims=False)
    if isinstance(request, ipam_req.BulkAddressRequest):
        return Wanted(Kind.ANY, place, claims, how_many=request.num_addresses)
    return Wanted(Kind.ANY, place, claims)
