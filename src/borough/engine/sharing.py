"""Shared addresses: owners that come and leave, one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from borough.domain.policy.allocate import ResolvedRequest, named_subnet
from borough.domain.request import Kind
from borough.domain.space.allocations import AllocationRow, State
from borough.domain.space.plan import Plan
from borough.errors import FixInput
from borough.store.port import Unit


class Attached(NamedTuple):
    """A shared address with the owner of a request.

    :ivar replayed: true when the owner had it before.
    """

    row: AllocationRow
    replayed: bool


def attach(unit: Unit, resolved: ResolvedRequest) -> Attached | None:
    """Make the owner of a request one of the owners of the shared address that it names.

    :return: None when the address is not shared yet.
    :raises AddressOutsideGroup: the request may not use the address.
    """
    request = resolved.request
    if not request.shared or request.kind is not Kind.SPECIFIC:
        return None
    subnet = named_subnet(resolved)
    assert request.address is not None
    held = unit.allocation_at(subnet.scope, subnet.family, request.address)
    if held is None or not held.sharers or held.state is not State.ALLOCATED:
        return None
    if request.owner in held.sharers:
        return Attached(held, replayed=True)
    new = replace(held, sharers=(*held.sharers, request.owner))
    unit.commit(Plan(edited=[(held, new)]), resolved.now)
    return Attached(new, replayed=False)


def leaves(each: AllocationRow, owner: str) -> bool:
    """True when an owner leaves a shared address, and others keep it."""
    return each.state is State.ALLOCATED and len(each.sharers) > 1 and owner in each.sharers


def detach(
    unit: Unit, held: Iterable[AllocationRow], owner: str, now: int
) -> Sequence[AllocationRow]:
    """Let an owner leave the addresses that others keep; return the addresses to release."""
    rows = list(held)
    edited = [(each, each.without(owner)) for each in rows if leaves(each, owner)]
    if not edited:
        return rows
    unit.commit(Plan(edited=edited), now)
    return [each for each in rows if not leaves(each, owner)]


def check_last(each: AllocationRow, owner: str) -> None:
    """Refuse a release that does not say which of several owners leaves.

    :raises FixInput: the address is shared, and no owner is named.
    """
    if each.state is State.ALLOCATED and len(each.sharers) > 1 and not owner:
        raise FixInput(
            f"{each.text} is shared by {each.owners_text}; name the owner that leaves",
            address=each.text,
            owners=list(each.sharers),
        )


def check_alone(each: AllocationRow, what: str) -> None:
    """Refuse a change that a shared address does not have.

    :raises FixInput: the address is shared.
    """
    if each.sharers:
        raise FixInput(
            f"{each.text} is shared by {each.owners_text}, and has no {what} of its own",
            address=each.text,
            owners=list(each.sharers),
        )
