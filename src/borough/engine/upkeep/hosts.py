"""The use cases of hosts: drain, remove and rename a host, and reassign an address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from borough.domain.declared.fields import labels_text
from borough.domain.declared.lookup import check_host, check_scope, undeclared_host, unknown
from borough.domain.policy import reassign as policy
from borough.domain.space.allocations import AllocationRow, State
from borough.domain.space.blocks import Block
from borough.domain.space.events import EventRow
from borough.domain.space.filters import Filter
from borough.domain.space.plan import Act, Note
from borough.engine.edits import find_held
from borough.engine.queries import all_allocations
from borough.engine.release import release_all
from borough.engine.request import ReassignRequest
from borough.engine.sharing import check_alone
from borough.engine.views import (
    RELEASED_LISTED,
    Allocation,
    Claim,
    Reassigned,
    Released,
    show_all,
    show_claim,
)
from borough.errors import AddressOutsideGroup, FixInput
from borough.store.port import ReadAllocations, ReadSpace, ReadUnit, Unit


@dataclass(frozen=True, slots=True)
class Vacated:
    """The result of draining or removing a host.

    :ivar claims: its former claims.
    :ivar remaining: addresses that stay allocated on it.
    :ivar released: released addresses, the first 10,000.
    :ivar total: the number of released addresses.
    :ivar source: the topology of its removed entry, whose file would declare it again. None when no entry
        of a topology was removed.
    """

    host: str
    claims: tuple[Claim, ...]
    remaining: tuple[Allocation, ...]
    released: tuple[Allocation, ...]
    total: int
    source: str | None


@dataclass(frozen=True, slots=True)
class Renamed:
    """The result of renaming a host.

    :ivar claims: claims that now have the new name.
    :ivar reassigned: addresses that now have the new name.
    :ivar source: the topology that declared the old name; None for none.
    """

    old: str
    new: str
    claims: tuple[Claim, ...]
    reassigned: tuple[Allocation, ...]
    source: str | None


# --- Drain and remove -------------------------------------------------------------------------


def drain(unit: Unit, host: str, now: int) -> Vacated:
    """See :meth:`borough.engine.ipam.Ipam.drain`."""
    _known(unit, host)
    claims = _vacate(unit, host, now)
    return Vacated(host, claims, tuple(show_all(unit, _held_on(unit, host))), (), 0, None)


def remove_host(unit: Unit, host: str, now: int, *, release: bool) -> Vacated:
    """See :meth:`borough.engine.ipam.Ipam.remove_host`."""
    _known(unit, host)
    released = Released((), 0)
    given_up: tuple[Claim, ...] = ()
    if release:
        holder = policy.holder_of(host)
        released, notes = release_all(
            unit, Filter(host=host), now, leaving=holder, most=RELEASED_LISTED
        )
        given_up = _claims(unit, notes, holder)
    # The remaining claims contain cooling addresses, or addresses that other hosts have borrowed.
    claims = given_up + _vacate(unit, host, now)
    remaining = () if release else tuple(show_all(unit, _held_on(unit, host)))
    source = _undeclare(unit, host, now)
    unit.remove_agent(host)
    return Vacated(host, claims, remaining, released.released, released.total, source)


def _known(unit: ReadUnit, host: str) -> None:
    """Refuse a host that is neither declared nor holds or claims anything: most likely a misspelt name.

    :raises UnknownObject: with a hint.
    """
    catalogue = unit.catalogue
    if (
        host not in catalogue.hosts
        and not policy.everything_of(catalogue, unit, policy.holder_of(host))
        and not unit.allocations(Filter(host=host, limit=1))
    ):
        raise unknown("host", host, catalogue.hosts)


def _held_on(unit: ReadAllocations, host: str) -> list[AllocationRow]:
    return [
        each for each in all_allocations(unit, Filter(host=host)) if each.state is State.ALLOCATED
    ]


def _vacate(unit: Unit, host: str, now: int) -> tuple[Claim, ...]:
    plan = policy.vacate(unit.catalogue, unit, policy.holder_of(host))
    unit.commit(plan, now)
    return _claims(unit, plan.notes, policy.holder_of(host))


def _claims(unit: ReadSpace, notes: Sequence[Note], holder: str) -> tuple[Claim, ...]:
    return tuple(
        show_claim(unit.catalogue, note.subnet_id, note.prefix, holder)
        for note in notes
        if note.act is Act.GAVE_UP and note.holder == holder
    )


def _undeclare(unit: Unit, host: str, now: int) -> str | None:
    """Remove the declared entry of a host; return its topology."""
    catalogue = unit.catalogue
    declared = catalogue.hosts.get(host)
    if declared is None:
        return None
    unit.remove_host(declared)
    unit.touch(catalogue.version)
    unit.record(EventRow(now, Act.TOPOLOGY, host, host=host, detail="remove host"))
    return declared.source or None


# --- Rename -----------------------------------------------------------------------------------


def rename_host(unit: Unit, old: str, new: str, now: int) -> Renamed:
    """See :meth:`borough.engine.ipam.Ipam.rename_host`."""
    if old == new:
        raise FixInput(f"{old} has this name already", host=old)
    _known(unit, old)
    catalogue = unit.catalogue
    allocations = list(all_allocations(unit, Filter(host=old)))
    plan = policy.rename(catalogue, unit, allocations, old, new)
    unit.commit(plan, now)
    reassigned = [each for _, each in plan.edited if each.state is State.ALLOCATED]
    shown = tuple(show_all(unit, reassigned))
    claims = tuple(
        show_claim(catalogue, note.subnet_id, note.prefix, note.holder) for note in plan.notes
    )
    source = _redeclare(unit, old, new, now)
    return Renamed(old, new, claims, shown, source)


def _redeclare(unit: Unit, old: str, new: str, now: int) -> str | None:
    """Rename the declared entry of a host, or remove it when the new name is declared."""
    declared = unit.catalogue.hosts.get(old)
    if declared is None or new in unit.catalogue.hosts:
        return _undeclare(unit, old, now)
    version = unit.catalogue.version
    unit.remove_host(declared)
    unit.put_host(replace(declared, id=0, name=new))
    unit.touch(version)
    unit.record(EventRow(now, Act.TOPOLOGY, new, host=new, detail=f"rename host {old}"))
    return declared.source or None


# --- Reassign ---------------------------------------------------------------------------------


def reassign(unit: Unit, request: ReassignRequest, now: int) -> Reassigned:
    """See :meth:`borough.engine.face.Face.reassign`."""
    scope, family, number = request.scope, request.family, request.address
    host = request.host
    check_scope(unit.catalogue, scope)
    check_host(unit.catalogue, host)
    held = find_held(unit, scope, family, number, request.sequence)
    check_alone(held, "host")
    if held.host == host:
        # A reassignment that is repeated after a lost answer.
        return _reassigned(unit, held)
    if not request.force:
        _check_segment(unit, held, host)
    catalogue = unit.catalogue
    piece = unit.piece_at(held.subnet_id, number)
    around = piece.region() if isinstance(piece, Block) else None
    neighbours = all_allocations(unit, Filter(scope=scope, subnet_id=held.subnet_id, within=around))
    plan = policy.reassign(catalogue, unit, held, host, neighbours)
    unit.commit(plan, now)
    return _reassigned(unit, plan.edited[0][1])


def _reassigned(unit: ReadSpace, row: AllocationRow) -> Reassigned:
    shown = show_all(unit, [row])[0]
    known: dict[str, Any] = {each.name: getattr(shown, each.name) for each in fields(shown)}
    return Reassigned(**known, warnings=undeclared_host(unit.catalogue, row.host))


def _check_segment(unit: ReadSpace, held: AllocationRow, host: str) -> None:
    catalogue = unit.catalogue
    subnet = catalogue.subnets[held.subnet_id]
    declared = catalogue.hosts.get(host)
    if declared is None:
        return
    outside = policy.outside_segments(catalogue.dimensions, subnet, declared.labels)
    if not outside:
        return
    has = labels_text({name: subnet.labels.get(name, frozenset()) for name in outside})
    reaches = labels_text({name: declared.labels[name] for name in outside})
    raise AddressOutsideGroup(
        f"{held.text} lies in subnet {subnet.name} ({has}), which host {host} does not reach: it has "
        f"{reaches}; allocate a new address there, or force the reassignment",
        address=held.text,
        subnet=subnet.name,
        host=host,
        dimensions=list(outside),
    )
