"""``ipam_driver = borough``: Neutron's IPAM interface on the engine, in Neutron's own transaction.

Most allocations are one statement, whatever the number of subnets and of allocated addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from neutron_lib import exceptions as n_exc
from neutron_lib.db.api import CONTEXT_READER, CONTEXT_WRITER
from oslo_db import exception as db_exc
from oslo_log import log as logging

from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import format_address, parse_address
from borough.domain.space.filters import Filter
from borough.errors import UnknownObject
from borough.neutron import tables
from borough.neutron.driver import AddressSpace, NeutronPool
from borough.neutron.errors import AddressSpaceNotReady, refusals
from borough.neutron.requests import engine_request
from borough.neutron.session import subnets
from borough.neutron.session.backend import Backend, backend_of, now
from borough.neutron.session.unit import SessionUnit
from borough.neutron.subnet import Declared

LOG: Final = logging.getLogger(__name__)

T = TypeVar("T")


class SessionSpace(AddressSpace):
    """Address space in Neutron's own database."""

    def __init__(self, context: Any) -> None:
        self._context = context

    @contextmanager
    def _transaction(self, kind: Any) -> Iterator[tuple[Backend, sa.Connection]]:
        with _translated(), kind.using(self._context):
            connection = self._context.session.connection()
            yield backend_of(connection), connection

    # --- Subnets --------------------------------------------------------------------------------

    def subnet(self, name: str, *, fresh: bool = False) -> Subnet:
        with self._transaction(CONTEXT_READER) as (backend, connection):
            if fresh:
                backend.refresh(connection, (name,))
            group = backend.group(connection, (name,))
            if group is not None:
                return group.catalogue.by_name[name]
            is_there = bool(tables.spots(connection, [name]))
        if not is_there:
            raise n_exc.SubnetNotFound(subnet_id=name)
        with self._transaction(CONTEXT_WRITER) as (backend, connection):
            LOG.info("Borough did not have subnet %s; adopting it from Neutron's tables", name)
            found = tables.subnet(connection, name)
            if found is not None:
                backend.change(connection, name, partial(subnets.adopt, found=found, now=now()))
            group = backend.group(connection, (name,))
            if group is None:
                raise n_exc.SubnetNotFound(subnet_id=name)
            return group.catalogue.by_name[name]

    def scopes(self, names: Sequence[str]) -> list[str]:
        with self._transaction(CONTEXT_READER) as (backend, connection):
            group = backend.group(connection, names)
        known = {} if group is None else group.catalogue.by_name
        return [(known.get(name) or self.subnet(name)).scope for name in names]

    def add(self, wanted: Declared) -> Subnet:
        return self._change(wanted.name, lambda unit: subnets.add(unit, wanted, now=now()))

    def alter(self, wanted: Declared) -> None:
        self._change(wanted.name, lambda unit: subnets.change(unit, wanted, now=now()))

    def remove(self, name: str) -> bool:
        return self._change(name, lambda unit: subnets.remove(unit, name, now=now()))

    def _change(self, name: str, work: Callable[[SessionUnit], T]) -> T:
        with self._transaction(CONTEXT_WRITER) as (backend, connection):
            return backend.change(connection, name, work)

    # --- Addresses ------------------------------------------------------------------------------

    def allocate(self, names: Sequence[str], request: Any) -> list[tuple[str, str]]:
        with refusals(names[0]), self._transaction(CONTEXT_WRITER) as (backend, connection):
            made = backend.allocate(connection, names, engine_request(request))
            return [(each.address, each.subnet) for each in made]

    def release(self, name: str, address: str) -> bool:
        family, number = parse_address(address)
        with self._transaction(CONTEXT_WRITER) as (backend, connection):
            return backend.release(connection, name, family, number)

    def addresses(self, name: str) -> list[str]:
        with self._transaction(CONTEXT_READER) as (backend, connection):
            unit = backend.unit(connection, (name,))
            found = unit.allocations(Filter(subnet_id=unit.catalogue.by_name[name].id))
        found.sort(key=lambda each: each.address)
        return [format_address(each.family, each.address) for each in found]


@contextmanager
def _translated() -> Iterator[None]:
    """Raise errors about the tables as Neutron's errors, with the remedy."""
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


class BoroughPool(NeutronPool):
    """The driver ``borough``."""

    space_type = SessionSpace

    def needs_rollback(self) -> bool:
        # The transaction undoes everything.
        return False
