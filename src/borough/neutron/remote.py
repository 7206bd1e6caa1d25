"""``ipam_driver = borough_remote``: Neutron's IPAM interface on the HTTP service.

What is declared of a subnet is Neutron's own, and read from its tables; the service keeps the addresses. An
address request is one HTTP request, whatever the number of subnets. See :mod:`borough.neutron.ledger` for
what becomes of it when Neutron's transaction ends.
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

from borough.domain.address import format_address, parse_address
from borough.domain.model import Kind, Subnet
from borough.errors import BoroughError, Overlap, RetryLater, UnknownObject
from borough.neutron import truth
from borough.neutron.adopt_remote import adopt_one
from borough.neutron.backend import Wanted
from borough.neutron.catalogue import NeutronSubnet
from borough.neutron.driver import BoroughPool
from borough.neutron.errors import AddressServiceUnavailable, refusals
from borough.neutron.ledger import Act, Ledger
from borough.neutron.service import Held, Service, configured, never
from borough.neutron.space import wanted_by
from borough.neutron.subnets import Declared
from borough.neutron.truth import Spot

LOG: Final = logging.getLogger(__name__)

T = TypeVar("T")


class RemotePool(BoroughPool):
    """See :class:`neutron.ipam.driver.Pool`."""

    def __init__(self, subnetpool: Any, context: Any) -> None:
        super().__init__(subnetpool, context)
        self.space = RemoteSpace(context)

    def needs_rollback(self) -> bool:
        """Whether Neutron must undo by itself what it takes back: the service knows no transaction."""
        return True


class RemoteSpace:
    """Address space at the service as one request of Neutron sees and changes it.

    See :class:`borough.neutron.space.Space` for the methods.
    """

    def __init__(self, context: Any) -> None:
        """Work in the transaction of a context, or in one of its own when it has none."""
        self._context = context
        self._spots: dict[str, Spot] = {}

    @contextmanager
    def _writing(self) -> Iterator[tuple[Service, Ledger, sa.Connection]]:
        with _translated(), db_api.CONTEXT_WRITER.using(self._context):
            service = configured(cfg.CONF)
            session = self._context.session
            yield service, Ledger.of(session, service), session.connection()

    # --- Subnets --------------------------------------------------------------------------------

    def add(self, wanted: Declared) -> Subnet:
        """Declare a subnet at the service."""
        subnet = wanted.settle()
        scope = truth.scope_of(wanted.name, wanted.network, None, wanted.prefix)
        with self._writing() as (service, ledger, connection):
            known = truth.spots(connection, [wanted.name]).get(wanted.name)
            subnet = replace(subnet, scope=scope if known is None else known.scope)
            ledger.note(Act.DECLARE, wanted.name)
            service.declare(subnet)
        self._spots.pop(wanted.name, None)
        return subnet

    def alter(self, wanted: Declared) -> None:
        """Declare a subnet anew; Neutron has changed its own tables already."""
        with self._writing() as (service, ledger, connection):
            before = _one(truth.placed(connection, [wanted.name]), wanted.name)
            ledger.note(Act.DECLARE, wanted.name)
            service.declare(wanted.settle(before))
        self._spots.pop(wanted.name, None)

    def remove(self, name: str) -> bool:
        """Remove a subnet with all that it holds, when the transaction is committed."""
        with self._writing() as (_, ledger, _):
            ledger.note(Act.REMOVE, name)
        return True

    def subnet(self, name: str, *, fresh: bool = False) -> NeutronSubnet:
        """A subnet as Neutron's tables have it; ``fresh`` or not, they are read."""
        del fresh
        if not self._context.session.is_active:
            # Neutron undoes what it did in a transaction that is lost: the ledger does so when it ends, and
            # whatever is raised here but this would hide from Neutron that the request can be tried again.
            raise n_exc.SubnetNotFound(subnet_id=name)
        with db_api.CONTEXT_READER.using(self._context):
            found = _one(truth.placed(self._context.session.connection(), [name]), name)
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
            self._spots |= truth.spots(connection, unknown)
        for name in unknown:
            _one(self._spots, name)

    # --- Addresses ------------------------------------------------------------------------------

    def give(self, names: Sequence[str], request: Any) -> list[tuple[str, str]]:
        """Give what a request asks for out of a group, in one scope."""
        wanted = wanted_by(request)
        with self._writing() as (service, ledger, connection):
            self._look_up(connection, names)
            spot = self._spots[names[0]]
            if wanted.kind is Kind.SPECIFIC:
                assert wanted.address is not None
                address = format_address(spot.prefix.family, wanted.address)
                if _is_anycast(spot, wanted.address):
                    return [self._leave_to_neutron(connection, names[0], address)]
                last = ledger.last(spot.scope, address)
                if last is not None and last.act is Act.DROP:
                    # Neutron takes back that it gave the address back.
                    ledger.note(Act.KEEP, last.of)
                    return [(address, names[0])]
            with refusals(names[0]):
                given = self._ask(service, connection, names, wanted)
            for held in given:
                ledger.note(Act.TAKE, held)
            return [(held.address, held.subnet) for held in given]

    def _ask(
        self, service: Service, connection: sa.Connection, names: Sequence[str], wanted: Wanted
    ) -> list[Held]:
        spot = self._spots[names[0]]
        alike = groupby(names, key=lambda name: self._spots[name].is_typed)
        tiers = [list(some) for _, some in alike]
        try:
            return service.give(spot.scope, spot.prefix.family, tiers, wanted)
        except UnknownObject:
            LOG.info("The address service does not know all of %s; taking them over", names)
            for name in names:
                if service.subnet(name) is None:
                    adopt_one(service, connection, name)
            return service.give(spot.scope, spot.prefix.family, tiers, wanted)

    def _leave_to_neutron(
        self, connection: sa.Connection, name: str, address: str
    ) -> tuple[str, str]:
        """An address that no service gives; Neutron's own table keeps it from being given twice."""
        if truth.in_use(connection, [(name, address)]):
            raise ipam_exc.IpAddressAlreadyAllocated(subnet_id=name, ip=address)
        return address, name

    def release(self, name: str, address: str) -> bool:
        """Take an address back, when the transaction is committed; false when nobody holds it."""
        address = format_address(*parse_address(address))
        with self._writing() as (service, ledger, connection):
            self._look_up(connection, [name])
            scope = self._spots[name].scope
            last = ledger.last(scope, address)
            held = last.of if last is not None else service.holder(scope, name, address)
            if held is None:
                return False
            ledger.note(Act.DROP, held)
            return True

    def addresses(self, name: str) -> list[str]:
        """The addresses that a subnet has given, ascending."""
        with _translated():
            found = configured(cfg.CONF).allocations(name)
        return sorted((each.address for each in found), key=parse_address)


def _one(found: Mapping[str, T], name: str) -> T:
    if name not in found:
        raise n_exc.SubnetNotFound(subnet_id=name)
    return found[name]


def _is_anycast(spot: Spot, address: int) -> bool:
    """Whether it is the subnet-router anycast address (RFC 4291, 2.6.1), which Neutron gives to routers."""
    return spot.prefix.family == 6 and address in never(spot.prefix)


@contextmanager
def _translated() -> Iterator[None]:
    """What is wrong at the service, as Neutron's errors."""
    try:
        yield
    except Overlap as error:
        # What Neutron says of it by itself, only that the driver is asked first.
        raise n_exc.InvalidInput(error_message=error.message) from error
    except BoroughError as error:
        tell = LOG.warning if isinstance(error, RetryLater) else LOG.error
        tell("The address service: %s", error.message)
        raise AddressServiceUnavailable(reason=error.message) from error
