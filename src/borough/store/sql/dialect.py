"""The differences between databases, as protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from borough.domain.declared.records import Subnet
from borough.domain.policy.take import TakeRequest
from borough.domain.space.inspection import Finding
from borough.domain.space.partitions import Partition
from borough.domain.space.plan import Plan
from borough.store.sql.giving import BoundsCache, Hints, Outcome
from borough.store.sql.read_set import Guess
from borough.store.sql.runner import Runner


def risk(code: str, setting: str, value: object, wanted: str, loss: str) -> Finding:
    """A setting of a server by which an acknowledged change may be lost.

    :param wanted: what the setting should be.
    :param loss: what happens, and when.
    """
    return Finding(code, "", setting, f"the server has {setting}={value}, not {wanted}: {loss}")


@dataclass(frozen=True, slots=True)
class LockRequest:
    """The locks that a transaction waits for before it reads.

    :ivar runs: the keys of the unused runs that the last attempt wanted, in ascending order.
    :ivar blocks: the keys of the blocks that earlier attempts wanted to change, in ascending order.
    :ivar firm: whether it has lost in line as well, because what it wants is another piece each time.
    :ivar starved: whether it lost again and again.
    :ivar declares: whether it changes what is declared: such transactions take turns.
    :ivar subnets: the subnets whose space nobody else may change until it ends, in ascending order.
    """

    free_ranges: Sequence[int] = ()
    blocks: Sequence[int] = ()
    serializable: bool = False
    starved: bool = True
    declares: bool = False
    subnets: Sequence[int] = ()


class Dialect(Protocol):
    """One kind of database."""

    #: Text that begins a transaction that writes, and one that only reads.
    begin_write: str
    begin_read: str

    #: Whether the driver tells the key of an inserted row by itself; ``RETURNING`` is not needed then.
    tells_key: bool

    #: Whether several transactions write at once, so that one that lost should pause before it runs
    #: again, and connections can be lost.
    is_server: bool

    #: Whether the writer can check a guess, so that a decision may be made on what is remembered.
    can_guess: bool

    #: Where an allocation is one statement; None where a transaction is as quick.
    giver: Giver | None

    #: Where a plan of many rows takes few statements; None where each row is a call and no round trip.
    writer: Writer | None

    def engine(self, url: sa.URL, *, create: bool) -> sa.Engine:
        """Open a connection pool.

        :param create: whether a database that does not exist may be made.
        :raises NotInitialised: when it does not exist and may not be made.
        """

    def compiler(self, engine: sa.Engine) -> sa.Dialect:
        """What statements are compiled with, so that the cursor understands their parameters."""

    def cursor(self, connection: Any) -> Any:
        """A cursor on a pooled connection."""

    def partition(self, connection: Any) -> Partition:
        """Which of the writers that cannot see each other's locks is at the other end."""

    def begin_locked(self, runner: Runner, request: LockRequest) -> None:
        """Begin a transaction that writes, and wait in line before its snapshot is taken.

        Waiting is fair, and nothing else: that a transaction changes nothing which changed since it was
        read is seen to where it writes.
        """

    def risks(self, runner: Runner) -> list[Finding]:
        """The settings of the server by which an acknowledged change may be lost."""

    def limit(self, connection: Any, seconds: float) -> None:
        """Have the server give up each statement of a driver's connection after some time."""

    def horizon(self, runner: Runner) -> int:
        """See :meth:`borough.store.port.Store.horizon`.

        :param run: on a connection that is in no transaction.
        """

    def is_alive(self, connection: Any) -> bool:
        """Whether a connection that lay idle is still good, as far as can be told without asking."""

    def translate(self, error: Exception) -> Exception:
        """The error to raise in place of one of the driver's, told apart by its code."""


class Giver(Protocol):
    """Gives one address in one statement."""

    def give(
        self,
        runner: Runner,
        order: TakeRequest,
        hints: Hints,
        bounds_cache: BoundsCache,
        *,
        wait: bool,
    ) -> Outcome:
        """Try to.

        :param wait: whether to wait for a locked block, instead of looking for one that is not.
        """


class Writer(Protocol):
    """Writes a plan in as many statements as it has kinds of rows, or in one."""

    def wants(self, plan: Plan) -> bool:
        """Whether it is the better way for this plan."""

    def write(
        self,
        runner: Runner,
        plan: Plan,
        subnets: Mapping[int, Subnet],
        grants: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
        events: Sequence[Mapping[str, Any]],
        guess: Guess | None = None,
    ) -> list[int]:
        """Write a plan's rows, each with its precondition.

        :param subnets: the subnets that the plan was decided on, by id.
        :param grants: for each grant, the columns of its event and of its allocation.
        :param events: further events.
        :param guess: what the plan was decided on without looking, to be checked by the same statement.
        :return: the sequence number of each grant.
        :raises LostRace: when a row is not as the plan expects it.
        """
