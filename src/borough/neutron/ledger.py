"""What a transaction of Neutron's has done at the service, and what becomes of it when the transaction ends.

The service knows nothing of Neutron's transactions. So what a transaction takes is noted and given back when
it, or the savepoint around it, is undone; and what it gives back is only noted, and given back when it is
committed. Nothing is ever freed that a port in Neutron's tables has: they are read first, after the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from oslo_log import log as logging
from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from borough.errors import BoroughError
from borough.neutron import truth
from borough.neutron.service import Held, Service

LOG: Final = logging.getLogger(__name__)

_KEY: Final = "borough_remote"


class Act(Enum):
    """What was done: to an address, or to a subnet."""

    TAKE = auto()
    DROP = auto()
    KEEP = auto()
    DECLARE = auto()
    REMOVE = auto()


class Entry(NamedTuple):
    """One act, and the transaction or savepoint that it was done in.

    :ivar of: an address, or the id of a subnet.
    """

    within: SessionTransaction | None
    act: Act
    of: Held | str


class Ledger:
    """The acts of one session, in order, until its transaction ends."""

    def __init__(self, session: Session, service: Service) -> None:
        self._session = session
        self._service = service
        self._reset()
        event.listen(session, "before_commit", self._before_commit)
        event.listen(session, "after_commit", self._after_commit)
        event.listen(session, "after_rollback", self._after_rollback)
        event.listen(session, "after_soft_rollback", self._after_savepoint)
        event.listen(session, "after_transaction_end", self._after_end)

    @classmethod
    def of(cls, session: Session, service: Service) -> Ledger:
        """The ledger of a session; made when there is none."""
        found = session.info.get(_KEY)
        if found is None:
            found = session.info[_KEY] = cls(session, service)
        ledger: Ledger = found
        return ledger

    def _reset(self) -> None:
        self._entries: list[Entry] = []
        self._undone: list[Entry] = []
        self._is_committing = False
        self._is_committed = False
        self._is_rolled_back = False
        self._connection: sa.Connection | None = None

    def note(self, act: Act, of: Held | str) -> None:
        """Note an act."""
        self._connection = self._session.connection()
        within = self._session.get_nested_transaction() or self._session.get_transaction()
        self._entries.append(Entry(within, act, of))

    def last(self, scope: str, address: str) -> Entry | None:
        """The latest act on an address in this transaction."""
        for entry in reversed(self._entries):
            if isinstance(entry.of, Held) and entry.of[1:3] == (scope, address):
                return entry
        return None

    # --- Ends -----------------------------------------------------------------------------------

    def _before_commit(self, session: Session) -> None:
        self._is_committing |= not session.in_nested_transaction()

    def _after_commit(self, session: Session) -> None:
        self._is_committed |= not session.in_nested_transaction()

    def _after_rollback(self, session: Session) -> None:
        # Over a connection that broke nobody has heard what became of a commit.
        if self._connection is not None and not session.in_nested_transaction():
            self._is_rolled_back = not self._connection.invalidated

    def _after_savepoint(self, _session: Session, ended: SessionTransaction) -> None:
        # Of the whole transaction: by then its end is dealt with, and this finds nothing.
        self._undone += [each for each in self._entries if _lies_in(each.within, ended)]
        self._entries = [each for each in self._entries if not _lies_in(each.within, ended)]

    def _after_end(self, session: Session, ended: SessionTransaction) -> None:
        if ended.parent is not None:
            return
        undone, done = self._undone, self._entries
        if not self._is_committed:
            undone, done = undone + done, []
        is_unknown = self._is_committing and not self._is_committed and not self._is_rolled_back
        self._reset()
        addresses = {each.of for each in undone if each.act is Act.TAKE} | _dropped(done)
        subnets = {each.of for each in undone if each.act is Act.DECLARE}
        subnets |= {each.of for each in done if each.act is Act.REMOVE}
        if addresses or subnets:
            settle = Settlement(self._service, session.get_bind().engine, is_unknown=is_unknown)
            settle(
                {each for each in addresses if isinstance(each, Held)},
                {each for each in subnets if isinstance(each, str)},
            )


def _lies_in(transaction: SessionTransaction | None, outer: SessionTransaction) -> bool:
    while transaction is not None and transaction is not outer:
        transaction = transaction.parent
    return transaction is outer


def _dropped(done: Iterable[Entry]) -> set[Held | str]:
    """The addresses that were given back, and not kept after all."""
    latest = {each.of: each.act for each in done if isinstance(each.of, Held)}
    return {of for of, act in latest.items() if act is Act.DROP}


class Settlement:
    """Makes the service agree with what a transaction that has ended left in Neutron's tables."""

    def __init__(self, service: Service, engine: sa.Engine, *, is_unknown: bool) -> None:
        """Settle what a session did.

        :param engine: Neutron's database.
        :param is_unknown: whether the commit failed, and may have been carried out all the same.
        """
        self._service = service
        self._engine = engine
        self._is_unknown = is_unknown

    def __call__(self, addresses: set[Held], subnets: set[str]) -> None:
        """Free addresses, and declare or remove subnets; what fails is logged, and found by the audit."""
        try:
            wanted, in_use = self._read(addresses, subnets)
        except Exception:
            LOG.exception(
                "Neutron's database did not say what became of a transaction; %s", _left(addresses)
            )
            return
        for held in sorted(addresses):
            if (held.subnet, held.address) in in_use:
                LOG.info("Address %s of subnet %s is in use; it is kept", held.address, held.subnet)
            elif self._is_unknown:
                LOG.error("Nobody knows whether a transaction was committed; %s", _left([held]))
            else:
                self._try(lambda held=held: self._service.free(held), _left([held]))  # type: ignore[misc]
        for name in sorted(subnets):
            self._try(
                lambda name=name: self._settle_subnet(name, wanted.get(name)),  # type: ignore[misc]
                f"subnet {name} may differ at the service: {_AUDIT}",
            )

    def _read(self, addresses: set[Held], subnets: set[str]) -> Any:
        # The session has given its own connection back by now.
        with self._engine.connect() as connection:
            in_use = truth.in_use(connection, ((each.subnet, each.address) for each in addresses))
            return truth.placed(connection, sorted(subnets)), in_use

    def _settle_subnet(self, name: str, wanted: Any) -> None:
        if wanted is None:
            self._service.forget(name)
        else:
            self._service.declare(wanted)

    @staticmethod
    def _try(act: Callable[[], None], left: str) -> None:
        try:
            act()
        except BoroughError as error:
            LOG.error("The address service: %s; %s", error.message, left)


_AUDIT: Final = "borough neutron audit --repair mends it"


def _left(addresses: Iterable[Held]) -> str:
    names = ", ".join(f"{each.address} of subnet {each.subnet}" for each in sorted(addresses))
    return f"held at the service, perhaps for nobody: {names or 'nothing'}; {_AUDIT}"
