"""Requests: the parameters of a caller, parsed once and strictly into frozen records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from borough.domain.declared.dimensions import HOST, Labels, make_labels
from borough.domain.declared.topology import DEFAULT_SCOPE
from borough.domain.net.addresses import (
    Family,
    format_address,
    format_mac,
    parse_family,
    parse_held_address,
    parse_mac,
)
from borough.domain.net.prefixes import Prefix, parse_prefix
from borough.domain.request import Kind, Request
from borough.domain.space.allocations import State
from borough.domain.text import check_text, parse_duration
from borough.errors import FixInput
from borough.store.cache import Cache

#: Most addresses of one family in one request.
COUNT_LIMIT: Final = 65_536

#: Longest owner, host or idempotency key, in characters.
NAME_LIMIT: Final = 255

#: Longest note, in characters.
NOTE_LIMIT: Final = 1_024

#: Largest attributes, in bytes of JSON.
ATTRIBUTES_LIMIT: Final = 10_240

#: Largest integer of every database.
_LARGEST: Final = (1 << 62) - 1

#: Most bytes of labels in the cache of parsed labels.
_KEPT: Final = 2 << 20

#: Parameters of a request that select its addresses; an explanation depends on no others.
SELECTOR: Final = frozenset(
    ("labels", "subnets", "host", "families", "count", "address", "mac", "kind", "claims", "scope")
)

StateName = Literal["allocated", "cooling", "reserved"]
KindName = Literal["any", "next", "specific", "eui64", "gateway"]
#: What an allocation may wait for.
WaitName = Literal["routed"]

LabelsIn = Mapping[str, str | Iterable[str]]
SubnetsIn = Sequence[str | Sequence[str]]

_PARSED: Final[Cache[tuple[tuple[str, str | Iterable[str]], ...], Labels]] = Cache(_KEPT)


def parse_request(
    *,
    labels: LabelsIn | None = None,
    subnets: SubnetsIn | None = None,
    host: str | None = None,
    families: Iterable[int] | int | None = None,
    count: int = 1,
    address: str | None = None,
    mac: str | None = None,
    kind: KindName | None = None,
    claims: bool = True,
    scope: str = "default",
    owner: str = "",
    key: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    note: str = "",
    sticky: bool = False,
    shared: bool = False,
    lease: int | str = 0,
    explain: bool = False,
    wait: WaitName | None = None,
) -> Request:
    """Parse a request for addresses.

    :param labels: the group: values by dimension, any of which matches.
    :param subnets: subnet names instead of labels, in order of preference; equals in a tuple.
    :param host: the host of the addresses; it implies its own labels.
    :param families: 4, 6 or both; by default the one that the group has, IPv4 first.
    :param count: addresses of each family.
    :param address: the address itself, also outside the ranges.
    :param mac: a MAC address, for an IPv6 address by EUI-64 (RFC 4291).
    :param kind: ``any`` (the default), ``next`` for the lowest free one, ``gateway``.
    :param claims: True to claim space for the host. A service of the network (DHCP, DNS) on the host should
        not, because it ends with the network and not with the host.
    :param owner: the caller's name for the user of the addresses.
    :param key: idempotency key: the same request with the same key gets the same answer.
    :param attributes: JSON to keep with the addresses.
    :param note: free text to keep with the addresses, on one line.
    :param sticky: of each family, return what the owner has in the group, else what is reserved for it,
        else a new address. A release leaves a reservation. The owner takes the place of the key.
    :param shared: let other owners share the address, such as a virtual or an anycast address. By name,
        become one of the owners of an address that is shared already. It is free when the last one
        releases it.
    :param lease: release the addresses by themselves after so long, unless they are renewed: seconds, or
        text such as ``5m``; 0 for never.
    :param explain: put the explanation into the answer.
    :param wait: ``routed`` to answer when the agents of the hosts have acknowledged the routes, at most
        after ten seconds. The same request with the same key waits again.
    :raises FixInput: (or a subclass) for a value that is not allowed.
    """
    made = _labels(labels or {})
    host_name = place(made, host)
    if not isinstance(claims, bool):
        raise FixInput("claims is true or false", claims=str(claims))
    if not claims:
        made.pop(HOST, None)
    number = None
    asked = _families(families)
    if address is not None:
        family, number = parse_held_address(address)
        if asked and asked != (family,):
            raise FixInput(f"{address} is an IPv{family} address, but IPv{asked[0]} was requested")
        asked = (family,)
    chosen = _kind(kind, address, mac)
    if chosen is Kind.EUI64 and asked and 6 not in asked:
        raise FixInput("an EUI-64 address is an IPv6 address; ask for family 6 or both")
    return Request(
        scope=check_text("scope", scope),
        labels=made,
        tiers=_tiers(subnets, made, host_name),
        host=host_name,
        kind=chosen,
        families=asked,
        count=_count(count, chosen),
        address=number,
        mac=None if mac is None else parse_mac(mac),
        owner=optional_text("owner", owner),
        key=optional_text("idempotency key", key),
        attributes=parse_attributes(attributes),
        note=optional_text("note", note, NOTE_LIMIT),
        sticky=_sticky(sticky, owner, count, chosen),
        shared=_shared(
            shared, owner, host_name, bool(sticky or lease), bool(key) and number is not None
        ),
        lease=parse_duration("a lease", lease),
        explain=explain,
        wait=_wait(wait),
    )


def _wait(wait: str | None) -> str:
    if wait not in (None, "routed"):
        raise FixInput(f"an allocation waits for routed, not for {wait!r}", wait=str(wait))
    return wait or ""


def write_request(request: Request) -> dict[str, Any]:
    """A request as parameters of :func:`parse_request`, in text and numbers, without empty values."""
    family = request.families[0] if request.families else 4
    number, mac = request.address, request.mac
    made = {name: getattr(request, name) for name in Request.__slots__ if name != "tiers"} | {
        "labels": {name: sorted(each) for name, each in request.labels.items() if name != HOST},
        "subnets": request.tiers and [list(tier) for tier in request.tiers],
        "kind": request.kind.value,
        "families": list(request.families),
        "address": None if number is None else format_address(family, number),
        "mac": None if mac is None else format_mac(mac),
    }
    made = {name: value for name, value in made.items() if value}
    return made if request.claims else made | {"claims": False}


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """Addresses to release: by name, or all of an owner, or all on a host.

    :ivar addresses: family and number of each.
    :ivar sequence: of the only address.
    :ivar scope: None for all scopes of an owner or a host.
    :ivar now: without a cool-down; addresses that cool down already are free at once.
    """

    addresses: tuple[tuple[Family, int], ...] = ()
    owner: str = ""
    host: str = ""
    sequence: int | None = None
    scope: str | None = None
    now: bool = False

    @property
    def places(self) -> list[tuple[str, Family, int]]:
        """The addresses named, with their scope."""
        return [(self.scope or DEFAULT_SCOPE, *each) for each in self.addresses]


def parse_release(
    address: str | Iterable[str] | None = None,
    *,
    owner: str = "",
    host: str = "",
    sequence: int | None = None,
    scope: str | None = None,
    now: bool = False,
) -> ReleaseRequest:
    """Parse a request to release addresses.

    :param address: one or several; ``owner`` and ``host`` are then conditions.
    :param sequence: release the one address only if it still has this sequence number.
    :param scope: that of the addresses, by default ``default``; for an owner or a host all scopes.
    :param now: True to skip cool-downs, and to end those that have begun.
    :raises FixInput: (or a subclass) there is no condition, or a value is not allowed.
    """
    names = [address] if isinstance(address, str) else list(address or ())
    if not (names or owner or host):
        raise FixInput("name addresses, an owner or a host to release")
    numbers = tuple(dict.fromkeys(parse_held_address(name) for name in names))
    if sequence is not None and len(numbers) != 1:
        raise FixInput("a sequence number goes with exactly one address")
    who, where = optional_text("owner", owner), optional_text("host", host)
    if scope is None and numbers:
        scope = DEFAULT_SCOPE
    return ReleaseRequest(numbers, who, where, sequence, scope, now)


@dataclass(frozen=True, slots=True)
class ReassignRequest:
    """An address to reassign to a host."""

    family: Family
    address: int
    host: str
    sequence: int | None = None
    force: bool = False
    scope: str = "default"


def parse_reassign(
    address: str,
    host: str,
    *,
    sequence: int | None = None,
    force: bool = False,
    scope: str = "default",
) -> ReassignRequest:
    """Parse a request to reassign an address.

    :param sequence: only if the address still has this sequence number.
    :param force: also when the labels of the host do not reach the subnet.
    :raises FixInput: (or a subclass) for a value that is not allowed.
    """
    return ReassignRequest(
        *parse_held_address(address), check_text("host", host), sequence, force, scope
    )


@dataclass(frozen=True, slots=True)
class AllocationFilter:
    """Allocations to list: those that meet every condition that is not None.

    :ivar after: only those with a larger sequence number.
    :ivar limit: most of them.
    """

    scope: str | None = None
    owner: str | None = None
    host: str | None = None
    state: State | None = None
    subnet: str | None = None
    prefix: Prefix | None = None
    owner_prefix: str | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    after: int = 0
    limit: int | None = None


def parse_filter(
    *,
    scope: str | None = None,
    owner: str | None = None,
    host: str | None = None,
    state: StateName | None = None,
    subnet: str | None = None,
    prefix: str | None = None,
    owner_prefix: str | None = None,
    attributes: Mapping[str, str] | None = None,
    after: int = 0,
    limit: int | None = None,
) -> AllocationFilter:
    """Parse a filter of allocations.

    :param state: only those that are ``allocated``, ``cooling`` or ``reserved``.
    :param prefix: only addresses of this prefix, of the default scope when none is named.
    :param owner_prefix: only those whose owner starts with it; reads every allocation with an owner.
    :param attributes: only those with all these attributes. A value that is no text is named by its JSON.
        Reads every allocation, unless another condition narrows it.
    :param after: only those with a larger sequence number, to page through.
    :param limit: most of them.
    :raises FixInput: (or a subclass) for a value that is not allowed.
    """
    texts = {"scope": scope, "owner": owner, "host": host, "owner_prefix": owner_prefix}
    for name, text in texts.items():
        if text is not None:
            optional_text(name, text)
    check_page(after, limit)
    within = None if prefix is None else parse_prefix(prefix)
    if within is not None and scope is None:
        scope = DEFAULT_SCOPE
    pairs = tuple(sorted(_searched(attributes or {})))
    return AllocationFilter(
        scope, owner, host, _state(state), subnet, within, owner_prefix, pairs, after, limit
    )


def _state(name: str | None) -> State | None:
    if name is None:
        return None
    try:
        return State(name)
    except ValueError:
        raise FixInput(
            f"{name!r} is no state of an address; use {', '.join(State)}", state=str(name)
        ) from None


def _searched(attributes: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in attributes.items():
        if not isinstance(value, str) or not name or "=" in name:
            raise FixInput(
                "attributes are searched by names without = and by texts; "
                f"write {name!r}: {value!r} so",
                attribute=str(name),
            )
        yield name, value


def check_page(after: int, limit: int | None) -> None:
    """Check the bounds of a page.

    :raises FixInput: a number is too large for a database, or the page is empty.
    """
    if not 0 <= after <= _LARGEST or (limit is not None and not 1 <= limit <= _LARGEST):
        raise FixInput(
            f"a page starts after a number from 0 to {_LARGEST} and has at least one line",
            after=after,
            limit=limit,
        )


def _labels(written: LabelsIn) -> dict[str, frozenset[str]]:
    """Parse labels; those of an earlier request come from a cache."""
    try:
        known = _PARSED.get(key := tuple(written.items()))
    except TypeError:
        # Values that cannot be hashed: lists, or values that make_labels refuses.
        return make_labels(written)
    return dict(known or _PARSED.put(key, make_labels(written)))


def optional_text(what: str, value: str | None, limit: int = NAME_LIMIT) -> str:
    """A text that may be missing: empty stands for none."""
    return "" if value is None or value == "" else check_text(what, value, limit)


def place(labels: dict[str, frozenset[str]], host: str | None) -> str:
    """The host of a request, which is also its label in the host dimension."""
    name = optional_text("host", host)
    named = labels.get(HOST)
    if named and name and named != {name}:
        raise FixInput(f"the request names two hosts: {name} and {', '.join(sorted(named))}")
    if named and len(named) > 1:
        raise FixInput("an address lives on one host; name one")
    if name:
        labels[HOST] = frozenset([name])
    return name or next(iter(named or [""]))


def _families(families: Iterable[int] | int | None) -> tuple[Family, ...]:
    if families is None:
        return ()
    several = [families] if isinstance(families, int) else list(families)
    if any(isinstance(each, bool) or not isinstance(each, int) for each in several):
        raise FixInput("families are the numbers 4 and 6", families=[str(each) for each in several])
    return tuple(sorted({parse_family(each) for each in several}))


def _kind(kind: str | None, address: str | None, mac: str | None) -> Kind:
    if kind is None:
        if address is not None and mac is not None:
            raise FixInput("a request names an address or a MAC address, not both")
        if address is not None:
            return Kind.SPECIFIC
        return Kind.ANY if mac is None else Kind.EUI64
    try:
        chosen = Kind(kind)
    except ValueError:
        raise FixInput(
            f"{kind!r} is no kind of request; use {', '.join(Kind)}", kind=str(kind)
        ) from None
    if (chosen is Kind.SPECIFIC) != (address is not None):
        raise FixInput("a specific request names an address, and no other one does")
    if (chosen is Kind.EUI64) != (mac is not None):
        raise FixInput("an EUI-64 request names a MAC address, and no other one does")
    return chosen


def _count(count: int, kind: Kind) -> int:
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= COUNT_LIMIT:
        raise FixInput(
            f"the count is between 1 and {COUNT_LIMIT} addresses a request, not {count!r}",
            limit=COUNT_LIMIT,
        )
    if count > 1 and kind not in (Kind.ANY, Kind.NEXT):
        raise FixInput(f"a request of kind {kind} is for one address, not {count}")
    return count


def _sticky(sticky: bool, owner: str, count: int, kind: Kind) -> bool:
    if not isinstance(sticky, bool):
        raise FixInput("sticky is true or false", sticky=str(sticky))
    if sticky and not owner:
        raise FixInput("a sticky request names its owner")
    if sticky and (count > 1 or kind not in (Kind.ANY, Kind.NEXT)):
        raise FixInput("a sticky request is for any address, one of each family")
    return sticky


def _shared(shared: bool, owner: str, host: str, is_kept: bool, is_keyed: bool) -> bool:
    if not isinstance(shared, bool):
        raise FixInput("shared is true or false", shared=str(shared))
    if shared and (not owner or host or is_kept):
        raise FixInput(
            "a request for a shared address names its owner, and no host, lease or sticky"
        )
    if shared and is_keyed:
        raise FixInput(
            "a shared address is asked for by name without a key: its owner gets it again"
        )
    return shared


def _tiers(
    subnets: SubnetsIn | None, labels: Labels, host: str
) -> tuple[tuple[str, ...], ...] | None:
    if subnets is None:
        return None
    if isinstance(subnets, str):
        subnets = [subnets]
    if set(labels) - {HOST}:
        raise FixInput("a request names its subnets or the labels of its group, not both")
    tiers = tuple(
        (check_text("subnet", tier),)
        if isinstance(tier, str)
        else tuple(check_text("subnet", name) for name in tier)
        for tier in subnets
    )
    names = [name for tier in tiers for name in tier]
    if not names or not all(tiers):
        raise FixInput("a request that names its subnets names at least one in each tier")
    if len(set(names)) < len(names):
        raise FixInput("a request names each of its subnets once")
    return tiers


def parse_attributes(attributes: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Check attributes: plain JSON of bounded size.

    :raises FixInput: they are not.
    """
    if not attributes:
        return {}
    try:
        text = json.dumps(attributes, allow_nan=False, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise FixInput(f"attributes must be plain JSON: {error}") from None
    if len(text.encode()) > ATTRIBUTES_LIMIT or "\\u0000" in text:
        raise FixInput(
            f"attributes are at most {ATTRIBUTES_LIMIT} bytes of JSON, without NUL characters"
        )
    parsed: Mapping[str, Any] = json.loads(text)
    return parsed
