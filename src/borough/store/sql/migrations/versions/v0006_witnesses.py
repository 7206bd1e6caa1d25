"""Versions of subnets: the witnesses of a declared change, and of addresses outside the ranges.

Revision: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; safe to run again after it was interrupted where data definition is not transactional."""
    columns = {each["name"] for each in sa.inspect(op.get_bind()).get_columns("borough_subnet")}
    for name in ("version", "outside"):
        if name not in columns:
            op.add_column(
                "borough_subnet",
                sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"),
            )
