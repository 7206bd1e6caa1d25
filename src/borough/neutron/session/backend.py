"""The engine as it runs inside Neutron: what a process remembers of one database, and how it decides."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from oslo_db import exception as db_exc

from borough.domain.declared import lookup
from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.dimensions import HOST
from borough.domain.policy import allocate as policy
from borough.domain.policy import selection
from borough.domain.policy.take import Taken, TakeRequest
from borough.domain.request import Request
from borough.domain.space.allocations import State
from borough.engine.allocation import Allocator, Ladders
from borough.engine.views import Allocation
from borough.neutron.errors import AddressSpaceBusy, AddressSpaceNotReady
from borough.neutron.requests import WantedAddress
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

#: Groups of subnets that a process remembers.
_GROUPS: Final = 4096

#: How often a decision is made inside one transaction of Neutron, which then begins anew.
_RETRY: Final = Retry(attempts=8, first=0.0025, longest=0.02)

_SOMEBODY: Final = frozenset(("*",))


@dataclass(frozen=True)
class NamedSubnets:
    """Subnets that Neutron names together, in its order of preference, and all that follows from them.

    :ivar scope: the scope of all of them.
    """

    catalogue: Catalogue
    scope: str
    tiers: tuple[tuple[str, ...], ...]
    allocator: Allocator


@dataclass
class Link:
    """What is remembered of one database connection."""

    bounds_cache: BoundsCache
    hints: Hints = field(default_factory=Hints)


class OneForAllHosts(Ladders):
    """Ladders that hosts share.

    No host is declared here, so that a host implies nothing: only whether somebody claims changes a ladder.
    Kept for each host, a worker of a large cloud would remember millions of them.
    """

    def climb(
        self, catalogue: Catalogue, request: Request
    ) -> tuple[selection.ResolvedSelector, selection.Ladder]:
        """See :meth:`borough.engine.allocation.Ladders.climb`."""
        labels = dict.fromkeys(request.labels, _SOMEBODY)
        anyone = replace(request, host="", labels=labels)
        return selection.wanted(catalogue, request), super().climb(catalogue, anyone)[1]


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

    # --- What is known of subnets -----------------------------------------------------------------

    def group(self, connection: sa.Connection, names: Sequence[str]) -> NamedSubnets | None:
        """The subnets named, from memory if they are there; None when the database lacks any of them."""
        key = tuple(names)
        found = self._groups.get(key)
        if found is None:
            unit = self.unit(connection, key)
            return self.remember(key, unit.catalogue)
        return found

    def refresh(self, connection: sa.Connection, names: tuple[str, ...]) -> None:
        """Read what is known of some subnets anew."""
        if names in self._groups:
            self.remember(names, self.unit(connection, names).catalogue)

    def remember(self, names: tuple[str, ...], catalogue: Catalogue) -> NamedSubnets | None:
        """Keep what was read of some subnets; None when some are missing."""
        if not names or len(catalogue.subnets) < len(set(names)):
            self._groups.pop(names, None)
            return None
        known = self._groups.get(names)
        if known is not None and known.catalogue == catalogue:
            # The ladders and hints that were made of it stay good.
            return known
        scope = catalogue.by_name[names[0]].scope
        group = NamedSubnets(
            catalogue, scope, _tiers(catalogue, names), Allocator(now, OneForAllHosts())
        )
        if len(self._groups) >= _GROUPS:
            # One dictionary after another, never emptied: another thread may be reading the old one.
            self._groups = {}
        self._groups[names] = group
        return group

    def forget(self, name: str) -> None:
        """Forget a subnet, and the groups it is in."""
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
        """Run a unit of work; after a lost race again, where the transaction then sees the winner's writes.

        :raises RetryRequest: Neutron's transaction must begin anew.
        """
        try:
            return _RETRY.run(
                lambda: self._once(
                    connection, lambda: self.unit(connection, names, spread=spread), work
                ),
                LostRace,
                unless=lambda _lost: not self.dialect.is_spoilt,
            )
        except LostRace as lost:
            raise db_exc.RetryRequest(AddressSpaceBusy()) from lost

    def change(self, connection: sa.Connection, name: str, work: Callable[[SessionUnit], T]) -> T:
        """Run a unit of work that changes a subnet, and forget what was known of it.

        :raises RetryRequest: Neutron's transaction must begin anew.
        """
        answer = self.run(connection, (name,), work)
        self.forget(name)
        return answer

    def _once(
        self,
        connection: sa.Connection,
        make: Callable[[], SessionUnit],
        work: Callable[[SessionUnit], T],
    ) -> T:
        try:
            if not self.dialect.is_spoilt:
                return work(make())
            with connection.begin_nested():
                return work(make())
        except Exception as error:
            translated = self.dialect.translate(error)
            if isinstance(translated, Duplicate | Busy):
                # Another transaction declared the same, or removed the subnet.
                raise LostRace(str(translated)) from error
            if translated is error:
                raise
            raise translated from error

    # --- Addresses ------------------------------------------------------------------------------------

    def allocate(
        self, connection: sa.Connection, names: Sequence[str], wanted: WantedAddress
    ) -> list[Allocation]:
        """Allocate addresses of a group of subnets, all that are wanted or none.

        :raises UnknownObject: a subnet does not exist (any more).
        :raises BoroughError: why not.
        :raises RetryRequest: Neutron's transaction must begin anew.
        """
        group = self.group(connection, names)
        if group is None:
            raise self._gone(connection, names)
        order = group.allocator.order(group.catalogue, _request(group, wanted))
        word = Word.DECIDE
        if order is not None and order.rungs and self.dialect.giver is not None:
            word, taken = self._allocate_at_once(connection, order)
            if taken is not None:
                return [group.allocator.given(order, taken)]

        def work(unit: SessionUnit) -> list[Allocation]:
            fresh = self.remember(unit.names, unit.catalogue)
            if fresh is None:
                raise self._gone(connection, names)
            made = list(fresh.allocator.allocate_in(unit, _request(fresh, wanted)).allocations)
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
        link, free_range = self._link(connection), self._runner(connection)
        outcome = giver.give(free_range, order, link.hints, link.bounds_cache, wait=False)
        if outcome.word is Word.LOCKED and not outcome.has_free_range:
            # No unlocked block is left on this step: wait for this one.
            outcome = giver.give(free_range, order, link.hints, link.bounds_cache, wait=True)
        return outcome.word, outcome.taken

    def release(self, connection: sa.Connection, name: str, family: int, address: int) -> bool:
        """Release an address; false when nobody held it."""

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


def _request(group: NamedSubnets, wanted: WantedAddress) -> Request:
    host = wanted.port.host
    subnet = group.catalogue.by_name[group.tiers[0][0]]
    return Request(
        scope=group.scope,
        labels={HOST: frozenset((host,))} if host and wanted.claims else {},
        tiers=group.tiers,
        host=host,
        kind=wanted.kind,
        families=(subnet.family,),
        address=wanted.address,
        count=wanted.count,
        owner=wanted.port.owner,
        attributes=wanted.port.attributes,
    )


def _tiers(catalogue: Catalogue, names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Neutron's order of preference: it puts subnets with service types first, and nothing else.

    Which of those that are alike is taken is left to the engine, so that a host stays where it is.
    """
    tiers: list[list[str]] = []
    kind: tuple[bool, int] | None = None
    for name in names:
        subnet = catalogue.by_name[name]
        assert isinstance(subnet, NeutronSubnet)
        this = (subnet.is_typed, subnet.family)
        if this != kind:
            tiers.append([])
            kind = this
        tiers[-1].append(name)
    return tuple(map(tuple, tiers))


_BACKENDS: weakref.WeakKeyDictionary[sa.Engine, Backend] = weakref.WeakKeyDictionary()


def _check_schema(connection: sa.Connection) -> None:
    """Refuse tables of another release; that there are none shows by itself.

    :raises AddressSpaceNotReady: saying what to do.
    """
    revision = migrate.current(connection)
    if revision not in (None, migrate.REVISIONS[-1]):
        raise AddressSpaceNotReady(
            reason=f"they are at revision {revision}, and this release wants {migrate.REVISIONS[-1]}; "
            "run borough neutron upgrade --config-file /etc/neutron/neutron.conf"
        )


def backend_of(connection: sa.Connection) -> Backend:
    """The backend of the database that a connection is to."""
    found = _BACKENDS.get(connection.engine)
    if found is None:
        _check_schema(connection)
        found = _BACKENDS.setdefault(connection.engine, Backend(connection.engine))
    return found
