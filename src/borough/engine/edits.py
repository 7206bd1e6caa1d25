"""Changes of held addresses: owner, note and attributes of one, and all of an owner to another owner."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.lookup import check_scope
from borough.domain.declared.topology import DEFAULT_SCOPE
from borough.domain.net.addresses import Family, format_address, parse_held_address
from borough.domain.space.allocations import AllocationRow, State
from borough.domain.space.filters import Filter
from borough.domain.space.plan import Plan, Space
from borough.domain.text import check_text
from borough.engine.partial import telling
from borough.engine.queries import seen_ids
from borough.engine.request import NOTE_LIMIT, check_page, optional_text, parse_attributes
from borough.engine.sharing import check_alone
from borough.engine.views import Allocation, show_all
from borough.errors import FixInput, NotAllocated, StaleSequence
from borough.store.port import Unit

#: Most addresses of one transaction of a transfer.
PIECE: Final = 2_000


def find_held(
    space: Space, scope: str, family: Family, number: int, sequence: int | None
) -> AllocationRow:
    """The allocation of a held address.

    :param sequence: its expected sequence number; None for any.
    :raises NotAllocated: the address is free, or cools down.
    :raises StaleSequence: the address was allocated again meanwhile.
    """
    held = space.allocation_at(scope, family, number)
    if held is None or held.state is not State.ALLOCATED:
        text = format_address(family, number)
        raise NotAllocated(f"{text} is not allocated in scope {scope}", address=text)
    if sequence is not None and held.sequence != sequence:
        raise StaleSequence(
            f"{held.text} has sequence {held.sequence}, not {sequence}: "
            "it was released and allocated again",
            address=held.text,
            owner=held.owners_text,
            host=held.host,
            sequence=held.sequence,
        )
    return held


# --- One address ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EditRequest:
    """New values of a held address; None leaves a value as it is.

    :ivar attributes: values by name; None removes an attribute.
    """

    family: Family
    address: int
    scope: str = DEFAULT_SCOPE
    owner: str | None = None
    note: str | None = None
    attributes: Mapping[str, Any] | None = None
    sequence: int | None = None


def parse_edit(
    address: str,
    *,
    scope: str = DEFAULT_SCOPE,
    owner: str | None = None,
    note: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    sequence: int | None = None,
) -> EditRequest:
    """Parse a request to edit a held address.

    :param owner: its new owner; empty for none, None to leave it.
    :param note: its new note; empty for none, None to leave it.
    :param attributes: attributes to set, by name; one with None is removed, others stay.
    :param sequence: only if the address still has this sequence number.
    :raises FixInput: (or a subclass) nothing is to change, or a value is not allowed.
    """
    if owner is None and note is None and not attributes:
        raise FixInput("name a new owner, a new note or attributes")
    return EditRequest(
        *parse_held_address(address),
        check_text("scope", scope),
        None if owner is None else optional_text("owner", owner),
        None if note is None else optional_text("note", note, NOTE_LIMIT),
        None if attributes is None else parse_attributes(attributes),
        sequence,
    )


def edit(unit: Unit, request: EditRequest, now: int) -> Allocation:
    """See :meth:`borough.engine.face.Face.edit`."""
    check_scope(unit.catalogue, request.scope)
    place = (request.scope, request.family, request.address)
    held = find_held(unit, *place, request.sequence)
    if request.owner is not None:
        check_alone(held, "owner")
    new = replace(
        held,
        owner=held.owner if request.owner is None else request.owner,
        note=held.note if request.note is None else request.note,
        attributes=_merged(held.attributes, request.attributes or {}),
    )
    _write(unit, [(held, new)], now)
    return show_all(unit, [new])[0]


def _merged(old: Mapping[str, Any], wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    kept = {name: value for name, value in old.items() if name not in wanted}
    given = {name: value for name, value in wanted.items() if value is not None}
    # Checked again: attributes within the limit may exceed it together.
    return parse_attributes({**kept, **given})


def _write(unit: Unit, pairs: Collection[tuple[AllocationRow, AllocationRow]], now: int) -> None:
    """Write edits; an edit that is repeated after a lost answer changes nothing."""
    # As text: to Python 1, 1.0 and true are equal, and a change between them would be lost.
    changed = [(old, new) for old, new in pairs if str(old) != str(new)]
    unit.commit(Plan(edited=changed), now)


# --- All of an owner --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """One piece of a transfer.

    :ivar after: only addresses with a larger sequence number.
    """

    owner: str
    to: str
    scope: str | None = None
    after: int = 0


@dataclass(frozen=True, slots=True)
class Transferred:
    """Outcome of a transfer, or of a piece of it.

    :ivar total: addresses that changed their owner.
    :ivar next: `after` of the next piece; null at the end.
    """

    total: int
    next: int | None = None


def parse_transfer(
    owner: str, to: str, *, scope: str | None = None, after: int = 0
) -> TransferRequest:
    """Parse a request to transfer the addresses of an owner.

    :param scope: only those of one scope.
    :raises FixInput: a name is not allowed, or both are the same.
    """
    check_page(after, None)
    if check_text("owner", owner) == check_text("new owner", to):
        raise FixInput(f"{owner} has these addresses already", owner=owner)
    return TransferRequest(owner, to, scope, after)


def transfer_all(
    request: TransferRequest,
    transfer_piece: Callable[[TransferRequest], Transferred],
    progress: Callable[[Transferred], None] | None,
) -> Transferred:
    """Transfer piece by piece, each in a transaction.

    An error of a later piece has under ``done`` the ``total`` of the addresses before.
    """
    done = Transferred(0, request.after)
    with telling(lambda: {"total": done.total} if done.total else {}):
        while done.next is not None:
            piece = transfer_piece(replace(request, after=done.next))
            done = Transferred(done.total + piece.total, piece.next)
            if progress is not None:
                progress(done)
    return done


def transfer(
    unit: Unit,
    request: TransferRequest,
    now: int,
    seen: Callable[[Catalogue], Collection[str]] | None = None,
) -> Transferred:
    """Transfer one piece; see :meth:`borough.engine.face.Face.transfer`.

    :param seen: names of the subnets that the caller sees; only their addresses change. None for all.
    """
    catalogue = unit.catalogue
    if seen is None and request.scope is not None:
        check_scope(catalogue, request.scope)
    ids = catalogue.subnets if seen is None else seen_ids(catalogue, seen(catalogue)) or ()
    page = unit.allocations(
        Filter(scope=request.scope, owner=request.owner, after=request.after, limit=PIECE)
    )
    held = [each for each in page if each.state is State.ALLOCATED and each.subnet_id in ids]
    pairs = [(each, replace(each, owner=request.to)) for each in held]
    is_last = len(page) < PIECE
    if is_last:
        shared = unit.allocations(Filter(scope=request.scope, sharer=request.owner))
        pairs += [
            (each, _exchanged(each, request.owner, request.to))
            for each in shared
            if each.state is State.ALLOCATED and each.subnet_id in ids
        ]
    _write(unit, pairs, now)
    return Transferred(len(pairs), None if is_last else page[-1].sequence)


def _exchanged(shared: AllocationRow, owner: str, to: str) -> AllocationRow:
    """A shared address with another owner in the place of one; each owner has it once."""
    sharers = (to if each == owner else each for each in shared.sharers)
    return replace(shared, sharers=tuple(dict.fromkeys(sharers)))
