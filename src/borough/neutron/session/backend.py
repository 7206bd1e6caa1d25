"""The engine inside Neutron: the memory of a process about one database, and its decisions."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from oslo_db import exception as db_exc

from borough.domain.declared import lookup
from borough.domain.declared.catalogue import Catalogue
from borough.domain.policy import allocate as policy
from borough.domain.policy import selection
from borough.domain.policy.take import Taken, TakeRequest
from borough.domain.request import Request
from borough.domain.space.allocations import State
from borough.engine.allocation import Allocator, Ladders
from borough.engine.views import Allocation
from borough.neutron.errors import AddressSpaceBusy, AddressSpaceNotReady
from borough.neutron.session.catalogue import Dimensions
from borough.neutron.session.runner import SessionDialect, SessionRunner
from borough.neutron.session.unit import SessionUnit
from borough.neutron.subnet import NeutronSubnet
from borough.retry import Retry
from borough.store.cache import Cache
from borough.store.port import LostRace
from borough.store.sql import migrate
from borough.store.sql.failures import Busy, Duplicate
from borough.store.sql.giving import BoundsCache, Hints, Word
from borough.store.sql.probes import Probes
from borough.store.sql.runner import KEPT

T = TypeVar("T")

#: Most groups of subnets that a process remembers.
_GROUPS: Final = 4096

#: Attempts at a decision inside one transaction of Neutron, before the transaction itself is repeated.
_RETRY: Final = Retry(attempts=8, first=0.0025, longest=0.02)

_ANY_HOST: Final = frozenset(("*",))


@dataclass(frozen=True)
class NamedSubnets:
    """Subnets that Neutron names together, in its order of preference."""

    catalogue: Catalogue
    tiers: tuple[tuple[str, ...], ...]
    allocator: Allocator

    def request(self, request: Request) -> Request:
        """A request for addresses of these subnets; they are in one scope."""
        subnet = self.catalogue.by_name[self.tiers[0][0]]
        return replace(request, scope=subnet.scope, tiers=self.tiers, families=(subnet.family,))


@dataclass
class Link:
    """The memory of one database connection."""

    bounds_cache: BoundsCache
    hints: Hints = field(default_factory=Hints)


class SharedLadders(Ladders):
    """Ladders that all hosts share.

    No host is declared in Neutron's database, so a host implies no labels. A ladder depends only on whether a
    host claims. One ladder for each host would fill the memory of a process in a large cloud.
    """

    def climb(
        self, catalogue: Catalogue, request: Request
    ) -> tuple[selection.ResolvedSelector, selection.Ladder]:
        labels = dict.fromkeys(request.labels, _ANY_HOST)
        anyone = replace(request, host="", labels=labels)
        return selection.resolve_selector(catalogue, request), super().climb(catalogue, anyone)[1]


def now() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


class Backend:
    """The engine on one database of Neutron; safe to share between threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self.dialect = SessionDialect(engine.dialect)
        self._compiler = self.dialect.compiler(engine)
        self._kept: Cache[Any, Any] = Cache(KEPT)
        self._probes = Probes(self._kept)
        self._dimensions = Dimensions()
        self._groups: dict[tuple[str, ...], NamedSubnets] = {}

    # --- Remembered subnets -----------------------------------------------------------------------

    def group(self, connection: sa.Connection, names: Sequence[str]) -> NamedSubnets | None:
        """Subnets by name, from memory where possible; None when the database lacks one of them."""
        key = tuple(names)
        found = self._groups.get(key)
        return found or self.remember(key, self.unit(connection, key).catalogue)

    def refresh(self, connection: sa.Connection, names: tuple[str, ...]) -> None:
        """Read remembered subnets again."""
        if names in self._groups:
            self.remember(names, self.unit(connection, names).catalogue)

    def remember(self, names: tuple[str, ...], catalogue: Catalogue) -> NamedSubnets | None:
        """Remember subnets that were read; None when some are missing."""
        if not names or len(catalogue.subnets) < len(set(names)):
            self._groups.pop(names, None)
            return None
        known = self._groups.get(names)
        if known is not None and known.catalogue == catalogue:
            # Its ladders and hints stay valid.
            return known
        allocator = Allocator(now, SharedLadders())
        group = NamedSubnets(catalogue, _tiers(catalogue, names), allocator)
        if len(self._groups) >= _GROUPS:
            # A new dictionary, because another thread may be reading the old one.
            self._groups = {}
        self._groups[names] = group
        return group

    def forget(self, name: str) -> None:
        """Forget the groups with a subnet."""
        self._groups = {names: group for names, group in self._groups.items() if name not in names}

    # --- Units of work --------------------------------------------------------------------------------

    def unit(
        self, connection: sa.Connection, names: Sequence[str], *, spread: bool = False
    ) -> SessionUnit:
        """A unit of work in the present transaction."""
        return SessionUnit(
            self._runner(connection),
            self.dialect,
            self._probes,
            self._dimensions,
            names,
            bounds_cache=self._link(connection).bounds_cache,
            spread=spread,
        )

    def _runner(self, connection: sa.Connection) -> SessionRunner:
        return SessionRunner(
            self.dialect.cursor(connection),
            self._compiler,
            self._kept,
            tells_key=self.dialect.tells_key,
            locks=self.dialect.locks,
        )

    def _link(self, connection: sa.Connection) -> Link:
        # SQLAlchemy keeps this with the connection of the driver, and drops it with that.
        link = connection.info.get("borough")
        if link is None:
            link = connection.info["borough"] = Link(
                BoundsCache(self.dialect.partition(connection))
            )
        found: Link = link
        return found

    def run(
        self,
        connection: sa.Connection,
        names: Sequence[str],
        work: Callable[[SessionUnit], T],
        *,
        spread: bool = False,
    ) -> T:
        """Run a unit of work; repeat it after a lost race where the transaction then sees the new rows.

        :raises RetryRequest: Neutron's transaction must be repeated.
        """

        def once() -> T:
            return self._once(connection, lambda: work(self.unit(connection, names, spread=spread)))

        try:
            return _RETRY.run(once, LostRace, unless=lambda _lost: not self.dialect.is_spoilt)
        except LostRace as lost:
            raise db_exc.RetryRequest(AddressSpaceBusy()) from lost

    def change(self, connection: sa.Connection, name: str, work: Callable[[SessionUnit], T]) -> T:
        """Run a unit of work that changes a subnet, and forget the subnet.

        :raises RetryRequest: Neutron's transaction must be repeated.
        """
        answer = self.run(connection, (name,), work)
        self.forget(name)
        return answer

    def _once(self, connection: sa.Connection, work: Callable[[], T]) -> T:
        savepoint = connection.begin_nested if self.dialect.is_spoilt else nullcontext
        try:
            with savepoint():
                return work()
        except Exception as error:
            translated = self.dialect.translate(error)
            if isinstance(translated, Duplicate | Busy):
                # Another transaction added the same row, or removed the subnet.
                raise LostRace(str(translated)) from error
            if translated is error:
                raise
            raise translated from error

    # --- Addresses ------------------------------------------------------------------------------------

    def allocate(
        self, connection: sa.Connection, names: Sequence[str], request: Request
    ) -> list[Allocation]:
        """Allocate all addresses of a request from a group of subnets, or none.

        :raises UnknownObject: a subnet does not exist.
        :raises BoroughError: the request is refused.
        :raises RetryRequest: Neutron's transaction must be repeated.
        """
        group = self.group(connection, names)
        if group is None:
            raise self._gone(connection, names)
        order = group.allocator.order(group.catalogue, group.request(request))
        word = Word.DECIDE
        if order is not None and order.rungs and self.dialect.giver is not None:
            word, taken = self._allocate_at_once(connection, order)
            if taken is not None:
                return [group.allocator.given(order, taken)]

        def work(unit: SessionUnit) -> list[Allocation]:
            fresh = self.remember(unit.names, unit.catalogue)
            if fresh is None:
                raise self._gone(connection, names)
            made = list(fresh.allocator.allocate_in(unit, fresh.request(request)).allocations)
            if order is not None and fresh is group:
                self._link(connection).hints.keep(order, unit.given_from)
            return made

        return self.run(connection, names, work, spread=word is Word.LOCKED)

    def _gone(self, connection: sa.Connection, names: Sequence[str]) -> Exception:
        known = self.unit(connection, names).catalogue.by_name
        return lookup.unknown("subnet", next(name for name in names if name not in known), ())

    def _allocate_at_once(
        self, connection: sa.Connection, order: TakeRequest
    ) -> tuple[Word, Taken | None]:
        """Allocate by one statement, where the rules leave no choice."""
        giver = self.dialect.giver
        assert giver is not None
        link, runner = self._link(connection), self._runner(connection)
        outcome = giver.give(runner, order, link.hints, link.bounds_cache, wait=False)
        if outcome.word is Word.LOCKED and not outcome.has_free_range:
            # No unlocked block is left on this step: wait for this one.
            outcome = giver.give(runner, order, link.hints, link.bounds_cache, wait=True)
        return outcome.word, outcome.taken

    def release(self, connection: sa.Connection, name: str, family: int, address: int) -> bool:
        """Release an address; false when it is not allocated."""

        def work(unit: SessionUnit) -> bool:
            subnet = unit.catalogue.by_name.get(name)
            if subnet is None:
                return False
            held = unit.allocation_at(subnet.scope, family, address)
            if held is None or held.state is not State.ALLOCATED or held.subnet_id != subnet.id:
                return False
            at = now()
            unit.commit(policy.release(unit.catalogue, unit, [held], at), at)
            self._link(connection).hints.clear()
            return True

        return self.run(connection, (name,), work)


def _tiers(catalogue: Catalogue, names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Neutron's order of preference: subnets with service types first.

    The engine chooses among the subnets of a tier, so that a host stays in its subnets.
    """

    def kind(name: str) -> tuple[bool, int]:
        subnet = catalogue.by_name[name]
        assert isinstance(subnet, NeutronSubnet)
        return subnet.is_typed, subnet.family

    return tuple(tuple(tier) for _, tier in groupby(names, key=kind))


_BACKENDS: weakref.WeakKeyDictionary[sa.Engine, Backend] = weakref.WeakKeyDictionary()


def _check_schema(connection: sa.Connection) -> None:
    """Refuse tables of another release; missing tables fail at the first statement.

    :raises AddressSpaceNotReady: they are of another release.
    """
    revision = migrate.current(connection)
    if revision not in (None, migrate.REVISIONS[-1]):
        raise AddressSpaceNotReady(
            reason=f"they are at revision {revision}, and this release needs {migrate.REVISIONS[-1]}; "
            "run borough neutron upgrade --config-file /etc/neutron/neutron.conf"
        )


def backend_of(connection: sa.Connection) -> Backend:
    """The backend for the database of a connection."""
    found = _BACKENDS.get(connection.engine)
    if found is None:
        _check_schema(connection)
        found = _BACKENDS.setdefault(connection.engine, Backend(connection.engine))
    return found
