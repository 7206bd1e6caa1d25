"""A log of the changes that each version of the catalogue made.

Revision: 0008
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MARIADB: dict[str, Any] = {
    f"{name}_{option}": value
    for name in ("mysql", "mariadb")
    for option, value in (
        ("engine", "InnoDB"),
        ("charset", "utf8mb4"),
        ("collate", "utf8mb4_nopad_bin"),
    )
}


def upgrade() -> None:
    """Apply; safe to run again after it was interrupted where data definition is not transactional."""
    tables = sa.inspect(op.get_bind())
    if not tables.has_table("borough_change"):
        op.create_table(
            "borough_change",
            sa.Column("id", ID, nullable=False),
            sa.Column("version", sa.BigInteger(), nullable=False),
            sa.Column("kind", sa.String(length=16), nullable=False),
            sa.Column("object_id", sa.BigInteger(), nullable=False),
            sa.PrimaryKeyConstraint("id"),
            **MARIADB,
        )
    if not tables.get_indexes("borough_change"):
        op.create_index(
            "ix_borough_change_version", "borough_change", ["version", "kind", "object_id"]
        )
