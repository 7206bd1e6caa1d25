"""How far blocks are used, whose turn it is to lose space, what has been idle; how space is claimed.

Revision: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _open(*columns: str) -> list[str]:
    """The columns of an index over open blocks; where there are partial indexes, it holds no others."""
    partial = op.get_context().dialect.name in ("sqlite", "postgresql")
    return [*(() if partial else ("is_open",)), *columns]


def upgrade() -> None:
    """Apply."""
    for name, kind, default in (
        # As if they were used to the end, until something is released in them.
        ("reach", sa.SmallInteger(), "64"),
        ("turn", sa.SmallInteger(), "0"),
        ("idle_since", sa.BigInteger(), "0"),
    ):
        op.add_column(
            "borough_block", sa.Column(name, kind, nullable=False, server_default=default)
        )
    for table in ("borough_dimension", "borough_subnet"):
        op.add_column(
            table,
            sa.Column("claiming", sa.String(length=255), nullable=False, server_default=""),
        )
    op.execute("UPDATE borough_block SET turn = 72 WHERE holder <> ''")
    for name, column in (
        ("ix_borough_block_open_turn", "cohort_id"),
        ("ix_borough_block_open_subnet_turn", "subnet_id"),
    ):
        op.create_index(
            name,
            "borough_block",
            _open(column, "is_held", "turn", "base"),
            unique=False,
            sqlite_where=sa.text("is_open = 1"),
            postgresql_where=sa.text("is_open = 1"),
        )
