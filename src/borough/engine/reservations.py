"""Reservations: addresses that are kept for an owner, or for nobody."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.lookup import check_scope
from borough.domain.declared.records import Subnet
from borough.domain.declared.topology import DEFAULT_SCOPE
from borough.domain.net.addresses import Family, format_address, format_interval
from borough.domain.net.prefixes import parse_interval, span
from borough.domain.policy import allocate
from borough.domain.policy.named import take_named
from borough.domain.space.allocations import FOREVER, AllocationRow, State
from borough.domain.space.filters import Filter
from borough.domain.space.plan import Plan
from borough.domain.text import check_text
from borough.engine.queries import pages
from borough.engine.request import NOTE_LIMIT, optional_text, parse_attributes
from borough.engine.views import RELEASED_LISTED, Allocation, Reservations, show_all
from borough.errors import AddressOutsideGroup, AddressUnusable, FixInput, NotReserved
from borough.store.port import ReadUnit, Unit

#: Most addresses of one request to reserve.
RESERVE_LIMIT: Final = 4_096

Interval = tuple[Family, int, int]
Seen = Callable[[Catalogue], Collection[str]]


@dataclass(frozen=True, slots=True)
class ReserveRequest:
    """Addresses to reserve.

    :ivar intervals: family, first and last address of each piece.
    """

    intervals: tuple[Interval, ...]
    owner: str = ""
    scope: str = DEFAULT_SCOPE
    attributes: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """Reservations to cancel: those of some addresses, or all of an owner.

    :ivar scope: None for all scopes of an owner.
    :ivar now: without a cool-down.
    """

    intervals: tuple[Interval, ...] = ()
    owner: str = ""
    scope: str | None = None
    now: bool = False


def parse_reserve(
    addresses: str | Iterable[str],
    *,
    owner: str = "",
    scope: str = DEFAULT_SCOPE,
    attributes: Mapping[str, Any] | None = None,
    note: str = "",
) -> ReserveRequest:
    """Parse a request to reserve addresses.

    :param addresses: one or several: an address, ``first-last``, or a prefix.
    :param owner: only this owner gets them; empty for nobody.
    :param attributes: JSON to keep with the addresses.
    :param note: free text to keep with the addresses, on one line.
    :raises FixInput: (or a subclass) for a value that is not allowed.
    """
    intervals = _intervals(addresses)
    if not intervals:
        raise FixInput("name addresses to reserve")
    count = sum(last - first + 1 for _, first, last in intervals)
    if count > RESERVE_LIMIT:
        raise FixInput(
            f"a request reserves at most {RESERVE_LIMIT} addresses, not {count}; "
            "a subnet leaves out more with exclude",
            limit=RESERVE_LIMIT,
        )
    return ReserveRequest(
        intervals,
        optional_text("owner", owner),
        check_text("scope", scope),
        parse_attributes(attributes),
        optional_text("note", note, NOTE_LIMIT),
    )


def parse_cancel(
    addresses: str | Iterable[str] | None = None,
    *,
    owner: str = "",
    scope: str | None = None,
    now: bool = False,
) -> CancelRequest:
    """Parse a request to cancel reservations.

    :param addresses: one or several: an address, ``first-last``, or a prefix; ``owner`` is then a condition.
    :param scope: that of the addresses, by default ``default``; for an owner all scopes.
    :param now: True to skip cool-downs.
    :raises FixInput: (or a subclass) there is no condition, or a value is not allowed.
    """
    intervals = _intervals(addresses or ())
    if not (intervals or owner):
        raise FixInput("name addresses or an owner whose reservations are cancelled")
    if scope is None and intervals:
        scope = DEFAULT_SCOPE
    return CancelRequest(intervals, optional_text("owner", owner), scope, now)


def _intervals(addresses: str | Iterable[str]) -> tuple[Interval, ...]:
    names = [addresses] if isinstance(addresses, str) else list(addresses)
    found = sorted(set(map(parse_interval, names)))
    for (family, _, last), (other, first, _) in pairwise(found):
        if family == other and first <= last:
            raise FixInput(f"{format_address(family, first)} is named twice")
    return tuple(found)


def reserve(
    unit: Unit, request: ReserveRequest, now: int, seen: Seen | None = None
) -> Reservations:
    """See :meth:`borough.engine.face.Face.reserve`.

    :param seen: names of the subnets that the caller sees; None for all.
    """
    catalogue = unit.catalogue
    check_scope(catalogue, request.scope)
    visible = None if seen is None else seen(catalogue)
    rows: list[AllocationRow] = []
    for interval in request.intervals:
        rows += _to_reserve(catalogue, request, interval, visible, now)
    present = {
        (row.family, row.address): row
        for interval in request.intervals
        for row in _rows(unit, request.scope, interval)
    }
    wanted: list[AllocationRow] = []
    kept: list[tuple[AllocationRow, AllocationRow]] = []
    unchanged: list[AllocationRow] = []
    ended: list[AllocationRow] = []
    for row in rows:
        held = present.get((row.family, row.address))
        if held is None:
            wanted.append(row)
        elif held.state is State.COOLING:
            ended.append(held)
            wanted.append(row)
        elif held.owner != request.owner or (held.state is State.ALLOCATED and not held.owner):
            raise allocate.in_use(held, catalogue.subnets[held.subnet_id])
        elif held.sticky:
            unchanged.append(held)
        else:
            kept.append((held, replace(held, sticky=True)))
    plan = take_named(catalogue, unit, wanted)
    plan.removed, plan.edited = ended, kept
    sequences = unit.commit(plan, now)
    made = [
        replace(grant.allocation, sequence=sequence)
        for grant, sequence in zip(plan.grants, sequences, strict=True)
    ]
    found = [*made, *(new for _, new in kept), *unchanged]
    shown = show_all(unit, sorted(found, key=lambda each: (each.family, each.address)))
    return Reservations(tuple(shown), len(shown))


def _to_reserve(
    catalogue: Catalogue,
    request: ReserveRequest,
    interval: Interval,
    visible: Collection[str] | None,
    now: int,
) -> Iterator[AllocationRow]:
    """The reservations of one piece, without the addresses that are never allocated.

    :raises AddressOutsideGroup: an address lies in no subnet that takes addresses.
    :raises AddressUnusable: the piece has no other addresses.
    """
    family, first, last = interval
    text, usable = format_interval(family, first, last), False
    for address in range(first, last + 1):
        subnet = catalogue.subnet_at(request.scope, family, address)
        if subnet is None or not (visible is None or subnet.name in visible):
            raise _outside(format_address(family, address), request.scope)
        if subnet.closed:
            raise _closed(format_address(family, address), subnet)
        if address not in subnet.never:
            usable = True
            yield AllocationRow(
                subnet.scope,
                family,
                address,
                subnet.id,
                request.owner,
                state=State.RESERVED,
                attributes=request.attributes,
                note=request.note,
                at=now,
                until=FOREVER,
                sticky=True,
            )
    if not usable:
        raise AddressUnusable(f"{text} is never allocated in its subnet", address=text)


def _outside(text: str, scope: str) -> AddressOutsideGroup:
    return AddressOutsideGroup(f"{text} lies in no subnet of scope {scope}", address=text)


def _closed(text: str, subnet: Subnet) -> AddressOutsideGroup:
    return AddressOutsideGroup(
        f"{text} lies in subnet {subnet.name}, which is closed: it takes no new addresses",
        address=text,
        subnet=subnet.name,
    )


def cancel(unit: Unit, request: CancelRequest, now: int, seen: Seen | None = None) -> Reservations:
    """See :meth:`borough.engine.face.Face.cancel`.

    :param seen: names of the subnets that the caller sees; None for all.
    """
    catalogue = unit.catalogue
    if request.scope is not None:
        check_scope(catalogue, request.scope)
    visible = None if seen is None else seen(catalogue)
    shown: list[Allocation] = []
    among: set[tuple[str, int]] = set()
    total = 0
    for page in _to_cancel(unit, request, visible):
        shown += show_all(unit, page[: RELEASED_LISTED - len(shown)])
        total += len(page)
        reserved = [each for each in page if each.state is State.RESERVED]
        plan = allocate.free(catalogue, unit, reserved, now, at_once=request.now)
        plan.edited = [
            (each, replace(each, sticky=False)) for each in page if each.state is State.ALLOCATED
        ]
        among |= allocate.emptied(catalogue, plan)
        unit.commit(plan, now)
    plan = Plan()
    allocate.return_unused(catalogue, unit, plan, among)
    unit.commit(plan, now)
    return Reservations(tuple(shown), total)


def _to_cancel(
    unit: Unit, request: CancelRequest, visible: Collection[str] | None
) -> Iterator[list[AllocationRow]]:
    """Reservations, and allocations that would leave one, page by page.

    :raises NotReserved: a piece has none.
    """
    subnets = unit.catalogue.subnets

    def chosen(rows: Iterable[AllocationRow]) -> list[AllocationRow]:
        return [
            each
            for each in rows
            if each.sticky
            and request.owner in ("", each.owner)
            and (visible is None or subnets[each.subnet_id].name in visible)
        ]

    if not request.intervals:
        wanted = Filter(scope=request.scope, owner=request.owner)
        yield from map(chosen, pages(unit, wanted))
    for interval in request.intervals:
        found = chosen(_rows(unit, request.scope or DEFAULT_SCOPE, interval))
        if not found:
            text = format_interval(*interval)
            owner = f" for {request.owner}" if request.owner else ""
            raise NotReserved(f"{text} is not reserved{owner}", address=text)
        yield found


def _rows(unit: ReadUnit, scope: str, interval: Interval) -> Iterator[AllocationRow]:
    """All rows of allocations of a piece."""
    for within in span(*interval):
        for page in pages(unit, Filter(scope=scope, within=within)):
            yield from page
