"""One request's way to the engine: Neutron's context on one side, Neutron's errors on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from neutron_lib import exceptions as n_exc
from neutron_lib.db import api as db_api
from oslo_db import exception as db_exc
from oslo_log import log as logging

from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import format_address, parse_address
from borough.domain.space.filters import Filter
from borough.errors import UnknownObject
from borough.neutron import tables
from borough.neutron.driver import AddressSpace
from borough.neutron.errors import AddressSpaceNotReady, refusals
from borough.neutron.requests import WantedAddress
from borough.neutron.session import subnets
from borough.neutron.session.backend import Backend, backend_of, now
from borough.neutron.session.unit import SessionUnit
from borough.neutron.subnet import Declared

LOG: Final = logging.getLogger(__name__)

T = TypeVar("T")


class SessionSpace(AddressSpace):
    """See :class:`borough.neutron.driver.AddressSpace`; the addresses are in Neutron's own database."""

    def __init__(self, context: Any) -> None:
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
        """A subnet, taken over from Neutron's tables when Borough does not know it yet."""
        with self._reading() as (backend, connection):
            if fresh:
                backend.refresh(connection, (name,))
            group = backend.group(connection, (name,))
            if group is not None:
                return group.catalogue.by_name[name]
            is_there = bool(tables.spots(connection, [name]))
        if not is_there:
            raise n_exc.SubnetNotFound(subnet_id=name)
        with self._writing() as (backend, connection):
            LOG.info("Subnet %s was not known to Borough; taking it over from Neutron", name)
            found = tables.subnet(connection, name)
            if found is not None:
                backend.change(connection, name, partial(subnets.adopt, found=found, now=now()))
            group = backend.group(connection, (name,))
            if group is None:
                raise n_exc.SubnetNotFound(subnet_id=name)
            return group.catalogue.by_name[name]

    def by_scope(self, names: Sequence[str]) -> list[list[str]]:
        """Subnets in the order given, those of one scope together."""
        with self._reading() as (backend, connection):
            group = backend.group(connection, names)
        if group is not None and len(group.catalogue.scopes) == 1:
            return [list(names)]
        scopes = {name: self.subnet(name).scope for name in names}
        return [list(some) for _, some in groupby(names, key=lambda name: scopes[name])]

    def add(self, wanted: Declared) -> Subnet:
        """Add a subnet, or change one that is there to what is declared."""
        return self._change(wanted.name, lambda unit: subnets.add(unit, wanted, now=now()))

    def alter(self, wanted: Declared) -> None:
        """Change a subnet to what is declared."""
        self._change(wanted.name, lambda unit: subnets.change(unit, wanted, now=now()))

    def remove(self, name: str) -> bool:
        """Remove a subnet with all that it holds; false when there is none."""
        return self._change(name, lambda unit: subnets.remove(unit, name, now=now()))

    def _change(self, name: str, work: Callable[[SessionUnit], T]) -> T:
        with self._writing() as (backend, connection):
            return backend.change(connection, name, work)

    # --- Addresses ------------------------------------------------------------------------------

    def allocate(self, names: Sequence[str], request: Any) -> list[tuple[str, str]]:
        """Allocate what a request asks for out of a group of subnets in one scope."""
        wanted = WantedAddress.of(request)
        with refusals(names[0]), self._writing() as (backend, connection):
            made = backend.allocate(connection, names, wanted)
            return [(each.address, each.subnet) for each in made]

    def release(self, name: str, address: str) -> bool:
        """Release an address; false when nobody holds it."""
        family, number = parse_address(address)
        with self._writing() as (backend, connection):
            return backend.release(connection, name, family, number)

    def addresses(self, name: str) -> list[str]:
        """The allocated addresses of a subnet, ascending."""
        with self._reading() as (backend, connection):
            unit = backend.unit(connection, (name,))
            subnet = unit.catalogue.by_name[name]
            found = unit.allocations(Filter(subnet_id=subnet.id))
        found.sort(key=lambda each: each.address)
        return [format_address(each.family, each.address) for each in found]


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
