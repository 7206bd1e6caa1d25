"""Plans: whether there is anything to write, and by which way."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import pytest

from borough.domain.space.plan import Plan
from borough.store.sql.dialects.mariadb_write import MariadbWriter


@dataclass
class Larger(Plan):
    """A plan with a kind of rows that nobody has thought of."""

    more: list[Any] = field(default_factory=list)


@pytest.mark.parametrize("name", [each.name for each in fields(Larger)])
def test_every_kind_of_row_counts(name: str) -> None:
    """Eight rows are written as one statement on MariaDB, unless they are inserted by VALUES."""
    rows: Any = {at: (at, at) for at in range(8)}
    plan = Larger()
    setattr(plan, name, rows if name == "changed" else list(rows))
    assert not plan.is_empty
    by_values = name in ("runs_added", "blocks_added", "notes")
    assert MariadbWriter().wants(plan) is not by_values


def test_an_empty_plan() -> None:
    assert Plan().is_empty
    assert not MariadbWriter().wants(Plan())
