"""The differences between databases, as protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import sqlalchemy as sa

from borough.domain.declared.records import Subnet
from borough.domain.policy.take import TakeRequest
from borough.domain.space.findings import Finding
from borough.domain.space.keys import Binding
from borough.domain.space.partitions import Partition
from borough.domain.space.plan import Plan
from borough.store.sql.giving import BoundsCache, Hints, Outcome
from borough.store.sql.runner import Runner

#: The loss where a server does not protect whole pages.
TORN_PAGE: Final = "a page half written in a power cut is lost, with all acknowledged changes in it"


def risk(code: str, setting: str, value: object, wanted: str, loss: str) -> Finding:
    """A finding: a setting of a server that may lose an acknowledged change.

    :param wanted: the value that the setting should have.
    :param loss: the possible loss.
    """
    return Finding(code, "", setting, f"the server has {setting}={value}, not {wanted}: {loss}")


@dataclass(frozen=True, slots=True)
class LockRequest:
    """The locks that a transaction waits for before it reads.

    :ivar free_ranges: ids of the free ranges that the last attempt cut, ascending.
    :ivar blocks: ids of the blocks that earlier attempts changed, ascending.
    :ivar serializable: locks on these rows did not suffice, because each attempt needs another piece.
    :ivar starved: the transaction has lost several races.
    :ivar declares: it changes declared objects; such transactions queue.
    :ivar subnets: ids of the subnets whose space it locks until it ends, ascending.
    """

    free_ranges: Sequence[int] = ()
    blocks: Sequence[int] = ()
    serializable: bool = False
    starved: bool = True
    declares: bool = False
    subnets: Sequence[int] = ()


class Dialect(Protocol):
    """One kind of database."""

    #: Statements that begin a transaction that writes, and one that only reads.
    begin_write: str
    begin_read: str

    #: The driver reports the key of an inserted row without ``RETURNING``.
    tells_key: bool

    #: Several transactions write at once, so one that lost a race pauses; and connections can be lost.
    is_server: bool

    #: Where an allocation is one statement; None where a transaction is as quick.
    giver: Giver | None
    #: Sends takes of several callers together; None where the driver or the server cannot.
    sharer: Sharer | None

    #: Where a plan of many rows takes few statements; None where each row is a call and no round trip.
    writer: Writer | None

    def engine(self, url: sa.URL, *, create: bool) -> sa.Engine:
        """Open a connection pool.

        :param create: make a database that does not exist.
        :raises NotInitialised: it does not exist, and ``create`` is not set.
        """

    def compiler(self, engine: sa.Engine) -> sa.Dialect:
        """The SQLAlchemy dialect whose parameters the cursor understands."""

    def cursor(self, connection: Any) -> Any:
        """A cursor on a pooled connection."""

    def partition(self, connection: Any) -> Partition:
        """The partition of the server at the other end, among writers that share no locks."""

    def begin_locked(self, runner: Runner, request: LockRequest) -> None:
        """Begin a transaction that writes, and wait for locks before its snapshot.

        The locks give fairness only. The preconditions of its writes keep the transaction correct.
        """

    def risks(self, runner: Runner) -> list[Finding]:
        """The settings of the server that may lose an acknowledged change."""

    def limit(self, connection: Any, seconds: float) -> None:
        """Make the server abort each statement of a driver's connection after a time."""

    def horizon(self, runner: Runner) -> int:
        """See :meth:`borough.store.port.Store.horizon`.

        :param runner: on a connection without a transaction.
        """

    def is_alive(self, connection: Any) -> bool:
        """False when an idle connection is known to be dead; sends nothing."""

    def translate(self, error: Exception) -> Exception:
        """The error to raise in place of the driver's, by its code; other errors as they are."""


class Giver(Protocol):
    """Allocates one address in one statement, or reads the facts of a decision."""

    def give(
        self,
        runner: Runner,
        order: TakeRequest,
        hints: Hints,
        bounds_cache: BoundsCache,
        *,
        wait: bool,
    ) -> Outcome:
        """Try to allocate.

        :param wait: wait for a locked block, instead of skipping it.
        """


class Sharer(Protocol):
    """Sends the takes of several callers in one round trip and one transaction."""

    def ready(self, runner: Runner, order: TakeRequest, hints: Hints) -> Any:
        """The statement of a take, made in the context of its caller."""

    def give_all(
        self, connection: Any, takes: Sequence[Any], hints: Hints
    ) -> Sequence[Outcome | None]:
        """Send takes; each sees those before it.

        :return: None for a take that has to be sent again, alone.
        :raises Exception: an error of one of them, which undoes all.
        """


class Writer(Protocol):
    """Writes a plan in one statement, or in one for each kind of row."""

    def wants(self, plan: Plan) -> bool:
        """True when a plan is written faster this way."""

    def write(
        self,
        runner: Runner,
        plan: Plan,
        subnets: Mapping[int, Subnet],
        grants: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
        events: Sequence[Mapping[str, Any]],
    ) -> list[int]:
        """Write a plan's rows in the present transaction, each with its precondition.

        :param subnets: the subnets that the plan was decided on, by id.
        :param grants: for each grant, the columns of its event and of its allocation.
        :param events: further events.
        :return: the sequence number of each grant.
        :raises LostRace: a precondition does not hold.
        """

    def write_alone(
        self,
        runner: Runner,
        plan: Plan,
        subnets: Mapping[int, Subnet],
        grants: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
        events: Sequence[Mapping[str, Any]],
        bind: Binding | None,
    ) -> list[int]:
        """Write a plan of one grant in a transaction of its own, in one round trip; see :meth:`write`.

        :param bind: the idempotency key to bind to the grant.
        """
