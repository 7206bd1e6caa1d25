"""Reading at length: listings, sums, keys. Not on the path of an allocation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from borough.domain.address import WIDTH, from_bytes, to_bytes
from borough.domain.block import Block, Run
from borough.domain.model import AllocationRow, Catalogue
from borough.domain.prefix import Prefix, subtract
from borough.store.port import Binding, Filter, Remembered
from borough.store.sql import rows
from borough.store.sql import schema as t
from borough.store.sql import statements as s
from borough.store.sql.runner import Row, Runner
from borough.store.sql.turns import turn_of

#: Ids written into one query.
_BATCH = 500

#: Subnets that one query looks at.
_BRANCHES = 128

#: The parameters of one subnet in ``statements.allocations_of``, and those of ``IN_SUBNET``.
_PLACE = (("scope", "scope_id"), ("first", "first"), ("last", "last"), ("subnet", "subnet_id"))

_NOWHERE = {"scope_id": 0, "first": b"", "last": b"", "subnet_id": 0}

#: "No limit", for databases that need a number.
_ALL = 1 << 62


def recall(run: Runner, key: str) -> Remembered | None:
    """What an idempotency key was used for."""
    row = run.one(s.recall, key=key)
    return Remembered(row[0], _sequences(row[1])) if row else None


def remember(run: Runner, bind: Binding, sequences: Sequence[int], now: int) -> None:
    """Bind a key to an answer."""
    run.write(
        s.remember,
        key=bind.key,
        fingerprint=bind.fingerprint,
        sequences=" ".join(map(str, sequences)),
        at=now,
    )


def forget(run: Runner, before: int, limit: int) -> int:
    """Drop old keys whose addresses are gone."""
    gone = []
    for key, text in run.rows(s.old_keys, before=before, count=limit):
        sequences = _sequences(text)
        wanted = {f"sequence_{at}": sequence for at, sequence in enumerate(sequences)}
        if not run.rows(s.allocations((), len(sequences)), after=0, count=1, **wanted):
            gone.append({"old_key": key})
    return run.write_all(s.forget, gone)


def _sequences(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split()))


def allocations(run: Runner, wanted: Filter, catalogue: Catalogue) -> list[AllocationRow]:
    """Allocations by sequence number."""
    values: dict[str, Any] = {
        name: value
        for name, value in (
            ("scope", wanted.scope),
            ("owner", wanted.owner),
            ("host", wanted.host),
            ("owner_prefix", wanted.owner_prefix),
        )
        if value is not None
    }
    fields = tuple(values)
    if wanted.owner_prefix is not None:
        values["owner_length"] = len(wanted.owner_prefix)
    if wanted.subnet_ids is not None:
        return _allocations_of(run, wanted, catalogue, values)
    place: tuple[Any, ...] = ()
    if wanted.subnet_id is not None:
        place, values = s.IN_SUBNET, values | in_subnet(catalogue, wanted.subnet_id)
    if wanted.within is not None:
        assert wanted.scope is not None
        place, values = (
            place or s.IN_SPACE,
            _cut(values, catalogue.scopes, wanted.scope, wanted.within),
        )
    values["after"] = wanted.after
    values["count"] = _ALL if wanted.limit is None else wanted.limit
    if wanted.sequences is None:
        return [
            rows.to_allocation(row) for row in run.rows(s.allocations(fields, 0, place), **values)
        ]
    found: list[AllocationRow] = []
    for start in range(0, len(wanted.sequences), _BATCH):
        some = wanted.sequences[start : start + _BATCH]
        named = {f"sequence_{at}": sequence for at, sequence in enumerate(some)}
        clause = s.allocations(fields, len(some), place)
        found += [rows.to_allocation(row) for row in run.rows(clause, **values, **named)]
    return found[: wanted.limit]


def _allocations_of(
    run: Runner, wanted: Filter, catalogue: Catalogue, values: Mapping[str, Any]
) -> list[AllocationRow]:
    """Allocations of some subnets, each a range of addresses, by sequence number."""
    assert wanted.subnet_ids is not None
    assert wanted.subnet_id is None
    assert wanted.sequences is None
    fields = tuple(name for name in values if name not in ("owner_length", "scope"))
    limit = _ALL if wanted.limit is None else wanted.limit
    places = [
        in_subnet(catalogue, id)
        for id in wanted.subnet_ids
        if wanted.scope in (None, catalogue.subnets[id].scope)
    ]
    if wanted.within is not None:
        assert wanted.scope is not None
        cut = [_cut(each, catalogue.scopes, wanted.scope, wanted.within) for each in places]
        places = [each for each in cut if each["first"] <= each["last"]]
    found: list[Row] = []
    for start in range(0, len(places), _BRANCHES):
        some = places[start : start + _BRANCHES]
        # No scope has the id 0: texts of a few lengths do for any number.
        some += [_NOWHERE] * ((1 << (len(some) - 1).bit_length()) - len(some))
        named = {f"{name}_{at}": each[of] for at, each in enumerate(some) for name, of in _PLACE}
        clause = s.allocations_of(fields, len(some))
        found += run.rows(clause, **values, **named, after=wanted.after, count=limit)
    return [rows.to_allocation(row) for row in sorted(found)[:limit]]


def _cut(
    values: dict[str, Any], scopes: Mapping[str, int], scope: str, within: Prefix
) -> dict[str, Any]:
    """The parameters of ``statements.IN_SPACE``, or of ``IN_SUBNET``, cut to a prefix."""
    cut = between(within.family, within.base, within.last)
    return values | {
        "scope_id": values.get("scope_id", scopes.get(scope, 0)),
        "first": max(cut["first"], values.get("first", cut["first"])),
        "last": min(cut["last"], values.get("last", cut["last"])),
        "width": cut["width"],
    }


def _in_batches(
    run: Runner, query: sa.Select[Any], column: Any, ids: Sequence[int] | None
) -> list[Row]:
    if ids is None:
        return run.once(query)
    found = []
    for start in range(0, len(ids), _BATCH):
        some = ids[start : start + _BATCH]
        found += run.once(query.where(run.among(column, "ids", some)), ids=run.many(some))
    return found


def blocks(run: Runner, subnet_ids: Sequence[int] | None) -> list[Block]:
    """Blocks by subnet and address."""
    query = sa.select(*s.BLOCK_COLUMNS).order_by(t.block.c.subnet_id, t.block.c.base)
    found = map(rows.to_block, _in_batches(run, query, t.block.c.subnet_id, subnet_ids))
    return sorted(found, key=lambda block: (block.subnet_id, block.prefix))


def runs(run: Runner, subnet_ids: Sequence[int] | None) -> list[Run]:
    """Runs by subnet and address."""
    query = sa.select(*s.RUN_COLUMNS).order_by(t.run.c.subnet_id, t.run.c.base)
    found = map(rows.to_run, _in_batches(run, query, t.run.c.subnet_id, subnet_ids))
    return sorted(found, key=lambda each: (each.subnet_id, each.prefix))


def free_by_holder(run: Runner, subnet_ids: Sequence[int]) -> list[Row]:
    """(subnet id, holder, free addresses of blocks)."""
    query = (
        sa.select(t.block.c.subnet_id, t.block.c.holder, sa.func.sum(t.block.c.free))
        .where(t.block.c.is_open == sa.literal_column("1"))
        .group_by(t.block.c.subnet_id, t.block.c.holder)
    )
    return _in_batches(run, query, t.block.c.subnet_id, subnet_ids)


def held(run: Runner, catalogue: Catalogue, subnet_id: int) -> tuple[int, int]:
    """(allocations of a subnet, cooling ones among them)."""
    row = run.one(s.count_in_subnet, **in_subnet(catalogue, subnet_id))
    assert row is not None
    return row[0], row[1]


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


# --- Auditing ----------------------------------------------------------------------------------

#: Addresses read at a time, of a subnet that may hold millions.
_PAGE = 50_000

_P = sa.bindparam
_TAKEN = (
    sa.select(t.allocation.c.address, t.allocation.c.subnet_id)
    .where(*s.IN_SPACE)
    .order_by(t.allocation.c.address)
    .limit(_P("count"))
)
_ALLOCATIONS = (
    sa.select(*s.ALLOCATION_COLUMNS)
    .select_from(t.allocation.join(t.scope, t.scope.c.id == t.allocation.c.scope_id))
    .where(*s.IN_SPACE)
    .order_by(t.allocation.c.address)
)
_COUNTS = sa.select(t.block.c.id, t.block.c.free, t.block.c.is_open).where(
    t.block.c.subnet_id == _P("subnet_id")
)
_ONE: Any = sa.literal_column("1")
_EIGHT: Any = sa.literal_column("8")
_HELD = sa.case((t.block.c.holder != sa.literal_column("''"), _ONE), else_=sa.literal_column("0"))
_TURN: Any = sa.literal_column(
    "CASE holder WHEN '' THEN 0 ELSE "
    + turn_of("(length(base) * 8 - region_length)", "((1 << (length(base) * 8 - length)) - reach)")
    + " END"
)
_MISFILED_BLOCKS = sa.select(*s.BLOCK_COLUMNS).where(
    t.block.c.subnet_id == _P("subnet_id"),
    sa.or_(t.block.c.is_held != _HELD, t.block.c.turn != _TURN),
)
_MISFILED_RUNS = sa.select(*s.RUN_COLUMNS).where(
    t.run.c.subnet_id == _P("subnet_id"),
    t.run.c.host_bits + t.run.c.length != sa.func.length(t.run.c.base) * _EIGHT,
)
_KNOWN = sa.select(t.subnet.c.id)
_STRAY_BLOCKS = sa.select(*s.BLOCK_COLUMNS).where(t.block.c.subnet_id.not_in(_KNOWN))
_STRAY_RUNS = sa.select(*s.RUN_COLUMNS).where(t.run.c.subnet_id.not_in(_KNOWN))
_REMOVE_STRAY_BLOCKS = sa.delete(t.block).where(t.block.c.subnet_id.not_in(_KNOWN))
_REMOVE_STRAY_RUNS = sa.delete(t.run).where(t.run.c.subnet_id.not_in(_KNOWN))
_REHOME = (
    sa.update(t.allocation)
    .where(t.allocation.c.sequence == _P("old_sequence"))
    .values(subnet_id=_P("subnet_id"))
)


def taken_in(run: Runner, scope_id: int, prefix: Prefix) -> Iterator[tuple[int, int]]:
    """See :meth:`borough.store.port.Unit.taken_in`."""
    first = prefix.base
    while first <= prefix.last:
        values = between(prefix.family, first, prefix.last)
        page = run.rows(_TAKEN, scope_id=scope_id, count=_PAGE, **values)
        for packed, subnet_id in page:
            yield from_bytes(packed), subnet_id
        if len(page) < _PAGE:
            return
        first = from_bytes(page[-1][0]) + 1


def homeless(run: Runner, catalogue: Catalogue) -> list[AllocationRow]:
    """See :meth:`borough.store.port.Unit.homeless`."""
    found: list[AllocationRow] = []
    covered: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for subnet in catalogue.subnets.values():
        interval = (subnet.prefix.base, subnet.prefix.last)
        covered.setdefault((subnet.scope, subnet.family), []).append(interval)
    for scope, scope_id in catalogue.scopes.items():
        for family, width in WIDTH.items():
            # One probe for each gap between subnets is less than a look at every allocation.
            for first, last in subtract([(0, (1 << width) - 1)], covered.get((scope, family), ())):
                values = between(family, first, last)
                page = run.rows(_ALLOCATIONS, scope_id=scope_id, **values)
                found += map(rows.to_allocation, page)
    return found


def stored_counts(run: Runner, subnet_id: int) -> dict[int, tuple[int, int]]:
    """See :meth:`borough.store.port.Unit.stored_counts`."""
    return {id: (free, is_open) for id, free, is_open in run.rows(_COUNTS, subnet_id=subnet_id)}


def misfiled(run: Runner, subnet_id: int) -> list[Block | Run]:
    """See :meth:`borough.store.port.Unit.misfiled`."""
    return [
        *map(rows.to_block, run.rows(_MISFILED_BLOCKS, subnet_id=subnet_id)),
        *map(rows.to_run, run.rows(_MISFILED_RUNS, subnet_id=subnet_id)),
    ]


def strays(run: Runner) -> list[Block | Run]:
    """See :meth:`borough.store.port.Unit.strays`."""
    return [
        *map(rows.to_block, run.rows(_STRAY_BLOCKS)),
        *map(rows.to_run, run.rows(_STRAY_RUNS)),
    ]


def remove_strays(run: Runner) -> None:
    """See :meth:`borough.store.port.Unit.remove_strays`."""
    run.write(_REMOVE_STRAY_BLOCKS)
    run.write(_REMOVE_STRAY_RUNS)


def rehome(run: Runner, sequence: int, subnet_id: int) -> int:
    """See :meth:`borough.store.port.Unit.rehome`; return how many rows there were."""
    return run.write(_REHOME, old_sequence=sequence, subnet_id=subnet_id)
