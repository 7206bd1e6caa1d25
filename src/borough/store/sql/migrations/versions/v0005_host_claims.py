"""What a host claims otherwise than its dimension says.

Revision: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; safe to run again after it was interrupted where data definition is not transactional."""
    columns = sa.inspect(op.get_bind()).get_columns("borough_host")
    if "claiming" not in {column["name"] for column in columns}:
        op.add_column(
            "borough_host",
            sa.Column("claiming", sa.String(length=255), nullable=False, server_default=""),
        )
