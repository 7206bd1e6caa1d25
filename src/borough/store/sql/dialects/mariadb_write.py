"""A plan of many rows on MariaDB: one statement for each kind of row, with the rows as one JSON text.

More rows than a server accepts in one statement are sent in several, all in the same transaction. A plan of
one grant can be a transaction of its own: one call of ``borough_write_1.sql``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

import sqlalchemy as sa

from borough.domain.declared.records import Subnet
from borough.domain.space.keys import Binding
from borough.domain.space.plan import Plan
from borough.store.port import LostRace
from borough.store.sql import schema as t
from borough.store.sql.dialects.mariadb_answer import CALLS, answered
from borough.store.sql.failures import Oversize
from borough.store.sql.plan_rows import (
    ALLOCATION,
    BITS,
    BLOCK,
    EVENT,
    FREE_RANGE,
    OLD_ALLOCATION,
    OLD_BLOCK,
    OLD_FREE_RANGE,
    OLD_SUBNET,
    SHAPE,
    document,
    plan_rows,
)
from borough.store.sql.runner import Native, Row, Runner
from borough.store.sql.statements import KEPT

#: Rows of a kind from which on this way is faster.
_MANY: Final = 8

#: The fields of a plan that do not count for that. New space alone is inserted by VALUES. A query that
#: inserts keeps the lock on ids while it waits for a gap that another transaction has locked, which is a
#: deadlock.
_BY_VALUES: Final = frozenset({"free_ranges_added", "blocks_added", "notes"})

#: The smallest accepted ``max_allowed_packet`` of a server, in bytes.
LEAST_PACKET: Final = 1 << 20

#: Most bytes of one JSON text in a statement. One row has at most 64 KiB.
_PIECE: Final = LEAST_PACKET // 2


#: Row by row of the JSON, and by key: the optimiser would scan a small table, and lock all its rows and gaps.
_BY_KEY: Final = "STRAIGHT_JOIN {} AS old FORCE INDEX (PRIMARY)"
_RUN: Final = _BY_KEY.format("borough_free_range")
_BLOCK: Final = _BY_KEY.format("borough_block")
_ALLOCATION: Final = _BY_KEY.format("borough_allocation")
_SUBNET: Final = _BY_KEY.format("borough_subnet")
_SAME_FREE_RANGE: Final = (
    "old.id = made.old_id AND old.length = made.old_length AND old.cohort_id = made.old_cohort"
)
_SAME_BLOCK: Final = "old.id = made.old_id AND old.version = made.old_version"
_SAME_ALLOCATION: Final = (
    "old.sequence = made.old_sequence AND old.version = made.old_version "
    "AND COALESCE(old.until, -1) = made.old_until"
)


def _type(column: sa.Column[Any]) -> str:
    if isinstance(column.type, sa.LargeBinary):
        return "binary"
    return "text" if isinstance(column.type, sa.String) else "bigint"


def _typed(table: sa.Table, names: Iterable[str]) -> dict[str, str]:
    return {name: _type(table.c[name]) for name in names}


def _rows(columns: Mapping[str, str]) -> str:
    """Rows of a JSON array of arrays; addresses are in hexadecimal, because JSON has no bytes."""
    kinds = {"bigint": "BIGINT", "binary": "VARCHAR(32)", "text": "MEDIUMTEXT"}
    listed = ", ".join(
        f"`{name}` {kinds[kind]} PATH '$[{at}]'" for at, (name, kind) in enumerate(columns.items())
    )
    return f"JSON_TABLE(%(rows)s, '$[*]' COLUMNS ({listed})) AS made"


def _value(name: str, kind: str) -> str:
    return f"UNHEX(made.`{name}`)" if kind == "binary" else f"made.`{name}`"


def _insert(table: sa.Table, names: Sequence[str], more: str = "") -> str:
    columns = _typed(table, names)
    targets = ", ".join(f"`{name}`" for name in names)
    values = ", ".join(_value(name, kind) for name, kind in columns.items())
    return f"INSERT INTO {table.name} ({targets}) SELECT {values} FROM {_rows(columns)} {more}"


def _update(names: Sequence[str]) -> str:
    columns = _typed(t.block, names)
    values = ", ".join(f"old.`{name}` = {_value(name, kind)}" for name, kind in columns.items())
    return (
        f"UPDATE {_rows({**OLD_BLOCK, **columns})} {_BLOCK} ON {_SAME_BLOCK} "
        f"SET {values}, old.version = old.version + 1"
    )


def _delete(table: str, columns: Mapping[str, str], condition: str) -> str:
    return f"DELETE old FROM {_rows(columns)} {table} ON {condition}"


#: Changes with preconditions, in one order of locks for all transactions.
_PARTS: Final = {
    "free_ranges_removed": _delete(_RUN, OLD_FREE_RANGE, _SAME_FREE_RANGE),
    "blocks_removed": _delete(_BLOCK, OLD_BLOCK, _SAME_BLOCK),
    "bits": _update(BITS),
    "shapes": _update(SHAPE),
    "removed": _delete(_ALLOCATION, OLD_ALLOCATION, _SAME_ALLOCATION),
    "cooled": f"UPDATE {_rows({**OLD_ALLOCATION, 'until': 'bigint'})} {_ALLOCATION} "
    f"ON {_SAME_ALLOCATION} SET old.until = made.until, old.sticky = 0, old.lease = 0",
    "edited": f"UPDATE {_rows({**OLD_ALLOCATION, **_typed(t.allocation, KEPT)})} {_ALLOCATION} "
    f"ON {_SAME_ALLOCATION} SET "
    + "".join(f"old.`{name}` = made.`{name}`, " for name in KEPT)
    + "old.version = old.version + 1",
    # Last, as an allocation locks its subnet's row for the foreign key after all else.
    "outside": f"UPDATE {_rows(OLD_SUBNET)} {_SUBNET} "
    "ON old.id = made.old_id AND old.version = made.old_version "
    "SET old.outside = old.outside + 1",
}
_NEW: Final = {
    "free_ranges_added": _insert(t.free_range, FREE_RANGE),
    "blocks_added": _insert(t.block, BLOCK),
    "events": _insert(t.event, EVENT),
}
_NOTED: Final = Native.named(_insert(t.event, EVENT, "RETURNING id, subject"))
_GIVEN: Final = {"allocations": _insert(t.allocation, ["sequence", *ALLOCATION])}


@cache
def _native(name: str) -> Native:
    return Native.named({**_PARTS, **_NEW, **_GIVEN}[name])


def _texts(found: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Rows as JSON texts, each with as many as one statement takes."""
    piece: list[str] = []
    size = 0
    for row in found:
        values = [value.hex() if isinstance(value, bytes) else value for value in row.values()]
        text = json.dumps(values)
        # In a statement each quote and each backslash has another backslash before it.
        sent = len(text) + text.count('"') + text.count("\\") + 2
        if piece and size + sent > _PIECE:
            yield f"[{', '.join(piece)}]"
            piece, size = [], 0
        piece.append(text)
        size += sent
    if piece:
        yield f"[{', '.join(piece)}]"


_CALL: Final = Native.named("CALL borough_write_1(%(plan)s, %(expected)s, %(call)s)")


def _change(runner: Runner, name: str, found: Iterable[Mapping[str, Any]]) -> int:
    """Run a change for all rows; return the number of matched rows."""
    return sum(runner.change(_native(name), {"rows": text}) for text in _texts(found))


def _note(runner: Runner, found: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Add events; return (id, subject) of each."""
    return [row for text in _texts(found) for row in runner.native(_NOTED, {"rows": text})]


class MariadbWriter:
    """See :class:`borough.store.sql.dialect.Writer`."""

    def wants(self, plan: Plan) -> bool:
        return any(
            len(rows) >= _MANY for name, rows in vars(plan).items() if name not in _BY_VALUES
        )

    def write(
        self,
        runner: Runner,
        plan: Plan,
        subnets: Mapping[int, Subnet],
        grants: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
        events: Sequence[Mapping[str, Any]],
    ) -> list[int]:
        tables = plan_rows(plan, subnets)
        tables["events"] = [dict(event) for event in events]
        for name in _PARTS:
            if _change(runner, name, tables[name]) != len(tables[name]):
                raise LostRace("a row is not as it was read")
        for name in _NEW:
            _change(runner, name, tables[name])
        found = {subject: id for id, subject in _note(runner, (event for event, _ in grants))}
        sequences = [found[event["subject"]] for event, _ in grants]
        given = [
            {"sequence": sequence, **{name: values[name] for name in ALLOCATION}}
            for sequence, (_, values) in zip(sequences, grants, strict=True)
        ]
        _change(runner, "allocations", given)
        return sequences

    def write_alone(
        self,
        runner: Runner,
        plan: Plan,
        subnets: Mapping[int, Subnet],
        grants: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
        events: Sequence[Mapping[str, Any]],
        bind: Binding | None,
    ) -> list[int]:
        tables = plan_rows(plan, subnets)
        ((event, allocation),) = grants
        tables["granted"] = [dict(event)]
        tables["allocations"] = [{name: allocation[name] for name in ALLOCATION}]
        tables["events"] = [dict(each) for each in events]
        if bind is not None:
            tables["keys"] = [{**bind._asdict(), "at": event["at"]}]
        text, expected = document(tables)
        if len(text) > _PIECE:
            raise Oversize
        call = next(CALLS)
        values = {"plan": text, "expected": expected, "call": call}
        answer = answered(runner, lambda: runner.results(_CALL, values), call)[0]
        if answer[0][0] is None:
            raise LostRace("a row is not as it was read")
        return [int(answer[0][0])]
