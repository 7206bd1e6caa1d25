"""Search over all scopes: subnets, hosts, and addresses by any part of what is known about them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final

from borough.domain.declared.fields import labels_text
from borough.domain.declared.records import Host, Subnet
from borough.domain.net.addresses import format_address, format_mac, parse_mac
from borough.domain.net.prefixes import Prefix, parse_prefix
from borough.domain.space.allocations import AllocationRow
from borough.domain.space.filters import Filter
from borough.domain.text import check_text
from borough.engine.history import place_of
from borough.engine.request import check_page
from borough.engine.views import Allocation, SubnetView, show_all, show_subnet
from borough.errors import BoroughError
from borough.store.port import ReadUnit

#: Allocations whose texts one page compares. They are a range of the primary key, in order.
EXAMINED: Final = 20_000

#: Lines of each kind by default.
LISTED: Final = 20


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """Something to find; see :func:`parse_search`."""

    text: str
    after: int = 0
    limit: int = LISTED


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Objects of all scopes in which a text occurs.

    :ivar subnets: by name, prefix, gateway, label, attribute, pool or project; those that contain an address;
        the first ones only. Empty on later pages, like hosts.
    :ivar subnet_count: how many subnets there are.
    :ivar hosts: declared hosts, and others that hold one of the addresses; the first ones only.
    :ivar host_count: how many declared hosts there are.
    :ivar allocations: by address, owner, host, note or attribute.
    :ivar next: ``after`` of the next page, which examines further allocations; None at the end.
    """

    subnets: tuple[SubnetView, ...]
    subnet_count: int
    hosts: tuple[str, ...]
    host_count: int
    allocations: tuple[Allocation, ...]
    next: int | None


def parse_search(text: str, *, after: int = 0, limit: int = LISTED) -> SearchQuery:
    """Parse a search.

    :param text: any part of a name, a label, a note or an attribute, in letters of either case; an address, a
        prefix or the beginning of an IPv4 address; a MAC address in any usual notation.
    :param after: ``next`` of the page before.
    :param limit: most lines of each kind.
    :raises FixInput: (or a subclass) for a value that is not allowed.
    """
    check_page(after, limit)
    return SearchQuery(check_text("search", text.strip()), after, limit)


def search_all(find: Callable[..., SearchResult], text: str, limit: int = LISTED) -> SearchResult:
    """The first page of a search, with allocations of further pages up to the limit.

    :param find: :meth:`borough.engine.face.Face.search`.
    """
    found = page = find(text, limit=limit)
    while page.next is not None and len(found.allocations) < limit:
        page = find(text, after=page.next, limit=limit - len(found.allocations))
        allocations = (*found.allocations, *page.allocations)
        found = replace(found, allocations=allocations, next=page.next)
    return found


def search(
    unit: ReadUnit,
    wanted: SearchQuery,
    seen: Collection[str] | None = None,
    hosts: Collection[str] | None = None,
) -> SearchResult:
    """See :meth:`borough.engine.face.Face.search`.

    :param seen: names of the subnets that the caller sees; None for all. ``hosts`` likewise.
    """
    catalogue = unit.catalogue
    place = _place(wanted.text)
    words = _spellings(wanted.text)
    subnets: list[Subnet] = []
    named: list[str] = []
    if not wanted.after:
        subnets = [
            each
            for each in catalogue.subnets.values()
            if (seen is None or each.name in seen) and _has(_texts_of(each), words, each, place)
        ]
        named = [
            name
            for name, each in sorted(catalogue.hosts.items())
            if (hosts is None or name in hosts) and _matches(_texts_of_host(each), words)
        ]
    rows, follow = _allocations(unit, wanted, place, words)
    if seen is not None:
        rows = [each for each in rows if catalogue.subnets[each.subnet_id].name in seen]
    found = sorted(subnets, key=lambda each: (each.scope, each.prefix))
    return SearchResult(
        tuple(show_subnet(each) for each in found[: wanted.limit]),
        len(found),
        tuple(named[: wanted.limit]),
        len(named),
        tuple(show_all(unit, rows)),
        follow,
    )


def _allocations(
    unit: ReadUnit, wanted: SearchQuery, place: Prefix | None, words: tuple[str, ...]
) -> tuple[list[AllocationRow], int | None]:
    """One page of allocations, and the sequence number that the next one begins behind."""
    if place is None:
        return unit.allocations_with(words, wanted.after, EXAMINED, wanted.limit)
    rows: list[AllocationRow] = []
    for scope in sorted(unit.catalogue.scopes):
        chosen = Filter(scope=scope, within=place, after=wanted.after, limit=wanted.limit + 1)
        rows += unit.allocations(chosen)
    rows.sort(key=lambda each: each.sequence)
    shown = rows[: wanted.limit]
    return shown, shown[-1].sequence if len(rows) > wanted.limit else None


def _place(text: str) -> Prefix | None:
    """The prefix that a text names: an address, a prefix, or the first octets of an IPv4 address."""
    octets = text.removesuffix(".").split(".")
    if text.endswith(".") and len(octets) < 4:
        try:
            return parse_prefix(
                ".".join([*octets, *["0"] * (4 - len(octets))]) + f"/{8 * len(octets)}"
            )
        except BoroughError:
            return None
    return place_of(text)


def _spellings(text: str) -> tuple[str, ...]:
    """The text in small letters; of a MAC address its usual notations."""
    try:
        digits = format_mac(parse_mac(text)).replace(":", "")
    except BoroughError:
        return (text.lower(),)
    pairs = [digits[at : at + 2] for at in range(0, 12, 2)]
    fours = [digits[at : at + 4] for at in range(0, 12, 4)]
    return (":".join(pairs), "-".join(pairs), ".".join(fours), digits)


def _matches(texts: str, words: tuple[str, ...]) -> bool:
    return any(word in texts for word in words)


def _has(texts: str, words: tuple[str, ...], subnet: Subnet, place: Prefix | None) -> bool:
    if place is not None and subnet.family == place.family and subnet.prefix.overlaps(place):
        return True
    return _matches(texts, words)


def _texts_of(subnet: Subnet) -> str:
    gateway = "" if subnet.gateway is None else format_address(subnet.family, subnet.gateway)
    attributes = " ".join(f"{name}={value}" for name, value in subnet.attributes.items())
    parts = (subnet.name, str(subnet.prefix), gateway, subnet.pool, subnet.project, attributes)
    return "\n".join((*parts, labels_text(subnet.labels))).lower()


def _texts_of_host(host: Host) -> str:
    return f"{host.name}\n{labels_text(host.labels)}".lower()
