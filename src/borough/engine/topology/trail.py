"""Events of declared changes: who changed what, from what to what, and in which scope."""

from __future__ import annotations

from collections.abc import Iterable

from borough.domain.declared.fields import values_of
from borough.domain.declared.records import Host, Pool, Subnet
from borough.domain.declared.topology import Change, Changes, FieldChange
from borough.domain.space.events import DETAIL_LIMIT, VALUE_LIMIT, EventRow, shorten
from borough.domain.space.plan import Act


def events_of_changes(changes: Changes, now: int) -> list[EventRow]:
    """One event for each line of a diff.

    The address of a changed subnet is that of its new prefix, as its later events lie there.
    """
    objects: dict[tuple[str, str, str], Subnet | Pool | Host] = {}
    for kind in ("subnet", "pool", "host"):
        for action, found in (("remove", "removed"), ("add", "added")):
            for each in getattr(changes, f"{kind}s_{found}"):
                objects[action, kind, each.name] = each
        for _, each in getattr(changes, f"{kind}s_changed"):
            objects["change", kind, each.name] = each
    return [
        _event(change, objects.get((change.action, change.kind, change.name)), now)
        for change in changes.changes
    ]


def event_of_subnet(action: str, subnet: Subnet, now: int) -> EventRow:
    """The event of a single subnet that is added or removed."""
    change = Change(
        "add" if action == "add" else "remove", "subnet", subnet.name, (), str(subnet.prefix)
    )
    return _event(change, subnet, now)


def _event(change: Change, of: Subnet | Pool | Host | None, now: int) -> EventRow:
    scope = change.name if change.kind == "scope" else ""
    return EventRow(
        now,
        Act.TOPOLOGY,
        change.name,
        host=change.name if change.kind == "host" else "",
        detail=describe(change, () if change.action == "change" or of is None else values_of(of)),
        scope=of.scope if isinstance(of, Subnet | Pool) else scope,
        address=(of.family, of.prefix.base) if isinstance(of, Subnet) else None,
    )


def describe(change: Change, values: Iterable[FieldChange] = ()) -> str:
    """A line of a diff on one line, of bounded length.

    :param values: of an object that is added or removed, its fields beside the prefix.
    """
    head = f"{change.action} {change.kind}"
    if change.prefix and change.action != "change":
        head += f" {change.prefix}"
    words = [f"{each.field} {_cut(each.old)} -> {_cut(each.new)}" for each in change.fields]
    words += [f"{each.field} {_cut(each.new)}" for each in values]
    text = f"{head}: {'; '.join(words)}" if words else head
    return shorten(text, DETAIL_LIMIT)


def _cut(text: str) -> str:
    return shorten(text, VALUE_LIMIT)
