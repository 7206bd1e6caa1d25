"""``ipam_driver = borough_remote``: Neutron's IPAM interface on the HTTP service.

Neutron declares subnets, and its tables are read for them; the service keeps the addresses. An address
request is one HTTP request, whatever the number of subnets. When Neutron's transaction is rolled back,
:mod:`borough.neutron.service.compensation` undoes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from neutron.ipam import exceptions as ipam_exc
from neutron_lib import exceptions as n_exc
from neutron_lib.db import api as db_api
from oslo_config import cfg
from oslo_log import log as logging

from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import format_address, parse_address
from borough.domain.request import Kind
from borough.errors import BoroughError, Overlap, RetryLater, UnknownObject
from borough.neutron import tables
from borough.neutron.driver import AddressSpace, NeutronPool
from borough.neutron.errors import AddressServiceUnavailable, refusals
from borough.neutron.requests import WantedAddress
from borough.neutron.service.client import AddressService, ServiceAddress, configured, never
from borough.neutron.service.compensation import Compensation, SessionAct
from borough.neutron.subnet import Declared, NeutronSubnet
from borough.neutron.tables import Spot

LOG: Final = logging.getLogger(__name__)

T = TypeVar("T")


class RemoteSpace(AddressSpace):
    """See :class:`borough.neutron.driver.AddressSpace`; the addresses are at the service."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._spots: dict[str, Spot] = {}

    @contextmanager
    def _writing(self) -> Iterator[tuple[AddressService, Compensation, sa.Connection]]:
        with _translated(), db_api.CONTEXT_WRITER.using(self._context):
            service = configured(cfg.CONF)
            session = self._context.session
            yield service, Compensation.of(session, service), session.connection()

    # --- Subnets --------------------------------------------------------------------------------

    def add(self, wanted: Declared) -> Subnet:
        """Declare a subnet at the service."""
        with self._writing() as (service, done, connection):
            known = tables.spots(connection, [wanted.name]).get(wanted.name)
            scope = tables.scope_of(wanted.name, wanted.network, None, wanted.prefix)
            subnet = replace(wanted, scope=known.scope if known else scope).stored()
            done.note(SessionAct.DECLARE, wanted.name)
            service.declare(subnet)
        self._spots.pop(wanted.name, None)
        return subnet

    def alter(self, wanted: Declared) -> None:
        """Declare a subnet anew; Neutron has changed its own tables already."""
        with self._writing() as (service, done, connection):
            before = _declared(connection, wanted.name).stored()
            done.note(SessionAct.DECLARE, wanted.name)
            service.declare(wanted.stored(before))
        self._spots.pop(wanted.name, None)

    def remove(self, name: str) -> bool:
        """Remove a subnet with all that it holds, when the transaction is committed."""
        with self._writing() as (_, done, _):
            done.note(SessionAct.REMOVE, name)
        return True

    def subnet(self, name: str, *, fresh: bool = False) -> NeutronSubnet:
        """A subnet as Neutron's tables have it; ``fresh`` or not, they are read."""
        del fresh
        if not self._context.session.is_active:
            # Neutron undoes its acts in a transaction that is lost; the compensation does so when it ends.
            # Any other error than this one would hide from Neutron that the request can be tried again.
            raise n_exc.SubnetNotFound(subnet_id=name)
        with db_api.CONTEXT_READER.using(self._context):
            found = _declared(self._context.session.connection(), name).stored()
        # What is asked of it next need not read it again.
        self._spots[name] = Spot(found.scope, found.prefix, found.is_typed)
        return found

    def by_scope(self, names: Sequence[str]) -> list[list[str]]:
        """Subnets in the order given, those of one scope together: nearly always all of them."""
        with db_api.CONTEXT_READER.using(self._context):
            self._look_up(self._context.session.connection(), names)
        scopes = groupby(names, key=lambda name: self._spots[name].scope)
        return [list(some) for _, some in scopes]

    def _look_up(self, connection: sa.Connection, names: Sequence[str]) -> None:
        unknown = [name for name in names if name not in self._spots]
        if unknown:
            self._spots |= tables.spots(connection, unknown)
        for name in unknown:
            _one(self._spots, name)

    # --- Addresses ------------------------------------------------------------------------------

    def allocate(self, names: Sequence[str], request: Any) -> list[tuple[str, str]]:
        """Allocate what a request asks for out of a group of subnets in one scope."""
        wanted = WantedAddress.of(request)
        with self._writing() as (service, done, connection):
            self._look_up(connection, names)
            spot = self._spots[names[0]]
            if wanted.kind is Kind.SPECIFIC:
                assert wanted.address is not None
                address = format_address(spot.prefix.family, wanted.address)
                if _is_anycast(spot, wanted.address):
                    return [self._leave_to_neutron(connection, names[0], address)]
                last = done.last(spot.scope, address)
                if last is not None and last.act is SessionAct.DROP:
                    # Neutron undoes its release of the address.
                    done.note(SessionAct.KEEP, last.of)
                    return [(address, names[0])]
            with refusals(names[0]):
                made = self._ask(service, connection, names, wanted)
            for held in made:
                done.note(SessionAct.TAKE, held)
            return [(held.address, held.subnet) for held in made]

    def _ask(
        self,
        service: AddressService,
        connection: sa.Connection,
        names: Sequence[str],
        wanted: WantedAddress,
    ) -> list[ServiceAddress]:
        spot = self._spots[names[0]]
        alike = groupby(names, key=lambda name: self._spots[name].is_typed)
        tiers = [list(some) for _, some in alike]
        try:
            return service.allocate(spot.scope, spot.prefix.family, tiers, wanted)
        except UnknownObject:
            LOG.info("The address service does not know all of %s; taking them over", names)
            for name in names:
                if service.subnet(name) is None:
                    found = tables.subnet(connection, name)
                    if found is not None:
                        service.adopt(found)
            return service.allocate(spot.scope, spot.prefix.family, tiers, wanted)

    def _leave_to_neutron(
        self, connection: sa.Connection, name: str, address: str
    ) -> tuple[str, str]:
        """An address that no service allocates; Neutron's own table keeps it from being allocated twice."""
        if tables.in_use(connection, [(name, address)]):
            raise ipam_exc.IpAddressAlreadyAllocated(subnet_id=name, ip=address)
        return address, name

    def release(self, name: str, address: str) -> bool:
        """Release an address when the transaction is committed; false when nobody holds it."""
        address = format_address(*parse_address(address))
        with self._writing() as (service, done, connection):
            self._look_up(connection, [name])
            scope = self._spots[name].scope
            last = done.last(scope, address)
            held = last.of if last is not None else service.holder(scope, name, address)
            if held is None:
                return False
            done.note(SessionAct.DROP, held)
            return True

    def addresses(self, name: str) -> list[str]:
        """The allocated addresses of a subnet, ascending."""
        with _translated():
            found = configured(cfg.CONF).allocations(name)
        return sorted((each.address for each in found), key=parse_address)


def _one(found: Mapping[str, T], name: str) -> T:
    if name not in found:
        raise n_exc.SubnetNotFound(subnet_id=name)
    return found[name]


def _declared(connection: sa.Connection, name: str) -> Declared:
    return _one(tables.subnets(connection, [name]), name)


def _is_anycast(spot: Spot, address: int) -> bool:
    """Whether it is the subnet-router anycast address (RFC 4291, 2.6.1), which routers get from Neutron."""
    return spot.prefix.family == 6 and address in never(spot.prefix)


@contextmanager
def _translated() -> Iterator[None]:
    """Failures at the service, as Neutron's errors."""
    try:
        yield
    except Overlap as error:
        # What Neutron says of it by itself, only that the driver is asked first.
        raise n_exc.InvalidInput(error_message=error.message) from error
    except BoroughError as error:
        tell = LOG.warning if isinstance(error, RetryLater) else LOG.error
        tell("The address service: %s", error.message)
        raise AddressServiceUnavailable(reason=error.message) from error


class RemotePool(NeutronPool):
    """See :class:`neutron.ipam.driver.Pool`."""

    space_type = RemoteSpace

    def needs_rollback(self) -> bool:
        """Whether Neutron must undo by itself what it takes back: the service knows no transaction."""
        return True
