"""The interface of a store, as the engine uses it.

A store runs a *unit of work* in one transaction, and again as a whole after a lost race. A unit reads through
:class:`~borough.domain.space.plan.Space` and writes a :class:`~borough.domain.space.plan.Plan` with
:meth:`Unit.commit`. Every row of a plan has a precondition. One that does not hold raises :class:`LostRace`,
which undoes the whole unit.

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
from borough.domain.space.agents import AgentReport
from borough.domain.space.allocations import AllocationRow
from borough.domain.space.blocks import Block, FreeRange
from borough.domain.space.events import Event, EventRow
from borough.domain.space.filters import Filter, Trail
from borough.domain.space.findings import Finding, StoredCohort, Times
from borough.domain.space.keys import Binding, Remembered
from borough.domain.space.orphans import Orphan
from borough.domain.space.plan import Plan, Space, Tally

T = TypeVar("T")

#: Seconds for which a unit of work is repeated after conflicts, unless the caller sets another number.
TIMEOUT: Final = 30.0


class LostRace(Exception):
    """A precondition of a unit does not hold; the store runs the unit again."""


class Contradiction(LostRace):
    """A row to be added exists already.

    Another transaction added it; or, when this repeats, the tables contradict each other.
    """


# --- A unit of work: what it reads ------------------------------------------------------------------


class ReadSpace(Space, Protocol):
    """Address space, and the declared objects."""

    @property
    def catalogue(self) -> Catalogue:
        """The declared objects, as this transaction sees them."""

    def blocks(self, subnet_ids: Sequence[int] | None = None) -> list[Block]:
        """All blocks, or those of some subnets, by subnet and address."""

    def free_ranges(self, subnet_ids: Sequence[int] | None = None) -> list[FreeRange]:
        """All free ranges, or those of some subnets, by subnet and address."""

    def tallies(self, subnet_ids: Sequence[int]) -> dict[int, Tally]:
        """Counts of subnets, by id."""


class ReadAllocations(Protocol):
    """Allocations, and idempotency keys."""

    def allocations(self, wanted: Filter) -> list[AllocationRow]:
        """Allocations by sequence number."""

    def allocations_from(
        self, subnet_id: int, first: int, limit: int | None
    ) -> list[AllocationRow]:
        """Allocations of a subnet by address, from an address on."""

    def allocations_with(
        self, texts: Sequence[str], after: int, examined: int, limit: int
    ) -> tuple[list[AllocationRow], int | None]:
        """Allocations in whose owner, host, note or attributes one of some texts occurs.

        :param texts: in small letters; letters of either case match, those of ASCII at least.
        :param after: only larger sequence numbers.
        :param examined: most allocations to compare.
        :param limit: most allocations to return.
        :return: them by sequence number, and the number of the last that was compared; None at the end.
        """

    def expired(self, now: int, limit: int) -> list[AllocationRow]:
        """Allocations whose cool-down has ended, the longest ended first."""

    def hosts_in_use(self) -> set[str]:
        """Hosts that hold an address, cooling or not, or claim a block."""

    def recall(self, key: str) -> Remembered | None:
        """The request and the allocations of an idempotency key; None when it is not bound."""


class ReadTrail(Protocol):
    """The trail of events."""

    def events(self, wanted: Trail) -> list[Event]:
        """Events by id, ascending."""

    def newest_event(self, upto: int) -> int:
        """The largest id of an event up to one; 0 when there is none."""

    def cohort_labels(self) -> dict[int, Labels]:
        """The labels of every cohort that exists or that events name."""

    def pruned(self) -> int:
        """The largest id of a pruned event; 0 when there is none."""


class ReadTokens(Protocol):
    """Tokens of the service."""

    def tokens(self) -> list[Token]:
        """All tokens by name."""


class ReadOrphans(Protocol):
    """Orphans: addresses that external systems may hold without an allocation."""

    def orphans(self, driver: str | None = None) -> list[Orphan]:
        """Orphans of a driver, or all of them, the oldest first."""


class ReadAgents(Protocol):
    """Reports of the agents of hosts."""

    def agents(self, scope: str | None = None) -> list[AgentReport]:
        """The last report of each agent of a scope, or of all, by host and scope."""

    def agent(self, host: str, scope: str) -> AgentReport | None:
        """The last report of one agent; None when there is none."""

    def agents_mark(self) -> tuple[int, int]:
        """Two numbers that differ after each change of a report; repeated reports are none."""


class Inspection(Protocol):
    """Stored rows, independent of caches and of the declared objects."""

    def reload(self) -> Catalogue:
        """The catalogue read again, without the cache."""

    def risks(self) -> list[Finding]:
        """The settings of the database server that may lose an acknowledged change."""

    def times_after(self, bound: int) -> Times:
        """The latest of the times after a bound."""

    def taken_in(self, subnet: Subnet) -> Iterator[tuple[int, int]]:
        """Allocated and cooling addresses of the subnet's scope and prefix, ascending.

        :return: each with the subnet id of its row.
        """

    def homeless(self) -> list[AllocationRow]:
        """Allocations whose address lies in no subnet of their scope."""

    def stored_counts(self, subnet_id: int) -> dict[int, tuple[int, int]]:
        """The counts stored beside each bitmap, by block id: free addresses, and 1 when there are any."""

    def misfiled(self, subnet_id: int) -> list[Block | FreeRange]:
        """Blocks and free ranges with a search column that differs from the columns it is computed from."""

    def stored_cohorts(self) -> list[StoredCohort]:
        """All cohorts, also when the catalogue cannot be read."""

    def strays(self) -> list[Block | FreeRange]:
        """Blocks and free ranges whose subnet does not exist."""


class ReadUnit(
    ReadSpace,
    ReadAllocations,
    ReadTrail,
    ReadTokens,
    ReadOrphans,
    ReadAgents,
    Inspection,
    Protocol,
):
    """One transaction's view of the store."""


# --- A unit of work: what it writes -----------------------------------------------------------------


class WriteAllocations(Protocol):
    """Changes of address space and allocations, and of idempotency keys."""

    def commit(self, plan: Plan, now: int, bind: Binding | None = None) -> list[int]:
        """Write a plan and its events.

        :param bind: the idempotency key to bind to the plan's grants.
        :return: the sequence number of each grant, in order.
        :raises LostRace: a precondition does not hold, or the key is bound already.
        """

    def bind(
        self,
        bind: Binding,
        sequences: Sequence[int],
        now: int,
        seen: Remembered | None = None,
    ) -> None:
        """Bind an idempotency key to allocations that this unit has committed.

        :param seen: the allocations that the key is bound to so far; None when it is not bound.
        :raises LostRace: the key is bound otherwise.
        """

    def forget(self, before: int, limit: int) -> int:
        """Drop the oldest keys bound before a time whose addresses are released; return their number."""


class WriteDeclarations(Protocol):
    """Changes of declared objects; each is followed by one :meth:`touch`."""

    def touch(self, seen: int) -> None:
        """Make the next version of the catalogue, and drop cohorts without subnets.

        :param seen: the version that the change was decided on.
        :raises LostRace: the catalogue is at another version.
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
        """Keep other units from changing the space of subnets until this unit ends.

        Called before a unit reads space that it will rebuild. The store may run the unit again for it.
        """

    def add_subnets(self, subnets: Sequence[Subnet]) -> list[tuple[Subnet, int]]:
        """Add subnets without space.

        :return: each with its id, and the id of its cohort.
        """

    def put_subnet(self, subnet: Subnet) -> Subnet:
        """Change a subnet; blocks follow its cohort.

        :return: the subnet with its version.
        :raises LostRace: it is at another version; or an address outside its ranges changed before its space
            was locked.
        """

    def remove_subnet(self, subnet: Subnet) -> None:
        """Remove a subnet without allocations, its space, and its cooling addresses.

        :raises LostRace: it is at another version.
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
        """Remove the oldest events, but never the newest one; return their number.

        The labels of a removed cohort are removed with the last event that names it.

        :param through: the largest id to remove.
        :param limit: the most events to remove.
        """


class WriteTokens(Protocol):
    """Changes of tokens."""

    def add_token(self, token: Token) -> None:
        """Add a token.

        :raises LostRace: the name is in use.
        """

    def remove_token(self, name: str) -> None:
        """Remove a token."""


class WriteOrphans(Protocol):
    """Changes of orphans."""

    def keep_orphan(self, orphan: Orphan) -> None:
        """Keep an orphan; one with the same token is replaced."""

    def discard_orphan(self, token: str) -> None:
        """Forget an orphan, if it is still kept."""


class WriteAgents(Protocol):
    """Changes of the reports of agents."""

    def put_agent(self, report: AgentReport, seen: AgentReport | None) -> None:
        """Keep the report of an agent.

        :param seen: the one before; None for none.
        :raises LostRace: it is another one.
        """

    def remove_agent(self, host: str) -> None:
        """Forget the reports of a host."""


class Repair(Protocol):
    """Repair of findings of an inspection."""

    def cut_rests(self, subnet_id: int, until: int) -> None:
        """End the cool-downs of a subnet no later than a time."""

    def cut_leases(self, subnet_id: int, latest: int) -> None:
        """End the leases of a subnet no later than if they were renewed at a time."""

    def cut_idle_marks(self, subnet_id: int, latest: int) -> None:
        """Date the idle marks of a subnet no later than a time."""

    def cut_keys(self, latest: int) -> None:
        """Date the idempotency keys no later than a time."""

    def retire_cohort(self, id: int) -> None:
        """Give a cohort a key that no subnet can have; put its subnets again, then :meth:`touch`."""

    def remove_strays(self) -> None:
        """Remove the rows of :meth:`Inspection.strays`."""

    def rehome(self, pairs: Sequence[tuple[AllocationRow, AllocationRow]]) -> None:
        """Put allocations into other subnets or scopes, or end their cool-downs earlier.

        They keep everything else, so that addresses may exchange scopes.

        :param pairs: each as it was read, and as it becomes.
        :raises LostRace: one is not as it was read.
        """


class Unit(
    ReadUnit,
    WriteAllocations,
    WriteDeclarations,
    WriteTrail,
    WriteTokens,
    WriteOrphans,
    WriteAgents,
    Repair,
    Protocol,
):
    """One transaction's view of the store, and its writes."""


# --- The store --------------------------------------------------------------------------------------


class Store(Protocol):
    """A store of address space."""

    def transact(
        self,
        work: Callable[[Unit], T],
        *,
        write: bool = True,
        repeatable: bool = False,
        declares: bool = False,
        brief: bool = False,
    ) -> T:
        """Run a unit of work in one transaction, and again after each lost race, within a bound.

        :param write: the unit may write; one that only reads never waits for writers.
        :param brief: the unit writes, takes milliseconds and declares nothing. It may share its transaction
            with units of other threads: each keeps its own answer or error, and none is answered
            before the commit.
        :param declares: the unit changes declared objects; such units queue.
        :param repeatable: the unit detects that it was done before, so it may run again after a commit
            whose answer was lost.
        :raises Contended: the bound is reached.
        :raises Unavailable: the database cannot be reached, or went away.
        """

    @property
    def known(self) -> Catalogue | None:
        """The catalogue as last read, for a :class:`TakeRequest`.

        None when none was read, and where a unit of work is as quick.
        """

    def allocate(self, order: TakeRequest, work: Callable[[Unit], T]) -> Taken | T:
        """Allocate one address, or run the unit of work with the same result.

        :raises Contended: the bound is reached.
        :raises Unavailable: the database cannot be reached, or went away.
        """

    def horizon(self) -> int:
        """An id up to which events are complete: a later snapshot shows all of them.

        Ids are assigned before transactions commit, in another order. The horizon is below the smallest id
        that an open transaction may have; no later transaction adds an event up to it.

        :raises Contended: the bound is reached.
        :raises Unavailable: the database cannot be reached, or went away.
        """

    @property
    def retries(self) -> int:
        """Number of repeated units since the store was opened."""

    def close(self) -> None:
        """Release connections and files."""
