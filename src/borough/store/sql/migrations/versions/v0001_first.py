"""The first schema.

Revision: 0001
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PACKED = sa.LargeBinary(16).with_variant(mysql.VARBINARY(16), "mysql", "mariadb")
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


def _open(*columns: str) -> list[str]:
    """The columns of an index over open blocks; where there are partial indexes, it holds no others."""
    partial = op.get_context().dialect.name in ("sqlite", "postgresql")
    return [*(() if partial else ("is_open",)), *columns]


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "borough_cohort",
        sa.Column("id", ID, nullable=False),
        sa.Column("description", LONG, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest", name="uq_borough_cohort_digest"),
        **MARIADB,
    )
    op.create_table(
        "borough_dimension",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("fallback", sa.String(length=16), nullable=False),
        sa.Column("claims", sa.SmallInteger(), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sa.UniqueConstraint("position", name="uq_borough_dimension_position"),
        **MARIADB,
    )
    op.create_table(
        "borough_event",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("act", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("subnet", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("detail", LONG, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **MARIADB,
    )
    op.create_table(
        "borough_host",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", name="uq_borough_host_name"),
        **MARIADB,
    )
    op.create_table(
        "borough_idempotency_key",
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("sequences", LONG, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        **MARIADB,
    )
    op.create_index(
        "ix_borough_idempotency_key_at", "borough_idempotency_key", ["at"], unique=False
    )
    op.create_table(
        "borough_meta",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("catalogue_version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_borough_meta_single"),
        sa.PrimaryKeyConstraint("id"),
        **MARIADB,
    )
    op.create_table(
        "borough_scope",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", name="uq_borough_scope_name"),
        **MARIADB,
    )
    op.create_table(
        "borough_host_label",
        sa.Column("id", ID, nullable=False),
        sa.Column("host_id", ID, nullable=False),
        sa.Column("dimension", sa.String(length=64), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"], ["borough_host.id"], name="fk_borough_host_label_host"
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("host_id", "dimension", "value", name="uq_borough_host_label_value"),
        **MARIADB,
    )
    op.create_table(
        "borough_pool",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("scope_id", ID, nullable=False),
        sa.Column("family", sa.SmallInteger(), nullable=False),
        sa.Column("minimum_length", sa.SmallInteger(), nullable=False),
        sa.Column("maximum_length", sa.SmallInteger(), nullable=False),
        sa.Column("default_length", sa.SmallInteger(), nullable=False),
        sa.Column("quota", sa.BigInteger(), nullable=True),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["scope_id"], ["borough_scope.id"], name="fk_borough_pool_scope"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", name="uq_borough_pool_name"),
        **MARIADB,
    )
    op.create_table(
        "borough_subnet",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("scope_id", ID, nullable=False),
        sa.Column("cohort_id", ID, nullable=False),
        sa.Column("base", PACKED, nullable=False),
        sa.Column("length", sa.SmallInteger(), nullable=False),
        sa.Column("gateway", PACKED, nullable=True),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("project", sa.String(length=255), nullable=False),
        sa.Column("pool", sa.String(length=255), nullable=False),
        sa.Column("cooldown", sa.Integer(), nullable=False),
        sa.Column("attributes", LONG, nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["cohort_id"], ["borough_cohort.id"], name="fk_borough_subnet_cohort"
        ),
        sa.ForeignKeyConstraint(["scope_id"], ["borough_scope.id"], name="fk_borough_subnet_scope"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", name="uq_borough_subnet_name"),
        sa.UniqueConstraint("scope_id", "base", name="uq_borough_subnet_scope_base"),
        **MARIADB,
    )
    op.create_table(
        "borough_allocation",
        sa.Column("sequence", ID, autoincrement=False, nullable=False),
        sa.Column("scope_id", ID, nullable=False),
        sa.Column("address", PACKED, nullable=False),
        sa.Column("subnet_id", ID, nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("attributes", LONG, nullable=True),
        sa.Column("note", LONG, nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["scope_id"], ["borough_scope.id"], name="fk_borough_allocation_scope"
        ),
        sa.ForeignKeyConstraint(
            ["subnet_id"], ["borough_subnet.id"], name="fk_borough_allocation_subnet"
        ),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("scope_id", "address", name="uq_borough_allocation_scope_address"),
        **MARIADB,
    )
    op.create_index(
        "ix_borough_allocation_host",
        "borough_allocation",
        ["host"],
        unique=False,
        sqlite_where=sa.text("host != ''"),
        postgresql_where=sa.text("host != ''"),
    )
    op.create_index(
        "ix_borough_allocation_owner",
        "borough_allocation",
        ["owner"],
        unique=False,
        sqlite_where=sa.text("owner != ''"),
        postgresql_where=sa.text("owner != ''"),
    )
    op.create_index(
        "ix_borough_allocation_until",
        "borough_allocation",
        ["until"],
        unique=False,
        sqlite_where=sa.text("until IS NOT NULL"),
        postgresql_where=sa.text("until IS NOT NULL"),
    )
    op.create_table(
        "borough_block",
        sa.Column("id", ID, nullable=False),
        sa.Column("subnet_id", ID, nullable=False),
        sa.Column("cohort_id", ID, nullable=False),
        sa.Column("base", PACKED, nullable=False),
        sa.Column("length", sa.SmallInteger(), nullable=False),
        sa.Column("bitmap", sa.BigInteger(), nullable=False),
        sa.Column("free", sa.SmallInteger(), nullable=False),
        sa.Column("is_open", sa.SmallInteger(), nullable=False),
        sa.Column("holder", sa.String(length=320), nullable=False),
        sa.Column("is_held", sa.SmallInteger(), nullable=False),
        sa.Column("region_length", sa.SmallInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subnet_id"], ["borough_subnet.id"], name="fk_borough_block_subnet"
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("subnet_id", "base", name="uq_borough_block_subnet_base"),
        **MARIADB,
    )
    op.create_index(
        "ix_borough_block_held",
        "borough_block",
        ["holder", "cohort_id"],
        unique=False,
        sqlite_where=sa.text("holder != ''"),
        postgresql_where=sa.text("holder != ''"),
    )
    op.create_index(
        "ix_borough_block_open_base",
        "borough_block",
        _open("cohort_id", "is_held", "base"),
        unique=False,
        sqlite_where=sa.text("is_open = 1"),
        postgresql_where=sa.text("is_open = 1"),
    )
    op.create_index(
        "ix_borough_block_open_held",
        "borough_block",
        _open("cohort_id", "holder", "region_length", "base"),
        unique=False,
        sqlite_where=sa.text("is_open = 1"),
        postgresql_where=sa.text("is_open = 1"),
    )
    op.create_index(
        "ix_borough_block_open_subnet_base",
        "borough_block",
        _open("subnet_id", "is_held", "base"),
        unique=False,
        sqlite_where=sa.text("is_open = 1"),
        postgresql_where=sa.text("is_open = 1"),
    )
    op.create_index(
        "ix_borough_block_open_subnet_held",
        "borough_block",
        _open("subnet_id", "holder", "region_length", "base"),
        unique=False,
        sqlite_where=sa.text("is_open = 1"),
        postgresql_where=sa.text("is_open = 1"),
    )
    op.create_table(
        "borough_pool_prefix",
        sa.Column("id", ID, nullable=False),
        sa.Column("pool_id", ID, nullable=False),
        sa.Column("base", PACKED, nullable=False),
        sa.Column("length", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["pool_id"], ["borough_pool.id"], name="fk_borough_pool_prefix_pool"
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("pool_id", "base", name="uq_borough_pool_prefix_base"),
        **MARIADB,
    )
    op.create_table(
        "borough_run",
        sa.Column("id", ID, nullable=False),
        sa.Column("subnet_id", ID, nullable=False),
        sa.Column("cohort_id", ID, nullable=False),
        sa.Column("base", PACKED, nullable=False),
        sa.Column("length", sa.SmallInteger(), nullable=False),
        sa.Column("host_bits", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(["subnet_id"], ["borough_subnet.id"], name="fk_borough_run_subnet"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("subnet_id", "base", name="uq_borough_run_subnet_base"),
        **MARIADB,
    )
    op.create_index(
        "ix_borough_run_cohort_base", "borough_run", ["cohort_id", "base"], unique=False
    )
    op.create_index(
        "ix_borough_run_cohort_host_bits",
        "borough_run",
        ["cohort_id", "host_bits", "base"],
        unique=False,
    )
    op.create_index(
        "ix_borough_run_cohort_length", "borough_run", ["cohort_id", "length", "base"], unique=False
    )
    op.create_table(
        "borough_subnet_label",
        sa.Column("id", ID, nullable=False),
        sa.Column("subnet_id", ID, nullable=False),
        sa.Column("dimension", sa.String(length=64), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["subnet_id"], ["borough_subnet.id"], name="fk_borough_subnet_label_subnet"
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint(
            "subnet_id", "dimension", "value", name="uq_borough_subnet_label_value"
        ),
        **MARIADB,
    )
    op.create_table(
        "borough_subnet_range",
        sa.Column("id", ID, nullable=False),
        sa.Column("subnet_id", ID, nullable=False),
        sa.Column("first", PACKED, nullable=False),
        sa.Column("last", PACKED, nullable=False),
        sa.ForeignKeyConstraint(
            ["subnet_id"], ["borough_subnet.id"], name="fk_borough_subnet_range_subnet"
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("subnet_id", "first", name="uq_borough_subnet_range_first"),
        **MARIADB,
    )
    op.bulk_insert(
        sa.table("borough_meta", sa.column("id"), sa.column("catalogue_version")),
        [{"id": 1, "catalogue_version": 1}],
    )
    op.bulk_insert(
        sa.table("borough_scope", sa.column("name"), sa.column("source")),
        [{"name": "default", "source": ""}],
    )
    op.bulk_insert(
        sa.table(
            "borough_dimension",
            sa.column("name"),
            sa.column("position"),
            sa.column("fallback"),
            sa.column("claims"),
            sa.column("source"),
        ),
        [
            {
                "name": name,
                "position": position,
                "fallback": fallback,
                "claims": claims,
                "source": "",
            }
            for position, (name, fallback, claims) in enumerate(
                [
                    ("network", "none", 0),
                    ("segment", "none", 0),
                    ("service_type", "unlabelled", 0),
                    ("host", "any", 1),
                ]
            )
        ],
    )
