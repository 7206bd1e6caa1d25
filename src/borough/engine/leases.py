"""Renewal of leases: of one address, or of all that an idempotency key was given."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.lookup import check_scope
from borough.domain.declared.topology import DEFAULT_SCOPE
from borough.domain.encode import rfc3339, utc
from borough.domain.net.addresses import Family, parse_held_address
from borough.domain.space.allocations import SECOND, AllocationRow, State
from borough.domain.space.filters import Filter
from borough.domain.space.keys import Remembered
from borough.domain.space.plan import Plan
from borough.domain.text import check_text, parse_duration
from borough.engine.edits import find_held
from borough.engine.request import optional_text
from borough.engine.views import Allocation, show_all
from borough.errors import FixInput, KeySpent, NotAllocated, StaleSequence
from borough.store.port import Unit


@dataclass(frozen=True, slots=True)
class RenewRequest:
    """Leases to renew: that of an address, or those of a key.

    :ivar address: None for all addresses of the key.
    :ivar key: the idempotency key that they were allocated with; with an address, a condition.
    :ivar lease: seconds; None for those of the lease.
    """

    address: tuple[Family, int] | None = None
    key: str = ""
    sequence: int | None = None
    lease: int | None = None
    scope: str = DEFAULT_SCOPE


@dataclass(frozen=True, slots=True)
class Renewed:
    """Addresses whose leases were renewed."""

    allocations: tuple[Allocation, ...]


def parse_renew(
    address: str | None = None,
    *,
    key: str | None = None,
    sequence: int | None = None,
    lease: int | str | None = None,
    scope: str = DEFAULT_SCOPE,
) -> RenewRequest:
    """Parse a request to renew leases.

    :param address: None for all addresses that the key was given.
    :param key: the idempotency key of their allocation; with an address, only if it was allocated with it.
    :param sequence: only if the address still has this sequence number.
    :param lease: the new duration from now on: seconds, or text such as ``5m``; None for that of the lease.
    :param scope: that of the address.
    :raises FixInput: (or a subclass) neither an address nor a key is named, or a value is not allowed.
    """
    name = optional_text("idempotency key", key)
    if address is None and not name:
        raise FixInput("name an address or an idempotency key whose lease is renewed")
    if address is None and sequence is not None:
        raise FixInput("a sequence number goes with an address")
    seconds = None if lease is None else parse_duration("a lease", lease)
    if seconds == 0:
        raise FixInput("a renewed lease lasts at least a second; release the address to end it")
    place = None if address is None else parse_held_address(address)
    return RenewRequest(place, name, sequence, seconds, check_text("scope", scope))


def renew(
    unit: Unit,
    request: RenewRequest,
    now: int,
    by: int,
    seen: Callable[[Catalogue], Collection[str]] | None = None,
) -> Renewed:
    """See :meth:`borough.engine.face.Face.renew`.

    :param now: microseconds since the epoch.
    :param by: the time by which leases are over.
    :param seen: names of the subnets that the caller sees; None for all.
    """
    if seen is None:
        check_scope(unit.catalogue, request.scope)
    visible = None if seen is None else seen(unit.catalogue)
    pairs = [
        (held, _renewed(held, request.lease, now, by))
        for held in _held(unit, request)
        if visible is None or unit.catalogue.subnets[held.subnet_id].name in visible
    ]
    # A renewal at the same instant changes nothing.
    unit.commit(Plan(edited=[(old, new) for old, new in pairs if old != new]), now)
    return Renewed(tuple(show_all(unit, [new for _, new in pairs])))


def _held(unit: Unit, request: RenewRequest) -> list[AllocationRow]:
    """The allocations to renew.

    :raises KeySpent: an address of the key was released.
    :raises StaleSequence: the address was allocated without the key.
    """
    known = unit.recall(request.key) if request.key else None
    if request.address is None:
        return _of_key(unit, request.key, known)
    held = find_held(unit, request.scope, *request.address, request.sequence)
    if request.key and held.sequence not in (known.sequences if known else ()):
        raise StaleSequence(
            f"{held.text} was not allocated with idempotency key {request.key!r}: "
            "it was released and allocated again, or the key is wrong",
            address=held.text,
            key=request.key,
            sequence=held.sequence,
        )
    return [held]


def _of_key(unit: Unit, key: str, known: Remembered | None) -> list[AllocationRow]:
    found = unit.allocations(Filter(sequences=known.sequences)) if known else []
    held = [each for each in found if each.state is State.ALLOCATED]
    if not known or len(held) < len(known.sequences):
        raise KeySpent(
            f"the addresses of idempotency key {key!r} are released, or no request has used it; "
            "allocate again with a new key",
            key=key,
        )
    return held


def _renewed(held: AllocationRow, lease: int | None, now: int, by: int) -> AllocationRow:
    if not held.lease or held.until is None:
        raise FixInput(
            f"{held.text} has no lease: it stays allocated until it is released",
            address=held.text,
            sequence=held.sequence,
        )
    if held.is_over(by):
        raise NotAllocated(
            f"the lease of {held.text} ended at {rfc3339(utc(held.until))}; allocate it again",
            address=held.text,
            sequence=held.sequence,
        )
    seconds = lease or held.lease
    # A clock that was set back must not end a lease earlier than was promised.
    return replace(held, lease=seconds, until=max(held.until, now + seconds * SECOND))
