"""``ipam_driver = borough_remote``: Neutron's IPAM interface on the HTTP service.

The driver reads the subnets from Neutron's tables; the service keeps the addresses. An address request is one
HTTP request, whatever the number of subnets. When Neutron's transaction is rolled back,
:mod:`borough.neutron.service.compensation` undoes the acts at the service.
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
from borough.domain.request import Kind, Request
from borough.errors import BoroughError, Overlap, RetryLater, UnknownObject
from borough.neutron import tables
from borough.neutron.driver import AddressSpace, NeutronPool
from borough.neutron.errors import AddressServiceUnavailable, refusals
from borough.neutron.requests import engine_request
from borough.neutron.service.client import AddressService, ServiceAddress, configured, never
from borough.neutron.service.compensation import Compensation, SessionAct
from borough.neutron.subnet import Declared, NeutronSubnet
from borough.neutron.tables import Spot

LOG: Final = logging.getLogger(__name__)

T = TypeVar("T")


class RemoteSpace(AddressSpace):
    """Address space at the service."""

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
        with self._writing() as (service, done, connection):
            known = tables.spots(connection, [wanted.name]).get(wanted.name)
            scope = tables.scope_of(wanted.name, wanted.network, None, wanted.prefix)
            subnet = replace(wanted, scope=known.scope if known else scope).stored()
            done.note(SessionAct.DECLARE, wanted.name)
            service.declare(subnet)
        self._spots.pop(wanted.name, None)
        return subnet

    def alter(self, wanted: Declared) -> None:
        with self._writing() as (service, done, connection):
            # Neutron has changed its own tables already.
            before = _declared(connection, wanted.name).stored()
            done.note(SessionAct.DECLARE, wanted.name)
            service.declare(wanted.stored(before))
        self._spots.pop(wanted.name, None)

    def remove(self, name: str) -> bool:
        with self._writing() as (_, done, _):
            # The service removes it after the commit.
            done.note(SessionAct.REMOVE, name)
        return True

    def subnet(self, name: str, *, fresh: bool = False) -> NeutronSubnet:
        del fresh  # Neutron's tables are read each time
        if not self._context.session.is_active:
            # Neutron undoes its acts in a failed transaction; the compensation does so at the end of it.
            # Any other error would hide from Neutron that the request can be repeated.
            raise n_exc.SubnetNotFound(subnet_id=name)
        with db_api.CONTEXT_READER.using(self._context):
            found = _declared(self._context.session.connection(), name).stored()
        # The next request for it need not read it again.
        self._spots[name] = Spot(found.scope, found.prefix, found.is_typed)
        return found

    def scopes(self, names: Sequence[str]) -> list[str]:
        with db_api.CONTEXT_READER.using(self._context):
            self._look_up(self._context.session.connection(), names)
        return [self._spots[name].scope for name in names]

    def _look_up(self, connection: sa.Connection, names: Sequence[str]) -> None:
        unknown = [name for name in names if name not in self._spots]
        if unknown:
            self._spots |= tables.spots(connection, unknown)
        for name in unknown:
            _one(self._spots, name)

    # --- Addresses ------------------------------------------------------------------------------

    def allocate(self, names: Sequence[str], request: Any) -> list[tuple[str, str]]:
        wanted = engine_request(request)
        with self._writing() as (service, done, connection):
            self._look_up(connection, names)
            spot = self._spots[names[0]]
            family = spot.prefix.family
            wanted = replace(wanted, scope=spot.scope, families=(family,), tiers=self._tiers(names))
            if wanted.kind is Kind.SPECIFIC:
                assert wanted.address is not None
                address = format_address(family, wanted.address)
                if _is_anycast(spot, wanted.address):
                    # The service does not allocate it; Neutron's own table prevents a second use.
                    if tables.in_use(connection, [(names[0], address)]):
                        raise ipam_exc.IpAddressAlreadyAllocated(subnet_id=names[0], ip=address)
                    return [(address, names[0])]
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
        wanted: Request,
    ) -> list[ServiceAddress]:
        try:
            return service.allocate(wanted)
        except UnknownObject:
            LOG.info(
                "The address service lacks some of %s; adopting them from Neutron's tables", names
            )
            for name in names:
                if service.subnet(name) is None:
                    found = tables.subnet(connection, name)
                    if found is not None:
                        service.adopt(found)
            return service.allocate(wanted)

    def _tiers(self, names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Neutron's order of preference: subnets with service types first."""
        tiers = groupby(names, key=lambda name: self._spots[name].is_typed)
        return tuple(tuple(tier) for _, tier in tiers)

    def release(self, name: str, address: str) -> bool:
        address = format_address(*parse_address(address))
        with self._writing() as (service, done, connection):
            self._look_up(connection, [name])
            scope = self._spots[name].scope
            last = done.last(scope, address)
            held = last.of if last is not None else service.holder(scope, name, address)
            if held is None:
                return False
            # The service releases it after the commit.
            done.note(SessionAct.DROP, held)
            return True

    def addresses(self, name: str) -> list[str]:
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
    """True for the subnet-router anycast address (RFC 4291, 2.6.1), which Neutron assigns to routers."""
    return spot.prefix.family == 6 and address in never(spot.prefix)


@contextmanager
def _translated() -> Iterator[None]:
    """Raise failures at the service as Neutron's errors."""
    try:
        yield
    except Overlap as error:
        # Neutron raises the same error, but calls the driver before its own check.
        raise n_exc.InvalidInput(error_message=error.message) from error
    except BoroughError as error:
        log = LOG.warning if isinstance(error, RetryLater) else LOG.error
        log("The address service: %s", error.message)
        raise AddressServiceUnavailable(reason=error.message) from error


class RemotePool(NeutronPool):
    """The driver ``borough_remote``."""

    space_type = RemoteSpace

    def needs_rollback(self) -> bool:
        # The service takes no part in Neutron's transaction.
        return True
