"""Reconciliation of Neutron's tables with another side that keeps addresses.

Neutron's own tables decide: its subnets, pools and ``ipallocations``. The other side is Borough's tables, a
service, or the tables of the reference driver. Each is a :class:`Side`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Generic, NamedTuple, Protocol, TypeVar

import sqlalchemy as sa

from borough.domain.net.addresses import format_address
from borough.domain.space.allocations import SECOND
from borough.neutron import tables
from borough.neutron.commands.database import Database
from borough.neutron.tables import PortAddress, TableSubnet

#: Seconds for which an address without a port is kept. Neutron allocates the addresses of many ports before
#: it adds the first port.
GRACE: Final = 600

#: Most differences that are listed.
_LISTED: Final = 100


H = TypeVar("H")


class HeldAddress(NamedTuple, Generic[H]):
    """One address that a side holds.

    :ivar at: time of its allocation, in microseconds since the epoch.
    :ivar record: the data with which the side releases it.
    """

    at: int
    record: H


@dataclass(frozen=True)
class SideSubnet(Generic[H]):
    """One subnet at a side.

    :ivar held: its allocated addresses, by number.
    :ivar differs: names of the fields that differ from Neutron's declaration.
    :ivar never: addresses that the side cannot allocate.
    :ivar prefix: its prefix in text, where the side stores it.
    """

    held: Mapping[int, HeldAddress[H]]
    differs: Collection[str] = ()
    never: Collection[int] = ()
    prefix: str = ""


@dataclass(frozen=True)
class Difference(Generic[H]):
    """The differences between both sides in one subnet.

    :ivar wanted: the subnet in Neutron's tables, or None.
    :ivar found: the subnet at the other side, or None.
    :ivar is_gone: the other side must remove the subnet.
    :ivar missing: addresses that only Neutron has.
    :ivar leaked: addresses that only the other side has, after the grace period.
    """

    name: str
    wanted: TableSubnet | None
    found: SideSubnet[H] | None
    is_gone: bool = False
    missing: Collection[PortAddress] = ()
    leaked: Mapping[int, H] = field(default_factory=dict)

    @property
    def agrees(self) -> bool:
        """True when nothing differs."""
        is_unknown = self.wanted is not None and self.found is None
        return not (is_unknown or self.is_gone or self.differs or self.missing or self.leaked)

    @property
    def differs(self) -> Collection[str]:
        """Names of the fields of the subnet that differ."""
        return () if self.wanted is None or self.found is None else self.found.differs


def compare(
    name: str, wanted: TableSubnet | None, found: SideSubnet[H] | None, *, oldest: int
) -> Difference[H]:
    """Compare one subnet in Neutron's tables with the same subnet at the other side.

    :param oldest: later allocations are kept; in microseconds since the epoch.
    """
    if wanted is None:
        is_gone = found is not None and all(each.at <= oldest for each in found.held.values())
        return Difference(name, None, found, is_gone=is_gone)
    if found is None:
        return Difference(name, wanted, None, missing=wanted.addresses)
    used = {each.address for each in wanted.addresses}
    present = {*found.held, *found.never}
    missing = [each for each in wanted.inside if each.address not in present]
    leaked = {
        address: held.record
        for address, held in sorted(found.held.items())
        if address not in used and held.at <= oldest
    }
    return Difference(name, wanted, found, missing=missing, leaked=leaked)


class Side(Protocol):
    """One place with the addresses of a cloud."""

    def names(self) -> set[str]:
        """The ids of its subnets of this cloud."""

    def examine(self, name: str, *, oldest: int, write: bool) -> Difference[Any]:
        """Compare one subnet; with ``write`` correct this side. See :func:`compare`."""


class TableSide(Side, Generic[H]):
    """A side with tables in Neutron's database, which compares each subnet in one transaction.

    :cvar known: selects the ids of its subnets.
    """

    known: ClassVar[sa.Select[Any]]

    def __init__(self, database: Database) -> None:
        self._database = database

    def names(self) -> set[str]:
        return self._database.transact(
            lambda connection: set(connection.execute(self.known).scalars())
        )

    def examine(self, name: str, *, oldest: int, write: bool) -> Difference[H]:
        def work(connection: sa.Connection) -> Difference[H]:
            wanted = tables.subnet(connection, name)
            found = compare(name, wanted, self._read(connection, name, wanted), oldest=oldest)
            if write and not found.agrees:
                self._mend(connection, found)
            return found

        return self._database.transact(work)

    def _read(
        self, connection: sa.Connection, name: str, wanted: TableSubnet | None
    ) -> SideSubnet[H] | None:
        raise NotImplementedError

    def _mend(self, connection: sa.Connection, found: Difference[H]) -> None:
        raise NotImplementedError


@dataclass
class Report:
    """Counts of the differences between both sides.

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
        """True when nothing differed."""
        # Each difference is listed, up to a limit.
        return not self.differences

    def add(self, found: Difference[Any]) -> None:
        """Count and list the differences in one subnet."""
        name, wanted = found.name, found.wanted
        if wanted is None:
            if found.is_gone:
                assert found.found is not None
                self.subnets_removed += 1
                known = f"{name} {found.found.prefix}".strip()
                self._list(f"subnet {known} is gone from Neutron")
            return
        self.subnets += 1
        self.addresses += len(wanted.addresses)
        self.addresses_added += len(found.missing)
        prefix = wanted.declared.prefix
        if found.found is None:
            self.subnets_added += 1
            count = len(wanted.addresses)
            self._list(f"subnet {name} {prefix} with {count} addresses is not known")
            return
        self.addresses_removed += len(found.leaked)
        if found.differs:
            self.subnets_changed += 1
            self._list(f"subnet {name} differs from Neutron's in {', '.join(found.differs)}")
        for each in found.missing:
            address = format_address(prefix.family, each.address)
            self._list(
                f"{address} of subnet {name} has port {each.port.owner or '?'} only in Neutron"
            )
        for number in found.leaked:
            address = format_address(prefix.family, number)
            self._list(f"{address} of subnet {name} has no port in Neutron any more")

    def _list(self, text: str) -> None:
        if len(self.differences) < _LISTED:
            self.differences.append(text)


def reconcile(
    database: Database,
    side: Side,
    *,
    write: bool,
    grace: int = GRACE,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Compare Neutron's tables with another side, subnet by subnet, and correct that side.

    :param write: correct the other side; false for a comparison only.
    :param grace: seconds for which an address without a port is kept.
    :param progress: called with (subnets done, subnets in all).
    :raises BoroughError: the side refuses, or does not answer in time.
    """
    report = Report()
    oldest = time.time_ns() // 1000 - grace * SECOND
    known = side.names()
    names = database.transact(tables.subnet_ids)
    names += sorted(known.difference(names))
    for done, name in enumerate(names, 1):
        report.add(side.examine(name, oldest=oldest, write=write))
        if progress is not None:
            progress(done, len(names))
    return report
