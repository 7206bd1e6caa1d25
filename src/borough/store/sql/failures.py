"""Failures of a database, in terms that decide what is done next: run again, ask elsewhere, or give up."""

from __future__ import annotations

from collections.abc import Iterable

from borough.errors import Contended, Unavailable


class Busy(Exception):
    """The database asks to run the transaction again: a lock wait, a deadlock, a serialisation."""


class Interrupted(Busy):
    """A statement was ended from outside. A commit may have taken effect by then."""


class Duplicate(Exception):
    """A unique constraint refused a row."""


class LockFirst(Exception):
    """A unit needs the space of subnets locked before it reads: it begins again, with these locks.

    :ivar subnet_ids: the subnets.
    """

    def __init__(self, subnet_ids: Iterable[int]) -> None:
        super().__init__(subnet_ids)
        self.subnet_ids = frozenset(subnet_ids)


class Gone(Exception):
    """The connection is lost, or none could be made.

    :ivar cause: the driver's words.
    """


class NotReady(Gone):
    """The server refuses statements before it looks at them: whatever was sent was not done."""


def is_in_doubt(error: Exception) -> bool:
    """True when a statement that failed so may have been carried out."""
    return isinstance(error, Gone) and not isinstance(error, NotReady)


def public(error: Exception, outcome: str) -> Exception:
    """The public error for one that only this package knows; others as they are.

    :param outcome: ``not_done`` or ``unknown``, for a connection that is lost.
    """
    if isinstance(error, Busy):
        return Contended(f"other transactions are in the way ({error}); try again")
    if not isinstance(error, Gone):
        return error
    said = {
        "not_done": "nothing was changed; try again",
        "unknown": "whether it was done is not known; ask again with an idempotency key to find out",
    }[outcome]
    return Unavailable(
        f"the database cannot be reached or went away ({error}): {said}", outcome=outcome
    )
