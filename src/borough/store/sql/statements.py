"""The statements: constants, and builders cached by the shape of their query."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from borough.domain.space.allocations import FOREVER, State
from borough.store.sql import schema as t
from borough.store.sql.indexes import block_index, by_index
from borough.store.sql.runner import shaped

_P = sa.bindparam
_ONE: Any = sa.literal_column("1")
_ZERO: Any = sa.literal_column("0")
_EMPTY: Any = sa.literal_column("''")
#: Stands in the column of the owner for the owners of a shared address, so that its index finds them. No
#: owner has this name: it has a character that cannot be printed.
SHARED = "shared\x1f"

_ESCAPED = re.compile("[!%_]")


def insert(table: sa.Table, *leave_out: str) -> Any:
    """Add a row: a parameter for each column."""
    return sa.insert(table).values(
        {column.name: _P(column.name) for column in table.c if column.name not in leave_out}
    )


def update(table: sa.Table) -> Any:
    """Change all of a row but its id, which is ``old_id``."""
    return (
        sa.update(table)
        .where(table.c.id == _P("old_id"))
        .values({column.name: _P(column.name) for column in table.c if column.name != "id"})
    )


def remove(table: sa.Table, column: str = "id") -> Any:
    """Remove the rows with ``old_id`` in a column."""
    return sa.delete(table).where(table.c[column] == _P("old_id"))


#: Most ids that are parameters, whose number databases bound; see :meth:`.Runner.among` for longer lists.
INLINE = 200

# --- Blocks and free ranges --------------------------------------------------------------------

BLOCK_COLUMNS = (
    t.block.c.id,
    t.block.c.subnet_id,
    t.block.c.cohort_id,
    t.block.c.base,
    t.block.c.length,
    t.block.c.bitmap,
    t.block.c.holder,
    t.block.c.region_length,
    t.block.c.version,
    t.block.c.high_water,
    t.block.c.idle_since,
)
FREE_RANGE_COLUMNS = (
    t.free_range.c.id,
    t.free_range.c.subnet_id,
    t.free_range.c.cohort_id,
    t.free_range.c.base,
    t.free_range.c.length,
)

add_block = insert(t.block, "id")
add_free_range = insert(t.free_range, "id")

change_block = (
    sa.update(t.block)
    .where(t.block.c.id == _P("old_id"), t.block.c.version == _P("old_version"))
    .values(
        {
            column.name: _P(column.name)
            for column in t.block.c
            if column.name not in ("id", "subnet_id", "cohort_id", "version")
        }
        | {"version": t.block.c.version + _ONE}
    )
)
#: The change of nearly every allocation and release: only bits. It leaves indexed columns alone, so a
#: database can rewrite the row in place.
change_bits = (
    sa.update(t.block)
    .where(t.block.c.id == _P("old_id"), t.block.c.version == _P("old_version"))
    .values(
        bitmap=_P("bitmap"),
        free=_P("free"),
        high_water=_P("high_water"),
        version=t.block.c.version + sa.literal_column("1"),
    )
)
remove_block = sa.delete(t.block).where(
    t.block.c.id == _P("old_id"), t.block.c.version == _P("old_version")
)
# The cohort is compared, because a subnet with new labels keeps its free ranges in another group.
remove_free_range = sa.delete(t.free_range).where(
    t.free_range.c.id == _P("old_id"),
    t.free_range.c.length == _P("old_length"),
    t.free_range.c.cohort_id == _P("old_cohort"),
)

block_at = (
    sa.select(*BLOCK_COLUMNS)
    .where(t.block.c.subnet_id == _P("subnet_id"), t.block.c.base <= _P("address"))
    .order_by(t.block.c.base.desc())
    .limit(sa.literal_column("1"))
)
free_range_at = (
    sa.select(*FREE_RANGE_COLUMNS)
    .where(t.free_range.c.subnet_id == _P("subnet_id"), t.free_range.c.base <= _P("address"))
    .order_by(t.free_range.c.base.desc())
    .limit(sa.literal_column("1"))
)
# Without the redundant "<> ''" a database does not use the partial index.
held_in = (
    sa.select(*BLOCK_COLUMNS)
    .where(
        t.block.c.holder == _P("holder"),
        t.block.c.holder != _EMPTY,
        t.block.c.cohort_id == _P("cohort_id"),
    )
    .order_by(t.block.c.base)
)


blocks_in = (
    sa.select(*BLOCK_COLUMNS)
    .where(
        t.block.c.subnet_id == _P("subnet_id"),
        t.block.c.base.between(_P("first", type_=t.Packed), _P("last", type_=t.Packed)),
    )
    .order_by(t.block.c.base)
)


@shaped
def free_ranges_at(count: int) -> Any:
    """The free ranges of a subnet at ``count`` bases; the caller compares lengths."""
    bases: list[Any] = [_P(f"base_{at}") for at in range(count)]
    return sa.select(*FREE_RANGE_COLUMNS).where(
        t.free_range.c.subnet_id == _P("subnet_id"), t.free_range.c.base.in_(bases)
    )


free_ranges_in = (
    sa.select(*FREE_RANGE_COLUMNS)
    .where(
        t.free_range.c.subnet_id == _P("subnet_id"),
        t.free_range.c.base.between(_P("first", type_=t.Packed), _P("last", type_=t.Packed)),
        t.free_range.c.length <= _P("longest"),
    )
    .order_by(t.free_range.c.base)
)


@shaped
def holdings(column: str, count: int) -> Any:
    """All blocks of a holder in some cohorts or subnets."""
    return held_where(t.block.c[column].in_([_P(f"id_{at}") for at in range(count)]))


def held_where(where: Any) -> Any:
    """All blocks of a holder that fulfil a condition."""
    return (
        sa.select(*BLOCK_COLUMNS)
        .where(t.block.c.holder == _P("holder"), t.block.c.holder != _EMPTY, where)
        .order_by(t.block.c.base)
    )


# --- Partitions --------------------------------------------------------------------------------

_FIRST, _LAST = _P("first", type_=t.Packed), _P("last", type_=t.Packed)


@lru_cache(maxsize=2)
def open_in_bounds(column: str) -> Any:
    """The first unclaimed and unlocked block with a free address."""
    return (
        by_index(sa.select(*BLOCK_COLUMNS), t.block, block_index(column, "base"))
        .where(
            t.block.c[column] == _P("id"),
            t.block.c.is_open == _ONE,
            t.block.c.is_held == _ZERO,
            t.block.c.base.between(_FIRST, _LAST),
        )
        .order_by(t.block.c.base)
        .limit(_ONE)
        .with_for_update(skip_locked=True)
    )


@lru_cache(maxsize=2)
def free_range_in_bounds(column: str) -> Any:
    """The first free range that begins in a partition."""
    return (
        sa.select(*FREE_RANGE_COLUMNS)
        .where(t.free_range.c[column] == _P("id"), t.free_range.c.base.between(_FIRST, _LAST))
        .order_by(t.free_range.c.base)
        .limit(_ONE)
    )


@lru_cache(maxsize=2)
def free_range_before_bounds(column: str) -> Any:
    """The last free range that begins before a partition, and may extend into it."""
    return (
        sa.select(*FREE_RANGE_COLUMNS)
        .where(t.free_range.c[column] == _P("id"), t.free_range.c.base < _FIRST)
        .order_by(t.free_range.c.base.desc())
        .limit(_ONE)
    )


# --- Allocations -------------------------------------------------------------------------------

ALLOCATION_COLUMNS = (
    t.allocation.c.sequence,
    t.scope.c.name,
    t.allocation.c.address,
    t.allocation.c.subnet_id,
    t.allocation.c.owner,
    t.allocation.c.host,
    t.allocation.c.attributes,
    t.allocation.c.note,
    t.allocation.c.at,
    t.allocation.c.until,
    t.allocation.c.sticky,
    t.allocation.c.lease,
    t.allocation.c.sharers,
    t.allocation.c.version,
)
_ALLOCATIONS = sa.select(*ALLOCATION_COLUMNS).select_from(
    t.allocation.join(t.scope, t.scope.c.id == t.allocation.c.scope_id)
)

add_allocation = insert(t.allocation, "version")
allocation_at = _ALLOCATIONS.where(
    t.allocation.c.scope_id == _P("scope_id"), t.allocation.c.address == _P("address")
)
#: The columns of an allocation that change while it is held.
KEPT = ("owner", "host", "attributes", "note", "until", "sticky", "lease", "sharers")
# An allocation as it was read: since then it may be edited, reassigned, released or kept.
SAME_ALLOCATION = (
    t.allocation.c.sequence == _P("old_sequence"),
    t.allocation.c.version == _P("old_version"),
    sa.func.coalesce(t.allocation.c.until, sa.literal_column("-1")) == _P("old_until"),
)
remove_allocation = sa.delete(t.allocation).where(*SAME_ALLOCATION)
cool_allocation = (
    sa.update(t.allocation)
    .where(*SAME_ALLOCATION)
    .values(until=_P("until"), sticky=_ZERO, lease=_ZERO)
)
edit_allocation = (
    sa.update(t.allocation)
    .where(*SAME_ALLOCATION)
    .values(
        {name: _P(name) for name in KEPT} | {"version": t.allocation.c.version + _ONE},
    )
)
#: The witness of an address that lies in no block or free range.
change_outside = (
    sa.update(t.subnet)
    .where(t.subnet.c.id == _P("old_id"), t.subnet.c.version == _P("old_version"))
    .values(outside=t.subnet.c.outside + sa.literal_column("1"))
)
expired = (
    _ALLOCATIONS.where(t.allocation.c.until <= _P("now"))
    .order_by(t.allocation.c.until, t.allocation.c.sequence)
    .limit(_P("count"))
)


def _hosts() -> Any:
    """The hosts of allocations, one index seek each: DISTINCT would read every allocation."""
    first, other = t.allocation, t.allocation.alias("other")
    found = (
        sa.select(sa.func.min(first.c.host).label("host"))
        .where(first.c.host != sa.literal_column("''"))
        .cte("found", recursive=True)
    )
    larger = (
        sa.select(sa.func.min(other.c.host))
        .where(other.c.host > found.c.host, other.c.host != sa.literal_column("''"))
        .scalar_subquery()
    )
    found = found.union_all(sa.select(larger).where(found.c.host.is_not(None)))
    return sa.select(found.c.host).where(found.c.host.is_not(None))


hosts = _hosts()
holders = sa.select(t.block.c.holder).where(t.block.c.holder != sa.literal_column("''")).distinct()


#: The allocations of an address range of one family. Addresses of the other family have another width,
#: and sort between the bounds.
IN_SPACE = (
    t.allocation.c.scope_id == _P("scope_id"),
    t.allocation.c.address.between(_P("first"), _P("last")),
    sa.func.length(t.allocation.c.address) == _P("width"),
)
#: The allocations of one subnet, by their addresses: an index over the subnet would write one more page with
#: every allocation.
IN_SUBNET = (*IN_SPACE, t.allocation.c.subnet_id == _P("subnet_id"))
#: The end of a reservation.
_FOREVER: Any = sa.literal_column(str(FOREVER))
#: Conditions on the state of an allocation.
IS_COOLING = sa.and_(t.allocation.c.until < _FOREVER, t.allocation.c.lease == _ZERO)
IS_RESERVED = t.allocation.c.until == _FOREVER
IS_ALLOCATED = sa.or_(t.allocation.c.until.is_(None), t.allocation.c.lease > _ZERO)
_STATES = {
    State.ALLOCATED: IS_ALLOCATED,
    State.COOLING: IS_COOLING,
    State.RESERVED: IS_RESERVED,
}
#: The rows of a subnet, and the cooling and the reserved ones among them.
count_in_subnet = sa.select(
    sa.func.count(),
    sa.func.count(sa.case((IS_COOLING, t.allocation.c.until))),
    sa.func.count(sa.case((IS_RESERVED, t.allocation.c.until))),
).where(*IN_SUBNET)


@shaped
def allocations(fields: tuple[str, ...], sequences: int, place: tuple[Any, ...] = ()) -> Any:
    """Allocations by sequence number.

    :param fields: the columns to compare, or states; ``owner_prefix`` compares the beginning of the owner.
    :param place: ``IN_SPACE`` or ``IN_SUBNET``.
    """
    query = _narrowed(_ALLOCATIONS.where(*place), fields)
    if sequences:
        wanted: list[Any] = [_P(f"sequence_{at}") for at in range(sequences)]
        query = query.where(t.allocation.c.sequence.in_(wanted))
    return query.order_by(t.allocation.c.sequence).limit(_P("count"))


_BEHIND = (
    sa.select(t.allocation.c.sequence)
    .where(t.allocation.c.sequence > _P("after"))
    .order_by(t.allocation.c.sequence)
    .limit(_P("count"))
    .subquery("behind")
)
#: The last of the next allocations by sequence number, and how many they are.
examined = sa.select(sa.func.max(_BEHIND.c.sequence), sa.func.count()).select_from(_BEHIND)


@shaped
def allocations_with(texts: int) -> Any:
    """Allocations of a range of sequence numbers in which one of some texts occurs.

    :param texts: number of texts.
    """
    columns = (t.allocation.c[name] for name in ("owner", "host", "note", "attributes"))
    found = [
        sa.func.lower(column).like(_P(f"text_{at}"), escape="!")
        for column in columns
        for at in range(texts)
    ]
    numbers = t.allocation.c.sequence
    query = _ALLOCATIONS.where(numbers > _P("after"), numbers <= _P("upto"), sa.or_(*found))
    return query.order_by(numbers).limit(_P("count"))


def containing(text: str) -> str:
    """The pattern of texts that contain a text."""
    for special in "!%_":
        text = text.replace(special, "!" + special)
    return f"%{text}%"


#: The allocations of a subnet by address: a range of the index that keeps addresses unique.
allocations_from = (
    _ALLOCATIONS.where(*IN_SUBNET).order_by(t.allocation.c.address).limit(_P("count"))
)


@shaped
def allocations_of(fields: tuple[str, ...], count: int) -> Any:
    """Allocations of some subnets by sequence number: one range of addresses for each of them.

    :param fields: as in :func:`allocations`, without the scope.
    :param count: number of subnets.
    """
    branches = [
        _narrowed(sa.select(*t.allocation.c), fields).where(
            t.allocation.c.scope_id == _P(f"scope_{at}"),
            t.allocation.c.address.between(_P(f"first_{at}"), _P(f"last_{at}")),
            t.allocation.c.subnet_id == _P(f"subnet_{at}"),
        )
        for at in range(count)
    ]
    found = sa.union_all(*branches).subquery("found")
    columns = [
        t.scope.c.name if each is t.scope.c.name else found.c[each.name]
        for each in ALLOCATION_COLUMNS
    ]
    # The sum keeps planners from a scan of all allocations by number.
    order = found.c.sequence + _ZERO
    query = sa.select(*columns).select_from(found.join(t.scope, t.scope.c.id == found.c.scope_id))
    return query.order_by(order).limit(_P("count"))


def attribute_pattern(name: str, value: str) -> str:
    """The pattern of the stored JSON of allocations with an attribute; of few others as well.

    :param value: as JSON.
    """
    return _pattern(f"{json.dumps(name)}: {value}")


def sharer_pattern(owner: str) -> str:
    """The pattern of the stored owners of shared addresses that an owner has; of few others as well."""
    return _pattern(json.dumps(owner))


def _pattern(text: str) -> str:
    literal = _ESCAPED.sub(r"!\g<0>", text)
    return f"%{literal}%"


def _narrowed(query: Any, fields: tuple[str, ...]) -> Any:
    query = query.where(t.allocation.c.sequence > _P("after"))
    for name in fields:
        if name == "owner_prefix":
            # LIKE ignores case on SQLite, and a range depends on the collation.
            beginning = sa.func.substr(
                t.allocation.c.owner, 1, sa.cast(_P("owner_length"), sa.Integer)
            )
            query = query.where(beginning == _P(name), t.allocation.c.owner != _EMPTY)
            continue
        if name.startswith("attribute_"):
            if not name.endswith("_json"):
                query = query.where(
                    t.allocation.c.attributes.like(_P(name), escape="!")
                    | t.allocation.c.attributes.like(_P(f"{name}_json"), escape="!")
                )
            continue
        if name in _STATES:
            query = query.where(_STATES[State(name)])
            continue
        if name == "sharer":
            query = query.where(
                t.allocation.c.owner == sa.literal_column(f"'{SHARED}'"),
                t.allocation.c.owner != _EMPTY,
                t.allocation.c.sharers.like(_P(name), escape="!"),
            )
            continue
        column = t.scope.c.name if name == "scope" else t.allocation.c[name]
        query = query.where(column == _P(name))
        if name in ("owner", "host"):
            query = query.where(column != _EMPTY)
    return query


# --- Idempotency keys and events ---------------------------------------------------------------

recall = sa.select(t.idempotency_key.c.fingerprint, t.idempotency_key.c.sequences).where(
    t.idempotency_key.c.key == _P("key")
)
remember = insert(t.idempotency_key)
rebind = (
    sa.update(t.idempotency_key)
    .where(
        t.idempotency_key.c.key == _P("old_key"),
        t.idempotency_key.c.sequences == _P("old_sequences"),
    )
    .values(sequences=_P("sequences"), at=_P("at"))
)
old_keys = (
    sa.select(t.idempotency_key.c.key, t.idempotency_key.c.sequences)
    .where(t.idempotency_key.c.at < _P("before"))
    .order_by(t.idempotency_key.c.at)
    .limit(_P("count"))
)
forget = sa.delete(t.idempotency_key).where(t.idempotency_key.c.key == _P("old_key"))


def _event_row(values: dict[str, Any]) -> Any:
    return sa.select(*(sa.type_coerce(each, t.event.c[name].type) for name, each in values.items()))


_EVENT = [column.name for column in t.event.c if column.name != "id"]

# INSERT … SELECT and not VALUES: InnoDB then holds the lock on ids until the row exists. See
# borough.store.sql.dialects.mariadb_horizon.
add_event = sa.insert(t.event).from_select(_EVENT, _event_row({name: _P(name) for name in _EVENT}))
add_event_returning = add_event.returning(t.event.c.id)


@shaped
def add_events_returning(count: int) -> Any:
    """Several events in one statement: (id, subject) of each, in any order."""
    rows = [_event_row({name: _P(f"{name}_{at}") for name in _EVENT}) for at in range(count)]
    made = sa.insert(t.event).from_select(_EVENT, sa.union_all(*rows))
    return made.returning(t.event.c.id, t.event.c.subject)


NEWEST = sa.select(sa.func.max(t.event.c.id))

# --- Catalogue ---------------------------------------------------------------------------------

version = sa.select(t.meta.c.catalogue_version)
touch = (
    sa.update(t.meta)
    .where(t.meta.c.catalogue_version == _P("seen"))
    .values(catalogue_version=_P("version"))
)
