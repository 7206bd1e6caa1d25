"""Conversion between rows and records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from borough.domain.declared.catalogue import Catalogue
from borough.domain.declared.records import Subnet
from borough.domain.encode import utc
from borough.domain.net.addresses import WIDTH, Family, from_bytes, to_bytes
from borough.domain.net.prefixes import Prefix
from borough.domain.request import Request
from borough.domain.space.allocations import AllocationRow, State
from borough.domain.space.blocks import Block, FreeRange
from borough.domain.space.events import Event, EventRow
from borough.domain.space.plan import Act, Plan
from borough.store.actor import actor
from borough.store.sql.runner import Row
from borough.store.sql.statements import SHARED

_SIGN = 1 << 63
_WRAP = 1 << 64

#: Stands for null where ends are compared: the address is allocated without a lease.
_NO_END = -1


def signed(bitmap: int) -> int:
    """64 bits as the signed integer that databases store."""
    return bitmap - _WRAP if bitmap & _SIGN else bitmap


def unsigned(stored: int) -> int:
    """Undo :func:`signed`."""
    return stored + _WRAP if stored < 0 else stored


def family_of(packed: bytes) -> Family:
    """The family of a stored address, by its width."""
    return 4 if len(packed) == 4 else 6


def prefix_of(packed: bytes, length: int) -> Prefix:
    """A stored prefix."""
    return Prefix(family_of(packed), from_bytes(packed), length)


def to_block(row: Row) -> Block:
    """A row of ``BLOCK_COLUMNS``."""
    id, subnet_id, cohort_id, base, length, bitmap, holder, region_length, *more = row
    return Block(
        id,
        subnet_id,
        cohort_id,
        prefix_of(base, length),
        unsigned(bitmap),
        holder,
        region_length,
        *more,
    )


def to_free_range(row: Row) -> FreeRange:
    """A row that starts with ``FREE_RANGE_COLUMNS``."""
    id, subnet_id, cohort_id, base, length, *_ = row
    return FreeRange(id, subnet_id, cohort_id, prefix_of(base, length))


def block_values(block: Block) -> dict[str, Any]:
    """The columns of a block, its id aside."""
    family, base, length = block.prefix
    free = block.free_count
    return {
        "subnet_id": block.subnet_id,
        "cohort_id": block.cohort_id,
        "base": to_bytes(family, base),
        "length": length,
        "bitmap": signed(block.bitmap),
        "free": free,
        "is_open": 1 if free else 0,
        "holder": block.holder,
        "is_held": 1 if block.holder else 0,
        "region_length": block.region_length,
        "version": block.version,
        "high_water": block.high_water,
        "takeover_rank": block.takeover_rank,
        "idle_since": block.idle_since,
    }


def changed_values(plan: Plan) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The columns of a plan's changed blocks: (only bits change, more changes); one of the two is empty.

    One list, by id: two transactions that lock in opposite orders would deadlock.
    """
    found: list[dict[str, Any]] = []
    shaped = False
    for _, (old, new) in sorted(plan.changed.items()):
        values = block_values(new) | {
            "old_id": old.id,
            "old_version": old.version,
        }
        shaped = shaped or _shape(old) != _shape(new)
        found.append(values)
    return ([], found) if shaped else (found, [])


def _shape(block: Block) -> tuple[Any, ...]:
    rank, is_open = block.takeover_rank, bool(block.free_count)
    return block.prefix, block.holder, block.region_length, rank, block.idle_since, is_open


def free_range_values(free_range: FreeRange) -> dict[str, Any]:
    """The columns of a free range, its id aside."""
    family, base, length = free_range.prefix
    return {
        "subnet_id": free_range.subnet_id,
        "cohort_id": free_range.cohort_id,
        "base": to_bytes(family, base),
        "length": length,
        "host_bits": WIDTH[family] - length,
    }


def to_allocation(row: Row) -> AllocationRow:
    """A row of ``ALLOCATION_COLUMNS``."""
    (
        sequence,
        scope,
        packed,
        subnet_id,
        owner,
        host,
        attributes,
        note,
        at,
        until,
        sticky,
        lease,
        sharers,
        version,
    ) = row
    return AllocationRow(
        scope,
        family_of(packed),
        from_bytes(packed),
        subnet_id,
        "" if sharers else owner,
        host,
        sequence,
        State.at_end(until, lease),
        json.loads(attributes) if attributes else {},
        note or "",
        at,
        until,
        bool(sticky),
        lease,
        tuple(json.loads(sharers)) if sharers else (),
        version,
    )


def kept_values(of: Request | AllocationRow) -> dict[str, Any]:
    """The texts of an allocation that come from its request, and change while it is held."""
    is_shared = isinstance(of, AllocationRow) and bool(of.sharers)
    return {
        "owner": SHARED if is_shared else of.owner,
        "host": of.host,
        "attributes": json.dumps(of.attributes, sort_keys=True) if of.attributes else None,
        "note": of.note or None,
    }


def _sharers(allocation: AllocationRow) -> str | None:
    return json.dumps(allocation.sharers) if allocation.sharers else None


def allocation_values(
    allocation: AllocationRow, scopes: Mapping[str, int], sequence: int
) -> dict[str, Any]:
    """The columns of a new allocation."""
    return {
        "sequence": sequence,
        "scope_id": scopes[allocation.scope],
        "address": to_bytes(allocation.family, allocation.address),
        "subnet_id": allocation.subnet_id,
        **kept_values(allocation),
        "at": allocation.at,
        "until": allocation.until,
        "sticky": int(allocation.sticky),
        "lease": allocation.lease,
        "sharers": _sharers(allocation),
    }


def old_allocation(old: AllocationRow) -> dict[str, Any]:
    """The precondition on the row of an allocation."""
    return {
        "old_sequence": old.sequence,
        "old_version": old.version,
        "old_until": _NO_END if old.until is None else old.until,
    }


def removed_values(plan: Plan) -> list[dict[str, Any]]:
    """The preconditions of a plan's removed allocations."""
    return [old_allocation(each) for each in plan.removed]


def cooled_values(plan: Plan) -> list[dict[str, Any]]:
    """The ends of the cool-downs of a plan's released allocations."""
    return [{**old_allocation(old), "until": new.until} for old, new in plan.cooled]


def edited_values(plan: Plan) -> list[dict[str, Any]]:
    """The new values of a plan's edited allocations."""
    return [
        {
            **old_allocation(old),
            **kept_values(new),
            "until": new.until,
            "sticky": int(new.sticky),
            "lease": new.lease,
            "sharers": _sharers(new),
        }
        for old, new in plan.edited
    ]


def outside_values(plan: Plan, subnets: Mapping[int, Subnet]) -> list[dict[str, Any]]:
    """The subnets that witness a plan's changes outside of blocks and free ranges."""
    return [{"old_id": each.id, "old_version": each.version} for each in plan.outside(subnets)]


def to_event(row: Row) -> Event:
    """A row of ``EVENT_COLUMNS``."""
    id, at, act, subject, subnet, owner, host, sequence, detail, actor, cohort_id, scope = row
    if sequence is None and act in (Act.ALLOCATED, Act.RESERVED):
        # The id of the event that allocates or reserves an address is its sequence number.
        sequence = id
    return Event(
        id, utc(at), act, subject, subnet, owner, host, sequence, detail, actor, scope, cohort_id
    )


def event_values(event: EventRow) -> dict[str, Any]:
    """The columns of an event, its id aside."""
    return {
        "at": event.at,
        "act": event.act.value,
        "subject": event.subject,
        "subnet": event.subnet,
        "owner": event.owner,
        "host": event.host,
        "sequence": event.sequence or None,
        "detail": event.detail,
        "actor": actor(),
        "cohort_id": event.cohort_id,
        "scope": event.scope,
        "address": None if event.address is None else to_bytes(*event.address),
    }


def in_subnet(catalogue: Catalogue, subnet_id: int) -> dict[str, Any]:
    """The parameters of ``statements.IN_SUBNET``."""
    subnet = catalogue.subnets[subnet_id]
    return {
        **between(subnet.family, subnet.prefix.base, subnet.prefix.last),
        "scope_id": catalogue.scopes[subnet.scope],
        "subnet_id": subnet_id,
    }


def between(family: int, first: int, last: int) -> dict[str, Any]:
    """The range that ``statements.IN_SPACE`` compares addresses with."""
    return {
        "first": to_bytes(family, first),
        "last": to_bytes(family, last),
        "width": WIDTH[family] // 8,
    }
