"""A plan in one call on PostgreSQL: ``borough_write_1.sql``, with the rows as one JSON text.

More rows than a call should have are sent in several, all in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from borough.domain.declared.records import Subnet
from borough.domain.space.keys import Binding
from borough.domain.space.plan import Plan
from borough.store.port import LostRace
from borough.store.sql.plan_rows import ALLOCATION, CHECKED, document, plan_rows
from borough.store.sql.runner import Native, Row, Runner

#: Most rows of one kind in a call. A row has at most some 15 KiB, and PostgreSQL bounds a message and its
#: parsed form by 1 GiB and 256 MiB.
_MOST: Final = 10_000

_Tables = Mapping[str, Sequence[Mapping[str, Any]]]
_Grant = tuple[Mapping[str, Any], Mapping[str, Any]]

#: Kinds of rows in the order of several calls. Removed rows make room for new ones, and an allocation has the
#: number of its event.
_ORDER: Final = (
    *((name,) for name in (*CHECKED, "free_ranges_added", "blocks_added")),
    ("granted", "allocations"),
    ("events",),
)

_CALL: Final = Native.numbered(
    "SELECT sequence, subject FROM borough_write_1(%(plan)s::jsonb, %(expected)s)"
)


class PostgresqlWriter:
    """See :class:`borough.store.sql.dialect.Writer`."""

    def wants(self, _plan: Plan) -> bool:
        return True

    def write(
        self,
        runner: Runner,
        plan: Plan,
        subnets: Mapping[int, Subnet],
        grants: Sequence[_Grant],
        events: Sequence[Mapping[str, Any]],
    ) -> list[int]:
        tables = _tables(plan, subnets, grants, events)
        found = [row for part in _pieces(tables) for row in _call(runner, part)]
        sequences = {subject: id for id, subject in found}
        return [sequences[event["subject"]] for event, _ in grants]

    def write_alone(
        self,
        runner: Runner,
        plan: Plan,
        subnets: Mapping[int, Subnet],
        grants: Sequence[_Grant],
        events: Sequence[Mapping[str, Any]],
        bind: Binding | None,
    ) -> list[int]:
        ((event, _),) = grants
        keys = [] if bind is None else [{**bind._asdict(), "at": event["at"]}]
        found = _call(runner, {**_tables(plan, subnets, grants, events), "keys": keys})
        return [id for id, _ in found]


def _tables(
    plan: Plan,
    subnets: Mapping[int, Subnet],
    grants: Sequence[_Grant],
    events: Sequence[Mapping[str, Any]],
) -> _Tables:
    return {
        **plan_rows(plan, subnets),
        "granted": [event for event, _ in grants],
        "allocations": [
            {**{name: values[name] for name in ALLOCATION}, "subject": event["subject"]}
            for event, values in grants
        ],
        "events": events,
    }


def _call(runner: Runner, tables: _Tables) -> list[Row]:
    """Write rows; return (sequence number, address) of each grant."""
    plan, expected = document(tables)
    answer = runner.native(_CALL, {"plan": plan, "expected": expected})
    if not answer:
        raise LostRace("a row is not as it was read")
    return answer


def _pieces(tables: _Tables) -> Iterator[_Tables]:
    """The rows of one call each: all of them, or so many of a kind."""
    if max(map(len, tables.values())) <= _MOST:
        yield tables
        return
    for names in _ORDER:
        for start in range(0, len(tables[names[0]]), _MOST):
            yield {name: tables[name][start : start + _MOST] for name in names}
