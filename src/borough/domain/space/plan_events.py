"""Events of a plan, and the cohort of an event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from borough.domain.declared.catalogue import Catalogue
from borough.domain.encode import rfc3339, utc
from borough.domain.net.addresses import format_address
from borough.domain.space.allocations import AllocationRow, State
from borough.domain.space.events import DETAIL_LIMIT, OWNER_LIMIT, VALUE_LIMIT, EventRow, shorten
from borough.domain.space.plan import Act, Note, Plan


def events_of(plan: Plan, catalogue: Catalogue, now: int) -> list[EventRow]:
    """The events of a plan, except those of its grants."""
    # A cooling allocation that is removed was released before.
    ended = [each for each in plan.removed if each.state is not State.COOLING]
    if any(each.state is State.RESERVED for each in ended):
        # A reservation that becomes an allocation is not cancelled.
        granted = {_place(grant.allocation) for grant in plan.grants}
        ended = [
            each for each in ended if each.state is State.ALLOCATED or _place(each) not in granted
        ]
    ended += [old for old, _ in plan.cooled]
    return [
        *(_event(_END[each.state], each, catalogue, now, _reason(each, now)) for each in ended),
        *(
            _event(_act(old, new), new, catalogue, now, _edits(old, new), _one_of(old, new))
            for old, new in plan.edited
        ),
        *(_event_of_note(note, catalogue, now) for note in plan.notes),
    ]


_END: Final = {State.ALLOCATED: Act.RELEASED, State.RESERVED: Act.CANCELLED}


def _reason(ended: AllocationRow, now: int) -> str:
    return "lease ended" if ended.is_over(now) else ""


def _place(allocation: AllocationRow) -> tuple[str, int, int]:
    return allocation.scope, allocation.family, allocation.address


def _act(old: AllocationRow, new: AllocationRow) -> Act:
    if old.sticky != new.sticky:
        return Act.RESERVED if new.sticky else Act.CANCELLED
    if old.until != new.until:
        return Act.RENEWED
    if len(old.sharers) != len(new.sharers):
        return Act.ATTACHED if len(old.sharers) < len(new.sharers) else Act.DETACHED
    return Act.EDITED if old.host == new.host else Act.REASSIGNED


def _one_of(old: AllocationRow, new: AllocationRow) -> str | None:
    """The owner that came to a shared address, or left it; None for no such change."""
    changed = set(old.sharers) ^ set(new.sharers)
    return changed.pop() if len(changed) == 1 else None


def _edits(old: AllocationRow, new: AllocationRow) -> str:
    """The changes of an allocation, each from what to what."""
    if old.host != new.host:
        return f"from host {old.host}" if old.host else ""
    if old.until != new.until:
        return f"until {rfc3339(utc(new.until or 0))}"
    before, after = _values(old), _values(new)
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    changes = [f"{name} {_shown(before, name)} -> {_shown(after, name)}" for name in names]
    return shorten("; ".join(changes), DETAIL_LIMIT)


def _values(allocation: AllocationRow) -> dict[str, str]:
    """Owners, note and attributes as text, by name."""
    attributes = {
        f"attribute {name}": json.dumps(value, ensure_ascii=False, sort_keys=True)
        for name, value in sorted(allocation.attributes.items())
    }
    return {"owner": allocation.owners_text, "note": allocation.note, **attributes}


def _shown(values: Mapping[str, str], name: str) -> str:
    return shorten(values.get(name, ""), VALUE_LIMIT) or "none"


def event_of_grant(allocation: AllocationRow, catalogue: Catalogue, now: int) -> EventRow:
    """The event of an address that a plan grants."""
    act = Act.RESERVED if allocation.state is State.RESERVED else Act.ALLOCATED
    return _event(act, allocation, catalogue, now)


def _event(
    act: Act,
    allocation: AllocationRow,
    catalogue: Catalogue,
    now: int,
    detail: str = "",
    owner: str | None = None,
) -> EventRow:
    return EventRow(
        now,
        act,
        format_address(allocation.family, allocation.address),
        catalogue.subnets[allocation.subnet_id].name,
        owner or shorten(allocation.owners_text, OWNER_LIMIT),
        allocation.host,
        allocation.sequence,
        detail,
        cohort_id=catalogue.cohort_of[allocation.subnet_id],
        scope=allocation.scope,
        address=(allocation.family, allocation.address),
    )


def _event_of_note(note: Note, catalogue: Catalogue, now: int) -> EventRow:
    return EventRow(
        now,
        note.act,
        str(note.prefix),
        catalogue.subnets[note.subnet_id].name,
        detail=note.holder,
        cohort_id=catalogue.cohort_of[note.subnet_id],
        scope=catalogue.subnets[note.subnet_id].scope,
        address=(note.prefix.family, note.prefix.base),
    )


def in_cohort(event: EventRow, catalogue: Catalogue) -> EventRow:
    """The event with the cohort that its subnet belongs to."""
    subnet = catalogue.by_name.get(event.subnet)
    return event if subnet is None else replace(event, cohort_id=catalogue.cohort_of[subnet.id])
