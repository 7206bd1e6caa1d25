"""Common base of the parts of a unit of work on an SQL database."""

from __future__ import annotations

from collections import deque
from typing import Final

from borough.domain.declared.catalogue import Catalogue
from borough.domain.space.blocks import Block
from borough.domain.space.plan import Plan
from borough.store.port import LostRace
from borough.store.sql import statements as s
from borough.store.sql.catalogue.change_log import Change
from borough.store.sql.catalogue.read import load
from borough.store.sql.dialect import Dialect
from borough.store.sql.giving import BoundsCache
from borough.store.sql.probes import Probes
from borough.store.sql.runner import Runner

#: Plans of one unit that are remembered.
_REMEMBERED: Final = 8


class SqlPart:
    """A transaction, and its catalogue."""

    def __init__(
        self,
        runner: Runner,
        cached: Catalogue | None,
        dialect: Dialect,
        probes: Probes,
        *,
        bounds_cache: BoundsCache,
        spread: bool = False,
        locked: frozenset[int] | None = None,
        read_here: Catalogue | None = None,
    ) -> None:
        """Work in a transaction.

        :param cached: the catalogue as this process has read it last.
        :param bounds_cache: the bounds of this writer's partition, searched first for unclaimed space.
        :param spread: offer unused space before the blocks of its rung.
        :param locked: the subnets whose space was locked before the snapshot; None where no lock is
            needed, or where reads lock.
        :param read_here: the catalogue, where another unit has read it in this transaction.
        """
        self._runner = runner
        self._cached = cached
        self._dialect = dialect
        self._guard = dialect.translate
        self._probes = probes
        self._bounds_cache = bounds_cache
        self._spread = spread
        #: The last plans that were written, whose rows a starved unit locks.
        self.written: deque[Plan] = deque(maxlen=_REMEMBERED)
        #: True when addresses were released.
        self.freed = False
        #: The block of the last allocated address, after the allocation.
        self.given_from: Block | None = None
        #: Declared objects that were changed, for the next version of the catalogue.
        self._declared: set[Change] = set()
        self._touched = False
        self._locked = locked
        #: Counts of changes outside of blocks, by id of a subnet whose space this unit has locked.
        self._outside: dict[int, int] = {}
        self._fresh = read_here
        #: The catalogue before the changes of this unit.
        self.cacheable: Catalogue | None = None

    @property
    def catalogue(self) -> Catalogue:
        """The declared objects, as this transaction sees them."""
        if self._fresh is None:
            found = self._runner.one(s.version)
            assert found is not None
            version = found[0]
            if self._cached is None or self._cached.version != version:
                self._fresh = load(self._runner, self._cached, version)
            else:
                self._fresh = self._cached
            if not (self._touched or self._declared):
                self.cacheable = self._fresh
        return self._fresh

    def _changed(self) -> None:
        """Drop the catalogue, so the next access reads it again."""
        self._touched = True
        self._fresh = None
        self._cached = None


def all_met(met: int, expected: int) -> None:
    """Compare the number of matched rows with the expected one.

    :raises LostRace: they differ; the whole unit runs again.
    """
    if met != expected:
        raise LostRace("a row is not as it was read")
