"""A plan in one statement on PostgreSQL, with the rows as arrays, so its text does not grow.

More rows than a statement should have are sent in several, all in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from borough.domain.declared.records import Subnet
from borough.domain.space.plan import Plan
from borough.store.port import LostRace
from borough.store.sql import schema as t
from borough.store.sql.dialects.postgresql_check import check
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
    plan_rows,
)
from borough.store.sql.read_set import Guess
from borough.store.sql.runner import Native, Row, Runner, shaped

#: Most rows of one kind in a statement. A row has at most some 15 KiB, and PostgreSQL bounds a message and
#: its parsed form by 1 GiB each.
_MOST: Final = 10_000

_Tables = Mapping[str, Sequence[Mapping[str, Any]]]

_KINDS: Final = {"bigint": "bigint", "text": "text", "binary": "bytea"}

_SAME_BLOCK: Final = (
    "b.subnet_id = row.old_subnet AND b.base = row.old_base AND b.version = row.old_version"
)
_SAME_ALLOCATION: Final = (
    "a.sequence = row.old_sequence AND a.host = row.old_host "
    "AND coalesce(a.until, -1) = row.old_until"
)


def _type(column: sa.Column[Any]) -> str:
    if isinstance(column.type, sa.LargeBinary):
        return "binary"
    return "text" if isinstance(column.type, sa.String) else "bigint"


def _rows(prefix: str, columns: Mapping[str, str]) -> str:
    """Rows from arrays: ``unnest(%(p_a)s::bigint[], …) WITH ORDINALITY AS row (a, …, place)``."""
    arrays = ", ".join(f"%({prefix}_{name})s::{_KINDS[kind]}[]" for name, kind in columns.items())
    return f"unnest({arrays}) WITH ORDINALITY AS row ({', '.join(columns)}, place)"


def _typed(table: sa.Table, names: Iterable[str]) -> dict[str, str]:
    return {name: _type(table.c[name]) for name in names}


def _insert(table: sa.Table, names: Sequence[str], prefix: str, more: str = "") -> str:
    columns = ", ".join(names)
    # "met" comes first: a removed row makes room for a new one at the same place.
    return (
        f"INSERT INTO {table.name} ({columns}) SELECT {columns} "
        f"FROM met, {_rows(prefix, _typed(table, names))} ORDER BY place {more}"
    )


def _update(names: Sequence[str], prefix: str) -> str:
    values = ", ".join(f"{name} = row.{name}" for name in names)
    return (
        "UPDATE borough_block AS b SET "
        f"{values}, version = b.version + 1 "
        f"FROM {_rows(prefix, {**OLD_BLOCK, **_typed(t.block, names)})} "
        f"WHERE {_SAME_BLOCK} RETURNING 1"
    )


_PARTS: Final[dict[str, str]] = {
    "bits": _update(BITS, "bits"),
    "shapes": _update(SHAPE, "shapes"),
    "runs_gone": "DELETE FROM borough_free_range AS r USING "
    + _rows("runs_gone", OLD_FREE_RANGE)
    + " WHERE r.subnet_id = row.old_subnet AND r.base = row.old_base AND r.length = row.old_length "
    "AND r.cohort_id = row.old_cohort "
    "RETURNING 1",
    "blocks_gone": "DELETE FROM borough_block AS b USING "
    + _rows("blocks_gone", OLD_BLOCK)
    + f" WHERE {_SAME_BLOCK} RETURNING 1",
    "gone": "DELETE FROM borough_allocation AS a USING "
    + _rows("gone", OLD_ALLOCATION)
    + f" WHERE {_SAME_ALLOCATION} RETURNING 1",
    "cooled": "UPDATE borough_allocation AS a SET until = row.until FROM "
    + _rows("cooled", {**OLD_ALLOCATION, "until": "bigint"})
    + f" WHERE {_SAME_ALLOCATION} RETURNING 1",
    "reassigned": "UPDATE borough_allocation AS a SET host = row.host FROM "
    + _rows("reassigned", {**OLD_ALLOCATION, "host": "text"})
    + f" WHERE {_SAME_ALLOCATION} RETURNING 1",
    "outside": "UPDATE borough_subnet AS s SET outside = s.outside + 1 FROM "
    + _rows("outside", OLD_SUBNET)
    + " WHERE s.id = row.old_id AND s.version = row.old_version RETURNING 1",
}
_PARTS_AFTER: Final[dict[str, str]] = {
    "runs_new": _insert(t.free_range, FREE_RANGE, "runs_new"),
    "blocks_new": _insert(t.block, BLOCK, "blocks_new"),
    "noted": _insert(t.event, EVENT, "noted", "RETURNING id, subject"),
    "given": f"INSERT INTO borough_allocation (sequence, {', '.join(ALLOCATION)}) "
    f"SELECT noted.id, {', '.join('row.' + name for name in ALLOCATION)} "
    f"FROM {_rows('given', {**_typed(t.allocation, ALLOCATION), 'subject': 'text'})} "
    "JOIN noted ON noted.subject = row.subject",
    "told": _insert(t.event, EVENT, "told"),
    "keyed": "INSERT INTO borough_idempotency_key (key, fingerprint, sequences, at) "
    "SELECT %(key)s, %(fingerprint)s, id::text, %(now)s FROM noted",
}


#: Removed rows make room for new ones.
_ROOM: Final = ("runs_gone", "blocks_gone")
#: The order of the parts when there are several statements.
_ORDER: Final = (
    *_ROOM,
    *(name for name in _PARTS if name not in _ROOM),
    "runs_new",
    "blocks_new",
)


@shaped
def _text(names: tuple[str, ...], checks: str, inside: bool) -> Native:
    before = [name for name in names if name in _PARTS]
    after = [name for name in names if name in _PARTS_AFTER]
    counts = " + ".join(f"(SELECT count(*) FROM {name})" for name in before) or "0"
    parts = [f"{name} AS ({_PARTS[name]})" for name in before]
    fine = f"{counts} = %(expected)s{checks}"
    if inside:
        met = f"SELECT 1 AS fine WHERE {fine}"
    else:
        # Division by zero undoes the whole statement when one row is missing.
        met = f"SELECT 1 / (CASE WHEN {fine} THEN 1 ELSE 0 END) AS fine"
    parts.append(f"met AS MATERIALIZED ({met})")
    parts += [f"{name} AS ({_PARTS_AFTER[name]})" for name in after]
    answer = "id, subject FROM met, noted" if "noted" in after else "NULL, NULL FROM met"
    return Native.numbered(f"WITH {', '.join(parts)} SELECT {answer}")


class PostgresqlWriter:
    """See :class:`borough.store.sql.dialect.Writer`."""

    def __init__(self, *, inside: bool = False) -> None:
        """Write plans.

        :param inside: the caller has a transaction with a savepoint, which undoes a half-written statement.
        Then
            the statement need not fail, and the server logs no error.
        """
        self._inside = inside

    def wants(self, _plan: Plan) -> bool:
        return True

    def write(
        self,
        runner: Runner,
        plan: Plan,
        subnets: Mapping[int, Subnet],
        grants: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
        events: Sequence[Mapping[str, Any]],
        guess: Guess | None = None,
    ) -> list[int]:
        tables: _Tables = {
            **plan_rows(plan, subnets),
            "noted": [event for event, _ in grants],
            "given": [
                {**{name: values[name] for name in ALLOCATION}, "subject": event["subject"]}
                for event, values in grants
            ],
            "told": events,
        }
        # A guess is checked and written in one statement, and is for one address.
        parts = _pieces(tables) if guess is None else [tables]
        found = [row for part in parts for row in self._send(runner, part, guess)]
        sequences = {subject: id for id, subject in found}
        return [sequences[event["subject"]] for event, _ in grants]

    def _send(self, runner: Runner, tables: _Tables, guess: Guess | None) -> list[Row]:
        """Run one statement; return (sequence number, subject) of each grant."""
        used = tuple(name for name in tables if tables[name])
        values: dict[str, Any] = {"expected": sum(len(tables.get(name, ())) for name in _PARTS)}
        for name in used:
            for column in tables[name][0]:
                values[f"{name}_{column}"] = [row[column] for row in tables[name]]
        checks = ""
        if guess is not None:
            checks, more = check(runner, guess)
            values |= more
            if guess.bind is not None:
                used += ("keyed",)
        answer = runner.native(runner.built(_text(used, checks, self._inside)), values)
        if not answer:
            raise LostRace("a row is not as it was read")
        return answer


def _pieces(tables: _Tables) -> Iterator[_Tables]:
    """The rows of one statement each: all of them, or so many of a kind."""
    if max(map(len, tables.values())) <= _MOST:
        yield tables
        return
    # An allocation has the number of its event.
    for names in (*((name,) for name in _ORDER), ("noted", "given"), ("told",)):
        for start in range(0, len(tables[names[0]]), _MOST):
            yield {name: tables[name][start : start + _MOST] for name in names}
