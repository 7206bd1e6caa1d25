"""Making Borough's tables agree with Neutron's: taking a cloud over, and finding what differs.

Neutron's own tables are the truth: its subnets, its pools, its ``ipallocations``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa

from borough.domain import decide
from borough.domain.address import format_address
from borough.domain.model import AllocationRow, Kind, Request, State
from borough.domain.query import Filter
from borough.domain.space import Grant, Plan
from borough.engine.allocation import Allocator, Ladders
from borough.errors import AddressInUse
from borough.neutron import subnets, truth
from borough.neutron.backend import Backend, now
from borough.neutron.catalogue import SOURCE, NeutronSubnet
from borough.neutron.database import Database
from borough.neutron.subnets import Declared
from borough.neutron.truth import Given
from borough.neutron.unit import SessionUnit
from borough.store.sql import schema as t

#: An address without a port is left alone for so long, in seconds: Neutron takes addresses for many ports at
#: once before it makes the first of them.
GRACE: Final = 600

#: Differences that are listed.
_LISTED: Final = 100

_OURS = sa.select(t.subnet.c.name).where(t.subnet.c.source == SOURCE).order_by(t.subnet.c.name)


@dataclass
class Report:
    """What was, or would be, made to agree.

    :ivar differences: the first of them, one line each.
    """

    subnets: int = 0
    addresses: int = 0
    subnets_added: int = 0
    subnets_changed: int = 0
    subnets_removed: int = 0
    addresses_added: int = 0
    addresses_removed: int = 0
    differences: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether nothing differed."""
        return not (
            self.subnets_added
            or self.subnets_changed
            or self.subnets_removed
            or self.addresses_added
            or self.addresses_removed
        )

    def tell(self, text: str) -> None:
        """Note a difference."""
        if len(self.differences) < _LISTED:
            self.differences.append(text)


def reconcile(
    database: Database,
    *,
    write: bool,
    grace: int = GRACE,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Compare both sides subnet by subnet, each in a transaction of its own; make them agree.

    :param write: whether to change anything.
    :param grace: see :data:`GRACE`.
    :param progress: called with (subnets done, subnets in all).
    """
    report = Report()
    names = database.transact(truth.subnet_ids)
    ours = database.transact(lambda connection: {row[0] for row in connection.execute(_OURS)})
    gone = sorted(ours - set(names))
    for done, name in enumerate([*names, *gone], 1):
        report_of = database.transact(
            lambda connection, name=name: _one(  # type: ignore[misc]
                database.backend, connection, name, write=write, grace=grace
            )
        )
        _sum(report, report_of)
        if progress is not None:
            progress(done, len(names) + len(gone))
    return report


def _sum(report: Report, more: Report) -> None:
    for name in vars(more):
        if name != "differences":
            setattr(report, name, getattr(report, name) + getattr(more, name))
    for text in more.differences:
        report.tell(text)


def _one(
    backend: Backend, connection: sa.Connection, name: str, *, write: bool, grace: int
) -> Report:
    """Compare one subnet, and make both sides agree."""
    report = Report()
    wanted = truth.subnets(connection, [name]).get(name)
    given = [] if wanted is None else truth.given(connection, name)
    unit = backend.unit(connection, (name,))
    subnet = unit.catalogue.by_name.get(name)
    if wanted is None:
        if subnet is not None:
            report.subnets_removed = 1
            report.tell(f"subnet {name} ({subnet.prefix}) is gone from Neutron")
            if write:
                backend.run(connection, (name,), lambda unit: subnets.remove(unit, name, now=now()))
        return report
    report.subnets, report.addresses = 1, len(given)
    if subnet is None:
        report.subnets_added, report.addresses_added = 1, len(given)
        report.tell(f"subnet {name} ({wanted.prefix}) with {len(given)} addresses is not known")
        if write:
            adopt_one(backend, connection, name)
        return report
    assert isinstance(subnet, NeutronSubnet)
    _compare(backend, connection, report, (wanted, subnet), given, write=write, grace=grace)
    return report


def _compare(
    backend: Backend,
    connection: sa.Connection,
    report: Report,
    both: tuple[Declared, NeutronSubnet],
    given: list[Given],
    *,
    write: bool,
    grace: int,
) -> None:
    wanted, subnet = both
    name = subnet.name
    held = backend.unit(connection, (name,)).allocations(Filter(subnet_id=subnet.id))
    theirs = {each.address: each for each in given}
    ours = {each.address: each for each in held if each.state is State.ALLOCATED}
    missing = [theirs[address] for address in sorted(theirs.keys() - ours.keys())]
    oldest = now() - grace * decide.SECOND
    leaked = [
        ours[address]
        for address in sorted(ours.keys() - theirs.keys())
        if ours[address].at <= oldest
    ]
    differ = subnets.differences(subnet, wanted)
    if differ:
        report.subnets_changed = 1
        report.tell(f"subnet {name} differs from Neutron's in {', '.join(differ)}")
    report.addresses_added, report.addresses_removed = len(missing), len(leaked)
    for each in missing:
        address = format_address(subnet.family, each.address)
        report.tell(
            f"{address} of subnet {name} has port {each.place.owner or '?'} only in Neutron"
        )
    for allocation in leaked:
        report.tell(f"{allocation.text} of subnet {name} has no port in Neutron any more")
    if not write or report.agrees:
        return

    def work(unit: SessionUnit) -> None:
        at = now()
        subnets.change(unit, wanted, now=at)
        if leaked:
            unit.commit(decide.release(unit.catalogue, unit, leaked, at), at)
        for each in missing:
            _take(unit, name, each)

    backend.run(connection, (name,), work)
    backend.forget(name)


def _take(unit: SessionUnit, name: str, given: Given) -> None:
    """Take one address that Neutron has given already."""
    subnet = unit.catalogue.by_name[name]
    request = Request(
        scope=subnet.scope,
        tiers=((name,),),
        host=given.place.host,
        kind=Kind.SPECIFIC,
        families=(subnet.family,),
        address=given.address,
        owner=given.place.owner,
        attributes=given.place.attributes,
    )
    try:
        Allocator(now, Ladders()).allocate_in(unit, request)
    except AddressInUse:
        # Somebody took it since both sides were compared: then it is there.
        return


def adopt_one(backend: Backend, connection: sa.Connection, name: str) -> None:
    """Take over one subnet from Neutron's tables, with the addresses that it has given."""
    wanted = truth.subnets(connection, [name])[name]
    given = truth.given(connection, name)

    def work(unit: SessionUnit) -> None:
        at = now()
        subnet = subnets.add(unit, wanted, [each.address for each in given], now=at)
        # Addresses outside the prefix were given before it was delegated anew.
        grants = [
            Grant(_held(subnet, each, at), None, None, None)
            for each in given
            if subnet.prefix.holds(each.address)
        ]
        if grants:
            unit.commit(Plan(grants=grants), at)

    backend.run(connection, (name,), work)
    backend.forget(name)


def _held(subnet: NeutronSubnet, given: Given, at: int) -> AllocationRow:
    return AllocationRow(
        scope=subnet.scope,
        family=subnet.family,
        address=given.address,
        subnet_id=subnet.id,
        owner=given.place.owner,
        host=given.place.host,
        attributes=given.place.attributes,
        at=at,
    )
