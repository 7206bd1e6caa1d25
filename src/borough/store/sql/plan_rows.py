"""A plan as rows, for statements that write many rows at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

import sqlalchemy as sa

from borough.domain.declared.records import Subnet
from borough.domain.space.blocks import FreeRange
from borough.domain.space.plan import Plan
from borough.store.sql import rows
from borough.store.sql import schema as t


def _names(table: sa.Table, *leave_out: str) -> tuple[str, ...]:
    return tuple(column.name for column in table.c if column.name not in leave_out)


BLOCK: Final = _names(t.block, "id")
FREE_RANGE: Final = _names(t.free_range, "id")
EVENT: Final = _names(t.event, "id")
ALLOCATION: Final = _names(t.allocation, "sequence", "until", "version")
#: Columns of a block that change beside its bits.
SHAPE: Final = _names(t.block, "id", "subnet_id", "cohort_id", "version")
BITS: Final = ("bitmap", "free", "high_water")
#: Key and precondition of a row that was read.
OLD_BLOCK: Final = {"old_id": "bigint", "old_version": "bigint"}
OLD_FREE_RANGE: Final = {"old_id": "bigint", "old_length": "bigint", "old_cohort": "bigint"}
OLD_ALLOCATION: Final = {"old_sequence": "bigint", "old_version": "bigint", "old_until": "bigint"}
OLD_SUBNET: Final = {"old_id": "bigint", "old_version": "bigint"}


_id: Final = attrgetter("id")


def old_free_range(free_range: FreeRange) -> dict[str, Any]:
    """The precondition on the row of a free range."""
    return {
        "old_id": free_range.id,
        "old_length": free_range.prefix.length,
        "old_cohort": free_range.cohort_id,
    }


def _pick(names: Iterable[str], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in names}


def plan_rows(plan: Plan, subnets: Mapping[int, Subnet]) -> dict[str, list[dict[str, Any]]]:
    """The rows of a plan by kind of change: changed and removed ones, which have preconditions; new space.

    :param subnets: the subnets that the plan was decided on, by id.
    """
    bits, shapes = rows.changed_values(plan)
    return {
        "bits": [_pick((*OLD_BLOCK, *BITS), values) for values in bits],
        "shapes": [_pick((*OLD_BLOCK, *SHAPE), values) for values in shapes],
        "free_ranges_removed": [
            old_free_range(each) for each in sorted(plan.free_ranges_removed, key=_id)
        ],
        "blocks_removed": [
            {"old_id": each.id, "old_version": each.version}
            for each in sorted(plan.blocks_removed, key=_id)
        ],
        "removed": rows.removed_values(plan),
        "cooled": rows.cooled_values(plan),
        "edited": rows.edited_values(plan),
        "outside": rows.outside_values(plan, subnets),
        "free_ranges_added": [rows.free_range_values(each) for each in plan.free_ranges_added],
        "blocks_added": [rows.block_values(each) for each in plan.blocks_added],
    }


#: The kinds of rows that have preconditions.
CHECKED: Final = (
    "free_ranges_removed",
    "blocks_removed",
    "bits",
    "shapes",
    "removed",
    "cooled",
    "edited",
    "outside",
)


def document(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[str, int]:
    """Rows by kind as one JSON text for a routine, and the number of those that have preconditions."""
    text = json.dumps({name: rows for name, rows in tables.items() if rows}, default=_hex)
    return text, sum(len(tables.get(name, ())) for name in CHECKED)


def _hex(value: object) -> str:
    # JSON has no bytes.
    assert isinstance(value, bytes)
    return value.hex()
