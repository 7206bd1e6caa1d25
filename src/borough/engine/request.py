"""Parsing a request: everything a caller may write, checked once, strictly."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from borough.domain.address import Family, parse_address, parse_family, parse_mac
from borough.domain.dimension import HOST, Labels, make_labels
from borough.domain.model import Kind, Request
from borough.domain.text import check_text
from borough.errors import FixInput
from borough.store.cache import Cache

#: Most addresses of one family in one request.
COUNT_LIMIT: Final = 65_536

#: Longest owner, host or idempotency key, in characters.
NAME_LIMIT: Final = 255

#: Largest attributes, in bytes of JSON.
ATTRIBUTES_LIMIT: Final = 10_240

#: Most bytes of labels kept as they were written and as they were parsed.
_KEPT: Final = 2 << 20

KindName = Literal["any", "next", "specific", "eui64", "gateway"]
LabelsIn = Mapping[str, str | Iterable[str]]
SubnetsIn = Sequence[str | Sequence[str]]

_PARSED: Final[Cache[tuple[tuple[str, str | Iterable[str]], ...], Labels]] = Cache(_KEPT)


def parse_request(
    *,
    labels: LabelsIn | None,
    subnets: SubnetsIn | None,
    host: str | None,
    families: Iterable[int] | int | None,
    count: int,
    address: str | None,
    mac: str | None,
    kind: str | None,
    claims: bool,
    owner: str,
    key: str | None,
    scope: str,
    attributes: Mapping[str, Any] | None,
) -> Request:
    """Make a request of what a caller wrote; see :meth:`borough.engine.ipam.Ipam.allocate`.

    :raises FixInput: (or a subclass) for anything that cannot be meant.
    """
    made = _labels(labels or {})
    place = _place(made, host)
    if not isinstance(claims, bool):
        raise FixInput("claims is true or false", claims=str(claims))
    if not claims:
        made.pop(HOST, None)
    number = None
    wanted = _families(families)
    if address is not None:
        family, number = parse_address(address)
        if wanted and wanted != (family,):
            raise FixInput(f"{address} is an IPv{family} address, but IPv{wanted[0]} was asked for")
        wanted = (family,)
    chosen = _kind(kind, address, mac)
    if chosen is Kind.EUI64 and wanted and 6 not in wanted:
        raise FixInput("an EUI-64 address is an IPv6 address; ask for family 6 or both")
    return Request(
        scope=check_text("scope", scope),
        labels=made,
        tiers=_tiers(subnets, made, place),
        host=place,
        kind=chosen,
        families=wanted,
        count=_count(count, chosen),
        address=number,
        mac=None if mac is None else parse_mac(mac),
        owner=optional_text("owner", owner),
        key=optional_text("idempotency key", key),
        attributes=parse_attributes(attributes),
    )


def _labels(given: LabelsIn) -> dict[str, frozenset[str]]:
    """Labels, parsed; a group that was asked for before is not parsed again."""
    try:
        known = _PARSED.get(key := tuple(given.items()))
    except TypeError:
        # Values that cannot be hashed: lists of several, or what make_labels will refuse.
        return make_labels(given)
    return dict(known or _PARSED.put(key, make_labels(given)))


def optional_text(what: str, value: str | None) -> str:
    """A text that may be left out: empty stands for none."""
    return "" if value is None or value == "" else check_text(what, value, NAME_LIMIT)


def _place(labels: dict[str, frozenset[str]], host: str | None) -> str:
    """The request's host, which is also its label in the host dimension."""
    place = optional_text("host", host)
    named = labels.get(HOST)
    if named and place and named != {place}:
        raise FixInput(f"the request names two hosts: {place} and {', '.join(sorted(named))}")
    if named and len(named) > 1:
        raise FixInput("an address lives on one host; name one")
    if place:
        labels[HOST] = frozenset([place])
    return place or next(iter(named or [""]))


def _families(given: Iterable[int] | int | None) -> tuple[Family, ...]:
    if given is None:
        return ()
    several = [given] if isinstance(given, int) else list(given)
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
        raise FixInput(f"a request of kind {kind} gives one address, not {count}")
    return count


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
    """Accept attributes: plain JSON of bounded size.

    :raises FixInput: for anything else.
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
