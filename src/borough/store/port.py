"""What a store must do: the port that the engine is written against.

A store runs a *unit of work* in one transaction and retries it as a whole when it lost a race. A
unit reads through the methods of :class:`~borough.domain.space.Space` and writes a
:class:`~borough.domain.space.Plan` with :meth:`Unit.commit`; every row of a plan has a precondition,
and one that does not hold raises :class:`LostRace`, which undoes the whole unit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypeVar

from borough.domain.block import Block, Run
from borough.domain.dimension import Dimension, Labels
from borough.domain.event import Event, EventRow
from borough.domain.inspect import Finding, StoredCohort
from borough.domain.ladder import Rung
from borough.domain.model import AllocationRow, Catalogue, Host, Pool, Request, Subnet
from borough.domain.prefix import Prefix
from borough.domain.space import Plan, Space, Tally
from borough.domain.token import Token

T = TypeVar("T")

#: Seconds for which a unit of work is run again, unless the caller says otherwise, before others are
#: reported to be in the way.
PATIENCE: Final = 30.0


class LostRace(Exception):
    """A precondition of a unit no longer holds; the store runs the unit again."""


class Contradiction(LostRace):
    """A row that was to be added is there already.

    Somebody was faster; or, when it happens again and again, the tables contradict each other.
    """


@dataclass(frozen=True, slots=True)
class Trail:
    """Which events are meant.

    :ivar after: only ids above this one, for paging.
    :ivar upto: only ids up to this one: what :meth:`Store.horizon` said.
    :ivar cohorts: only events of these cohorts; None for all events.
    """

    after: int
    upto: int
    limit: int
    cohorts: Sequence[int] | None = None


#: Microseconds for which somebody may be busy giving an address back.
GRACE: Final = 60_000_000


class Leftover(NamedTuple):
    """What a system behind a driver may hold for nobody, until it has been given back.

    :ivar token: its key: what the system was told to remember the address by.
    :ivar at: when it was left, in microseconds since the epoch.
    :ivar address: in text; empty when the answer was lost that would have told it.
    :ivar owner: whom it was meant for.
    :ivar reason: one sentence for a person; empty while somebody is giving it back.
    """

    token: str
    at: int
    driver: str
    scope: str
    subnet: str
    address: str
    owner: str
    reason: str

    def may_be_under_way(self, now: int) -> bool:
        """True when it was left a moment ago. Left by a clock that was ahead of its time, it was not.

        :param now: microseconds since the epoch.
        """
        return abs(now - self.at) <= GRACE

    def is_due(self, now: int) -> bool:
        """Whether it is nobody's work in progress: it has failed, or its process must be dead by now.

        :param now: microseconds since the epoch.
        """
        return bool(self.reason) or not self.may_be_under_way(now)


class Times(NamedTuple):
    """The latest times that are stored, in microseconds since the epoch.

    :ivar rests: by subnet id, when its longest cool-down ends.
    :ivar idle_marks: by subnet id, its latest mark of a region or block as idle.
    :ivar key: when the newest idempotency key was bound; None for no key.
    """

    rests: dict[int, int]
    idle_marks: dict[int, int]
    key: int | None


class Binding(NamedTuple):
    """An idempotency key, and the fingerprint of the request that it is used with."""

    key: str
    fingerprint: str


class Remembered(NamedTuple):
    """What an idempotency key stands for.

    :ivar sequences: sequence numbers of the allocations that were given.
    """

    fingerprint: str
    sequences: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which allocations are meant; None leaves a field out.

    :ivar subnet_ids: only addresses of these subnets.
    :ivar within: only addresses of this prefix; comes with a scope.
    :ivar owner_prefix: only owners whose name begins so.
    :ivar after: only sequence numbers above this one, for paging.
    """

    scope: str | None = None
    owner: str | None = None
    host: str | None = None
    subnet_id: int | None = None
    subnet_ids: tuple[int, ...] | None = None
    within: Prefix | None = None
    owner_prefix: str | None = None
    sequences: tuple[int, ...] | None = None
    after: int = 0
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """One address wanted, for stores that can give it in one round trip.

    A store may give it by itself where the rules leave no choice: the first block that the rungs have to
    offer is the claimant's own, or there is no claimant, and the address is the lowest free one of it.
    Everything else is decided in a unit of work.

    :ivar catalogue: what the ladder was made from; the order is void when it changed since.
    :ivar rungs: the ladder; empty when the address is known beforehand.
    :ivar ladder: tells the ladder apart from all others, without keeping it.
    :ivar claimant: see :class:`borough.domain.ladder.ResolvedSelector`.
    :ivar lowest: whether the lowest address of a rung is wanted, and not just any.
    :ivar now: microseconds since the epoch.
    :ivar fingerprint: what the idempotency key is bound to; empty without one.
    """

    catalogue: Catalogue
    rungs: tuple[Rung, ...]
    ladder: object
    claimant: str
    lowest: bool
    request: Request
    now: int
    fingerprint: str


class Taken(NamedTuple):
    """What a store gave by itself.

    :ivar block: where the address lies, as it is now.
    """

    block: Block
    address: int
    sequence: int


class Unit(Space, Protocol):
    """One transaction's view of the store, and its writes."""

    @property
    def catalogue(self) -> Catalogue:
        """The declared objects, as they stand in this transaction."""

    # Allocations

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

    def recall(self, key: str) -> Remembered | None:
        """What an idempotency key was used for."""

    def forget(self, before: int, limit: int) -> int:
        """Drop the oldest keys bound before a time whose addresses are gone; return how many."""

    def expired(self, now: int, limit: int) -> list[AllocationRow]:
        """Cooling allocations whose rest is over, the longest expired first."""

    # Reading

    def allocations(self, wanted: Filter) -> list[AllocationRow]:
        """Allocations by sequence number."""

    def blocks(self, subnet_ids: Sequence[int] | None = None) -> list[Block]:
        """All blocks, or those of some subnets, by subnet and address."""

    def runs(self, subnet_ids: Sequence[int] | None = None) -> list[Run]:
        """All runs, or those of some subnets, by subnet and address."""

    def tallies(self, subnet_ids: Sequence[int]) -> dict[int, Tally]:
        """How subnets stand."""

    def events(self, wanted: Trail) -> list[Event]:
        """Events by id, ascending."""

    def newest_event(self, upto: int) -> int:
        """The largest id of an event up to one; 0 when there is none."""

    def cohort_labels(self) -> dict[int, Labels]:
        """The labels of every cohort that events name, also of those that are gone."""

    def pruned(self) -> int:
        """The largest id of an event that was pruned; 0 when none was."""

    def prune(self, through: int, limit: int) -> int:
        """Remove the oldest events, but never the newest one; return how many were removed.

        :param through: the largest id to remove.
        :param limit: the most events to remove.
        """

    # Tokens of the service

    def tokens(self) -> list[Token]:
        """All tokens by name."""

    def add_token(self, token: Token) -> None:
        """Add a token.

        :raises LostRace: when there is one of its name.
        """

    def remove_token(self, name: str) -> None:
        """Remove a token."""

    # What drivers have left behind in other systems

    def leave(self, leftover: Leftover) -> None:
        """Keep a leftover; one with the same token is replaced."""

    def leftovers(self, driver: str | None = None) -> list[Leftover]:
        """Leftovers of a driver, or all of them, the oldest first."""

    def settle(self, token: str) -> None:
        """Forget a leftover, if it is still kept."""

    # Declared objects. Each of these is followed by one :meth:`touch`.

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

    def cohort_of(self, subnet_id: int) -> int:
        """The cohort of a subnet written in this unit."""

    def record(self, *events: EventRow) -> None:
        """Add events."""

    # Auditing: what is stored, as it is stored

    def times_after(self, bound: int) -> Times:
        """The latest times, of those that are later than a bound."""

    def cut_rests(self, subnet_id: int, until: int) -> None:
        """Let the cool-downs of a subnet end no later than this."""

    def cut_idle_marks(self, subnet_id: int, latest: int) -> None:
        """Date the idle marks of a subnet no later than this."""

    def cut_keys(self, latest: int) -> None:
        """Date the idempotency keys no later than this."""

    def risks(self) -> list[Finding]:
        """The settings of the database server by which an acknowledged change may be lost."""

    def reload(self) -> Catalogue:
        """The catalogue read anew, whatever is cached of it."""

    def taken_in(self, subnet: Subnet) -> Iterator[tuple[int, int]]:
        """Addresses of the subnet's scope and prefix that are held or cool, ascending.

        :return: each with the id of the subnet that its row names.
        """

    def homeless(self) -> list[AllocationRow]:
        """Allocations that lie in no subnet of their scope, whichever they name."""

    def stored_counts(self, subnet_id: int) -> dict[int, tuple[int, int]]:
        """What is stored beside each bitmap, by block id: free addresses, and 1 when it has any."""

    def misfiled(self, subnet_id: int) -> list[Block | Run]:
        """Blocks and runs whose columns that only serve a search differ from what they repeat."""

    def stored_cohorts(self) -> list[StoredCohort]:
        """All cohorts; does not need the catalogue to be readable."""

    def retire_cohort(self, id: int) -> None:
        """Make a cohort one that nothing can mean; put its subnets again and :meth:`touch`."""

    def strays(self) -> list[Block | Run]:
        """Blocks and runs whose subnet does not exist."""

    def remove_strays(self) -> None:
        """Remove what :meth:`strays` finds."""

    def rehome(self, allocation: AllocationRow, subnet_id: int) -> None:
        """Make an allocation name another subnet; it keeps its sequence number.

        :raises LostRace: when it is gone.
        """


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

    def give(self, order: Order, work: Callable[[Unit], T]) -> Taken | T:
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
