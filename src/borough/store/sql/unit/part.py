"""What the parts of a unit of work on an SQL database share."""

from __future__ import annotations

from collections import deque
from typing import Final

from borough.domain.declared.catalogue import Catalogue
from borough.domain.space.blocks import Block, FreeRange
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
    """A transaction, and the catalogue as it stands in it."""

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
    ) -> None:
        """Work in a transaction.

        :param cached: the catalogue as this process has read it last.
        :param areas: where this writer looks for unclaimed space first.
        :param spread: whether unused space is offered before the blocks of its rung.
        :param locked: the subnets whose space was locked before this transaction's snapshot; None where
            no lock is needed, or where reading takes it.
        """
        self._runner = runner
        self._cached = cached
        self._dialect = dialect
        self._guard = dialect.translate
        self._probes = probes
        self._bounds_cache = bounds_cache
        self._spread = spread
        #: Blocks and runs that were read, and plans that were written, for who wants to guess.
        self.read: list[Block | FreeRange] = []
        #: Of plans the last ones: what is believed of the others is found out to be wrong by the database.
        self.written: deque[Plan] = deque(maxlen=_REMEMBERED)
        #: Whether addresses have come free.
        self.freed = False
        #: The block that the last address was given from, as it is then.
        self.given_from: Block | None = None
        #: Declared objects that were changed, for the next version of the catalogue.
        self._declared: set[Change] = set()
        self._touched = False
        self._locked = locked
        #: Of the subnets whose space this unit keeps locked: their counts of changes outside of blocks.
        self._outside: dict[int, int] = {}
        self._fresh: Catalogue | None = None
        #: The catalogue as it was before this unit changed it.
        self.cacheable: Catalogue | None = None

    @property
    def catalogue(self) -> Catalogue:
        """The declared objects, as they stand in this transaction."""
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

    @property
    def has_declared(self) -> bool:
        """True when this unit made another version of the catalogue."""
        return self._touched

    def _changed(self) -> None:
        """Read the catalogue anew when it is asked for again."""
        self._touched = True
        self._fresh = None
        self._cached = None


def all_met(met: int, expected: int) -> None:
    """Every precondition held, or the whole unit is run again.

    :raises LostRace: fewer rows were met than were expected.
    """
    if met != expected:
        raise LostRace("a row is not as it was read")
