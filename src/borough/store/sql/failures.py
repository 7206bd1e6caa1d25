"""Failures of a database, by the next step: run again, connect elsewhere, or fail."""

from __future__ import annotations

from collections.abc import Iterable

from borough.errors import Contended, Unavailable


class Busy(Exception):
    """The database aborted the transaction: a lock wait, a deadlock, a serialisation failure."""


class Interrupted(Busy):
    """A statement was ended from outside; a commit may have taken effect."""


class Duplicate(Exception):
    """A unique constraint refused a row."""


class LockFirst(Exception):
    """A unit needs locks on the space of subnets before it reads; it begins again with them."""

    def __init__(self, subnet_ids: Iterable[int]) -> None:
        super().__init__(subnet_ids)
        self.subnet_ids = frozenset(subnet_ids)


class Gone(Exception):
    """The connection is lost, or none could be made."""


class NotReady(Gone):
    """The server refuses statements unread: nothing was done."""


def is_in_doubt(error: Exception) -> bool:
    """True when the failed statement may have taken effect."""
    return isinstance(error, Gone) and not isinstance(error, NotReady)


def public(error: Exception, outcome: str) -> Exception:
    """The public error for an internal one; others as they are.

    :param outcome: ``not_done`` or ``unknown``, for a connection that is lost.
    """
    if isinstance(error, Busy):
        return Contended(f"other transactions are in the way ({error}); try again")
    if not isinstance(error, Gone):
        return error
    advice = {
        "not_done": "nothing was changed; try again",
        "unknown": "whether it was done is not known; ask again with an idempotency key to find out",
    }[outcome]
    return Unavailable(
        f"the database cannot be reached or went away ({error}): {advice}", outcome=outcome
    )
