"""Failures of a database, by the next step: run again, connect elsewhere, or fail."""

from __future__ import annotations

from collections.abc import Iterable

from borough.errors import (
    AccessDenied,
    Contended,
    DiskFull,
    NotInitialised,
    ReadOnlyDatabase,
    SchemaTooOld,
    Unavailable,
)


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


class Oversize(Exception):
    """A plan is too large for one call; a unit of work writes it in several statements."""


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
        return Contended(f"there are conflicts with other transactions ({error}); try again")
    if not isinstance(error, Gone):
        return error
    advice = {
        "not_done": "nothing was changed; try again",
        "unknown": "it may have been done; repeat a request with an idempotency key to find out",
    }[outcome]
    return Unavailable(
        f"the database cannot be reached or went away ({error}): {advice}", outcome=outcome
    )


def no_room(text: str) -> Exception:
    """The public error of a server with a full disk."""
    return DiskFull(f"the disk of the database server is full ({text}); nothing was changed")


def no_database(text: str) -> Exception:
    """The public error of a database that does not exist."""
    return NotInitialised(f"there is no such database ({text}); make one, then run `borough init`")


def no_routine(text: str) -> Exception:
    """The public error of a database without a routine of this release."""
    return SchemaTooOld(f"the database lacks a routine ({text}); run `borough init`")


def no_login(text: str) -> Exception:
    """The public error of a refused login."""
    return AccessDenied(f"the database refuses the login ({text})")


def denied(text: str) -> Exception:
    """The public error of a login without a right."""
    return AccessDenied(f"the login lacks a right in the database ({text})")


def read_only(text: str) -> Exception:
    """The public error of a database that cannot be written."""
    return ReadOnlyDatabase(f"the database cannot be written ({text})")
