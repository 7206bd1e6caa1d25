"""The history of an address, a prefix, an owner or a host: questions to the audit trail."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from borough.domain.declared.dimensions import Labels, make_labels
from borough.domain.encode import micros
from borough.domain.net.addresses import WIDTH, parse_address
from borough.domain.net.prefixes import Prefix, parse_prefix
from borough.domain.space.events import Event
from borough.domain.space.filters import CONDITIONS, Trail
from borough.domain.space.plan import Act
from borough.engine.request import LabelsIn, check_page, optional_text
from borough.errors import BoroughError, FixInput
from borough.store.port import ReadUnit

#: Text that begins like an address or a prefix: digits and dots, or hexadecimal digits with a colon.
_LIKE_ADDRESS: Final = re.compile(r"[0-9.]+(/[0-9]+)?|[0-9a-fA-F]*:[0-9a-fA-F:.]*(/[0-9]+)?")


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Events to find: those for which all that is not None is true.

    :ivar name: an owner or a host.
    :ivar within: a prefix, or an address as the longest one.
    :ivar since: microseconds since the epoch; ``until`` is excluded.
    :ivar after: only larger ids; ``before``: only smaller ones.
    """

    name: str | None = None
    within: Prefix | None = None
    owner: str | None = None
    host: str | None = None
    subnet: str | None = None
    scope: str | None = None
    actor: str | None = None
    act: str | None = None
    since: int | None = None
    until: int | None = None
    after: int = 0
    before: int | None = None
    limit: int = 100
    labels: Labels | None = None


def parse_history(
    what: str | None = None,
    *,
    owner: str | None = None,
    host: str | None = None,
    subnet: str | None = None,
    scope: str | None = None,
    actor: str | None = None,
    act: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    labels: LabelsIn | None = None,
    after: int = 0,
    before: int | None = None,
    limit: int = 100,
) -> HistoryQuery:
    """Parse a question to the audit trail.

    :param what: an address, also with the length of its prefix; a prefix; or the name of an owner or a host.
    :param subnet: only events in a subnet, and its own changes.
    :param actor: only events by this token.
    :param act: only events of this kind, such as ``released``.
    :param since: only events of this time or later; ``until``: before it. Both with a time zone.
    :param labels: only events of subnets that had one of the values in each dimension at that time.
    :param after: only events with a larger id; ``before``: with a smaller one, to page through.
    :raises FixInput: (or a subclass) for a value that is not allowed.
    """
    texts = {"owner": owner, "host": host, "subnet": subnet, "scope": scope, "actor": actor}
    for name, text in texts.items():
        if text is not None:
            optional_text(name, text)
    if act is not None and act not in set(Act):
        raise FixInput(f"an event is {', '.join(Act)}, not {act!r}", act=act)
    check_page(after, limit)
    if before is not None:
        check_page(before, None)
    within = None if what is None else place_of(what)
    named = what if within is None and what is not None else None
    if named is not None:
        optional_text("name", named)
    return HistoryQuery(
        named,
        within,
        owner,
        host,
        subnet,
        scope,
        actor,
        act,
        _moment("since", since),
        _moment("until", until),
        after,
        before,
        limit,
        make_labels(labels or {}),
    )


def _moment(name: str, at: datetime | None) -> int | None:
    if at is None:
        return None
    if at.tzinfo is None:
        raise FixInput(f"{name} needs a time zone", **{name: str(at)})
    return micros(at)


def place_of(text: str) -> Prefix | None:
    """The prefix of an address or a prefix in text; None for a name."""
    if not _LIKE_ADDRESS.fullmatch(text):
        return None
    try:
        return parse_prefix(text)
    except BoroughError:
        alone, slash, length = text.partition("/")
        try:
            family, number = parse_address(alone)
        except BoroughError:
            # A name may look so: 1234.
            return None
        if slash and int(length) > WIDTH[family]:
            return None
        return Prefix(family, number, WIDTH[family])


def history(
    unit: ReadUnit, wanted: HistoryQuery, upto: int, cohorts: frozenset[int] | None
) -> list[Event]:
    """See :meth:`borough.engine.face.Face.history`.

    :param upto: the horizon, from before the unit.
    """
    if wanted.before is not None:
        upto = min(upto, wanted.before - 1)
    made = Trail(
        wanted.after,
        upto,
        wanted.limit,
        None if cohorts is None else sorted(cohorts),
        newest_first=True,
        within=wanted.within,
        **{name: getattr(wanted, name) for name in CONDITIONS},
    )
    subnet = unit.catalogue.by_name.get(wanted.subnet or "")
    if subnet is not None and wanted.within is None:
        # The index finds its events by their addresses, and its own changes as well.
        made = replace(made, subnet=None, scope=subnet.scope, within=subnet.prefix)
    if wanted.name is None:
        return unit.events(made)
    found: dict[int, Event] = {}
    if wanted.owner in (None, wanted.name):
        found |= {each.id: each for each in unit.events(replace(made, owner=wanted.name))}
    if wanted.host in (None, wanted.name):
        found |= {each.id: each for each in unit.events(replace(made, host=wanted.name))}
    return sorted(found.values(), key=lambda each: -each.id)[: wanted.limit]
