"""Compensation at the service for the acts of a transaction of Neutron, when the transaction ends.

The service takes no part in Neutron's transactions. So each address that a transaction takes is noted, and
released when the transaction, or the savepoint around it, is rolled back. An address that it drops is
released after the commit. An address of a port in Neutron's tables is never released: the tables are read
first, after the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum, auto
from functools import partial
from typing import Final, NamedTuple

import sqlalchemy as sa
from oslo_log import log as logging
from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from borough.errors import BoroughError
from borough.neutron import tables
from borough.neutron.service.client import AddressService, ServiceAddress

LOG: Final = logging.getLogger(__name__)

_KEY: Final = "borough_remote"


class SessionAct(Enum):
    """An act on an address or on a subnet."""

    TAKE = auto()
    DROP = auto()
    KEEP = auto()
    DECLARE = auto()
    REMOVE = auto()


class NotedAct(NamedTuple):
    """One act, and the transaction or savepoint around it.

    :ivar of: an address, or the id of a subnet.
    """

    within: SessionTransaction | None
    act: SessionAct
    of: ServiceAddress | str


class Compensation:
    """The acts of one session, in order, until its transaction ends."""

    def __init__(self, session: Session, service: AddressService) -> None:
        self._session = session
        self._service = service
        self._reset()
        event.listen(session, "before_commit", self._before_commit)
        event.listen(session, "after_commit", self._after_commit)
        event.listen(session, "after_rollback", self._after_rollback)
        event.listen(session, "after_soft_rollback", self._after_savepoint)
        event.listen(session, "after_transaction_end", self._after_end)

    @classmethod
    def of(cls, session: Session, service: AddressService) -> Compensation:
        """The compensation of a session; the first call creates it."""
        found = session.info.get(_KEY)
        if found is None:
            found = session.info[_KEY] = cls(session, service)
        compensation: Compensation = found
        return compensation

    def _reset(self) -> None:
        self._entries: list[NotedAct] = []
        self._undone: list[NotedAct] = []
        self._is_committing = False
        self._is_committed = False
        self._is_rolled_back = False
        self._connection: sa.Connection | None = None

    def note(self, act: SessionAct, of: ServiceAddress | str) -> None:
        """Note an act in the present transaction or savepoint."""
        self._connection = self._session.connection()
        within = self._session.get_nested_transaction() or self._session.get_transaction()
        self._entries.append(NotedAct(within, act, of))

    def last(self, scope: str, address: str) -> NotedAct | None:
        """The latest act on an address in this transaction."""
        for entry in reversed(self._entries):
            if isinstance(entry.of, ServiceAddress) and entry.of[1:3] == (scope, address):
                return entry
        return None

    # --- Ends -----------------------------------------------------------------------------------

    def _before_commit(self, session: Session) -> None:
        self._is_committing |= not session.in_nested_transaction()

    def _after_commit(self, session: Session) -> None:
        self._is_committed |= not session.in_nested_transaction()

    def _after_rollback(self, session: Session) -> None:
        # After a connection is lost the outcome of a commit is unknown.
        if self._connection is not None and not session.in_nested_transaction():
            self._is_rolled_back = not self._connection.invalidated

    def _after_savepoint(self, _session: Session, ended: SessionTransaction) -> None:
        # For the whole transaction this finds nothing: its end has been handled.
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
        addresses = {each.of for each in undone if each.act is SessionAct.TAKE} | _dropped(done)
        subnets = {each.of for each in undone if each.act is SessionAct.DECLARE}
        subnets |= {each.of for each in done if each.act is SessionAct.REMOVE}
        if addresses or subnets:
            self._compensate(
                session.get_bind().engine,
                {each for each in addresses if isinstance(each, ServiceAddress)},
                {each for each in subnets if isinstance(each, str)},
                is_unknown=is_unknown,
            )

    # --- Compensation ---------------------------------------------------------------------------

    def _compensate(
        self,
        engine: sa.Engine,
        addresses: set[ServiceAddress],
        subnets: set[str],
        *,
        is_unknown: bool,
    ) -> None:
        """Release addresses, and declare or remove subnets; log a failure, which the audit finds.

        :param engine: Neutron's database; the session has returned its own connection.
        :param is_unknown: the commit failed, but may have taken effect.
        """
        try:
            with engine.connect() as connection:
                held = ((each.subnet, each.address) for each in addresses)
                in_use = tables.in_use(connection, held)
                declared = tables.subnets(connection, sorted(subnets))
        except Exception:
            LOG.exception(
                "Neutron's database did not show the outcome of a transaction; %s",
                _orphans(addresses),
            )
            return
        for each in sorted(addresses):
            if (each.subnet, each.address) in in_use:
                LOG.info("Address %s of subnet %s is in use; it is kept", each.address, each.subnet)
            elif is_unknown:
                LOG.error("Unknown whether a transaction was committed; %s", _orphans([each]))
            else:
                _try(partial(self._service.release, each), _orphans([each]))
        for name in sorted(subnets):
            wanted = declared.get(name)
            act = (
                partial(self._service.forget, name)
                if wanted is None
                else partial(self._service.declare, wanted.stored())
            )
            _try(act, f"subnet {name} may differ at the service: {_AUDIT}")


def _try(act: Callable[[], None], orphans: str) -> None:
    try:
        act()
    except BoroughError as error:
        LOG.error("The address service: %s; %s", error.message, orphans)


def _lies_in(transaction: SessionTransaction | None, outer: SessionTransaction) -> bool:
    while transaction is not None and transaction is not outer:
        transaction = transaction.parent
    return transaction is outer


def _dropped(done: Iterable[NotedAct]) -> set[ServiceAddress | str]:
    """The addresses whose last act is a drop."""
    latest = {each.of: each.act for each in done if isinstance(each.of, ServiceAddress)}
    return {of for of, act in latest.items() if act is SessionAct.DROP}


_AUDIT: Final = "borough neutron audit --repair corrects it"


def _orphans(addresses: Iterable[ServiceAddress]) -> str:
    names = ", ".join(f"{each.address} of subnet {each.subnet}" for each in sorted(addresses))
    return f"the service may hold addresses without a port: {names or 'none'}; {_AUDIT}"
