"""What a store must do: the port that the engine is written against.

A store runs a *unit of work* in one transaction and retries it as a whole when it lost a race. A
unit reads through the methods of :class:`~borough.domain.space.plan.Space` and writes a
:class:`~borough.domain.space.plan.Plan` with :meth:`Unit.commit`; every row of a plan has a precondition,
and one that does not hold raises :class:`LostRace`, which undoes the whole unit.

A unit is composed of one protocol for each subject. A function names the smallest one that it needs;
one that names a reading protocol cannot write.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final, Protocol, TypeVar

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.dimensions import Dimension, Labels
from borough.domain.declared.records import Host, Pool, Subnet
from borough.domain.declared.tokens import Token
from borough.domain.policy.take import Taken, TakeRequest
from borough.domain.space.allocations import AllocationRow
from borough.domain.space.blocks import Block, FreeRange
from borough.domain.space.events import Event, EventRow
from borough.domain.space.filters import Filter, Trail
from borough.domain.space.inspection import Finding, StoredCohort, Times
from borough.domain.space.keys import Binding, Remembered
from borough.domain.space.orphans import Orphan
from borough.domain.space.plan import Plan, Space, Tally

T = TypeVar("T")

#: Seconds for which a unit of work is run again, unless the caller says otherwise, before others are
#: reported to be in the way.
TIMEOUT: Final = 30.0


class LostRace(Exception):
    """A precondition of a unit no longer holds; the store runs the unit again."""


class Contradiction(LostRace):
    """A row that was to be added is there already.

    Somebody was faster; or, when it happens again and again, the tables contradict each other.
    """


# --- A unit of work: what it reads ------------------------------------------------------------------


class ReadSpace(Space, Protocol):
    """Address space, and what is declared of it."""

    @property
    def catalogue(self) -> Catalogue:
        """The declared objects, as they stand in this transaction."""

    def blocks(self, subnet_ids: Sequence[int] | None = None) -> list[Block]:
        """All blocks, or those of some subnets, by subnet and address."""

    def free_ranges(self, subnet_ids: Sequence[int] | None = None) -> list[FreeRange]:
        """All runs, or those of some subnets, by subnet and address."""

    def tallies(self, subnet_ids: Sequence[int]) -> dict[int, Tally]:
        """How subnets stand."""


class ReadAllocations(Protocol):
    """Allocations, and idempotency keys."""

    def allocations(self, wanted: Filter) -> list[AllocationRow]:
        """Allocations by sequence number."""

    def expired(self, now: int, limit: int) -> list[AllocationRow]:
        """Cooling allocations whose rest is over, the longest expired first."""

    def recall(self, key: str) -> Remembered | None:
        """What an idempotency key was used for."""


class ReadTrail(Protocol):
    """The trail of events."""

    def events(self, wanted: Trail) -> list[Event]:
        """Events by id, ascending."""

    def newest_event(self, upto: int) -> int:
        """The largest id of an event up to one; 0 when there is none."""

    def cohort_labels(self) -> dict[int, Labels]:
        """The labels of every cohort that there is or that events name."""

    def pruned(self) -> int:
        """The largest id of an event that was pruned; 0 when none was."""


class ReadTokens(Protocol):
    """Tokens of the service."""

    def tokens(self) -> list[Token]:
        """All tokens by name."""


class ReadOrphans(Protocol):
    """What drivers have left behind in other systems."""

    def orphans(self, driver: str | None = None) -> list[Orphan]:
        """Leftovers of a driver, or all of them, the oldest first."""


class Inspection(Protocol):
    """What is stored, as it is stored."""

    def reload(self) -> Catalogue:
        """The catalogue read anew, whatever is cached of it."""

    def risks(self) -> list[Finding]:
        """The settings of the database server by which an acknowledged change may be lost."""

    def times_after(self, bound: int) -> Times:
        """The latest times, of those that are later than a bound."""

    def taken_in(self, subnet: Subnet) -> Iterator[tuple[int, int]]:
        """Addresses of the subnet's scope and prefix that are held or cool, ascending.

        :return: each with the id of the subnet that its row names.
        """

    def homeless(self) -> list[AllocationRow]:
        """Allocations that lie in no subnet of their scope, whichever they name."""

    def stored_counts(self, subnet_id: int) -> dict[int, tuple[int, int]]:
        """What is stored beside each bitmap, by block id: free addresses, and 1 when it has any."""

    def misfiled(self, subnet_id: int) -> list[Block | FreeRange]:
        """Blocks and runs whose columns that only serve a search differ from what they repeat."""

    def stored_cohorts(self) -> list[StoredCohort]:
        """All cohorts; does not need the catalogue to be readable."""

    def strays(self) -> list[Block | FreeRange]:
        """Blocks and runs whose subnet does not exist."""


class ReadUnit(
    ReadSpace, ReadAllocations, ReadTrail, ReadTokens, ReadOrphans, Inspection, Protocol
):
    """One transaction's view of the store."""


# --- A unit of work: what it writes -----------------------------------------------------------------


class WriteAllocations(Protocol):
    """Changes of address space and allocations, and of idempotency keys."""

    def commit(self, plan: Plan, now: int, bind: Binding | None = None) -> list[int]:
        """Write a plan and its events.

        :param bind: the idempotency key that stands for the plan's grants from now on.
        :return: the sequence number of each grant, in order.
        :raises LostRace: when a row is not as the plan expects it, or the key is bound already.
        """

    def bind(self, bind: Binding, sequences: Sequence[int], now: int) -> None:
        """Make an idempotency key stand for allocations that this unit has committed.

        :raises LostRace: when the key is bound already.
        """

    def forget(self, before: int, limit: int) -> int:
        """Drop the oldest keys bound before a time whose addresses are gone; return how many."""


class WriteDeclarations(Protocol):
    """Changes of declared objects; each is followed by one :meth:`touch`."""

    def touch(self, seen: int) -> None:
        """Move the catalogue to its next version, and drop cohorts without subnets.

        :param seen: the version that the change was decided on.
        :raises LostRace: when the catalogue is at another version by now.
        """

    def add_scope(self, name: str, source: str) -> None:
        """Add a scope."""

    def remove_scope(self, name: str) -> None:
        """Remove a scope that nothing refers to."""

    def set_dimensions(self, dimensions: Sequence[Dimension], sources: Mapping[str, str]) -> None:
        """Replace the list of dimensions."""

    def put_pool(self, pool: Pool) -> None:
        """Add a pool (id 0) or change it."""

    def remove_pool(self, pool: Pool) -> None:
        """Remove a pool."""

    def put_host(self, host: Host) -> None:
        """Add a host (id 0) or change it."""

    def remove_host(self, host: Host) -> None:
        """Remove a host; its allocations and claims are not touched."""

    def lock_space(self, subnet_ids: Collection[int]) -> None:
        """Keep others from changing the space of subnets until this unit ends.

        Called before the space is read that the unit will make anew. The unit may be run again for it.
        """

    def add_subnets(self, subnets: Sequence[Subnet]) -> list[tuple[Subnet, int]]:
        """Add subnets without any space yet.

        :return: each with its id, and the id of its cohort.
        """

    def put_subnet(self, subnet: Subnet) -> Subnet:
        """Change a subnet; blocks follow its cohort.

        :return: the subnet with its version.
        :raises LostRace: it is not at its version any more; or its space is locked, and an address
            outside of its ranges changed before that.
        """

    def remove_subnet(self, subnet: Subnet) -> None:
        """Remove a subnet, its space, and the cooling allocations that are all it may still have.

        :raises LostRace: it is not at its version any more.
        """

    def vacate(self, subnets: Sequence[Subnet]) -> None:
        """Let other subnets have the prefixes of subnets that this unit removes or puts elsewhere.

        :raises LostRace: one is not at its version any more.
        """

    def cohort_of(self, subnet_id: int) -> int:
        """The cohort of a subnet written in this unit."""


class WriteTrail(Protocol):
    """Changes of the trail of events."""

    def record(self, *events: EventRow) -> None:
        """Add events."""

    def prune(self, through: int, limit: int) -> int:
        """Remove the oldest events, but never the newest one; return how many were removed.

        Labels of cohorts go with the last event that names them.

        :param through: the largest id to remove.
        :param limit: the most events to remove.
        """


class WriteTokens(Protocol):
    """Changes of tokens."""

    def add_token(self, token: Token) -> None:
        """Add a token.

        :raises LostRace: when there is one of its name.
        """

    def remove_token(self, name: str) -> None:
        """Remove a token."""


class WriteOrphans(Protocol):
    """Changes of what drivers have left behind."""

    def keep_orphan(self, orphan: Orphan) -> None:
        """Keep a leftover; one with the same token is replaced."""

    def discard_orphan(self, token: str) -> None:
        """Forget a leftover, if it is still kept."""


class Repair(Protocol):
    """Changes of what an inspection found."""

    def cut_rests(self, subnet_id: int, until: int) -> None:
        """Let the cool-downs of a subnet end no later than this."""

    def cut_idle_marks(self, subnet_id: int, latest: int) -> None:
        """Date the idle marks of a subnet no later than this."""

    def cut_keys(self, latest: int) -> None:
        """Date the idempotency keys no later than this."""

    def retire_cohort(self, id: int) -> None:
        """Make a cohort one that nothing can mean; put its subnets again and :meth:`touch`."""

    def remove_strays(self) -> None:
        """Remove what :meth:`Inspection.strays` finds."""

    def rehome(self, pairs: Sequence[tuple[AllocationRow, AllocationRow]]) -> None:
        """Put allocations into other subnets or scopes, or end their rest earlier.

        They keep everything else, so that addresses may trade scopes.

        :param pairs: each as it was read, and as it shall be.
        :raises LostRace: one is not as it was read.
        """


class Unit(
    ReadUnit,
    WriteAllocations,
    WriteDeclarations,
    WriteTrail,
    WriteTokens,
    WriteOrphans,
    Repair,
    Protocol,
):
    """One transaction's view of the store, and its writes."""


# --- The store --------------------------------------------------------------------------------------


class Store(Protocol):
    """A place to keep address space in."""

    def transact(
        self,
        work: Callable[[Unit], T],
        *,
        write: bool = True,
        repeatable: bool = False,
        declares: bool = False,
    ) -> T:
        """Run a unit of work in one transaction, again and again while it loses races, bounded.

        :param write: whether the unit may write; one that only reads never waits for writers.
        :param declares: whether it changes what is declared: such units wait for each other first.
        :param repeatable: whether the unit finds out by itself that it was done before, so that it may
            be run again after a commit whose answer was lost.
        :raises Contended: when the bound is reached.
        :raises Unavailable: when the database cannot be reached, or went away.
        """

    @property
    def known(self) -> Catalogue | None:
        """The catalogue as last seen, to make an :class:`Order` from.

        None when none was seen, and always where a unit of work is as quick as an order.
        """

    def give(self, order: TakeRequest, work: Callable[[Unit], T]) -> Taken | T:
        """Give one address by an order, or run the unit of work that comes to the same.

        :raises Contended: when the bound is reached.
        :raises Unavailable: when the database cannot be reached, or went away.
        """

    def horizon(self) -> int:
        """An id up to which events are complete: a snapshot that is taken later shows all of them.

        Ids are given before their transactions commit, and transactions commit in another order. No
        transaction that is open, now or later, adds an event with an id up to the horizon. It stops below
        the smallest id that an open transaction may have.

        :raises Contended: when the bound is reached.
        :raises Unavailable: when the database cannot be reached, or went away.
        """

    @property
    def retries(self) -> int:
        """How many units have been run again since the store was opened."""

    def close(self) -> None:
        """Release connections and files."""
