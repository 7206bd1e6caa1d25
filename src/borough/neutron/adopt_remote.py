"""Making the service agree with Neutron's tables, as :mod:`borough.neutron.adopt` does in one database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import sqlalchemy as sa

from borough.domain import decide
from borough.domain.address import format_address, parse_address
from borough.domain.encode import utc
from borough.domain.model import Subnet
from borough.engine.views import Allocation, SubnetView, show_subnet
from borough.neutron import truth
from borough.neutron.adopt import GRACE, Report
from borough.neutron.backend import now
from borough.neutron.catalogue import NeutronSubnet
from borough.neutron.database import Database
from borough.neutron.service import Held, Service, never, portable
from borough.neutron.truth import Given

#: What Neutron declares of a subnet.
_FIELDS: Final = ("prefix", "scope", "gateway", "ranges", "labels", "project", "attributes")


def adopt_one(service: Service, connection: sa.Connection, name: str) -> None:
    """Take over one subnet from Neutron's tables, with the addresses that it has given."""
    subnet = truth.placed(connection, [name])[name]
    given = [each for each in truth.given(connection, name) if _can_be_held(subnet, each)]
    if given:
        # Nothing is given from it before all that is in use is taken.
        service.declare(replace(subnet, ranges=((subnet.prefix.base, subnet.prefix.base),)))
        for each in given:
            service.take(subnet.scope, subnet, each)
    service.declare(subnet)


def _can_be_held(subnet: Subnet, given: Given) -> bool:
    """Whether the service can hold an address.

    Not the subnet-router anycast address, nor one that was given before the prefix was delegated anew.
    """
    return subnet.prefix.holds(given.address) and given.address not in never(subnet.prefix)


def reconcile(
    database: Database,
    service: Service,
    *,
    write: bool,
    grace: int = GRACE,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Compare Neutron's tables with the service subnet by subnet; make the service agree.

    :param write: whether to change anything.
    :param grace: seconds for which an address without a port is left alone.
    :param progress: called with (subnets done, subnets in all).
    :raises BoroughError: the service refuses, or does not answer in time.
    """
    known = service.subnets()
    names = database.transact(truth.subnet_ids)
    gone = sorted(known.keys() - set(names))
    audit = _Audit(database, service, write=write, oldest=now() - grace * decide.SECOND)
    for done, name in enumerate([*names, *gone], 1):
        audit.compare(name, known.get(name))
        if progress is not None:
            progress(done, len(names) + len(gone))
    return audit.report


class _Audit:
    """One comparison.

    The service is asked first and Neutron's tables are read after it, so that what is held and in no table
    was not about to come into one, unless it is young; and a release names what was seen.
    """

    def __init__(self, database: Database, service: Service, *, write: bool, oldest: int) -> None:
        """Prepare to compare.

        :param oldest: what was given later is left alone; in microseconds since the epoch.
        """
        self._database = database
        self._service = service
        self._write = write
        self._oldest = utc(oldest)
        self.report = Report()

    def compare(self, name: str, view: SubnetView | None) -> None:
        """Compare one subnet.

        :param view: what the service had of it when the comparison began.
        """
        # It may have been made since.
        view = self._service.subnet(name) if view is None else view
        held = [] if view is None else self._service.allocations(name)
        subnet, given = self._database.transact(lambda connection: _read(connection, name))
        if subnet is None:
            self._gone(name, view, held)
            return
        self.report.subnets += 1
        self.report.addresses += len(given)
        if view is None:
            self._unknown(subnet, len(given))
            return
        self._differences(subnet, view)
        able = [each for each in given if _can_be_held(subnet, each)]
        self._missing(subnet, able, {parse_address(each.address)[1] for each in held})
        self._leaked(name, held, {each.address for each in given})

    def _gone(self, name: str, view: SubnetView | None, held: list[Allocation]) -> None:
        if view is None or any(each.allocated_at > self._oldest for each in held):
            return
        self.report.subnets_removed += 1
        self.report.tell(f"subnet {name} ({view.prefix}) is gone from Neutron")
        if self._write:
            self._service.forget(name)

    def _unknown(self, subnet: NeutronSubnet, addresses: int) -> None:
        self.report.subnets_added += 1
        self.report.addresses_added += addresses
        self.report.tell(
            f"subnet {subnet.name} ({subnet.prefix}) with {addresses} addresses is not known"
        )
        if self._write:
            self._database.transact(
                lambda connection: adopt_one(self._service, connection, subnet.name)
            )

    def _differences(self, subnet: NeutronSubnet, view: SubnetView) -> None:
        wanted = show_subnet(portable(subnet))
        differ = [field for field in _FIELDS if getattr(wanted, field) != getattr(view, field)]
        if not differ:
            return
        self.report.subnets_changed += 1
        self.report.tell(f"subnet {subnet.name} differs from Neutron's in {', '.join(differ)}")
        if self._write:
            self._service.declare(subnet)

    def _missing(self, subnet: NeutronSubnet, given: list[Given], held: set[int]) -> None:
        for each in given:
            if each.address in held:
                continue
            address = format_address(subnet.family, each.address)
            if self._service.holder(subnet.scope, subnet.name, address) is not None:
                continue
            self.report.addresses_added += 1
            self.report.tell(
                f"{address} of subnet {subnet.name} has port {each.place.owner or '?'} only in Neutron"
            )
            if self._write:
                self._service.take(subnet.scope, subnet, each)

    def _leaked(self, name: str, held: list[Allocation], given: set[int]) -> None:
        for each in held:
            if parse_address(each.address)[1] in given or each.allocated_at > self._oldest:
                continue
            self.report.addresses_removed += 1
            self.report.tell(f"{each.address} of subnet {name} has no port in Neutron any more")
            if self._write:
                self._service.free(Held.of(each))


def _read(connection: sa.Connection, name: str) -> tuple[NeutronSubnet | None, list[Given]]:
    return truth.placed(connection, [name]).get(name), truth.given(connection, name)
