"""Tokens of the service, and who did what.

Revision: 0004
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LONG = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
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
    found = sa.inspect(op.get_bind())
    if not found.has_table("borough_token"):
        op.create_table(
            "borough_token",
            sa.Column("id", ID, nullable=False),
            sa.Column("name", sa.String(length=255), nullable=False),
            sa.Column("public", sa.String(length=32), nullable=False),
            sa.Column("digest", sa.String(length=64), nullable=False),
            sa.Column("may", sa.String(length=16), nullable=False),
            sa.Column("labels", LONG, nullable=False),
            sa.Column("created", sa.BigInteger(), nullable=False),
            sa.Column("expires", sa.BigInteger(), nullable=True),
            sa.PrimaryKeyConstraint("id"),
            sa.UniqueConstraint("name", name="uq_borough_token_name"),
            sa.UniqueConstraint("public", name="uq_borough_token_public"),
            **MARIADB,
        )
    if "actor" not in {column["name"] for column in found.get_columns("borough_event")}:
        op.add_column(
            "borough_event",
            sa.Column("actor", sa.String(length=255), nullable=False, server_default=""),
        )
