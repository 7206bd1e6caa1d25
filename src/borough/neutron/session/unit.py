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
    """See :class:`borough.store.port.Unit`; its catalogue holds only the named subnets.

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
        #: The subnets that were compared with the catalogue after some of their space was locked.
        self._compared: set[int] = set()

    @property
    def catalogue(self) -> Catalogue:
        if self._fresh is None:
            self._fresh = declared.read(self._runner, self.names, self._dimensions)
        return self._fresh

    @property
    def runner(self) -> SessionRunner:
        return self._runner

    def _saw(self, pieces: Sequence[Block | FreeRange]) -> None:
        """Refuse blocks and free ranges of subnets that changed after the catalogue was read.

        A locking read returns present blocks. They would be combined with the ranges of an old subnet.
        """
        super()._saw(pieces)
        new = {each.subnet_id for each in pieces} - self._compared
        if self._runner.locks and new:
            self._versions(new)
            self._compared |= new

    def _versions(self, subnet_ids: Collection[int], *, exclusive: bool = False) -> dict[int, int]:
        """Compare the versions of subnets; return their counts of changes outside of blocks.

        :param exclusive: lock the rows of the subnets against every other transaction.
        :raises LostRace: a subnet was changed or removed after it was read.
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
        """All present blocks and free ranges of a subnet, locked until this transaction ends.

        They are locked in the order in which allocations lock rows: free ranges, blocks, subnets.

        :raises LostRace: the subnet was changed or removed after it was read.
        """
        free_ranges = [
            rows.to_free_range(row)
            for row in self._runner.rows(_FREE_RANGES_OF, subnet_id=subnet_id)
        ]
        blocks = [rows.to_block(row) for row in self._runner.rows(_BLOCKS_OF, subnet_id=subnet_id)]
        self._outside |= self._versions((subnet_id,), exclusive=self._runner.locks)
        return blocks, free_ranges

    def taken(self, subnet: Subnet) -> list[int]:
        """The addresses of a subnet that are allocated or cooling, also by later transactions."""
        values = rows.in_subnet(self.catalogue, subnet.id)
        query = sa.select(t.allocation.c.address).where(*s.IN_SUBNET)
        if self.reads_late:
            query = query.with_for_update(read=True)
        return [from_bytes(address) for (address,) in self._runner.once(query, **values)]

    def add_subnet(self, subnet: Subnet, scope_id: int) -> tuple[Subnet, int]:
        """See :meth:`borough.store.port.Unit.add_subnets`; the catalogue may lack the scope."""
        (added,) = self._add_subnets([subnet], {subnet.scope: scope_id})
        return added

    @property
    def reads_late(self) -> bool:
        assert isinstance(self._dialect, SessionDialect)
        return self._dialect.reads_late

    def changed(self) -> None:
        """Read the subnets again at the next access, after a change in this unit."""
        self._fresh = None

    def move_version(self) -> None:
        """Make every process read the labels of the subnets again."""
        self._runner.write(_MOVE_VERSION, step=change_log.step())

    def held_in(self, cohort_id: int, holder: str) -> list[Block]:
        # Only the named subnets are known.
        cohorts = self.catalogue.cohort_of
        ids = tuple(id for id, cohort in cohorts.items() if cohort == cohort_id)
        return self.holdings(Rung(4, Hold.OWN, subnets=ids), holder)

    def free_ranges_in(self, subnet_id: int, prefix: Prefix, longest: int) -> list[FreeRange]:
        if self._runner.locks:
            # A locking read would close many free ranges to others until this transaction ends.
            return []
        return super().free_ranges_in(subnet_id, prefix, longest)

    def _near(self, rungs: Sequence[Rung]) -> None:
        # The single-statement allocation has searched this partition already, with a lock.
        return

    def _offered(
        self, rungs: Sequence[Rung], claimant: str, count: int, *, lowest: bool
    ) -> list[Any]:
        offered = super()._offered(rungs, claimant, count, lowest=lowest)
        if not self._runner.locks or count > 1:
            return offered
        # That read shows the state at the beginning of the transaction.
        places = [(row[0], row[5]) for row in offered]
        everywhere = [(at, id) for at, rung in enumerate(rungs) for id in ids_of(rung)[1]]
        for skip, tried in ((True, places), (True, everywhere), (False, everywhere)):
            for at, id in tried:
                row = self._first(rungs[at], id, claimant, lowest=lowest, skip=skip)
                if row:
                    return [(at, *row[1:])]
        return []

    def _first(self, rung: Rung, id: int, claimant: str, *, lowest: bool, skip: bool) -> Any:
        """The first present offer of one rung in one subnet, locked."""
        parts = locking(rung.hold, ids_of(rung)[0], bool(claimant), lowest, self._spread, skip)
        found: list[Any] = []
        for clause in parts:
            found += self._runner.rows(clause, r0_0=id, claimant=claimant)
            if found and not lowest:
                break
        # Columns: part, preference and base.
        return min(found, key=lambda row: (row[1], row[2], row[7]), default=None)


_BLOCKS_OF = sa.select(*s.BLOCK_COLUMNS).where(t.block.c.subnet_id == sa.bindparam("subnet_id"))
_FREE_RANGES_OF = sa.select(*s.FREE_RANGE_COLUMNS).where(
    t.free_range.c.subnet_id == sa.bindparam("subnet_id")
)
_MOVE_VERSION = sa.update(t.meta).values(
    catalogue_version=t.meta.c.catalogue_version + sa.bindparam("step")
)
