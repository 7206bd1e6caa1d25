"""A unit of work inside Neutron's transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.records import Subnet
from borough.domain.net.addresses import from_bytes
from borough.domain.net.prefixes import Prefix
from borough.domain.space.blocks import Block, FreeRange
from borough.domain.space.rungs import Hold, Rung
from borough.neutron.session import catalogue as declared
from borough.neutron.session.catalogue import Dimensions
from borough.neutron.session.runner import SessionDialect, SessionRunner
from borough.store.port import LostRace
from borough.store.sql import rows
from borough.store.sql import schema as t
from borough.store.sql import statements as s
from borough.store.sql.catalogue import change_log
from borough.store.sql.giving import BoundsCache
from borough.store.sql.offers import locking
from borough.store.sql.probes import Probes, ids_of
from borough.store.sql.unit.unit import SqlUnit


class SessionUnit(SqlUnit):
    """See :class:`borough.store.port.Unit`; its catalogue holds the subnets it was asked for.

    :ivar names: the subnets' names, which are their ids in Neutron.
    """

    _runner: SessionRunner

    def __init__(
        self,
        runner: SessionRunner,
        dialect: SessionDialect,
        probes: Probes,
        dimensions: Dimensions,
        names: Sequence[str],
        *,
        bounds_cache: BoundsCache,
        spread: bool = False,
    ) -> None:
        super().__init__(runner, None, dialect, probes, bounds_cache=bounds_cache, spread=spread)
        self.names = tuple(names)
        self._dimensions = dimensions
        #: The subnets that were as the catalogue has them after some of their space was locked.
        self._compared: set[int] = set()

    @property
    def catalogue(self) -> Catalogue:
        """The part of the catalogue that is about the subnets named."""
        if self._fresh is None:
            self._fresh = declared.read(self._runner, self.names, self._dimensions)
        return self._fresh

    @property
    def runner(self) -> SessionRunner:
        """What runs its statements."""
        return self._runner

    def _saw(self, pieces: Sequence[Block | FreeRange]) -> None:
        """Refuse blocks and runs of subnets that were changed since the catalogue was read.

        Space is read with a lock, as it is now: ranges of before would be laid over blocks of after.
        """
        super()._saw(pieces)
        new = {each.subnet_id for each in pieces} - self._compared
        if self._runner.locks and new:
            self._versions(new)
            self._compared |= new

    def _versions(self, subnet_ids: Collection[int], *, exclusive: bool = False) -> dict[int, int]:
        """Compare the versions of subnets; return their counts of changes outside of blocks.

        :param exclusive: whether to keep everybody else from the subnets' rows.
        :raises LostRace: a subnet was changed or removed since it was read.
        """
        ids: list[Any] = [sa.literal_column(str(int(id))) for id in sorted(subnet_ids)]
        query = sa.select(t.subnet.c.id, t.subnet.c.version, t.subnet.c.outside)
        query = query.where(t.subnet.c.id.in_(ids)).order_by(t.subnet.c.id)
        if exclusive or self.reads_late:
            query = query.with_for_update(read=not exclusive)
        found = self._runner.once(query)
        known = self.catalogue.subnets
        if {id: version for id, version, _ in found} != {
            id: known[id].version for id in subnet_ids
        }:
            raise LostRace("a subnet is not as it was read")
        return {id: outside for id, _, outside in found}

    def locked_space(self, subnet_id: int) -> tuple[list[Block], list[FreeRange]]:
        """All blocks and runs of a subnet as they are now, closed to others until this transaction ends.

        They are locked in the order in which allocations lock rows: unused space, blocks, subnets.

        :raises LostRace: the subnet was changed or removed since it was read.
        """
        free_ranges = [
            rows.to_free_range(row)
            for row in self._runner.rows(_FREE_RANGES_OF, subnet_id=subnet_id)
        ]
        blocks = [rows.to_block(row) for row in self._runner.rows(_BLOCKS_OF, subnet_id=subnet_id)]
        self._outside |= self._versions((subnet_id,), exclusive=self._runner.locks)
        return blocks, free_ranges

    def taken(self, subnet: Subnet) -> list[int]:
        """The addresses that a subnet holds or lets rest now, whoever gave them."""
        values = rows.in_subnet(self.catalogue, subnet.id)
        query = sa.select(t.allocation.c.address).where(*s.IN_SUBNET)
        if self.reads_late:
            query = query.with_for_update(read=True)
        return [from_bytes(address) for (address,) in self._runner.once(query, **values)]

    def add_subnet(self, subnet: Subnet, scope_id: int) -> tuple[Subnet, int]:
        """See :meth:`borough.store.port.Unit.add_subnets`; the catalogue may not know its scope."""
        (added,) = self._add_subnets([subnet], {subnet.scope: scope_id})
        return added

    @property
    def reads_late(self) -> bool:
        """See :attr:`borough.neutron.session.runner.SessionDialect.reads_late`."""
        assert isinstance(self._dialect, SessionDialect)
        return self._dialect.reads_late

    def changed(self) -> None:
        """Read the subnets anew when they are asked for again: they were changed in this unit."""
        self._fresh = None

    def move_version(self) -> None:
        """Make every worker look at the subnets' labels anew."""
        self._runner.write(_MOVE_VERSION, step=change_log.step())

    def held_in(self, cohort_id: int, holder: str) -> list[Block]:
        """See :meth:`borough.domain.space.plan.Space.held_in`; only the subnets named are known."""
        cohorts = self.catalogue.cohort_of
        ids = tuple(id for id, cohort in cohorts.items() if cohort == cohort_id)
        return self.holdings(Rung(4, Hold.OWN, subnets=ids), holder)

    def free_ranges_in(self, subnet_id: int, prefix: Prefix, longest: int) -> list[FreeRange]:
        """See :meth:`borough.domain.space.plan.Space.runs_in`."""
        if self._runner.locks:
            # Read with a lock, many runs would be closed to others for as long as this transaction lasts.
            return []
        return super().free_ranges_in(subnet_id, prefix, longest)

    def _near(self, rungs: Sequence[Rung]) -> None:
        # The giver has looked in this writer's own area already, with a lock.
        return

    def _offered(
        self, rungs: Sequence[Rung], claimant: str, count: int, *, lowest: bool
    ) -> list[Any]:
        believed = super()._offered(rungs, claimant, count, lowest=lowest)
        if not self._runner.locks or count > 1:
            return believed
        # What was just read is what was there when the transaction began.
        places = [(row[0], row[5]) for row in believed]
        everywhere = [(at, id) for at, rung in enumerate(rungs) for id in ids_of(rung)[1]]
        for skip, tried in ((True, places), (True, everywhere), (False, everywhere)):
            for at, id in tried:
                row = self._first(rungs[at], id, claimant, lowest=lowest, skip=skip)
                if row:
                    return [(at, *row[1:])]
        return []

    def _first(self, rung: Rung, id: int, claimant: str, *, lowest: bool, skip: bool) -> Any:
        """The first offer of one rung in one subnet as it is now, locked."""
        parts = locking(rung.hold, ids_of(rung)[0], bool(claimant), lowest, self._spread, skip)
        found: list[Any] = []
        for clause in parts:
            found += self._runner.rows(clause, r0_0=id, claimant=claimant)
            if found and not lowest:
                break
        # In the columns: part, preference and base.
        return min(found, key=lambda row: (row[1], row[2], row[7]), default=None)


_BLOCKS_OF = sa.select(*s.BLOCK_COLUMNS).where(t.block.c.subnet_id == sa.bindparam("subnet_id"))
_FREE_RANGES_OF = sa.select(*s.FREE_RANGE_COLUMNS).where(
    t.free_range.c.subnet_id == sa.bindparam("subnet_id")
)
_MOVE_VERSION = sa.update(t.meta).values(
    catalogue_version=t.meta.c.catalogue_version + sa.bindparam("step")
)
