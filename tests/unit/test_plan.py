"""Plans: whether there is anything to write, and by which way."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import pytest

from borough.domain.space.plan import Plan
from borough.store.sql.dialects.mariadb_write import MariadbWriter


@dataclass
class Larger(Plan):
    """A plan with a kind of rows that the writer does not know."""

    more: list[Any] = field(default_factory=list)


BY_VALUES = {"free_ranges_added", "blocks_added", "notes"}


@pytest.mark.parametrize("name", [each.name for each in fields(Larger)])
def test_every_kind_of_row_counts(name: str) -> None:
    """Eight rows are written as one statement on MariaDB, unless they are inserted by VALUES."""
    rows: Any = {at: (at, at) for at in range(8)}
    plan = Larger()
    setattr(plan, name, rows if name == "changed" else list(rows))
    assert not plan.is_empty
    assert MariadbWriter().wants(plan) is (name not in BY_VALUES)


def test_the_exceptions_are_kinds_of_rows() -> None:
    assert {each.name for each in fields(Plan)} >= BY_VALUES


def test_an_empty_plan() -> None:
    assert Plan().is_empty
    assert not MariadbWriter().wants(Plan())
