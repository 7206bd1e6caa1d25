"""A plan as rows: what statements that write many rows at once are given."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from borough.domain.address import to_bytes
from borough.domain.block import Block, Run
from borough.domain.space import Plan
from borough.store.sql import rows
from borough.store.sql import schema as t


def _names(table: sa.Table, *leave_out: str) -> tuple[str, ...]:
    return tuple(column.name for column in table.c if column.name not in leave_out)


BLOCK: Final = _names(t.block, "id")
RUN: Final = _names(t.run, "id")
EVENT: Final = _names(t.event, "id")
ALLOCATION: Final = _names(t.allocation, "sequence", "until")
#: What changes of a block when more than its bits does.
SHAPE: Final = _names(t.block, "id", "subnet_id", "cohort_id", "version")
BITS: Final = ("bitmap", "free", "reach")
#: How a row is known, and what it must still be like: whoever has only guessed it does not know its id.
OLD_BLOCK: Final = {"old_subnet": "bigint", "old_base": "binary", "old_version": "bigint"}
OLD_MOVED: Final = {
    "old_sequence": "bigint",
    "old_host": "text",
    "old_until": "bigint",
    "host": "text",
}
OLD_RUN: Final = {"old_subnet": "bigint", "old_base": "binary", "old_length": "bigint"}


def _place(piece: Block | Run) -> dict[str, Any]:
    prefix = piece.prefix
    return {"old_subnet": piece.subnet_id, "old_base": to_bytes(prefix.family, prefix.base)}


def plan_rows(plan: Plan) -> dict[str, list[dict[str, Any]]]:
    """The rows by what happens to them: changed and removed ones, which have preconditions; new space."""
    bits, shapes = rows.changed_values(plan)
    return {
        "bits": [{name: values[name] for name in (*OLD_BLOCK, *BITS)} for values in bits],
        "shapes": [{name: values[name] for name in (*OLD_BLOCK, *SHAPE)} for values in shapes],
        "runs_gone": [
            {**_place(each), "old_length": each.prefix.length} for each in plan.runs_removed
        ],
        "blocks_gone": [
            {**_place(each), "old_version": each.version} for each in plan.blocks_removed
        ],
        "gone": [{"old_sequence": each.sequence} for each in plan.removed],
        "cooled": [{"old_sequence": each.sequence, "until": each.until} for each in plan.cooled],
        "moved": [rows.moved_values(old, new) for old, new in plan.moved],
        "runs_new": [rows.run_values(each) for each in plan.runs_added],
        "blocks_new": [rows.block_values(each) for each in plan.blocks_added],
    }
